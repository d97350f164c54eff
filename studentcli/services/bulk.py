"""Loads that dominate their table: its secondary indexes are made once, after the rows.

SQLite alone: a writer is alone there anyway, and an index is dropped and made again inside the
transaction, so that nobody ever sees the table without it. Measured at 1,000,000 rows: keeping
five indexes in step with rows in random order costs more than everything else together.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from studentcli.services.resolve import is_sqlite

TABLES: Final = ("student_courses", "enrollment_events")
WORTH_IT: Final = 10_000
"""From this many rows on, making indexes anew can be cheaper than keeping them in step."""


class IndexPause:
    """The secondary indexes of the enrollment tables, taken down for as long as a load lasts.

    Args:
        session: in the operation's writing transaction.
        rows: how many rows the load has.
    """

    def __init__(self, session: Session, rows: int) -> None:
        self.session = session
        self._down: dict[str, tuple[str, str]] = {}
        if is_sqlite(session) and rows >= WORTH_IT and rows > self._present():
            self._take_down()

    def _present(self) -> int:
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
        return int(max(self.session.execute(text(f"SELECT {counts}")).one()))

    def _take_down(self) -> None:
        query = text(
            "SELECT name, tbl_name, sql FROM sqlite_master"
            f" WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {TABLES}"
        )
        self._down = {name: (table, sql) for name, table, sql in self.session.execute(query)}
        for name in self._down:
            self.session.execute(text(f'DROP INDEX "{name}"'))

    def end(self, *, of: str | None = None) -> None:
        """Make the indexes again that are still down: all of them, or those of one table."""
        for name, (table, sql) in list(self._down.items()):
            if of in {None, table}:
                self.session.connection().exec_driver_sql(sql)
                del self._down[name]

"""A table that one transaction has for itself on PostgreSQL, and its keys meanwhile.

Two steps, so that nobody is kept out for longer than need be. Other *writers* wait at a gate, which
every writing transaction passes before anything else: who waits there holds nothing that we could
wait for, and what was decided still holds when it is written. *Readers* wait only from the moment
at which keys are taken down. They hold their own locks meanwhile and take them in any order; a
deadlock with one is impossible all the same, because we never wait longer than a moment with
anything in hand.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from studentcli.database import sqlstate
from studentcli.engines import lock_timeout, pass_gate
from studentcli.services.resolve import is_sqlite

MOMENT: Final = 0.5
"""Seconds: well under the second after which PostgreSQL looks for a deadlock to break."""
BREAK: Final = 0.05
"""Seconds between two attempts, in which whoever waited behind us goes on."""
_LOCKED: Final = frozenset({"55P03", "40P01"})
_FORBIDDEN: Final = "42501"

_CONSTRAINTS: Final = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', c.conrelid::regclass, c.conname) AS drop,
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', c.conrelid::regclass, c.conname,
        pg_get_constraintdef(c.oid)) AS make
FROM pg_constraint c
WHERE c.contype = 'f' AND c.convalidated AND c.conrelid = %s::regclass
ORDER BY c.conname
"""
_INDEXES: Final = """
SELECT format('DROP INDEX %%s', i.indexrelid::regclass) AS drop,
    pg_get_indexdef(i.indexrelid) AS make
FROM pg_index i
WHERE i.indrelid = %s::regclass AND i.indisvalid
    AND NOT (i.indisprimary OR i.indisclustered OR i.indisreplident)
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY i.indexrelid::regclass::text
"""
_MAY_MAKE_KEYS: Final = """
SELECT pg_has_role(t.relowner, 'USAGE') AND has_schema_privilege(t.relnamespace, 'CREATE')
    AND NOT EXISTS (
        SELECT 1 FROM pg_constraint c, unnest(c.confkey) AS k
        WHERE c.contype = 'f' AND c.convalidated AND c.conrelid = t.oid AND NOT (
            has_column_privilege(c.confrelid, k, 'REFERENCES')
            AND has_table_privilege(c.confrelid, 'UPDATE, DELETE, TRUNCATE')  -- one: to lock it
        )
    )
FROM pg_class t WHERE t.oid = %s::regclass
"""


def let_writers_on(session: Session) -> None:
    """Pass the gate like every other writer, in a transaction that begins before it."""
    if not is_sqlite(session) and not session.info["forecast"]:
        session.connection().exec_driver_sql(pass_gate())


class Exclusive:
    """The table of a load.

    Args:
        session: in a writing transaction that has not passed the gate and holds no lock.
        table: that is filled; its secondary indexes and foreign keys are taken down.
        of: those to which its foreign keys point, which are locked before it.
    """

    def __init__(self, session: Session, table: str, *, of: tuple[str, ...]) -> None:
        self.connection: Connection = session.connection()
        self.wait: float = session.info["wait"]
        self._table = table
        self._all = ", ".join((*of, table))
        self._make: list[str] = []
        """The statements that make again what is down."""

    def keep_writers_out(self, *, patiently: bool) -> str | None:
        """Pass the gate and close it behind us: no other writer is at work until we are done.

        Args:
            patiently: try for as long as the session waits for locks; else once.

        Returns:
            Why that is impossible, if it is.
        """
        if not self._query(_MAY_MAKE_KEYS)[0][0]:
            return "this database user may not make the keys of the tables, as their owner may"
        return self._try(
            lambda: self._run(pass_gate(alone=True)),
            self.wait if patiently else 0,
        )

    def keep_readers_out(self) -> str | None:
        """Lock the tables against readers too, and take the keys down.

        Returns:
            Why that is impossible, if it is; then everything is as it was.
        """
        return self._try(self._take_down, self.wait)

    def _take_down(self) -> None:
        self._run(f"LOCK TABLE {self._all} IN ACCESS EXCLUSIVE MODE")
        made_again: list[str] = []
        for query in (_INDEXES, _CONSTRAINTS):
            for drop, make in self._query(query):
                self._run(drop)
                made_again.append(make)
        self._make = made_again  # only now: an attempt that fails leaves every key where it is

    def make_keys(self) -> None:
        """Make the indexes and foreign keys that are down; every row is checked."""
        for statement in self._make:
            self._run(statement)

    def _try(self, attempt: Callable[[], None], wait: float) -> str | None:
        """Repeat an attempt that takes locks; a failed one lets go of everything it took."""
        deadline = time.monotonic() + wait
        while True:
            try:
                with self.connection.begin_nested():
                    self._run(lock_timeout(min(MOMENT, max(wait, 0.1))))
                    attempt()
                    self._run(lock_timeout(self.wait))
            except DBAPIError as error:
                if sqlstate(error) == _FORBIDDEN:
                    return "this database user may not take the tables"
                if sqlstate(error) not in _LOCKED:
                    raise
            else:
                return None
            if time.monotonic() >= deadline:
                return f"others were using the tables for {wait:g} s"
            time.sleep(BREAK)

    def _run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement.replace("%", "%%"))

    def _query(self, query: str) -> list[Any]:
        return list(self.connection.exec_driver_sql(query, (self._table,)))

r"""The yardsticks of an import: the database's own time for the same finished rows, ids known.

The *plain load* is what a script or `psql \copy` gives: the file's order, every key and index in
place. The *best load* is the physical limit: sorted by key, foreign keys and secondary indexes
dropped and made again. Both are one transaction over a connection with the import's settings.

Beside them, what the import's own bulk writer needs for these rows when nothing is read or decided:
the difference to the whole import is reading and deciding.
"""

import time
from collections.abc import Sequence
from datetime import date
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import Connection, ForeignKeyConstraint, Table
from sqlalchemy.schema import AddConstraint, DropConstraint

from studentcli.database import Database, normalize_url
from studentcli.facts import FIRST_SEAT
from studentcli.models import EnrollmentEvent, StudentCourses, complete_metadata
from studentcli.services.bulk import open_load
from studentcli.services.writer import EVENT_COLUMNS, Rows, Stamp

Finished = list[tuple[Any, ...]]
CHUNK: Final = 20_000
TABLES: Final = (
    cast("Table", StudentCourses.__table__),
    cast("Table", EnrollmentEvent.__table__),
)


def names_of(table: Table, prefix: str = "") -> str:
    """List the columns of a table."""
    return ", ".join(prefix + column.name for column in table.columns)


def finished_rows(url: str) -> list[Finished]:
    """Read what an import wrote, in the file's order.

    Dates and times as text: that is how a script has them, and psycopg sends them in half the time.
    """
    states, events = TABLES
    in_file_order = (
        f"SELECT {names_of(states, 's.')} FROM enrollment_events e JOIN student_courses s"
        " ON s.student_id = e.student_id AND s.course_id = e.course_id WHERE e.code IS NULL"
        " ORDER BY e.line"
    )
    queries = (in_file_order, f"SELECT {names_of(events)} FROM enrollment_events ORDER BY line")
    database = Database(normalize_url(url))
    with database.connect(writes=False) as connection:
        driver: Any = connection.connection.driver_connection
        return [[tuple(map(_as_text, row)) for row in driver.execute(query)] for query in queries]


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def load_plainly(url: str, rows: Sequence[Finished]) -> float:
    """Load finished rows as they come; gives the seconds."""
    database = Database(normalize_url(url))
    begun = time.perf_counter()
    with database.connect(writes=True) as connection:
        _load(connection, rows)
        connection.commit()
    return time.perf_counter() - begun


def load_best(url: str, rows: Sequence[Finished]) -> float:
    """Load finished rows as fast as the database can; gives the seconds."""
    database = Database(normalize_url(url))
    begun = time.perf_counter()
    if database.is_sqlite:
        with database.engine.connect() as connection:
            # The check of one row at a time is not needed: all are checked before the commit.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys = OFF")
            connection.execution_options(studentcli_writes=True).begin()
            _load_sorted(connection, rows)
            broken = driver.execute(f"PRAGMA foreign_key_check({TABLES[0].name})").fetchall()
            if broken:
                raise SystemExit(f"{len(broken)} rows have no student or course")
            connection.commit()
    else:
        with database.connect(writes=True) as connection:
            _load_sorted(connection, rows)
            connection.commit()
    return time.perf_counter() - begun


def write_in_bulk(url: str, rows: Sequence[Finished]) -> float:
    """Write finished rows as a bulk import does, chunk by chunk; gives the seconds.

    One after the other: in an import on PostgreSQL the sending goes on beside the deciding.
    """
    states, events = rows
    database = Database(normalize_url(url))
    order = [column.name for column in TABLES[1].columns]
    pick = itemgetter(*(order.index(name) for name in EVENT_COLUMNS))
    told = [_told(pick(row)) for row in events]
    stamp = Stamp(*pick(events[0])[:2])
    waiting = [row for row in states if row[2] == "waitlisted"]  # the others are told by events
    begun = time.perf_counter()
    with database.session(writes="before the gate") as session:
        load = open_load(session, len(events), exclusive=True)
        for start in range(0, len(events), CHUNK):
            chunk = slice(start, start + CHUNK)
            load.write(Rows(waiting[chunk], [], told[chunk], stamp))
        load.end()
        session.connection().commit()
    return time.perf_counter() - begun


def _told(event: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give an event as the writer takes it."""
    _, _, *key, action, before, after, place, grade, code, on, detail = event
    if ((action, before, after), place, grade, code, detail) == (FIRST_SEAT, *[None] * 4):
        return (*key, on)
    return event[2:]


def _take_down(connection: Connection) -> None:
    complete_metadata()
    for table in TABLES:
        for index in table.indexes:
            index.drop(connection)
        for key in _foreign_keys(connection, table):
            connection.execute(DropConstraint(key))


def _make_again(connection: Connection) -> None:
    for table in TABLES:
        for index in table.indexes:
            index.create(connection)
        for key in _foreign_keys(connection, table):
            connection.execute(AddConstraint(key))


def _foreign_keys(connection: Connection, table: Table) -> set[ForeignKeyConstraint]:
    """Give the foreign keys that the engine can drop; SQLite can only check them all at once."""
    return set() if connection.dialect.name == "sqlite" else table.foreign_key_constraints


def _load_sorted(connection: Connection, rows: Sequence[Finished]) -> None:
    states, events = rows
    _take_down(connection)
    _load(connection, [sorted(states), events])
    _make_again(connection)


def _load(connection: Connection, rows: Sequence[Finished]) -> None:
    driver: Any = connection.connection.driver_connection
    for table, finished in zip(TABLES, rows, strict=True):
        if connection.dialect.name == "sqlite":
            marks = ", ".join("?" for _ in table.columns)
            statement = f"INSERT INTO {table.name} ({names_of(table)}) VALUES ({marks})"
            driver.executemany(statement, finished)
        else:
            statement = f"COPY {table.name} ({names_of(table)}) FROM STDIN"
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in finished:
                    copy.write_row(row)

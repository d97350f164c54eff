"""The one bulk writer: finished states into `student_courses`, events into `enrollment_events`.

Rows are written sorted by key. Few rows go by INSERT, many by COPY where the engine has it; both
ways write the same.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from studentcli.facts import FIRST_SEAT, EnrollmentFact, Event, Facts, Key
from studentcli.models import EnrollmentEvent

Row = tuple[Any, ...]

COPY_FROM: Final = 300
"""From this many rows on COPY is worth its extra round trip."""

STATE_COLUMNS: Final = (
    "student_id", "course_id", "status", "enrolled_on", "status_since", "queue_place", "grade",
    "instead_of_id",
)  # fmt: skip
_PLACE: Final = STATE_COLUMNS.index("queue_place")
EVENT_COLUMNS: Final = (
    "operation_id", "recorded_at", "line", "student_id", "course_id", "action", "from_status",
    "to_status", "queue_place", "grade", "code", "effective_on", "detail",
)  # fmt: skip


@dataclass
class Rows:
    """Finished rows, their dates and times as text: states that are new, states that moved, events.

    The states that their event tells are not among the new ones (`FIRST_SEAT`); whoever got a first
    seat and moved since is among those that moved.
    """

    new: list[Row]
    moved: list[Row]
    events: list[Row]


def write_facts(session: Session, facts: Facts, operation_id: int, recorded_at: datetime) -> None:
    """Write what the decisions changed and recorded, and take it out of the facts.

    Args:
        session: in the operation's transaction.
        facts: their `changed` and `events`.
        operation_id: the operation that owns the events.
        recorded_at: aware.
    """
    connection = session.connection()
    write_rows(connection, finished_rows(connection, *facts.take(), operation_id, recorded_at))


def finished_rows(
    connection: Connection,
    changed: dict[Key, EnrollmentFact],
    events: list[Event],
    operation_id: int,
    recorded_at: datetime,
) -> Rows:
    """Make the rows of changed states and of events, in their order; nothing is sent."""
    stored = _Stored(connection.dialect)
    new: list[Row] = []
    moved: list[Row] = []
    for (student_id, course_id), state in changed.items():
        row = (
            student_id, course_id, state.status, stored[state.enrolled_on],
            stored[state.status_since], state.place, state.grade, state.instead_of,
        )  # fmt: skip
        (moved if state.in_table else new).append(row)
    at = stored[recorded_at]
    recorded = [
        (operation_id, at, line, student_id, course_id, action, before, after, place, grade, code,
         stored[on], detail)
        for line, student_id, course_id, action, before, after, place, grade, code, on, detail
        in events
    ]  # fmt: skip
    return Rows(new, moved, recorded)


def write_rows(connection: Connection, rows: Rows) -> None:
    """Send rows, by the way that their number makes best."""
    new, moved = _laid_out(rows)
    update_many(connection, moved)
    few = len(new) + len(rows.events) < COPY_FROM
    add = _execute_many if _is_sqlite(connection) else _add_few if few else _copy
    add(
        connection,
        {
            "student_courses": (STATE_COLUMNS, new),
            "enrollment_events": (EVENT_COLUMNS, rows.events),
        },
    )


def _laid_out(rows: Rows) -> tuple[list[Row], list[Row]]:
    """Give the states that are new, those of first seats among them, and those that moved; by key.

    Who got a first seat and moved since is new.
    """
    first = {
        event[3:5]: (*event[3:5], event[7], event[11], event[11], None, None, None)
        for event in rows.events
        if event[5:8] == FIRST_SEAT
    }
    last = {row[:2]: row for row in rows.moved}
    new = [last.pop(key, row) for key, row in first.items()]
    return sorted([*rows.new, *new]), sorted(last.values())


def add_many(connection: Connection, table: str, columns: Sequence[str], rows: list[Row]) -> None:
    """Add many rows to one table, in their order."""
    if rows:
        add = _execute_many if _is_sqlite(connection) else _copy
        add(connection, {table: (columns, rows)})


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


class _Stored(dict[Any, Any]):
    """Dates and times as text, as the engine reads it: they repeat, each is converted once.

    Text is what COPY sends: psycopg needs twice the time for a row with a date in it.
    """

    def __init__(self, dialect: Dialect) -> None:
        super().__init__({None: None})
        self._dialect = dialect

    def __missing__(self, value: date) -> Any:
        column = (
            EnrollmentEvent.recorded_at
            if isinstance(value, datetime)
            else EnrollmentEvent.effective_on
        )
        convert = column.type.dialect_impl(self._dialect).bind_processor(self._dialect)
        converted = convert(value) if convert else value
        self[value] = text = converted if isinstance(converted, str) else converted.isoformat()
        return text


Load = dict[str, tuple[Sequence[str], list[Row]]]
"""Table → its columns, and the rows to be added in their order."""


def _insert(table: str, columns: Sequence[str], marks: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}"


def _execute_many(connection: Connection, load: Load) -> None:
    for table, (columns, rows) in load.items():
        if rows:
            marks = f"({', '.join('?' for _ in columns)})"
            connection.exec_driver_sql(_insert(table, columns, marks), rows)


def _add_few(connection: Connection, load: Load) -> None:
    """Add to every table in one statement: one round trip."""
    inserts, values = [], list[Any]()
    for table, (columns, rows) in load.items():
        if rows:
            marks = f"({', '.join('%s' for _ in columns)})"
            inserts.append(_insert(table, columns, ", ".join(marks for _ in rows)))
            values += itertools.chain.from_iterable(rows)
    if inserts:
        *first, last = inserts
        parts = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(first))
        statement = f"WITH {parts} {last}" if first else last
        connection.exec_driver_sql(statement, tuple(values))


def _copy(connection: Connection, load: Load) -> None:
    import psycopg

    driver: Any = connection.connection.driver_connection
    for table, (columns, rows) in load.items():
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:  # as every other statement's error comes
            raise DBAPIError.instance(
                statement, None, error, psycopg.Error, hide_parameters=True,
                dialect=connection.dialect,
            ) from error  # fmt: skip


def update_many(connection: Connection, rows: list[Row]) -> None:
    """Write new states over existing rows."""
    if not rows:
        return
    joined = {row[1] for row in rows if row[_PLACE] is not None}
    if joined:
        # A place can change hands, and the index tells them apart row by row: step aside first,
        # also who leaves the queue.
        mark = "?" if _is_sqlite(connection) else "%s"
        connection.exec_driver_sql(
            "UPDATE student_courses SET queue_place = -queue_place"
            f" WHERE student_id = {mark} AND course_id = {mark}",
            [row[:2] for row in rows if row[1] in joined],
        )
    if _is_sqlite(connection):
        assignments = ", ".join(f"{name} = ?" for name in STATE_COLUMNS[2:])
        connection.exec_driver_sql(
            f"UPDATE student_courses SET {assignments} WHERE student_id = ? AND course_id = ?",
            [(*row[2:], *row[:2]) for row in rows],
        )
        return
    casts = ("bigint", "bigint", "text", "date", "date", "integer", "text", "bigint")
    arrays = ", ".join(f"%s::{cast}[]" for cast in casts)
    assignments = ", ".join(f"{name} = v.{name}" for name in STATE_COLUMNS[2:])
    connection.exec_driver_sql(
        f"UPDATE student_courses AS sc SET {assignments}"
        f" FROM unnest({arrays}) AS v({', '.join(STATE_COLUMNS)})"
        " WHERE sc.student_id = v.student_id AND sc.course_id = v.course_id",
        tuple(list(column) for column in zip(*rows, strict=True)),
    )

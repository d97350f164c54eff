"""The one bulk writer: finished states into `student_courses`, events into `enrollment_events`.

Rows are written sorted by key. Few rows go by INSERT, many by COPY where the engine has it; both
ways write the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import Table, bindparam, insert, text
from sqlalchemy.orm import Session

from studentcli.facts import Facts
from studentcli.models import EnrollmentEvent, StudentCourses
from studentcli.services.resolve import is_sqlite

_TABLE: Final = cast("Table", StudentCourses.__table__)
_EVENTS: Final = cast("Table", EnrollmentEvent.__table__)

COPY_FROM: Final = 300
"""From this many rows on COPY is worth its extra round trip."""

STATE_COLUMNS: Final = (
    "student_id", "course_id", "status", "enrolled_on", "status_since", "queue_place", "grade",
)  # fmt: skip
EVENT_COLUMNS: Final = (
    "operation_id", "recorded_at", "line", "student_id", "course_id", "action", "from_status",
    "to_status", "queue_place", "grade", "code", "effective_on", "detail",
)  # fmt: skip


def write_facts(session: Session, facts: Facts, operation_id: int, recorded_at: datetime) -> None:
    """Write what the decisions changed and recorded since the last call.

    Args:
        session: in the operation's transaction.
        facts: `changed` and `events` are read, not emptied.
        operation_id: the operation that owns the events.
        recorded_at: aware.
    """
    new: list[tuple[Any, ...]] = []
    moved: list[tuple[Any, ...]] = []
    for (student_id, course_id), state in sorted(facts.changed.items(), key=itemgetter(0)):
        row = (
            student_id, course_id, state.status, state.enrolled_on, state.status_since,
            state.place, state.grade,
        )  # fmt: skip
        (moved if state.in_table else new).append(row)
    if moved:
        _update(session, moved)
    load_rows(session, _TABLE, STATE_COLUMNS, new)
    events = [(operation_id, recorded_at, *event) for event in facts.events]
    load_rows(session, _EVENTS, EVENT_COLUMNS, events)


def load_rows(
    session: Session, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Add rows to a table in the order given, by the way that their number makes best."""
    if not rows:
        return
    if len(rows) >= COPY_FROM and not is_sqlite(session):
        _copy(session, table.name, columns, rows)
    elif len(rows) >= COPY_FROM:
        _execute_many(session, table, columns, rows)
    else:
        parameters = [dict(zip(columns, row, strict=True)) for row in rows]
        session.execute(insert(table), parameters)


def _copy(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    driver: Any = session.connection().connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _execute_many(
    session: Session, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert many rows through the driver, each value as the column's type stores it."""
    connection = session.connection()
    names = ", ".join(columns)
    marks = ", ".join("?" for _ in columns)
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    processors: list[tuple[int, Any, dict[Any, Any]]] = [
        (index, processor, {None: None})
        for index, name in enumerate(columns)
        if (processor := table.c[name].type.dialect_impl(dialect).bind_processor(dialect))
    ]

    def stored(row: tuple[Any, ...]) -> list[Any]:
        values = list(row)
        for index, processor, known in processors:  # dates repeat: each is converted once
            value = values[index]
            if value not in known:
                known[value] = processor(value)
            values[index] = known[value]
        return values

    driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", map(stored, rows))


def _update(session: Session, rows: list[tuple[Any, ...]]) -> None:
    """Write new states over existing rows, in one statement or one prepared for all."""
    parameters: Any
    if is_sqlite(session):
        assignments = ", ".join(f"{name} = :{name}" for name in STATE_COLUMNS[2:])
        statement = text(
            f"UPDATE student_courses SET {assignments}"
            " WHERE student_id = :student_id AND course_id = :course_id"
        ).bindparams(*(bindparam(name, type_=_TABLE.c[name].type) for name in STATE_COLUMNS))
        parameters = [dict(zip(STATE_COLUMNS, row, strict=True)) for row in rows]
    else:
        casts = ("bigint", "bigint", "text", "date", "date", "integer", "text")
        arrays = ", ".join(
            f"CAST(:{name} AS {cast}[])" for name, cast in zip(STATE_COLUMNS, casts, strict=True)
        )
        assignments = ", ".join(f"{name} = v.{name}" for name in STATE_COLUMNS[2:])
        statement = text(
            f"UPDATE student_courses AS sc SET {assignments}"
            f" FROM unnest({arrays}) AS v({', '.join(STATE_COLUMNS)})"
            " WHERE sc.student_id = v.student_id AND sc.course_id = v.course_id"
        )
        columns = zip(*rows, strict=True)
        parameters = {name: list(c) for name, c in zip(STATE_COLUMNS, columns, strict=True)}
    session.execute(statement, parameters)

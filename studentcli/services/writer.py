"""The one bulk writer: finished states into `student_courses`, events into `enrollment_events`.

Rows are written sorted by key. On PostgreSQL few go by INSERT, many by COPY; on SQLite all
go as one JSON text, which a single statement writes: meanwhile Python is free for another thread.
All ways write the same.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from studentcli.facts import (
    FIRST_SEAT,
    SHORT,
    EnrollmentFact,
    Event,
    Facts,
    FirstSeat,
    Key,
    first_event,
)
from studentcli.models import EnrollmentEvent

Row = tuple[Any, ...]

STATES: Final = "student_courses"
EVENTS: Final = "enrollment_events"

PIECE: Final = 65_536
"""Characters that COPY is sent at a time, at most."""
LINES: Final = 500
"""Lines that are put together for that."""

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


_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""How COPY reads what would end a cell or a line."""
_CASTS: Final = dict(
    zip(
        STATE_COLUMNS,
        ("bigint", "bigint", "text", "date", "date", "integer", "text", "bigint"),
        strict=True,
    )
)


class Stamp(NamedTuple):
    """What all events of an operation have in common: its number, and the time as text."""

    operation_id: int
    recorded_at: str


@dataclass
class Rows:
    """Finished rows, their dates and times as text: states that are new, states that moved, events.

    The states that their event tells are not among the new ones (`FIRST_SEAT`); whoever got a first
    seat and moved since is among those that moved. An event is told without the stamp; a
    `FirstSeat` stays as short as it is. `text` is all events as they are sent, once they are
    written out.
    """

    new: list[Row]
    moved: list[Row]
    events: list[Row]
    stamp: Stamp
    text: str = ""

    @property
    def has_states(self) -> bool:
        """Whether any state is to be written."""
        return bool(self.new or self.moved) or any(map(_tells_a_state, self.events))


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
    events: Sequence[Event | FirstSeat],
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
    recorded = [
        event if len(event) == SHORT else (*event[:9], stored[event[9]], event[10])
        for event in events
    ]  # fmt: skip
    return Rows(new, moved, recorded, Stamp(operation_id, stored[recorded_at]))


def write_rows(connection: Connection, rows: Rows) -> None:
    """Send rows, by the way that their number makes best."""
    new, moved = _laid_out(rows)
    update_many(connection, moved)
    if not _is_sqlite(connection) and len(new) + len(rows.events) < COPY_FROM:
        told = [(*rows.stamp, *_told(event)) for event in rows.events]
        _add_few(connection, {STATES: (STATE_COLUMNS, new), EVENTS: (EVENT_COLUMNS, told)})
        return
    add_many(connection, STATES, STATE_COLUMNS, new)
    add_events(connection, EVENTS, rows)


def _tells_a_state(event: Row) -> bool:
    """Tell whether a finished event is that of a first seat, short or not."""
    return len(event) == SHORT or event[3:6] == FIRST_SEAT


def _told(event: Row) -> Event:
    """Give a finished event with all of its fields."""
    return first_event(*event) if len(event) == SHORT else Event(*event)


def _laid_out(rows: Rows) -> tuple[list[Row], list[Row]]:
    """Give the states that are new, those of first seats among them, and those that moved; by key.

    Who got a first seat and moved since is new.
    """
    first = {
        event[1:3]: (*event[1:3], event[5], event[9], event[9], None, None, None)
        for event in map(_told, filter(_tells_a_state, rows.events))
    }
    last = {row[:2]: row for row in rows.moved}
    new = [last.pop(key, row) for key, row in first.items()]
    return sorted([*rows.new, *new]), sorted(last.values())


def add_many(connection: Connection, table: str, columns: Sequence[str], rows: list[Row]) -> None:
    """Add many rows to one table, in their order."""
    if not rows:
        return
    if _is_sqlite(connection):
        source, parameters = _as_table(connection, columns, rows)
        named = ", ".join(columns)
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({named}) SELECT {named} FROM {source}", parameters
        )
    else:
        _copy(connection, table, columns, (f"{_copied(row)}\n" for row in rows))


def write_out(connection: Connection, rows: Rows) -> None:
    """Write the events of a chunk out as they are sent, which needs no database."""
    rows.text = _object(rows) if _is_sqlite(connection) else "".join(_lines(rows))


def add_events(connection: Connection, table: str, rows: Rows) -> None:
    """Add the events of a chunk to their table, or to one that has its columns, in their order."""
    if not rows.events:
        return
    if _is_sqlite(connection):
        _tell_sqlite(connection, table, rows)
    else:
        _copy(connection, table, EVENT_COLUMNS, [rows.text] if rows.text else _lines(rows))


def _lines(rows: Rows) -> Iterator[str]:
    """Write events out as COPY reads them, some lines at a time."""
    head, short = _copied(rows.stamp), _copied((*rows.stamp, *first_event(*["%s"] * SHORT)))
    return _blocks(rows.events, f"{short}\n", lambda row: f"{head}\t{_copied(row)}\n")


def _object(rows: Rows) -> str:
    """Write events out as one object of JSON in which each has the name of its kind.

    By the name, short or other, a field that a short one does not have costs no look into its text.
    """
    short, other = '"s":[%d,%d,%d,"%s"],', '"o":%s,'
    told = "".join(_blocks(rows.events, short, lambda row: other % _json(_day_first(row))))
    return f"{{{told.removesuffix(',')}}}"


def _blocks(events: list[Row], short: str, write: Callable[[Row], str]) -> Iterator[str]:
    """Write events out: many short ones are one pattern in which only what differs is filled in."""
    for width, alike in itertools.groupby(events, len):
        run = list(alike)
        if width == SHORT:
            yield (short * len(run)) % tuple(itertools.chain.from_iterable(run))
        else:
            yield from map(write, run)


def _tell_sqlite(connection: Connection, table: str, rows: Rows) -> None:
    """Add events, told as one object (`_object`)."""
    fields = _day_first(Event._fields)
    usual = _day_first(first_event(*[None] * SHORT))
    cells = [f"json_extract(value, '$[{at}]')" for at in range(len(fields))]
    for at in range(SHORT, len(fields)):
        same = "NULL" if usual[at] is None else f"'{usual[at]}'"
        cells[at] = f"CASE key WHEN 's' THEN {same} ELSE {cells[at]} END"
    connection.exec_driver_sql(
        f"INSERT INTO {table} (operation_id, recorded_at, {', '.join(fields)})"
        f" SELECT ?, ?, {', '.join(cells)} FROM json_each(?)",
        (*rows.stamp, rows.text or _object(rows)),
    )


def _day_first(event: Row) -> Row:
    """Give an event with the fields of a short one in front, in its order."""
    return (*event[:3], event[9], *event[3:9], event[10])


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


def _marks(columns: Sequence[str]) -> str:
    return f"({', '.join('%s' for _ in columns)})"


def _add_few(connection: Connection, load: Load) -> None:
    """Add to every table in one statement: one round trip."""
    inserts, values = [], list[Any]()
    for table, (columns, rows) in load.items():
        if rows:
            marks = _marks(columns)
            inserts.append(_insert(table, columns, ", ".join(marks for _ in rows)))
            values += itertools.chain.from_iterable(rows)
    if inserts:
        *first, last = inserts
        parts = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(first))
        statement = f"WITH {parts} {last}" if first else last
        connection.exec_driver_sql(statement, tuple(values))


def _copied(row: Row) -> str:
    """Write a row as COPY reads it, without the end of the line."""
    return "\t".join(
        "\\N" if cell is None else str(cell).translate(_ESCAPES) for cell in row
    )  # fmt: skip


def _copy(connection: Connection, table: str, columns: Sequence[str], texts: Iterable[str]) -> None:
    """Send lines, a text of one or many; in pieces: the server is at work on one meanwhile."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    with (
        _usual_errors(connection, statement),
        driver.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        rest = iter(texts)
        while text := "".join(itertools.islice(rest, LINES)):
            for start in range(0, len(text), PIECE):
                copy.write(text[start : start + PIECE])


@contextmanager
def _usual_errors(connection: Connection, statement: str) -> Iterator[None]:
    """Let the errors of the driver come as every other statement's do."""
    dialect = connection.dialect
    driver_error = dialect.loaded_dbapi.Error
    try:
        yield
    except driver_error as error:
        raise DBAPIError.instance(
            statement, None, error, driver_error, hide_parameters=True, dialect=dialect
        ) from error


def update_many(connection: Connection, rows: list[Row]) -> None:
    """Write new states over existing rows."""
    if not rows:
        return
    joined = {row[1] for row in rows if row[_PLACE] is not None}
    if joined:
        # A place can change hands, and the index tells them apart row by row: step aside first,
        # also who leaves the queue.
        _step_aside(connection, [row[:2] for row in rows if row[1] in joined])
    source, parameters = _as_table(connection, STATE_COLUMNS, rows)
    named, changed = ", ".join(STATE_COLUMNS), STATE_COLUMNS[2:]
    if _is_sqlite(connection):
        # By its statistics, which are old, SQLite could join the other way round: row by row of the
        # table. From the given rows it goes by the key.
        statement = (
            f"INSERT INTO {STATES} ({named}) SELECT {named} FROM {source} WHERE true"
            " ON CONFLICT (student_id, course_id) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in changed)
        )
    else:
        assignments = ", ".join(f"{name} = v.{name}" for name in changed)
        statement = f"UPDATE {STATES} AS sc SET {assignments} FROM {source} WHERE {_SAME}"
    connection.exec_driver_sql(statement, parameters)


def _step_aside(connection: Connection, keys: list[Row]) -> None:
    """Leave the places of queues free that some enrollments have."""
    source, parameters = _as_table(connection, STATE_COLUMNS[:2], keys)
    if _is_sqlite(connection):
        found = f"SELECT sc.rowid FROM {source} CROSS JOIN {STATES} AS sc WHERE {_SAME}"
        statement = f"UPDATE {STATES} SET queue_place = -queue_place WHERE rowid IN ({found})"
    else:
        statement = (
            f"UPDATE {STATES} AS sc SET queue_place = -sc.queue_place FROM {source} WHERE {_SAME}"
        )
    connection.exec_driver_sql(statement, parameters)


_SAME: Final = "sc.student_id = v.student_id AND sc.course_id = v.course_id"


def _as_table(
    connection: Connection, columns: Sequence[str], rows: list[Row]
) -> tuple[str, tuple[Any, ...]]:
    """Give rows as a table `v` for the FROM of a statement, and its parameters."""
    if _is_sqlite(connection):
        cells = (f"json_extract(value, '$[{at}]') AS {name}" for at, name in enumerate(columns))
        return f"(SELECT {', '.join(cells)} FROM json_each(?)) AS v", (_json(rows),)
    arrays = ", ".join(f"%s::{_CASTS[name]}[]" for name in columns)
    values = tuple(list(column) for column in zip(*rows, strict=True))
    return f"unnest({arrays}) AS v({', '.join(columns)})", values


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

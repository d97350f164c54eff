"""Loads that dominate their table: keys and indexes are made once, after the rows.

The states that a file gives are poured into their table in the order of its key, with the indexes
and foreign keys down, on SQLite its events, too; then these are made anew from what the database's
own catalogue said of them, so that the database checks every row. All of it happens inside the one
transaction of the file: nobody ever sees a table without its keys, and whatever stops the load
leaves everything as it was. Measured at 1,000,000 rows in random order: keeping keys and indexes in
step costs more than everything else together.

On SQLite a writer is alone anyway: it pours chunk by chunk, with its foreign keys and the key of
the table in place, which cost little in their order. On PostgreSQL the states are set aside while
the file is decided, and poured at its end: the load keeps other writers out from before its first
lock, and readers only while it pours. Its events, which have no foreign keys, go straight into
their table meanwhile: the server would be idle. A large file that loads beside others pours chunk
by chunk, with every key in place.
"""

from typing import Final, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from studentcli.facts import FIRST_SEAT
from studentcli.services.exclusive import Exclusive, let_writers_on
from studentcli.services.resolve import is_sqlite
from studentcli.services.writer import (
    EVENTS,
    STATE_COLUMNS,
    STATES,
    Rows,
    add_events,
    add_many,
    update_many,
    write_out,
    write_rows,
)

TABLES: Final = (STATES, EVENTS)
WORTH_IT: Final = 10_000
"""From this many rows on, making indexes anew can be cheaper than keeping them in step."""

CACHE_KIB: Final = 49_152
"""What SQLite keeps in memory during a load.

Measured at 1,000,000 rows: 0.98 of the time that a third of it takes.
"""
SORTED_KIB: Final = 3_072
"""What it sorts at a time for an index: no more than the processor has at hand.

Measured at 1,000,000 rows: 1.35 seconds for all indexes, 1.8 with 16 MiB and 2.1 with 64.
"""

_NEW: Final = "new_states"
_MOVED: Final = "moved_states"
_FIRST_SEATS: Final = (
    f"action = '{FIRST_SEAT[0]}' AND from_status IS NULL AND to_status = '{FIRST_SEAT[2]}'"
)


class Load(Protocol):
    """Where the finished rows of a file go."""

    @property
    def went_online(self) -> str | None:
        """Why a load that was to have the tables for itself did not get them."""

    def prepare(self, rows: Rows) -> None:
        """Do what of the writing needs no database, so that it need not wait for that."""

    def write(self, rows: Rows) -> None:
        """Take the rows of a chunk; this may run beside the deciding."""

    def show_events(self) -> None:
        """Let the tables hold every event that was written, quick to find."""

    def end(self) -> None:
        """Let the tables hold everything, with their keys and indexes."""


def open_load(session: Session, rows: int, *, exclusive: bool) -> Load:
    """Choose how the rows of a file are written, before its first lock is taken.

    Args:
        session: in the operation's writing transaction, which began before the gate.
        rows: how many rows the file has.
        exclusive: whether the load was asked to have the tables for itself.

    Returns:
        A bulk load when it was asked for, or when it pays and hinders nobody: for the first rows
        of PostgreSQL's tables, and on SQLite for more rows than a table holds.
    """
    is_large, reason = rows >= WORTH_IT, None
    if is_sqlite(session):
        if exclusive or (is_large and rows > _present(session)):
            return SqliteLoad(session.connection())
        return (SteadyLoad if is_large else OnlineLoad)(session.connection())
    if exclusive or (is_large and _is_empty(session)):
        tables = Exclusive(session, STATES, of=("courses", "students"))
        reason = _why_nothing_is_put_aside(session) or tables.keep_writers_out(patiently=exclusive)
        if reason is None:
            return PostgresLoad(session, tables)
    let_writers_on(session)
    return (SteadyLoad if is_large else OnlineLoad)(session.connection(), reason)


def _present(session: Session) -> int:
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    return int(max(session.execute(text(f"SELECT {counts}")).one()))


def _why_nothing_is_put_aside(session: Session) -> str | None:
    is_allowed = "SELECT has_database_privilege(current_database(), 'TEMP')"
    if session.execute(text(is_allowed)).scalar_one():
        return None
    return "this database user may not make temporary tables"


def _is_empty(session: Session) -> bool:
    return not session.execute(text(f"SELECT EXISTS (SELECT 1 FROM {STATES})")).scalar_one()


class OnlineLoad:
    """Rows go into the tables as they come, with every key and index in place.

    Args:
        connection: in the operation's writing transaction.
        went_online: why it is not a bulk load, if it was to be one.
    """

    def __init__(self, connection: Connection, went_online: str | None = None) -> None:
        self.connection = connection
        self.went_online = went_online

    def prepare(self, rows: Rows) -> None:
        """Do nothing: it depends on their number how they are sent."""

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        write_rows(self.connection, rows)

    def show_events(self) -> None:
        """Do nothing: they are there."""

    def end(self) -> None:
        """Do nothing: the keys are in place."""


class SteadyLoad(OnlineLoad):
    """As `OnlineLoad`, for many rows: the database makes the states of first seats."""

    def prepare(self, rows: Rows) -> None:
        """Write the events out."""
        write_out(self.connection, rows)

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        if rows.events:
            before = _last_event(self.connection)
            add_events(self.connection, EVENTS, rows)
            _seat(self.connection, before, rows.stamp.operation_id)
        update_many(self.connection, rows.moved)
        add_many(self.connection, STATES, STATE_COLUMNS, sorted(rows.new))


def _seat(connection: Connection, before: int, operation_id: int) -> None:
    """Put the states of first seats into their table, in the order of the key.

    Args:
        connection: in the operation's writing transaction.
        before: the id after which the events come that tell of them.
        operation_id: whose events these are.
    """
    # Added to nothing, the operation is no reason to read all its events by their index.
    own = f"id > {before} AND operation_id + 0 = {operation_id}"
    connection.exec_driver_sql(
        f"INSERT INTO {STATES} (student_id, course_id, status, enrolled_on, status_since)"
        " SELECT student_id, course_id, to_status, effective_on, effective_on"
        # With the plus SQLite reads the newest events, not all of them by an index in this order.
        f" FROM {EVENTS} WHERE {own} AND {_FIRST_SEATS} ORDER BY +student_id, course_id"
    )


def _last_event(connection: Connection) -> int:
    """Give the id of the newest event: what comes later has a higher one."""
    query = f"SELECT coalesce(max(id), 0) FROM {EVENTS}"
    return int(connection.exec_driver_sql(query).scalar_one())


class _Aside:
    """The states of a load that are not in their table yet, in temporary tables of PostgreSQL.

    Most states of a file are not even there: they are told by their event.

    Args:
        connection: in the operation's writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._has_new = self._has_moved = False
        self._version = 0
        states = ", ".join(STATE_COLUMNS)
        for name, columns in {_NEW: states, _MOVED: f"{states}, student_id AS version"}.items():
            self._run(
                f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS"
                f" SELECT {columns} FROM {STATES} LIMIT 0"
            )

    def _run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement)

    def put(self, rows: Rows) -> None:
        """Take the states of a chunk in; one of them may be about a state of an earlier chunk."""
        self._version += 1
        self._has_new |= bool(rows.new)
        self._has_moved |= bool(rows.moved)
        moved = [(*row, self._version) for row in rows.moved]
        add_many(self.connection, _NEW, STATE_COLUMNS, rows.new)
        add_many(self.connection, _MOVED, (*STATE_COLUMNS, "version"), moved)

    def pour(self) -> None:
        """Put the states into their table, in the order of the key; of each the last one."""
        columns = ", ".join(STATE_COLUMNS)
        if self._has_moved:
            self._overwrite(columns)
        if self._has_new:
            self._run(
                f"INSERT INTO {STATES} ({columns}) SELECT {columns} FROM {_NEW}"
                " ORDER BY student_id, course_id"
            )

    def _overwrite(self, columns: str) -> None:
        # A place can change hands, and an index may tell them apart row by row: step aside first.
        self._run(
            f"UPDATE {STATES} SET queue_place = -queue_place WHERE queue_place IS NOT NULL"
            f" AND (student_id, course_id) IN (SELECT student_id, course_id FROM {_MOVED})"
        )
        each = "PARTITION BY student_id, course_id ORDER BY version DESC"
        numbered = f"SELECT {columns}, row_number() OVER ({each}) AS nth FROM {_MOVED}"
        assignments = ", ".join(f"{name} = latest.{name}" for name in STATE_COLUMNS[2:])
        for table in (_NEW, STATES):
            self._run(
                f"WITH latest AS (SELECT {columns} FROM ({numbered}) AS numbered WHERE nth = 1)"
                f" UPDATE {table} SET {assignments} FROM latest"
                f" WHERE {table}.student_id = latest.student_id"
                f" AND {table}.course_id = latest.course_id"
            )


class SqliteLoad(SteadyLoad):
    """A bulk load into a SQLite file: as `SteadyLoad`, with the secondary indexes down.

    Args:
        connection: in the operation's writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._cache = self.connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
        self._keep_in_memory(-CACHE_KIB)
        query = text(
            "SELECT name, tbl_name, sql FROM sqlite_master"
            f" WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {TABLES}"
        )
        self._down: dict[str, tuple[str, str]] = {
            name: (table, sql) for name, table, sql in self.connection.execute(query)
        }
        for name in self._down:
            self.connection.exec_driver_sql(f'DROP INDEX "{name}"')

    def show_events(self) -> None:
        """Make the indexes of the events."""
        self._make(EVENTS)

    def end(self) -> None:
        """Make the indexes."""
        for table in TABLES:
            self._make(table)
        self._keep_in_memory(self._cache)

    def _make(self, of: str) -> None:
        self._keep_in_memory(-SORTED_KIB)
        for name, (table, sql) in list(self._down.items()):
            if table == of:
                self.connection.exec_driver_sql(sql)
                del self._down[name]
        self._keep_in_memory(-CACHE_KIB)

    def _keep_in_memory(self, cache_size: int) -> None:
        self.connection.exec_driver_sql(f"PRAGMA cache_size = {cache_size}")


class PostgresLoad(SteadyLoad):
    """A bulk load into PostgreSQL: states are put aside while others are decided, then poured.

    Args:
        session: in the operation's writing transaction.
        tables: kept from other writers.
    """

    def __init__(self, session: Session, tables: Exclusive) -> None:
        super().__init__(session.connection())
        self._tables = tables
        self._aside = _Aside(self.connection)
        self._before = _last_event(self.connection)
        self._operation_id: int | None = None
        """Whose states are to be poured, if there are any."""

    def write(self, rows: Rows) -> None:
        """Write the events and put the states aside."""
        if rows.has_states:
            self._operation_id = rows.stamp.operation_id
        add_events(self.connection, EVENTS, rows)
        self._aside.put(rows)

    def end(self) -> None:
        """Pour the states; make their indexes and foreign keys, which checks every row.

        From here on readers are kept out, too. If they cannot be, the keys stay where they are.
        """
        if self._operation_id is None:
            return
        self.went_online = self._tables.keep_readers_out()
        _seat(self.connection, self._before, self._operation_id)
        self._aside.pour()
        self._tables.make_keys()

"""The database: where it is, how a unit of work runs on it, and what its failures mean.

`Database.read` and `Database.write` are the only scopes. They open, commit, roll back and repeat;
a unit of work is a function of a session that never commits.
"""

import itertools
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple, TypeVar

from sqlalchemy import URL, Connection, Engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.engines import lock_timeout, open_engine

REVISION = "0003"
"""The schema revision that this version works with; a test holds it equal to the newest one."""

ATTEMPTS = 5
"""How often a unit of work is run at most; with locks that were too few, until its wait is over."""
SERIALIZATION_FAILURES = frozenset({"40001", "40P01", "23505"})
"""What goes away when the unit is run again; 23505 is a key that somebody else added meanwhile."""


Result = TypeVar("Result")
Writes = bool | Literal["before the gate"]
"""What a transaction is for: to read, to write, or to write once it has passed the gate itself."""


class StartAgain(Exception):
    """Raised by a unit of work whose locks turned out to be too few: roll back, run it again.

    The next attempt finds in `session.info["further"]` what was missing, so that it can lock it in
    its turn, and wait for it.

    Args:
        courses: ids of the courses that were not locked.
        students: ids of the students.
    """

    def __init__(self, courses: Iterable[int] = (), students: Iterable[int] = ()) -> None:
        super().__init__()
        self.further = Further(frozenset(courses), frozenset(students))


class Further(NamedTuple):
    """What earlier attempts of a unit of work found to be missing: ids of courses, of students."""

    courses: frozenset[int] = frozenset()
    students: frozenset[int] = frozenset()


def normalize_url(database: str) -> URL:
    """Read a database URL or the path of a SQLite file.

    Args:
        database: `sqlite:///path`, `postgresql://…`, `postgres://…` or a path.

    Returns:
        The URL with the driver that studentcli uses.

    Raises:
        errors.Usage: for any other kind of database, or a URL that cannot be read.
    """
    if "://" not in database:
        return URL.create("sqlite+pysqlite", database=str(Path(database).expanduser().absolute()))
    try:
        url = make_url(database)
    except (ArgumentError, ValueError) as error:
        raise errors.Usage("the database URL cannot be read") from error
    backend = url.drivername.partition("+")[0]
    if backend in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        path = str(Path(url.database).expanduser().absolute())
        return URL.create("sqlite+pysqlite", database=path)
    raise errors.Usage(
        f"{backend} is no database that studentcli works with",
        hint="give a PostgreSQL URL (postgresql://host/name) or the path of a SQLite file",
    )


def init_database(url: str) -> str:
    """Create the database of a URL, or upgrade it to this version's schema.

    Args:
        url: as `normalize_url` reads it. A SQLite file is created with mode 0600; a PostgreSQL
            database must exist, its tables are created.

    Returns:
        The revision that the database has now.
    """
    from studentcli import schema

    return schema.upgrade(Database(normalize_url(url)), create=True)


class Database:
    """One SQLite file or PostgreSQL database.

    Args:
        url: as `normalize_url` gives it.
        wait: seconds to wait for somebody else's lock.
        pool_size: how many connections a server keeps, and uses at most at once; a command needs
            none that outlives its transaction.
    """

    def __init__(self, url: URL, *, wait: float = 5.0, pool_size: int | None = None) -> None:
        self.url = url
        self.wait = wait
        self.pool_size = pool_size
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._engine: Engine | None = None
        self._opening = Lock()

    def __str__(self) -> str:
        """Name the database as people do, without a password."""
        if self.is_sqlite:
            return str(self.url.database)
        shown = self.url.set(drivername="postgresql").difference_update_query(["password"])
        return shown.render_as_string(hide_password=True)

    @property
    def engine(self) -> Engine:
        """The engine, made at the first use."""
        with self._opening:  # the threads of a server come at the same time
            if self._engine is None:
                self._engine = open_engine(self.url, wait=self.wait, pool_size=self.pool_size)
            return self._engine

    def dispose(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def read(self, unit: Callable[[Session], Result]) -> Result:
        """Run a unit of work on one snapshot; it can write nothing.

        Raises:
            errors.DatabaseUnavailable: when it cannot be reached, or its schema is another one.
        """
        return self._run(unit, writes=False)

    def write(
        self,
        unit: Callable[[Session], Result],
        *,
        dry_run: bool = False,
        before_gate: bool = False,
    ) -> Result:
        """Run a unit of work and commit it; after a serialization failure, run it again.

        Args:
            unit: must be repeatable: no output, file or prompt inside it.
            dry_run: run it as a forecast on one snapshot, without locks or writes.
            before_gate: the unit may want to keep all other writers out, and passes PostgreSQL's
                gate itself: see `services.exclusive`.

        Raises:
            errors.Busy: when somebody else's lock was not released within `wait` seconds.
            errors.DatabaseUnavailable: as `read`.
        """
        if dry_run:
            return self._run(unit, writes=False)
        return self._run(unit, writes="before the gate" if before_gate else True)

    def _run(self, unit: Callable[[Session], Result], *, writes: Writes) -> Result:
        further, failures = Further(), 0
        ends = time.monotonic() + self.wait
        for attempt in itertools.count(1):
            try:
                with self.session(writes=writes) as session:
                    session.info["further"] = further
                    require_revision(session.connection())
                    result = unit(session)
                    if writes:
                        _commit(self, session)
            except StartAgain as again:
                if attempt >= ATTEMPTS and time.monotonic() > ends:
                    raise errors.Busy("the courses of this request keep changing") from None
                further = Further(*map(frozenset.union, further, again.further))
            except DBAPIError as error:
                failures += 1
                if failures == ATTEMPTS or sqlstate(error) not in SERIALIZATION_FAILURES:
                    raise self.explain(error) from error
            else:
                return result
            time.sleep(random.uniform(0.01, 0.05) * 2 ** min(attempt, ATTEMPTS))  # noqa: S311  (jitter)
        raise AssertionError  # pragma: no cover

    @contextmanager
    def session(self, *, writes: Writes) -> Iterator[Session]:
        """Open a session in a fresh transaction; leaving it rolls back what was not committed."""
        with self.connect(writes=writes) as connection:
            session = Session(connection, expire_on_commit=False, autoflush=False)
            session.info["forecast"] = not writes
            session.info["wait"] = self.wait
            try:
                yield session
            finally:
                session.close()

    @contextmanager
    def connect(self, *, writes: Writes) -> Iterator[Connection]:
        """Open a connection in a fresh transaction with this database's lock settings."""
        if self.is_sqlite and not Path(str(self.url.database)).exists():
            raise errors.DatabaseMissing(
                f"there is no database at {self}",
                hint="studentcli db init creates it; --database or STUDENTCLI_DATABASE_URL names"
                " another one",
            )
        with self._begun(writes=writes) as connection:
            yield connection
            with suppress(DBAPIError):
                connection.rollback()

    def _begun(self, *, writes: Writes) -> Connection:
        """Open a connection and begin; a kept one that the server has left is replaced once."""
        for is_last in (self.pool_size is None, True):
            connection = None
            try:
                connection = self.engine.connect().execution_options(studentcli_writes=writes)
                connection.begin()
            except DBAPIError as error:
                if connection is not None:
                    connection.close()
                if is_last or not error.connection_invalidated:
                    raise self.explain(error) from error
            except PoolTimeoutError as error:
                raise errors.Busy(
                    f"all {self.pool_size} connections were in use for {self.wait:g} s"
                ) from error
            else:
                return connection
        raise AssertionError  # pragma: no cover

    def explain(self, error: DBAPIError) -> Exception:
        """Turn a driver's error into one that the user can act upon; a bug stays as it is."""
        from studentcli.failures import explain_postgres, explain_sqlite, without_values

        explained = (explain_sqlite if self.is_sqlite else explain_postgres)(self, error)
        return explained or without_values(error)


def _commit(database: Database, session: Session) -> None:
    """Commit; when the connection is lost meanwhile, find out what became of it."""
    try:
        session.connection().commit()
    except DBAPIError as error:
        if not error.connection_invalidated and sqlstate(error) not in {None, "57P01"}:
            raise
        key = session.info.get("request_key")
        if database.is_sqlite or key is None:
            raise
        if not _is_recorded(database, key):
            raise errors.DatabaseUnavailable(
                "the connection was lost while saving, and nothing was recorded",
                hint="run the command again",
            ) from error


def _is_recorded(database: Database, request_key: str) -> bool:
    """Find out over a new connection, for about 30 s, whether an operation was recorded.

    A look is not enough: the server may still be at work on the lost COMMIT. Adding the same key
    waits until that transaction has ended, one way or the other; what was added is rolled back.
    """
    probe = text(
        "INSERT INTO operations (kind, channel, actor, request_key, outcome, started_at,"
        " finished_at, totals) VALUES ('probe', 'probe', 'probe', :key, 'done',"
        " CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, '{}') ON CONFLICT (request_key) DO NOTHING"
    )
    for pause in (0.2, 0.5, 1, 2, 4, 8, 15):
        try:
            with database.engine.connect() as connection:
                connection.exec_driver_sql(lock_timeout(5))
                return connection.execute(probe, {"key": request_key}).rowcount == 0
        except (DBAPIError, PoolTimeoutError):
            time.sleep(pause)
    raise errors.DatabaseUnavailable(
        "the connection was lost while saving: it is not known whether the change was recorded",
        hint="studentcli history shows it when it was",
    )


def require_revision(connection: Connection) -> None:
    """Stop when the schema is not the one that this version works with: one SELECT, no Alembic.

    Raises:
        errors.SchemaMismatch: with the command to run.
    """
    try:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except DBAPIError as error:
        if not is_missing_table(error):
            raise
        revision = None
    if revision == REVISION:
        return
    if revision is None:
        raise errors.SchemaMismatch(
            "the database holds no studentcli tables",
            hint="studentcli db init creates them; studentcli db adopt takes over older tables",
        )
    if revision > REVISION:
        raise errors.SchemaMismatch(
            f"the database has schema {revision}, newer than this studentcli ({REVISION})",
            hint="install the newer studentcli",
        )
    raise errors.SchemaMismatch(
        f"the database has schema {revision}, this studentcli needs {REVISION}",
        hint="studentcli db backup FILE, then studentcli db upgrade",
    )


def current_revision(connection: Connection) -> str | None:
    """Read the database's schema revision, or none when it has no version table."""
    if connection.dialect.name == "sqlite":
        exists = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        if connection.exec_driver_sql(exists).first() is None:
            return None
    elif connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar() is None:
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether a statement failed because its table does not exist."""
    if sqlstate(error) is not None:
        return sqlstate(error) == "42P01"
    # SQLite has one code for whatever is wrong with a statement, and ours names one table.
    return bool(getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR)


def sqlstate(error: DBAPIError) -> str | None:
    """Give the SQLSTATE of a PostgreSQL error, or none."""
    state = getattr(error.orig, "sqlstate", None)
    return str(state) if state else None


def listed_in(column: Any, values: Any, *, is_sqlite: bool) -> Any:
    """Compare a column with a list of any length through one bound parameter.

    Args:
        column: an integer or text column.
        values: the values; an empty list matches nothing.
        is_sqlite: which engine the statement is for.
    """
    value = list_parameter(values, is_sqlite=is_sqlite)
    return _listed(column, {"key": None, "value": value, "unique": True}, is_sqlite=is_sqlite)


def listed(column: Any, name: str, *, is_sqlite: bool) -> Any:
    """Compare a column with a list that is given as the parameter `name` when the query runs."""
    return _listed(column, {"key": name}, is_sqlite=is_sqlite)


def list_parameter(values: Iterable[Any], *, is_sqlite: bool) -> Any:
    """Give a list in the form in which the engine takes it as one parameter."""
    # JSON's own escapes keep lone surrogates out: the command line refuses those before.
    return json.dumps(list(values)) if is_sqlite else list(values)


def _listed(column: Any, parameter: dict[str, Any], *, is_sqlite: bool) -> Any:
    from sqlalchemy import Text, bindparam, func, literal_column, select

    if is_sqlite:
        each = func.json_each(bindparam(**parameter, type_=Text)).table_valued("value")
        return column.in_(select(each.c.value))
    from sqlalchemy.dialects.postgresql import ARRAY

    bound = bindparam(**parameter, type_=ARRAY(column.type))
    return column == func.any(bound, type_=literal_column("1").type)

"""Running the migrations: in turns, in one transaction, with every row counted before and after."""

import io
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from studentcli import errors
from studentcli.database import (
    REVISION,
    Database,
    current_revision,
    set_lock_timeout,
)
from studentcli.engines import until_free
from studentcli.models import Base
from studentcli.schema.copying import backup
from studentcli.schema.script import ADVISORY_LOCK, MIGRATION_LOCK_TIMEOUT, one_piece

if TYPE_CHECKING:
    from alembic.config import Config

WAIT_FOR_MIGRATOR: Final = 60.0
"""Seconds to wait, at the least, for another migrator: unlike a reader it is sure to end."""

OnBackup = Callable[[Path], None]
"""Is told where the copy lies that was made before a migration."""


@dataclass(frozen=True)
class SchemaStatus:
    """What `db status` shows."""

    database: str
    engine: str
    revision: str | None
    expected: str

    @property
    def is_current(self) -> bool:
        """Whether commands can work with it."""
        return self.revision == self.expected


def migrations_folder() -> Path:
    """Find the migrations: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def _config() -> "Config":
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """Give the newest revision among the migrations."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def run_alembic(connection: Connection, name: str, revision: str) -> None:
    """Run one of Alembic's commands over a connection on which `migrating` holds the turn."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    getattr(command, name)(config, revision)


# ── the turn ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """Hold the turn to migrate: one transaction, committed at the end, rolled back on failure.

    SQLite: foreign keys off before BEGIN (making a table anew would delete its children), checked
    before COMMIT. PostgreSQL: an advisory lock for the transaction, so that migrators take turns.
    On both no table may end with fewer or more rows than it had.
    """
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection = connection.execution_options(studentcli_writes=True)  # noqa: PLW2901
            driver: Any = connection.connection.driver_connection
            # On the driver's connection: a pragma inside a transaction does nothing.
            driver.execute("PRAGMA foreign_keys = OFF")
            # Without it SQLite refuses to rename a table that somebody's view reads.
            driver.execute("PRAGMA legacy_alter_table = ON")
        with connection.begin():
            if not database.is_sqlite:
                set_lock_timeout(connection, max(database.wait, WAIT_FOR_MIGRATOR))
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(lock, {"key": ADVISORY_LOCK})
                set_lock_timeout(connection, MIGRATION_LOCK_TIMEOUT)
            before = _row_counts(connection)
            yield connection
            _require_sound(connection, before)


def _row_counts(connection: Connection) -> dict[str, int]:
    present = set(inspect(connection).get_table_names())
    return {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        for table in Base.metadata.tables
        if table in present
    }


def _require_sound(connection: Connection, before: dict[str, int]) -> None:
    """Compare the rows before COMMIT; a migration that drops a table answers for that itself."""
    after = _row_counts(connection)
    for table in before.keys() & after.keys():
        if after[table] != before[table]:
            raise errors.DatabaseDamaged(
                f"{table} had {before[table]} rows before the migration and {after[table]} after"
                " it; everything was rolled back"
            )
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise errors.DatabaseDamaged(
                f"{len(broken)} rows would point to nothing after the migration; everything was"
                " rolled back",
                hint="studentcli db check names them",
            )


def in_turn(database: Database, change: Callable[[Connection], None]) -> None:
    """Run a change of the schema in its turn; step back from readers and try again.

    PostgreSQL queues new readers behind an ALTER that waits for an old one: it may queue only for
    MIGRATION_LOCK_TIMEOUT, again and again until `database.wait` seconds are over.

    Raises:
        errors.Busy: when somebody kept the tables for longer.
        errors.SchemaMismatch: when what the database holds stands in the way.
    """
    give_up = time.monotonic() + database.wait
    while True:
        try:
            with migrating(database) as connection:
                change(connection)
        except DBAPIError as error:
            explained = database.explain(error)
            if explained is error:
                reason = str(error.orig).strip().partition("\n")[0]
                raise errors.SchemaMismatch(
                    f"the migration failed and everything was rolled back: {reason}"
                ) from error
            if not isinstance(explained, errors.Busy) or time.monotonic() >= give_up:
                raise explained from error
        else:
            return
        time.sleep(0.2)  # lets the readers through that queued behind us


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    """Open a connection that only reads, and word the driver's errors."""
    try:
        with database.connect(writes=False) as connection:
            yield connection
    except DBAPIError as error:
        raise database.explain(error) from error


# ── upgrade ──────────────────────────────────────────────────────────────────────────────


def upgrade(
    database: Database,
    *,
    create: bool = False,
    revision: str = REVISION,
    on_backup: OnBackup | None = None,
) -> str:
    """Bring the schema to `revision`, keeping every row.

    Args:
        database: the database; a SQLite file that holds tables is first copied to one beside it.
        create: make the SQLite file, or the first tables, when there are none.
        revision: the one that this version works with unless a test wants another.
        on_backup: is told where the copy lies.

    Returns:
        The revision that the database has now.

    Raises:
        errors.DatabaseMissing: when there is nothing to upgrade and `create` is false.
        errors.SchemaMismatch: for a newer schema, or tables of somebody else; `db adopt` takes
            those over.
        errors.Busy: when somebody kept the tables for too long.
    """
    if create and database.is_sqlite:
        _create_file(database)
    with reading(database) as connection:
        before = require_upgradable(database, connection, create=create)

    def change(connection: Connection) -> None:
        present = require_upgradable(database, connection, create=create)
        if present not in {None, revision}:
            keep_copy(database, str(present), on_backup)
        run_alembic(connection, "upgrade", revision)

    if before != revision:
        in_turn(database, change)
    keep_write_ahead_log(database)
    return revision


def forecast(database: Database, *, create: bool = False) -> str:
    """Say what `upgrade` would do; raises what it would raise, reads only."""
    if create and database.is_sqlite and not Path(str(database.url.database)).exists():
        return f"{database} would be created (schema {REVISION})"
    with reading(database) as connection:
        before = require_upgradable(database, connection, create=create)
    if before == REVISION:
        return f"{database} is up to date (schema {REVISION})"
    if before is None:
        return f"tables would be created in {database} (schema {REVISION})"
    return f"{database} would be upgraded from schema {before} to {REVISION}"


def require_upgradable(database: Database, connection: Connection, *, create: bool) -> str | None:
    """Give the revision to start from; refuse a newer schema and somebody else's tables."""
    revision = current_revision(connection)
    if revision is None:
        _require_empty(database, connection, create=create)
    elif revision > REVISION:
        raise errors.SchemaMismatch(
            f"{database} has schema {revision}, newer than this studentcli ({REVISION})",
            hint="install the newer studentcli",
        )
    return revision


def _require_empty(database: Database, connection: Connection, *, create: bool) -> None:
    tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
    if tables:
        raise errors.SchemaMismatch(
            f"{database} holds tables that studentcli did not make: {', '.join(sorted(tables))}",
            hint="studentcli db adopt takes over tables named students and courses",
        )
    if not create:
        raise errors.SchemaMismatch(
            f"{database} holds no studentcli tables", hint="studentcli db init creates them"
        )


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` (tests and emergencies: enrollments are lost)."""
    in_turn(database, lambda connection: run_alembic(connection, "downgrade", revision))


def upgrade_sql(database: Database) -> str:
    """Write the SQL that `upgrade` would run on this database, for those who run it themselves.

    Raises:
        errors.SchemaMismatch: as `upgrade`.
    """
    from alembic import command

    revision: str | None = None
    if not database.is_sqlite or Path(str(database.url.database)).exists():
        with reading(database) as connection:
            revision = require_upgradable(database, connection, create=True)
    if revision == REVISION:
        return f"-- {database} is up to date (schema {REVISION})\n"
    config = _config()
    output = io.StringIO()
    config.output_buffer = output
    config.attributes["dialect"] = database.url.get_backend_name()
    command.upgrade(config, f"{revision or 'base'}:{REVISION}", sql=True)
    return one_piece(output.getvalue()) if database.is_sqlite else output.getvalue()


def status(database: Database) -> SchemaStatus:
    """Report which schema the database has and which one this version needs."""
    with reading(database) as connection:
        revision = current_revision(connection)
    engine = "SQLite" if database.is_sqlite else "PostgreSQL"
    return SchemaStatus(str(database), engine, revision, REVISION)


# ── the SQLite file ──────────────────────────────────────────────────────────────────────


def _create_file(database: Database) -> None:
    """Make the file, only for its owner; one that is there already stays as it is."""
    path = Path(str(database.url.database))
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise errors.DatabaseUnavailable(f"{path} cannot be created: {error.strerror}") from error
    keep_write_ahead_log(database)


def keep_write_ahead_log(database: Database) -> None:
    """Let readers go on while somebody writes: a property that the file keeps from now on."""
    if not database.is_sqlite:
        return
    path = Path(str(database.url.database))
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as driver:
            until_free(lambda: driver.execute("PRAGMA journal_mode = WAL"), database.wait)
    except sqlite3.Error as error:
        raise errors.DatabaseUnavailable(f"{path} cannot be used: {error}") from error


def keep_copy(database: Database, label: str, on_backup: OnBackup | None) -> None:
    """Copy a SQLite file to one beside it; called in the turn, so that no write is missed."""
    if not database.is_sqlite:
        return
    path = Path(str(database.url.database))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = path.with_name(f"{path.name}.{label}.{stamp}.backup")
    backup(database, copy)
    if on_backup is not None:
        on_backup(copy)

"""The schema's life: create, upgrade, adopt, inspect, back up. The only module that loads Alembic.

Every function is plain Python; the `db` commands add nothing to them.
"""

import io
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from studentcli import errors
from studentcli.database import REVISION, Database, current_revision, set_lock_timeout

ADVISORY_LOCK = 0x5C11
MIGRATION_LOCK_TIMEOUT = 2.0
"""Seconds an ALTER may queue in front of readers before it steps back and tries again."""
PLAIN_TABLES = {
    "students": {"id": "integer", "name": "text", "email": "text"},
    "courses": {"id": "integer", "title": "text"},
}
"""Revision 1 as people may have it from before studentcli: table → column → kind of type."""


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
    package = Path(__file__).resolve().parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """Give the newest revision among the migrations."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """Hold the turn to migrate: one transaction, committed at the end, rolled back on failure.

    SQLite: foreign keys off before BEGIN (making a table anew would delete its children), checked
    before COMMIT. PostgreSQL: an advisory lock for the transaction, so that migrators take turns.
    """
    with database.engine.connect() as connection:
        if database.is_sqlite:
            # The driver's connection directly: a pragma inside a transaction does nothing.
            driver = connection.connection.driver_connection
            if driver is None:  # pragma: no cover  (a checked-out connection has one)
                raise AssertionError
            driver.execute("PRAGMA foreign_keys = OFF")
            connection = connection.execution_options(studentcli_writes=True)  # noqa: PLW2901
        with connection.begin():
            if not database.is_sqlite:
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK}
                )
                set_lock_timeout(connection, MIGRATION_LOCK_TIMEOUT)
            yield connection
            if database.is_sqlite:
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise errors.DatabaseDamaged(
                        f"{len(broken)} rows would point to nothing; the upgrade was rolled back"
                    )


def upgrade(database: Database, *, create: bool = False, revision: str = "head") -> str:
    """Bring the schema to `revision`, keeping every row.

    Args:
        database: the database; on SQLite a backup is copied beside a file that holds rows.
        create: make the SQLite file, or the first tables, when there are none.
        revision: the newest one unless a test wants another.

    Returns:
        The revision that the database has now.

    Raises:
        errors.DatabaseMissing: when there is nothing to upgrade and `create` is false.
        errors.SchemaMismatch: for tables of somebody else; `db adopt` takes them over.
        errors.Busy: when readers kept PostgreSQL's tables for too long.
    """
    if database.is_sqlite:
        _prepare_sqlite(database, create=create)
    for attempt in range(1, 16):
        try:
            return _upgrade_once(database, create=create, revision=revision)
        except DBAPIError as error:
            explained = database.explain(error)
            if not isinstance(explained, errors.Busy) or attempt == 15:
                raise explained from error
            time.sleep(0.2 * attempt)
    raise AssertionError  # pragma: no cover


def _upgrade_once(database: Database, *, create: bool, revision: str) -> str:
    with migrating(database) as connection:
        before = current_revision(connection)
        if before is None:
            _require_empty(database, connection, create=create)
        elif before > REVISION:
            raise errors.SchemaMismatch(
                f"the database has schema {before}, newer than this studentcli ({REVISION})",
                hint="install the newer studentcli",
            )
        kept = _plain_counts(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _require_equal_counts(kept, _plain_counts(connection))
        return str(current_revision(connection))


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` (tests and emergencies: enrollments are lost)."""
    with migrating(database) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def _prepare_sqlite(database: Database, *, create: bool) -> None:
    path = Path(str(database.url.database))
    if not path.exists():
        if not create:
            raise errors.DatabaseMissing(
                f"there is no database at {path}", hint="studentcli db init creates it"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise errors.DatabaseUnavailable(
                f"{path} cannot be created: {error.strerror}"
            ) from error
    try:
        with database.engine.connect() as connection:
            revision = current_revision(connection)
            filled = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
        if filled and revision not in {None, REVISION}:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            backup(database, path.with_name(f"{path.name}.{revision}.{stamp}.backup"))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=database.wait)) as driver:
            driver.execute("PRAGMA journal_mode = WAL")  # kept by the file from now on
    except DBAPIError as error:
        raise database.explain(error) from error
    except sqlite3.Error as error:
        raise errors.DatabaseUnavailable(f"{path} cannot be used: {error}") from error


def _require_empty(database: Database, connection: Connection, *, create: bool) -> None:
    tables = set(inspect(connection).get_table_names())
    if tables:
        raise errors.SchemaMismatch(
            f"{database} holds tables that studentcli did not make: {', '.join(sorted(tables))}",
            hint="studentcli db adopt takes over tables named students and courses",
        )
    if not create:
        raise errors.SchemaMismatch(
            f"{database} holds no studentcli tables", hint="studentcli db init creates them"
        )


def _plain_counts(connection: Connection) -> dict[str, int]:
    tables = set(inspect(connection).get_table_names())
    return {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        for table in PLAIN_TABLES
        if table in tables
    }


def _require_equal_counts(before: dict[str, int], after: dict[str, int]) -> None:
    for table, count in before.items():
        if after.get(table) != count:
            raise errors.DatabaseDamaged(
                f"{table} had {count} rows before the upgrade and {after.get(table)} after it;"
                " the upgrade was rolled back"
            )


def upgrade_sql(database: Database) -> str:
    """Write the SQL that `upgrade` would run on this database, for those who run it themselves."""
    revision: str | None = None
    if not (database.is_sqlite and not Path(str(database.url.database)).exists()):
        with database.connect(writes=False) as connection:
            revision = current_revision(connection)
    config = _config()
    output = io.StringIO()
    config.output_buffer = output
    config.attributes["dialect"] = database.url.get_backend_name()
    command.upgrade(config, f"{revision or 'base'}:head", sql=True)
    return output.getvalue()


def status(database: Database) -> SchemaStatus:
    """Report which schema the database has and which one this version needs."""
    with database.connect(writes=False) as connection:
        revision = current_revision(connection)
    engine = "SQLite" if database.is_sqlite else "PostgreSQL"
    return SchemaStatus(str(database), engine, revision, REVISION)


def adopt(database: Database) -> str:
    """Take over `students` and `courses` tables from before studentcli, then upgrade them.

    Returns:
        The revision that the database has now.

    Raises:
        errors.SchemaMismatch: listing every difference to the plain schema; nothing is changed.
    """
    with database.connect(writes=False) as connection:
        if current_revision(connection) is None:
            differences = plain_differences(connection)
            if differences:
                raise errors.SchemaMismatch(
                    "these tables are not the plain schema: " + "; ".join(differences),
                    hint="rename or add the columns, then run studentcli db adopt again",
                )
    with migrating(database) as connection:
        if current_revision(connection) is None:
            config = _config()
            config.attributes["connection"] = connection
            command.stamp(config, "0001")
    return upgrade(database)


def plain_differences(connection: Connection) -> list[str]:
    """List in which ways `students` and `courses` differ from revision 1, in table order."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    found: list[str] = []
    for table, expected in PLAIN_TABLES.items():
        if table not in present:
            found.append(f"there is no table {table}")
            continue
        columns = {column["name"]: column["type"] for column in inspector.get_columns(table)}
        for name, kind in expected.items():
            if name not in columns:
                found.append(f"{table} has no column {name}")
            elif not _is_kind(columns[name].python_type, kind):
                found.append(f"{table}.{name} is {columns[name]}, not {kind}")
        found += [f"{table} has a column {name} more" for name in columns if name not in expected]
        if inspector.get_pk_constraint(table)["constrained_columns"] != ["id"]:
            found.append(f"the primary key of {table} is not id")
    return found


def _is_kind(python_type: type, kind: str) -> bool:
    return python_type is (int if kind == "integer" else str)


def backup(database: Database, target: Path) -> None:
    """Copy the whole database into one file (mode 0600) while others go on working.

    Args:
        database: SQLite is copied page by page; PostgreSQL by `pg_dump` in its custom format.
        target: a file that does not exist yet.

    Raises:
        errors.Usage: when the file exists, or `pg_dump` is not installed.
        errors.DatabaseUnavailable: when the copy fails; the partial file is removed.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise errors.Usage(f"{target} exists already", hint="name a new file") from None
    except OSError as error:
        raise errors.Usage(f"{target} cannot be written: {error.strerror}") from error
    try:
        if database.is_sqlite:
            _backup_sqlite(database, target)
        else:
            _backup_postgres(database, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _backup_sqlite(database: Database, target: Path) -> None:
    path = Path(str(database.url.database))
    if not path.exists():
        raise errors.DatabaseMissing(f"there is no database at {path}")
    try:
        with (
            closing(sqlite3.connect(path.as_uri() + "?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except sqlite3.Error as error:
        raise errors.DatabaseUnavailable(f"the backup failed: {error}") from error


def _backup_postgres(database: Database, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise errors.Usage(
            "pg_dump is not installed here", hint="install the PostgreSQL client programs"
        )
    url = database.url.set(drivername="postgresql")
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)  # never in argv
        url = url.set(password=None)
    done = subprocess.run(  # noqa: S603  (a fixed program, no shell)
        [program, "--format=custom", f"--file={target}", url.render_as_string()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["pg_dump failed"]
        raise errors.DatabaseUnavailable(f"the backup failed: {reason[0]}")

"""What a driver's error means to the user: decided by codes, never by the text of a message."""

import sqlite3
from contextlib import suppress
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from studentcli import errors
from studentcli.database import SERIALIZATION_FAILURES, Database, sqlstate

LOCK_TIMEOUT: Final = "55P03"
DUPLICATE_KEY: Final = "23505"
"""Goes away when somebody else's row is seen; one that stays is a bug of ours."""
NO_DATE: Final = "22008"
"""An infinite date was to be counted with: nothing that is sent can be one."""
UNREACHABLE: Final = frozenset({"08", "28", "57", "3D"})
"""SQLSTATE classes: connection, authorization, operator intervention, no such database."""

SQLITE_UNAVAILABLE: Final = {
    sqlite3.SQLITE_READONLY: "cannot be written",
    sqlite3.SQLITE_FULL: "has no room left: the disk is full",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed",
    sqlite3.SQLITE_NOTADB: "is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_PERM: "cannot be opened",
    sqlite3.SQLITE_AUTH: "cannot be opened",
}


def explain_sqlite(database: Database, error: DBAPIError) -> errors.StudentcliError | None:
    """Explain by SQLite's primary result code; none for what is a bug of ours."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None and isinstance(error.orig, sqlite3.OperationalError):  # of the driver itself
        return errors.DatabaseDamaged(f"a text in {database} is no UTF-8")
    if code is None:
        return None
    primary = int(code) & 0xFF
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return errors.Busy(f"waited {database.wait:g} s for another writer of {database}")
    if primary in SQLITE_UNAVAILABLE:
        return errors.DatabaseUnavailable(
            f"{database} {SQLITE_UNAVAILABLE[primary]}",
            hint="check the path, its permissions and the free space; nothing was changed",
        )
    return None


def explain_postgres(database: Database, error: DBAPIError) -> errors.StudentcliError | None:
    """Explain by SQLSTATE; none for what is a bug of ours."""
    state = sqlstate(error)
    if state == LOCK_TIMEOUT:
        return errors.Busy(f"waited {database.wait:g} s for {_blockers(database)}")
    if state in SERIALIZATION_FAILURES - {DUPLICATE_KEY}:
        return errors.Busy(f"others kept changing the same rows of {database}")
    if state == NO_DATE:
        return errors.DatabaseDamaged(f"a date in {database} is infinite")
    if state is not None and state[:2] == "53":
        return errors.DatabaseUnavailable(f"the server of {database} has no room left")
    if state is None or state[:2] in UNREACHABLE or state == "25006":
        lines = str(error.orig).strip().splitlines() or ["the connection is gone"]
        password = database.url.password
        reason = lines[0].replace(str(password), "***") if password else lines[0]
        return errors.DatabaseUnavailable(
            f"{database} cannot be used: {reason}",
            hint="check that the server runs, and the name and password in"
            " STUDENTCLI_DATABASE_URL or PGPASSFILE",
        )
    return None


def without_values(error: DBAPIError) -> DBAPIError:
    """Leave the values of rows out of a traceback: the server's DETAIL line quotes them."""
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    if primary and error.orig is not None:
        error.orig.args = (primary,)
        error.args = (f"({type(error.orig).__name__}) {primary}",)
    return error


def _blockers(database: Database) -> str:
    """Name the sessions that block others in this database, as far as the server tells."""
    waited_for = text(
        "SELECT DISTINCT b.application_name, b.pid FROM pg_stat_activity w"
        " CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)"
        " JOIN pg_stat_activity b ON b.pid = blocking.pid"
        " WHERE w.datname = current_database() LIMIT 3"
    )
    oldest = text(
        "SELECT application_name, pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1"
    )
    with suppress(DBAPIError, PoolTimeoutError), database.engine.connect() as connection:
        rows = connection.execute(waited_for).all() or connection.execute(oldest).all()
        if rows:
            return ", ".join(
                f"{name or 'a session'} (server process {process})" for name, process in rows
            )
    return "another session"

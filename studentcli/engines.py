"""How connections are opened and kept: SQLite's own settings, the PostgreSQL driver, the pool."""

import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import NullPool, QueuePool

from studentcli import errors

for _library in ("psycopg", "sqlalchemy"):
    # What they warn about is told as an error or is of no use at a desk; a server logs it.
    logging.getLogger(_library).addHandler(logging.NullHandler())

SQLITE_CACHE_KIB: Final = 65_536
"""What all connections of one process to a SQLite file may keep in memory together."""


def open_engine(url: URL, *, wait: float, pool_size: int | None) -> Engine:
    """Make the engine of a database; nothing is connected yet.

    Args:
        url: as `normalize_url` gives it.
        wait: seconds to wait for a lock on a SQLite file, and for a connection of a full pool.
        pool_size: how many connections are kept open, and at most used at once; none opens one
            per transaction, which is what a command wants.

    Raises:
        errors.DatabaseUnavailable: when the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url, wait, pool_size)
    return _open_postgres(url, wait, pool_size)


def _pool(wait: float, pool_size: int | None) -> dict[str, Any]:
    if pool_size is None:
        return {"poolclass": NullPool}
    return {
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": wait,
        "pool_use_lifo": True,  # what a rush needed is then idle, and the server may close it
    }


def _open_sqlite(url: URL, wait: float, pool_size: int | None) -> Engine:
    path = Path(str(url.database))

    def connect() -> sqlite3.Connection:
        # mode=rw: a mistyped path must never become a new, empty database.
        connection = sqlite3.connect(
            path.as_uri() + "?mode=rw", uri=True, timeout=wait, isolation_level=None,
            # One thread uses a connection at a time, but not always the same one.
            check_same_thread=False,
        )  # fmt: skip
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB // (pool_size or 1)}")
        return connection

    engine = create_engine(url, creator=connect, hide_parameters=True, **_pool(wait, pool_size))
    event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, wait))
    if pool_size is not None:
        _leave_replaced_file(engine, path)
    return engine


def _leave_replaced_file(engine: Engine, path: Path) -> None:
    """Never use a kept connection to a file that another one has replaced: a restored backup."""

    def identity() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def remember(_connection: object, record: Any) -> None:
        record.info["file"] = identity()

    def compare(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["file"] != identity():
            raise DisconnectionError

    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", compare)


def _open_postgres(url: URL, wait: float, pool_size: int | None) -> Engine:
    try:
        import psycopg  # noqa: F401  (only to say what is missing)
    except ImportError as error:
        raise errors.DatabaseUnavailable(
            "PostgreSQL needs the psycopg driver", hint="pip install 'studentcli[postgres]'"
        ) from error
    engine = create_engine(
        url,
        **_pool(wait, pool_size),
        hide_parameters=True,  # a traceback names no student
        use_native_hstore=False,  # looking for the type takes a transaction per connection
        connect_args={
            "prepare_threshold": None,  # a transaction pooler may stand between
            "application_name": f"studentcli:{os.getpid()}",
            "connect_timeout": 10,
            "autocommit": True,  # the driver sends no BEGIN of its own: ours carries more
        },
    )
    event.listen(engine, "begin", lambda connection: _begin_postgres(connection, wait))
    return engine


GATE: Final = 0x5C11
"""The number of the advisory lock that writers share and a bulk load has for itself."""


def pass_gate(*, alone: bool = False) -> str:
    """Write the statement that lets a writing transaction of PostgreSQL go on.

    Every writer says it before anything else: whoever has to wait for a bulk load then waits
    holding nothing, and the load can take whole tables without a deadlock.
    """
    return f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}({GATE})"


def _begin_postgres(connection: Connection, wait: float) -> None:
    """Begin, with everything that holds for this transaction alone, in one round trip.

    Said every time: a server may have other defaults, and a pooler may stand between.
    """
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    begin = {
        None: "BEGIN",
        True: f"BEGIN ISOLATION LEVEL READ COMMITTED; {lock_timeout(wait)}; {pass_gate()}",
        "before the gate": f"BEGIN ISOLATION LEVEL READ COMMITTED; {lock_timeout(wait)}",
        False: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
    connection.exec_driver_sql(begin[options.get("studentcli_writes")])


def lock_timeout(seconds: float) -> str:
    """Write the statement that bounds the wait for a lock, for this transaction only."""
    return f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}"


def _begin_sqlite(connection: Connection, wait: float) -> None:
    # The driver's own BEGIN is deferred: check-then-insert under it oversells every time.
    run = connection.exec_driver_sql
    if connection.get_execution_options().get("studentcli_writes", False):
        run("PRAGMA busy_timeout = 0")
        until_free(lambda: run("BEGIN IMMEDIATE"), wait)
    else:
        run("BEGIN")
    run(f"PRAGMA busy_timeout = {round(wait * 1000)}")


def until_free(attempt: Callable[[], object], wait: float) -> None:
    """Repeat what finds a SQLite file locked, for `wait` seconds at most.

    SQLite's own waiting lets no Ctrl-C through, and does not wait at all for some locks.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            attempt()
        except (DBAPIError, sqlite3.Error) as error:
            code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & 0xFF
            if code != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  (jitter)
        else:
            return

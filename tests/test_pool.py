"""A server's connections: kept, and never trusted longer than they are good for."""

import functools
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import Database
from tests.world import World


def pooled(world: World, *, size: int = 2, wait: float = 30.0) -> Database:
    return Database(world.database.url, wait=wait, pool_size=size)


def driver_of(database: Database) -> Any:
    with database.connect(writes=False) as connection:
        return connection.connection.driver_connection


def test_a_server_uses_a_connection_again_and_a_command_does_not(world: World) -> None:
    database = pooled(world)
    assert driver_of(database) is driver_of(database)
    assert driver_of(world.database) is not driver_of(world.database)
    database.dispose()


def test_a_kept_connection_carries_nothing_from_one_scope_to_the_next(world: World) -> None:
    database = pooled(world, size=1)
    if not database.is_sqlite:
        settings = [database.read(_scope_of), database.write(_scope_of), database.read(_scope_of)]
        assert settings == [("on", "0"), ("off", "30s"), ("on", "0")]
    for name in ("x", "y"):
        database.read(lambda session: session.execute(text("SELECT 1")).scalar())
        rename = text(f"UPDATE terms SET name = '{name}' WHERE code = 'ALL'")
        database.write(functools.partial(Session.execute, statement=rename))
        found = world.database.read(
            lambda session: session.execute(text("SELECT name FROM terms")).scalar()
        )
        assert found == name
    database.dispose()


def _scope_of(session: Session) -> tuple[Any, ...]:
    names = ("transaction_read_only", "lock_timeout")
    return tuple(session.execute(text(f"SHOW {name}")).scalar() for name in names)


def test_connections_are_used_by_any_thread(world: World) -> None:
    database, found = pooled(world), list[Any]()

    def look() -> None:
        found.append(database.read(lambda session: session.execute(text("SELECT 7")).scalar()))

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [7] * 6
    database.dispose()


def test_waiting_for_a_connection_is_bounded_and_ends_as_busy(world: World) -> None:
    database = pooled(world, size=1, wait=0.2)
    with database.connect(writes=False), pytest.raises(errors.Busy, match="all 1 connections"):
        database.read(lambda session: session.execute(text("SELECT 1")))
    database.dispose()


def test_connections_that_the_server_has_closed_are_replaced_unseen(
    new_database: Callable[..., str],
) -> None:
    world = World(new_database("postgresql"))
    database = pooled(world)
    database.read(lambda session: session.execute(text("SELECT 1")))
    with world.database.connect(writes=True) as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert database.read(lambda session: session.execute(text("SELECT 1")).scalar()) == 1
    database.dispose()


def test_a_sqlite_file_that_a_backup_has_replaced_is_the_one_that_is_read(
    sqlite_world: World, tmp_path: Path
) -> None:
    path = Path(str(sqlite_world.database.url.database))
    shutil.copy(path, tmp_path / "backup.db")
    sqlite_world.student("S1")
    database = pooled(sqlite_world)

    def students(session: Any) -> Any:
        return session.execute(text("SELECT count(*) FROM students")).scalar()

    assert database.read(students) == 1
    for file in path.parent.glob(f"{path.name}-*"):
        file.unlink()
    (tmp_path / "backup.db").replace(path)
    assert database.read(students) == 0
    database.dispose()

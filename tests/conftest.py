"""The fixtures: every test that touches a database runs on SQLite and on PostgreSQL."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from studentcli import schema
from studentcli.cli import boundary
from studentcli.cli.app import build_app
from studentcli.database import Database, normalize_url
from tests.door import Door
from tests.postgres import CannotRun, running_server
from tests.world import World

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run one server for this process; skip where none can run, fail on a build machine."""
    server = running_server(in_memory=True)
    try:
        url = server.__enter__()
    except CannotRun as reason:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL cannot run here: {reason}")
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Migrate one empty database, of which every test gets a copy."""
    name = f"studentcli_template_{os.getpid()}"
    _admin(postgres_server, f"CREATE DATABASE {name}")
    template = Database(normalize_url(postgres_server).set(database=name))
    schema.upgrade(template, create=True)
    template.dispose()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate one empty file, of which every test gets a copy."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    schema.upgrade(Database(normalize_url(str(path))), create=True)
    return path


def _admin(server: str, statement: str) -> None:
    database = Database(normalize_url(server))
    with database.engine.connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text(statement))


_numbers = itertools.count()


@pytest.fixture(scope="module")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Make databases: `new_database("sqlite")`; `empty=True` for one without any table."""
    made: list[tuple[str, str]] = []

    def make(engine: str, *, empty: bool = False) -> str:
        number = next(_numbers)
        if engine == "sqlite":
            path = tmp_path_factory.mktemp("db") / f"test{number}.db"
            if not empty:
                path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
                path.chmod(0o600)
            return str(path)
        server = request.getfixturevalue("postgres_server")
        name = f"studentcli_{os.getpid()}_{number}"
        template = "template1" if empty else request.getfixturevalue("postgres_template")
        _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append((server, name))
        url = normalize_url(server).set(database=name, drivername="postgresql")
        return url.render_as_string(hide_password=False)

    yield make
    with ExitStack() as stack:  # they would fill the memory
        for server, name in made:
            stack.callback(_admin, server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Name an engine: a test with this fixture runs once on each."""
    return str(request.param)


@pytest.fixture
def url(engine: str, new_database: Callable[..., str]) -> str:
    """Give a migrated, empty database on each engine."""
    return new_database(engine)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """Give a database with the words to fill and question it."""
    world = World(url)
    yield world
    world.database.dispose()


@pytest.fixture(params=ENGINES, scope="module")
def stage(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Iterator[World]:
    """Give one database on each engine for all the drawn cases of a module."""
    world = World(new_database(request.param))
    yield world
    world.database.dispose()


@pytest.fixture
def sqlite_world(new_database: Callable[..., str]) -> World:
    """Give a world on SQLite, for what does not depend on the engine."""
    return World(new_database("sqlite"))


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `studentcli` as a process: arguments, then `database=`, `stdin=`, `env=`."""

    def call(
        *arguments: str,
        database: str | None = None,
        stdin: str | bytes | None = None,
        env: dict[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            **({"STUDENTCLI_DATABASE_URL": database} if database else {}),
            **(env or {}),
        }
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        done = subprocess.run(
            [sys.executable, "-m", "studentcli", *arguments],
            env=environment, input=data, capture_output=True, check=False, cwd=tmp_path,
            timeout=120,
        )  # fmt: skip
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return call


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    """Give the HTTP door of a world on each engine."""
    door = Door(world)
    yield door
    door.close()


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run `studentcli` as `run` does, in this process: tenfold as fast.

    What a command line does not catch fails the test.
    """
    for name in [n for n in os.environ if n.startswith(("STUDENTCLI_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str, database: str | World) -> "subprocess.CompletedProcess[str]":
        name = database.url if isinstance(database, World) else database
        monkeypatch.setenv("STUDENTCLI_DATABASE_URL", name)
        code = boundary.run(build_app(list(arguments)), list(arguments))
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    yield call
    signal.signal(signal.SIGTERM, before)


Offer = Callable[..., tuple[int, str]]


@pytest.fixture
def offer(desk: World, command: Run, tmp_path: Path) -> Offer:
    """Import a file into the test's own `desk`, as `command` does: exit code and stderr."""

    def call(content: bytes, *options: str) -> tuple[int, str]:
        (tmp_path / "in.csv").write_bytes(content)
        done = command("import", "in.csv", *options, database=desk)
        assert done.stdout == ""
        return done.returncode, done.stderr

    return call


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Run a line of sh in which `"$@"` is studentcli with the arguments that follow."""

    def call(
        script: str, *arguments: str, database: str, wait: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", script, "sh", sys.executable, "-m", "studentcli", *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
                 "STUDENTCLI_DATABASE_URL": database},
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=wait,
        )  # fmt: skip

    return call

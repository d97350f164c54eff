"""Databases that are locked, older, damaged, full or away: told, waited for, and left alone."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from studentcli import schema
from studentcli.database import Database, normalize_url
from tests.conftest import Run
from tests.desk import (
    EVERYTHING,
    everything_locked,
    fill_catalogue,
    filled_once,
    rows,
)
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def desk(new_database: NewDatabase) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_catalogue, new_database)


# ── the database ─────────────────────────────────────────────────────────────────────────

WRITING = ("enroll S1042 MATH200", "drop S1042 CS101", "student add S9", "import in.csv",
           "course edit CS101 --capacity 1", "course cancel CS101 --reason x")  # fmt: skip
READING = ("courses", "courses S1042", "roster CS101", "student list", "history", "term list",
           "export enrollments", "db check", "enroll S1042 MATH200 --dry-run")  # fmt: skip
OF_SCHEMA = ("db status", "db init", "db upgrade", "db adopt", "db backup copy.db")


@pytest.mark.parametrize(
    "line", ["enroll S1042 MATH200", "import in.csv", "course edit CS101 --capacity 1"]
)
def test_a_writer_waits_for_another_as_long_as_it_was_told_and_then_says_busy(
    world: World, command: Run, tmp_path: Path, line: str
) -> None:
    fill_catalogue(world)
    (tmp_path / "in.csv").write_text("student,course\nS1042,CS101\n")
    before = rows(world, *EVERYTHING)
    with everything_locked(world):
        started = time.monotonic()
        done = command(*line.split(), "--wait", "0.3", database=world)
    assert 0.3 <= time.monotonic() - started < 5
    assert done.returncode == 5
    assert "error: waited 0.3 s for" in done.stderr
    assert "[busy]" in done.stderr
    assert "--wait" in done.stderr
    assert rows(world, *EVERYTHING) == before


def test_readers_go_on_while_somebody_writes(world: World, command: Run) -> None:
    fill_catalogue(world)
    with everything_locked(world):
        for line in READING:
            done = command(*line.split(), "--wait", "0.3", database=world)
            assert (line, done.returncode) == (line, 0)


def test_an_upgrade_of_a_locked_file_waits_no_longer_than_it_was_told(
    new_database: Callable[..., str], command: Run
) -> None:
    url = new_database("sqlite", empty=True)
    old = Database(normalize_url(url))
    schema.upgrade(old, create=True, revision="0001")
    before = Path(url).read_bytes()
    with old.connect(writes=True):
        started = time.monotonic()
        done = command("db", "upgrade", "--wait", "0.3", database=url)
    assert time.monotonic() - started < 5
    assert done.returncode == 5
    assert "[busy]" in done.stderr
    assert Path(url).read_bytes() == before


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_a_schema_that_is_older_or_newer_is_left_alone(
    world: World, command: Run, tmp_path: Path, revision: str
) -> None:
    fill_catalogue(world)
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    with world.database.connect(writes=True) as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        connection.commit()
    before = rows(world, *EVERYTHING)
    upgrading = OF_SCHEMA[1:4] if revision == "9999" else ()
    for line in (*WRITING[:4], *READING[-4:], *upgrading, "db status"):
        done = command(*line.split(), database=world)
        assert (line, done.returncode) == (line, 7)
        assert f"schema {revision}" in done.stderr or line == "db status"
    assert rows(world, *EVERYTHING) == before


def test_an_older_schema_names_the_command_that_helps(desk: World, command: Run) -> None:
    with desk.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        connection.commit()
    done = command("courses", database=desk)
    assert done.returncode == 7
    assert "[schema-mismatch]" in done.stderr
    assert "hint: studentcli db backup FILE, then studentcli db upgrade" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"student,course\n" * 100, b"SQLite format 3\0" + b"\xff" * 500, None],
    ids=["text", "damaged", "folder"],
)
def test_what_is_no_database_is_told_and_left_as_it_is(
    command: Run, tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    path = tmp_path / "it"
    path.mkdir() if content is None else path.write_bytes(content)
    for line in ("enroll S1042 MATH200", "import in.csv", "courses", "db check", *OF_SCHEMA):
        done = command(*line.split(), database=str(path))
        assert (line, done.returncode) == (line, 7)
        assert done.stderr.startswith("error: ")
        assert path.is_dir() if content is None else path.read_bytes() == content
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv", "it"]


@pytest.mark.parametrize("line", [*WRITING, *READING, "db status", "db upgrade", "db adopt",
                                  "db backup copy.db"])  # fmt: skip
def test_a_database_that_is_not_there_is_never_made_by_the_way(
    command: Run, tmp_path: Path, line: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    done = command(*line.split(), database=str(tmp_path / "mistyped.db"))
    assert done.returncode == 7
    assert "mistyped.db" in done.stderr
    assert "[database-missing]" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.csv"]


def test_a_database_cannot_be_made_below_a_file(command: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = command("db", "init", database=str(tmp_path / "file" / "new.db"))
    assert done.returncode == 7
    assert "[database-unavailable]" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_may_only_be_read_is_told_and_not_changed(desk: World, shell: Run) -> None:
    script = 'exec "$@"'
    if os.geteuid() == 0:  # root may write everywhere unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("running as root, and there is no setpriv")
        script = 'exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"'
    before = Path(desk.url).read_bytes()
    Path(desk.url).chmod(0o400)
    done = shell(script, "enroll", "S1042", "MATH200", database=desk.url)
    assert done.returncode == 7
    assert "cannot be written [database-unavailable]" in done.stderr
    assert Path(desk.url).read_bytes() == before


def test_a_full_disk_under_the_database_undoes_the_batch(
    desk: World, shell: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("student\n" + "".join(f"N{n:060}\n" for n in range(5000)))
    before = rows(desk, *EVERYTHING)
    done = shell('ulimit -f 600; exec "$@"', "import", "in.csv", database=desk.url)
    assert done.returncode == 7
    assert "[database-unavailable]" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(desk, *EVERYTHING) == before


def test_a_row_that_was_edited_by_hand_is_reported(desk: World, command: Run) -> None:
    with desk.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE student_courses SET status = 'dropped'"))
        connection.commit()
    done = command("db", "check", database=desk)
    assert done.returncode == 7
    assert "S1042 in ALL/CS101-1" in done.stdout
    assert "[database-damaged]" in done.stderr


# ── PostgreSQL out of reach ──────────────────────────────────────────────────────────────


@contextmanager
def server_that_refuses_passwords() -> Iterator[int]:
    """Speak just enough of PostgreSQL's protocol to ask for a password and refuse it."""

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"R\0\0\0\x08\0\0\0\x03")
            connection.recv(4096)
            fields = b'SFATAL\0C28P01\0Mpassword authentication failed for user "ada"\0\0'
            connection.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    "form", ["ada:geheim@127.0.0.1:PORT/db?", "127.0.0.1:PORT/db?user=ada&password=geheim&"]
)
def test_a_wrong_password_is_told_and_never_shown(command: Run, form: str) -> None:
    with server_that_refuses_passwords() as port:
        place = form.replace("PORT", str(port))
        url = f"postgresql://{place}sslmode=disable&gssencmode=disable"
        done = command("courses", database=url)
    assert done.returncode == 7
    assert "password authentication failed" in done.stderr
    assert "[database-unavailable]" in done.stderr
    assert "geheim" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "place",
    [
        "ada:geheim@127.0.0.1:1/db", "ada:geheim@/db?host=/nowhere",
        "/db?host=/nowhere&password=geheim",
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_reached_is_told_without_the_password(
    command: Run, tmp_path: Path, place: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    for line in ("enroll S1042 MATH200", "import in.csv", "courses", "db status", "db init"):
        done = command(*line.split(), database=f"postgresql://{place}")
        assert (line, done.returncode) == (line, 7)
        assert "[database-unavailable]" in done.stderr
        assert "geheim" not in done.stderr + done.stdout


def test_a_database_that_the_server_does_not_have_is_told(
    postgres_server: str, command: Run
) -> None:
    done = command("courses", database=postgres_server.replace("/postgres?", "/nodb?"))
    assert done.returncode == 7
    assert "nodb" in done.stderr

"""The scopes: what is retried, what is rolled back, who waits for whom, and what a loss means."""

import os
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from studentcli import errors, services
from studentcli.database import ATTEMPTS, Database, StartAgain, normalize_url
from studentcli.requests import Change, CourseWord, Request
from tests.tables import rows_of
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def postgres(new_database: NewDatabase) -> Iterator[World]:
    """Give a world on PostgreSQL with a student and two courses."""
    world = World(new_database("postgresql"))
    fill(world)
    yield world
    world.database.dispose()


@pytest.fixture
def filled(world: World) -> World:
    """Give a world on each engine with a student and two courses."""
    fill(world)
    return world


def fill(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", "B", capacity=0)


def patient(world: World, *, wait: float = 30.0) -> Database:
    return Database(world.database.url, wait=wait)


def raise_capacity(session: Session, code: str) -> None:
    session.execute(
        text("UPDATE courses SET capacity = capacity + 1 WHERE code = :code"), {"code": code}
    )


def capacities(world: World) -> dict[str, int]:
    with world.database.session(writes=False) as session:
        rows = session.execute(text("SELECT code, capacity FROM courses"))
        return {row.code: row.capacity for row in rows}


def fail_with(session: Session, state: str) -> None:
    """Let the server itself fail the transaction."""
    session.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))


# ── the retries ──────────────────────────────────────────────────────────────────────────


def test_two_writers_that_deadlock_are_both_recorded_once(postgres: World) -> None:
    first_round, attempts = threading.Barrier(2), list[str]()

    def unit_of(*codes: str) -> Callable[[Session], None]:
        def unit(session: Session) -> None:
            attempts.append(codes[0])
            raise_capacity(session, codes[0])
            if attempts.count(codes[0]) == 1:
                first_round.wait(20)
            raise_capacity(session, codes[1])

        return unit

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(patient(postgres).write, unit_of("A", "B"))
        other = pool.submit(patient(postgres).write, unit_of("B", "A"))
        one.result(60)
        other.result(60)
    assert len(attempts) == 3  # the server ended one of the two, which ran again
    assert capacities(postgres) == {"A": 2, "B": 2}


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_unit_runs_again_after_a_serialization_failure_and_counts_once(
    state: str, postgres: World
) -> None:
    attempts = 0

    def unit(session: Session) -> str:
        nonlocal attempts
        attempts += 1
        raise_capacity(session, "A")
        if attempts < ATTEMPTS:
            fail_with(session, state)
        return "done"

    assert postgres.database.write(unit) == "done"
    assert attempts == ATTEMPTS
    assert capacities(postgres)["A"] == 1


def test_a_unit_that_never_gets_through_ends_as_busy(postgres: World) -> None:
    attempts = list[int]()

    def unit(session: Session) -> None:
        attempts.append(1)
        raise_capacity(session, "A")
        fail_with(session, "40001")

    with pytest.raises(errors.Busy):
        postgres.database.write(unit)
    assert len(attempts) == ATTEMPTS
    assert capacities(postgres)["A"] == 0


def test_a_unit_whose_locks_were_too_few_starts_again_from_nothing(filled: World) -> None:
    attempts = list[int]()

    def unit(session: Session) -> int:
        attempts.append(1)
        raise_capacity(session, "A")
        if len(attempts) < 3:
            raise StartAgain
        return len(attempts)

    assert filled.database.write(unit) == 3
    assert capacities(filled)["A"] == 1


def test_a_section_added_while_the_locks_were_taken_is_seen(postgres: World) -> None:
    postgres.student("S7")
    postgres.course("NEW", section="001")
    with ThreadPoolExecutor(1) as threads, postgres.database.connect(writes=True) as other:
        other.execute(text("UPDATE courses SET title = title WHERE code = 'NEW'"))
        other.execute(
            text(
                "INSERT INTO courses (title, term_id, code, section, credit_hours,"
                " waitlist_capacity, status) SELECT title, term_id, code, '002', credit_hours,"
                " waitlist_capacity, status FROM courses WHERE code = 'NEW'"
            )
        )
        waiting = threads.submit(postgres.one, "enroll", "S7", "NEW")
        time.sleep(0.5)  # it has found one section by now, and waits for it
        other.commit()
        outcome = waiting.result(30)
    assert [refusal.code for refusal in outcome.refusals] == ["ambiguous-course"]


def test_a_bug_names_no_row_in_its_traceback(filled: World) -> None:
    def unit(session: Session) -> None:
        columns = "(student_number, given_name, family_name, status, created_at)"
        statement = text(f"INSERT INTO students {columns} VALUES (:n, :g, 'x', 'x', :at)")
        session.execute(statement, {"n": "S1042", "g": "Secretname", "at": "2026-01-01"})

    with pytest.raises(IntegrityError) as caught:
        filled.database.write(unit)
    told = "".join(traceback.format_exception(caught.value))
    assert "Secretname" not in told.replace('"g": "Secretname"', "")


def test_a_unit_that_starts_again_for_ever_ends_as_busy(filled: World) -> None:
    attempts = list[int]()

    def unit(session: Session) -> None:
        attempts.append(1)
        raise_capacity(session, "A")
        raise StartAgain

    filled.database.wait = 0.1
    with pytest.raises(errors.Busy):
        filled.database.write(unit)
    assert len(attempts) == ATTEMPTS
    assert capacities(filled)["A"] == 0


def test_an_error_in_a_unit_is_not_retried_and_rolls_everything_back(filled: World) -> None:
    attempts, before = list[int](), rows_of(filled.database)

    def unit(session: Session) -> None:
        attempts.append(1)
        raise_capacity(session, "A")
        session.execute(text("UPDATE courses SET capacity = -1"))

    with pytest.raises(IntegrityError):
        filled.database.write(unit)
    assert len(attempts) == 1
    assert rows_of(filled.database) == before


# ── a commit whose answer never comes ────────────────────────────────────────────────────


def kill_backend(database: Database, process: int) -> None:
    """End a session from outside and wait until it is gone."""
    with database.connect(writes=True) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": process})


def test_a_session_killed_before_its_commit_records_nothing_and_says_so(postgres: World) -> None:
    killed = list[int]()

    def before_commit(connection: Connection) -> None:
        if not killed:
            driver: Any = connection.connection.driver_connection
            killed.append(driver.info.backend_pid)
            kill_backend(patient(postgres), killed[0])

    postgres.course("A", capacity=5)
    before = rows_of(postgres.database)
    event.listen(postgres.database.engine, "commit", before_commit)
    with pytest.raises(errors.DatabaseUnavailable, match="nothing was recorded"):
        postgres.one("enroll", "S1", "A")
    assert killed
    assert rows_of(postgres.database) == before
    assert postgres.one("enroll", "S1", "A").result == "enrolled"


class CutLine:
    """Stands between client and server; at the first COMMIT it hangs up on the client.

    Args:
        url: the real server's.
        pause: seconds between hanging up and passing the COMMIT on; none passes it on first, and
            hangs up when the server has answered.
    """

    def __init__(self, url: URL, pause: float | None) -> None:
        self.real = url
        self.pause = pause
        self.is_cut = threading.Event()
        self.folder = tempfile.mkdtemp(prefix="studentcli-line-")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder}/.s.PGSQL.5432")
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The database, through this line."""
        query = {**self.real.query, "host": self.folder, "port": "5432"}
        through = self.real.set(drivername="postgresql", host=None, port=None, query=query)
        return through.render_as_string(hide_password=False)

    def close(self) -> None:
        """Take no more calls."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, self._call_server() as server, suppress(OSError):
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()
            while data := client.recv(65536):
                if b"COMMIT\x00" in data and not self.is_cut.is_set():
                    self.is_cut.set()
                    self._cut(client, server, data)
                server.sendall(data)

    def _cut(self, client: socket.socket, server: socket.socket, commit: bytes) -> None:
        if self.pause is None:
            server.sendall(commit)
            time.sleep(0.5)
            client.shutdown(socket.SHUT_RDWR)
        else:
            client.shutdown(socket.SHUT_RDWR)
            time.sleep(self.pause)

    def _call_server(self) -> socket.socket:
        host = str(self.real.query.get("host") or self.real.host)
        if not host.startswith("/"):
            return socket.create_connection((host, self.real.port or 5432))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{self.real.port or 5432}")
        return server


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@contextmanager
def cut_line(world: World, *, pause: float | None = None) -> Iterator[World]:
    """Give the same world through a line that is cut at its first COMMIT."""
    line = CutLine(world.database.url, pause)
    yield World(line.url)
    line.close()
    assert line.is_cut.is_set()


def test_a_commit_whose_answer_is_lost_is_found_by_its_request_key(postgres: World) -> None:
    postgres.course("A", capacity=5)
    operations = postgres.count("operations")
    with cut_line(postgres) as through_line:
        outcome = through_line.one("enroll", "S1", "A")
    assert outcome.result == "enrolled"
    assert postgres.statuses() == {("S1", "ALL/A-1"): "enrolled"}
    assert postgres.count("operations") == operations + 1


def test_a_commit_that_is_still_under_way_is_waited_for(postgres: World) -> None:
    postgres.course("A", capacity=5)
    with cut_line(postgres, pause=1.5) as through_line:
        outcome = through_line.one("enroll", "S1", "A")
    assert outcome.result == "enrolled"
    assert postgres.statuses() == {("S1", "ALL/A-1"): "enrolled"}


# ── reading ──────────────────────────────────────────────────────────────────────────────


def test_a_read_scope_records_nothing_whatever_its_unit_does(filled: World) -> None:
    before = rows_of(filled.database)
    with suppress(errors.DatabaseUnavailable):  # PostgreSQL refuses, SQLite forgets
        filled.database.read(lambda session: raise_capacity(session, "A"))
    assert rows_of(filled.database) == before


def test_a_read_scope_sees_one_moment_while_others_write(filled: World) -> None:
    def unit(session: Session) -> list[int]:
        query = text("SELECT capacity FROM courses WHERE code = 'A'")
        first = session.execute(query).scalar_one()
        patient(filled).write(lambda other: raise_capacity(other, "A"))
        return [first, session.execute(query).scalar_one()]

    assert filled.database.read(unit) == [0, 0]
    assert capacities(filled)["A"] == 1


def test_neither_scope_creates_a_database(tmp_path: Path) -> None:
    database = Database(normalize_url(str(tmp_path / "mistyped.db")))
    for scope in (database.read, database.write):
        with pytest.raises(errors.DatabaseMissing):
            scope(lambda session: session.execute(text("SELECT 1")))
    assert [*tmp_path.iterdir()] == []


# ── waiting ──────────────────────────────────────────────────────────────────────────────


def test_increments_of_several_threads_on_sqlite_are_all_counted(sqlite_world: World) -> None:
    fill(sqlite_world)

    def unit(session: Session) -> None:
        taken = session.execute(text("SELECT capacity FROM courses WHERE code = 'A'")).scalar_one()
        session.execute(text("UPDATE courses SET capacity = :n WHERE code = 'A'"), {"n": taken + 1})

    def repeat(_: int) -> None:
        for _ in range(20):
            patient(sqlite_world).write(unit)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repeat, range(4)))
    assert capacities(sqlite_world)["A"] == 80


def test_a_write_scope_on_sqlite_takes_the_file_before_it_reads(sqlite_world: World) -> None:
    def unit(session: Session) -> None:
        del session
        with closing(sqlite3.connect(sqlite_world.url, timeout=0, isolation_level=None)) as other:
            assert other.execute("SELECT count(*) FROM terms").fetchone() == (1,)
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite_world.database.write(unit)


@contextmanager
def holding(world: World) -> Iterator[None]:
    """Hold what enrolling in A needs, in a transaction that goes on."""
    with patient(world).session(writes=True) as session:
        raise_capacity(session, "A")
        yield


def test_a_writer_gives_up_after_its_wait_and_works_when_the_other_has_gone(
    filled: World,
) -> None:
    hurried = patient(filled, wait=0.3)
    start = time.monotonic()
    with holding(filled), pytest.raises(errors.Busy):
        hurried.write(lambda session: raise_capacity(session, "A"))
    assert 0.3 <= time.monotonic() - start < 20
    hurried.write(lambda session: raise_capacity(session, "A"))
    assert capacities(filled)["A"] == 1


def test_busy_names_who_holds_the_lock_on_postgresql(postgres: World) -> None:
    with holding(postgres), pytest.raises(errors.Busy) as caught:
        patient(postgres, wait=0.3).write(lambda session: raise_capacity(session, "A"))
    assert f"studentcli:{os.getpid()} (server process " in caught.value.message


def test_busy_names_a_holder_that_is_working_too(postgres: World) -> None:
    asleep = threading.Event()

    def work(session: Session) -> None:
        raise_capacity(session, "A")
        asleep.set()
        session.execute(text("SELECT pg_sleep(2)"))

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(patient(postgres).write, work)
        assert asleep.wait(20)
        with pytest.raises(errors.Busy) as caught:
            patient(postgres, wait=0.3).write(lambda session: raise_capacity(session, "A"))
        working.result(30)
    assert f"studentcli:{os.getpid()} (server process " in caught.value.message


def test_writers_read_what_is_committed_whatever_the_server_defaults_to(postgres: World) -> None:
    name = postgres.database.url.database
    with postgres.database.session(writes=True) as session:
        session.execute(
            text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        )
        session.connection().commit()
    level = postgres.database.write(
        lambda session: session.execute(text("SHOW transaction_isolation")).scalar_one()
    )
    assert level == "read committed"


def forecast(database: Database, world: World) -> Any:
    request = Request("S1", [Change("enroll", CourseWord("A"))])
    return database.write(
        lambda session: services.submit(session, request, world.act()), dry_run=True
    )


def test_a_forecast_waits_for_no_lock_and_writes_nothing(filled: World) -> None:
    filled.course("A", capacity=5)
    before = rows_of(filled.database)
    with holding(filled):
        decision = forecast(patient(filled, wait=0.3), filled)
    assert decision.outcomes[0].result == "enrolled"
    assert rows_of(filled.database) == before


def test_a_forecast_holds_nobody_up(filled: World) -> None:
    hurried = patient(filled, wait=0.3)

    def unit(session: Session) -> None:
        request = Request("S1", [Change("enroll", CourseWord("A"))])
        services.submit(session, request, filled.act())
        hurried.write(lambda other: raise_capacity(other, "A"))

    filled.database.write(unit, dry_run=True)
    assert capacities(filled)["A"] == 1


# ── faults ───────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_is_said_and_nothing_is_recorded(sqlite_world: World) -> None:
    fill(sqlite_world)
    before = rows_of(sqlite_world.database)

    def unit(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count = 1"))  # SQLite takes the current size
        session.execute(text("UPDATE students SET email = hex(zeroblob(100000))"))

    with pytest.raises(errors.DatabaseUnavailable, match="the disk is full"):
        sqlite_world.database.write(unit)
    assert rows_of(sqlite_world.database) == before


def test_a_database_that_cannot_be_written_is_said(sqlite_world: World) -> None:
    def unit(session: Session) -> None:
        session.execute(text("PRAGMA query_only = ON"))
        session.execute(text("UPDATE terms SET name = 'x'"))

    with pytest.raises(errors.DatabaseUnavailable, match="cannot be written"):
        sqlite_world.database.write(unit)


def test_a_server_without_this_database_is_unavailable_and_no_password_is_shown(
    postgres: World,
) -> None:
    url = postgres.database.url.set(database="no_such", password="s3cret")  # noqa: S106
    with pytest.raises(errors.DatabaseUnavailable, match="no_such") as caught:
        Database(url).read(lambda session: session.execute(text("SELECT 1")))
    assert "s3cret" not in caught.value.message


# ── URLs ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("/srv/school.db", "sqlite+pysqlite:////srv/school.db"),
        ("sqlite:////srv/school.db", "sqlite+pysqlite:////srv/school.db"),
        ("postgres://db/school", "postgresql+psycopg://db/school"),
        ("postgresql://me:x@db:5433/school", "postgresql+psycopg://me:x@db:5433/school"),
        ("postgresql+psycopg2://db/school", "postgresql+psycopg://db/school"),
    ],
)
def test_a_database_can_be_named_by_path_or_url(named: str, url: str) -> None:
    assert normalize_url(named).render_as_string(hide_password=False) == url


def test_a_relative_path_means_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for named in ("school.db", "./school.db", "sqlite:///school.db"):
        assert Path(str(normalize_url(named).database)) == tmp_path / "school.db"


@pytest.mark.parametrize("named", ["mysql://db/school", "sqlite://", "postgresql://db:port/x"])
def test_a_url_of_something_else_is_a_usage_error(named: str) -> None:
    with pytest.raises(errors.Usage):
        normalize_url(named)


def test_the_name_of_a_database_hides_its_password() -> None:
    shown = str(Database(normalize_url("postgresql://me:s3cret@db/school")))
    assert shown == "postgresql://me:***@db/school"

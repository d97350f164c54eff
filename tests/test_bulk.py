"""A load that has its tables for itself: keys and indexes are made after the rows.

That it gives what every other way gives holds `test_batch_equals_singles`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from unittest.mock import patch

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from studentcli import errors
from studentcli.database import Database, normalize_url
from studentcli.requests import Change, CourseWord, Request
from studentcli.services import bulk
from studentcli.services.bulk import WORTH_IT, open_load
from studentcli.services.checks import check_database
from studentcli.services.writer import Rows, Stamp, update_many
from tests.conftest import Run
from tests.tables import shape_of
from tests.world import World

STUDENTS = 100
COURSES = WORTH_IT // STUDENTS + 1


def big_file(*more: str) -> str:
    """Write more rows than the threshold: every student in every course, then the rows given."""
    pairs = (f"enroll,S{s},C{c},ALL,2026-09-01" for s in range(STUDENTS) for c in range(COURSES))
    return "\n".join(("action,student,course,term,effective_on", *pairs, *more, ""))


def fill(world: World) -> None:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(STUDENTS)))
    world.import_csv("term,course\n" + "".join(f"ALL,C{n}\n" for n in range(COURSES)))


def definitions(world: World) -> list[str]:
    """Give the engine's own words for the indexes and constraints of the enrollment tables."""
    query = (
        "SELECT name || coalesce(sql, '') FROM sqlite_master"
        if world.database.is_sqlite
        else "SELECT pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid IN ('student_courses'::regclass, 'enrollment_events'::regclass)"
        " UNION ALL SELECT conname || pg_get_constraintdef(oid) || convalidated FROM pg_constraint"
        " WHERE conrelid IN ('student_courses'::regclass, 'enrollment_events'::regclass)"
    )
    with world.database.connect(writes=False) as connection:
        return sorted(connection.execute(text(query)).scalars())


def shape(world: World) -> tuple[Any, ...]:
    return shape_of(world.database), definitions(world)


def assert_sound(world: World) -> None:
    assert world.database.read(check_database) == []


def test_a_first_load_leaves_every_key_as_the_migrations_made_it(world: World) -> None:
    fill(world)
    before = shape(world)
    result, _ = world.import_csv(big_file())
    assert result.totals["enrolled"] > WORTH_IT
    assert result.went_online is None
    assert shape(world) == before
    assert_sound(world)


def test_an_aborted_first_load_leaves_every_key_too(world: World) -> None:
    fill(world)
    before = shape(world)
    result, _ = world.import_csv(big_file("enroll,nobody,C1,ALL,2026-09-01"))
    assert result.aborted
    assert shape(world) == before
    assert world.count("student_courses") == 0


def test_a_first_load_that_needs_its_own_history_finds_it(world: World) -> None:
    fill(world)
    again = (
        "drop,S1,C1,ALL,2026-09-01",
        "enroll,S1,C1,ALL,2026-09-01",
        "drop,S2,C2,ALL,2026-08-01",
    )
    result, _ = world.import_csv(big_file(*again), chunk=WORTH_IT)
    assert result.totals["dropped"] == 1
    assert result.totals["unchanged"] == 1
    assert result.totals["superseded"] == 1
    assert_sound(world)


@pytest.mark.parametrize("way", [{"exclusive": True}, {}, {"commit_every": 1}, {"many": True}])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_a_first_seat_that_moves_on_is_written_once_as_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, chunk: int, way: dict[str, Any]
) -> None:
    """Its state is told by its event only as long as nothing else happens to it."""
    world.student("S1", "S2", "S3")
    world.course("A", "B")
    if way == {"many": True}:  # beside those of a larger table
        monkeypatch.setattr(bulk, "WORTH_IT", 0)
        world.student(*(f"T{n}" for n in range(9)))
        world.course("Z")
        world.import_csv("student,course\n" + "".join(f"T{n},Z\n" for n in range(9)))
        way = {}
    rows = ["enroll,S1,A,", "enroll,S2,A,", "drop,S1,A,", "enroll,S1,B,", "complete,S1,B,B",
            "enroll,S3,A,", "drop,S3,A,", "enroll,S3,A,"]  # fmt: skip
    file = "action,student,course,grade\n" + "".join(f"{row}\n" for row in rows)
    result, _ = world.import_csv(file, chunk=chunk, on_error="skip", **way)
    assert result.refused == 0
    told = {
        f"{s} {c[4]}": (state[0], state[4])
        for (s, c), state in world.enrollments().items()
        if c[4] != "Z"
    }
    assert told == {
        "S1 A": ("dropped", None), "S2 A": ("enrolled", None), "S1 B": ("completed", "B"),
        "S3 A": ("enrolled", None),
    }  # fmt: skip
    assert_sound(world)


def queues(world: World) -> str:
    """Fill two courses with a queue each; gives a file that moves everybody and adds more."""
    world.student(*(f"S{n}" for n in range(8)))
    world.course("A", "B", capacity=2, waitlist=9)
    world.import_csv("student,course\n" + "".join(f"S{n},A\nS{n},B\n" for n in range(5)))
    rows = ["drop,S0,A", "enroll,S6,A", "drop,S6,A", "enroll,S7,A", "drop,S2,B", "drop,S3,B",
            "enroll,S5,B", "drop,S4,B", "enroll,S4,B", "enroll,S6,B"]  # fmt: skip
    return "action,student,course\n" + "".join(f"{row}\n" for row in rows)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_load_moves_places_in_queues_from_hand_to_hand(world: World, *, exclusive: bool) -> None:
    file = queues(world)
    before = shape(world)
    world.import_csv(file, exclusive=exclusive, chunk=1)
    states = {f"{s} {c[4]}": state[0] for (s, c), state in world.enrollments().items()}
    assert {k: v for k, v in states.items() if v == "enrolled"} == dict.fromkeys(
        ["S1 A", "S2 A", "S0 B", "S1 B"], "enrolled"
    )
    waiting = sorted(name for name, status in states.items() if status == "waitlisted")
    assert waiting == ["S3 A", "S4 A", "S4 B", "S5 B", "S6 B", "S7 A"]
    assert shape(world) == before
    assert_sound(world)


def test_the_database_itself_refuses_rows_without_their_student(world: World) -> None:
    """Were the rules wrong, the foreign keys would say so: they are checked, not assumed."""
    world.course("A")
    before = shape(world)
    day = date(2026, 9, 1)
    stored = day.isoformat() if world.database.is_sqlite else day
    row = (4711, 1, "enrolled", stored, stored, None, None, None)

    def load(session: Any) -> None:
        loading = open_load(session, 1, exclusive=True)
        loading.write(Rows([row], [], [], Stamp(1, "")))
        loading.end()

    with pytest.raises((IntegrityError, errors.StudentcliError)) as caught:
        world.database.write(load)
    assert "foreign" in str(caught.value.__cause__ or caught.value).lower()
    assert world.count("student_courses") == 0
    assert shape(world) == before


def test_of_the_stored_events_sqlite_reads_only_the_newest_for_their_states(
    sqlite_world: World,
) -> None:
    """With every index in place: of a nightly file every chunk would read all the events."""
    with sqlite_world.database.session(writes=True) as session:
        connection, seen = session.connection(), list[str]()
        with patch.object(connection, "exec_driver_sql", seen.append):
            bulk._seat(connection, 7, 1)
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {seen[0]}")).all()
    assert any("PRIMARY KEY (rowid>?)" in row.detail for row in plan), plan


def test_whatever_its_statistics_say_sqlite_finds_what_moves_by_its_key(
    sqlite_world: World,
) -> None:
    """They are of the day when somebody said ANALYZE: the table can have been empty."""
    sqlite_world.student("S1")
    sqlite_world.course("A")
    sqlite_world.import_csv("student,course\nS1,A\n")
    with sqlite_world.database.session(writes=True) as session:
        connection, seen = session.connection(), list[Any]()
        session.execute(text("ANALYZE"))
        waits = (1, 1, "waitlisted", "2026-09-01", "2026-09-01", 1, None, None)
        with patch.object(connection, "exec_driver_sql", lambda *said: seen.append(said)):
            update_many(connection, [waits])
        for statement, parameters in seen:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            through = [row.detail for row in plan if row.detail.startswith("SCAN")]
            assert all("VIRTUAL TABLE" in scan for scan in through), (statement, plan)
    assert len(seen) == 2


def test_a_load_gives_sqlite_its_cache_back(sqlite_world: World) -> None:
    with sqlite_world.database.session(writes=True) as session:
        size = text("PRAGMA cache_size")
        before = session.execute(size).scalar_one()
        load = open_load(session, 1, exclusive=True)
        assert session.execute(size).scalar_one() != before
        load.end()
        assert session.execute(size).scalar_one() == before


def test_exclusive_is_refused_for_records(sqlite_world: World) -> None:
    with pytest.raises(errors.Usage, match="holds students"):
        sqlite_world.import_csv("student\nS1\n", exclusive=True)
    assert sqlite_world.count("students") == 0


# ── beside others, on PostgreSQL ──


@pytest.fixture
def postgres_world(new_database: Any) -> Iterator[World]:
    world = World(new_database("postgresql"))
    world.student("S1", "S2")
    world.course("A", "B")
    yield world
    world.database.dispose()


@contextmanager
def somebody(world: World, *statements: str) -> Iterator[None]:
    """Let somebody else's transaction be open, which has run these statements."""
    with world.database.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        yield
        connection.rollback()


def patient_world(world: World, *, wait: float) -> World:
    """Give the same database to somebody who waits as long."""
    patient = World(world.url)
    patient.database = Database(normalize_url(world.url), wait=wait)
    return patient


def import_exclusively(world: World, *, wait: float) -> str | None:
    """Import one row; gives why that was done beside others, if it was."""
    patient = patient_world(world, wait=wait)
    result, _ = patient.import_csv("student,course\nS1,A\n", exclusive=True)
    assert result.totals == {"enrolled": 1}
    patient.database.dispose()
    return result.went_online


def test_a_reader_who_does_not_leave_makes_the_load_go_on_beside_it(postgres_world: World) -> None:
    before = shape(postgres_world)
    with somebody(postgres_world, "SELECT * FROM student_courses"):
        assert import_exclusively(postgres_world, wait=0.3) == (
            "others were using the tables for 0.3 s"
        )
    assert postgres_world.statuses() == {("S1", "ALL/A-1"): "enrolled"}
    assert shape(postgres_world) == before


def test_keys_that_cannot_all_be_taken_down_stay_and_the_load_goes_on(
    postgres_world: World,
) -> None:
    """Somebody has an index alone, which is locked after another key is down."""
    before = shape(postgres_world)
    rename = "ALTER INDEX uq_student_courses_course_id_queue_place RENAME TO another"
    with somebody(postgres_world, rename):
        assert "others were using" in str(import_exclusively(postgres_world, wait=0.3))
    assert postgres_world.statuses() == {("S1", "ALL/A-1"): "enrolled"}
    assert shape(postgres_world) == before


def test_who_has_no_state_to_write_keeps_no_reader_out(postgres_world: World) -> None:
    patient = patient_world(postgres_world, wait=0.3)
    with somebody(postgres_world, "SELECT * FROM student_courses"):
        result, _ = patient.import_csv("student,course\nS9,A\n", exclusive=True, on_error="skip")
    assert result.totals == {"refused": 1}
    assert result.went_online is None
    assert postgres_world.count("enrollment_events") == 1
    patient.database.dispose()


def test_a_reader_of_events_is_not_in_the_way_of_a_load(postgres_world: World) -> None:
    """They have no foreign keys, and are written beside whoever reads them."""
    with somebody(postgres_world, "SELECT * FROM enrollment_events"):
        assert import_exclusively(postgres_world, wait=0.3) is None


def test_a_writer_elsewhere_makes_the_load_go_on_beside_it(postgres_world: World) -> None:
    with postgres_world.database.session(writes=True):
        assert "others were using" in str(import_exclusively(postgres_world, wait=0.3))


def test_a_load_waits_for_a_writer_who_leaves(postgres_world: World) -> None:
    found: list[str | None] = []
    load = threading.Thread(
        target=lambda: found.append(import_exclusively(postgres_world, wait=20))
    )
    with postgres_world.database.session(writes=True):
        load.start()
        load.join(0.7)
        assert load.is_alive()
    load.join(20)
    assert found == [None]


def test_a_reader_reads_on_while_rows_are_decided(postgres_world: World) -> None:
    """Readers are kept out of the pouring alone."""

    def read_meanwhile(session: Any) -> int:
        loading = open_load(session, 1, exclusive=True)
        assert loading.went_online is None
        seen = postgres_world.count("student_courses")
        loading.end()
        return seen

    assert postgres_world.database.write(read_meanwhile) == 0


def test_whoever_may_not_make_temporary_tables_loads_beside_others(postgres_world: World) -> None:
    def go(session: Any) -> str | None:
        allowed = "SELECT has_database_privilege(current_database(), 'TEMP')"
        with patch.object(session, "execute", refusing(session.execute, allowed)):
            load = open_load(session, 1, exclusive=True)
        load.end()
        return load.went_online

    assert "temporary tables" in str(postgres_world.database.write(go, before_gate=True))


def refusing(execute: Any, statement: str) -> Any:
    """Answer one question with no, as the server does to a user without the privilege."""
    return lambda asked, *rest: execute(text("SELECT false") if str(asked) == statement else asked,
                                        *rest)  # fmt: skip


def test_a_large_load_takes_no_events_of_others_for_its_own(postgres_world: World) -> None:
    postgres_world.student("S3", "S4", "X")
    other = World(postgres_world.url)
    runs: list[int] = []

    def last_event(connection: Any) -> int:
        found = last(connection)
        if not runs:
            other.submit("enroll", "X", "B").require()
        runs.append(found)
        return found

    last = bulk._last_event
    postgres_world.submit("enroll", "S1", "B").require()
    rows = "".join(f"S{n},A\n" for n in (1, 2, 3, 4))
    with patch.object(bulk, "WORTH_IT", 0), patch.object(bulk, "_last_event", last_event):
        postgres_world.import_csv(f"student,course\n{rows}", chunk=2)
    other.database.dispose()
    assert len(runs) == 2  # one for each chunk: nothing had to be done again
    assert_sound(postgres_world)


OWNS: Final = "ALTER TABLE student_courses OWNER TO {clerk}"
CREATES: Final = "GRANT CREATE ON SCHEMA public TO {clerk}"
"""An index is made in a schema."""
REFERS: Final = "GRANT REFERENCES (id) ON students, courses TO {clerk}"
"""The foreign keys point to tables of others."""
MAKES_KEYS: Final = (OWNS, CREATES, REFERS)


@pytest.mark.parametrize(
    ("more", "is_alone"),
    [
        (MAKES_KEYS, True),
        (("ALTER TABLE student_courses OWNER TO {clerk}_office",
          "GRANT {clerk}_office TO {clerk}", CREATES, REFERS), True),
        ((), False),
        ((OWNS, CREATES), False),
        ((OWNS, REFERS), False),
        ((*MAKES_KEYS, "REVOKE UPDATE, DELETE, TRUNCATE ON students FROM {clerk}",
          "GRANT UPDATE (status) ON students TO {clerk}"), False),  # locks rows, not the table
    ],
)  # fmt: skip
def test_who_may_not_make_the_keys_loads_beside_others(
    postgres_world: World, run: Run, tmp_path: Any, more: tuple[str, ...], *, is_alone: bool
) -> None:
    clerk = f"clerk_{postgres_world.database.url.database}"
    with postgres_world.database.engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {clerk}_office",
            "REVOKE CREATE ON SCHEMA public FROM public",
            f"CREATE ROLE {clerk} LOGIN",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {clerk}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {clerk}",
            *(statement.format(clerk=clerk) for statement in more),
        ):
            connection.execute(text(statement))
    url = postgres_world.database.url.set(username=clerk, drivername="postgresql")
    (tmp_path / "in.csv").write_text("student,course\nS1,A\n")
    done = run("import", "in.csv", "--exclusive", database=url.render_as_string())
    assert done.returncode == 0, done.stderr
    beside = (
        "loaded beside others, which takes longer: this database user may not make the keys of the"
        " tables, as their owner may"
    )
    assert (beside in done.stderr) is not is_alone
    assert postgres_world.statuses() == {("S1", "ALL/A-1"): "enrolled"}


def test_single_enrollers_beside_exclusive_loads_meet_no_deadlock(postgres_world: World) -> None:
    world = postgres_world
    world.student(*(f"S{n}" for n in range(40)))
    world.course(*(f"C{n}" for n in range(10)), capacity=30, waitlist=20)
    pairs = [f"S{s},C{c}" for c in range(10) for s in range(20)]
    file = "student,course\n" + "".join(f"{pair}\n" for pair in pairs)
    drops = "student,course,action\n" + "".join(f"{pair},drop\n" for pair in pairs)
    stop = threading.Event()
    failures: list[BaseException] = []

    def enroll(number: int) -> None:
        mine = patient_world(world, wait=30)
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                course = CourseWord(f"C{(turn * 7 + number) % 10}")
                action: Any = "drop" if turn % 3 == 0 else "enroll"
                mine.submit_request(Request(f"S{20 + number}", [Change(action, course)]))
                mine.statuses()
        except BaseException as error:  # noqa: BLE001  (told below)
            failures.append(error)
        mine.database.dispose()

    enrollers = [threading.Thread(target=enroll, args=(number,)) for number in range(4)]
    for enroller in enrollers:
        enroller.start()
    patient = patient_world(world, wait=30)
    try:
        for _ in range(4):
            result, _ = patient.import_csv(file, exclusive=True, chunk=50, on_error="skip")
            assert result.went_online is None
            patient.import_csv(drops, exclusive=True, chunk=50, on_error="skip")
    finally:
        stop.set()
        for enroller in enrollers:
            enroller.join(60)
    assert failures == []
    deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    with world.database.connect(writes=False) as connection:
        assert connection.execute(deadlocks).scalar() == 0
    assert_sound(world)

"""The records of students as the tables hold them, read in one statement."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import insert, select

from studentcli import errors
from studentcli.columns import Column
from studentcli.facts import EnrollmentFact, Key, Move, standing
from studentcli.models import Course, Student, StudentCourses
from studentcli.requests import Adds, CourseWord, Policy, Wanted
from studentcli.services import about, loading, statements
from studentcli.services.loading import Deciding
from studentcli.services.transcripts import Transcripts
from tests.world import TODAY, World

LATER = TODAY + timedelta(1)


@pytest.fixture
def busy(world: World) -> World:
    """One student in six courses, in every state there is; another one in none."""
    world.student("S1", "S2")
    world.course("A", "B", "C", "D", "E", "F", waitlist_capacity=9)
    put(
        world,
        A={"status": "enrolled"},
        B={"status": "dropped", "status_since": LATER},
        C={"status": "completed", "grade": "pass with honours", "status_since": LATER},
        D={"status": "waitlisted", "queue_place": 7},
        E={"status": "waitlisted", "queue_place": 1, "instead_of_id": course_id(world, "A")},
        F={"status": "withdrawn", "grade": "W"},
    )
    return world


def put(world: World, **states: dict[str, Any]) -> None:
    """Write enrollments of S1 past every check."""
    with world.database.connect(writes=True) as connection:
        for code, state in states.items():
            row = {"student_id": 1, "course_id": course_id(world, code), "enrolled_on": TODAY,
                   "status_since": TODAY, **state}  # fmt: skip
            connection.execute(insert(StudentCourses), row)
        connection.commit()


def course_id(world: World, code: str) -> int:
    """Give the id of a course."""
    with world.database.session(writes=False) as session:
        return session.scalars(select(Course.id).where(Course.code == code)).one()


def read(world: World) -> dict[int, EnrollmentFact]:
    """Read the record of S1 as decisions do."""
    with world.database.session(writes=False) as session:
        (student_id,) = session.scalars(select(Student.id).where(Student.student_number == "S1"))
        deciding = Deciding(session, Policy(world.now))
        deciding.lock_students((), [student_id])
        deciding.read_records([student_id])
        return dict(deciding.facts.students[student_id].enrollments.items())


def state(status: str, since: date = TODAY, **more: Any) -> EnrollmentFact:
    """Give what the table says of an enrollment."""
    return EnrollmentFact(status, TODAY, since, changed_on=since, **more)


@pytest.mark.parametrize("marks", [standing.MOST, 2, 0])
def test_every_state_is_read_as_it_stands(
    busy: World, marks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a student whose states have no marks left."""
    monkeypatch.setattr(standing, "MOST", marks)
    a, b, c, d, e, f = (course_id(busy, code) for code in "ABCDEF")
    assert read(busy) == {
        a: state("enrolled"),
        b: state("dropped", LATER),
        c: state("completed", LATER, grade="pass with honours"),
        d: state("waitlisted", place=7),
        e: state("waitlisted", place=1, instead_of=a),
        f: state("withdrawn", grade="W"),
    }


@pytest.mark.parametrize("grade", ["A\x1eenrolled 2026-09-01 2026-09-01", "A\x1e"])
def test_a_grade_that_nobody_can_have_given_is_damage(busy: World, grade: str) -> None:
    """It cannot be taken for a further enrollment."""
    busy.course("G")
    put(busy, G={"status": "completed", "grade": grade})
    with pytest.raises(errors.DatabaseDamaged, match="the enrollments of S1 cannot be read"):
        read(busy)


def test_a_date_that_is_none_is_damage_and_names_the_student(sqlite_world: World) -> None:
    sqlite_world.student("S1")
    sqlite_world.course("A")
    put(sqlite_world, A={"status": "enrolled"})
    with sqlite_world.database.connect(writes=True) as connection:
        connection.exec_driver_sql("UPDATE student_courses SET status_since = 'tomorrow'")
        connection.commit()
    with pytest.raises(errors.DatabaseDamaged, match="the enrollments of S1") as caught:
        read(sqlite_world)
    assert caught.value.hint == errors.DatabaseDamaged.default_hint


@pytest.mark.parametrize("day", ["infinity", "-infinity", "0044-03-15 BC"])
def test_a_date_of_postgresql_that_no_calendar_of_ours_has_is_damage(
    new_database: Callable[..., str], day: str
) -> None:
    postgres_world = World(new_database("postgresql"))
    postgres_world.student("S1")
    postgres_world.course("A")
    put(postgres_world, A={"status": "enrolled"})
    with postgres_world.database.connect(writes=True) as connection:
        connection.exec_driver_sql(f"UPDATE student_courses SET status_since = '{day}'")
        connection.commit()
    with pytest.raises(errors.DatabaseDamaged):
        postgres_world.database.read(lambda _: read(postgres_world))
    postgres_world.database.dispose()


@pytest.mark.parametrize("day", [date.min, date(1969, 12, 31), date(2011, 12, 30), date.max])
def test_dates_are_read_as_they_are_written_whatever_the_session_s_settings(
    world: World, day: date
) -> None:
    world.student("S1")
    world.course("A")
    put(world, A={"status": "enrolled", "status_since": day, "enrolled_on": day})
    if not world.database.is_sqlite:
        with world.database.connect(writes=True) as connection:
            for setting in ("TimeZone TO 'Pacific/Apia'", "DateStyle TO 'German'"):
                name = world.database.url.database
                connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET {setting}')
            connection.commit()
        world.database.dispose()
    (found,) = read(world).values()
    assert (found.enrolled_on, found.status_since) == (day, day)


def test_what_was_recorded_is_looked_up_once_for_a_pair_of_many_rows(world: World) -> None:
    """Otherwise a file that repeats a pair is read as often as the square of its rows."""
    world.student("S1")
    world.course("A")
    rows = [
        f"{action},S1,A,{TODAY - timedelta(day)}\n"
        for day in range(40, 20, -1)
        for action in ("enroll", "drop")
    ]
    content = "action,student,course,effective_on\n" + "".join(rows)
    world.import_csv(content)
    looked_up: list[list[Key]] = []
    real = Transcripts.read_recorded

    def look_up(self: Transcripts, keys: list[Key]) -> None:
        looked_up.append(keys)
        real(self, keys)

    with patch.object(Transcripts, "read_recorded", look_up):
        world.import_csv(content)
    assert [len(keys) for keys in looked_up if keys] == [1]


def test_what_a_row_has_moved_counts_for_a_plain_add_in_a_later_chunk(world: World) -> None:
    """It was recorded, so it says nothing new: the drop since then is not undone by it."""
    world.student("S1", "S2", "S3")
    world.course("A")
    header = "action,student,course,effective_on\n"
    world.import_csv(header + "enroll,S1,A,2026-09-01\n")
    later = "drop,S1,A,2026-09-10\nenroll,S2,A,\nenroll,S1,A,2026-09-01\nenroll,S3,A,\n"
    for chunk in (1, 100):
        result, _ = world.import_csv(header + later, chunk=chunk, dry_run=True)
        assert dict(result.totals) == {"dropped": 1, "enrolled": 2, "unchanged": 1}


def test_what_moved_since_is_not_read_over(world: World) -> None:
    """A pair is read, it moves, and then a rule wants the whole record: the tables are behind."""
    world.student("S1")
    world.course("A", "B")
    put(world, A={"status": "enrolled"}, B={"status": "enrolled"})
    a, b = course_id(world, "A"), course_id(world, "B")
    with world.database.session(writes=False) as session:
        deciding = Deciding(session, Policy(world.now))
        deciding.lock_courses({a, b})
        deciding.lock_students((), [1])
        student = deciding.facts.students[1]
        deciding.transcripts.read([student], [(1, a)])
        assert list(student.enrollments) == [a]
        deciding.facts.move(student, deciding.facts.courses[a], Move("drop", "dropped", LATER))
        deciding.transcripts.expect_leaving()
        deciding.transcripts.read([student])
        statuses = {c: state.status for c, state in student.enrollments.items()}
    assert statuses == {a: "dropped", b: "enrolled"}


def test_a_row_for_a_course_that_a_swap_gives_up_can_move_it(busy: World) -> None:
    """What was recorded of it is read; of the other courses that stay it is not."""
    with busy.database.session(writes=False) as session:
        deciding = Deciding(session, Policy(busy.now))
        words = [CourseWord(code, "ALL") for code in "AD"]
        adds = Adds([2, 3], Column(["S1"], [0, 0]), Column(words, [0, 1]), Column([TODAY], [0, 0]))
        wanted = Wanted()
        wanted.add(adds)
        deciding.lock(wanted)
        deciding.read_records([1])
        student = deciding.facts.students[1]
        found = about.back_dated(
            deciding.index, [adds], [[student, student]], deciding.facts.unsettled
        )
    assert found == [(1, course_id(busy, "A"))]


@pytest.mark.parametrize("many", [loading.MANY, 0])
def test_the_courses_in_which_the_named_wait_are_locked_however_many_they_are(
    busy: World, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the enrollments of each, or by everybody who waits."""
    monkeypatch.setattr(loading, "MANY", many)

    def locked(*numbers: str, ids: tuple[int, ...] = ()) -> set[str]:
        with busy.database.session(writes=True) as session:
            deciding = Deciding(session, Policy(busy.now))
            deciding.lock_courses({course_id(busy, "B")}, numbers, ids)
            return {course.code for course in deciding.facts.locked()}

    assert locked("S1") == {"B", "D", "E"}
    assert locked("S2", "S3") == {"B"}
    assert locked(ids=(1,)) == {"B", "D", "E"}
    assert locked("S1", ids=(2,)) == {"B", "D", "E"}


def test_of_many_students_sqlite_reads_who_waits_and_not_every_enrollment(
    sqlite_world: World,
) -> None:
    """A nightly file names a hundred thousand, of whom some wait."""
    query = statements.courses(is_sqlite=True, locks=True, many=True)
    with sqlite_world.database.session(writes=False) as session:
        connection = session.connection()
        statement = f"EXPLAIN QUERY PLAN {query.compile(connection)}"
        given = ("[1]",) * 3  # courses, ids, numbers
        plan = [row.detail for row in connection.exec_driver_sql(statement, given)]
    found = [step for step in plan if "student_courses" in step]
    assert found == ["SCAN student_courses USING INDEX uq_student_courses_course_id_queue_place"]

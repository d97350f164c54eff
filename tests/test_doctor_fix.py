"""`db check --fix`: enrollments become what their events say."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select

from studentcli import errors
from studentcli.models import EnrollmentEvent
from studentcli.services.checks import fix_enrollments
from tests.conftest import Run
from tests.desk import everything_locked, rows
from tests.doctor import busy_world, edit
from tests.world import World

EDITS = {
    "UPDATE student_courses SET grade = 'F' WHERE grade = 'A'":
        "S1 in ALL/MATH1-1: rewritten (grade is F, its events say A)",
    "UPDATE student_courses SET status = 'enrolled' WHERE status = 'withdrawn'":
        "S2 in ALL/MATH1-1: rewritten (status is enrolled, its events say withdrawn)",
    "DELETE FROM student_courses WHERE grade = 'A'":
        "S1 in ALL/MATH1-1: added (has events, but no enrollment)",
    "INSERT INTO student_courses SELECT s.id, c.id, 'enrolled', '2026-10-05', '2026-10-05', NULL,"
    " NULL, NULL FROM students s, courses c WHERE student_number = 'S4' AND code = 'MATH1'":
        "S4 in ALL/MATH1-1: removed (is there, but was undone)",
    "UPDATE student_courses SET queue_place = 9 - queue_place WHERE queue_place <> 2":
        "S2 in ALL/CS101-1: rewritten (queue place is 8, its events say 1)",
}  # fmt: skip


@pytest.mark.parametrize("statement", EDITS)
def test_fix_makes_enrollments_what_their_events_say(
    statement: str, world: World, command: Run
) -> None:
    busy_world(world)
    before, events = rows(world, "student_courses"), world.count("enrollment_events")
    edit(world, statement)
    assert rows(world, "student_courses") != before
    done = command("db", "check", "--fix", "--actor", "registrar", database=world)
    assert done.returncode == 0, done.stderr
    assert EDITS[statement] in done.stderr
    assert "is sound" in done.stderr
    assert rows(world, "student_courses") == before
    told = sum(done.stderr.count(f"{verb} (") for verb in ("added", "rewritten", "removed"))
    assert world.count("enrollment_events") == events + told
    last = world.database.read(lambda s: s.scalars(select(EnrollmentEvent)).all()[-1])
    assert (last.action, last.code) == ("repair", "repaired")
    history = command("history", "--format", "jsonl", database=world)
    assert "db-check-fix" in history.stdout
    number = str(last.operation_id)
    shown = command("history", number, "--format", "table", database=world)
    assert "by its events" in shown.stdout
    assert command("undo", number, database=world).returncode == 0
    assert rows(world, "student_courses") == before


def test_fix_leaves_alone_what_no_event_tells_of(world: World, command: Run) -> None:
    busy_world(world)
    before = rows(world, "student_courses")
    edit(world, "DELETE FROM enrollment_events")
    done = command("db", "check", "--fix", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert f"left as they are: {len(before['student_courses'])}; no event tells" in done.stderr
    assert "is there, but no event says so" in done.stdout
    assert "db check --fix" not in done.stdout
    assert rows(world, "student_courses") == before


def test_fix_mends_places_that_changed_hands(world: World, command: Run) -> None:
    busy_world(world)
    before = rows(world, "student_courses")
    for place, other in ((1, 11), (2, 1), (11, 2)):
        edit(world, f"UPDATE student_courses SET queue_place = {other} WHERE queue_place = {place}")
    assert command("db", "check", "--fix", database=world).returncode == 0
    assert rows(world, "student_courses") == before


def test_the_forecast_of_fix_says_the_same_and_changes_nothing(world: World, command: Run) -> None:
    busy_world(world)
    edit(world, "UPDATE student_courses SET grade = 'F' WHERE grade = 'A'")
    before = rows(world)
    done = command("db", "check", "--fix", "-n", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "S1 in ALL/MATH1-1: would be rewritten (grade is F, its events say A)" in done.stderr
    assert "forecast, nothing was changed: enrollments as their events say: 1 would be" in (
        done.stderr
    )
    assert rows(world) == before


def test_fix_records_no_operation_when_there_is_nothing_to_do(world: World, command: Run) -> None:
    busy_world(world)
    before = rows(world)
    done = command("db", "check", "--fix", database=world)
    assert done.returncode == 0
    assert "nothing to do" in done.stderr
    assert rows(world) == before


def test_without_fix_nothing_is_written_and_no_lock_is_waited_for(
    world: World, command: Run
) -> None:
    busy_world(world)
    edit(world, "UPDATE student_courses SET grade = 'F' WHERE grade = 'A'")
    before = rows(world)
    with everything_locked(world):
        done = command("db", "check", "--wait", "0.1", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert rows(world) == before


def test_fix_waits_for_the_locks_of_what_it_repairs(world: World, command: Run) -> None:
    busy_world(world)
    edit(world, "UPDATE student_courses SET grade = 'F' WHERE grade = 'A'")
    before = rows(world)
    with everything_locked(world):
        done = command("db", "check", "--fix", "--wait", "0.1", database=world)
    assert done.returncode == errors.ExitStatus.BUSY
    assert rows(world) == before


@pytest.mark.parametrize(
    "statement",
    [
        # S3 is told the place that S2 keeps; then nothing that any enrollment can be.
        "UPDATE enrollment_events SET queue_place = 1 WHERE queue_place = 2",
        "UPDATE enrollment_events SET to_status = 'enrolled' WHERE queue_place = 2",
        "UPDATE enrollment_events SET effective_on = NULL WHERE queue_place = 2",
    ],
)
def test_fix_leaves_alone_what_no_enrollment_can_be(
    statement: str, world: World, command: Run
) -> None:
    busy_world(world)
    edit(world, statement)
    edit(world, "UPDATE student_courses SET grade = 'F' WHERE grade = 'A'")
    done = command("db", "check", "--fix", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "S1 in ALL/MATH1-1: rewritten" in done.stderr
    assert "left as they are: 1; no event tells of them, or nothing that can be" in done.stderr
    assert world.enrollments()["S1", "ALL/MATH1-1"][4] == "A"
    assert world.enrollments()["S3", "ALL/CS101-1"][3] == 2


def test_fix_leaves_alone_the_enrollments_of_a_student_who_is_gone(
    sqlite_world: World, command: Run
) -> None:
    busy_world(sqlite_world)
    with closing(sqlite3.connect(sqlite_world.url, isolation_level=None)) as driver:
        driver.execute("DELETE FROM student_courses WHERE student_id = 1")
        driver.execute("DELETE FROM students WHERE id = 1")
    done = command("db", "check", "--fix", database=sqlite_world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "student id 1 in ALL/CS101-1" in done.stdout
    assert "left as they are: 2" in done.stderr


def test_fix_gives_what_replaying_gives_after_any_edits(world: World) -> None:
    busy_world(world)
    before = rows(world, "student_courses")
    edit(world, "DELETE FROM student_courses")
    fixed = world.database.write(lambda session: fix_enrollments(session, world.act()))
    assert fixed.totals == {"added": len(before["student_courses"])}
    assert rows(world, "student_courses") == before

"""Undo beside others, and undo that is killed: all of it or nothing, once."""

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Operation
from studentcli.services.checks import check_database
from studentcli.services.undoing import Undone, undo_operation
from tests import desk
from tests.test_batch_equals_singles import assert_sound
from tests.threads import one_inside_the_other
from tests.world import World


def undoing(world: World, operation_id: int, session: Session) -> Undone:
    return undo_operation(session, operation_id, world.act("undo"))


def imported(world: World, pairs: list[tuple[str, str]], courses: int, **limits: int) -> int:
    """Import enrollments of new students; gives the number of the batch."""
    world.student(*sorted({student for student, _ in pairs}))
    world.course(*(f"C{number}" for number in range(courses)), **limits)
    rows = "".join(f"{student},{course}\n" for student, course in pairs)
    result, _ = world.import_csv("student,course\n" + rows, on_error="skip")
    assert result.operation_id is not None
    return result.operation_id


def test_two_who_undo_one_operation_at_once_undo_it_once(world: World) -> None:
    number = imported(world, [("S1", "C0"), ("S2", "C0")], 1)
    unit = partial(undoing, world, number)

    first, second = one_inside_the_other(world, unit, unit)

    assert (first.result, second.result) == ("undone", "unchanged")
    assert world.enrollments() == {}
    assert world.count("operations") == number + 1
    assert_sound(world)


def test_an_undo_and_an_undo_of_it_take_turns(world: World) -> None:
    number = imported(world, [("S1", "C0"), ("S2", "C0")], 1)
    before = world.enrollments()
    last = world.database.write(partial(undoing, world, number)).operation_id
    assert last is not None

    first, second = one_inside_the_other(
        world, partial(undoing, world, last), partial(undoing, world, number)
    )

    assert (first.result, second.result) == ("undone", "undone")
    assert world.enrollments() == {}
    world.database.write(partial(undoing, world, second.operation_id))
    assert world.enrollments() == before


def test_who_enrolls_while_a_batch_is_undone_finds_its_seats_free_or_taken(world: World) -> None:
    pairs = [(f"S{s}", f"C{c}") for s in range(12) for c in range(3)]
    number = imported(world, pairs, 3, capacity=10, waitlist=3)
    others = [f"T{number}" for number in range(8)]
    world.student(*others)

    with ThreadPoolExecutor(5) as pool:
        enrolling = [pool.submit(world.submit, "enroll", who, "C2", "C0", "C1") for who in others]
        undone = pool.submit(world.database.write, partial(undoing, world, number))
        decided = [task.result(60) for task in enrolling]

    seats = sum(status == "enrolled" for status in world.statuses().values())
    assert len(decided) == len(others)
    assert undone.result().result in {"undone", "refused"}
    assert seats <= 30
    assert_sound(world)


def test_two_batches_with_the_same_courses_are_undone_at_once(world: World) -> None:
    courses = [f"C{number}" for number in range(4)]
    first = imported(world, [(f"S{n}", c) for n in range(5) for c in courses], 4, capacity=6,
                     waitlist=9)  # fmt: skip
    second = imported(world, [(f"T{n}", c) for n in range(5) for c in courses[::-1]], 4)

    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(world.database.write, partial(undoing, world, number))
            for number in (second, first)
        ]
        results = [task.result(60).result for task in tasks]

    assert set(results) <= {"undone", "refused"}
    assert "undone" in results
    assert_sound(world)


def test_an_undo_that_is_killed_anywhere_leaves_all_or_nothing(world: World) -> None:
    pairs = [(f"S{s}", f"C{c}") for s in range(150) for c in range(10)]
    empty = desk.rows(world, "student_courses")
    number = imported(world, pairs, 10, capacity=100, waitlist=40)
    full = desk.rows(world, "student_courses")
    command = [sys.executable, "-m", "studentcli", "--database", world.url, "-q", "undo"]
    draw, killed = random.Random(3), 0

    for _ in range(12):
        process = subprocess.Popen([*command, str(number)], stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.4, 2.0))
        process.kill()
        killed += process.wait(60) != 0
        now = desk.rows(world, "student_courses")
        assert now in (full, empty)
        if now == empty:  # the kill came too late: take the undo back
            world.database.write(partial(undoing, world, max(operations(world))))
        if killed == 3:
            break

    assert killed >= 1
    assert desk.rows(world, "student_courses") == full
    assert subprocess.run([*command, str(number)], check=True).returncode == 0
    assert desk.rows(world, "student_courses") == empty
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


def operations(world: World) -> list[int]:
    with world.database.session(writes=False) as session:
        return list(session.scalars(select(Operation.id)))

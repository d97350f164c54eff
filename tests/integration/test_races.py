"""Many processes at once: the last seat, one student, two importers with reversed files."""

import functools
import multiprocessing
import subprocess
import sys
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from studentcli import services
from studentcli.database import Database, normalize_url
from studentcli.requests import Change, CourseWord, Decision, Request
from studentcli.services.checks import check_database
from studentcli.services.operations import Act
from tests.world import World

PROCESSES = 8
ROUNDS = 20
spawn = multiprocessing.get_context("spawn")


def _submit(session: Session, request: Request) -> Decision:
    return services.submit(session, request, Act("enroll"))


def race(url: str, barrier: Barrier, number: int, rounds: int, found: Any) -> None:
    """Enroll in round after round, all processes at the same moment."""
    database = Database(normalize_url(url), wait=60)
    for turn in range(rounds):
        request = Request(f"S{number}", [Change("enroll", CourseWord(f"C{turn}"))])
        barrier.wait(60)
        decision = database.write(functools.partial(_submit, request=request))
        found.put((turn, decision.outcomes[0].result))


def run_race(url: str, numbers: list[int], rounds: int) -> dict[int, Counter[str]]:
    barrier = spawn.Barrier(len(numbers))
    found = spawn.Queue()
    processes = [
        spawn.Process(target=race, args=(url, barrier, number, rounds, found)) for number in numbers
    ]
    for process in processes:
        process.start()
    counts: dict[int, Counter[str]] = {turn: Counter() for turn in range(rounds)}
    for _ in range(rounds * len(numbers)):
        turn, result = found.get(timeout=120)
        counts[turn][result] += 1
    for process in processes:
        process.join(30)
    return counts


def test_the_last_seat_goes_to_exactly_one_of_eight(world: World) -> None:
    world.student(*(f"S{number}" for number in range(PROCESSES)))
    world.course(*(f"C{turn}" for turn in range(ROUNDS)), capacity=1, waitlist=4)

    counts = run_race(world.url, list(range(PROCESSES)), ROUNDS)

    assert all(c == {"enrolled": 1, "waitlisted": 4, "refused": 3} for c in counts.values())
    in_table = Counter((ref, state[0]) for (_, ref), state in world.enrollments().items())
    assert set(in_table.values()) == {1, 4}
    places = sorted(state[3] for state in world.enrollments().values() if state[3])
    assert places == sorted([1, 2, 3, 4] * ROUNDS)
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


def test_one_student_enrolled_by_eight_processes_at_once_is_enrolled_once(world: World) -> None:
    world.student("S1")
    world.course("C0", "C1", "C2")
    counts = run_race(world.url, [1] * PROCESSES, 3)
    assert all(c == {"enrolled": 1, "unchanged": 7} for c in counts.values())
    assert world.count("enrollment_events") == 3


def test_two_importers_with_reversed_files_finish_without_a_deadlock(
    world: World, tmp_path: Path
) -> None:
    students = [f"S{number}" for number in range(60)]
    courses = [f"C{number}" for number in range(30)]
    lines = [f"{student},{course}" for course in courses for student in students]
    world.import_csv("student\n" + "\n".join(students) + "\n")
    world.import_csv("course,capacity,waitlist\n" + "\n".join(f"{c},25,10" for c in courses) + "\n")
    importers = []
    for name, order in (("a", lines), ("b", lines[::-1])):
        path = tmp_path / f"{name}.csv"
        path.write_text("student,course\n" + "\n".join(order) + "\n")
        arguments = ["import", str(path), "--on-error", "skip", "--chunk", "100", "--wait", "100"]
        command = [sys.executable, "-m", "studentcli", "--database", world.url, "-q", *arguments]
        importers.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))

    for importer in importers:
        _, stderr = importer.communicate(timeout=120)
        assert importer.returncode == 6, stderr
        assert "Traceback" not in stderr

    counted = Counter((ref, state[0]) for (_, ref), state in world.enrollments().items())
    assert set(counted.values()) == {25, 10}
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


@pytest.mark.parametrize("seats", [3])
def test_drops_and_adds_at_once_leave_no_seat_idle_behind_the_queue(
    world: World, seats: int
) -> None:
    world.student(*(f"S{number}" for number in range(20)))
    world.course("C0", capacity=seats, waitlist=50)
    for number in range(12):
        world.one("enroll", f"S{number}", "C0")
    arguments = [("drop", f"S{n}") for n in range(seats)] + [("enroll", f"S{n}") for n in (15, 16)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "studentcli", "--database", world.url, "-q", verb, who, "C0"]
        )
        for verb, who in arguments
    ]
    assert [process.wait(60) for process in running] == [0] * len(running)
    states = Counter(world.statuses().values())
    assert states == {"enrolled": seats, "dropped": seats, "waitlisted": 8}

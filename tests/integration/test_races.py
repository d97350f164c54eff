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
from sqlalchemy import text
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


IMPORTS: dict[str, tuple[str, ...]] = {
    "atomic": (),
    "bulk": ("--exclusive",),
    "commit-every": ("--commit-every", "150"),
}


def import_in_background(
    world: World, path: Path, *options: str, wait: int = 100
) -> "subprocess.Popen[str]":
    arguments = ["import", str(path), "--on-error", "skip", "--chunk", "100", "--wait", str(wait)]
    command = [sys.executable, "-m", "studentcli", "--database", world.url, "-q"]
    return subprocess.Popen([*command, *arguments, *options], stderr=subprocess.PIPE, text=True)


def enroll_singly(url: str, number: int, stop: Any, failed: Any) -> None:
    """Enroll and drop one student in course after course until told to stop."""
    database = Database(normalize_url(url), wait=100)
    turn = 0
    try:
        while not stop.is_set():
            turn += 1
            change = Change("drop" if turn % 3 == 0 else "enroll", CourseWord(f"C{turn * 7 % 30}"))
            request = Request(f"T{number}", [change])
            database.write(functools.partial(_submit, request=request))
    except Exception as error:  # noqa: BLE001  (told by the test)
        failed.put(repr(error))


@pytest.mark.parametrize("kind", IMPORTS)
@pytest.mark.parametrize("importing", [2, 4])
def test_importers_with_reversed_files_beside_single_enrollers_all_finish(
    world: World, tmp_path: Path, importing: int, kind: str
) -> None:
    students = [f"S{number}" for number in range(60)]
    courses = [f"C{number}" for number in range(30)]
    lines = [f"{student},{course}" for course in courses for student in students]
    world.import_csv("student\n" + "\n".join([*students, "T0", "T1"]) + "\n")
    world.import_csv("course,capacity,waitlist\n" + "\n".join(f"{c},25,10" for c in courses) + "\n")
    stop, failed = spawn.Event(), spawn.Queue()
    singles = [
        spawn.Process(target=enroll_singly, args=(world.url, number, stop, failed))
        for number in range(2)
    ]
    for single in singles:
        single.start()
    importers = []
    for number in range(importing):
        path = tmp_path / f"{number}.csv"
        path.write_text("student,course\n" + "\n".join(lines[:: -1 if number % 2 else 1]) + "\n")
        importers.append(import_in_background(world, path, *IMPORTS[kind]))
    for importer in importers:
        _, stderr = importer.communicate(timeout=200)
        assert importer.returncode == 6, stderr
        assert "Traceback" not in stderr
    stop.set()
    for single in singles:
        single.join(60)

    assert failed.empty(), failed.get()
    counted = Counter((ref, state[0]) for (_, ref), state in world.enrollments().items())
    assert all(count <= 25 for (_, status), count in counted.items() if status == "enrolled")
    assert {count for (_, status), count in counted.items() if status == "enrolled"} == {25}
    with world.database.session(writes=False) as session:
        assert check_database(session) == []
    assert deadlocks(world) == 0


def deadlocks(world: World) -> int:
    """Ask PostgreSQL how many it had to break, also those of which nobody was told."""
    if world.database.is_sqlite:
        return 0
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with world.database.session(writes=False) as session:
        return int(session.execute(text(query)).scalar_one())


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

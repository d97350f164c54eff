"""kill -9 anywhere in an atomic import, then again: the end state of one clean run."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studentcli.services.checks import check_database
from tests.world import World

STUDENTS, COURSES = 600, 20
"""Enough rows for a load that dominates its table: on SQLite its indexes are down meanwhile."""


def prepare(world: World, folder: Path) -> Path:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(STUDENTS)))
    world.import_csv(
        "course,capacity,waitlist\n" + "".join(f"C{n},250,40\n" for n in range(COURSES))
    )
    pairs = [(s, c) for s in range(STUDENTS) for c in range(COURSES)]
    random.Random(7).shuffle(pairs)
    path = folder / "enrollments.csv"
    path.write_text(
        "action,student,course,effective_on\n"
        + "".join(f"enroll,S{s},C{c},2026-01-05\n" for s, c in pairs)
    )
    return path


def start(world: World, path: Path, *options: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "studentcli", "--database", world.url, "-q", "import", str(path),
         "--on-error", "skip", "--chunk", "200", *options],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def kill_at_random_points(world: World, clean: World, folder: Path, points: int, seed: int) -> None:
    path = prepare(world, folder)
    prepare(clean, folder)
    began = time.monotonic()
    assert start(clean, path).wait(120) == 6
    length = time.monotonic() - began
    draw = random.Random(seed)
    killed = 0
    for _ in range(5 * points):
        process = start(world, path)
        time.sleep(draw.uniform(0.2, 1.0) * length)
        process.kill()
        if process.wait(60) == 6:  # the kill came too late: begin anew
            world.clear()
            prepare(world, folder)
            continue
        assert world.count("student_courses") in {0, clean.count("student_courses")}
        assert (world.count("enrollment_events") == 0) == (world.count("student_courses") == 0)
        killed += 1
        if killed == points:
            break
    assert killed == points
    assert start(world, path).wait(120) in {0, 6}
    assert world.enrollments() == clean.enrollments()
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


def test_an_import_killed_anywhere_and_run_again_ends_like_a_clean_run(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    kill_at_random_points(world, World(new_database(engine)), tmp_path, points=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2))
def test_twenty_kills(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    kill_at_random_points(world, World(new_database(engine)), tmp_path, points=20, seed=seed)


SYNC = ("--sync", "--scope", "term=ALL", "--max-drops", "90%")


def kill_syncs_at_random_points(
    world: World, clean: World, folder: Path, points: int, seed: int
) -> None:
    """Kill syncs that drop a fifth, keep the most and add as many, then let one end."""
    full = prepare(world, folder)
    prepare(clean, folder)
    header, *lines = full.read_text().splitlines(keepends=True)
    lines = [line.removeprefix("enroll,") for line in lines]
    fifth = len(lines) // 5
    first, path = folder / "first.csv", folder / "second.csv"
    first.write_text(header.removeprefix("action,") + "".join(lines[:-fifth]))
    path.write_text(header.removeprefix("action,") + "".join(lines[fifth:]))
    for each in (world, clean):
        assert start(each, first, *SYNC).wait(120) in {0, 6}
    before = world.enrollments()
    began = time.monotonic()
    assert start(clean, path, *SYNC).wait(120) in {0, 6}
    length = time.monotonic() - began
    draw, killed = random.Random(seed), 0
    for point in sorted(draw.uniform(0.2, 0.95) for _ in range(points)):
        process = start(world, path, *SYNC)
        time.sleep(point * length)
        process.kill()
        if process.wait(60) in {0, 6}:  # the kill came too late
            break
        killed += 1
        assert world.enrollments() in (before, clean.enrollments())
    assert killed
    assert start(world, path, *SYNC).wait(120) in {0, 6}
    assert world.enrollments() == clean.enrollments()
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


def test_a_sync_killed_anywhere_and_run_again_ends_like_a_clean_run(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    kill_syncs_at_random_points(world, World(new_database(engine)), tmp_path, points=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2))
def test_twenty_kills_of_syncs(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path, seed: int
) -> None:
    kill_syncs_at_random_points(world, World(new_database(engine)), tmp_path, points=20, seed=seed)

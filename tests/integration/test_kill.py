"""kill -9 anywhere in an import, then again: the end state of one clean run."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli.services.checks import check_database
from tests.tables import shape_of
from tests.world import World

STUDENTS, COURSES = 600, 20
KINDS = {
    "atomic": (),
    "bulk": ("--exclusive",),
    "commit-every": ("--commit-every", "900"),
}
"""How a file is imported: on SQLite the first is a bulk load, too, for it dominates its table."""


SYNC = ("--sync", "--scope", "term=ALL", "--max-drops", "90%")


def prepare(world: World, folder: Path) -> Path:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(STUDENTS)))
    world.import_csv(
        "course,capacity,waitlist\n" + "".join(f"C{n},250,40\n" for n in range(COURSES))
    )
    world.one("enroll", "S0", "C0", effective_on=world.now.date().replace(day=1, month=1))
    pairs = [(s, c) for s in range(STUDENTS) for c in range(COURSES)]
    random.Random(7).shuffle(pairs)
    path = folder / "enrollments.csv"
    path.write_text(
        "action,student,course,effective_on\n"
        + "".join(f"enroll,S{s},C{c},2026-01-05\n" for s, c in pairs)
    )
    return path


def start(world: World, path: Path, kind: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "studentcli", "--database", world.url, "-q", "--wait", "60",
         "import", str(path), "--on-error", "skip", "--chunk", "200",
         *(SYNC if kind == "sync" else ("--run-id", "night", *KINDS[kind]))],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def assert_nothing_half_done(world: World, clean: World, kind: str, shape: dict[str, Any]) -> None:
    """Of an atomic import there is nothing or all; of one in parts whole parts of one operation."""
    # In one snapshot: the server can still be about to commit for a client that was killed.
    with world.database.session(writes=False) as session:
        events, states = (
            session.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("enrollment_events", "student_courses")
        )
    if kind != "commit-every":
        assert events in {1, clean.count("enrollment_events")}
        assert (events == 1) == (states == 1)
    assert shape_of(world.database) == shape
    with world.database.session(writes=False) as session:
        assert check_database(session) == []


def kill_at_random_points(
    world: World, clean: World, folder: Path, kind: str, points: int, seed: int
) -> None:
    path = prepare(world, folder)
    prepare(clean, folder)
    shape = shape_of(world.database)
    began = time.monotonic()
    assert start(clean, path, kind).wait(120) == 6
    length = time.monotonic() - began
    draw = random.Random(seed)
    killed = 0
    for _ in range(5 * points):
        process = start(world, path, kind)
        time.sleep(draw.uniform(0.2, 1.0) * length)
        process.kill()
        if process.wait(60) in {0, 6}:  # the kill came too late: begin anew
            world.clear()
            prepare(world, folder)
            continue
        assert_nothing_half_done(world, clean, kind, shape)
        killed += 1
        if killed == points:
            break
    assert killed == points
    # 0: the last kill came after the commit; then the run is done, and is not done again.
    assert start(world, path, kind).wait(120) in {0, 6}
    assert world.enrollments() == clean.enrollments()
    assert world.events() == clean.events()
    assert world.count("operations") == clean.count("operations")
    assert_nothing_half_done(world, clean, kind, shape)


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_killed_anywhere_and_run_again_ends_like_a_clean_run(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    clean = World(new_database(engine))
    kill_at_random_points(world, clean, tmp_path, kind, points=2, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_kills(
    world: World, engine: str, new_database: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    clean = World(new_database(engine))
    kill_at_random_points(world, clean, tmp_path, kind, points=50, seed=2)


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
        assert start(each, first, "sync").wait(120) in {0, 6}
    before = world.enrollments()
    began = time.monotonic()
    assert start(clean, path, "sync").wait(120) in {0, 6}
    length = time.monotonic() - began
    draw, killed = random.Random(seed), 0
    for point in sorted(draw.uniform(0.2, 0.95) for _ in range(points)):
        process = start(world, path, "sync")
        time.sleep(point * length)
        process.kill()
        if process.wait(60) in {0, 6}:  # the kill came too late
            break
        killed += 1
        assert world.enrollments() in (before, clean.enrollments())
    assert killed
    assert start(world, path, "sync").wait(120) in {0, 6}
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

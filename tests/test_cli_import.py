"""What an import says of its consequences: whom it moved up, and what inactive students keep."""

import csv
import io
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.world import World


@pytest.fixture
def desk(world: World) -> World:
    """Give two courses with a queue each."""
    world.student("S1", "S2", "S3", "S4")
    world.course("ART", "BIO", capacity=1, waitlist=5)
    for number in ("S1", "S2", "S3"):
        world.submit("enroll", number, "ART", "BIO").require()
    return world


def offer(desk: World, command: Run, folder: Path, content: str, *options: str) -> list[str]:
    (folder / "in.csv").write_text(content)
    done = command("import", "in.csv", *options, database=desk.url)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_students_who_become_inactive_are_listed_with_the_command_that_drops_them(
    desk: World, command: Run, tmp_path: Path
) -> None:
    content = "student,status\nS1,inactive\nS2,inactive\nS1,inactive\nS2,active\nS9,inactive\n"
    told = [
        ("S1 would keep 2: ALL/ART-1, ALL/BIO-1", "-n"),
        ("S1 keeps 2: ALL/ART-1, ALL/BIO-1",),
    ]
    for sentence, *options in told:
        _, *lines = offer(desk, command, tmp_path, content, *options)
        assert lines == [sentence, "hint: studentcli drop S1 ALL/ART-1 ALL/BIO-1"]
    assert len(offer(desk, command, tmp_path, "student,status\nS1,inactive\n")) == 1
    assert offer(desk, command, tmp_path, "student,status\nS2,inactive\n", "-q") == []
    assert desk.statuses()["S1", "ALL/ART-1"] == "enrolled"


def test_an_aborted_import_lists_nobody(desk: World, command: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("student,status\nS1,inactive\nS2,gone\n")
    done = command("import", "in.csv", database=desk.url)
    assert done.returncode == 6
    assert "keep" not in done.stderr


def test_courses_that_get_seats_say_whom_they_moved_up(
    desk: World, command: Run, tmp_path: Path
) -> None:
    content = "course,capacity\nART,2\nBIO,3\n"
    _, *would = offer(desk, command, tmp_path, content, "-n")
    assert would[0] == "S2 would move up from the waitlist into ALL/ART-1"
    _, *lines = offer(desk, command, tmp_path, content)
    assert lines == [
        "S2 moved up from the waitlist into ALL/ART-1",
        "S2 moved up from the waitlist into ALL/BIO-1",
        "S3 moved up from the waitlist into ALL/BIO-1",
    ]


def test_who_moved_up_is_a_row_for_programs(desk: World, command: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("course,capacity\nART,2\n")
    done = command("import", "in.csv", "--format", "csv", database=desk.url)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["line"], row["record"], row["result"], row["student"]) for row in rows] == [
        ("2", "ALL/ART-1", "changed", ""),
        ("", "ALL/ART-1", "promoted", "S2"),
    ]


def test_a_file_of_drops_says_whom_it_moved_up(desk: World, command: Run, tmp_path: Path) -> None:
    _, *lines = offer(desk, command, tmp_path, "action,student,course\ndrop,S1,ART\n")
    assert lines == ["S2 moved up from the waitlist into ALL/ART-1"]


def test_long_lists_of_consequences_are_counted(
    sqlite_world: World, command: Run, tmp_path: Path
) -> None:
    numbers = [f"S{number:03}" for number in range(61)]
    rows = "".join(f"{number}\n" for number in numbers)
    sqlite_world.import_csv(f"student\n{rows}")
    sqlite_world.course("ART", capacity=1, waitlist=100)
    sqlite_world.import_csv("student,course\n" + "".join(f"{n},ART\n" for n in numbers))
    _, *lines = offer(sqlite_world, command, tmp_path, "course,capacity\nART,61\n")
    assert (len(lines), lines[-1]) == (51, "… and 10 more moved up from the waitlists")
    inactive = "student,status\n" + "".join(f"{number},inactive\n" for number in numbers)
    _, *lines = offer(sqlite_world, command, tmp_path, inactive)
    assert len(lines) == 101
    assert lines[-1] == "… and 11 more who become inactive with courses"

"""history: all that an operation did, and all that a student or course went through."""

import json
from functools import partial
from typing import Any

import pytest

from studentcli.requests import Policy
from studentcli.services.cancelling import cancel_course
from studentcli.services.history import list_events
from studentcli.services.renumbering import renumber_student
from tests.conftest import Run
from tests.world import World


@pytest.fixture
def desk(world: World) -> World:
    """Give a course with one seat, somebody in it and two who wait."""
    world.term("2026FA")
    world.student("S1", "S2", "S3")
    world.course("CS101", term="2026FA", capacity=1, waitlist=5)
    world.course("ART", term="ALL")
    for number in ("S1", "S2", "S3"):
        world.submit("enroll", number, "2026FA/CS101").require()
    return world


def last_operation(world: World) -> int:
    return world.count("operations")


def events(world: World, **wanted: Any) -> list[dict[str, Any]]:
    return world.database.read(
        partial(list_events, policy=Policy(world.now), **{"limit": 50, **wanted})
    )


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("student", "course", "action", "to_status", "changes")
    return [tuple(row[name] for name in names) for row in rows]


COURSE = "2026FA/CS101-1"


def test_cancelling_a_course_shows_the_course_and_everybody_who_was_dropped(desk: World) -> None:
    act = desk.act()
    desk.database.write(lambda session: cancel_course(session, "2026FA/CS101", act))
    assert told(events(desk, operation=last_operation(desk))) == [
        (None, COURSE, "cancelled", None, "status: open → cancelled"),
        *((number, COURSE, "drop", "dropped", None) for number in ("S1", "S2", "S3")),
    ]


def test_raising_a_capacity_shows_the_edit_and_whom_it_promoted(desk: World) -> None:
    desk.course("CS101", term="2026FA", capacity=2)
    assert told(events(desk, operation=last_operation(desk))) == [
        (None, COURSE, "changed", None, "capacity: 1 → 2"),
        ("S2", COURSE, "promote", "enrolled", None),
    ]


def test_the_history_of_a_student_has_the_edits_of_the_record_and_its_numbers(
    desk: World,
) -> None:
    desk.student("S1", status="inactive")
    act = desk.act()
    desk.database.write(lambda session: renumber_student(session, "S1", "S01", act))
    rows = events(desk, student="S01")
    assert [(row["student"], row["action"]) for row in rows] == [
        ("S01", "created"), ("S01", "enroll"), ("S01", "changed"), ("S01", "renumbered"),
    ]  # fmt: skip
    assert [row["changes"] for row in rows[2:]] == [
        "status: active → inactive", "student: S1 → S01",
    ]  # fmt: skip


def test_the_history_of_a_course_has_its_own_edits(desk: World) -> None:
    desk.course("CS101", term="2026FA", title="Computing")
    rows = events(desk, course="2026FA/CS101")
    assert [rows[0]["changes"], rows[-1]["changes"]] == [
        "title: CS101, credits: 0.00, capacity: 1, waitlist: 5, status: open",
        "title: CS101 → Computing",
    ]
    assert [row["action"] for row in rows] == ["created", "enroll", "enroll", "enroll", "changed"]
    assert {row["course"] for row in rows} == {COURSE}


def test_a_student_in_a_course_shows_only_what_concerns_both(desk: World) -> None:
    rows = events(desk, student="S1", course="2026FA/CS101")
    assert [(row["student"], row["course"]) for row in rows] == [("S1", COURSE)]


def test_the_history_of_a_term_has_the_term_its_courses_and_their_students(desk: World) -> None:
    rows = events(desk, term="2026FA")
    assert {row["term"] for row in rows} == {"2026FA"}
    assert [row["action"] for row in rows] == ["created", "created", "enroll", "enroll", "enroll"]
    own = events(desk, student="S1", term="2026FA")
    assert [row["action"] for row in own] == ["created", "enroll"]


def test_the_newest_are_shown_of_both_kinds_together(desk: World) -> None:
    desk.course("CS101", term="2026FA", capacity=2)
    assert [row["action"] for row in events(desk, course="2026FA/CS101", limit=2)] == [
        "changed", "promote",
    ]  # fmt: skip
    assert [row["action"] for row in events(desk, course="2026FA/CS101", limit=1)] == ["promote"]


def test_data_has_the_same_columns_whatever_an_operation_did(desk: World, command: Run) -> None:
    desk.course("CS101", term="2026FA", capacity=2)
    numbers = range(1, last_operation(desk) + 1)
    heads = {
        command("history", str(number), "--format", "tsv", database=desk.url).stdout.splitlines()[0]
        for number in numbers
    }
    assert len(heads) == 1
    rows = json.loads(
        command("history", str(numbers[-1]), "--format", "json", database=desk.url).stdout
    )
    assert [(row["course"], row["student"], row["changes"]) for row in rows] == [
        (COURSE, None, "capacity: 1 → 2"),
        (COURSE, "S2", None),
    ]


def test_people_see_one_table_and_are_told_that_there_is_more(desk: World, command: Run) -> None:
    desk.course("CS101", term="2026FA", capacity=3)
    number = str(last_operation(desk))
    shown = command("history", number, "--format", "table", "--limit", "3", database=desk.url)
    heading, *lines = shown.stdout.splitlines()
    assert heading.split() == ["No.", "Effective", "Student", "Course", "Action", "Change", "Who"]
    assert ["capacity: 1 → 3" in lines[0], "S2" in lines[1], "S3" in lines[2]] == [True] * 3
    assert shown.stderr == ""
    cut = command("history", number, "--limit", "2", database=desk.url)
    assert len(cut.stdout.splitlines()) == 3
    assert cut.stderr == "these are the newest 2; --limit NUMBER shows more\n"

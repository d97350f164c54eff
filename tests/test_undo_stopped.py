"""Undo of what does not fit any more: it is told, and never breaks what is there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from studentcli.services.cancelling import cancel_course
from studentcli.services.undoing import Undone
from tests.test_undoing import full, newest, tables, undo
from tests.world import World

__all__ = ["full"]


def rows_of(world: World, query: str) -> list[Any]:
    with world.database.connect(writes=False) as connection:
        return list(connection.execute(text(query)))


def refused_by(undone: Undone) -> list[tuple[str | None, str]]:
    return [(row["student"], row["code"]) for row in undone.blocked]


def test_a_new_record_never_gets_the_past_of_one_that_an_undo_removed(
    world: World, command: Callable[..., Any]
) -> None:
    world.student("S1")
    added = newest(world)
    world.course("A")
    undo(world, world.submit("enroll", "S1", "A").operation_id)
    undo(world, added)
    world.student("S2", email="two@example.org")
    second = newest(world)

    story = command("history", "--student", "S2", "--format", "json", database=world)
    undone = undo(world, second)

    assert [row["action"] for row in json.loads(story.stdout)] == ["created"]
    assert undone.result == "undone"
    assert undo(world, undone.operation_id).result == "undone"
    assert [row[0] for row in rows_of(world, "SELECT student_number FROM students")] == ["S2"]


@pytest.mark.parametrize("kind", ["course", "term", "hold", "override"])
def test_no_kind_of_record_gets_the_number_of_one_that_an_undo_removed(
    world: World, kind: str
) -> None:
    world.student("S1")
    world.course("A")
    make: dict[str, Callable[[str], Any]] = {
        "course": world.course,
        "term": world.term,
        "hold": lambda name: world.hold("S1", reason=name),
        "override": lambda _: world.override("S1", "A", "credit-load"),
    }
    make[kind]("one")
    first = rows_of(world, f"SELECT max(id) FROM {kind}s")[0][0]
    undo(world, newest(world))
    make[kind]("two")
    assert rows_of(world, f"SELECT max(id) FROM {kind}s")[0][0] > first


def test_a_date_that_would_end_before_it_begins_now_stays(world: World) -> None:
    world.term("T", enroll_from="2026-09-01", enroll_until="2026-09-30")
    world.term("T", enroll_until="2026-10-31")
    later = newest(world)
    world.term("T", enroll_from="2026-10-15")
    before = tables(world)
    stopped = undo(world, later)
    assert (stopped.result, refused_by(stopped)) == ("refused", [(None, "changed-since")])
    assert "is before" in stopped.blocked[0]["message"]
    assert undo(world, later, skip_changed=True).result == "refused"
    assert tables(world) == before


def test_a_requirement_that_would_lead_back_to_its_course_stays(world: World) -> None:
    world.course("A", "B")
    world.course("A", requires="B")
    world.course("A", requires="-")
    cleared = newest(world)
    world.course("B", requires="A")
    stopped = undo(world, cleared)
    assert "nobody can meet" in stopped.blocked[0]["message"]


def test_requirements_that_one_file_has_turned_round_are_turned_back_together(
    world: World,
) -> None:
    world.course("A", "B")
    world.course("A", requires="B")
    before = tables(world)
    world.import_csv("course,requires\nA,-\nB,A\n")
    undone = undo(world, newest(world))
    assert undone.result == "undone", undone.blocked
    assert tables(world) == before


def test_a_course_is_not_cancelled_again_over_those_who_came_since(full: World) -> None:
    full.database.write(lambda session: cancel_course(session, "A", full.act("course-cancel")))
    opened = undo(full, newest(full)).operation_id
    full.student("S4")
    full.one("enroll", "S4", "A")
    stopped = undo(full, opened)
    assert "has students since" in stopped.blocked[0]["message"]
    undo(full, opened, skip_changed=True)
    assert full.idle_seats() == []


def test_a_seat_that_is_reserved_for_others_by_now_stops_it(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", capacity=2, reserved="honors=1")
    world.one("enroll", "S1", "A")
    dropped = world.submit("drop", "S1", "A")
    world.one("enroll", "S2", "A")
    stopped = undo(world, dropped.operation_id)
    assert refused_by(stopped) == [("S1", "seat-reserved")]
    world.student("S1", tags="honors")
    assert undo(world, dropped.operation_id).result == "undone"


@pytest.mark.parametrize("limit", [{"capacity": 1}, {"reserved": "honors=1"}])
def test_a_seat_that_an_edit_has_taken_away_since_stops_it(
    world: World, limit: dict[str, Any]
) -> None:
    world.student("S1", "S2")
    world.course("A", capacity=2)
    world.one("enroll", "S2", "A")
    world.one("enroll", "S1", "A")
    dropped = world.submit("drop", "S1", "A")
    world.course("A", **limit)
    edited = newest(world)
    code = "course-full" if "capacity" in limit else "seat-reserved"
    assert refused_by(undo(world, dropped.operation_id)) == [("S1", code)]
    undo(world, edited)
    assert undo(world, dropped.operation_id).result == "undone"


def test_two_swaps_that_give_up_one_course_do_not_come_back_together(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", "B", "C", capacity=1, waitlist=5)
    world.submit("enroll", "S1", "B", "C")
    world.submit("enroll", "S2", "A")
    world.one("enroll", "S2", "B", instead_of="A")
    left = world.submit("drop", "S2", "B")
    second = world.one("enroll", "S2", "C", instead_of="A")
    assert second.result == "waitlisted"
    stopped = undo(world, left.operation_id)
    assert refused_by(stopped) == [("S2", "changed-since")]
    assert stopped.blocked[0]["message"] == "waits for ALL/C-1 instead of ALL/A-1 now"


def test_courses_that_were_given_together_go_back_together(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", "B", capacity=1, waitlist=5)
    world.course("A", corequisites="B")
    world.course("B", corequisites="A")
    for number in ("S1", "S2"):
        world.submit("enroll", number, "A", "B")
    before = tables(world)
    dropped = world.submit("drop", "S1", "A", "B")
    assert len(dropped.promotions) == 2
    after = tables(world)
    undone = undo(world, dropped.operation_id)
    assert (tables(world), undone.promotions) == (before, [])
    undo(world, undone.operation_id)
    assert tables(world) == after
    assert world.idle_seats() == []


def test_a_seat_by_an_override_in_one_step_goes_back_and_comes_again(full: World) -> None:
    full.student("S4")
    before = tables(full)
    made = full.submit("enroll", "S4", "A", overrides=frozenset({"course-full"}), reason="dean")
    assert full.statuses()["S4", "ALL/A-1"] == "enrolled"
    after = tables(full)
    undone = undo(full, made.operation_id)
    assert tables(full) == before
    undo(full, undone.operation_id)
    assert tables(full) == after


def test_what_a_moved_term_has_left_behind_comes_back_when_nothing_came_after(
    world: World,
) -> None:
    world.term("T", enroll_from="2026-09-01", enroll_until="2026-12-31")
    world.course("A", term="T", enroll_from="2026-11-01")
    world.term("T", enroll_until="2026-10-01")
    before = tables(world)
    world.course("A", term="T", enroll_from="-")
    undone = undo(world, newest(world))
    assert (undone.result, tables(world)) == ("undone", before)


def test_a_window_that_a_moved_term_would_close_for_good_stays(world: World) -> None:
    world.term("T", enroll_from="2026-09-01", enroll_until="2026-12-31")
    world.course("A", term="T", enroll_from="2026-11-01")
    world.course("A", term="T", enroll_from="-")
    opened = newest(world)
    world.term("T", enroll_until="2026-10-01")
    stopped = undo(world, opened)
    assert "2026-10-01 of T is before enroll_from 2026-11-01" in stopped.blocked[0]["message"]


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_places_that_changed_hands_go_back_however_many_are_read_at_once(
    world: World, at_once: int
) -> None:
    students = [f"S{number}" for number in range(6)]
    world.student(*students)
    world.course("A", capacity=1, waitlist=9)
    for number in students[:4]:
        world.one("enroll", number, "A")
    before = tables(world)
    rows = "".join(f"drop,{s},A\nenroll,{s},A\n" for s in (students[3], students[2], students[1]))
    world.import_csv("action,student,course\n" + rows + f"enroll,{students[5]},A\ndrop,S0,A\n")
    after = tables(world)
    undone = undo(world, newest(world), at_once=at_once)
    assert tables(world) == before
    undo(world, undone.operation_id, at_once=at_once)
    assert tables(world) == after

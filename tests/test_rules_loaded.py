"""What the rules read is loaded: nothing that a rule needs stays in the tables, on each engine."""

from collections.abc import Callable

import pytest

from studentcli.requests import Change, CourseWord, Request
from tests.situations import grant, place_hold
from tests.world import World


def together(world: World) -> None:
    world.student("S1")
    world.course("LAB")
    world.course("CS101", corequisites="LAB")
    world.submit("enroll", "S1", "CS101", "LAB").require()


@pytest.mark.parametrize("action", ["drop", "withdraw"])
def test_leaving_a_plain_course_warns_of_what_is_taken_together_with_it(
    world: World, action: str
) -> None:
    together(world)
    outcome = world.one(action, "S1", "LAB")
    assert not outcome.is_refused
    assert "ALL/CS101-1" in str(outcome.warning)


def test_strict_refuses_to_leave_a_plain_course_that_another_is_taken_with(world: World) -> None:
    together(world)
    refused = world.submit("drop", "S1", "LAB", strict=True).refused
    assert [refusal.code for refusal in refused[0].refusals] == ["corequisite-missing"]


def test_a_file_of_drops_warns_as_a_command_does(world: World) -> None:
    together(world)
    _, decisions = world.import_csv("action,student,course\ndrop,S1,LAB\n")
    assert "ALL/CS101-1" in str(decisions[0].outcomes[0].warning)


def test_a_course_that_gets_a_capacity_counts_who_sits_there_before_its_queue_moves(
    world: World,
) -> None:
    world.student("S1", "S2", "S3")
    world.student("Q1", max_credits=2)
    world.course("CS101", capacity=1, waitlist=9, credits=3)
    for number in ("S1", "Q1"):
        world.submit("enroll", number, "CS101").require()
    world.course("CS101", capacity="-")
    for number in ("S2", "S3"):
        assert world.one("enroll", number, "CS101").result == "enrolled"
    world.course("CS101", capacity=2, credits=1)
    assert world.statuses()["Q1", "ALL/CS101-1"] == "waitlisted"
    world.course("CS101", capacity=4)
    assert world.statuses()["Q1", "ALL/CS101-1"] == "enrolled"


def test_fewer_credit_hours_of_a_course_let_its_students_move_up_elsewhere(world: World) -> None:
    """What a sum of hours was is remembered, and is that of other hours."""
    world.student("S1", "S2")
    world.term("T1", max_credits="10")
    world.course("X", term="T1", credits="8")
    world.course("Z", term="T1", credits="7", capacity="1", waitlist="5")
    for action, number, ref in (
        ("enroll", "S2", "T1/Z"), ("enroll", "S1", "T1/X"), ("enroll", "S1", "T1/Z"),
        ("drop", "S2", "T1/Z"),
    ):  # fmt: skip
        world.one(action, number, ref)
    assert world.statuses()["S1", "T1/Z-1"] == "waitlisted"

    world.course("X", term="T1", credits="3")

    assert world.statuses()["S1", "T1/Z-1"] == "enrolled"
    world.course("E", term="T1", credits="8")
    world.course("F", term="T1", credits="7")
    decision = world.submit("enroll", "S2", "T1/E", "T1/F")
    assert [outcome.result for outcome in decision.outcomes] == ["enrolled", "refused"]


@pytest.mark.parametrize(
    ("tags", "wanted"), [("honors", "enrolled"), ("honors2", "refused"), ("-", "refused")]
)
def test_reserved_seats_are_counted_by_whole_tags(world: World, tags: str, wanted: str) -> None:
    world.student("S1", tags=f"level:senior {tags} x" if tags != "-" else "-")
    world.student("S2")
    world.course("CS101", capacity=2, reserved="honors=1; level:junior=9 until 2026-10-04")
    world.submit("enroll", "S1", "CS101").require()
    assert world.one("enroll", "S2", "CS101").result == wanted


# ── what is loaded about those who wait ──


def _held(world: World) -> None:
    place_hold(world, "add", "Q1")


def _inactive(world: World) -> None:
    world.student("Q1", status="inactive")


def _restricted(world: World) -> None:
    world.student("Q2", tags="honors")
    world.course("CS101", restricted="honors")


def _reserved(world: World) -> None:
    world.student("Q2", tags="honors")
    world.course("CS101", reserved="honors=1")


def _in_conflict(world: World) -> None:
    world.course("ART", meetings="M 10:30-11:30")
    world.submit("enroll", "Q1", "ART").require()


def _loaded(world: World) -> None:
    world.course("ART", credits=16)
    world.student("Q1", "Q2", max_credits=18)
    world.submit("enroll", "Q1", "ART").require()


def _without_prerequisite(world: World) -> None:
    world.term("OLD")
    world.course("MATH", term="OLD")
    for number, grade in (("Q1", "D"), ("Q2", "C")):
        world.submit("enroll", number, "OLD/MATH").require()
        world.submit("complete", number, "OLD/MATH", grade=grade).require()
    world.course("CS101", requires="MATH:C")


def _alone(world: World) -> None:
    world.course("LAB")
    world.submit("enroll", "Q2", "LAB").require()
    world.course("CS101", corequisites="LAB")


def _repeating(world: World) -> None:
    world.term("OLD")
    world.course("CS101", term="OLD")
    world.submit("enroll", "Q1", "OLD/CS101").require()
    world.submit("complete", "Q1", "OLD/CS101", grade="A").require()
    world.course("CS101", repeats=0)


def _in_another_section(world: World) -> None:
    world.course("CS101", section="2")
    world.submit("enroll", "Q1", "ALL/CS101-2").require()


BLOCKS = {
    "hold": _held,
    "student-inactive": _inactive,
    "restricted": _restricted,
    "seat-reserved": _reserved,
    "time-conflict": _in_conflict,
    "credit-load": _loaded,
    "prerequisite-missing": _without_prerequisite,
    "corequisite-missing": _alone,
    "repeat-limit": _repeating,
    "duplicate-section": _in_another_section,
}


@pytest.mark.parametrize(("code", "block"), BLOCKS.items(), ids=BLOCKS)
def test_whoever_a_rule_blocks_is_passed_over_when_somebody_else_leaves(
    world: World, code: str, block: Callable[[World], None]
) -> None:
    ref = "ALL/CS101-1"
    world.student("S1", "Q1", "Q2")
    world.course("CS101", capacity=1, waitlist=9, credits=3, meetings="M 10:00-11:00")
    for number in ("S1", "Q1", "Q2"):
        world.submit("enroll", number, ref).require()
    block(world)
    decision = world.submit("drop", "S1", ref)
    assert [promotion.student for promotion in decision.promotions] == ["Q2"]
    assert world.statuses()["Q1", ref] == "waitlisted"
    assert world.statuses()["Q2", ref] == "enrolled"
    passed = [(e[0], e[6]) for e in world.events()[ref] if e[1] == "pass-over"]
    assert passed == [("Q1", code)]

    grant(world, code, ref, "Q1")
    world.submit("drop", "Q2", ref).require()
    assert world.statuses()["Q1", ref] == "enrolled"


def test_a_swap_that_waited_is_made_when_somebody_else_leaves_and_its_old_queue_moves(
    world: World,
) -> None:
    world.student("S1", "S2", "Q1")
    world.course("OLD", "NEW", capacity=1, waitlist=9)
    for number, code in (("S1", "OLD"), ("S2", "NEW"), ("Q1", "OLD")):
        world.submit("enroll", number, code).require()
    swap = Change("enroll", CourseWord("NEW"), instead_of=CourseWord("OLD"))
    waits = world.submit_request(Request("S1", [swap])).outcomes[0]
    assert (waits.result, waits.instead_of) == ("waitlisted", "ALL/OLD-1")
    assert world.statuses()["S1", "ALL/OLD-1"] == "enrolled"
    decision = world.submit("drop", "S2", "NEW")
    assert [promotion.student for promotion in decision.promotions] == ["S1", "Q1"]
    assert world.statuses() == {
        ("S1", "ALL/OLD-1"): "dropped", ("S1", "ALL/NEW-1"): "enrolled",
        ("S2", "ALL/NEW-1"): "dropped", ("Q1", "ALL/OLD-1"): "enrolled",
    }  # fmt: skip

"""What the rules read is loaded: nothing that a rule needs stays in the tables, on each engine."""

import pytest

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


@pytest.mark.parametrize(
    ("tags", "wanted"), [("honors", "enrolled"), ("honors2", "refused"), ("-", "refused")]
)
def test_reserved_seats_are_counted_by_whole_tags(world: World, tags: str, wanted: str) -> None:
    world.student("S1", tags=f"level:senior {tags} x" if tags != "-" else "-")
    world.student("S2")
    world.course("CS101", capacity=2, reserved="honors=1; level:junior=9 until 2026-10-04")
    world.submit("enroll", "S1", "CS101").require()
    assert world.one("enroll", "S2", "CS101").result == wanted

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

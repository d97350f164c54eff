"""student list --under-load: a minimum load is told, never refused."""

import json

import pytest

from tests.conftest import Run
from tests.world import World


@pytest.fixture
def loads(world: World) -> World:
    """Give students with 0 (waiting only), 3, 4.5, 6 credits in a term, and one who is inactive."""
    world.term("T", starts_on="2026-09-01", ends_on="2099-12-18")
    world.course("A", term="T", credits=3)
    world.course("B", term="T", credits="1.5")
    world.course("C", term="T", credits=3)
    world.course("D", term="T", credits=9, capacity=0, waitlist=9)
    world.course("OLD", credits=30)
    world.student("S0", "S3", "S4", "S6", "S9", "SX")
    world.submit("enroll", "S0", "T/D").require()
    world.submit("enroll", "S3", "T/A", "T/D", "ALL/OLD").require()
    world.submit("enroll", "S4", "T/A", "T/B").require()
    world.submit("enroll", "S6", "T/A", "T/C").require()
    world.submit("complete", "S6", "T/C", grade="A").require()
    world.submit("enroll", "SX", "T/B").require()
    world.student("SX", status="inactive")
    return world


@pytest.mark.parametrize(
    ("least", "listed"),
    [("3", {}), ("4.5", {"S3": 3}), ("5", {"S3": 3, "S4": 4.5}), ("6", {"S3": 3, "S4": 4.5})],
)
def test_who_has_a_seat_and_fewer_hours_than_the_minimum_is_listed(
    loads: World, command: Run, least: str, listed: dict[str, float]
) -> None:
    asked = ("student", "list", "--under-load", least, "--format", "json")
    for term in (("--term", "T"), ()):  # the running one when none is named
        done = command(*asked, *term, database=loads)
        assert done.returncode == 0, done.stderr
        assert {row["student"]: float(row["load"]) for row in json.loads(done.stdout)} == listed


def test_an_unknown_term_and_another_filter_are_told(loads: World, command: Run) -> None:
    done = command("student", "list", "--under-load", "5", "--term", "X", database=loads)
    assert (done.returncode, "[unknown-term]" in done.stderr) == (3, True)
    done = command("student", "list", "--under-load", "5", "--search", "S", database=loads)
    assert (done.returncode, "stands alone" in done.stderr) == (2, True)

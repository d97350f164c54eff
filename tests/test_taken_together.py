"""Courses that ask for each other are given together: from a queue, and in one request."""

from datetime import timedelta
from itertools import product

import pytest

from studentcli.requests import Change, CourseWord, Policy, Request
from studentcli.services.checks import find_all
from studentcli.services.waitlists import run_waitlists, show_waitlist
from tests import ledger
from tests.conftest import Run
from tests.world import TODAY, World

REF = {"CHEM": "ALL/CHEM-1", "LAB": "ALL/LAB-1", "BIO": "ALL/BIO-1"}


def ask_for_each_other(world: World, capacity: int | None = 1, waitlist: int = 5) -> None:
    world.course("CHEM", "LAB", capacity=capacity, waitlist=waitlist)
    world.course("CHEM", corequisites="LAB")
    world.course("LAB", corequisites="CHEM")


def full(world: World, *waiting: str) -> None:
    """Both courses full, of S1, and a queue of those who wait in both."""
    world.student("S1", *waiting)
    ask_for_each_other(world)
    for student in ("S1", *waiting):
        assert not world.submit("enroll", student, "CHEM", "LAB").refused


def test_two_courses_that_ask_for_each_other_are_given_together_by_their_queues(
    world: World,
) -> None:
    full(world, "S2", "S3")

    dropped = world.submit("drop", "S1", "CHEM", "LAB")

    assert {(p.student, p.course) for p in dropped.promotions} == {
        ("S2", REF["CHEM"]), ("S2", REF["LAB"]),
    }  # fmt: skip
    assert len(dropped.promotions) == 2
    assert world.statuses()["S3", REF["LAB"]] == "waitlisted"
    assert world.idle_seats() == []


def test_the_second_of_two_seats_that_become_free_one_by_one_gives_both(world: World) -> None:
    full(world, "S2")

    first = world.submit("drop", "S1", "LAB")
    second = world.submit("drop", "S1", "CHEM")

    assert first.promotions == []
    assert [(p.student, p.course) for p in second.promotions] == [
        ("S2", REF["LAB"]), ("S2", REF["CHEM"]),
    ]  # fmt: skip


def test_three_courses_in_a_ring_are_given_together(world: World) -> None:
    world.student("S1", "S2")
    ring = {"CHEM": "LAB", "LAB": "BIO", "BIO": "CHEM"}
    world.course(*ring, capacity=1, waitlist=5)
    for code, other in ring.items():
        world.course(code, corequisites=other)
    for student in ("S1", "S2"):
        assert not world.submit("enroll", student, *ring).refused

    dropped = world.submit("drop", "S1", *ring)

    assert {p.course for p in dropped.promotions} == set(REF.values())
    assert world.idle_seats() == []


def test_of_two_courses_either_of_which_is_enough_the_one_that_fits_is_given(world: World) -> None:
    world.student("S1", "S2")
    world.course("BIO", "CHEM", "LAB", capacity=1, waitlist=5)
    assert not world.submit("enroll", "S1", "BIO", "CHEM", "LAB").refused
    world.course("BIO", meetings="M 10:00-11:00", corequisites="LAB")
    world.course("LAB", meetings="M 10:30-11:30", corequisites="BIO|CHEM")
    world.course("CHEM", corequisites="LAB")
    assert not world.submit("enroll", "S2", "BIO", "CHEM", "LAB").refused

    dropped = world.submit("drop", "S1", "BIO", "CHEM", "LAB")

    assert {p.course for p in dropped.promotions} == {REF["CHEM"], REF["LAB"]}
    assert world.statuses()["S2", REF["BIO"]] == "waitlisted"
    assert world.idle_seats() == []


def test_neither_of_two_courses_is_given_when_a_rule_forbids_one(world: World) -> None:
    full(world, "S2", "S3")
    world.course("LAB", restricted="major:CHEM")

    dropped = world.submit("drop", "S1", "CHEM", "LAB")

    assert dropped.promotions == []
    waiting = {key for key, status in world.statuses().items() if status == "waitlisted"}
    assert waiting == set(product(("S2", "S3"), (REF["CHEM"], REF["LAB"])))
    passed = [
        (student, ref) for ref, events in world.events().items() for student, action, *_ in events
        if action == "pass-over"
    ]  # fmt: skip
    assert len(passed) == len(set(passed)) == 4


QUEUES = ("empty", "blocked", "eligible")


@pytest.mark.parametrize(("chem", "lab"), list(product(QUEUES, QUEUES)))
@pytest.mark.parametrize("waitlist", [0, 5])
def test_a_request_for_two_courses_that_ask_for_each_other_gets_the_free_seats_of_both(
    world: World, chem: str, lab: str, waitlist: int
) -> None:
    world.student("S1", "S2", "S3", "S4")
    world.course("CHEM", "LAB", capacity=1, waitlist=5)
    for code, queue in (("CHEM", chem), ("LAB", lab)):
        if queue != "empty":
            world.submit("enroll", "S1", code)
            world.submit("enroll", "S2" if queue == "blocked" else "S3", code)
    ledger.place_hold(world, "S2", "add", TODAY.isoformat(), None)
    for code, queue in (("CHEM", chem), ("LAB", lab)):
        if queue != "empty":
            world.submit("drop", "S1", code)
        world.course(code, waitlist=waitlist)
    ask_again = {"CHEM": "LAB", "LAB": "CHEM"}
    for code, other in ask_again.items():
        world.course(code, corequisites=other)
    taken = "eligible" in {chem, lab}

    decision = world.submit("enroll", "S4", "CHEM", "LAB")

    results = {outcome.result for outcome in decision.outcomes}
    if not taken:
        assert results == {"enrolled"}
    elif waitlist == 0:
        assert results == {"refused"}
    else:
        assert results == {"waitlisted"}
    assert world.idle_seats() == []


def test_who_waits_for_one_of_two_courses_gets_the_free_seat_of_the_other_with_it(
    world: World,
) -> None:
    world.student("S1", "S2")
    ask_for_each_other(world)
    world.submit("enroll", "S1", "CHEM", "LAB")
    world.submit("enroll", "S2", "CHEM", "LAB")
    world.one("drop", "S2", "CHEM")
    world.submit("drop", "S1", "CHEM", "LAB")

    decision = world.submit("enroll", "S2", "CHEM")

    assert [outcome.result for outcome in decision.outcomes] == ["enrolled"]
    assert world.statuses()["S2", REF["LAB"]] == "enrolled"


def test_no_seat_becomes_two_by_swapping_one_course_for_two_others(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", "B", "C", capacity=1, waitlist=5)
    world.submit("enroll", "S1", "B", "C")
    world.submit("enroll", "S2", "A")
    first = world.one("enroll", "S2", "B", instead_of="A")

    second = world.one("enroll", "S2", "C", instead_of="A")

    assert first.result == "waitlisted"
    assert [refusal.code for refusal in second.refusals] == ["bad-value"]
    assert "waits for ALL/B-1 instead of ALL/A-1 already" in second.refusals[0].message


@pytest.mark.parametrize("order", [("CS201", "CS101"), ("CS101", "CS201")])
def test_a_course_of_the_same_request_is_in_progress_in_whatever_order_it_is_named(
    world: World, order: tuple[str, str]
) -> None:
    world.student("S1", "S2")
    world.course("CS101", "CS201", capacity=1)
    world.course("CS201", requires="CS101:in-progress")

    decision = world.submit("enroll", "S1", *order)

    assert [outcome.result for outcome in decision.outcomes] == ["enrolled", "enrolled"]
    refused = world.submit("enroll", "S2", *order)
    codes = {o.course: o.refusals[0].code for o in refused.outcomes}
    assert codes == {"ALL/CS101-1": "course-full", "ALL/CS201-1": "prerequisite-missing"}


def test_a_swap_that_has_to_wait_says_at_once_what_it_leaves_alone(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("CHEM", "LAB", "BIO", capacity=1, waitlist=5)
    world.course("LAB", corequisites="CHEM")
    world.submit("enroll", "S1", "CHEM", "LAB")
    world.submit("enroll", "S2", "BIO")

    warned = world.one("enroll", "S1", "BIO", instead_of="CHEM")
    world.one("drop", "S1", "BIO")
    strict = command("enroll", "S1", "BIO", "--instead-of", "CHEM", "--strict", database=world)

    assert warned.result == "waitlisted"
    assert "LAB" in (warned.warning or "")
    assert strict.returncode == 4
    assert "S1 stays in ALL/LAB-1" in strict.stderr
    assert "[corequisite-missing]" in strict.stderr


def test_a_swap_that_frees_a_seat_of_a_full_course_named_beside_it_gives_it_to_its_queue(
    world: World,
) -> None:
    world.student("S1", "S2", "S3", "S4")
    world.course("A", "O", capacity=1, waitlist=5)
    world.submit("enroll", "S1", "A")
    world.submit("enroll", "S2", "O")
    world.submit("enroll", "S3", "O")
    world.one("enroll", "S2", "A", instead_of="O")

    decision = world.submit_request(
        Request("S1", [Change("drop", CourseWord("A")), Change("enroll", CourseWord("O"))])
    )

    assert [outcome.result for outcome in decision.outcomes] == ["dropped", "waitlisted"]
    assert world.statuses()["S3", "ALL/O-1"] == "enrolled"


def test_seats_that_are_idle_only_together_are_told_and_given_by_a_run_of_one_queue(
    world: World,
) -> None:
    full(world, "S2")
    ledger.place_hold(world, "S2", "add", TODAY.isoformat(), TODAY.isoformat())
    world.submit("drop", "S1", "CHEM", "LAB")
    assert world.idle_seats() == []
    world.now += timedelta(days=1)

    with world.database.session(writes=False) as session:
        found = [f for f in find_all(session, Policy(world.now)) if f.check == "idle-seat"]
        _, (shown,) = show_waitlist(session, "CHEM", Policy(world.now))
    offered = world.database.write(
        lambda session: run_waitlists(session, ["CHEM"], world.act("waitlist-run"))
    )

    assert [finding.subject for finding in found] == [REF["CHEM"], REF["LAB"]]
    assert (shown["student"], shown["may_sit"]) == ("S2", "yes")
    assert [p.course for p in offered.promotions] == [REF["LAB"], REF["CHEM"]]
    assert offered.passed_over == []

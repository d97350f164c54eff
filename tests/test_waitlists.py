"""Queues: who joins, at which place, when the queue is run, and what it never does."""

from datetime import timedelta
from typing import Any

import pytest

from studentcli.records import COURSE, STUDENT, TERM
from studentcli.requests import Policy
from studentcli.services.waitlists import Capacity, simulate_waitlist
from tests import ledger
from tests.world import TODAY, World


@pytest.fixture
def queued(world: World) -> World:
    """S1 has the only seat of A; S2 and S3 wait."""
    world.student("S1", "S2", "S3", "S4", "S5")
    world.course("A", capacity=1, waitlist=5)
    for student in ("S1", "S2", "S3"):
        world.one("enroll", student, "A")
    return world


def places(world: World) -> dict[str, Any]:
    return {
        student: row[3] for (student, _), row in world.enrollments().items() if row[3] is not None
    }


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_place_is_one_more_than_the_last_that_waits_in_a_batch_too(
    queued: World, chunk: int
) -> None:
    queued.import_csv("action,student,course\ndrop,S3,A\nenroll,S4,A\n", chunk=chunk)
    assert places(queued) == {"S2": 1, "S4": 2}


def test_places_can_change_hands_within_one_chunk(queued: World) -> None:
    queued.one("enroll", "S4", "A")
    rows = ("drop,S3,A", "drop,S4,A", "enroll,S4,A", "enroll,S3,A", "enroll,S5,A")
    queued.import_csv("action,student,course\n" + "\n".join(rows) + "\n")
    assert places(queued) == {"S2": 1, "S4": 2, "S3": 3, "S5": 4}


@pytest.fixture
def frozen(world: World) -> World:
    """The window of term T is over; one student still waits for B, whose seats are all free."""
    world.student("S1", "S2", "S3")
    world.term("T", enroll_from=TODAY - timedelta(days=9))
    world.course("B", term="T", capacity=0, waitlist=1)
    world.one("enroll", "S1", "T/B")
    world.term("T", enroll_until=TODAY - timedelta(days=1))
    world.course("B", term="T", capacity=3)
    return world


@pytest.mark.parametrize(
    ("allow_waitlist", "code"), [(False, "course-full"), (True, "waitlist-full")]
)
def test_a_queue_that_cannot_move_takes_nobody_beyond_its_places(
    frozen: World, allow_waitlist: bool, code: str
) -> None:
    outcome = frozen.one("enroll", "S2", "T/B", allow_waitlist=allow_waitlist)
    assert [refusal.code for refusal in outcome.refusals] == ["window-closed", code]
    assert "belong to its queue of 1" in outcome.refusals[-1].message


def test_what_lets_nobody_in_runs_no_queue_and_writes_no_event(queued: World) -> None:
    queued.student("S2", "S3", status="inactive")
    queued.course("A", capacity=2)  # a free seat, and everybody who waits is blocked
    before = queued.count("enrollment_events")
    queued.import_csv("term,course,capacity\nALL,A,2\n")
    queued.save(COURSE, course="A", term="ALL", title="Another").require()
    queued.save(TERM, term="ALL", name="Everything").require()
    queued.save(STUDENT, student="S2", given_name="Ada").require()
    queued.one("complete", "S1", "A", grade="A")
    assert queued.count("enrollment_events") == before + 1


def test_a_full_waitlist_can_be_overridden(queued: World) -> None:
    queued.course("A", waitlist=2)
    assert queued.one("enroll", "S4", "A").refusals[0].code == "waitlist-full"
    allowed = {"overrides": frozenset({"waitlist-full"}), "reason": "as exported"}
    assert queued.one("enroll", "S4", "A", **allowed).status == "waitlisted"
    assert places(queued) == {"S2": 1, "S3": 2, "S4": 3}


@pytest.mark.parametrize(
    ("rule", "course", "window"),
    [
        ("course-closed", {"status": "closed"}, {}),
        ("window-closed", {}, {"enroll_until": TODAY - timedelta(days=1)}),
        ("window-closed", {"enroll_until": str(TODAY - timedelta(days=1))}, {}),
    ],
)
def test_an_override_lets_one_student_up_where_nobody_else_moves(
    queued: World, rule: str, course: dict[str, Any], window: dict[str, Any]
) -> None:
    queued.student("S4")
    queued.one("enroll", "S4", "A")
    if course:
        queued.course("A", **course)
    if window:
        queued.term("ALL", **window)
    queued.one("drop", "S1", "A", overrides=frozenset({"drop-deadline"}), reason="asked")
    assert "S3" in places(queued)
    events = queued.count("enrollment_events")

    ledger.grant(queued, "S3", "ALL/A-1", rule, None)

    assert queued.statuses()["S3", "ALL/A-1"] == "enrolled"
    assert places(queued).keys() == {"S2", "S4"}
    assert queued.count("enrollment_events") == events + 1  # the others were not considered
    assert queued.idle_seats() == []


def test_a_newcomer_with_an_override_takes_the_free_seat_of_a_closed_course(queued: World) -> None:
    queued.course("A", status="closed")
    queued.one("drop", "S1", "A")

    outcome = queued.one(
        "enroll", "S4", "A", overrides=frozenset({"course-closed"}), reason="the dean agrees"
    )

    assert (outcome.result, list(places(queued))) == ("enrolled", ["S2", "S3"])


def test_more_seats_of_a_closed_course_are_simulated_for_whom_an_override_lets_in(
    queued: World,
) -> None:
    queued.course("A", status="closed")
    ledger.grant(queued, "S3", "ALL/A-1", "course-closed", None)

    with queued.database.session(writes=False) as session:
        found = simulate_waitlist(session, "A", Capacity(1, is_more=True), Policy(queued.now))

    told = {row["student"]: (row["result"], row["rule"]) for row in found.rows}
    assert told == {"S2": ("waiting", "course-closed"), "S3": ("promoted", None)}

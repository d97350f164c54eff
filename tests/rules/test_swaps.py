"""Swaps: one course for another, whole or not at all; while waiting the old seat is kept."""

import json
from typing import Any

import pytest

from studentcli.facts import StudentFact
from tests.rules.registry import Registry, change, day, promoted, results, said


def swapping(**new: Any) -> tuple[Registry, int, int]:
    """Make a registry in which S1 is enrolled in OLD, beside NEW."""
    registry = Registry()
    old, course = registry.course("OLD", waitlist_capacity=9), registry.course("NEW", **new)
    registry.put(registry.s1, old, "enrolled")
    return registry, old, course


def states(registry: Registry, *course_ids: int) -> tuple[str | None, ...]:
    return tuple(registry.status(course_id) for course_id in course_ids)


def test_a_swap_takes_the_new_seat_and_gives_the_old_one_up() -> None:
    registry, old, course = swapping()
    outcome = registry.one("enroll", course, instead_of=old)
    assert (outcome.result, outcome.instead_of) == ("enrolled", "2026FA/OLD-1")
    assert states(registry, old, course) == ("dropped", "enrolled")
    assert [(e.action, e.course_id) for e in registry.events] == [("drop", old), ("enroll", course)]
    assert json.loads(str(registry.events[0].detail)) == {"swap_to": "2026FA/NEW-1"}


@pytest.mark.parametrize(
    "new",
    [{"status": "closed"}, {"capacity": 0}, {"restricted": "honors"}, {"requires": "CS101"}],
)
def test_a_refused_swap_keeps_the_old_seat(new: dict[str, Any]) -> None:
    registry, old, course = swapping(**new)
    assert registry.one("enroll", course, instead_of=old).is_refused
    assert states(registry, old, course) == ("enrolled", None)
    assert [event.action for event in registry.events] == ["enroll"]


def test_while_the_new_course_is_full_the_old_seat_is_kept_and_given_up_when_promoted() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    outcome = registry.one("enroll", course, instead_of=old)
    assert (outcome.result, outcome.instead_of) == ("waitlisted", "2026FA/OLD-1")
    assert states(registry, old, course) == ("enrolled", "waitlisted")
    decision = registry.ask(change("drop", course), student=holder)
    assert [(p.student, p.instead_of) for p in decision.promotions] == [("S1", "2026FA/OLD-1")]
    assert states(registry, old, course) == ("dropped", "enrolled")


def test_without_a_waitlist_wanted_a_full_course_refuses_the_swap() -> None:
    registry, old, course = swapping(capacity=0, waitlist_capacity=9)
    outcome = registry.one("enroll", course, instead_of=old, allow_waitlist=False)
    assert said(outcome) == "course-full"
    assert states(registry, old, course) == ("enrolled", None)


# ── the queue of the old course ──


def with_queue(registry: Registry, old: int) -> StudentFact:
    registry.facts.courses[old].capacity = 1
    return registry.queue(old, "Q1")[0]


def test_the_queue_of_the_old_course_gets_the_seat() -> None:
    registry, old, course = swapping()
    waiting = with_queue(registry, old)
    assert promoted(registry.ask(change("enroll", course, instead_of=old))) == ["Q1"]
    assert registry.status(old, waiting) == "enrolled"


def test_the_queue_of_the_old_course_gets_nothing_while_the_swap_waits_or_is_refused() -> None:
    ways: list[dict[str, Any]] = [{"capacity": 0, "waitlist_capacity": 9}, {"status": "closed"}]
    for new in ways:
        registry, old, course = swapping(**new)
        waiting = with_queue(registry, old)
        assert promoted(registry.ask(change("enroll", course, instead_of=old))) == []
        assert registry.status(old, waiting) == "waitlisted"


def test_a_promotion_that_ends_a_swap_lets_the_old_queue_move_in_the_same_request() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    registry.one("enroll", course, instead_of=old)
    with_queue(registry, old)
    decision = registry.ask(change("drop", course), student=holder)
    assert promoted(decision) == ["S1", "Q1"]


def test_two_students_who_wait_for_each_others_course_both_get_it() -> None:
    registry = Registry()
    a = registry.course("A", capacity=2, waitlist_capacity=9)
    b = registry.course("B", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(a, 1)
    other = registry.student("S2")
    registry.put(registry.s1, a, "enrolled")
    registry.put(other, b, "enrolled")
    assert registry.enroll(b, instead_of=a) == "waitlisted"
    assert registry.enroll(a, instead_of=b, student=other) == "waitlisted"
    registry.ask(change("drop", a), student=holder)
    assert (registry.status(b), registry.status(a, other)) == ("enrolled", "enrolled")
    assert (registry.status(a), registry.status(b, other)) == ("dropped", "dropped")


# ── the old course's own rules ──


@pytest.mark.parametrize(("last", "wanted"), [(0, "enrolled"), (-1, "drop-deadline")])
def test_the_drop_deadline_of_the_old_course_counts(last: int, wanted: str) -> None:
    registry, old, course = swapping()
    registry.facts.courses[old].drop_until = day(last)
    assert registry.enroll(course, instead_of=old) == wanted
    assert registry.status(old) == ("dropped" if wanted == "enrolled" else "enrolled")


def test_the_drop_deadline_of_the_new_course_does_not() -> None:
    registry, old, course = swapping(drop_until=day(-1))
    assert registry.enroll(course, instead_of=old) == "enrolled"


def test_an_overridden_drop_deadline_lets_the_swap_through_and_is_named() -> None:
    registry, old, course = swapping()
    registry.facts.courses[old].drop_until = day(-1)
    override = {"override": "drop-deadline", "reason": "dean"}
    assert registry.enroll(course, instead_of=old, **override) == "enrolled"
    assert '"overrides": ["drop-deadline"]' in str(registry.events[-1].detail)


def test_a_grant_for_the_old_course_lets_the_swap_through_and_is_named() -> None:
    registry, old, course = swapping()
    registry.facts.courses[old].drop_until = day(-1)
    number = registry.grant(registry.s1, old, "drop-deadline")
    assert registry.enroll(course, instead_of=old) == "enrolled"
    detail = json.loads(str(registry.events[-1].detail))
    assert detail == {"overrides": ["drop-deadline"], "granted": [number]}


def test_a_swap_that_waits_over_the_drop_deadline_is_passed_over_and_keeps_both() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    registry.one("enroll", course, instead_of=old)
    registry.facts.courses[old].drop_until = day(-1)
    assert promoted(registry.ask(change("drop", course), student=holder)) == []
    assert states(registry, old, course) == ("enrolled", "waitlisted")
    assert ("pass-over", "S1", "drop-deadline") in registry.steps()


def test_a_hold_that_blocks_adding_and_dropping_is_named_once() -> None:
    registry, old, course = swapping()
    registry.hold(registry.s1, day(-1), blocks="add-drop")
    assert registry.enroll(course, instead_of=old) == "hold"


def test_a_place_in_the_old_queue_can_be_swapped_whatever_the_deadline() -> None:
    registry, _, course = swapping()
    full = registry.course("FULL", capacity=0, waitlist_capacity=9, drop_until=day(-1))
    registry.put(registry.s1, full, "waitlisted")
    assert registry.enroll(course, instead_of=full) == "enrolled"
    assert registry.status(full) == "dropped"


# ── nothing to give up ──


@pytest.mark.parametrize("status", [None, "dropped", "withdrawn", "completed"])
def test_what_the_student_is_not_in_cannot_be_given_up(status: str | None) -> None:
    registry, _, course = swapping()
    other = registry.course("OTHER")
    if status:
        registry.put(registry.s1, other, status)
    assert registry.enroll(course, instead_of=other) == "not-enrolled"
    assert states(registry, other, course) == (status, None)


def test_a_course_cannot_be_swapped_for_itself() -> None:
    registry, old, _ = swapping()
    assert registry.enroll(old, instead_of=old) == "bad-value"
    assert registry.status(old) == "enrolled"


def test_a_swap_asked_for_again_is_unchanged() -> None:
    registry, old, course = swapping()
    registry.one("enroll", course, instead_of=old)
    events = len(registry.events)
    assert registry.enroll(course, instead_of=old) == "unchanged"
    assert len(registry.events) == events


def test_who_left_the_old_course_while_waiting_is_promoted_all_the_same() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    registry.one("enroll", course, instead_of=old)
    registry.one("withdraw", old)
    assert promoted(registry.ask(change("drop", course), student=holder)) == ["S1"]
    assert states(registry, old, course) == ("withdrawn", "enrolled")


def test_leaving_the_queue_ends_the_swap_and_keeps_the_old_seat() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    registry.fill(course, 1)
    registry.one("enroll", course, instead_of=old)
    registry.one("drop", course)
    assert states(registry, old, course) == ("enrolled", "dropped")
    registry.facts.courses[course].capacity = 9
    assert registry.enroll(course) == "enrolled"
    assert registry.status(old) == "enrolled"


# ── what the old course took ──


def test_a_swap_is_judged_as_if_the_old_course_were_gone() -> None:
    times = "M 10:00-11:00"
    registry, old, course = swapping(meetings=times, requires="OLD:in-progress")
    registry.facts.courses[old].meet(registry.facts.courses[course].meetings)
    assert registry.enroll(course, instead_of=old) == "prerequisite-missing"
    assert registry.enroll(course) == "time-conflict"


def test_the_seat_that_is_given_up_can_be_the_one_that_the_new_course_needs() -> None:
    registry = Registry()
    one, two = registry.course("CS101", "1"), registry.course("CS101", "2", repeats=0)
    registry.put(registry.s1, one, "enrolled")
    assert registry.enroll(two, instead_of=one) == "enrolled"


# ── in a request ──


def test_all_or_none_takes_a_swap_back_whole() -> None:
    registry, old, course = swapping()
    waiting = with_queue(registry, old)
    closed = registry.course("ART", status="closed")
    decision = registry.ask(
        change("enroll", course, instead_of=old), change("enroll", closed), all_or_none=True
    )
    assert results(decision) == ["not-applied", "course-closed"]
    assert states(registry, old, course) == ("enrolled", None)
    assert registry.status(old, waiting) == "waitlisted"
    assert (registry.facts.changed, promoted(decision)) == ({}, [])


def test_a_swap_with_all_or_none_goes_through_when_nothing_is_refused() -> None:
    registry, old, course = swapping()
    other = registry.course("ART")
    decision = registry.ask(
        change("enroll", other), change("enroll", course, instead_of=old), all_or_none=True
    )
    assert results(decision) == ["enrolled", "enrolled"]
    assert states(registry, old, course) == ("dropped", "enrolled")


def test_one_course_cannot_be_given_up_twice_in_a_request() -> None:
    registry, old, course = swapping()
    other = registry.course("ART")
    decision = registry.ask(
        change("enroll", course, instead_of=old), change("enroll", other, instead_of=old)
    )
    assert results(decision) == ["enrolled", "not-enrolled"]


def test_a_swap_through_a_queue_of_the_blocked_is_made_at_once() -> None:
    registry, old, course = swapping(capacity=1, waitlist_capacity=9)
    registry.queue(course, "Q1", status="inactive")
    waiting = with_queue(registry, old)
    waiting.number = "Q9"
    decision = registry.ask(change("enroll", course, instead_of=old))
    assert results(decision) == ["enrolled"]
    assert states(registry, old, course) == ("dropped", "enrolled")
    assert promoted(decision) == ["S1", "Q9"]


def test_two_swaps_in_one_request_see_each_others_seats() -> None:
    registry = Registry()
    a, b, c = (registry.course(code) for code in "ABC")
    registry.put(registry.s1, a, "enrolled")
    decision = registry.ask(change("enroll", b, instead_of=a), change("enroll", c, instead_of=b))
    assert results(decision) == ["enrolled", "enrolled"]
    assert states(registry, a, b, c) == ("dropped", "dropped", "enrolled")

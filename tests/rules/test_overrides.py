"""Overrides: in one step or granted, used only when needed, and the event says which."""

import json
from typing import Any

import pytest

from tests.rules.registry import Registry, change, day, promoted, said


def detail(registry: Registry, action: str = "enroll") -> dict[str, Any]:
    """Give what the last event of an action keeps beside its columns."""
    found = [event.detail for event in registry.events if event.action == action][-1]
    return {} if found is None else dict(json.loads(found))


# ── in one step ──


def test_one_step_names_in_the_event_only_what_was_needed_and_why() -> None:
    registry = Registry()
    course = registry.course("CS201", requires="CS101", meetings="M 10:00-11:00")
    asked = "prerequisite-missing time-conflict credit-load course-full"
    assert registry.enroll(course, override=asked, reason="dean") == "enrolled"
    assert detail(registry) == {"reason": "dean", "overrides": ["prerequisite-missing"]}


def test_one_step_that_was_not_needed_leaves_no_trace_but_the_reason() -> None:
    registry = Registry()
    course = registry.course("CS201")
    assert registry.enroll(course, override="hold course-full", reason="dean") == "enrolled"
    assert detail(registry) == {"reason": "dean"}


def test_an_override_of_one_rule_leaves_the_others_standing() -> None:
    registry = Registry()
    course = registry.course("CS201", requires="CS101", status="closed")
    assert registry.enroll(course, override="course-closed") == "prerequisite-missing"
    assert registry.enroll(course, override="prerequisite-missing") == "course-closed"


@pytest.mark.parametrize("action", ["enroll", "drop"])
def test_an_overridden_withdrawal_is_named_in_the_event(action: str) -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.put(registry.s1, course, "withdrawn")
    outcome = registry.one(action, course, override="already-withdrawn", reason="dean")
    assert not outcome.is_refused
    assert detail(registry, action) == {"reason": "dean", "overrides": ["already-withdrawn"]}


@pytest.mark.parametrize(
    ("action", "field", "code"),
    [("drop", "drop_until", "drop-deadline"), ("withdraw", "withdraw_until", "withdraw-deadline")],
)
def test_a_deadline_can_be_overridden(action: str, field: str, code: str) -> None:
    registry = Registry()
    late: dict[str, Any] = {field: day(-1)}
    course = registry.course("CS101", **late)
    registry.put(registry.s1, course, "enrolled")
    registry.grant(registry.s1, course, code)
    assert not registry.one(action, course).is_refused
    assert detail(registry, action) == {"overrides": [code], "granted": [500]}


# ── granted ──


@pytest.mark.parametrize(("until", "is_allowed"), [(None, True), (0, True), (9, True), (-1, False)])
def test_a_grant_counts_to_the_end_of_its_last_day(until: int | None, *, is_allowed: bool) -> None:
    registry = Registry()
    course = registry.course("CS101", status="closed")
    end = None if until is None else day(until)
    number = registry.grant(registry.s1, course, "course-closed", end)
    assert registry.enroll(course) == ("enrolled" if is_allowed else "course-closed")
    if is_allowed:
        assert detail(registry) == {"overrides": ["course-closed"], "granted": [number]}


def test_a_grant_is_for_one_student_in_one_course() -> None:
    registry = Registry()
    course = registry.course("CS101", status="closed")
    other = registry.course("CS102", status="closed")
    registry.grant(registry.s1, course, "course-closed")
    assert registry.enroll(other) == "course-closed"
    assert registry.enroll(course, student=registry.student("S2")) == "course-closed"
    assert registry.enroll(course) == "enrolled"


def test_of_several_grants_the_event_names_those_that_were_needed_and_still_counted() -> None:
    registry = Registry()
    course = registry.course("CS101", status="closed", restricted="honors")
    registry.grant(registry.s1, course, "course-closed", day(-1))
    wanted = [registry.grant(registry.s1, course, rule) for rule in ("restricted", "course-closed")]
    registry.grant(registry.s1, course, "time-conflict")
    assert registry.enroll(course) == "enrolled"
    used = detail(registry)
    assert used == {"overrides": ["course-closed", "restricted"], "granted": wanted}


def test_what_one_step_allows_anyhow_uses_up_no_grant() -> None:
    registry = Registry()
    course = registry.course("CS101", status="closed")
    registry.grant(registry.s1, course, "course-closed")
    assert registry.enroll(course, override="course-closed", reason="dean") == "enrolled"
    assert detail(registry) == {"reason": "dean", "overrides": ["course-closed"]}


def test_a_grant_that_is_not_needed_leaves_no_trace() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1)
    registry.grant(registry.s1, course, "course-full")
    assert registry.enroll(course) == "enrolled"
    assert detail(registry) == {}


# ── a seat beyond the capacity ──


@pytest.mark.parametrize("how", ["one step", "granted"])
@pytest.mark.parametrize("places", [0, 9])
def test_course_full_gives_a_seat_beyond_the_capacity_not_a_place(how: str, places: int) -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=places)
    registry.fill(course, 1)
    if how == "granted":
        registry.grant(registry.s1, course, "course-full")
    override = {"override": "course-full", "reason": "dean"} if how == "one step" else {}
    assert registry.enroll(course, **override) == "enrolled"
    assert detail(registry)["overrides"] == ["course-full"]
    assert registry.facts.courses[course].taken == 2


def test_course_full_passes_those_who_wait() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=9)
    registry.fill(course, 1)
    registry.queue(course, "Q1", "Q2")
    assert registry.enroll(course, override="course-full", reason="dean") == "enrolled"
    assert len(registry.facts.courses[course].queue) == 2


def test_the_seat_beyond_the_capacity_is_not_given_on_when_it_becomes_free() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=9)
    registry.fill(course, 1)
    registry.queue(course, "Q1")
    registry.enroll(course, override="course-full", reason="dean")
    outcome = registry.one("drop", course)
    assert outcome.result == "dropped"
    assert registry.facts.courses[course].taken == 1
    assert "promote" not in {event.action for event in registry.events}


def test_course_full_is_not_used_where_the_queue_gives_the_free_seat_anyhow() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=2, waitlist_capacity=9)
    registry.fill(course, 1)
    registry.queue(course, "Q1", status="inactive")
    assert registry.enroll(course, override="course-full", reason="dean") == "enrolled"
    assert all("overrides" not in str(event.detail) for event in registry.events)


@pytest.mark.parametrize(
    ("override", "wanted"),
    [("waitlist-full", "waitlisted"), ("course-full", "enrolled"), ("hold", "waitlist-full")],
)
def test_a_full_queue_is_overridden_by_its_own_rule(override: str, wanted: str) -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=1)
    registry.fill(course, 1)
    registry.queue(course, "Q1")
    assert registry.enroll(course, override=override, reason="dean") == wanted


@pytest.mark.parametrize("until", [None, 0, -1])
def test_a_granted_seat_is_given_to_who_waits_when_the_queue_is_run(until: int | None) -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=9)
    registry.fill(course, 1)
    first, second = registry.queue(course, "Q1", "Q2")
    end = None if until is None else day(until)
    number = registry.grant(second, course, "course-full", end)
    third = registry.student("Q3")
    assert registry.enroll(course, student=third) == "waitlisted"
    assert registry.status(course, first) == "waitlisted"
    is_in = registry.status(course, second) == "enrolled"
    assert is_in == (until != -1)
    if is_in:
        wanted = {"overrides": ["course-full"], "granted": [number]}
        assert detail(registry, "promote") == wanted


# ── what waits ──


def test_a_rule_that_counts_for_a_seat_only_is_not_used_up_by_a_place() -> None:
    registry = Registry()
    course = registry.course("CS101", meetings="M 10:00-11:00", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    other = registry.course("ART", meetings="M 10:00-11:00")
    registry.put(registry.s1, other, "enrolled")
    number = registry.grant(registry.s1, course, "time-conflict")
    assert registry.enroll(course) == "waitlisted"
    assert detail(registry) == {}
    registry.one("drop", course, student=holder)
    assert registry.status(course) == "enrolled"
    wanted = {"overrides": ["time-conflict"], "granted": [number]}
    assert detail(registry, "promote") == wanted


def test_one_step_counts_for_the_seat_that_the_queue_gives_in_the_same_request() -> None:
    registry = Registry()
    course = registry.course("CS101", requires="MATH", capacity=1, waitlist_capacity=9)
    registry.queue(course, "Q1", status="inactive")
    outcome = registry.one("enroll", course, override="prerequisite-missing", reason="dean")
    assert (said(outcome), registry.status(course)) == ("enrolled", "enrolled")
    assert detail(registry, "promote") == {
        "reason": "dean",
        "overrides": ["prerequisite-missing"],
    }


def test_one_step_counts_only_once_a_later_promotion_needs_a_grant() -> None:
    registry = Registry()
    course = registry.course("CS101", requires="MATH", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    override = {"override": "prerequisite-missing", "reason": "dean"}
    assert registry.enroll(course, **override) == "waitlisted"
    assert promoted(registry.ask(change("drop", course), student=holder)) == []
    assert ("pass-over", "S1", "prerequisite-missing") in registry.steps()


# ── what outlasts the change ──


def test_who_waits_by_an_override_of_one_step_is_told_how_to_make_it_last() -> None:
    registry = Registry()
    other = registry.course("ART", meetings="M 10:00-11:00")
    course = registry.course("CS101", meetings="M 10:30-11:30", capacity=1, waitlist_capacity=9)
    registry.put(registry.s1, other, "enrolled")
    (first,) = registry.fill(course, 1)
    waits = registry.one("enroll", course, override="time-conflict hold", reason="dean")
    assert waits.result == "waitlisted"
    assert waits.warning == (
        "S1 waits for 2026FA/CS101-1; the override of time-conflict ends here and does not count"
        " when there is a seat: studentcli override grant S1 2026FA/CS101-1 --rule time-conflict"
        " --reason TEXT"
    )
    registry.one("drop", course, student=first)
    assert registry.status(course) == "waitlisted"


def test_an_override_that_gave_the_seat_or_is_on_record_needs_no_warning() -> None:
    registry = Registry()
    other = registry.course("ART", meetings="M 10:00-11:00")
    registry.put(registry.s1, other, "enrolled")
    free = registry.course("CS101", meetings="M 10:30-11:30")
    assert registry.one("enroll", free, override="time-conflict", reason="dean").warning is None
    full = registry.course("CS102", meetings="M 10:30-11:30", capacity=0, waitlist_capacity=9)
    registry.grant(registry.s1, full, "time-conflict")
    waits = registry.one("enroll", full, override="time-conflict", reason="dean")
    assert (waits.result, waits.warning) == ("waitlisted", None)

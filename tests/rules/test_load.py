"""How much fits into a term: hours of the week, credit hours, sections, repeats, waitlists."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.rules.registry import Registry, change, promoted

# ── time conflicts ──

FALL: dict[str, Any] = {"starts_on": date(2026, 9, 1), "ends_on": date(2026, 12, 18)}


@pytest.mark.parametrize(
    ("mine", "theirs", "conflict"),
    [
        ("M 10:00-11:00", "M 10:00-11:00", True),
        ("M 10:00-11:00", "M 11:00-12:00", False),  # back to back
        ("M 10:00-11:00", "M 09:00-10:00", False),
        ("M 10:00-11:00", "M 10:59-12:00", True),  # one minute
        ("M 10:00-11:00", "M 09:00-10:01", True),
        ("M 10:00-11:00", "M 10:15-10:45", True),  # inside
        ("M 10:15-10:45", "M 10:00-11:00", True),
        ("M 10:00-11:00", "T 10:00-11:00", False),
        ("MWF 10:00-11:00", "TR 10:00-11:00", False),
        ("MWF 10:00-11:00", "FS 10:30-12:00", True),  # one day in common
        ("U 23:00-24:00", "M 00:00-01:00", False),
        ("M 10:00-11:00; W 10:00-11:00", "W 10:30-10:40", True),
        ("M 10:00-11:00", "M 08:00-09:00; M 10:30-12:00", True),
        ("M 10:00-11:00", None, False),  # who never meets is never in the way
        (None, "M 10:00-11:00", False),
        ("M 10:00-11:00 2026-09-01..2026-10-15", "M 10:00-11:00 2026-10-16..2026-12-18", False),
        ("M 10:00-11:00 2026-09-01..2026-10-19", "M 10:00-11:00 2026-10-19..2026-12-18", True),
        # a week in common that has no Monday
        ("M 10:00-11:00 2026-09-01..2026-10-18", "M 10:00-11:00 2026-10-13..2026-12-18", False),
        ("M 10:00-11:00 2026-09-01..2026-10-15", "M 10:30-11:30", True),  # the term's own dates
        ("M 10:00-11:00 2026-12-19..2027-01-31", "M 10:30-11:30", False),  # after the term
        ("M 10:00-11:00 @A 1", "M 10:00-11:00 @B 2", True),  # whatever the room
    ],
)
def test_two_courses_conflict_when_they_meet_at_the_same_minute_of_a_day(
    mine: str | None, theirs: str | None, *, conflict: bool
) -> None:
    registry = Registry(**FALL)
    other = registry.course("ART", meetings=theirs)
    registry.put(registry.s1, other, "enrolled")
    course = registry.course("CS101", meetings=mine)
    assert registry.enroll(course) == ("time-conflict" if conflict else "enrolled")


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("enrolled", "time-conflict"),
        ("waitlisted", "enrolled"),
        ("dropped", "enrolled"),
        ("withdrawn", "enrolled"),
        ("completed", "enrolled"),
    ],
)
def test_only_a_course_that_is_attended_is_in_the_way(status: str, wanted: str) -> None:
    registry = Registry()
    other = registry.course("ART", meetings="M 10:00-11:00", waitlist_capacity=9)
    registry.put(registry.s1, other, status)
    assert registry.enroll(registry.course("CS101", meetings="M 10:30-11:30")) == wanted


@pytest.mark.parametrize(
    ("dates", "wanted"),
    [
        (FALL, "time-conflict"),
        ({"starts_on": date(2027, 1, 5), "ends_on": date(2027, 5, 1)}, "enrolled"),
        ({"starts_on": date(2026, 12, 14), "ends_on": date(2027, 5, 1)}, "time-conflict"),
        ({"starts_on": date(2026, 12, 15), "ends_on": date(2027, 5, 1)}, "enrolled"),
        ({}, "enrolled"),  # nobody can say that they ever meet
    ],
)
def test_courses_of_two_terms_conflict_only_where_their_dates_meet(
    dates: dict[str, Any], wanted: str
) -> None:
    registry = Registry(**FALL)
    registry.term("OTHER", **dates)
    other = registry.course("ART", term="OTHER", meetings="M 10:00-11:00")
    registry.put(registry.s1, other, "enrolled")
    assert registry.enroll(registry.course("CS101", meetings="M 10:00-11:00")) == wanted


def test_a_place_in_the_queue_is_given_and_the_conflict_counts_when_promoted() -> None:
    registry = Registry()
    course = registry.course("CS101", meetings="M 10:00-11:00", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    other = registry.course("ART", meetings="M 10:30-11:30")
    registry.put(registry.s1, other, "enrolled")
    assert registry.enroll(course) == "waitlisted"
    registry.queue(course, "Q2")
    registry.one("drop", course, student=holder)
    assert ("pass-over", "S1", "time-conflict") in registry.steps()
    assert ("promote", "Q2", None) in registry.steps()


def test_who_drops_what_was_in_the_way_is_promoted_at_once() -> None:
    registry = Registry()
    course = registry.course("CS101", meetings="M 10:00-11:00", capacity=1, waitlist_capacity=9)
    other = registry.course("ART", meetings="M 10:30-11:30")
    registry.put(registry.s1, other, "enrolled")
    registry.put(registry.s1, course, "waitlisted")
    assert promoted(registry.ask(change("drop", other))) == ["S1"]


def test_every_conflict_is_named_with_both_times() -> None:
    registry = Registry()
    for code, times in (("B", "W 09:00-11:00"), ("A", "M 10:30-11:30"), ("C", "T 10:00-11:00")):
        registry.put(registry.s1, registry.course(code, meetings=times), "enrolled")
    course = registry.course("CS101", meetings="MW 10:00-11:00")
    assert registry.one("enroll", course).refusals[0].message == (
        "2026FA/CS101-1 MW 10:00-11:00 overlaps 2026FA/A-1 (M 10:30-11:30),"
        " MW 10:00-11:00 overlaps 2026FA/B-1 (W 09:00-11:00)"
    )


# ── credit load ──


def loaded(hours: str, limit: str | None = None, own: str | None = None, **more: Any) -> Registry:
    """Make a registry in which S1 has so many hours already."""
    registry = Registry(max_credits=None if limit is None else Decimal(limit))
    registry.s1.max_credits = None if own is None else Decimal(own)
    other = registry.course("ART", credit_hours=hours, **more)
    registry.put(registry.s1, other, "enrolled")
    return registry


@pytest.mark.parametrize(
    ("has", "adds", "limit", "own", "wanted"),
    [
        ("15", "3", "18", None, "enrolled"),  # equal to the limit
        ("15", "3.01", "18", None, "credit-load"),
        ("15.01", "3", "18", None, "credit-load"),
        ("0.1", "0.2", "0.3", None, "enrolled"),  # exact decimals
        ("0", "18", "18", None, "enrolled"),
        ("0", "18.01", "18", None, "credit-load"),
        ("15", "99", None, None, "enrolled"),  # no limit
        ("15", "3", None, "18", "enrolled"),
        ("15", "4", None, "18", "credit-load"),
        ("15", "6", "18", "21", "enrolled"),  # the student's own is above the term's
        ("15", "3", "18", "15", "credit-load"),  # or below
        ("15", "0", "18", "15", "enrolled"),
        ("0", "1", "18", "0", "credit-load"),  # an own limit of nothing is a limit
        ("21", "0", "18", None, "enrolled"),  # no hours add nothing to a load that is over
        ("21", "0.5", "18", None, "credit-load"),
    ],
)
def test_the_hours_of_a_term_stay_within_the_students_own_limit_else_the_terms(
    has: str, adds: str, limit: str | None, own: str | None, wanted: str
) -> None:
    registry = loaded(has, limit, own)
    assert registry.enroll(registry.course("CS101", credit_hours=adds)) == wanted


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("enrolled", "credit-load"),
        ("completed", "credit-load"),
        ("waitlisted", "enrolled"),
        ("dropped", "enrolled"),
        ("withdrawn", "enrolled"),
    ],
)
def test_only_courses_with_a_seat_count_towards_the_load(status: str, wanted: str) -> None:
    registry = Registry(max_credits=Decimal(5))
    registry.put(registry.s1, registry.course("ART", credit_hours="3"), status)
    assert registry.enroll(registry.course("CS101", credit_hours="3")) == wanted


def test_the_hours_of_other_terms_do_not_count() -> None:
    registry = Registry(max_credits=Decimal(5))
    registry.term("2027SP")
    registry.put(registry.s1, registry.course("ART", term="2027SP", credit_hours="5"), "enrolled")
    assert registry.enroll(registry.course("CS101", credit_hours="5")) == "enrolled"


def test_courses_of_one_request_are_added_up_in_their_order() -> None:
    registry = Registry(max_credits=Decimal(6))
    courses = [registry.course(f"C{n}", credit_hours=h) for n, h in enumerate(("4", "3", "2"))]
    assert [registry.enroll(c) for c in courses] == ["enrolled", "credit-load", "enrolled"]


def test_a_place_in_the_queue_is_given_and_the_load_counts_when_promoted() -> None:
    registry = loaded("4", "6", waitlist_capacity=9)
    course = registry.course("CS101", credit_hours="3", capacity=1, waitlist_capacity=9)
    (holder,) = registry.fill(course, 1)
    assert registry.enroll(course) == "waitlisted"
    registry.one("drop", course, student=holder)
    assert registry.status(course) == "waitlisted"
    assert ("pass-over", "S1", "credit-load") in registry.steps()


@pytest.mark.parametrize(("adds", "wanted"), [("6", "enrolled"), ("6.5", "credit-load")])
def test_a_swap_counts_the_new_course_without_the_old_one(adds: str, wanted: str) -> None:
    registry = loaded("3", "9")
    registry.put(registry.s1, registry.course("MATH", credit_hours="3"), "enrolled")
    course = registry.course("CS101", credit_hours=adds)
    assert registry.enroll(course, instead_of=1) == wanted


def test_the_refusal_says_whose_limit_it_is_and_in_plain_numbers() -> None:
    for own, whose in ((None, "(2026FA)"), ("10", "(S1)")):
        registry = loaded("10.00", "10", own)
        course = registry.course("CS101", credit_hours="1.50")
        message = registry.one("enroll", course).refusals[0].message
        assert "(1.5 credits) would make 11.5 of at most 10" in message
        assert message.endswith(whose)


# ── waitlists per student ──


@pytest.mark.parametrize(
    ("limit", "waits", "wanted"),
    [
        (None, 5, "waitlisted"),
        (0, 0, "waitlist-limit"),
        (1, 0, "waitlisted"),
        (1, 1, "waitlist-limit"),
        (2, 1, "waitlisted"),
        (2, 2, "waitlist-limit"),
        (2, 3, "waitlist-limit"),
    ],
)
def test_a_student_is_on_at_most_so_many_waitlists_of_a_term(
    limit: int | None, waits: int, wanted: str
) -> None:
    registry = Registry(max_waitlists=limit)
    registry.term("2027SP", max_waitlists=9)
    elsewhere = registry.course("ART", term="2027SP", capacity=0, waitlist_capacity=9)
    registry.put(registry.s1, elsewhere, "waitlisted")  # another term's do not count
    for number in range(waits):
        full = registry.course(f"F{number}", capacity=0, waitlist_capacity=9)
        registry.put(registry.s1, full, "waitlisted")
    course = registry.course("CS101", capacity=0, waitlist_capacity=9)
    assert registry.enroll(course) == wanted


def test_a_free_seat_is_given_whatever_the_waitlists() -> None:
    registry = Registry(max_waitlists=0)
    assert registry.enroll(registry.course("CS101", capacity=1)) == "enrolled"


def test_a_seat_that_the_queue_gives_at_once_is_no_waitlist() -> None:
    registry = Registry(max_waitlists=0)
    course = registry.course("CS101", capacity=1, waitlist_capacity=9)
    registry.queue(course, "Q1", status="inactive")
    assert registry.enroll(course) == "enrolled"


# ── sections and repeats ──


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("enrolled", "duplicate-section"),
        ("completed", "duplicate-section"),
        ("waitlisted", "enrolled"),
        ("dropped", "enrolled"),
        ("withdrawn", "enrolled"),
    ],
)
def test_a_second_section_is_refused_to_who_has_a_seat_in_another(status: str, wanted: str) -> None:
    registry = Registry()
    other = registry.course("CS101", "2", waitlist_capacity=9)
    registry.put(registry.s1, other, status)
    outcome = registry.one("enroll", registry.course("CS101", "1"))
    assert (outcome.refusals[0].code if outcome.refusals else outcome.result) == wanted
    if outcome.is_refused:
        assert "--instead-of 2026FA/CS101-2" in str(outcome.refusals[0].hint)


def test_a_second_section_is_refused_in_the_queue_too_and_fine_in_another_term() -> None:
    registry = Registry()
    registry.term("2027SP")
    registry.put(registry.s1, registry.course("CS101", "2"), "enrolled")
    full = registry.course("CS101", "1", capacity=0, waitlist_capacity=9)
    assert registry.enroll(full) == "duplicate-section"
    later = registry.course("CS101", "1", term="2027SP")
    registry.course("CS101", "2", term="2027SP")
    assert registry.enroll(later) == "enrolled"


def test_a_swap_for_another_section_is_no_duplicate() -> None:
    registry = Registry()
    other = registry.course("CS101", "2")
    registry.put(registry.s1, other, "enrolled")
    assert registry.enroll(registry.course("CS101", "1"), instead_of=other) == "enrolled"
    assert registry.status(other) == "dropped"


@pytest.mark.parametrize(
    ("repeats", "done", "wanted"),
    [
        (None, 5, "enrolled"),
        (0, 0, "enrolled"),
        (0, 1, "repeat-limit"),
        (1, 1, "enrolled"),
        (1, 2, "repeat-limit"),
        (2, 2, "enrolled"),
        (2, 3, "repeat-limit"),
        (2, 4, "repeat-limit"),
    ],
)
def test_a_completed_course_may_be_taken_again_so_many_times(
    repeats: int | None, done: int, wanted: str
) -> None:
    registry = Registry()
    for number in range(done):
        registry.term(f"T{number}")
        old = registry.course("CS101", term=f"T{number}")
        registry.put(registry.s1, old, "completed", grade="F" if number else "A")
    assert registry.enroll(registry.course("CS101", repeats=repeats)) == wanted


@pytest.mark.parametrize("status", ["dropped", "withdrawn", "enrolled", "waitlisted"])
def test_what_was_not_completed_is_not_a_repeat(status: str) -> None:
    registry = Registry()
    registry.term("2026SP")
    old = registry.course("CS101", term="2026SP", waitlist_capacity=9)
    registry.put(registry.s1, old, status)
    assert registry.enroll(registry.course("CS101", repeats=0)) == "enrolled"


@pytest.mark.parametrize(
    ("repeats", "words"), [(0, "may not be repeated"), (1, "once"), (2, "2 times")]
)
def test_the_refusal_says_how_often_and_when_it_was_taken(repeats: int, words: str) -> None:
    registry = Registry()
    for number in range(3):
        registry.term(f"T{number}")
        old = registry.course("CS101", term=f"T{number}")
        registry.put(registry.s1, old, "completed", grade="A")
    message = registry.one("enroll", registry.course("CS101", repeats=repeats)).refusals[0].message
    assert words in message
    assert "T0/CS101-1, T1/CS101-1, T2/CS101-1" in message

"""Who may be admitted: inactive students, closed courses, holds, restrictions."""

from datetime import date
from decimal import Decimal

import pytest

from studentcli.requests import Change
from tests.rules.registry import TODAY, Registry, day, said

# ── students and courses ──


@pytest.mark.parametrize(("status", "wanted"), [("active", ""), ("inactive", "student-inactive")])
@pytest.mark.parametrize("action", ["enroll", "drop", "withdraw", "complete"])
def test_an_inactive_student_adds_nothing_and_still_leaves_and_gets_a_grade(
    status: str, wanted: str, action: str
) -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.s1.status = status
    if action != "enroll":
        registry.put(registry.s1, course, "enrolled")
        wanted = ""
    outcome = registry.one(action, course, grade="A" if action == "complete" else None)
    assert outcome.is_refused == bool(wanted)
    assert said(outcome) == wanted or not wanted


@pytest.mark.parametrize(
    ("status", "wanted"),
    [("open", "enrolled"), ("closed", "course-closed"), ("cancelled", "course-closed")],
)
def test_only_an_open_course_takes_students(status: str, wanted: str) -> None:
    registry = Registry()
    course = registry.course("CS101", status=status)
    assert registry.enroll(course) == wanted


@pytest.mark.parametrize("status", ["closed", "cancelled"])
def test_a_course_that_is_not_open_takes_nobody_into_its_queue_either(status: str) -> None:
    registry = Registry()
    course = registry.course("CS101", status=status, capacity=0, waitlist_capacity=9)
    assert registry.enroll(course) == "course-closed"


@pytest.mark.parametrize("action", ["drop", "withdraw"])
def test_a_closed_course_can_be_left(action: str) -> None:
    registry = Registry()
    course = registry.course("CS101", status="closed")
    registry.put(registry.s1, course, "enrolled")
    assert not registry.one(action, course).is_refused


# ── holds ──


@pytest.mark.parametrize(
    ("from_day", "until_day", "is_active"),
    [
        (0, None, True),  # from its first day
        (1, None, False),  # not a day earlier
        (-30, None, True),
        (-30, 0, True),  # on its last day
        (-30, -1, False),  # the day after
        (0, 0, True),  # one day only
        (1, 9, False),
        (-9, -9, False),
    ],
)
def test_a_hold_blocks_from_its_first_to_its_last_day_both_included(
    from_day: int, until_day: int | None, *, is_active: bool
) -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.hold(registry.s1, day(from_day), None if until_day is None else day(until_day))
    assert registry.enroll(course) == ("hold" if is_active else "enrolled")


@pytest.mark.parametrize(
    ("blocks", "action", "status", "wanted"),
    [
        ("add", "enroll", None, "hold"),
        ("add", "drop", "enrolled", "dropped"),
        ("add", "withdraw", "enrolled", "withdrawn"),
        ("add", "complete", "enrolled", "completed"),
        ("add-drop", "enroll", None, "hold"),
        ("add-drop", "drop", "enrolled", "hold"),
        ("add-drop", "withdraw", "enrolled", "hold"),
        ("add-drop", "drop", "waitlisted", "hold"),
        ("add-drop", "complete", "enrolled", "completed"),
        ("add-drop", "enroll", "enrolled", "unchanged"),
        ("add-drop", "drop", "dropped", "unchanged"),
    ],
)
def test_a_hold_blocks_adding_or_adding_and_dropping_but_never_a_grade(
    blocks: str, action: str, status: str | None, wanted: str
) -> None:
    registry = Registry()
    course = registry.course("CS101")
    if status:
        registry.put(registry.s1, course, status)
    registry.hold(registry.s1, TODAY, blocks=blocks)
    outcome = registry.one(action, course, grade="A" if action == "complete" else None)
    assert said(outcome) == wanted


def test_one_refusal_names_every_hold_that_blocks_and_none_that_does_not() -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.hold(registry.s1, day(-9), day(-1))
    registry.hold(registry.s1, day(-2))
    registry.hold(registry.s1, TODAY, blocks="add-drop")
    refusals = registry.one("enroll", course).refusals
    assert [refusal.code for refusal in refusals] == ["hold"]
    message, hint = refusals[0].message, str(refusals[0].hint)
    assert "fee 1" not in message
    assert message.index("fee 2") < message.index("fee 3")
    assert str(day(-2)) in message
    assert "hold lift 2" in hint


def test_a_hold_that_blocks_only_adding_is_not_named_when_a_drop_is_refused() -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.put(registry.s1, course, "enrolled")
    registry.hold(registry.s1, TODAY, blocks="add")
    registry.hold(registry.s1, TODAY, blocks="add-drop")
    message = registry.one("drop", course).refusals[0].message
    assert "fee 2" in message
    assert "fee 1" not in message


def test_a_hold_counts_as_of_today_though_the_change_is_dated_back() -> None:
    registry = Registry()
    course = registry.course("CS101")
    registry.hold(registry.s1, TODAY)
    assert registry.enroll(course, effective_on=day(-9)) == "hold"


def test_a_hold_passes_a_queued_student_over_and_the_next_one_gets_the_seat() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, waitlist_capacity=9)
    registry.put(registry.s1, course, "enrolled")
    first, second = registry.queue(course, "Q1", "Q2")
    registry.hold(first, TODAY)
    registry.one("drop", course)
    assert (registry.status(course, first), registry.status(course, second)) == (
        "waitlisted",
        "enrolled",
    )
    assert ("pass-over", "Q1", "hold") in registry.steps()


# ── restrictions ──


@pytest.mark.parametrize(
    ("restricted", "tags", "wanted"),
    [
        ("level:senior", "level:senior", "enrolled"),
        ("level:senior", "level:senior major:CS", "enrolled"),
        ("level:senior", "level:junior", "restricted"),
        ("level:senior", None, "restricted"),
        ("level:senior", "level:senior2", "restricted"),  # whole tags, not beginnings
        ("level:senior", "Level:senior", "restricted"),  # upper and lower case differ
        ("!probation", None, "enrolled"),
        ("!probation", "honors", "enrolled"),
        ("!probation", "honors probation", "restricted"),
        ("level:senior|level:junior", "level:junior", "enrolled"),
        ("level:senior|level:junior", "level:freshman", "restricted"),
        ("level:senior & major:CS", "level:senior", "restricted"),
        ("level:senior & major:CS", "level:senior major:CS", "enrolled"),
        ("level:senior|honors & !probation", "honors", "enrolled"),
        ("level:senior|honors & !probation", "honors probation", "restricted"),
        ("honors|!probation", "probation", "restricted"),
        ("honors|!probation", "honors probation", "enrolled"),
    ],
)
def test_a_course_takes_whom_its_restriction_describes(
    restricted: str, tags: str | None, wanted: str
) -> None:
    registry = Registry()
    course = registry.course("CS101", restricted=restricted)
    student = registry.student("S2", tags)
    assert registry.enroll(course, student=student) == wanted


def test_a_restriction_holds_for_a_place_in_the_queue_too() -> None:
    registry = Registry()
    course = registry.course("CS101", restricted="honors", capacity=0, waitlist_capacity=9)
    assert registry.enroll(course) == "restricted"


def test_a_restriction_says_what_is_missing_and_what_the_student_has() -> None:
    registry = Registry()
    course = registry.course("CS101", restricted="honors & level:senior|!probation")
    student = registry.student("S2", "honors probation")
    message = registry.one("enroll", course, student=student).refusals[0].message
    assert "level:senior or not probation" in message
    assert "S2 has honors probation" in message


def test_who_stays_enrolled_is_judged_by_no_rule_of_admission() -> None:
    registry = Registry()
    course = registry.course("CS101", restricted="honors", status="closed")
    registry.put(registry.s1, course, "enrolled")
    registry.s1.status = "inactive"
    registry.hold(registry.s1, date(2020, 1, 1))
    assert registry.enroll(course) == "unchanged"


def test_every_rule_that_fails_is_named_not_only_the_first() -> None:
    registry = Registry(enroll_until=day(-1), max_credits=Decimal(0))
    done = registry.course("CS201", "2")
    course = registry.course(
        "CS201", status="closed", restricted="honors", requires="CS101", corequisites="LAB",
        meetings="M 10:00-11:00", credit_hours=3, repeats=0, capacity=0,
    )  # fmt: skip
    other = registry.course("ART", meetings="M 10:30-11:30")
    registry.put(registry.s1, other, "enrolled")
    registry.put(registry.s1, done, "completed", grade="A")
    registry.s1.status = "inactive"
    registry.hold(registry.s1, TODAY)
    outcome = registry.ask(Change("enroll", course)).outcomes[0]
    assert said(outcome).split() == [
        "student-inactive", "course-closed", "hold", "window-closed", "restricted",
        "prerequisite-missing", "duplicate-section", "repeat-limit", "corequisite-missing",
        "time-conflict", "credit-load", "course-full",
    ]  # fmt: skip

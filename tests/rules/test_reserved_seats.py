"""Reserved seats: kept for a tag until its last day, for who comes and for who waits."""

from typing import Any

import pytest

from studentcli.facts import CourseFact, StudentFact
from tests.rules.registry import Registry, change, day, promoted


def course_of(registry: Registry, course_id: int) -> CourseFact:
    return registry.facts.courses[course_id]


def enrolls(registry: Registry, course: int, tags: str | None = None, **more: Any) -> str:
    """Let a new student ask for a seat."""
    number = f"N{len(registry.facts.students)}"
    return registry.enroll(course, student=registry.student(number, tags), **more)


# ── without a queue ──


@pytest.mark.parametrize(
    ("capacity", "reserved", "plain", "tagged", "for_plain", "for_tagged"),
    [
        # so many untagged and tagged students sit there already
        (3, "honors=2", 0, 0, "enrolled", "enrolled"),
        (3, "honors=2", 1, 0, "seat-reserved", "enrolled"),
        (3, "honors=2", 0, 1, "enrolled", "enrolled"),
        (3, "honors=2", 1, 1, "seat-reserved", "enrolled"),
        (3, "honors=2", 0, 2, "enrolled", "enrolled"),  # all taken by whom they are for
        (3, "honors=2", 1, 2, "course-full", "course-full"),
        (3, "honors=2", 3, 0, "course-full", "course-full"),  # nobody is moved out
        (3, "honors=2", 0, 3, "course-full", "course-full"),
        (3, "honors=3", 0, 0, "seat-reserved", "enrolled"),
        (3, "honors=9", 0, 0, "seat-reserved", "enrolled"),  # more than there are
        (3, "honors=1", 2, 0, "seat-reserved", "enrolled"),
        (3, "honors=1", 1, 1, "enrolled", "enrolled"),
        (None, "honors=9", 99, 0, "enrolled", "enrolled"),  # unlimited: nothing to keep
        (0, "honors=1", 0, 0, "course-full", "course-full"),
    ],
)
def test_a_reserved_seat_is_kept_for_the_tag_until_so_many_of_it_are_there(
    capacity: int | None, reserved: str, plain: int, tagged: int, for_plain: str, for_tagged: str
) -> None:
    for tags, wanted in ((None, for_plain), ("honors", for_tagged)):
        registry = Registry()
        course = registry.course("CS101", capacity=capacity, reserved=reserved)
        registry.fill(course, plain)
        registry.fill(course, tagged, "honors")
        assert enrolls(registry, course, tags) == wanted, tags


@pytest.mark.parametrize(
    ("until", "wanted"),
    [(None, "seat-reserved"), (1, "seat-reserved"), (0, "seat-reserved"), (-1, "enrolled")],
)
def test_a_reservation_ends_with_its_last_day(until: int | None, wanted: str) -> None:
    registry = Registry()
    end = "" if until is None else f" until {day(until)}"
    course = registry.course("CS101", capacity=2, reserved=f"honors=2{end}")
    assert enrolls(registry, course) == wanted


@pytest.mark.parametrize(
    ("free", "tags", "wanted"),
    [
        (4, None, "enrolled"),
        (3, None, "seat-reserved"),  # 2 for honors and 1 for freshmen
        (3, "honors", "enrolled"),
        (1, "honors", "seat-reserved"),  # the last one is the freshman's
        (2, "honors", "enrolled"),
        (2, "freshman", "seat-reserved"),
        (3, "freshman", "enrolled"),
        (1, "freshman honors", "enrolled"),
        (1, "senior", "seat-reserved"),
        (0, "freshman honors", "course-full"),
    ],
)
def test_of_two_reservations_each_is_kept_from_all_who_lack_its_tag(
    free: int, tags: str | None, wanted: str
) -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=10 + free, reserved="honors=2; freshman=1")
    registry.fill(course, 10)
    assert enrolls(registry, course, tags) == wanted


def test_who_has_both_tags_fills_both_reservations() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=3, reserved="honors=1; freshman=1")
    registry.fill(course, 1, "honors freshman")
    assert enrolls(registry, course) == "enrolled"
    assert enrolls(registry, course) == "enrolled"


def test_a_seat_comes_back_to_the_tag_when_one_of_it_leaves() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=2, reserved="honors=1")
    (student,) = registry.fill(course, 1, "honors")
    assert enrolls(registry, course) == "enrolled"
    registry.one("drop", course, student=student)
    assert enrolls(registry, course) == "seat-reserved"
    assert enrolls(registry, course, "honors") == "enrolled"


def test_the_refusal_says_for_whom_seats_are_reserved_and_leaves_out_what_has_ended() -> None:
    registry = Registry()
    reserved = f"honors=2; old=5 until {day(-1)}"
    course = registry.course("CS101", capacity=2, reserved=reserved)
    message = registry.one("enroll", course).refusals[0].message
    assert message == (
        "the free seats of 2026FA/CS101-1 (0/2 seats taken) are reserved: 2 for honors"
    )


# ── with a queue ──


def waiting_behind_reserved(**fields: Any) -> tuple[Registry, int, StudentFact]:
    """Make a course of two with one free seat, reserved, for which an untagged student waits."""
    registry = Registry()
    course = registry.course(
        "CS101", **{"capacity": 2, "waitlist_capacity": 9, "reserved": "honors=1", **fields}
    )
    registry.fill(course, 1)
    return registry, course, registry.queue(course, "Q1")[0]


def test_the_untagged_wait_while_the_free_seats_are_reserved() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=2, waitlist_capacity=9, reserved="honors=1")
    assert enrolls(registry, course) == "enrolled"
    assert enrolls(registry, course) == "waitlisted"
    assert enrolls(registry, course, allow_waitlist=False) == "seat-reserved"


def test_a_tagged_newcomer_passes_the_queue_of_the_untagged() -> None:
    registry, course, waiting = waiting_behind_reserved()
    assert enrolls(registry, course, "honors") == "enrolled"
    assert registry.status(course, waiting) == "waitlisted"
    assert ("pass-over", "Q1", "seat-reserved") in registry.steps()


def test_the_seat_of_an_untagged_student_goes_to_the_first_untagged_one() -> None:
    registry, course, waiting = waiting_behind_reserved()
    holder = registry.facts.students[102]
    decision = registry.ask(change("drop", course), student=holder)
    assert promoted(decision) == ["Q1"]
    assert registry.status(course, waiting) == "enrolled"


def test_the_seat_of_a_tagged_student_stays_reserved() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=2, waitlist_capacity=9, reserved="honors=1")
    (tagged,) = registry.fill(course, 1, "honors")
    registry.fill(course, 1)
    registry.queue(course, "Q1", "Q2")
    later = registry.student("Q3", "honors")
    registry.put(later, course, "waitlisted")
    decision = registry.ask(change("drop", course), student=tagged)
    assert promoted(decision) == ["Q3"]
    assert list(course_of(registry, course).queue) == [104, 105]


def test_the_queue_gets_what_was_reserved_after_the_last_day() -> None:
    registry, course, _ = waiting_behind_reserved(reserved=f"honors=1 until {day(-1)}")
    assert enrolls(registry, course) == "waitlisted"
    assert ("promote", "Q1", None) in registry.steps()


def test_a_tagged_newcomer_behind_a_tagged_one_waits() -> None:
    registry, course, _ = waiting_behind_reserved()
    first = registry.student("Q2", "honors", status="inactive")
    registry.put(first, course, "waitlisted")
    first.status = "active"
    assert enrolls(registry, course, "honors") == "waitlisted"
    assert registry.status(course, first) == "enrolled"


# ── overridden ──


def test_an_override_gives_a_reserved_seat_and_no_more_than_that() -> None:
    registry = Registry()
    course = registry.course("CS101", capacity=1, reserved="honors=1")
    outcome = registry.one("enroll", course, override="seat-reserved", reason="dean")
    assert outcome.result == "enrolled"
    assert '"overrides": ["seat-reserved"]' in str(registry.events[-1].detail)
    assert enrolls(registry, course, override="seat-reserved", reason="dean") == "course-full"


def test_a_granted_reserved_seat_lets_a_queued_student_in_when_the_queue_is_run() -> None:
    registry, course, waiting = waiting_behind_reserved()
    number = registry.grant(waiting, course, "seat-reserved")
    assert enrolls(registry, course) == "waitlisted"
    assert registry.status(course, waiting) == "enrolled"
    promotion = next(event for event in registry.events if event.action == "promote")
    assert promotion.detail == f'{{"overrides": ["seat-reserved"], "granted": [{number}]}}'

"""Where an add leads: to a seat, to a place in the queue, or to neither."""

import sys
from typing import NamedTuple

from studentcli.facts import CourseFact, Facts
from studentcli.requests import Refusal
from studentcli.rules.book import Verdict
from studentcli.rules.case import Case
from studentcli.rules.queue import barriers, candidates, judge_queue, lacks_only_others
from studentcli.rules.seats import Seats, full_sentence, judge_seat


class Place(NamedTuple):
    """Where an add leads: `enrolled`, `waitlisted`, or neither and why.

    `at_once` says of a place that the queue gives the seat as soon as it is run; `beyond` of a seat
    that it is there only by an override, and names the rule.
    """

    status: str | None
    refusal: Refusal | None = None
    at_once: bool = False
    beyond: str | None = None


def place_for(case: Case, facts: Facts, sitting: Verdict) -> Place:
    """Find a seat, or a place in the queue.

    Whenever a queue exists a newcomer joins its end, also in front of a free seat: then the queue
    is run, and whoever is eligible and first gets the seat (SEMANTICS, waitlist). Who lacks nothing
    but the courses that belong to it waits too, also beside a free seat: for all of them together.

    Args:
        case: the add.
        facts: with the students of a queue that can move.
        sitting: what the rules for a seat say.
    """
    course = case.course
    if sitting.refusals and lacks_only_others(sitting) and _has_room(case):
        return Place("waitlisted")
    if has_open_seat(course):
        return Place("enrolled")
    seats = Seats(course, case.today)
    blocked = seats.refuse(case.student)
    may_sit = not sitting.refusals and barriers(course, case.policy) <= case.allowed
    if may_sit and course.queue and course.has_free_seat and _sits_at_once(case, seats, facts):
        return Place("waitlisted", at_once=True)
    if "course-full" in case.allowed and (blocked is not None or course.queue):
        return Place("enrolled", beyond="course-full")
    if not course.queue and (blocked is None or blocked in case.allowed):
        return Place("enrolled", beyond=blocked)
    return _place_in_queue(case, blocked)


def has_open_seat(course: CourseFact) -> bool:
    """Tell whether a free seat is for anybody: nobody waits for it, none is reserved."""
    return course.taken < open_seats(course) and not course.queue


def open_seats(course: CourseFact) -> int:
    """Count the seats that are for anybody, taken or not, as long as nobody waits."""
    if course.reserved:
        return 0
    return sys.maxsize if course.capacity is None else course.capacity


def can_only_wait(case: Case) -> bool:
    """Tell whether a newcomer to a full course joins its queue, and that moves nobody."""
    course = case.course
    return (
        not course.has_free_seat
        and not course.has_extra_seats
        and _has_room(case)
        and not case.allowed
    )


def _has_room(case: Case) -> bool:
    return case.policy.allow_waitlist and len(case.course.queue) < case.course.waitlist_capacity


def _place_in_queue(case: Case, blocked: str | None) -> Place:
    if _has_room(case):
        return Place("waitlisted")
    if case.policy.allow_waitlist and "waitlist-full" in case.allowed:
        return Place("waitlisted", beyond="waitlist-full")
    return Place(None, _no_place(case, blocked))


def _sits_at_once(case: Case, seats: Seats, facts: Facts) -> bool:
    """Tell whether a seat stays for a newcomer when everybody eligible in the queue has got one."""
    course = case.course
    before = candidates(course, facts, case.policy)
    judge_queue(course, facts, case.policy, seats=seats, only=before)
    verdict = judge_seat(case, seats)
    return not verdict.refusals and "course-full" not in verdict.cleared


def _no_place(case: Case, blocked: str | None) -> Refusal:
    """Say why there is neither a seat nor a place in the queue."""
    course, waiting, full = case.course, len(case.course.queue), full_sentence(case, blocked)
    if case.policy.allow_waitlist and course.waitlist_capacity:
        return Refusal(
            "waitlist-full",
            f"{full} and its waitlist is full too ({waiting}/{course.waitlist_capacity})",
            "try another section, or raise --waitlist with studentcli course edit",
        )
    hint = "try another section, or raise the capacity with studentcli course edit"
    if waiting < course.waitlist_capacity:
        hint = "leave out --no-waitlist to join the queue"
    return Refusal("seat-reserved" if blocked == "seat-reserved" else "course-full", full, hint)

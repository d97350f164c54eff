"""How much fits into a student's term: hours of the week, credit hours, waitlists."""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from studentcli.facts import NO_HOURS, NO_TERMS, CourseFact, Courses, StudentFact
from studentcli.meetings import overlap
from studentcli.requests import Refusal
from studentcli.rules.case import Case, IsPlain

SHARED: Final = 4096
"""Quick tests that are the same for many courses: one of each is at hand when it is asked."""


def time_conflicts(case: Case) -> Refusal | None:
    """Refuse a course that meets while another one of the student does."""
    course = case.course
    if not course.week & case.counted.week:
        return None
    term = course.term
    dates = term.starts_on, term.ends_on
    found = []
    for other, _ in case.others("enrolled"):
        if other.meetings:
            theirs = other.term.starts_on, other.term.ends_on
            pair = overlap(
                course.meetings, other.meetings, my_term=dates, their_term=theirs,
                same_term=other.term is term,
            )  # fmt: skip
            if pair is not None:
                found.append(f"{pair[0].when} overlaps {other.ref} ({pair[1].when})")
    if not found:
        return None
    return Refusal("time-conflict", f"{course.ref} {', '.join(sorted(found))}")


def is_free_in(course: CourseFact, _: Courses) -> IsPlain:
    """Tell who has no other course while this one meets."""
    return _free_in(course.week)


@lru_cache(maxsize=SHARED)
def _free_in(week: int) -> IsPlain:
    return lambda student: not week & student.week


def credit_load_is_exceeded(case: Case) -> Refusal | None:
    """Refuse more credit hours in a term than the student, else the term, allows."""
    course, student = case.course, case.student
    limit = course.term.max_credits if student.max_credits is None else student.max_credits
    if limit is None or not course.credit_hours:
        return None  # no hours add nothing, also to a load that is over the limit
    taken = (case.counted.hours or NO_TERMS).get(course.term.term_id, NO_HOURS)
    old = case.given_up
    if old is not None and old.term is course.term and student.enrollments[old.course_id].is_seated:
        taken -= old.credit_hours
    if taken + course.credit_hours <= limit:
        return None
    whose = student.number if student.max_credits is not None else course.term.code
    return Refusal(
        "credit-load",
        f"{course.ref} ({_plain(course.credit_hours)} credits) would make"
        f" {_plain(taken + course.credit_hours)} of at most {_plain(limit)} ({whose})",
        f"studentcli student edit {student.number} --max-credits HOURS",
    )


def has_hours_for(course: CourseFact, _: Courses) -> IsPlain:
    """Tell who may take the credit hours of a course in addition."""
    return _within(course.term.term_id, course.credit_hours, course.term.max_credits)


@lru_cache(maxsize=SHARED)
def _within(term_id: int, hours: Decimal, limit: Decimal | None) -> IsPlain:
    most = None if limit is None else limit - hours

    def is_within(student: StudentFact) -> bool:
        assert student.hours is not None  # noqa: S101  (it is asked for every row)
        taken = student.hours.get(term_id, NO_HOURS)
        if student.max_credits is not None:
            return taken + hours <= student.max_credits
        return most is None or taken <= most

    return is_within


def _plain(hours: Decimal) -> str:
    return f"{hours.normalize():f}"


def waitlists_are_used_up(case: Case) -> Refusal | None:
    """Refuse a further waitlist of a term that bounds their number."""
    limit = case.course.term.max_waitlists
    if limit is None:
        return None
    waits = [other.ref for other, _ in case.this_term("waitlisted")]
    if len(waits) < limit:
        return None
    number = case.student.number
    on = f": {', '.join(sorted(waits))}" if waits else ""
    return Refusal(
        "waitlist-limit",
        f"{number} may be on {limit} waitlists of {case.course.term.code} and is on"
        f" {len(waits)}{on}",
    )

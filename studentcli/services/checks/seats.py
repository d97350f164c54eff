"""The seats of courses: more taken than there are, and free ones behind a queue."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from studentcli.facts import CourseFact
from studentcli.models import Course, Override, StudentCourses
from studentcli.rules.queue import candidates, judge_queue
from studentcli.services.checks.finding import Finding, attention, name_course
from studentcli.services.checks.scope import Scope, look_at_queues, overridden
from studentcli.vocabulary import SEATED_STATUSES

FULL: Final = "course-full"
QUEUED: Final = 2_000
"""About so many queued students are in memory at a time."""


# ── over capacity ────────────────────────────────────────────────────────────────────────


def check_capacities(session: Session, scope: Scope) -> Iterator[Finding]:
    """Find courses with more students than seats, those with an override of it not counted.

    A capacity that was lowered below the enrolled is found too.
    """
    terms = {term.term_id: term for term in scope.terms}
    for course_id, term_id, capacity, taken in session.execute(_crowded(scope)).all():
        today = scope.policy.today(terms[term_id].time_zone)
        allowed = _let_in_beyond(session, course_id, today)
        if taken - allowed <= capacity:
            continue
        ref = name_course(session, course_id) or f"course id {course_id}"
        said = f"{taken}/{capacity} seats taken"
        if allowed:
            said += f", {allowed} of them by an override of {FULL}"
        mend = f"studentcli course edit {ref} --capacity {taken - allowed}"
        yield attention("over-capacity", ref, said, mend)


def _crowded(scope: Scope) -> Any:
    """Select the courses that have more students than seats, with both numbers."""
    taken = func.count()
    return (
        select(Course.id, Course.term_id, Course.capacity, taken)
        .join(StudentCourses, StudentCourses.course_id == Course.id)
        .where(
            Course.term_id.in_(scope.covered),
            Course.capacity.is_not(None),
            StudentCourses.status.in_(SEATED_STATUSES),
        )
        .group_by(Course.id, Course.term_id, Course.capacity)
        .having(taken > Course.capacity)
        .order_by(Course.id)
    )


def _let_in_beyond(session: Session, course_id: int, today: date) -> int:
    """Count who of a course has a seat by an override, or has been granted one since."""
    seated = select(StudentCourses.student_id).where(
        StudentCourses.course_id == course_id, StudentCourses.status.in_(SEATED_STATUSES)
    )
    keys = [(student_id, course_id) for student_id in session.scalars(seated)]
    allowed = {key[0] for key, codes in overridden(session, keys).items() if FULL in codes}
    granted = select(Override.student_id, Override.until_on).where(
        Override.course_id == course_id, Override.rule == FULL, Override.revoked_at.is_(None)
    )
    allowed.update(
        student_id
        for student_id, until in session.execute(granted)
        if until is None or today <= until
    )
    return len(allowed & {key[0] for key in keys})


# ── idle seats ───────────────────────────────────────────────────────────────────────────


def check_queues(session: Session, scope: Scope) -> Iterator[Finding]:
    """Find seats that are free although somebody in the queue could have one today.

    The rules say who could. A hold that ended or a seat that is reserved no longer has told
    nobody: no command runs a queue when a day has passed.
    """
    chunk: set[int] = set()
    waiting = 0
    for course_id, queued in session.execute(_movable(scope)).all():
        chunk.add(course_id)
        waiting += queued
        if waiting >= QUEUED:
            yield from _check_chunk(session, scope, chunk)
            chunk, waiting = set(), 0
    if chunk:
        yield from _check_chunk(session, scope, chunk)


def _movable(scope: Scope) -> Any:
    """Select the courses whose queue may move, and how many wait there.

    A free seat in an open course, or somebody who was granted what is not: the rules look closer.
    """
    seat, granted = aliased(StudentCourses), aliased(Override)
    taken = (
        select(func.count())
        .where(seat.course_id == Course.id, seat.status.in_(SEATED_STATUSES))
        .scalar_subquery()
    )
    beyond = (
        select(granted.id)
        .where(granted.course_id == Course.id, granted.revoked_at.is_(None))
        .exists()
    )
    named = [] if scope.named is None else [Course.term_id.in_(scope.covered)]
    return (
        select(Course.id, func.count())
        .join(StudentCourses, StudentCourses.course_id == Course.id)
        .where(
            StudentCourses.queue_place.is_not(None),
            or_(Course.status == "open", beyond),
            or_(Course.capacity.is_(None), taken < Course.capacity, beyond),
            *named,
        )
        .group_by(Course.id)
        .order_by(Course.id)
    )


def _check_chunk(session: Session, scope: Scope, course_ids: set[int]) -> Iterator[Finding]:
    facts = look_at_queues(session, scope.policy, course_ids)
    for course_id in sorted(course_ids):
        course = facts.courses[course_id]
        considered = candidates(course, facts, scope.policy)
        verdicts = judge_queue(course, facts, scope.policy, only=considered)
        eligible = [student_id for student_id, found in verdicts.items() if not found.refusals]
        if eligible:
            first = facts.students[eligible[0]].number
            yield attention(
                "idle-seat",
                course.ref,
                _idle(course, first, len(eligible)),
                f"studentcli waitlist run {course.ref}",
            )


def _idle(course: CourseFact, first: str, eligible: int) -> str:
    """Say what is free, and for whom."""
    seats = (
        "seats are unlimited"
        if course.capacity is None
        else f"{course.taken}/{course.capacity} seats taken"
    )
    others = f" and {eligible - 1} more" if eligible > 1 else ""
    return f"{seats}, and {first}{others} could have one ({len(course.queue)} in the queue)"

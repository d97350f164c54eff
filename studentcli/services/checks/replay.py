"""Enrollments against their events: the state is what the events add up to."""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.models import EnrollmentEvent, StudentCourses
from studentcli.services.checks.finding import (
    BY_HAND,
    Finding,
    merge,
    name_course,
    name_enrollment,
    name_student,
    stream,
)
from studentcli.services.events import State, Step, add_up, counting, steps
from studentcli.services.resolve import is_sqlite
from studentcli.vocabulary import ENROLLMENT_STATUSES

STATE_NAMES: Final = (
    "status", "enrolled on", "status since", "queue place", "grade", "instead of",
)  # fmt: skip
MEND: Final = "studentcli db check --fix"


class Difference(NamedTuple):
    """An enrollment that is not what its events say; none stands for no enrollment.

    `is_told` says whether there are events of it at all: what was undone is told, and is nothing.
    """

    student_id: int
    course_id: int
    actual: State | None
    told: State | None
    is_told: bool


def replay_events(session: Session) -> dict[tuple[int, int], State]:
    """Rebuild the states from the events that were not undone, by (student id, course id)."""
    return {key: told for key, (told,) in _replay(session, None) if told is not None}


def find_differences(
    session: Session, student_ids: Collection[int] | None = None
) -> Iterator[Difference]:
    """Compare enrollments with what their events say, by student id, then course id.

    Args:
        session: any.
        student_ids: only those of these students; of all when left out.
    """
    enrollment = StudentCourses
    query = select(
        enrollment.student_id,
        enrollment.course_id,
        enrollment.status,
        enrollment.enrolled_on,
        enrollment.status_since,
        enrollment.queue_place,
        enrollment.grade,
        enrollment.instead_of_id,
    ).order_by(enrollment.student_id, enrollment.course_id)
    query = _of(session, query, enrollment.student_id, student_ids)
    actual_states = (((row[0], row[1]), row[2:]) for row in stream(session, query))
    for key, actual, told in merge(actual_states, _replay(session, student_ids)):
        state = None if told is None else told[0]
        if actual != state:
            yield Difference(*key, actual, state, is_told=told is not None)


def _of(session: Session, query: Any, column: Any, student_ids: Collection[int] | None) -> Any:
    if student_ids is None:
        return query
    return query.where(listed_in(column, sorted(student_ids), is_sqlite=is_sqlite(session)))


def _replay(
    session: Session, student_ids: Collection[int] | None
) -> Iterator[tuple[tuple[int, int], tuple[State | None]]]:
    """Rebuild one state after the other, by student id, then course id; none: all was undone."""
    query = _of(session, steps(), EnrollmentEvent.student_id, student_ids)
    taken = (Step(*row) for row in stream(session, query))
    for key, mine in groupby(taken, key=lambda step: (step.student_id, step.course_id)):
        yield key, (add_up(counting(mine)),)


def check_enrollments(session: Session) -> Iterator[Finding]:
    """Compare every enrollment with what its events say."""
    for difference in find_differences(session):
        student_id, course_id, *_ = difference
        subject = name_enrollment(session, student_id, course_id)
        is_there = difference.told is None or None not in {
            name_student(session, student_id), name_course(session, course_id)
        }  # fmt: skip
        is_mendable = is_there and can_be_rewritten(difference)
        for finding in describe(difference):
            yield Finding("events", subject, finding, MEND if is_mendable else BY_HAND)


def can_be_rewritten(difference: Difference) -> bool:
    """Tell whether the events say enough to write an enrollment anew, or to take it away.

    One that no event tells of is the only copy of what it says: it stays.
    """
    told = difference.told
    return difference.is_told if told is None else is_possible(told)


def is_possible(state: State) -> bool:
    """Tell whether the table takes a state: events edited by hand can add up to anything."""
    status, enrolled_on, since, place, _, instead_of = state
    return (
        status in ENROLLMENT_STATUSES
        and None not in {enrolled_on, since}
        and (status == "waitlisted") == (place is not None)
        and (instead_of is None or (status == "waitlisted" and isinstance(instead_of, int)))
    )


def describe(difference: Difference) -> Iterator[str]:
    """Say in what an enrollment differs from its events."""
    _, _, actual, told, is_told = difference
    if told is None:
        yield "is there, but was undone" if is_told else "is there, but no event says so"
    elif actual is None:
        yield "has events, but no enrollment"
    else:
        for name, value, wanted in zip(STATE_NAMES, actual, told, strict=True):
            if value != wanted:
                yield f"{name} is {value}, its events say {wanted}"

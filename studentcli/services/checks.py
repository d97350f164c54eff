"""The doctor: what the tables hold against what the events and the rules say. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from studentcli.models import Course, EnrollmentEvent, Operation, Student, StudentCourses, Term
from studentcli.services.resolve import is_sqlite

State = tuple[str, Any, Any, Any, Any]
"""Status, enrolled on, status since, queue place, grade."""


@dataclass(frozen=True)
class Finding:
    """Something that should not be."""

    check: str
    subject: str
    finding: str

    def as_row(self) -> dict[str, str]:
        """Give the finding as a row of a listing."""
        return {"check": self.check, "subject": self.subject, "finding": self.finding}


def check_database(session: Session) -> list[Finding]:
    """Check the whole database.

    Returns:
        What was found, most basic first; an empty list for a sound database.
    """
    found = [*_check_file(session)]
    if not found:
        found = [*_check_references(session), *_check_events(session)]
    return found


def _check_file(session: Session) -> Iterator[Finding]:
    if is_sqlite(session):
        for (problem,) in session.execute(text("PRAGMA integrity_check")):
            if problem != "ok":
                yield Finding("file", "database", str(problem))


def _check_references(session: Session) -> Iterator[Finding]:
    """Find rows that point to nothing: a hand edit can make them where keys were switched off."""
    for name, key, parent in (
        ("student", StudentCourses.student_id, Student.id),
        ("course", StudentCourses.course_id, Course.id),
    ):
        query = select(key).where(key.not_in(select(parent))).distinct()
        for value in session.scalars(query):
            yield Finding("reference", f"{name} {value}", "has enrollments but does not exist")


def replay_events(session: Session) -> dict[tuple[int, int], State]:
    """Rebuild the states from the events that were not undone, by (student id, course id)."""
    event = EnrollmentEvent
    query = (
        select(
            event.student_id, event.course_id, event.action, event.to_status, event.queue_place,
            event.grade, event.effective_on,
        )  # fmt: skip
        .join(Operation, Operation.id == event.operation_id)
        .where(event.code.is_(None), Operation.undone_by.is_(None))
        .order_by(event.id)
    )
    states: dict[tuple[int, int], State] = {}
    for student_id, course_id, action, status, place, grade, on in session.execute(
        query.execution_options(yield_per=10_000)
    ):
        before = states.get((student_id, course_id))
        enrolled_on = on if before is None or action == "enroll" else before[1]
        states[student_id, course_id] = (status, enrolled_on, on, place, grade)
    return states


def _check_events(session: Session) -> Iterator[Finding]:
    """Compare every enrollment with what its events say."""
    expected = replay_events(session)
    ref = Term.code + "/" + Course.code + "-" + Course.section
    query = (
        select(
            StudentCourses.student_id, StudentCourses.course_id, Student.student_number, ref,
            StudentCourses.status, StudentCourses.enrolled_on, StudentCourses.status_since,
            StudentCourses.queue_place, StudentCourses.grade,
        )  # fmt: skip
        .join(Student, Student.id == StudentCourses.student_id)
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .order_by(StudentCourses.student_id, StudentCourses.course_id)
    )
    names = ("status", "enrolled on", "status since", "queue place", "grade")
    for row in session.execute(query.execution_options(yield_per=10_000)):
        subject = f"{row[2]} in {row[3]}"
        told = expected.pop((row[0], row[1]), None)
        if told is None:
            yield Finding("events", subject, f"is {row[4]}, but no event says so")
            continue
        for name, actual, wanted in zip(names, row[4:], told, strict=True):
            if actual != wanted:
                yield Finding("events", subject, f"{name} is {actual}, its events say {wanted}")
    for student_id, course_id in expected:
        subject = f"student id {student_id}, course id {course_id}"
        yield Finding("events", subject, "has events, but no enrollment")


def count_enrollments(session: Session) -> dict[str, int]:
    """Count the enrollments by status."""
    query = select(StudentCourses.status, func.count()).group_by(StudentCourses.status)
    return {status: count for status, count in session.execute(query)}  # noqa: C416

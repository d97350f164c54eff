"""Cancelling a course: everybody is dropped from it, as one operation."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from studentcli.database import StartAgain
from studentcli.models import Course, StudentCourses
from studentcli.requests import Change, Consequences, Policy, Request
from studentcli.rules.book import DROPPING
from studentcli.services.loading import Deciding
from studentcli.services.operations import Act, Recorder, count_outcomes
from studentcli.services.resolve import find_course
from studentcli.services.writer import write_facts
from studentcli.vocabulary import LIVE_STATUSES


@dataclass
class Cancelled(Consequences):
    """A course that was cancelled, as TERM/CODE-SECTION; one decision per student, by id."""

    course: str


def cancel_course(session: Session, word: str, act: Act, *, term: str | None = None) -> Cancelled:
    """Cancel a course and drop everybody who is enrolled or waits in it, as one operation.

    Returns:
        The course and the drops. Cancelling again changes nothing.
    """
    course = find_course(session, word, Policy(act.now), term)
    live = select(StudentCourses.student_id).where(
        StudentCourses.course_id == course.course_id,
        StudentCourses.status.in_(LIVE_STATUSES),
    )
    deciding = Deciding(session, Policy(act.now))
    foreseen = set(session.scalars(live))
    deciding.lock_courses({course.course_id}, student_ids=foreseen)
    deciding.let_move({course.course_id})
    student_ids = sorted(session.scalars(live))
    if not foreseen.issuperset(student_ids):
        raise StartAgain  # and lock the queues in which the newcomers wait, too
    deciding.lock_students((), student_ids)
    fact = deciding.facts.courses[course.course_id]
    was = fact.status
    fact.status = "cancelled"  # before the drops: nobody is promoted into it
    every_rule = frozenset(rule.code for rule in DROPPING)  # nobody can stay in it
    drop = Change("drop", course.course_id, reason=act.reason, overrides=every_rule)
    requests = [Request(student_id, [drop]) for student_id in student_ids]
    decisions = deciding.decide(requests)
    cancelled = Cancelled(course.ref, decisions=decisions)
    recorder = Recorder(session, act)
    if recorder.is_forecast:
        return cancelled
    cancelled.operation_id = recorder.operation_id(dict(count_outcomes(decisions)))
    write_facts(session, deciding.facts, cancelled.operation_id, act.now)
    if was != "cancelled":
        session.execute(
            update(Course).where(Course.id == course.course_id).values(status="cancelled")
        )
        changes: dict[str, list[str | None]] = {"status": [was, "cancelled"]}
        recorder.record_change("course", course.course_id, "cancelled", changes)
    return cancelled

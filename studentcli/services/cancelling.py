"""Cancelling a course: everybody is dropped from it, as one operation."""

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from studentcli.database import StartAgain
from studentcli.models import CatalogEvent, Course, StudentCourses
from studentcli.requests import Change, Decision, Policy, Request
from studentcli.rules.book import DROPPING
from studentcli.services.enrollment import record
from studentcli.services.loading import Deciding
from studentcli.services.operations import Act, count_outcomes
from studentcli.services.resolve import find_course


def cancel_course(
    session: Session, word: str, act: Act, *, term: str | None = None
) -> tuple[str, list[Decision]]:
    """Cancel a course and drop everybody who is enrolled or waits in it, as one operation.

    Returns:
        The course as TERM/CODE-SECTION, and one decision per student by student id. Cancelling
        again changes nothing.
    """
    course = find_course(session, word, Policy(act.now), term)
    live = select(StudentCourses.student_id).where(
        StudentCourses.course_id == course.course_id,
        StudentCourses.status.in_(("enrolled", "waitlisted")),
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
    operation_id = record(session, deciding, act, dict(count_outcomes(decisions)))
    if operation_id is not None and was != "cancelled":
        session.execute(
            update(Course).where(Course.id == course.course_id).values(status="cancelled")
        )
        session.execute(
            insert(CatalogEvent),
            {
                "operation_id": operation_id,
                "kind": "course",
                "record_id": course.course_id,
                "action": "cancelled",
                "changes": {"status": [was, "cancelled"]},
                "recorded_at": act.now,
            },
        )
    return course.ref, decisions

"""How a student stands: in all courses, and in one of them after it was changed."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from studentcli.database import Database
from studentcli.requests import Change, Decision, Outcome, Request
from studentcli.services.enrollment import (
    EnrolledCourse,
    carry_out,
    retrieve_courses_for_student,
)
from studentcli.services.operations import Act
from studentcli.services.views import Row, require_term, show_student


@dataclass(frozen=True)
class Standing:
    """How one student stands in one course; `position` (1 = next) only for the waitlisted."""

    status: str
    position: int | None
    enrolled_on: date
    status_since: date


@dataclass(frozen=True)
class Changed:
    """What came of one change of one student in one course.

    Args:
        outcome: what was decided.
        standing: how the enrollment stands now; none when the change was refused.
        promoted: the numbers of the other students whom the waitlist gave a seat.
    """

    outcome: Outcome
    standing: Standing | None
    promoted: tuple[str, ...]


def enroll_one(database: Database, student_id: int, course_id: int, act: Act) -> Changed:
    """Enroll one student in one course, and say how the enrollment stands."""
    return _change(database, Request(student_id, [Change("enroll", course_id)]), act)


def drop_one(database: Database, student_id: int, course_id: int, act: Act) -> Changed:
    """Drop one course of one student, and say how the enrollment stands."""
    return _change(database, Request(student_id, [Change("drop", course_id)]), act)


def _change(database: Database, request: Request, act: Act) -> Changed:
    standing: Standing | None = None

    def look(session: Session, decision: Decision) -> None:
        nonlocal standing
        outcome = decision.outcomes[0]
        standing = None if outcome.is_refused else _standing(session, outcome)

    decision = carry_out(database, request, act, also=look)
    outcome = decision.outcomes[0]
    promoted = {promotion.student for promotion in decision.promotions} - {outcome.student}
    return Changed(outcome, standing, tuple(sorted(promoted)))


def _standing(session: Session, outcome: Outcome) -> Standing:
    on, status = outcome.effective_on, outcome.status
    if outcome.result in {"enrolled", "waitlisted"} and on is not None and status is not None:
        return Standing(status, outcome.position, on, on)  # new: the decision says it all
    assert outcome.student_id is not None  # noqa: S101  (what is not refused has both)
    found = retrieve_courses_for_student(session, outcome.student_id, course_id=outcome.course_id)[
        0
    ]
    return Standing(found.status, found.position, found.enrolled_on, found.status_since)


def courses_of_student(
    session: Session, student: str | int, *, term: str | None = None
) -> tuple[Row, list[EnrolledCourse]]:
    """Show a student and the courses of that student, in every state.

    Args:
        session: any.
        student: the student number, or the database id.
        term: only this term's code.

    Raises:
        errors.UnknownStudent: with near numbers.
        errors.UnknownTerm: listing the terms.
    """
    require_term(session, term)
    found = show_student(session, student)
    return found, retrieve_courses_for_student(session, found["student_id"], term=term)

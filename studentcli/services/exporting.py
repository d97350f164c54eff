"""The enrollments as a file that leads to the same states again."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from studentcli.models import Course, Hold, Student, StudentCourses, Term
from studentcli.services.views import Row, require_term
from studentcli.vocabulary import SEATED_STATUSES

LEAVING: Final = {"dropped": "drop", "withdrawn": "withdraw", "completed": "complete"}
NEEDED: Final = {
    "requires": "prerequisite-missing",
    "corequisites": "corequisite-missing",
    "restricted": "restricted",
    "repeats": "repeat-limit",
    "window": "window-closed",
    "has_sections": "duplicate-section",
    "has_hold": "hold",
}
"""What the tables hold, and the rule that may stand against a change because of it."""
NEEDED_FOR_A_SEAT: Final = {
    "meetings": "time-conflict",
    "reserved": "seat-reserved",
    "max_credits": "credit-load",
}
NEEDED_TO_LEAVE: Final = {
    "dropped": {"last_drop": "drop-deadline", "has_hold": "hold"},
    "withdrawn": {"last_withdrawal": "withdraw-deadline", "has_hold": "hold"},
}


def export_enrollments(session: Session, *, term: str | None = None) -> Iterator[Row]:
    """Give the changes that lead to today's enrollments, in an order in which they are accepted.

    First, course by course, who has left and who has a seat; then the queues by place. A row
    carries the overrides that it may need: whether a rule was met, or overridden, at its time is
    not judged anew.
    """
    require_term(session, term)
    query = _query()
    if term is not None:
        query = query.where(Term.code == term)
    course_id, taken, waiting = None, 0, 0
    for found in session.execute(query.execution_options(yield_per=5000)).mappings():
        if found["id"] != course_id:
            course_id, taken, waiting = found["id"], 0, 0
        yield from _rows(found, taken, waiting)
        taken += found["status"] in SEATED_STATUSES
        waiting += found["status"] == "waitlisted"


def _query() -> Any:
    other, old, old_term = aliased(Course), aliased(Course), aliased(Term)
    is_waiting = case((StudentCourses.status == "waitlisted", 1), else_=0)
    has_left = case((StudentCourses.status.in_(("dropped", "withdrawn")), 0), else_=1)
    return (
        select(
            Course.id, Term.code.label("term"), Course.code.label("course"), Course.section,
            Course.capacity, Course.waitlist_capacity, Course.status.label("course_status"),
            Course.requires, Course.corequisites, Course.restricted, Course.reserved,
            Course.meetings, Course.repeats,
            Student.student_number.label("student"), Student.status.label("student_status"),
            StudentCourses.status, StudentCourses.enrolled_on, StudentCourses.status_since,
            StudentCourses.grade, Term.max_waitlists,
            (old_term.code + "/" + old.code + "-" + old.section).label("instead_of"),
            func.coalesce(
                Course.enroll_from, Course.enroll_until, Term.enroll_from, Term.enroll_until
            ).label("window"),
            func.coalesce(Course.drop_until, Term.drop_until).label("last_drop"),
            func.coalesce(Course.withdraw_until, Term.withdraw_until).label("last_withdrawal"),
            func.coalesce(Student.max_credit_hours, Term.max_credits).label("max_credits"),
            select(other.id)
            .where(
                other.term_id == Course.term_id, other.code == Course.code, other.id != Course.id
            )
            .exists()
            .label("has_sections"),
            select(Hold.id)
            .where(Hold.student_id == Student.id, Hold.lifted_at.is_(None))
            .exists()
            .label("has_hold"),
        )
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .join(Student, Student.id == StudentCourses.student_id)
        .outerjoin(old, old.id == StudentCourses.instead_of_id)
        .outerjoin(old_term, old_term.id == old.term_id)
        .order_by(
            is_waiting, Term.code, Course.code, Course.section, has_left,
            StudentCourses.queue_place, StudentCourses.enrolled_on, Student.student_number,
        )
    )  # fmt: skip


def _rows(found: Any, taken: int, waiting: int) -> Iterator[Row]:
    row = {name: found[name] for name in ("student", "term", "course", "section")}
    yield {
        **row,
        "action": "enroll",
        "effective_on": found["enrolled_on"],
        "instead_of": found["instead_of"],
        **_allowing(_needed(found, taken, waiting)),
    }
    action = LEAVING.get(found["status"])
    if action is not None:
        leaving = NEEDED_TO_LEAVE.get(found["status"], {})
        yield {
            **row,
            "action": action,
            "effective_on": found["status_since"],
            "grade": found["grade"],
            **_allowing([code for name, code in leaving.items() if _is_set(found[name])]),
        }


def _allowing(codes: list[str]) -> Row:
    return {"override": " ".join(codes), "reason": "as exported"} if codes else {}


def _needed(found: Any, taken: int, waiting: int) -> list[str]:
    """List the rules that may stand against an enrollment which was made once."""
    needed = [code for name, code in NEEDED.items() if _is_set(found[name])]
    if found["student_status"] != "active":
        needed.append("student-inactive")
    if found["course_status"] != "open":
        needed.append("course-closed")
    if found["status"] == "waitlisted":
        if waiting >= found["waitlist_capacity"]:
            needed.append("waitlist-full")
        if found["instead_of"] is not None:
            needed.append("drop-deadline")
        if found["max_waitlists"] is not None:
            needed.append("waitlist-limit")
        return sorted(needed)
    needed += [code for name, code in NEEDED_FOR_A_SEAT.items() if _is_set(found[name])]
    if found["capacity"] is not None and taken >= found["capacity"]:
        needed.append("course-full")
    return sorted(needed)


def _is_set(value: Any) -> bool:
    return not (value is None or value is False)

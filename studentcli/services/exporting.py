"""The enrollments as a file that leads to the same states again."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from studentcli.models import Course, Hold, Student, StudentCourses, Term
from studentcli.records import COURSE
from studentcli.rules.book import ALWAYS, FOR_A_PLACE, FOR_A_SEAT
from studentcli.rules.book import LEAVING as LEAVING_RULES
from studentcli.services.views import Row, require_term
from studentcli.vocabulary import SEATED_STATUSES

LEAVING: Final = {"dropped": "drop", "withdrawn": "withdraw", "completed": "complete"}
READ_BY: Final[dict[str, str]] = {
    **{field.name: str(field.rule) for field in COURSE.of_rules},
    "has_sections": "duplicate-section",
    "has_hold": "hold",
    "term_window": "window-closed",
    "last_drop": "drop-deadline",
    "last_withdrawal": "withdraw-deadline",
    "max_credits": "credit-load",
    "max_waitlists": "waitlist-limit",
}
"""What the tables hold, and the rule that may stand against a change because of it."""
_PLACE_RULES: Final = frozenset(rule.code for rule in (*ALWAYS, *FOR_A_PLACE))
_SEAT_RULES: Final = frozenset(rule.code for rule in (*ALWAYS, *FOR_A_SEAT)) | {"seat-reserved"}


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
            *(getattr(Course, field.attribute).label(field.name) for field in COURSE.of_rules),
            Student.student_number.label("student"), Student.status.label("student_status"),
            StudentCourses.status, StudentCourses.enrolled_on, StudentCourses.status_since,
            StudentCourses.grade, Term.max_waitlists,
            (old_term.code + "/" + old.code + "-" + old.section).label("instead_of"),
            func.coalesce(Term.enroll_from, Term.enroll_until).label("term_window"),
            Term.drop_until.label("last_drop"), Term.withdraw_until.label("last_withdrawal"),
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
        rules = {rule.code for rule in LEAVING_RULES.get(action, ())}
        yield {
            **row,
            "action": action,
            "effective_on": found["status_since"],
            "grade": found["grade"],
            **_allowing(_read(found, rules)),
        }


def _allowing(codes: list[str]) -> Row:
    return {"override": " ".join(codes), "reason": "as exported"} if codes else {}


def _needed(found: Any, taken: int, waiting: int) -> list[str]:
    """List the rules that may stand against an enrollment which was made once."""
    is_waiting = found["status"] == "waitlisted"
    needed = _read(found, _PLACE_RULES if is_waiting else _SEAT_RULES)
    stands = {
        "student-inactive": found["student_status"] != "active",
        "course-closed": found["course_status"] != "open",
        "drop-deadline": found["instead_of"] is not None,
        "waitlist-full": is_waiting and waiting >= found["waitlist_capacity"],
        "course-full": not is_waiting
        and found["capacity"] is not None
        and taken >= found["capacity"],
    }
    return sorted({*needed, *(code for code, does in stands.items() if does)})


def _read(found: Any, rules: Collection[str]) -> list[str]:
    """List those of some rules that have something to read."""
    read = {
        code
        for name, code in READ_BY.items()
        if code in rules and not (found[name] is None or found[name] is False)
    }
    return sorted(read)

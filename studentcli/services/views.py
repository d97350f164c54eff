"""What listings show: queries that only read, each row a plain dictionary of named values."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import (
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Operation,
    Student,
    StudentCourses,
    Term,
)
from studentcli.requests import Policy
from studentcli.services.resolve import find_course, find_student, load_terms
from studentcli.vocabulary import SEATED_STATUSES

Row = dict[str, Any]


def _rows(session: Session, query: Any) -> list[Row]:
    return [dict(row) for row in session.execute(query).mappings()]


def require_term(session: Session, code: str | None) -> None:
    """Stop when a term was named that does not exist.

    Raises:
        errors.UnknownTerm: listing the terms.
    """
    if code is None:
        return
    known = [term.code for term in load_terms(session)]
    if code not in known:
        raise errors.UnknownTerm(f"there is no term {code}; there are {', '.join(known)}")


def list_courses(session: Session, *, term: str | None = None) -> list[Row]:
    """List course offerings with their seats and queues, by term, code and section."""
    require_term(session, term)
    query = _course_query(_counts()).order_by(Term.code, Course.code, Course.section)
    return _rows(session, query if term is None else query.where(Term.code == term))


def _counts() -> Any:
    status = StudentCourses.status
    return (
        select(
            StudentCourses.course_id,
            func.sum(case((status.in_(SEATED_STATUSES), 1), else_=0)).label("taken"),
            func.sum(case((status == "waitlisted", 1), else_=0)).label("waiting"),
        )
        .where(status.in_((*SEATED_STATUSES, "waitlisted")))
        .group_by(StudentCourses.course_id)
        .subquery()
    )


def _course_query(counts: Any) -> Any:
    return (
        select(
            Course.id.label("course_id"),
            (Term.code + "/" + Course.code + "-" + Course.section).label("ref"),
            Term.code.label("term"),
            Course.code.label("course"),
            Course.section,
            Course.title,
            Course.credit_hours.label("credits"),
            func.coalesce(counts.c.taken, 0).label("taken"),
            Course.capacity,
            func.coalesce(counts.c.waiting, 0).label("waiting"),
            Course.waitlist_capacity.label("waitlist"),
            Course.status,
        )
        .join(Course.term)
        .outerjoin(counts, counts.c.course_id == Course.id)
    )


def show_course(
    session: Session, word: str | int, policy: Policy, *, term: str | None = None
) -> Row:
    """Show the one course that a word means, or that has a database id, with its seats.

    Raises:
        errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm: as `find_course`.
    """
    course = find_course(session, word, policy, term)
    return _rows(session, _course_query(_counts()).where(Course.id == course.course_id))[0]


def list_roster(
    session: Session,
    word: str | int,
    policy: Policy,
    *,
    term: str | None = None,
    everybody: bool = False,
) -> tuple[Row, list[Row]]:
    """List the students of a course: those with a seat by name, then the queue by place.

    Args:
        session: any.
        word: the course, or its database id.
        policy: for today's date.
        term: the term that the word means when it names none.
        everybody: also those who have dropped or withdrawn.

    Returns:
        The course as `show_course`, and a row per student.
    """
    course = show_course(session, word, policy, term=term)
    shown = ["enrolled", "completed", "waitlisted"]
    if everybody:
        shown += ["dropped", "withdrawn"]
    rows = _rows(session, _roster_query(course["course_id"], shown))
    position = 0
    for row in rows:
        if row["status"] == "waitlisted":
            position += 1
            row["position"] = position
    return course, rows


def _roster_query(course_id: int, shown: list[str]) -> Any:
    order = case({status: at for at, status in enumerate(shown)}, value=StudentCourses.status)
    return (
        select(
            Student.id.label("student_id"),
            Student.student_number.label("student"),
            Student.given_name,
            Student.family_name,
            StudentCourses.status,
            StudentCourses.queue_place.label("position"),
            StudentCourses.grade,
            StudentCourses.enrolled_on,
            StudentCourses.status_since,
            Student.status.label("student_status"),
        )
        .join(Student, Student.id == StudentCourses.student_id)
        .where(StudentCourses.course_id == course_id, StudentCourses.status.in_(shown))
        .order_by(
            order,
            StudentCourses.queue_place,
            Student.family_name,
            Student.given_name,
            Student.student_number,
        )
    )


def list_students(
    session: Session, *, search: str | None = None, status: str | None = None
) -> list[Row]:
    """List students by number; `search` looks for a part of number, name or e-mail."""
    query = _student_query().order_by(Student.student_number)
    if status is not None:
        query = query.where(Student.status == status)
    if search:
        columns = (Student.student_number, Student.given_name, Student.family_name, Student.email)
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    return _rows(session, query)


def _student_query() -> Any:
    return select(
        Student.id.label("student_id"),
        Student.student_number.label("student"),
        Student.given_name,
        Student.family_name,
        Student.email,
        Student.status,
        Student.max_credit_hours.label("max_credits"),
    )


def show_student(session: Session, student: str | int) -> Row:
    """Show the student of a number, or of a database id.

    Raises:
        errors.UnknownStudent: with near numbers.
    """
    found = find_student(session, student)
    return _rows(session, _student_query().where(Student.id == found.student_id))[0]


def list_terms(session: Session) -> list[Row]:
    """List the terms, by code, with their number of courses."""
    count = select(func.count()).where(Course.term_id == Term.id).correlate(Term).scalar_subquery()
    query = select(
        Term.code.label("term"), Term.name, Term.starts_on, Term.ends_on, Term.enroll_from,
        Term.enroll_until, Term.drop_until, Term.withdraw_until, Term.max_credits, Term.time_zone,
        count.label("courses"),
    )  # fmt: skip
    return _rows(session, query.order_by(Term.code))


def show_term(session: Session, code: str) -> Row:
    """Show a term.

    Raises:
        errors.UnknownTerm: listing the terms.
    """
    require_term(session, code)
    return next(row for row in list_terms(session) if row["term"] == code)


# ── history ──────────────────────────────────────────────────────────────────────────────


def list_operations(session: Session, *, limit: int) -> list[Row]:
    """List the newest operations, newest first."""
    query = select(
        Operation.id.label("operation"), Operation.started_at, Operation.kind, Operation.actor,
        Operation.channel, Operation.outcome, Operation.source, Operation.reason, Operation.totals,
    )  # fmt: skip
    rows = _rows(session, query.order_by(Operation.id.desc()).limit(limit))
    for row in rows:
        row["totals"] = ", ".join(f"{count} {name}" for name, count in row["totals"].items())
    return rows


def _event_query() -> Any:
    ref = Term.code + "/" + Course.code + "-" + Course.section
    return (
        select(
            EnrollmentEvent.operation_id.label("operation"),
            EnrollmentEvent.recorded_at,
            Operation.actor,
            Student.student_number.label("student"),
            ref.label("course"),
            EnrollmentEvent.action,
            EnrollmentEvent.from_status,
            EnrollmentEvent.to_status,
            EnrollmentEvent.code,
            EnrollmentEvent.grade,
            EnrollmentEvent.effective_on,
            EnrollmentEvent.line,
            EnrollmentEvent.detail,
        )
        .join(Operation, Operation.id == EnrollmentEvent.operation_id)
        .outerjoin(Student, Student.id == EnrollmentEvent.student_id)
        .outerjoin(Course, Course.id == EnrollmentEvent.course_id)
        .outerjoin(Term, Term.id == Course.term_id)
    )


def list_events(
    session: Session,
    policy: Policy,
    *,
    operation: int | None = None,
    student: str | None = None,
    course: str | None = None,
    term: str | None = None,
    limit: int,
) -> list[Row]:
    """List recorded enrollment changes and refusals, oldest first, the newest `limit` of them.

    Raises:
        errors.UnknownStudent, errors.UnknownCourse, errors.UnknownOperation: for what is named
            and not there.
    """
    query = _event_query()
    if operation is not None:
        _require_operation(session, operation)
        query = query.where(EnrollmentEvent.operation_id == operation)
    if student is not None:
        found = find_student(session, student)
        query = query.where(EnrollmentEvent.student_id == found.student_id)
    if course is not None:
        fact = find_course(session, course, policy, term)
        query = query.where(EnrollmentEvent.course_id == fact.course_id)
    elif term is not None:
        require_term(session, term)
        query = query.where(Term.code == term)
    newest = query.order_by(EnrollmentEvent.id.desc()).limit(limit)
    return _rows(session, newest)[::-1]


def list_catalog_events(session: Session, operation: int, *, limit: int) -> list[Row]:
    """List what an operation changed in the catalogue, in the order it did."""
    _require_operation(session, operation)
    query = select(
        CatalogEvent.operation_id.label("operation"), CatalogEvent.recorded_at, CatalogEvent.kind,
        CatalogEvent.action, CatalogEvent.record_id, CatalogEvent.line, CatalogEvent.changes,
    ).where(CatalogEvent.operation_id == operation)  # fmt: skip
    rows = _rows(session, query.order_by(CatalogEvent.id).limit(limit))
    for row in rows:
        row["changes"] = ", ".join(
            f"{name}: {'–' if old is None else old} → {'–' if new is None else new}"
            for name, (old, new) in row["changes"].items()
        )
    return rows


def _require_operation(session: Session, operation: int) -> None:
    if session.scalar(select(Operation.id).where(Operation.id == operation)) is None:
        raise errors.UnknownOperation(f"there is no operation {operation}")


# ── export ───────────────────────────────────────────────────────────────────────────────


def export_enrollments(session: Session, *, term: str | None = None) -> Iterator[Row]:
    """Give the changes that lead to today's enrollments, in an order in which they are accepted.

    Per course: first who has left, then who has a seat, then the queue by place. A row carries
    the override it needs where the catalogue has changed since (inactive student, closed course,
    more enrolled than seats).
    """
    require_term(session, term)
    order = case(
        {"dropped": 0, "withdrawn": 0, "waitlisted": 2}, value=StudentCourses.status, else_=1
    )
    query = (
        select(
            Course.id,
            Term.code.label("term"),
            Course.code.label("course"),
            Course.section,
            Course.capacity,
            Course.status.label("course_status"),
            Student.student_number.label("student"),
            Student.status.label("student_status"),
            StudentCourses.status,
            StudentCourses.enrolled_on,
            StudentCourses.status_since,
            StudentCourses.grade,
        )
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .join(Student, Student.id == StudentCourses.student_id)
        .order_by(
            Term.code,
            Course.code,
            Course.section,
            order,
            StudentCourses.queue_place,
            StudentCourses.enrolled_on,
            Student.student_number,
        )
    )
    if term is not None:
        query = query.where(Term.code == term)
    course_id, taken = None, 0
    for found in session.execute(query.execution_options(yield_per=5000)).mappings():
        if found["id"] != course_id:
            course_id, taken = found["id"], 0
        yield from _export_rows(found, taken)
        taken += found["status"] in SEATED_STATUSES


LEAVING = {"dropped": "drop", "withdrawn": "withdraw", "completed": "complete"}


def _export_rows(found: Any, taken: int) -> Iterator[Row]:
    overrides = []
    if found["student_status"] != "active":
        overrides.append("student-inactive")
    if found["course_status"] != "open":
        overrides.append("course-closed")
    full = found["capacity"] is not None and taken >= found["capacity"]
    if full and found["status"] != "waitlisted":
        overrides.append("course-full")
    row = {name: found[name] for name in ("student", "term", "course", "section")}
    yield {
        **row,
        "action": "enroll",
        "effective_on": found["enrolled_on"],
        "override": " ".join(overrides),
        "reason": "as exported" if overrides else None,
    }
    action = LEAVING.get(found["status"])
    if action is not None:
        yield {
            **row,
            "action": action,
            "effective_on": found["status_since"],
            "grade": found["grade"],
        }

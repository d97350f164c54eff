"""What listings show: queries that only read, each row a plain dictionary of named values."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, case, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from studentcli import errors, values
from studentcli.database import listed_in
from studentcli.models import Course, Student, StudentCourses, Term
from studentcli.records import COURSE
from studentcli.requests import CourseWord, Policy, Refusal
from studentcli.services.resolve import (
    CourseIndex,
    current_term,
    find_course,
    find_student,
    is_sqlite,
    load_terms,
)
from studentcli.vocabulary import LIVE_STATUSES, SEATED_STATUSES

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


def split_course(
    session: Session, word: str, policy: Policy, *, with_slash: bool
) -> tuple[str | None, str]:
    """Split the word for a new course into the term that it names, or none, and the rest.

    Args:
        session: any.
        word: TERM/CODE or CODE.
        policy: for today's date.
        with_slash: whether the code may hold a slash itself.

    Raises:
        errors.UnknownTerm: for a slash behind what is no term, unless the code may hold one: a
            mistyped term must not become part of a code.
    """
    if "/" not in word:
        return None, word
    term, rest = CourseIndex(load_terms(session), [], policy, None).split(CourseWord(word))
    if term is None and not with_slash:
        require_term(session, word.partition("/")[0])
    return term, rest


def count_seats(session: Session, course_id: int) -> int:
    """Count the seats taken in a course."""
    mine = StudentCourses
    query = select(func.count()).where(
        mine.course_id == course_id, mine.status.in_(SEATED_STATUSES)
    )
    return session.scalar(query) or 0


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
            *(getattr(Course, field.attribute).label(field.name) for field in COURSE.of_rules),
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
    """List students by number; `search` looks for a part of number, name or e-mail, in any case."""
    query = _student_query().order_by(Student.student_number)
    if status is not None:
        query = query.where(Student.status == status)
    part = values.folded(search or "")
    if not part:
        return _rows(session, query)
    # Compared here: SQLite's lower() and that of a server with the C locale know ASCII alone.
    found = session.execute(query.execution_options(yield_per=5000)).mappings()
    return [dict(row) for row in found if part in _searched_text(row)]


def list_under_load(
    session: Session, hours: Decimal, policy: Policy, *, term: str | None = None
) -> tuple[str, list[Row]]:
    """List the active students who are enrolled in a term with less than a minimum load.

    Args:
        session: any.
        hours: the minimum of credit hours; those who wait for a seat count for nothing.
        policy: for today's date.
        term: the term; the one that enrolling means when left out.

    Returns:
        The term's code, and rows as `list_students` with the `load`, by number.

    Raises:
        errors.UnknownTerm: when there is no such term, or none is meant.
    """
    require_term(session, term)
    found = current_term(load_terms(session), policy) if term is None else term
    if isinstance(found, Refusal):
        raise found.error()
    code = found if isinstance(found, str) else found.code
    load = func.sum(Course.credit_hours)
    query = (
        _student_query()
        .add_columns(type_coerce(load, Course.credit_hours.type).label("load"))
        .join(StudentCourses, StudentCourses.student_id == Student.id)
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(
            Term.code == code,
            Student.status == "active",
            StudentCourses.status.in_(SEATED_STATUSES),
        )
        .group_by(Student.id)
        .having(load < cast(str(hours), Numeric(7, 2)))
        .order_by(Student.student_number)
    )
    return code, _rows(session, query)


def _searched_text(row: Any) -> str:
    names = (row["student"], row["given_name"], row["family_name"], row["email"] or "")
    return values.folded("\n".join(names))


def _student_query() -> Any:
    return select(
        Student.id.label("student_id"),
        Student.student_number.label("student"),
        Student.given_name,
        Student.family_name,
        Student.email,
        Student.status,
        Student.max_credit_hours.label("max_credits"),
        Student.tags,
    )


def show_student(session: Session, student: str | int) -> Row:
    """Show the student of a number, or of a database id.

    Raises:
        errors.UnknownStudent: with near numbers.
    """
    found = find_student(session, student)
    return _rows(session, _student_query().where(Student.id == found.student_id))[0]


def list_live(session: Session, student_ids: Iterable[int]) -> list[tuple[str, list[str]]]:
    """List what students are enrolled in or wait for: number and courses, by number.

    Students without any are left out.
    """
    mine = StudentCourses
    query = (
        select(Student.student_number, Term.code + "/" + Course.code + "-" + Course.section)
        .join(mine, mine.student_id == Student.id)
        .join(Course, Course.id == mine.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(
            listed_in(Student.id, student_ids, is_sqlite=is_sqlite(session)),
            mine.status.in_(LIVE_STATUSES),
        )
        .order_by(Student.student_number, Term.code, Course.code, Course.section)
    )
    kept: dict[str, list[str]] = {}
    for number, ref in session.execute(query):
        kept.setdefault(number, []).append(ref)
    return list(kept.items())


def list_terms(session: Session) -> list[Row]:
    """List the terms, by code, with their number of courses."""
    count = select(func.count()).where(Course.term_id == Term.id).correlate(Term).scalar_subquery()
    query = select(
        Term.code.label("term"), Term.name, Term.starts_on, Term.ends_on, Term.enroll_from,
        Term.enroll_until, Term.drop_until, Term.withdraw_until, Term.max_credits, Term.time_zone,
        Term.max_waitlists, Term.grades,
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

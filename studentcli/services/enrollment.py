"""Enrolling, dropping, withdrawing, completing: the one `submit` under every door."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from studentcli import audit
from studentcli.database import Database
from studentcli.models import Course, StudentCourses, Term
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Request, Wanted
from studentcli.services.loading import Deciding
from studentcli.services.near import find_near, suggest_course, suggest_student
from studentcli.services.operations import Act, Recorder, count_outcomes
from studentcli.services.writer import write_facts


def submit(
    session: Session,
    request: Request,
    act: Act,
    *,
    policy: Policy | None = None,
    term: str | None = None,
) -> Decision:
    """Decide one request and record what came of it: a batch of one.

    Args:
        session: from `Database.write`; a dry run's session decides the same and writes nothing.
        request: the student and the changes asked for together.
        act: who asks, through which door.
        policy: how to judge; the default when left out.
        term: the term code that course words mean when they name none.

    Returns:
        An outcome per change, in the order asked. A refusal is an outcome, not an exception.
    """
    deciding, (decision,) = _submit(session, [request], act, policy, term)
    _add_suggestions(deciding, decision)
    return decision


def submit_all(
    session: Session,
    requests: list[Request],
    act: Act,
    *,
    policy: Policy | None = None,
    term: str | None = None,
) -> list[Decision]:
    """Decide requests in their order and record what came of them as one operation.

    Args:
        session: as `submit`, and so are the others.
        requests: of different students, or of one.
        act: the operation.
        policy: how to judge.
        term: what course words mean that name none.

    Returns:
        A decision per request.
    """
    return _submit(session, requests, act, policy, term)[1]


def _submit(
    session: Session, requests: list[Request], act: Act, policy: Policy | None, term: str | None
) -> tuple[Deciding, list[Decision]]:
    deciding = Deciding(session, policy or Policy(act.now), term)
    wanted = Wanted()
    for request in requests:
        wanted.add(request)
    deciding.lock(wanted)
    decisions = deciding.decide(requests)
    operation_id = record(session, deciding, act, dict(count_outcomes(decisions)))
    for decision in decisions:
        decision.operation_id = operation_id
    return deciding, decisions


def carry_out(
    database: Database,
    request: Request,
    act: Act,
    *,
    policy: Policy | None = None,
    term: str | None = None,
    dry_run: bool = False,
    also: Callable[[Session, Decision], None] | None = None,
) -> Decision:
    """Submit a request in a transaction of its own, and leave its trail in the audit log.

    Args:
        database: where.
        request: the student and the changes asked for together.
        act: who asks, through which door.
        policy: how to judge; the default when left out.
        term: the term code that course words mean when they name none.
        dry_run: forecast it: nothing is written, neither to the database nor to the log.
        also: looks at what came of it in the same transaction; called anew when that is.

    Returns:
        As `submit`.

    Raises:
        errors.Busy, errors.DatabaseUnavailable: as `Database.write`.
    """

    def unit(session: Session) -> Decision:
        decision = submit(session, request, act, policy=policy, term=term)
        if also is not None:
            also(session, decision)
        return decision

    if dry_run:
        return database.write(unit, dry_run=True)
    with audit.following(act.channel, act.actor, act.request_key) as trail:
        trail.asked(request)
        decision = database.write(unit)
        trail.operation_id = decision.operation_id
        trail.decided(decision)
    return decision


def carry_out_all(
    database: Database,
    requests: list[Request],
    act: Act,
    *,
    policy: Policy | None = None,
    term: str | None = None,
    dry_run: bool = False,
) -> list[Decision]:
    """Submit requests as one operation in one transaction, with a trail as `carry_out` leaves it.

    Args:
        database: where.
        requests: in the order in which they are decided.
        act: who asks, through which door.
        policy: how to judge; the default when left out.
        term: the term code that course words mean when they name none.
        dry_run: forecast it.

    Returns:
        A decision per request. What was not found has a hint if it differs from what there is
        in zeros, case or spaces only.
    """

    def unit(session: Session) -> list[Decision]:
        decisions = submit_all(session, requests, act, policy=policy, term=term)
        _add_near(session, decisions)
        return decisions

    if dry_run:
        return database.write(unit, dry_run=True)
    with audit.following(act.channel, act.actor, act.request_key) as trail:
        for request in requests:
            trail.asked(request)
        decisions = database.write(unit)
        trail.operation_id = decisions[0].operation_id if decisions else None
        for decision in decisions:
            trail.decided(decision)
    return decisions


def record(session: Session, deciding: Deciding, act: Act, totals: dict[str, Any]) -> int | None:
    """Write the operation, the states and the events; gives its number, or none in a forecast."""
    recorder = Recorder(session, act)
    if recorder.is_forecast:
        return None
    operation_id = recorder.operation_id(totals)
    write_facts(session, deciding.facts, operation_id, act.now)
    return operation_id


def _add_suggestions(deciding: Deciding, decision: Decision) -> None:
    """Tell near names for what was not found; only for a typed request, never for a file."""
    session = deciding.session
    for outcome in decision.refused:
        refusal = outcome.refusals[0]
        if refusal.code == "unknown-student" and isinstance(decision.request.student, str):
            better = suggest_student(session, refusal, decision.request.student)
        elif isinstance(outcome.change.course, CourseWord):
            word = outcome.change.course
            better = suggest_course(session, refusal, word, deciding.index.term_of(word))
        else:
            continue
        outcome.refusals = (better, *outcome.refusals[1:])


def _add_near(session: Session, decisions: list[Decision]) -> None:
    """Tell near names for what was not found in many requests, in one look."""
    missed: list[tuple[Outcome, str | CourseWord]] = []
    for decision in decisions:
        for outcome in decision.refused:
            code, course = outcome.refusals[0].code, outcome.change.course
            if code == "unknown-student" and isinstance(decision.request.student, str):
                missed.append((outcome, decision.request.student))
            elif code == "unknown-course" and isinstance(course, CourseWord):
                missed.append((outcome, course))
    near = find_near(session, (word for _, word in missed)) if missed else {}
    for outcome, word in missed:
        if word in near:
            first, *others = outcome.refusals
            hint = f"did you mean {' or '.join(near[word])}?"
            outcome.refusals = (replace(first, hint=hint), *others)


def enroll_student_in_course(
    session: Session,
    student_id: int,
    course_id: int,
    *,
    effective_on: date | None = None,
    act: Act | None = None,
    policy: Policy | None = None,
) -> Decision:
    """Enroll one student in one course, both by database id.

    Args:
        session: from `Database.write`.
        student_id: the student's database id.
        course_id: the course's database id.
        effective_on: the date it counts from; today in the term's time zone when left out.
        act: who asks; this process's user through `python` when left out.
        policy: how to judge; the default when left out.

    Returns:
        The decision with one outcome: enrolled, waitlisted, unchanged or refused. Its
        `require()` raises `errors.UnknownStudent`, `errors.CourseFull` and the like instead.
    """
    change = Change("enroll", course_id, effective_on)
    act = act or Act("enroll")
    return submit(session, Request(student_id, [change]), act, policy=policy)


@dataclass(frozen=True)
class EnrolledCourse:
    """One course of a student: a row of `retrieve_courses_for_student`."""

    course_id: int
    term: str
    code: str
    section: str
    title: str
    credit_hours: Decimal
    status: str
    position: int | None
    grade: str | None
    enrolled_on: date
    status_since: date

    @property
    def ref(self) -> str:
        """The course as TERM/CODE-SECTION."""
        return f"{self.term}/{self.code}-{self.section}"


def retrieve_courses_for_student(
    session: Session, student_id: int, *, term: str | None = None, course_id: int | None = None
) -> list[EnrolledCourse]:
    """List the courses of a student, in every state, by term, code and section.

    Args:
        session: any.
        student_id: the student's database id.
        term: only this term's code.
        course_id: only this course.

    Returns:
        One row per course; `position` (1 = next) only for the waitlisted. Empty for a student
        without courses and for an id that nobody has.
    """
    mine, other = StudentCourses, aliased(StudentCourses)
    position = (
        select(func.count())
        .where(other.course_id == mine.course_id, other.queue_place <= mine.queue_place)
        .correlate(mine)
        .scalar_subquery()
    )
    query = (
        select(
            Course.id,
            Term.code,
            Course.code,
            Course.section,
            Course.title,
            Course.credit_hours,
            mine.status,
            position,
            mine.grade,
            mine.enrolled_on,
            mine.status_since,
        )
        .join(Course, Course.id == mine.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(mine.student_id == student_id)
        .order_by(Term.code, Course.code, Course.section)
    )
    if term is not None:
        query = query.where(Term.code == term)
    if course_id is not None:
        query = query.where(Course.id == course_id)
    courses = [EnrolledCourse(*row) for row in session.execute(query)]
    return [
        course if course.status == "waitlisted" else replace(course, position=None)
        for course in courses
    ]

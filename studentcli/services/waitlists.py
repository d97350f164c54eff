"""Waitlists as people ask about them: who waits, what blocks them, and what more seats would do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.facts import CourseFact, Event
from studentcli.models import Course, Student, StudentCourses, Term
from studentcli.records import COURSE
from studentcli.requests import Consequences, Policy, Promotion
from studentcli.rules.book import CLEAR, Verdict
from studentcli.rules.queue import judge_queue
from studentcli.services.operations import Act, Recorder
from studentcli.services.queues import QueueRun, lock_queues
from studentcli.services.resolve import find_course, is_sqlite
from studentcli.services.views import Row, require_term, show_course

Queue = tuple[Row, list[Row]]
"""A course as `show_course` gives it, and a row per student who waits, by place."""


# ── looking ──────────────────────────────────────────────────────────────────────────────


def show_waitlist(
    session: Session, word: str | int, policy: Policy, *, term: str | None = None
) -> Queue:
    """Show the queue of a course, and for everybody in it whether a seat could be given now.

    Args:
        session: from `Database.read`.
        word: the course, or its database id.
        policy: for today's date.
        term: the term that the word means when it names none.

    Returns:
        The course, and rows with `place` (1 = next), `student`, `given_name`, `family_name`,
        `since`, `instead_of`, `may_sit`, `rules` (every code that blocks) and `message`.

    Raises:
        errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm: as `find_course`.
    """
    shown = show_course(session, word, policy, term=term)
    run, course = read_queue(session, shown["course_id"], policy)
    verdicts = judge_queue(course, run.deciding.facts, policy)
    rows = _rows(run, course)
    for student_id, row in rows.items():
        refusals = verdicts[student_id].refusals
        row["may_sit"] = "no" if refusals else "yes"
        row["rules"] = " ".join(dict.fromkeys(refusal.code for refusal in refusals)) or None
        row["message"] = "; ".join(refusal.message for refusal in refusals) or None
    return shown, list(rows.values())


def read_queue(session: Session, course_id: int, policy: Policy) -> tuple[QueueRun, CourseFact]:
    """Read a course with its queue and what the rules look at about everybody in it."""
    run = lock_queues(session, Act("look", now=policy.now), {course_id})
    return run, run.deciding.facts.courses[course_id]


def _rows(run: QueueRun, course: CourseFact) -> dict[int, Row]:
    """Give a row per student of a queue, by id, in the order of places."""
    courses = run.deciding.facts.courses
    names = _names(run.session, course.queue)
    return {
        student_id: {
            "place": place,
            **names[student_id],
            "since": queued.enrolled_on,
            "instead_of": None if queued.instead_of is None else courses[queued.instead_of].ref,
        }
        for place, (student_id, queued) in enumerate(course.queue.items(), 1)
    }


def _names(session: Session, student_ids: Iterable[int]) -> dict[int, Row]:
    query = select(
        Student.id, Student.student_number, Student.given_name, Student.family_name
    ).where(listed_in(Student.id, student_ids, is_sqlite=is_sqlite(session)))
    return {
        student_id: {"student": number, "given_name": given, "family_name": family}
        for student_id, number, given, family in session.execute(query)
    }


# ── what more seats would do ─────────────────────────────────────────────────────────────


class Capacity(NamedTuple):
    """A capacity to try: seats, or with `is_more` so many more; none = unlimited."""

    seats: int | None
    is_more: bool = False


@dataclass(frozen=True)
class Simulation:
    """What another capacity would do.

    Args:
        course: as `show_course`, with the capacity that was tried.
        rows: per student who waits `place`, names, `result` (promoted, passed-over, waiting),
            `rule` and `message`.
        elsewhere: who would move up in other courses, which swaps give up.
    """

    course: Row
    rows: list[Row]
    elsewhere: list[Promotion]


def simulate_waitlist(
    session: Session,
    word: str | int,
    capacity: Capacity,
    policy: Policy,
    *,
    term: str | None = None,
) -> Simulation:
    """Run a queue in the mind as if the course had another capacity; nothing is written.

    Args:
        session: from `Database.read`.
        word: the course, or its database id.
        capacity: what to try.
        policy: for today's date.
        term: the term that the word means when it names none.

    Raises:
        errors.BadValue: for more seats in a course without limit.
        errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm: as `find_course`.
    """
    shown = show_course(session, word, policy, term=term)
    run, course = read_queue(session, shown["course_id"], policy)
    shown["capacity"] = seats = _tried(course, capacity)
    run.see(COURSE, course.course_id, {COURSE.field("capacity"): seats})
    rows = _rows(run, course)
    before = judge_queue(course, run.deciding.facts, policy)
    promotions = run.finish(None)
    after = judge_queue(course, run.deciding.facts, policy)
    passed = {event.student_id: event for event in run.passed_over if _is_of(event, course)}
    for student_id, row in rows.items():
        verdict = after.get(student_id)
        if verdict is None:
            row.update(result="promoted", rule=None, message=None)
        elif student_id in passed:
            row.update(_passed(passed[student_id].code, before[student_id] + verdict))
        else:
            first = verdict.refusals[0]
            row.update(result="waiting", rule=first.code, message=first.message)
    elsewhere = [promoted for promoted in promotions if promoted.course_id != course.course_id]
    return Simulation(shown, list(rows.values()), elsewhere)


def _tried(course: CourseFact, capacity: Capacity) -> int | None:
    if not capacity.is_more or capacity.seats is None:
        return capacity.seats
    if course.capacity is None:
        raise errors.BadValue(f"{course.ref} has no limit, and so no seats can be added to it")
    return course.capacity + capacity.seats


def _is_of(event: Event, course: CourseFact) -> bool:
    return event.course_id == course.course_id


def _passed(code: str | None, verdict: Verdict) -> Row:
    """Say why somebody is passed over: by the rule of the event, in that rule's sentence."""
    said = {refusal.code: refusal.message for refusal in reversed(verdict.refusals)}
    return {"result": "passed-over", "rule": code, "message": said.get(code or "")}


# ── running ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Offered(Consequences):
    """What came of offering free seats: who moved up, and who was passed over by which rule.

    Args:
        courses: how many waitlists were run.
        passed_over: per student `student`, `course`, `result` (passed-over), `rule`, `message`.
    """

    courses: int = 0
    passed_over: list[Row] = field(default_factory=list)


def run_waitlists(
    session: Session, words: Sequence[str] | None, act: Act, *, term: str | None = None
) -> Offered:
    """Offer the free seats of courses to their queues, as one operation.

    Every change runs the queues that it moves; this is for what time alone has changed: a hold
    that ended, seats that are reserved no longer.

    Args:
        session: from `Database.write`.
        words: the courses; none = all that have a queue, of the term if one is named.
        act: who asks, through which door.
        term: the term that words mean when they name none.

    Raises:
        errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm: as `find_course`.
    """
    require_term(session, term)
    if words is None:
        course_ids = _queued_courses(session, term)
    else:
        policy = Policy(act.now)
        course_ids = {find_course(session, word, policy, term).course_id for word in words}
    run = lock_queues(session, act, course_ids)
    run.touched |= course_ids
    recorder = Recorder(session, act)
    promotions = run.finish(None if recorder.is_forecast else recorder.operation_id())
    totals = {"promoted": len(promotions), "passed over": len(run.passed_over)}
    return Offered(
        operation_id=recorder.finish({name: count for name, count in totals.items() if count}),
        promotions=promotions,
        courses=len(course_ids),
        passed_over=_passed_rows(run),
    )


def _queued_courses(session: Session, term: str | None) -> set[int]:
    """Find the courses in which somebody waits."""
    query = select(StudentCourses.course_id).where(StudentCourses.status == "waitlisted")
    if term is not None:
        query = query.join(Course, Course.id == StudentCourses.course_id)
        query = query.join(Term, Term.id == Course.term_id).where(Term.code == term)
    return set(session.scalars(query.distinct()))


def _passed_rows(run: QueueRun) -> list[Row]:
    """Say of whom a run has passed over, as far as they still wait, by which rule and why."""
    facts = run.deciding.facts
    judged: dict[int, dict[int, Verdict]] = {}
    rows: dict[tuple[int, int], Row] = {}
    for event in run.passed_over:
        student_id, course_id = event.student_id or 0, event.course_id or 0
        course = facts.courses[course_id]
        if course_id not in judged:
            judged[course_id] = judge_queue(course, facts, run.deciding.policy)
        if student_id in course.queue:
            rows[student_id, course_id] = {
                "student": facts.students[student_id].number,
                "course": course.ref,
                **_passed(event.code, judged[course_id].get(student_id, CLEAR)),
            }
    return list(rows.values())

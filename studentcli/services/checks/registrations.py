"""What students are enrolled in against the rules for a seat: as if they asked for it today."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.facts import CourseFact, Enrollments, Key, StudentFact, TermFact
from studentcli.meetings import parse as parse_meetings
from studentcli.models import Course, Student, StudentCourses
from studentcli.requests import Refusal
from studentcli.rules.book import ADDING, Rule, judge
from studentcli.services.checks.finding import Finding, attention, stream
from studentcli.services.checks.scope import Records, Scope, overridden
from studentcli.vocabulary import SEATED_STATUSES

STUDENTS: Final = 500
"""How many students are read at a time."""
LOAD: Final = "credit-load"
JUDGED: Final = {
    "duplicate-section": SEATED_STATUSES,
    "time-conflict": ("enrolled",),
    LOAD: SEATED_STATUSES,
}
"""The rules by which seats are judged again, and which enrollments each of them is about."""
AGAIN: Final = tuple(rule for rule in ADDING if rule.code in JUDGED)
PREREQUISITE: Final = next(rule for rule in ADDING if rule.code == "prerequisite-missing")
SLOT: Final = 5
"""Minutes: the grid in which weeks are compared before the rule looks closely."""

Taken = tuple[int, list[int]]
"""A student's id and the ids of courses."""


class _Course(NamedTuple):
    """As much of a course as tells whom the rules need not look at."""

    term_id: int
    code: str
    hours: Decimal
    week: int


# ── sections, times, credit hours ────────────────────────────────────────────────────────


def check_registrations(session: Session, scope: Scope) -> Iterator[Finding]:
    """Find second sections, overlapping schedules and too high loads without an override."""
    records = Records(session, scope)
    for chunk in _chunks(_suspects(session, scope)):
        yield from _judge_chunk(session, records, chunk)


def _suspects(session: Session, scope: Scope) -> Iterator[Taken]:
    """Give the students, by id, in whose courses the rules may find something.

    Everybody is looked at, so it is quick and coarse: weeks on a grid without dates, the lower one
    of two limits. It may suspect in vain and must not miss.
    """
    courses = _catalogue(session, scope)
    limits = {term.term_id: term.max_credits for term in scope.terms}
    mine = StudentCourses
    query = (
        select(mine.student_id, mine.course_id, mine.status, Student.max_credit_hours)
        .join(Student, Student.id == mine.student_id)
        .where(mine.status.in_(SEATED_STATUSES))
        .order_by(mine.student_id, mine.course_id)
    )
    for student_id, rows in groupby(stream(session, query), key=lambda row: row[0]):
        taken = [
            (course_id, courses[course_id], status, most)
            for _, course_id, status, most in rows
            if course_id in courses
        ]
        if taken and _is_suspect(taken, limits):
            yield student_id, [course_id for course_id, *_ in taken]


def _catalogue(session: Session, scope: Scope) -> dict[int, _Course]:
    """Read the courses of the terms that matter."""
    query = select(
        Course.id, Course.term_id, Course.code, Course.credit_hours, Course.meetings
    ).where(Course.term_id.in_(scope.read))
    return {
        course_id: _Course(term_id, code, hours, _week(meetings))
        for course_id, term_id, code, hours, meetings in stream(session, query)
    }


@lru_cache(maxsize=8192)
def _week(meetings: str | None) -> int:
    """Draw the meetings as bits, one per slot of the week."""
    bits = 0
    for meeting in parse_meetings(meetings):
        first, last = meeting.starts // SLOT, -(-meeting.ends // SLOT)
        day = ((1 << (last - first)) - 1) << first
        for weekday in meeting.weekdays:
            bits |= day << weekday * (24 * 60 // SLOT)
    return bits


def _is_suspect(
    taken: list[tuple[int, _Course, str, Decimal | None]], limits: dict[int, Decimal | None]
) -> bool:
    week = 0
    codes = set()
    hours: dict[int, Decimal] = {}
    for _, course, status, _ in taken:
        codes.add((course.term_id, course.code))
        if status == "enrolled":
            if week & course.week:
                return True
            week |= course.week
        hours[course.term_id] = hours.get(course.term_id, Decimal(0)) + course.hours
    if len(codes) < len(taken):
        return True
    most = taken[0][3]
    for term_id, total in hours.items():
        known = [limit for limit in (most, limits[term_id]) if limit is not None]
        if known and total > min(known):
            return True
    return False


def _judge_chunk(session: Session, records: Records, chunk: list[Taken]) -> Iterator[Finding]:
    courses = dict(chunk)
    records.take_courses({course_id for ids in courses.values() for course_id in ids})
    students = records.read(courses)
    keys = [(student_id, course_id) for student_id, ids in chunk for course_id in ids]
    allowed = overridden(session, keys)
    for student in students:
        mine = _in_order(student, courses[student.student_id])
        for rule in AGAIN:
            for course, refusal in _judge_anew(rule, student, mine, records, allowed):
                if records.scope.covers(course.term):
                    status = student.enrollments[course.course_id].status
                    yield _found(student, course, refusal, is_over=status != "enrolled")


def _in_order(student: StudentFact, course_ids: Iterable[int]) -> list[int]:
    """Order courses as they may have been added: what can be dropped comes last."""

    def place(course_id: int) -> tuple[bool, Any, int]:
        enrollment = student.enrollments[course_id]
        return enrollment.status == "enrolled", enrollment.enrolled_on, course_id

    return sorted(course_ids, key=place)


def _judge_anew(
    rule: Rule,
    student: StudentFact,
    course_ids: Iterable[int],
    records: Records,
    allowed: dict[Key, frozenset[str]],
) -> list[tuple[CourseFact, Refusal]]:
    """Let a student's courses be added again, one after the other; gives what the rule refuses.

    A course with an override of the rule is left out: it neither breaks the rule nor makes
    another one break it.
    """
    so_far = Enrollments(student.enrollments.states)
    anew = replace(student, enrollments=so_far, hours=None)
    found: list[tuple[CourseFact, Refusal]] = []
    for course_id in course_ids:
        enrollment = student.enrollments[course_id]
        if enrollment.status not in JUDGED[rule.code]:
            continue
        course = records.facts.courses[course_id]
        case = records.case(anew, course)
        key = (student.student_id, course_id)
        if rule.code in case.allowed or rule.code in allowed.get(key, ()):
            continue
        refusal = rule.judge(case)
        so_far[course_id] = enrollment
        anew.recount()
        if refusal is not None:
            found.append((course, refusal))
    return _last_of_terms(found) if rule.code == LOAD else found


def _last_of_terms(found: list[tuple[CourseFact, Refusal]]) -> list[tuple[CourseFact, Refusal]]:
    """Keep of every term the last course, with which the sum is told in full."""
    last: dict[TermFact, tuple[CourseFact, Refusal]] = {pair[0].term: pair for pair in found}
    return list(last.values())


def _found(
    student: StudentFact, course: CourseFact, refusal: Refusal, *, is_over: bool = False
) -> Finding:
    number, ref = shlex.quote(student.number), shlex.quote(course.ref)
    allow = f"studentcli override grant {number} {ref} --rule {refusal.code} --reason TEXT"
    mend = allow if is_over else f"studentcli drop {number} {ref}; or {allow}"
    return attention(refusal.code, f"{student.number} in {course.ref}", refusal.message, mend)


# ── prerequisites ────────────────────────────────────────────────────────────────────────


def check_prerequisites(session: Session, scope: Scope) -> Iterator[Finding]:
    """Judge the prerequisites of a named term's enrolled students again: grades have come since."""
    if scope.named is None:
        return
    mine = StudentCourses
    query = (
        select(mine.student_id, mine.course_id)
        .join(Course, Course.id == mine.course_id)
        .where(
            Course.term_id.in_(scope.covered),
            Course.requires.is_not(None),
            mine.status == "enrolled",
        )
        .order_by(mine.student_id, mine.course_id)
    )
    taken = (
        (student_id, [course_id for _, course_id in rows])
        for student_id, rows in groupby(stream(session, query), key=lambda row: row[0])
    )
    records = Records(session, scope)
    for chunk in _chunks(taken):
        yield from _judge_prerequisites(session, records, dict(chunk))


def _judge_prerequisites(
    session: Session, records: Records, courses: dict[int, list[int]]
) -> Iterator[Finding]:
    records.take_courses({course_id for ids in courses.values() for course_id in ids})
    refused: dict[Key, tuple[StudentFact, CourseFact, Refusal]] = {}
    for student in records.read(courses):
        for course_id in courses[student.student_id]:
            course = records.facts.courses[course_id]
            for refusal in judge((PREREQUISITE,), records.case(student, course)).refusals:
                refused[student.student_id, course_id] = student, course, refusal
    allowed = overridden(session, refused.keys())
    for key, found in refused.items():
        if PREREQUISITE.code not in allowed.get(key, ()):
            yield _found(*found)


def _chunks(taken: Iterator[Taken]) -> Iterator[list[Taken]]:
    while chunk := list(islice(taken, STUDENTS)):
        yield chunk

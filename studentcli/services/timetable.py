"""The week of a student: when and where the courses of one term meet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import TermFact
from studentcli.meetings import DAYS, clock, parse
from studentcli.models import Course
from studentcli.requests import Policy, Refusal
from studentcli.services.enrollment import EnrolledCourse
from studentcli.services.resolve import current_term, is_sqlite, load_terms, read_text
from studentcli.services.standing import courses_of_student
from studentcli.services.views import Row
from studentcli.vocabulary import LIVE_STATUSES


@dataclass(frozen=True)
class Week:
    """The week of a student in one term.

    Args:
        student: as `views.show_student`.
        term: the code of the term; none for a student without courses, unless one was named.
        rows: one per day and meeting, by day, times and course. `first` and `last` are the
            meeting's dates, else the term's; `is_dated` says that they are the meeting's own.
        without: the courses without meetings.
        elsewhere: codes of the other terms in which the student is enrolled or waits.
    """

    student: Row
    term: str | None
    rows: list[Row]
    without: list[Row]
    elsewhere: list[str]


def week_of_student(
    session: Session, student: str | int, policy: Policy, *, term: str | None = None
) -> Week:
    """Show when and where the courses meet that a student is enrolled in or waits for.

    Args:
        session: any.
        student: the student number, or the database id.
        policy: for today's date.
        term: the term's code. When left out: of the terms in which the student has such courses
            the one that enrolling means today (SEMANTICS 6); the only one is never asked for.

    Raises:
        errors.UnknownStudent: with near numbers.
        errors.UnknownTerm: listing the terms that could be meant.
    """
    found, courses = courses_of_student(session, student, term=term)
    live = [course for course in courses if course.status in LIVE_STATUSES]
    codes = {course.term for course in live}
    if not codes:
        return Week(found, term, [], [], [])
    chosen = current_term([t for t in load_terms(session) if t.code in codes], policy)
    if isinstance(chosen, Refusal):
        raise chosen.error()
    shown = [course for course in live if course.term == chosen.code]
    meetings = _meetings(session, [course.course_id for course in shown])
    rows = [row for c in shown for row in _rows(c, meetings[c.course_id], chosen)]
    rows.sort(key=lambda row: (DAYS.index(row["day"]), row["starts"], row["ends"], row["course"]))
    without = [_named(course) for course in shown if not meetings[course.course_id]]
    return Week(found, chosen.code, rows, without, sorted(codes - {chosen.code}))


def _meetings(session: Session, course_ids: Iterable[int]) -> dict[int, str | None]:
    condition = listed_in(Course.id, course_ids, is_sqlite=is_sqlite(session))
    found: Iterable[Any] = session.execute(select(Course.id, Course.meetings).where(condition))
    return {course_id: text for course_id, text in found}  # noqa: C416  (rows are no tuples)


def _named(course: EnrolledCourse) -> Row:
    return {
        "course": course.ref,
        "section": f"{course.code}-{course.section}",
        "title": course.title,
        "status": course.status,
        "position": course.position,
    }


def _rows(course: EnrolledCourse, text: str | None, term: TermFact) -> Iterator[Row]:
    for meeting in read_text(parse, text, f"meetings of {course.ref}"):
        for day in meeting.weekdays:
            yield {
                **_named(course),
                "day": DAYS[day],
                "starts": clock(meeting.starts),
                "ends": clock(meeting.ends),
                "room": meeting.room,
                "first": meeting.first or term.starts_on,
                "last": meeting.last or term.ends_on,
                "is_dated": meeting.first is not None,
            }

"""Repairing what is derived: enrollments are rewritten as their events say."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import EnrollmentFact, Event, Key
from studentcli.models import Course, Student, StudentCourses
from studentcli.services.checks.finding import name_enrollment
from studentcli.services.checks.replay import (
    STATE_NAMES,
    Difference,
    can_be_rewritten,
    describe,
    find_differences,
)
from studentcli.services.events import REPAIR
from studentcli.services.operations import Act, Recorder
from studentcli.services.resolve import is_sqlite
from studentcli.services.writer import finished_rows, write_rows

KIND: Final = "db-check-fix"
"""How the operation is called in the history."""
CODE: Final = "repaired"
"""The code of a repair's event: like a refusal it changes nothing."""
TOLD: Final = 1_000
"""How many repairs are told one by one."""


class Repair(NamedTuple):
    """One enrollment that was `added`, `rewritten` or `removed`, and in what it differed."""

    subject: str
    verb: str
    why: str


@dataclass
class Fixed:
    """What was repaired.

    Args:
        totals: how many enrollments were `added`, `rewritten`, `removed`.
        repairs: the first of them.
        left: how many stay as they are: no event tells of them, or nothing that can be.
        operation_id: none when there was nothing to do, and in a forecast.
    """

    totals: Counter[str] = field(default_factory=Counter)
    repairs: list[Repair] = field(default_factory=list)
    left: int = 0
    operation_id: int | None = None


def fix_enrollments(session: Session, act: Act) -> Fixed:
    """Rewrite the enrollments that are not what their events say.

    An operation of its own, whose events tell what stood there before, and are no changes. What
    cannot be an enrollment stays: a student or course that is gone, a place in a queue that
    another has. So does an enrollment that no event tells of: it is derived from nothing.

    Args:
        session: from `Database.write`; a dry run's session forecasts it.
        act: the operation; its kind is KIND.

    Returns:
        What was repaired.
    """
    recorder = Recorder(session, act)
    suspected = {(d.student_id, d.course_id) for d in find_differences(session)}
    present = _lock(session, suspected, locks=not recorder.is_forecast)
    differences = _differing(session, present)
    repairs = _fitting(session, differences)
    fixed = Fixed(left=len(suspected) - len(repairs))
    for difference in repairs:
        verb = _verb(difference)
        fixed.totals[verb] += 1
        if len(fixed.repairs) < TOLD:
            subject = name_enrollment(session, difference.student_id, difference.course_id)
            fixed.repairs.append(Repair(subject, verb, "; ".join(describe(difference))))
    if repairs and not recorder.is_forecast:
        fixed.operation_id = recorder.operation_id(dict(fixed.totals))
        _rewrite(session, repairs, fixed.operation_id, act)
    return fixed


def _lock(session: Session, keys: set[Key], *, locks: bool) -> set[Key]:
    """Lock courses, then students, each by id; gives the pairs of which both are there."""
    found: list[set[int]] = []
    for column, ids in ((Course.id, {key[1] for key in keys}), (Student.id, {k[0] for k in keys})):
        query = select(column).where(listed_in(column, sorted(ids), is_sqlite=is_sqlite(session)))
        query = query.order_by(column)
        found.append(
            set(session.scalars(query.with_for_update(key_share=True) if locks else query))
        )
    courses, students = found
    return {key for key in keys if key[1] in courses and key[0] in students}


def _differing(session: Session, present: set[Key]) -> list[Difference]:
    """List what differs now that everything is locked."""
    return [
        difference
        for difference in find_differences(session, {key[0] for key in present})
        if (difference.student_id, difference.course_id) in present
    ]


def _fitting(session: Session, differences: list[Difference]) -> list[Difference]:
    """Leave out what cannot be rewritten, and a place in a queue that another keeps."""
    fitting = [difference for difference in differences if can_be_rewritten(difference)]
    while True:
        # Whoever is left out keeps the place of today, which may be one that others are told.
        places = _kept_places(session, fitting)
        chosen: list[Difference] = []
        for difference in fitting:
            place = (difference.course_id, difference.told[3] if difference.told else None)
            if place not in places:
                chosen.append(difference)
            if place[1] is not None:
                places.add(place)
        if len(chosen) == len(fitting):
            return chosen
        fitting = chosen


def _kept_places(session: Session, differences: list[Difference]) -> set[tuple[int, Any]]:
    """List the places in queues that the other enrollments of these courses have."""
    differing = {(difference.student_id, difference.course_id) for difference in differences}
    course_ids = sorted({course_id for _, course_id in differing})
    mine = StudentCourses
    query = select(mine.student_id, mine.course_id, mine.queue_place).where(
        mine.queue_place.is_not(None),
        listed_in(mine.course_id, course_ids, is_sqlite=is_sqlite(session)),
    )
    return {
        (course_id, place)
        for student_id, course_id, place in session.execute(query)
        if (student_id, course_id) not in differing
    }


def _verb(difference: Difference) -> str:
    if difference.told is None:
        return "removed"
    return "added" if difference.actual is None else "rewritten"


def _rewrite(session: Session, repairs: list[Difference], operation_id: int, act: Act) -> None:
    """Remove the rows that differ, then write those that the events tell.

    Not in place: places in a queue can have changed hands, and the table tells them apart row by
    row.
    """
    connection = session.connection()
    gone = [(d.student_id, d.course_id) for d in repairs if d.actual is not None]
    if gone:
        mark = "?" if is_sqlite(session) else "%s"
        connection.exec_driver_sql(
            f"DELETE FROM student_courses WHERE student_id = {mark} AND course_id = {mark}", gone
        )
    told = {(d.student_id, d.course_id): _fact(d.told) for d in repairs if d.told is not None}
    events = [_event(difference) for difference in repairs]
    write_rows(connection, finished_rows(connection, told, events, operation_id, act.now))


def _event(difference: Difference) -> Event:
    """Keep what stood there before; like a refusal it has a code, and is no change."""
    student_id, course_id, actual, told, _ = difference
    before = dict(zip(STATE_NAMES, map(str, actual), strict=True)) if actual else {}
    return Event(
        None, student_id, course_id, REPAIR, actual and actual[0], told and told[0],
        told and told[3], told and told[4], CODE, None, json.dumps({"before": before}),
    )  # fmt: skip


def _fact(state: Any) -> EnrollmentFact:
    status, enrolled_on, since, place, grade, instead_of = state
    return EnrollmentFact(
        status, enrolled_on, since, since, place, grade, instead_of, in_table=False
    )

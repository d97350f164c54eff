"""What an operation did to enrollments, and the states from before it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session, aliased

from studentcli.database import listed_in
from studentcli.facts import Key
from studentcli.models import EnrollmentEvent
from studentcli.services.events import UNDO, State, Step, add_up, counting, read_detail, steps
from studentcli.services.resolve import is_sqlite
from studentcli.vocabulary import SEATED_STATUSES

STUDENTS: Final = 500
"""Whose enrollments are read and taken back together."""


class Return(NamedTuple):
    """An enrollment that the operation changed: how it stands, and how it stood before.

    `since` says which operation changed it afterwards, `last_event` the last of its events that
    the operation recorded.
    """

    student_id: int
    course_id: int
    now: State | None
    before: State | None
    since: int | None
    last_event: int

    @property
    def key(self) -> Key:
        """Student id, course id."""
        return self.student_id, self.course_id

    @property
    def is_queued(self) -> bool:
        """Whether it leaves a place in a queue, or comes back to one."""
        return any(state is not None and state[3] is not None for state in (self.now, self.before))

    @property
    def takes_seat(self) -> bool:
        """Whether taking it back needs a seat."""
        return _is_seated(self.before) and not _is_seated(self.now)

    @property
    def frees_seat(self) -> bool:
        """Whether taking it back frees a seat."""
        return _is_seated(self.now) and not _is_seated(self.before)


def _is_seated(state: State | None) -> bool:
    return state is not None and state[0] in SEATED_STATUSES


@dataclass
class Extent:
    """What an operation changed: the ids of the students and of the courses.

    `at_once` says of how many students together it is read; what comes of it does not depend on it.
    """

    students: list[int]
    courses: set[int]
    at_once: int


def read_extent(session: Session, operation_id: int, at_once: int) -> Extent:
    """Find whose enrollments an operation changed, and in which courses."""
    event = EnrollmentEvent
    mine = (event.operation_id == operation_id, event.code.is_(None))
    students = select(event.student_id).where(*mine, event.student_id.is_not(None)).distinct()
    courses = select(event.course_id).where(*mine, event.course_id.is_not(None)).distinct()
    return Extent(
        [student_id for student_id in session.scalars(students.order_by(event.student_id))
         if student_id is not None],
        {course_id for course_id in session.scalars(courses) if course_id is not None},
        at_once,
    )  # fmt: skip


def read_returns(session: Session, operation_id: int, extent: Extent) -> Iterator[list[Return]]:
    """Find what of an operation still counts, some hundreds of students at a time.

    Args:
        session: in a transaction that has locked the students.
        operation_id: the operation.
        extent: whose enrollments it changed.

    Returns:
        Lists, all together by student and course id; none is longer than the memory can bear.
    """
    for first in range(0, len(extent.students), extent.at_once):
        found = _read(session, operation_id, extent.students[first : first + extent.at_once])
        if found:
            yield found


def _read(session: Session, operation_id: int, student_ids: list[int]) -> list[Return]:
    mine, event = aliased(EnrollmentEvent), EnrollmentEvent
    of_pair = and_(
        mine.operation_id == operation_id,
        mine.student_id == event.student_id,
        mine.course_id == event.course_id,
        mine.code.is_(None),
    )
    listed = listed_in(event.student_id, student_ids, is_sqlite=is_sqlite(session))
    query = steps().where(listed, exists().where(of_pair))
    taken = (Step(*row) for row in session.execute(query))
    return [
        found
        for _, group in groupby(taken, key=lambda step: (step.student_id, step.course_id))
        if (found := _return(operation_id, list(group))) is not None
    ]


def _return(operation_id: int, taken: list[Step]) -> Return | None:
    """Say how one enrollment goes back; none where the operation was taken back already."""
    last = max(step.event_id for step in taken if step.operation_id == operation_id)
    counted, kept = counting(taken), counting(taken, but={operation_id})
    is_undo = any(s.operation_id == operation_id and s.action == UNDO for s in taken)
    if counted == kept and not is_undo:
        return None
    if is_undo and _is_undone(operation_id, taken):
        return None
    since = next(
        (
            step.operation_id
            for step in counted
            if step.event_id > last and step.operation_id != operation_id
        ),
        None,
    )
    if since is None:
        since = _undone_since(taken, last)
    first = taken[0]
    return Return(first.student_id, first.course_id, add_up(counted), add_up(kept), since, last)


def _undos(taken: Iterable[Step]) -> list[tuple[Step, int]]:
    """List the undos that were not undone themselves, with the operation each takes back."""
    dead: set[int] = set()
    found: list[tuple[Step, int]] = []
    for step in reversed(list(taken)):
        if step.operation_id in dead or step.action != UNDO:
            continue
        target = int(read_detail(step.detail).get("undoes", 0))
        dead.add(target)
        found.append((step, target))
    return found


def _is_undone(operation_id: int, taken: list[Step]) -> bool:
    return any(target == operation_id for _, target in _undos(taken))


def _undone_since(taken: list[Step], last: int) -> int | None:
    """Find a later undo of an older operation: the enrollment is not what it was after this one."""
    begun: dict[int, int] = {}
    for step in taken:
        begun.setdefault(step.operation_id, step.event_id)
    for step, target in _undos(taken):
        if step.event_id > last and begun.get(target, 0) <= last:
            return step.operation_id
    return None


def given_up(session: Session, student_ids: Iterable[int]) -> set[int]:
    """Find the courses that students may ever have wanted to give up: one can come back."""
    event = EnrollmentEvent
    query = select(event.detail).where(
        listed_in(event.student_id, sorted(student_ids), is_sqlite=is_sqlite(session)),
        event.to_status == "waitlisted",
        event.detail.like('%"instead_of"%'),
    )
    named = (read_detail(detail).get("instead_of") for detail in session.scalars(query))
    return {course_id for course_id in named if isinstance(course_id, int)}

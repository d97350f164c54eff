"""What an operation did to enrollments, and the states from before it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session, aliased

from studentcli.database import listed_in
from studentcli.facts import EnrollmentFact, Event, Key
from studentcli.models import EnrollmentEvent
from studentcli.services.events import (
    UNDO,
    State,
    Step,
    add_up,
    counting,
    read_detail,
    steps,
    undoing,
)
from studentcli.services.queues import QueueRun
from studentcli.services.resolve import is_sqlite
from studentcli.vocabulary import SEATED_STATUSES

CHUNK: Final = 10_000


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
    def takes_seat(self) -> bool:
        """Whether taking it back needs a seat."""
        return _is_seated(self.before) and not _is_seated(self.now)

    @property
    def frees_seat(self) -> bool:
        """Whether taking it back frees a seat."""
        return _is_seated(self.now) and not _is_seated(self.before)


def _is_seated(state: State | None) -> bool:
    return state is not None and state[0] in SEATED_STATUSES


class Blocked(NamedTuple):
    """An enrollment that cannot be taken back, and why."""

    key: Key
    code: str
    why: str


def read_returns(session: Session, operation_id: int) -> list[Return]:
    """Find what an operation changed and what of it still counts, by student and course id."""
    mine = aliased(EnrollmentEvent)
    event = EnrollmentEvent
    of_pair = and_(
        mine.operation_id == operation_id,
        mine.student_id == event.student_id,
        mine.course_id == event.course_id,
        mine.code.is_(None),
    )
    query = steps().where(exists().where(of_pair))
    rows = session.execute(query, execution_options={"yield_per": CHUNK})
    taken = (Step(*row) for row in rows)
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


# ── what stands against it ───────────────────────────────────────────────────────────────


def find_blocked(run: QueueRun, returns: list[Return]) -> Iterator[Blocked]:
    """List what cannot go back: changed since, or its seat or place is somebody else's now."""
    blocked = dict[Key, Blocked]()
    for found in returns:
        why = _changed(run, found)
        if why is not None:
            blocked[found.key] = Blocked(found.key, "changed-since", why)
    free = [found for found in returns if found.key not in blocked]
    while crowded := list(_crowded(run, free)):
        blocked.update((found.key, found) for found in crowded)
        free = [found for found in free if found.key not in blocked]
    yield from (blocked[found.key] for found in returns if found.key in blocked)


def _changed(run: QueueRun, found: Return) -> str | None:
    if found.since is not None:
        return f"changed since by operation {found.since}"
    facts = run.deciding.facts
    student = facts.students.get(found.student_id)
    if student is None or found.course_id not in facts.courses:
        return "the student or the course is gone"
    if _state(student.enrollments.get(found.course_id)) != found.now:
        return "is not what its events say; studentcli db check tells more"
    return None


def _state(fact: EnrollmentFact | None) -> State | None:
    if fact is None:
        return None
    return (
        fact.status, fact.enrolled_on, fact.status_since, fact.place, fact.grade, fact.instead_of,
    )  # fmt: skip


def _crowded(run: QueueRun, returns: list[Return]) -> Iterator[Blocked]:
    """Find whose seat was given to somebody else since, and whose place in a queue."""
    facts = run.deciding.facts
    seats: Counter[int] = Counter()
    for found in returns:
        seats[found.course_id] += found.takes_seat - found.frees_seat
    mine = {found.key for found in returns}
    places = {
        (course.course_id, queued.place)
        for course in facts.locked()
        for student_id, queued in course.queue.items()
        if (student_id, course.course_id) not in mine
    }
    taken_since: dict[int, set[Key]] = {}
    for found in returns:
        course = facts.courses[found.course_id]
        if found.before is not None and (found.course_id, found.before[3]) in places:
            yield Blocked(found.key, "changed-since", "the place in the waitlist is taken")
        if not found.takes_seat or course.capacity is None:
            continue
        after = course.taken + seats[found.course_id]
        if after <= course.capacity or seats[found.course_id] <= 0:
            continue
        if found.course_id not in taken_since:
            taken_since[found.course_id] = _seated_since(run.session, found)
        if taken_since[found.course_id] - mine:
            yield Blocked(
                found.key, "course-full", f"no seat is free: {course.taken}/{course.capacity}"
            )


def _seated_since(session: Session, found: Return) -> set[Key]:
    """List who has a seat of a course that was not taken when the operation was done."""
    event = EnrollmentEvent
    query = (
        select(event.student_id, event.from_status, event.to_status)
        .where(
            event.course_id == found.course_id,
            event.id > found.last_event,
            event.code.is_(None),
        )
        .order_by(event.id)
    )
    first: dict[int, str | None] = {}
    last: dict[int, str | None] = {}
    rows: Any = session.execute(query)
    for student_id, before, after in rows:
        first.setdefault(student_id, before)
        last[student_id] = after
    return {
        (student_id, found.course_id)
        for student_id, status in last.items()
        if status in SEATED_STATUSES and first[student_id] not in SEATED_STATUSES
    }


# ── taking it back ───────────────────────────────────────────────────────────────────────


def take_back(run: QueueRun, returns: list[Return], undone: int) -> list[Key]:
    """Put enrollments back in the facts, with an event for each, and name the queues to be run.

    Returns:
        The enrollments whose rows have to go.
    """
    facts, gone = run.deciding.facts, list[Key]()
    for found in returns:
        student, course = facts.students[found.student_id], facts.courses[found.course_id]
        before = student.enrollments.get(found.course_id)
        after = None if found.before is None else _fact(found.before, in_table=before is not None)
        if before is None and after is None:
            facts.events.append(_event(run, found, undone))
            continue
        course.put(student, after)
        if after is None:
            gone.append(found.key)
        else:
            facts.changed[found.key] = after
        facts.events.append(_event(run, found, undone))
        if found.frees_seat:
            run.touched.add(found.course_id)
    for course_id in {found.course_id for found in returns}:
        course = facts.courses[course_id]
        course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
    run.touch_waits({found.student_id for found in returns})
    return gone


def _fact(state: State, *, in_table: bool) -> EnrollmentFact:
    status, enrolled_on, since, place, grade, instead_of = state
    return EnrollmentFact(
        status, enrolled_on, since, since, place, grade, instead_of, in_table=in_table,
        is_moved=True,
    )  # fmt: skip


def _event(run: QueueRun, found: Return, undone: int) -> Event:
    course = run.deciding.facts.courses[found.course_id]
    today = run.deciding.policy.today(course.term.time_zone)
    now, before = found.now, found.before
    return Event(
        None, found.student_id, found.course_id, UNDO, None if now is None else now[0],
        None if before is None else before[0], None if before is None else before[3],
        None if before is None else before[4], None, today, undoing(undone),
    )  # fmt: skip


def remove_rows(session: Session, keys: list[Key]) -> None:
    """Remove the rows of enrollments that did not exist before."""
    if not keys:
        return
    connection: Any = session.connection()
    if is_sqlite(session):
        connection.exec_driver_sql(
            "DELETE FROM student_courses WHERE student_id = ? AND course_id = ?", keys
        )
        return
    connection.exec_driver_sql(
        "DELETE FROM student_courses AS sc USING unnest(%s::bigint[], %s::bigint[])"
        " AS gone(student_id, course_id)"
        " WHERE sc.student_id = gone.student_id AND sc.course_id = gone.course_id",
        tuple(list(column) for column in zip(*keys, strict=True)),
    )

"""Taking a whole operation back, as a new operation."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import StartAgain
from studentcli.facts import Key
from studentcli.models import Operation
from studentcli.requests import Consequences
from studentcli.services.operations import Act, Recorder
from studentcli.services.queues import QueueRun, lock_queues
from studentcli.services.undoing.enrollments import remove_rows, take_back
from studentcli.services.undoing.obstacles import find_obstacles
from studentcli.services.undoing.records import (
    REMOVED,
    RecordReturn,
    named_by,
    read_record_returns,
    remove_records,
    see_returns,
    tell_loose_ends,
    unsee_returns,
    write_returns,
)
from studentcli.services.undoing.returns import (
    STUDENTS,
    Extent,
    Return,
    given_up,
    read_extent,
    read_returns,
)
from studentcli.services.undoing.weighing import Blocked, Weighing
from studentcli.services.views import Row
from studentcli.services.writer import write_facts

KIND: Final = "undo"
"""How the operation is called in the history."""
TAKEN_BACK: Final = ("record", "student", "course", "from_status", "to_status")


@dataclass
class Undone(Consequences):
    """What came of an undo.

    Args:
        undone: the number of the operation.
        result: `undone`, `refused` (something stands against it, nothing was changed) or
            `unchanged` (it is undone already, or has changed nothing).
        taken_back: `record`, `student`, `course`, `from_status`, `to_status` of what was taken
            back; they can be a million.
        blocked: `record`, `student`, `course`, `code`, `message` of what could not be, and under
            `since` the operation that has changed it.
        possible: how many changes could be taken back.
        already: the operation that has undone it before.
        warnings: what no longer fits, a sentence for each.
    """

    undone: int
    result: str = "undone"
    taken_back: list[tuple[str | None, ...]] = field(default_factory=list)
    blocked: list[Row] = field(default_factory=list)
    possible: int = 0
    already: int | None = None
    warnings: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """Give what was taken back, by column name."""
        return (dict(zip(TAKEN_BACK, values, strict=True)) for values in self.taken_back)


def undo_operation(
    session: Session,
    operation_id: int,
    act: Act,
    *,
    skip_changed: bool = False,
    at_once: int = STUDENTS,
) -> Undone:
    """Take an operation back, with the promotions and drops that it caused.

    Args:
        session: from `Database.write`.
        operation_id: its number.
        act: who undoes it, and why; its kind is KIND.
        skip_changed: leave out what was changed since, instead of stopping at it.
        at_once: students whose enrollments are read and written together; the outcome does not
            depend on it.

    Returns:
        What was taken back, what stands against it, and whom the queues gave a seat.

    Raises:
        errors.UnknownOperation: when there is none of that number.
    """
    already = _lock_operation(session, operation_id)
    extent = read_extent(session, operation_id, at_once)
    records = read_record_returns(session, operation_id)
    undone = Undone(operation_id, "unchanged", already=already)
    if already is not None or not (extent.students or records):
        return undone
    run = _lock(session, act, extent, records)
    records, weighing = _weigh(run, undone, extent)
    undone.possible = len(records) + weighing.going_count
    if undone.blocked and not (skip_changed and undone.possible):
        undone.result = "refused"
    elif undone.possible:
        undone.result = "undone"
        undone.taken_back = [_taken_back(one) for one in records]
        _carry_out(run, Recorder(session, act), undone, _going(weighing, extent), records)
    return undone


def _lock(session: Session, act: Act, extent: Extent, records: list[RecordReturn]) -> QueueRun:
    """Lock everything that an undo can move, and what can be given up for it."""
    courses, named = named_by(session, records)
    courses |= extent.courses
    students = named.union(extent.students)
    swapped = given_up(session, students)
    run = lock_queues(session, act, courses | swapped, students, reads=named)
    if not session.info["forecast"] and not given_up(session, students) <= swapped:
        raise StartAgain
    return run


def _weigh(run: QueueRun, undone: Undone, extent: Extent) -> tuple[list[RecordReturn], Weighing]:
    """Find what can go back, now that everything is locked; the facts then see the records so."""
    session, target = run.session, undone.undone
    records = read_record_returns(session, target)
    if records:
        after = _after(read_returns(session, target, extent))
        find_obstacles(session, target, records, after)
    seen = [one for one in records if one.why is None]
    see_returns(run, seen)
    weighing = Weighing(run, target)
    for returns in read_returns(session, target, extent):
        with _known(run, returns):
            weighing.take_in(returns)
    weighing.close()
    if seen and weighing.blocked:
        going = map(weighing.going, read_returns(session, target, extent))
        find_obstacles(session, target, seen, _after(going))
        unsee_returns(run, [one for one in seen if one.why is not None])
    undone.blocked += [_blocked_record(one) for one in records if one.why is not None]
    undone.blocked += [_blocked_row(run, found) for _, found in sorted(weighing.blocked.items())]
    return [one for one in records if one.why is None], weighing


@contextmanager
def _known(run: QueueRun, returns: list[Return]) -> Iterator[None]:
    """Know the records of the students as long as they are needed, so that memory stays flat."""
    students = [run.deciding.facts.students.get(key) for key in {one.student_id for one in returns}]
    new = [student for student in students if student is not None and not student.is_loaded]
    run.read({student.student_id for student in new})
    yield
    for student in new:
        if all(state.place is None for state in student.enrollments.values()):
            student.forget()


def _after(chunks: Iterable[list[Return]]) -> dict[Key, str | None]:
    """Say how the enrollments will stand that go back; none where the row goes."""
    return {
        found.key: None if found.before is None else found.before[0]
        for returns in chunks
        for found in returns
    }


def _going(weighing: Weighing, extent: Extent) -> Iterator[list[Return]]:
    """Give what goes back: the places in queues at once, for they can change hands."""
    yield weighing.going(weighing.queued.values())
    for returns in read_returns(weighing.run.session, weighing.operation_id, extent):
        yield [found for found in weighing.going(returns) if not found.is_queued]


def _lock_operation(session: Session, operation_id: int) -> int | None:
    """Lock an operation, so that it is undone once, before the courses; tells by which it is."""
    query = select(Operation.id, Operation.undone_by).where(Operation.id == operation_id)
    if not session.info["forecast"]:
        query = query.with_for_update(key_share=True)
    found = session.execute(query).one_or_none()
    if found is None:
        raise errors.UnknownOperation(f"there is no operation {operation_id}")
    return int(found.undone_by) if found.undone_by else None


def _carry_out(
    run: QueueRun,
    recorder: Recorder,
    undone: Undone,
    going: Iterable[list[Return]],
    records: list[RecordReturn],
) -> None:
    """Take everything back and run the queues, in the facts and, unless forecast, the tables."""
    session, target = run.session, undone.undone
    operation_id = None if recorder.is_forecast else recorder.operation_id()
    if operation_id is not None:
        write_returns(recorder, records)
    count = _take_back(run, undone, going, operation_id)
    if operation_id is not None and not undone.blocked:
        _mark(session, target, operation_id)
    run.touched -= {
        one.record_id for one in records if one.action == REMOVED and one.kind == "course"
    }
    undone.promotions = run.finish(operation_id)
    undone.warnings = tell_loose_ends(session, records)
    if operation_id is not None:
        remove_records(session, records)
    counts = {
        "undone": count + len(records),
        "left": len(undone.blocked),
        "promoted": len(undone.promotions),
    }
    totals: dict[str, Any] = {"operation": target}
    totals |= {name: count for name, count in counts.items() if count}
    undone.operation_id = recorder.finish(totals)


def _take_back(
    run: QueueRun, undone: Undone, going: Iterable[list[Return]], operation_id: int | None
) -> int:
    """Take enrollments back, some after the other, so that memory stays flat; gives how many."""
    facts, moved = run.deciding.facts, set[int]()
    taken: list[tuple[str | None, ...]] = []
    for returns in going:
        with _known(run, returns):
            gone = take_back(run, returns, undone.undone)
            if operation_id is None:
                facts.take()
            else:
                remove_rows(run.session, gone)
                write_facts(run.session, facts, operation_id, run.act.now)
        taken += [_moved(run, found) for found in returns]
        moved.update(found.student_id for found in returns)
    run.touched.update(c.course_id for c in run.courses() if not moved.isdisjoint(c.queue))
    undone.taken_back += sorted(taken, key=itemgetter(1, 2))
    return len(taken)


def _moved(run: QueueRun, found: Return) -> tuple[str | None, ...]:
    """Say of an enrollment how it goes back, in few bytes: texts as the facts hold them."""
    facts, now, before = run.deciding.facts, found.now, found.before
    return (
        "enrollment", facts.students[found.student_id].number, facts.courses[found.course_id].ref,
        now and sys.intern(now[0]), before and sys.intern(before[0]),
    )  # fmt: skip


def _mark(session: Session, target: int, operation_id: int) -> None:
    """Say of the operation that it is undone.

    When it was an undo, what it took back holds again; when that was one too, what that took back
    is undone again, and so on.
    """
    undone_by: int | None = operation_id
    current = target
    while True:
        mine = Operation.id == current
        session.execute(update(Operation).where(mine).values(undone_by=undone_by))
        kind, totals = session.execute(select(Operation.kind, Operation.totals).where(mine)).one()
        if kind != KIND or "left" in totals:
            return  # of an undo that left something out, what it took back is not undone
        undone_by = current if undone_by is None else None
        current = int(totals["operation"])


def _blocked_row(run: QueueRun, found: Blocked) -> Row:
    return {
        "record": "enrollment",
        **_names(run, *found.key),
        "code": found.code,
        "message": found.why,
        "since": found.since,
    }


def _taken_back(one: RecordReturn) -> tuple[str | None, ...]:
    return one.name, None, None, None, one.action


def _blocked_record(one: RecordReturn) -> Row:
    said = {"record": one.name, "student": None, "course": None}
    return {**said, "code": "changed-since", "message": one.why, "since": None}


def _names(run: QueueRun, student_id: int, course_id: int) -> Row:
    facts = run.deciding.facts
    student, course = facts.students.get(student_id), facts.courses.get(course_id)
    return {
        "student": student.number if student else f"id {student_id}",
        "course": course.ref if course else f"id {course_id}",
    }

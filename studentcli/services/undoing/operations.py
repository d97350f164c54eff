"""Taking a whole operation back, as a new operation."""

from dataclasses import dataclass, field
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
from studentcli.services.undoing.enrollments import (
    Blocked,
    Return,
    find_blocked,
    given_up,
    read_returns,
    remove_rows,
    take_back,
)
from studentcli.services.undoing.obstacles import find_obstacles
from studentcli.services.undoing.records import (
    REMOVED,
    RecordReturn,
    named_by,
    read_record_returns,
    remove_records,
    see_returns,
    unsee_returns,
    write_returns,
)
from studentcli.services.views import Row

KIND: Final = "undo"
"""How the operation is called in the history."""


@dataclass
class Undone(Consequences):
    """What came of an undo.

    Args:
        undone: the number of the operation.
        result: `undone`, `refused` (something stands against it, nothing was changed) or
            `unchanged` (it is undone already, or has changed nothing).
        rows: `record`, `student`, `course`, `from_status`, `to_status` of what was taken back.
        blocked: `record`, `student`, `course`, `code`, `message` of what could not be.
    """

    undone: int
    result: str = "undone"
    rows: list[Row] = field(default_factory=list)
    blocked: list[Row] = field(default_factory=list)


def undo_operation(
    session: Session, operation_id: int, act: Act, *, skip_changed: bool = False
) -> Undone:
    """Take an operation back, with the promotions and drops that it caused.

    Args:
        session: from `Database.write`.
        operation_id: its number.
        act: who undoes it, and why; its kind is KIND.
        skip_changed: leave out what was changed since, instead of stopping at it.

    Returns:
        What was taken back, what stands against it, and whom the queues gave a seat.

    Raises:
        errors.UnknownOperation: when there is none of that number.
    """
    is_undone = _lock_operation(session, operation_id)
    foreseen = read_returns(session, operation_id)
    records = read_record_returns(session, operation_id)
    if is_undone or not (foreseen or records):
        return Undone(operation_id, "unchanged")
    course_ids, student_ids = named_by(session, records)
    course_ids |= {found.course_id for found in foreseen}
    student_ids |= {found.student_id for found in foreseen}
    swapped = given_up(session, student_ids)
    run = lock_queues(session, act, course_ids | swapped, student_ids)
    if not session.info["forecast"] and not given_up(session, student_ids) <= swapped:
        raise StartAgain
    undone = Undone(operation_id)
    records, returns = _possible(run, undone)
    if (undone.blocked and not skip_changed) or not (returns or records):
        undone.result = "refused" if undone.blocked else "unchanged"
        return undone
    undone.rows = [_record_row(one) for one in records]
    undone.rows += [_row(run, found) for found in returns]
    _carry_out(run, Recorder(session, act), undone, returns, records)
    return undone


def _possible(run: QueueRun, undone: Undone) -> tuple[list[RecordReturn], list[Return]]:
    """Find what can go back, now that everything is locked; the facts then see the records so."""
    session, target = run.session, undone.undone
    records, returns = read_record_returns(session, target), read_returns(session, target)
    find_obstacles(session, target, records, _after(returns))
    seen = [one for one in records if one.why is None]
    see_returns(run, seen)
    blocked = list(find_blocked(run, returns))
    stay = {found.key for found in blocked}
    returns = [found for found in returns if found.key not in stay]
    if stay:
        find_obstacles(session, target, seen, _after(returns))
        unsee_returns(run, [one for one in seen if one.why is not None])
    undone.blocked += [_blocked_record(one) for one in records if one.why is not None]
    undone.blocked += [_blocked_row(run, found) for found in blocked]
    return [one for one in records if one.why is None], returns


def _after(returns: list[Return]) -> dict[Key, str | None]:
    return {found.key: None if found.before is None else found.before[0] for found in returns}


def _lock_operation(session: Session, operation_id: int) -> bool:
    """Lock an operation, so that it is undone once, before the courses; tells whether it is."""
    query = select(Operation.id, Operation.undone_by).where(Operation.id == operation_id)
    if not session.info["forecast"]:
        query = query.with_for_update(key_share=True)
    found = session.execute(query).one_or_none()
    if found is None:
        raise errors.UnknownOperation(f"there is no operation {operation_id}")
    return found.undone_by is not None


def _carry_out(
    run: QueueRun,
    recorder: Recorder,
    undone: Undone,
    returns: list[Return],
    records: list[RecordReturn],
) -> None:
    """Take everything back and run the queues, in the facts and, unless forecast, the tables."""
    session, target = run.session, undone.undone
    gone = take_back(run, returns, target)
    operation_id = None if recorder.is_forecast else recorder.operation_id()
    if operation_id is not None:
        remove_rows(session, gone)
        write_returns(recorder, records)
        if not undone.blocked:
            _mark(session, target, operation_id)
    run.touched -= {
        one.record_id for one in records if one.action == REMOVED and one.kind == "course"
    }
    undone.promotions = run.finish(operation_id)
    if operation_id is not None:
        remove_records(session, records)
    counts = {
        "undone": len(returns) + len(records),
        "left": len(undone.blocked),
        "promoted": len(undone.promotions),
    }
    totals: dict[str, Any] = {"operation": target}
    totals |= {name: count for name, count in counts.items() if count}
    undone.operation_id = recorder.finish(totals)


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


def _row(run: QueueRun, found: Return) -> Row:
    return {
        "record": "enrollment",
        **_names(run, found.student_id, found.course_id),
        "from_status": None if found.now is None else found.now[0],
        "to_status": None if found.before is None else found.before[0],
    }


def _blocked_row(run: QueueRun, found: Blocked) -> Row:
    return {
        "record": "enrollment",
        **_names(run, *found.key),
        "code": found.code,
        "message": found.why,
    }


def _record_row(one: RecordReturn) -> Row:
    said = {"record": one.name, "student": None, "course": None}
    return {**said, "from_status": None, "to_status": one.action}


def _blocked_record(one: RecordReturn) -> Row:
    said = {"record": one.name, "student": None, "course": None}
    return {**said, "code": "changed-since", "message": one.why}


def _names(run: QueueRun, student_id: int, course_id: int) -> Row:
    facts = run.deciding.facts
    student, course = facts.students.get(student_id), facts.courses.get(course_id)
    return {
        "student": student.number if student else f"id {student_id}",
        "course": course.ref if course else f"id {course_id}",
    }

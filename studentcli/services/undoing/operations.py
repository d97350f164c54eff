"""Taking a whole operation back, as a new operation."""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import StartAgain
from studentcli.models import CatalogEvent, Operation
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
        rows: `student`, `course`, `from_status`, `to_status` of what was taken back.
        blocked: `student`, `course`, `code`, `message` of what could not be.
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
        errors.InUse: when it changed records of the catalogue, holds or overrides.
    """
    _lock_operation(session, operation_id)
    foreseen = read_returns(session, operation_id)
    if not foreseen:
        return Undone(operation_id, "unchanged")
    course_ids = {found.course_id for found in foreseen}
    student_ids = {found.student_id for found in foreseen}
    swapped = given_up(session, student_ids)
    run = lock_queues(session, act, course_ids | swapped, student_ids)
    if not session.info["forecast"] and not given_up(session, student_ids) <= swapped:
        raise StartAgain
    returns = read_returns(session, operation_id)
    undone = Undone(operation_id)
    blocked = list(find_blocked(run, returns))
    undone.blocked = [_blocked_row(run, found) for found in blocked]
    kept = {found.key for found in blocked}
    possible = [found for found in returns if found.key not in kept]
    if (blocked and not skip_changed) or not possible:
        undone.result = "refused" if blocked else "unchanged"
        return undone
    undone.rows = [_row(run, found) for found in possible]
    _carry_out(run, Recorder(session, act), undone, possible)
    return undone


def _lock_operation(session: Session, operation_id: int) -> None:
    """Lock an operation, so that it is undone once; the courses come after it."""
    query = select(Operation.id).where(Operation.id == operation_id)
    if not session.info["forecast"]:
        query = query.with_for_update(key_share=True)
    if session.scalar(query) is None:
        raise errors.UnknownOperation(f"there is no operation {operation_id}")
    records = select(CatalogEvent.kind).where(CatalogEvent.operation_id == operation_id)
    kind = session.scalar(records.limit(1))
    if kind is not None:
        raise errors.InUse(
            f"operation {operation_id} changed a {kind}, which undo does not take back",
            hint=f"studentcli history {operation_id} shows what it was before",
        )


def _carry_out(run: QueueRun, recorder: Recorder, undone: Undone, returns: list[Return]) -> None:
    """Take enrollments back and run the queues, in the facts and, unless forecast, the tables."""
    session, target = run.session, undone.undone
    gone = take_back(run, returns, target)
    operation_id = None if recorder.is_forecast else recorder.operation_id()
    if operation_id is not None:
        remove_rows(session, gone)
        if not undone.blocked:
            _mark(session, target, operation_id)
    undone.promotions = run.finish(operation_id)
    counts = {
        "undone": len(returns),
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
        **_names(run, found.student_id, found.course_id),
        "from_status": None if found.now is None else found.now[0],
        "to_status": None if found.before is None else found.before[0],
    }


def _blocked_row(run: QueueRun, found: Blocked) -> Row:
    return {**_names(run, *found.key), "code": found.code, "message": found.why}


def _names(run: QueueRun, student_id: int, course_id: int) -> Row:
    facts = run.deciding.facts
    student, course = facts.students.get(student_id), facts.courses.get(course_id)
    return {
        "student": student.number if student else f"id {student_id}",
        "course": course.ref if course else f"id {course_id}",
    }

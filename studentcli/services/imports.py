"""Batches: the operations that were made from files, and the rows that they refused."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import Course, EnrollmentEvent, Operation, Student, Term
from studentcli.services.events import read_detail
from studentcli.services.history import REF, told_totals
from studentcli.services.views import Row


def list_batches(session: Session, *, limit: int) -> list[Row]:
    """List the newest batches, newest first."""
    return _rows(session, _query().order_by(Operation.id.desc()).limit(limit))


def show_batch(session: Session, operation_id: int) -> Row:
    """Show one batch.

    Raises:
        errors.UnknownOperation: when no batch has that number.
    """
    found = _rows(session, _query().where(Operation.id == operation_id))
    if not found:
        raise errors.UnknownOperation(
            f"there is no batch {operation_id}", hint="studentcli batch list shows the batches"
        )
    return found[0]


def list_rejects(session: Session, operation_id: int) -> list[Row]:
    """List the refused rows of a batch, by line.

    A file of records keeps none, nor does a batch that was aborted: nothing of it was applied.

    Returns:
        Rows of `line`, `action`, `student`, `course`, `effective_on`, `code`, `message`; what
        names nothing is told as it was written.

    Raises:
        errors.UnknownOperation: when no batch has that number.
    """
    show_batch(session, operation_id)
    event = EnrollmentEvent
    query = (
        select(
            event.line, event.action, Student.student_number.label("student"), REF.label("course"),
            event.effective_on, event.code, event.detail,
        )
        .outerjoin(Student, Student.id == event.student_id)
        .outerjoin(Course, Course.id == event.course_id)
        .outerjoin(Term, Term.id == Course.term_id)
        .where(event.operation_id == operation_id, event.code.is_not(None))
        .where(event.action != "pass-over")
        .order_by(event.line, event.id)
    )  # fmt: skip
    return [_reject(row) for row in session.execute(query).mappings()]


def _reject(row: Any) -> Row:
    said = read_detail(row["detail"])
    asked = {name: row[name] or said.get(name) for name in ("student", "course")}
    return {**row, **asked, "message": said.get("message")}


def find_carried_out(session: Session, kind: str, sha256: str, since: datetime) -> int | None:
    """Find the batch that carried a file out after a time, and was not undone.

    Args:
        session: any.
        kind: of the file: `enrollments`, `students`, `courses`, `terms`.
        sha256: of its content.
        since: aware.
    """
    query = select(Operation.id).where(
        Operation.source_sha256 == sha256,
        Operation.kind == f"import-{kind}",
        Operation.outcome == "done",
        Operation.undone_by.is_(None),
        Operation.started_at >= since,
    )
    return session.scalar(query.order_by(Operation.id.desc()).limit(1))


def count_refused(session: Session, operation_id: int) -> int:
    """Count the rows that a batch refused, whether or not its events hold them."""
    query = select(Operation.totals).where(Operation.id == operation_id)
    return int(session.scalars(query).one().get("refused", 0))


def _query() -> Any:
    return select(
        Operation.id.label("batch"), Operation.started_at, Operation.kind, Operation.actor,
        Operation.source, Operation.outcome, Operation.undone_by, Operation.totals,
        Operation.finished_at, Operation.source_sha256, Operation.reason,
    ).where(Operation.source.is_not(None))  # fmt: skip


def _rows(session: Session, query: Any) -> list[Row]:
    rows = [dict(row) for row in session.execute(query).mappings()]
    return [
        {**row, **_told_sync(row["totals"]), "totals": told_totals(row["totals"])} for row in rows
    ]


def _told_sync(totals: dict[str, Any]) -> Row:
    """Write what a sync was about, and the figures that its guards went by."""
    sync = totals.get("sync")
    if sync is None:
        return {"scope": None, "guards": None}
    told = f"{sync['absent']} of {sync['live']} absent"
    if sync["widest"]:
        name, live, drops = sync["widest"]
        told += f", most in {name} ({drops} of {live})"
    if sync["held"]:
        told += f", {sync['held']} more kept for rows that name nobody"
    limits = f"at most {sync['limits']}" if sync["limits"] else "none is dropped"
    return {"scope": sync["scope"], "guards": f"{told}; {limits}"}

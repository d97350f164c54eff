"""What happened: operations, and the changes and refusals that each of them recorded."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, case, false, func, null, or_, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.models import (
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Hold,
    Operation,
    Override,
    Student,
    Term,
)
from studentcli.requests import Policy
from studentcli.services.resolve import find_course, find_student, is_sqlite
from studentcli.services.views import Row, require_term

REF: Final = Term.code + "/" + Course.code + "-" + Course.section


def list_operations(session: Session, *, limit: int) -> list[Row]:
    """List the newest operations, newest first."""
    query = select(
        Operation.id.label("operation"), Operation.started_at, Operation.kind, Operation.actor,
        Operation.channel, Operation.outcome, Operation.source, Operation.reason, Operation.totals,
    )  # fmt: skip
    rows = _rows(session, query.order_by(Operation.id.desc()).limit(limit))
    for row in rows:
        row["totals"] = told_totals(row["totals"])
    return rows


def told_totals(totals: dict[str, Any]) -> str:
    """Write the totals of an operation in one cell; an undo says of which operation it is.

    What a sync keeps of its figures is told by `imports.show_batch`.
    """
    return ", ".join(
        f"of {name} {count}" if name == "operation" else f"{count} {name}"
        for name, count in totals.items()
        if name != "sync"
    )


def _rows(session: Session, query: Any) -> list[Row]:
    return [dict(row) for row in session.execute(query).mappings()]


@dataclass(frozen=True)
class _Filter:
    """Which events are asked for; what is none is not asked."""

    operation: int | None = None
    student_id: int | None = None
    course_id: int | None = None
    term: str | None = None


def list_events(
    session: Session,
    policy: Policy,
    *,
    operation: int | None = None,
    student: str | None = None,
    course: str | None = None,
    term: str | None = None,
    limit: int,
) -> list[Row]:
    """List recorded changes and refusals, oldest first, the newest `limit` of them.

    Enrollments and records of the catalogue in one list. Within an operation what it changed in
    the catalogue comes first: the rest follows from it.

    Args:
        session: any.
        policy: for today's date.
        operation: only what this one did.
        student: only what this student's enrollments, own record, holds and overrides went through.
        course: only what this course's enrollments, own record and overrides went through.
        term: only this term with its courses; a course word means one of this term.
        limit: how many.

    Returns:
        Rows of the same names: `student`, `course` and `term` as people write them. A change of
        the catalogue has `changes`; every other one has statuses, or the `code` that refused it.

    Raises:
        errors.UnknownStudent, errors.UnknownCourse, errors.UnknownTerm, errors.UnknownOperation:
            for what is named and not there.
    """
    if operation is not None:
        _require_operation(session, operation)
    student_id = None if student is None else find_student(session, student).student_id
    course_id = None
    if course is not None:
        course_id, term = find_course(session, course, policy, term).course_id, None
    require_term(session, term)
    wanted = _Filter(operation, student_id, course_id, term)
    found: list[Row] = []
    of_records = _catalog_query(session, wanted)
    for kind, query in ((CatalogEvent, of_records), (EnrollmentEvent, _query(wanted))):
        found += _rows(session, query.order_by(kind.id.desc()).limit(limit))[::-1]
    found.sort(key=lambda row: row["operation"])  # stable: the catalogue stays in front
    for row in found:
        row["changes"] = _changes(row["action"], row["changes"])
    return found[-limit:]


def _query(wanted: _Filter) -> Any:
    """Select the enrollment events, with nothing for what only a catalogue event has."""
    event = EnrollmentEvent
    query: Any = (
        select(
            event.operation_id.label("operation"), event.recorded_at, Operation.actor,
            Student.student_number.label("student"), REF.label("course"), Term.code.label("term"),
            event.action, event.from_status, event.to_status, event.code, event.grade,
            event.effective_on, event.line, null().label("changes"), event.detail,
        )
        .join(Operation, Operation.id == event.operation_id)
        .outerjoin(Student, Student.id == event.student_id)
        .outerjoin(Course, Course.id == event.course_id)
        .outerjoin(Term, Term.id == Course.term_id)
    )  # fmt: skip
    if wanted.operation is not None:
        query = query.where(event.operation_id == wanted.operation)
    if wanted.student_id is not None:
        query = query.where(event.student_id == wanted.student_id)
    if wanted.course_id is not None:
        query = query.where(event.course_id == wanted.course_id)
    if wanted.term is not None:
        query = query.where(Term.code == wanted.term)
    return query


def _named(kind: str, *columns: Any) -> Any:
    """Give the id of the student or course that an event is about: its own, or its record's."""
    own = case((CatalogEvent.kind == kind, CatalogEvent.record_id))
    return func.coalesce(own, *columns)


def _records_about(session: Session, wanted: _Filter) -> dict[str, list[int]]:
    """List the records that concern a student, a course, or both: ids by kind.

    Looked up before the events: the index on kind and record then finds those.
    """
    student_id, course_id = wanted.student_id, wanted.course_id
    overrides = select(Override.id)
    if student_id is not None:
        overrides = overrides.where(Override.student_id == student_id)
    if course_id is not None:
        overrides = overrides.where(Override.course_id == course_id)
    found = {"override": list(session.scalars(overrides))}
    if course_id is None and student_id is not None:
        holds = select(Hold.id).where(Hold.student_id == student_id)
        found |= {"student": [student_id], "hold": list(session.scalars(holds))}
    elif course_id is not None and student_id is None:
        found["course"] = [course_id]
    return {kind: ids for kind, ids in found.items() if ids}


def _catalog_query(session: Session, wanted: _Filter) -> Any:
    """Select the events of records, with nothing for what only an enrollment event has."""
    event = CatalogEvent
    without = {
        name: null().label(name)
        for name in ("from_status", "to_status", "code", "grade", "effective_on", "detail")
    }
    query: Any = (
        select(
            event.operation_id.label("operation"), event.recorded_at, Operation.actor,
            Student.student_number.label("student"), REF.label("course"), Term.code.label("term"),
            event.action, event.line, event.changes, *without.values(),
        )
        .join(Operation, Operation.id == event.operation_id)
        .outerjoin(Hold, and_(event.kind == "hold", Hold.id == event.record_id))
        .outerjoin(Override, and_(event.kind == "override", Override.id == event.record_id))
        .outerjoin(Student, Student.id == _named("student", Hold.student_id, Override.student_id))
        .outerjoin(Course, Course.id == _named("course", Override.course_id))
        .outerjoin(
            Term,
            or_(Term.id == Course.term_id, and_(event.kind == "term", Term.id == event.record_id)),
        )
    )  # fmt: skip
    if wanted.operation is not None:
        query = query.where(event.operation_id == wanted.operation)
    if wanted.student_id is not None or wanted.course_id is not None:
        about = [
            and_(event.kind == kind, listed_in(event.record_id, ids, is_sqlite=is_sqlite(session)))
            for kind, ids in _records_about(session, wanted).items()
        ]
        query = query.where(or_(false(), *about))
    if wanted.term is not None:
        # A student's record or hold is of no term: left out only where a term alone is asked.
        named = wanted.operation is not None or wanted.student_id is not None
        of_term = Term.code == wanted.term
        query = query.where(or_(of_term, event.kind.in_(("student", "hold"))) if named else of_term)
    return query


_BEGINS: Final = frozenset({"created", "placed", "granted", "restored"})
_ENDS: Final = frozenset({"lifted", "revoked", "removed"})


def _changes(action: str, changes: dict[str, list[Any]] | None) -> str | None:
    """Write what a record went through in one cell; what begins or ends says what it is."""
    if changes is None:
        return None
    own = {name: pair for name, pair in changes.items() if name not in {"student", "course"}}
    if action in _BEGINS:
        return ", ".join(f"{name}: {new}" for name, (_, new) in own.items() if new)
    if action in _ENDS:
        return ", ".join(f"{name}: {old}" for name, (old, _) in own.items() if old)
    return ", ".join(f"{name}: {old or '–'} → {new or '–'}" for name, (old, new) in changes.items())


def _require_operation(session: Session, operation: int) -> None:
    if session.scalar(select(Operation.id).where(Operation.id == operation)) is None:
        raise errors.UnknownOperation(f"there is no operation {operation}")

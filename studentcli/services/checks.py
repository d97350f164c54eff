"""The doctor: what the tables hold against what the events and the rules say. Reads only."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Column, Executable, Table, select, text
from sqlalchemy.orm import Session

from studentcli.models import (
    Base,
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Operation,
    Student,
    StudentCourses,
    Term,
)
from studentcli.records import KINDS, STUDENT, RecordKind
from studentcli.services.resolve import is_sqlite

State = tuple[str, Any, Any, Any, Any, Any]
"""Status, enrolled on, status since, queue place, grade, id of the course to be given up."""
STATE_NAMES: Final = (
    "status", "enrolled on", "status since", "queue place", "grade", "instead of",
)  # fmt: skip
CHUNK: Final = 10_000

Key = TypeVar("Key", int, tuple[int, int])
Left = TypeVar("Left")
Right = TypeVar("Right")


@dataclass(frozen=True)
class Finding:
    """Something that should not be."""

    check: str
    subject: str
    finding: str

    def as_row(self) -> dict[str, str]:
        """Give the finding as a row of a listing."""
        return {"check": self.check, "subject": self.subject, "finding": self.finding}


def check_database(session: Session) -> list[Finding]:
    """Check the whole database, in a memory that does not grow with it.

    Returns:
        What was found, most basic first; an empty list for a sound database.
    """
    found = [*_check_file(session)]
    if not found:
        found += _check_references(session)
        found += _check_enrollments(session)
        for kind in KINDS.values():
            found += _check_records(session, kind)
    return found


def _check_file(session: Session) -> Iterator[Finding]:
    """Let SQLite look at its pages, indexes and constraints; PostgreSQL does that by itself."""
    if is_sqlite(session):
        for (problem,) in session.execute(text("PRAGMA integrity_check")):
            if problem != "ok":
                yield Finding("file", "database", str(problem))


# ── rows that point to nothing ───────────────────────────────────────────────────────────


def _check_references(session: Session) -> Iterator[Finding]:
    """Find rows that point to nothing: a hand edit can make them where keys were switched off."""
    for column, parent in _references():
        # NOT EXISTS, not NOT IN: PostgreSQL compares every row with every other for the latter.
        target = parent.table.alias()
        found = select(target.c[parent.name]).where(target.c[parent.name] == column).exists()
        query = select(column).where(column.is_not(None), ~found).distinct().order_by(column)
        for value in session.scalars(query):
            finding = f"is named in {column.table.name}.{column.name} but does not exist"
            yield Finding("reference", f"{parent.table.name} {value}", finding)


def _references() -> Iterator[tuple[Column[Any], Column[Any]]]:
    """Pair the columns that point with those they point to; events have no foreign keys."""
    for table in Base.metadata.sorted_tables:
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            yield key.parent, key.column
    operation = cast("Table", Operation.__table__).c.id
    for event in (EnrollmentEvent, CatalogEvent):
        yield cast("Table", event.__table__).c.operation_id, operation


# ── enrollments against their events ─────────────────────────────────────────────────────


def replay_events(session: Session) -> dict[tuple[int, int], State]:
    """Rebuild the states from the events that were not undone, by (student id, course id)."""
    return dict(_replay(session))


def _replay(session: Session) -> Iterator[tuple[tuple[int, int], State]]:
    """Rebuild one state after the other, by student id, then course id."""
    event = EnrollmentEvent
    query = (
        select(
            event.student_id,
            event.course_id,
            event.action,
            event.to_status,
            event.effective_on,
            event.queue_place,
            event.grade,
            event.detail,
        )
        .join(Operation, Operation.id == event.operation_id)
        .where(event.code.is_(None), event.student_id.is_not(None), Operation.undone_by.is_(None))
        .order_by(event.student_id, event.course_id, event.id)
    )
    for key, steps in groupby(_stream(session, query), key=lambda row: (row[0], row[1])):
        enrolled_on = None
        state: Any = None
        for _, _, action, status, on, place, grade, detail in steps:
            enrolled_on = on if state is None or action == "enroll" else enrolled_on
            is_swap = action == "enroll" and status == "waitlisted" and detail is not None
            old = json.loads(detail).get("instead_of") if is_swap else None
            old = state[-1] if action == "pass-over" else old
            state = (status, enrolled_on, on, place, grade, old)
        yield key, state


def _check_enrollments(session: Session) -> Iterator[Finding]:
    """Compare every enrollment with what its events say."""
    enrollment = StudentCourses
    query = select(
        enrollment.student_id,
        enrollment.course_id,
        enrollment.status,
        enrollment.enrolled_on,
        enrollment.status_since,
        enrollment.queue_place,
        enrollment.grade,
        enrollment.instead_of_id,
    ).order_by(enrollment.student_id, enrollment.course_id)
    actual_states = (((row[0], row[1]), row[2:]) for row in _stream(session, query))
    for key, actual, told in _merge(actual_states, _replay(session)):
        if actual == told:
            continue
        subject = _name_enrollment(session, *key)
        if told is None:
            yield Finding("events", subject, "is there, but no event says so")
        elif actual is None:
            yield Finding("events", subject, "has events, but no enrollment")
        else:
            for name, value, wanted in zip(STATE_NAMES, actual, told, strict=True):
                if value != wanted:
                    finding = f"{name} is {value}, its events say {wanted}"
                    yield Finding("events", subject, finding)


def _name_enrollment(session: Session, student_id: int, course_id: int) -> str:
    ref = Term.code + "/" + Course.code + "-" + Course.section
    number = session.scalar(select(Student.student_number).where(Student.id == student_id))
    course = session.scalar(
        select(ref).join(Course, Course.term_id == Term.id).where(Course.id == course_id)
    )
    return f"{number or f'student id {student_id}'} in {course or f'course id {course_id}'}"


# ── records against their events ─────────────────────────────────────────────────────────


def _check_records(session: Session, kind: RecordKind) -> Iterator[Finding]:
    """Compare students, terms or courses with what their events say.

    A record from before studentcli has no event that created it: of such a one only the fields
    are known that were changed since.
    """
    table = Base.metadata.tables[kind.plural]
    attributes = {field.name: field.attribute for field in kind.fields}
    if kind is STUDENT:
        attributes["student"] = "student_number"  # known after a renumbering
    query = select(table).order_by(table.c.id)
    records = ((row.id, row) for row in _stream(session, query))
    for record_id, record, told in _merge(records, _replay_records(session, kind)):
        subject = f"{kind.name} id {record_id}"
        if record is None:
            yield Finding("events", subject, "has events, but no record")
            continue
        for name, wanted in (told or {}).items():
            actual = getattr(record, attributes[name]) if name in attributes else wanted
            if not _is_same(actual, wanted):
                finding = f"{name} is {_shown(actual)}, its events say {_shown(wanted)}"
                yield Finding("events", subject, finding)


def _replay_records(
    session: Session, kind: RecordKind
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Rebuild what is known of one record after the other, by id: field name → text."""
    query = (
        select(CatalogEvent.record_id, CatalogEvent.action, CatalogEvent.changes)
        .join(Operation, Operation.id == CatalogEvent.operation_id)
        .where(CatalogEvent.kind == kind.name, Operation.undone_by.is_(None))
        .order_by(CatalogEvent.record_id, CatalogEvent.id)
    )
    for record_id, events in groupby(_stream(session, query), key=lambda row: row[0]):
        known: dict[str, str | None] = {}
        for _, action, changes in events:
            if action == "created":
                known = {field.name: None for field in kind.fields}
            known.update({name: after for name, (_, after) in changes.items()})
        yield record_id, known


def _is_same(actual: Any, told: str | None) -> bool:
    if isinstance(actual, Decimal) and told is not None:
        try:
            return actual == Decimal(told)
        except InvalidOperation:
            return False
    return told is None if actual is None else str(actual) == told


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


# ── two streams ──────────────────────────────────────────────────────────────────────────


def _stream(session: Session, query: Executable) -> Iterator[Any]:
    return iter(session.execute(query, execution_options={"yield_per": CHUNK}))


def _merge(
    left: Iterable[tuple[Key, Left]], right: Iterable[tuple[Key, Right]]
) -> Iterator[tuple[Key, Left | None, Right | None]]:
    """Pair two streams that are sorted by key; none stands for what one of them lacks."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None  # noqa: S101  (the loop looks)
            yield one[0], one[1], None
            one = next(lefts, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(rights, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(lefts, None), next(rights, None)

"""What an operation did to records (of the catalogue, holds, overrides), and its inverse."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Date, Integer, Table, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import Grant, HoldFact, Key
from studentcli.models import (
    Base,
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Hold,
    Hours,
    Id,
    Operation,
    Override,
    StudentCourses,
    UtcDateTime,
)
from studentcli.records import COURSE, STUDENT, TERM
from studentcli.services.operations import Recorder
from studentcli.services.queues import (
    QueueRun,
    courses_moved_by_courses,
    courses_moved_by_students,
    courses_moved_by_terms,
)
from studentcli.services.resolve import is_sqlite

Values = dict[str, Any]
Record = tuple[str, int | None]
"""Kind, id."""
KINDS: Final = {kind.name: kind for kind in (STUDENT, COURSE, TERM)}
ORDER: Final = ("term", "course", "student", "hold", "override")
"""Kinds, those that others refer to first."""
CREATED: Final = frozenset({"created", "placed", "granted", "restored"})
ENDED: Final = {"lifted": ("lifted_by", "lifted_at"), "revoked": ("revoked_by", "revoked_at")}
REMOVED: Final = "removed"
KEYS: Final = {
    "student": ("student_number",),
    "term": ("code",),
    "course": ("term_id", "code", "section"),
}


@dataclass
class RecordReturn:
    """A record that the operation changed: how it is, how it was, and what stands against it."""

    kind: str
    record_id: int
    now: Values | None
    before: Values | None
    why: str | None = None

    @property
    def action(self) -> str:
        """What taking it back does to the record."""
        if self.before is None:
            return REMOVED
        return "restored" if self.now is None else "undone"

    @property
    def name(self) -> str:
        """The record as people name it."""
        row = self.now or self.before or {}
        key = [str(row[name]) for name in KEYS.get(self.kind, ()) if name != "term_id"]
        return f"{self.kind} {'-'.join(key) or self.record_id}"


def _table(kind: str) -> Table:
    return Base.metadata.tables[f"{kind}s"]


def _attributes(kind: str) -> dict[str, str]:
    """Give the column of every name that events of a kind use."""
    known = {column.name: column.name for column in _table(kind).c}
    if kind in KINDS:
        known |= {field.name: field.attribute for field in KINDS[kind].fields}
    return {**known, "student": "student_number"} if kind == "student" else known


def _typed(kind: str, attribute: str, text: str | None) -> Any:
    column = _table(kind).c[attribute].type
    if text is None:
        return None
    if isinstance(column, Hours):
        return Decimal(text).quantize(Decimal("0.01"))
    if isinstance(column, UtcDateTime):
        return datetime.fromisoformat(text)
    if isinstance(column, Date):
        return date.fromisoformat(text)
    return int(text) if isinstance(column, Integer | type(Id)) else text


def _text(value: Any) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, date) else str(value)


# ── reading ──────────────────────────────────────────────────────────────────────────────


def read_record_returns(session: Session, operation_id: int) -> list[RecordReturn]:
    """Find what an operation did to records, and how each goes back; by kind and id."""
    event = CatalogEvent
    query = (
        select(event.kind, event.record_id, event.action, event.changes, event.recorded_at)
        .where(event.operation_id == operation_id)
        .order_by(event.kind, event.record_id, event.id.desc())
    )
    events = list(session.execute(query))
    rows = {kind: _rows(session, kind, events) for kind in {event.kind for event in events}}
    found = []
    for (kind, record_id), mine in groupby(events, key=lambda row: (row.kind, row.record_id)):
        now = rows[kind].get(record_id)
        one = RecordReturn(kind, record_id, now, None if now is None else dict(now))
        for step in mine:
            _invert(one, step)
        if one.now != one.before or one.why is not None:
            found.append(one)
    return sorted(found, key=lambda one: (ORDER.index(one.kind), one.record_id))


def _rows(session: Session, kind: str, events: Iterable[Any]) -> dict[int, Values]:
    table = _table(kind)
    ids = sorted({event.record_id for event in events if event.kind == kind})
    query = select(table).where(listed_in(table.c.id, ids, is_sqlite=is_sqlite(session)))
    return {row["id"]: dict(row) for row in session.execute(query).mappings()}


def _invert(one: RecordReturn, step: Any) -> None:
    """Take one event back in the values of `before`."""
    attributes = _attributes(one.kind)
    pairs = {
        attributes[name]: [_typed(one.kind, attributes[name], value) for value in pair]
        for name, pair in step.changes.items()
        if name in attributes
    }
    row = one.before
    if step.action == REMOVED:
        if row is not None:
            one.why = "is there again"
        else:
            values = {name: old for name, (old, _) in pairs.items()}
            empty = dict.fromkeys(column.name for column in _table(one.kind).c)
            one.before = empty | values | {"id": one.record_id}
    elif row is None:
        one.why = None if step.action in CREATED else "is gone"
    elif step.action in CREATED:
        if any(row[name] != new for name, (_, new) in pairs.items()) or _is_ended(row):
            one.why = "was changed since"
        one.before = None
    elif step.action in ENDED:
        one.before = {**row, **dict.fromkeys(ENDED[step.action])}
    else:
        if any(row[name] not in pair for name, pair in pairs.items()):
            one.why = "was changed since"
        one.before = {**row, **{name: old for name, (old, _) in pairs.items()}}


def _is_ended(row: Values) -> bool:
    return row.get("lifted_at") is not None or row.get("revoked_at") is not None


def named_by(session: Session, returns: list[RecordReturn]) -> tuple[set[int], set[int]]:
    """Give the courses and the students to be locked for what happens to records."""
    ids = {kind: {one.record_id for one in returns if one.kind == kind} for kind in ORDER}
    rows = [row for one in returns for row in (one.now, one.before) if row is not None]
    students = ids["student"] | {row["student_id"] for row in rows if "student_id" in row}
    courses = {row["course_id"] for row in rows if "course_id" in row}
    if ids["course"]:
        courses |= courses_moved_by_courses(session, ids["course"])
    if ids["term"]:
        codes = [row["code"] for row in rows if "time_zone" in row]
        courses |= courses_moved_by_terms(session, codes)
    if ids["student"]:
        courses |= courses_moved_by_students(session, ids["student"])
    return courses, students


# ── what stands against it ───────────────────────────────────────────────────────────────


def find_used(
    session: Session, operation_id: int, returns: list[RecordReturn], gone: Collection[Key]
) -> None:
    """Say of records that others need, or whose key others have, why they cannot go back."""
    uses = _uses(session, returns, set(gone))
    for one in returns:
        if one.why is not None:
            continue
        if one.before is None:
            one.why = uses.get((one.kind, one.record_id))
            if one.kind == "override":
                one.why = _override_use(session, operation_id, one)
        elif one.kind in KEYS and _key_is_taken(session, one):
            one.why = "its number or code is somebody else's now"


def _uses(session: Session, returns: list[RecordReturn], gone: set[Key]) -> dict[Record, str]:
    """Say of the records to be removed what else refers to them; a query a table, not a record.

    What goes together with them does not count: `gone` enrollments, and records of the same undo.
    """
    going = {(one.kind, one.record_id) for one in returns if one.before is None}

    def among(column: Any, kind: str) -> Any:
        ids = [record_id for its_kind, record_id in going if its_kind == kind]
        return listed_in(column, ids, is_sqlite=is_sqlite(session))

    uses = dict.fromkeys(_enrollment_users(session, among, gone), "has enrollments")
    for kind, column, owner, owner_column in (
        ("course", Course.id, "term", Course.term_id),
        ("hold", Hold.id, "student", Hold.student_id),
        ("override", Override.id, "student", Override.student_id),
        ("override", Override.id, "course", Override.course_id),
    ):
        query = select(column, owner_column).where(among(owner_column, owner))
        for record_id, owner_id in session.execute(query):
            if (kind, record_id) not in going:
                uses.setdefault((owner, owner_id), f"has {kind}s")
    return uses


def _enrollment_users(
    session: Session, among: Callable[[Any, str], Any], gone: set[Key]
) -> Iterator[Record]:
    """Give the students and courses of the enrollments that stay."""
    mine = StudentCourses
    query = select(mine.student_id, mine.course_id, mine.instead_of_id).where(
        or_(
            among(mine.student_id, "student"),
            among(mine.course_id, "course"),
            among(mine.instead_of_id, "course"),
        )
    )
    for student_id, course_id, old_id in session.execute(query):
        if (student_id, course_id) not in gone:
            yield from (("student", student_id), ("course", course_id), ("course", old_id))


def _override_use(session: Session, operation_id: int, one: RecordReturn) -> str | None:
    from studentcli.services.events import read_detail

    event = EnrollmentEvent
    query = (
        select(event.detail)
        .join(Operation, Operation.id == event.operation_id)
        .where(
            event.student_id == (one.now or {})["student_id"],
            event.detail.like('%"granted"%'),
            event.operation_id != operation_id,
            Operation.undone_by.is_(None),
        )
    )
    used = any(
        one.record_id in read_detail(detail).get("granted", ()) for detail in session.scalars(query)
    )
    return "was used since" if used else None


def _key_is_taken(session: Session, one: RecordReturn) -> bool:
    names, before = KEYS[one.kind], one.before or {}
    if one.now is not None and all(one.now[name] == before[name] for name in names):
        return False
    table = _table(one.kind)
    same = and_(*(table.c[name] == before[name] for name in names))
    return session.scalar(select(table.c.id).where(same, table.c.id != one.record_id)) is not None


# ── taking it back ───────────────────────────────────────────────────────────────────────


def see_returns(run: QueueRun, returns: list[RecordReturn]) -> None:
    """Let the queues see the records as they will be."""
    for one in returns:
        row = one.before or one.now or {}
        if one.kind in KINDS:
            if one.before is not None and one.now is not None:
                kind = KINDS[one.kind]
                changes = {
                    field: one.before[field.attribute]
                    for field in kind.fields
                    if one.before[field.attribute] != one.now[field.attribute]
                }
                run.see(kind, one.record_id, changes)
            continue
        student = run.student(row["student_id"])
        if student is None:
            continue
        counts = one.before is not None and not _is_ended(row)
        if one.kind == "hold":
            kept = [hold for hold in student.holds if hold.hold_id != one.record_id]
            names = ("kind", "blocks", "reason", "from_on", "until_on")
            again = [HoldFact(one.record_id, *(row[name] for name in names))] if counts else []
            student.holds = (*kept, *again)
            run.touch_waits([student.student_id])
        elif counts:
            grant = Grant(one.record_id, row["rule"], row["until_on"])
            run.grant(student.student_id, row["course_id"], grant)
        else:
            mine = student.grants.get(row["course_id"], ())
            left = tuple(grant for grant in mine if grant.override_id != one.record_id)
            student.grants = {**student.grants, row["course_id"]: left}


def write_returns(recorder: Recorder, returns: list[RecordReturn]) -> None:
    """Write the records that change or come back, and the events of all; removal comes last."""
    connection = recorder.session.connection()
    again = [one for one in returns if one.before is not None and one.now is None]
    for kind, mine in groupby(again, key=lambda one: one.kind):
        connection.execute(insert(_table(kind)), [dict(one.before or {}) for one in mine])
    changed = [one for one in returns if one.action == "undone"]
    for kind, mine in groupby(changed, key=lambda one: one.kind):
        table = _table(kind)
        names = [column.name for column in table.c if column.name != "id"]
        statement = (
            update(table)
            .where(table.c.id == bindparam("record_id"))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        rows = [
            {"record_id": one.record_id, **{f"new_{n}": (one.before or {})[n] for n in names}}
            for one in mine
        ]
        connection.execute(statement, rows)
    events = [
        {
            "operation_id": recorder.operation_id(),
            "kind": one.kind,
            "record_id": one.record_id,
            "action": one.action,
            "changes": dict(_changes(one)),
            "recorded_at": recorder.act.now,
        }
        for one in returns
    ]
    if events:
        recorder.session.execute(insert(CatalogEvent), events)


def _changes(one: RecordReturn) -> Iterator[tuple[str, list[str | None]]]:
    names = {attribute: name for name, attribute in _attributes(one.kind).items()}
    now, before = one.now or {}, one.before or {}
    for attribute in (now or before).keys() - {"id"}:
        old, new = now.get(attribute), before.get(attribute)
        if old != new:
            yield names[attribute], [_text(old), _text(new)]


def remove_records(session: Session, returns: list[RecordReturn]) -> None:
    """Remove the records that the operation had created, those that refer to others first."""
    for kind in reversed(ORDER):
        ids = [one.record_id for one in returns if one.kind == kind and one.before is None]
        if ids:
            column = _table(kind).c.id
            listed = listed_in(column, ids, is_sqlite=is_sqlite(session))
            session.execute(delete(_table(kind)).where(listed))

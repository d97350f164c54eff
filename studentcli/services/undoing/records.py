"""What an operation did to records (of the catalogue, holds, overrides), and its inverse."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Integer, Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from studentcli.column_types import Day, Hours, Id, UtcDateTime, Whole
from studentcli.database import listed_in
from studentcli.facts import Grant, HoldFact
from studentcli.models import Base, CatalogEvent
from studentcli.records import COURSE, STUDENT, TERM
from studentcli.services.loose_ends import LooseEnds
from studentcli.services.operations import Recorder
from studentcli.services.queues import (
    QueueRun,
    courses_moved_by_courses,
    courses_moved_by_students,
    courses_moved_by_terms,
)
from studentcli.services.resolve import is_sqlite, load_terms

Values = dict[str, Any]
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


def table_of(kind: str) -> Table:
    """Give the table of a kind of record."""
    return Base.metadata.tables[f"{kind}s"]


def _attributes(kind: str) -> dict[str, str]:
    """Give the column of every name that events of a kind use."""
    known = {column.name: column.name for column in table_of(kind).c}
    if kind in KINDS:
        known |= {field.name: field.attribute for field in KINDS[kind].fields}
    return {**known, "student": "student_number"} if kind == "student" else known


def _typed(kind: str, attribute: str, text: str | None) -> Any:
    column = table_of(kind).c[attribute].type
    if text is None:
        return None
    if isinstance(column, Hours):
        return Decimal(text).quantize(Decimal("0.01"))
    if isinstance(column, UtcDateTime):
        return datetime.fromisoformat(text)
    if isinstance(column, Day):
        return date.fromisoformat(text)
    return int(text) if isinstance(column, Integer | Whole | type(Id)) else text


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
    table = table_of(kind)
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
            empty = dict.fromkeys(column.name for column in table_of(one.kind).c)
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


# ── taking it back ───────────────────────────────────────────────────────────────────────


def see_returns(run: QueueRun, returns: list[RecordReturn]) -> None:
    """Let the queues see the records as they will be."""
    for one in returns:
        row = one.before or one.now or {}
        if one.kind in KINDS:
            _see(run, one, one.before)
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


def unsee_returns(run: QueueRun, returns: list[RecordReturn]) -> None:
    """Let the queues see records of the catalogue as they are: they do not go back after all."""
    for one in returns:
        if one.kind in KINDS:
            _see(run, one, one.now)


def _see(run: QueueRun, one: RecordReturn, seen: Values | None) -> None:
    if one.before is None or one.now is None or seen is None:
        return
    kind = KINDS[one.kind]
    changes = {
        field: seen[field.attribute]
        for field in kind.fields
        if one.before[field.attribute] != one.now[field.attribute]
    }
    run.see(kind, one.record_id, changes)


def tell_loose_ends(session: Session, returns: list[RecordReturn]) -> list[str]:
    """Say what no longer fits where terms and courses go back, a sentence for each."""
    kinds = {TERM.name: LooseEnds(session, TERM), COURSE.name: LooseEnds(session, COURSE)}
    edited = [one for one in returns if one.kind in kinds and one.action == "undone"]
    codes = {term.term_id: term.code for term in load_terms(session)} if edited else {}
    for one in edited:
        now, row = one.now or {}, one.before or {}
        names = [field.attribute for field in KINDS[one.kind].fields]
        changes = {name: [now[name], row[name]] for name in names if now[name] != row[name]}
        key: tuple[str, ...] = (row["code"],)
        if one.kind == COURSE.name:
            key = (codes[row["term_id"]], row["code"], row["section"])
        kinds[one.kind].see(key, one.record_id, now, changes)
    return [said for ends in kinds.values() for said in ends.tell()]


def write_returns(recorder: Recorder, returns: list[RecordReturn]) -> None:
    """Write the records that change or come back, and the events of all; removal comes last."""
    connection = recorder.session.connection()
    again = [one for one in returns if one.before is not None and one.now is None]
    for kind, mine in groupby(again, key=lambda one: one.kind):
        connection.execute(insert(table_of(kind)), [dict(one.before or {}) for one in mine])
    changed = [one for one in returns if one.action == "undone"]
    for kind, mine in groupby(changed, key=lambda one: one.kind):
        table = table_of(kind)
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
            column = table_of(kind).c.id
            listed = listed_in(column, ids, is_sqlite=is_sqlite(session))
            session.execute(delete(table_of(kind)).where(listed))

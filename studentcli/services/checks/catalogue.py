"""Students, terms and courses against what their events say, and courses against one another."""

import shlex
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Base, CatalogEvent
from studentcli.records import CLEAR, STUDENT, RecordKind
from studentcli.services.checks.finding import (
    BY_HAND,
    Finding,
    attention,
    merge,
    name_record,
    stream,
)
from studentcli.services.checks.scope import Scope
from studentcli.services.loose_ends import (
    Dates,
    asking_courses,
    meetings_outside,
    too_many_reserved,
    unknown_codes,
)


def check_records(session: Session, kind: RecordKind) -> Iterator[Finding]:
    """Compare students, terms or courses with what their events say.

    A record from before studentcli has no event that created it: of such a one only the fields
    are known that were changed since.
    """
    table = Base.metadata.tables[kind.plural]
    attributes = {field.name: field.attribute for field in kind.fields}
    if kind is STUDENT:
        attributes["student"] = "student_number"  # known after a renumbering
    query = select(table).order_by(table.c.id)
    records = ((row.id, row) for row in stream(session, query))
    for record_id, record, told in merge(records, _replay(session, kind)):
        subject = f"{kind.name} id {record_id}"
        if record is None:
            yield Finding("events", subject, "has events, but no record")
            continue
        for name, wanted in (told or {}).items():
            actual = getattr(record, attributes[name]) if name in attributes else wanted
            if not _is_same(actual, wanted):
                finding = f"{name} is {_shown(actual)}, its events say {_shown(wanted)}"
                yield Finding(
                    "events", subject, finding, _mend(session, kind, record, name, wanted)
                )


def check_loose_ends(session: Session, scope: Scope) -> Iterator[Finding]:
    """Find what courses say that does not fit what is around them."""
    terms = {
        term.term_id: Dates(term.code, term.starts_on, term.ends_on)
        for term in scope.terms
        if scope.covers(term)
    }
    for end in meetings_outside(session, terms):
        yield attention(*end)
    for end in unknown_codes(session, asking_courses(session, terms)):
        yield attention(*end)
    for end in too_many_reserved(session, terms):
        yield attention(*end)


def _replay(session: Session, kind: RecordKind) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Rebuild what is known of one record after the other, by id: field name → text."""
    query = (
        select(CatalogEvent.record_id, CatalogEvent.action, CatalogEvent.changes)
        .where(CatalogEvent.kind == kind.name)  # an undo has events of its own
        .order_by(CatalogEvent.record_id, CatalogEvent.id)
    )
    for record_id, events in groupby(stream(session, query), key=lambda row: row[0]):
        known: dict[str, str | None] = {}
        action = ""
        for _, action, changes in events:
            if action in {"created", "restored"}:
                known = {field.name: None for field in kind.fields}
            known.update({name: after for name, (_, after) in changes.items()})
        if action != "removed":
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


def _mend(session: Session, kind: RecordKind, record: Any, name: str, wanted: str | None) -> str:
    """Give the command that makes a record what its events say."""
    key = name_record(session, kind, record.id)
    if key is None:
        return BY_HAND
    if name == "student":
        return shlex.join(["studentcli", "student", "renumber", key, wanted or ""])
    option = f"--{name.replace('_', '-')}"
    return shlex.join(["studentcli", kind.name, "edit", key, option, wanted or CLEAR])

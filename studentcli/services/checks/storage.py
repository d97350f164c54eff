"""Damage to the tables: pages, rows that point to nothing, texts of rules that nobody can read."""

import shlex
from collections.abc import Iterator
from typing import Any, Final, cast

from sqlalchemy import Column, Table, or_, select, text
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import (
    Base,
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Operation,
    StudentCourses,
)
from studentcli.records import COURSE, STUDENT, TERM, Field, RecordKind, default_of
from studentcli.services.checks.finding import Finding, name_record, stream
from studentcli.services.resolve import is_sqlite

BACKUP: Final = "restore a backup that studentcli db backup has made"
RULE_TEXTS: Final[tuple[tuple[RecordKind, tuple[str, ...]], ...]] = (
    (TERM, ("grades", "time_zone")),
    (COURSE, ("requires", "corequisites", "meetings", "restricted", "reserved")),
    (STUDENT, ("tags",)),
)
"""The fields in which rules are written as text, by kind of record."""


def check_file(session: Session) -> Iterator[Finding]:
    """Let SQLite look at its pages, indexes and constraints; PostgreSQL does that by itself."""
    if is_sqlite(session):
        for (problem,) in session.execute(text("PRAGMA integrity_check")):
            if problem != "ok":
                yield Finding("file", "database", str(problem), BACKUP)


# ── rows that point to nothing ───────────────────────────────────────────────────────────


def check_references(session: Session) -> Iterator[Finding]:
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
    """Pair the columns that point with those they point to; some have no foreign key."""
    for table in Base.metadata.sorted_tables:
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            yield key.parent, key.column
    yield _table(StudentCourses).c.instead_of_id, _table(Course).c.id
    for event in (EnrollmentEvent, CatalogEvent):
        yield _table(event).c.operation_id, _table(Operation).c.id


def _table(model: type[Base]) -> Table:
    return cast("Table", model.__table__)


# ── texts of rules ───────────────────────────────────────────────────────────────────────


def check_rule_texts(session: Session) -> Iterator[Finding]:
    """Find prerequisites, meetings and the like that no command can have written."""
    for kind, names in RULE_TEXTS:
        table = Base.metadata.tables[kind.plural]
        columns = [table.c[kind.field(name).attribute] for name in names]
        query = select(table.c.id, *columns).where(or_(*(c.is_not(None) for c in columns)))
        for record_id, *texts in stream(session, query.order_by(table.c.id)):
            for name, value in zip(names, texts, strict=True):
                said = None if value is None else _complaint(kind.field(name), value)
                if said is not None:
                    yield _unreadable(session, kind, kind.field(name), record_id, said)


def _complaint(field: Field, value: str) -> str | None:
    """Say why the text of a field cannot be read, or none."""
    try:
        field.read(value)
    except errors.BadValue as error:
        return error.message
    return None


def _unreadable(
    session: Session, kind: RecordKind, field: Field, record_id: int, said: str
) -> Finding:
    name = name_record(session, kind, record_id) or f"id {record_id}"
    default = "NULL" if field.default is None else f"'{default_of(field, ())}'"
    option = f"--{field.name.replace('_', '-')}"
    mend = (
        f"UPDATE {kind.plural} SET {field.attribute} = {default} WHERE id = {record_id}; by hand,"
        f" then studentcli {kind.name} edit {shlex.quote(name)} {option} {field.metavar}"
    )
    return Finding("text", f"{kind.name} {name}", f"{field.name} cannot be read: {said}", mend)

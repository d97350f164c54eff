"""Damage to the tables: pages, rows that point to nothing, texts of rules that nobody can read."""

import shlex
from collections.abc import Iterator
from typing import Any, Final, cast

from sqlalchemy import Column, Table, or_, select, text
from sqlalchemy.orm import Session

from studentcli.models import (
    Base,
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Operation,
    StudentCourses,
)
from studentcli.records import Field, RecordKind
from studentcli.services.checks.finding import Finding, name_record, stream
from studentcli.services.mending import RULE_TEXTS, complaint
from studentcli.services.resolve import is_sqlite

BACKUP: Final = "restore a backup that studentcli db backup has made"


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
                said = None if value is None else complaint(kind.field(name), value)
                if said is not None:
                    yield _unreadable(session, kind, kind.field(name), record_id, said)


def _unreadable(
    session: Session, kind: RecordKind, field: Field, record_id: int, said: str
) -> Finding:
    name = name_record(session, kind, record_id)
    option = f"--{field.name.replace('_', '-')}"
    mend = BACKUP
    if name is not None:
        mend = f"studentcli {kind.name} edit {shlex.quote(name)} {option} {field.metavar}"
    subject = f"{kind.name} {name or f'id {record_id}'}"
    return Finding("text", subject, f"{field.name} cannot be read: {said}", mend)


def check_values(session: Session, table: str) -> Iterator[Finding]:
    """Read a table that nothing else reads whole.

    Raises:
        errors.DatabaseDamaged: for a value that nobody can read.
    """
    for _ in stream(session, select(Base.metadata.tables[table])):
        pass
    yield from ()

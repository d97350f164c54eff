"""Texts of rules that nobody can read, and how an edit gets past what it is about to replace."""

from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import Base, Course, Student, Term
from studentcli.records import COURSE, STUDENT, TERM, Field, RecordKind, RecordRow

RULE_TEXTS: Final[tuple[tuple[RecordKind, tuple[str, ...]], ...]] = (
    (TERM, ("grades", "time_zone")),
    (COURSE, ("requires", "corequisites", "meetings", "restricted", "reserved")),
    (STUDENT, ("tags",)),
)
"""The fields in which rules are written as text, by kind of record."""


def complaint(field: Field, value: str) -> str | None:
    """Say why the text of a field cannot be read, or none."""
    try:
        field.read(value)
    except errors.BadValue as error:
        return error.message
    return None


def replace_unreadable(session: Session, kind: RecordKind, row: RecordRow) -> dict[str, str]:
    """Put the given texts of rules where there are some that nobody can read.

    Whatever is locked for an edit is read with its rules: so this comes before it. A forecast only
    finds them.

    Args:
        session: from `Database.write`.
        kind: which kind of record.
        row: an edit, its key complete.

    Returns:
        What was there, or in a forecast is: column → text; nothing for a record that can be read.
    """
    fields = [kind.field(name) for of, names in RULE_TEXTS if of is kind for name in names]
    fields = [field for field in fields if field.name in row.given]
    if not fields:
        return {}
    table = Base.metadata.tables[kind.plural]
    columns = [table.c[field.attribute] for field in fields]
    found = session.execute(select(table.c.id, *columns).where(_key(kind, row))).first()
    if found is None:
        return {}
    unreadable = {
        field: text
        for field, text in zip(fields, found[1:], strict=True)
        if text is not None and complaint(field, text) is not None
    }
    if unreadable and not session.info.get("forecast", False):
        # The one lock out of turn: a deadlock that comes of it is another try.
        new = {field.attribute: row.given[field.name] for field in unreadable}
        session.execute(update(table).where(table.c.id == found[0]).values(new))
    return {field.attribute: text for field, text in unreadable.items()}


def _key(kind: RecordKind, row: RecordRow) -> Any:
    """Compare with the key of a record."""
    if kind is STUDENT:
        return Student.student_number == row.key[0]
    if kind is TERM:
        return Term.code == row.key[0]
    term = select(Term.id).where(Term.code == row.key[0]).scalar_subquery()
    return (Course.term_id == term) & (Course.code == row.key[1]) & (Course.section == row.key[2])

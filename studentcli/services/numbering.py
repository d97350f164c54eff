"""Ids of new records: none is given twice, so that a history is that of one record."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Base, CatalogEvent
from studentcli.services.resolve import is_sqlite

Values = dict[str, Any]


def numbered(session: Session, kind: str, rows: Iterable[Values]) -> list[Values]:
    """Give new records their ids, where the engine would give those of removed ones again.

    SQLite gives a new row the highest id of the table and one: after an undo has removed the
    newest student, the next one would get its id, and with it its events. What the log names was
    there once. PostgreSQL's sequences never go back.

    Args:
        session: in the operation's transaction, which on SQLite is the only one that writes.
        kind: `student`, `term`, `course`, `hold` or `override`.
        rows: the values of the new records.

    Returns:
        The rows, each with its `id` on SQLite.
    """
    rows = list(rows)
    if not rows or not is_sqlite(session):
        return rows
    column, event = Base.metadata.tables[f"{kind}s"].c.id, CatalogEvent
    newest = (
        select(column).order_by(column.desc()),
        select(event.record_id).where(event.kind == kind).order_by(event.record_id.desc()),
    )
    highest = max(session.scalar(query.limit(1)) or 0 for query in newest)
    return [{"id": highest + count, **row} for count, row in enumerate(rows, 1)]

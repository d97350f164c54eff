"""Which files were applied to a scope before."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Operation
from studentcli.services.runs import is_undone
from studentcli.services.syncing.guards import Earlier
from studentcli.services.syncing.scope import Scope, read_scope

KIND: Final = "sync-enrollments"


def earlier_files(
    session: Session, scope: Scope, courses: Iterable[tuple[str, str]]
) -> list[list[Earlier]]:
    """List the syncs that were applied and not undone, scope by scope, the last one first.

    Args:
        session: any.
        scope: of the sync.
        courses: code and section of those that belong to it. A sync of another scope counts when
            it was about one of them: an older file would take back what it did there.
    """
    mine = list(courses)

    @cache
    def is_about_mine(said: str) -> bool:
        other = read_scope(said)
        return other.term == scope.term and any(other.covers(*course) for course in mine)

    query = (
        select(Operation.id, Operation.source_sha256, Operation.totals, Operation.undone_by)
        .where(Operation.kind == KIND, Operation.outcome == "done")
        .order_by(Operation.id.desc())
    )
    found: dict[str, list[Earlier]] = {}
    for operation_id, sha256, totals, undone_by in session.execute(query):
        said = totals["sync"]
        if not is_about_mine(said["scope"]):
            continue
        if undone_by is not None and is_undone(session, operation_id):
            continue
        at = said.get("written_at")
        written_at = datetime.fromisoformat(at) if at else None
        found.setdefault(said["scope"], []).append(Earlier(operation_id, sha256, written_at))
    return list(found.values())

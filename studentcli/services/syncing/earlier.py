"""Which files were applied to a scope before."""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Operation
from studentcli.services.runs import is_undone
from studentcli.services.syncing.guards import Earlier
from studentcli.services.syncing.scope import Scope

KIND: Final = "sync-enrollments"


def earlier_files(session: Session, scope: Scope) -> list[Earlier]:
    """List the syncs of a scope that were applied and not undone, the last one first.

    Of another scope, also one that overlaps, nothing is said.
    """
    query = (
        select(Operation.id, Operation.source_sha256, Operation.totals, Operation.undone_by)
        .where(Operation.kind == KIND, Operation.outcome == "done")
        .order_by(Operation.id.desc())
    )
    found = []
    for operation_id, sha256, totals, undone_by in session.execute(query):
        said = totals.get("sync", {})
        if said.get("scope") != str(scope):
            continue
        if undone_by is not None and is_undone(session, operation_id):
            continue
        at = said.get("written_at")
        written_at = datetime.fromisoformat(at) if at else None
        found.append(Earlier(operation_id, sha256, written_at))
    return found

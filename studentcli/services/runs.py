"""Runs with an id: what is done once is not done again, whoever starts it how often."""

import re
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import Operation
from studentcli.services.operations import Act
from studentcli.services.resolve import is_sqlite

ROWS_SO_FAR: Final = "rows so far"
"""Stands among the totals of an operation whose file is committed in parts, until it is done."""
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")


def begin_run(session: Session, act: Act, run_id: str) -> int | None:
    """Find out whether a run was done; if not, the act becomes it.

    Two runs of one id at the same time take turns: the second finds what the first has done.

    Args:
        session: in the operation's transaction, before its other locks.
        act: gets the key of the run.
        run_id: chosen by whoever starts the run.

    Returns:
        The operation that did it and was not undone, or none.

    Raises:
        errors.Usage: when it can be no run id.
        errors.AnotherFile: when the run of this id was about another file.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise errors.Usage(
            "a run id has at most 100 letters, digits and . _ : @ + -", hint="such as 2026-11-24"
        )
    key, turn = f"run:{run_id}", 1
    if not is_sqlite(session) and not session.info.get("forecast", False):
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    while True:
        query = select(Operation.id, Operation.kind, Operation.source_sha256)
        found = session.execute(query.where(Operation.request_key == key)).first()
        if found is None:
            act.request_key = key
            return None
        if not is_undone(session, found.id):
            if (found.kind, found.source_sha256) != (act.kind, act.source_sha256):
                raise errors.AnotherFile(
                    f"run {run_id} was done with another file, as batch {found.id};"
                    " nothing was changed",
                    hint="give every file a run id of its own",
                )
            return int(found.id)
        turn += 1
        key = f"run:{run_id}#{turn}"  # an undone run leaves its key to the history


def is_undone(session: Session, operation_id: int) -> bool:
    """Tell whether an operation was undone; an undo that was itself undone does not count."""
    undoer = session.scalar(select(Operation.undone_by).where(Operation.id == operation_id))
    return undoer is not None and not is_undone(session, undoer)


def require_finished(session: Session, operation_id: int, run_id: str) -> None:
    """Stop when a run was begun in parts and not all of them are done.

    Raises:
        errors.Usage: with what goes on with it.
    """
    totals = session.scalar(select(Operation.totals).where(Operation.id == operation_id)) or {}
    if ROWS_SO_FAR in totals:
        raise errors.Usage(
            f"run {run_id} is batch {operation_id}, of which {totals[ROWS_SO_FAR]} rows are done",
            hint="go on with it by --commit-every, or take it back by studentcli undo"
            f" {operation_id}",
        )


def same_file(session: Session, act: Act) -> int | None:
    """Find the last finished operation that had a file of the same content, if any."""
    query = (
        select(Operation.id)
        .where(
            Operation.source_sha256 == act.source_sha256,
            Operation.kind == act.kind,
            Operation.outcome == "done",
            Operation.undone_by.is_(None),
        )
        .order_by(Operation.id.desc())
        .limit(1)
    )
    return session.scalar(query)

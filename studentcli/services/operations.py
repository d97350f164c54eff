"""Operations: who did what, through which door, and what came of it."""

import getpass
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

from sqlalchemy import Table, insert, update
from sqlalchemy.orm import Session

from studentcli import audit
from studentcli.database import Database
from studentcli.models import CatalogEvent, Operation
from studentcli.requests import Consequences, Decision
from studentcli.rules import SeatedRows

Done = TypeVar("Done", bound=Consequences)


def system_actor() -> str:
    """Name who runs this process: behind sudo the person who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


@dataclass(slots=True)
class Act:
    """What is about to be done: becomes one row of `operations`.

    Args:
        kind: the command in one word: `enroll`, `course-edit`, `import-students`.
        channel: the door: `cli`, `csv`, `http`, `python`.
        actor: who does it.
        reason: why.
        source: the file, for a batch.
        source_sha256: the file's content, in hex.
        now: aware; the one clock reading of the operation.
    """

    kind: str
    channel: str = "python"
    actor: str = field(default_factory=system_actor)
    reason: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    request_key: str = field(default_factory=lambda: uuid4().hex)


_OPERATIONS: Final = cast("Table", Operation.__table__)
_NEW: Final = insert(_OPERATIONS).returning(_OPERATIONS.c.id)


def follow(
    database: Database, unit: Callable[[Session], Done], act: Act, *, dry_run: bool = False
) -> Done:
    """Run an operation that is no enrollment request, and log what it did to enrollments.

    Args:
        database: where.
        unit: as `Database.write` takes it.
        act: who does what.
        dry_run: forecast it: nothing is written, neither to the database nor to the log.

    Returns:
        What the unit gave.

    Raises:
        errors.Busy, errors.DatabaseUnavailable: as `Database.write`.
    """
    if dry_run:
        return database.write(unit, dry_run=True)
    with audit.following(act.channel, act.actor, act.request_key) as trail:
        done = database.write(unit)
        trail.followed(done)
    return done


class Recorder:
    """Writes the operation of an act, once there is something to write; a forecast writes none.

    Args:
        session: in the operation's transaction.
        act: the operation.
        operation_id: its number, when an earlier transaction has written it.
    """

    def __init__(self, session: Session, act: Act, operation_id: int | None = None) -> None:
        self.session = session
        self.act = act
        self.is_forecast: bool = session.info.get("forecast", False)
        self._operation_id = operation_id
        self._totals: dict[str, Any] = {}
        session.info["request_key"] = act.request_key

    def operation_id(self, totals: dict[str, Any] | None = None) -> int:
        """Give the operation's number, writing the row at the first call."""
        if self._operation_id is None:
            act = self.act
            self._totals = dict(totals or {})
            found = self.session.connection().execute(
                _NEW,
                {
                    "kind": act.kind,
                    "channel": act.channel,
                    "actor": act.actor,
                    "reason": act.reason,
                    "source": act.source,
                    "source_sha256": act.source_sha256,
                    "request_key": act.request_key,
                    "outcome": "done",
                    "started_at": act.now,
                    "finished_at": datetime.now(UTC),
                    "totals": self._totals,
                },
            )
            self._operation_id = int(found.scalar_one())
        return self._operation_id

    def record_change(
        self, kind: str, record_id: int, action: str, changes: dict[str, list[str | None]]
    ) -> None:
        """Record what happened to a record as an event of the operation.

        Args:
            kind: which kind of record.
            record_id: its database id.
            action: what was done to it.
            changes: field name → [before, after], as text.
        """
        self.session.execute(
            insert(CatalogEvent),
            {
                "operation_id": self.operation_id(),
                "kind": kind,
                "record_id": record_id,
                "action": action,
                "changes": changes,
                "recorded_at": self.act.now,
            },
        )

    def finish(self, totals: dict[str, Any], *, outcome: str = "done") -> int | None:
        """Record the totals; gives the operation's number, or none for a forecast."""
        if self.is_forecast:
            return None
        operation_id = self.operation_id(totals)
        if totals != self._totals or outcome != "done":
            self.session.execute(
                update(Operation)
                .where(Operation.id == operation_id)
                .values(totals=totals, outcome=outcome, finished_at=datetime.now(UTC))
            )
        return operation_id


def count_outcomes(
    decisions: Iterable[Decision | SeatedRows], totals: Counter[str] | None = None
) -> Counter[str]:
    """Count the outcomes by result, and the promotions under `promoted`."""
    totals = Counter() if totals is None else totals
    for decision in decisions:
        if isinstance(decision, SeatedRows):
            totals.update(decision.results)
            continue
        totals.update([outcome.result for outcome in decision.outcomes])
        if decision.promotions:
            totals["promoted"] += len(decision.promotions)
    return totals

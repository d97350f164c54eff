"""Operations: who did what, through which door, and what came of it."""

import getpass
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import uuid4

from sqlalchemy import Table, insert, update
from sqlalchemy.orm import Session

from studentcli.models import Operation
from studentcli.requests import Decision


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


class Recorder:
    """Writes the operation of an act, once there is something to write; a forecast writes none."""

    def __init__(self, session: Session, act: Act) -> None:
        self.session = session
        self.act = act
        self.is_forecast: bool = session.info.get("forecast", False)
        self._operation_id: int | None = None
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
    decisions: Iterable[Decision], totals: Counter[str] | None = None
) -> Counter[str]:
    """Count the outcomes by result, and the promotions under `promoted`."""
    totals = Counter() if totals is None else totals
    for decision in decisions:
        for outcome in decision.outcomes:
            totals[outcome.result] += 1
        if decision.promotions:
            totals["promoted"] += len(decision.promotions)
    return totals

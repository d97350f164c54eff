"""How a file is to be synced."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from studentcli.services.syncing.guards import Limits
from studentcli.services.syncing.scope import Scope

ABSENT: Final = ("drop", "withdraw", "keep")
"""What becomes of a live enrollment that the file does not name."""


@dataclass(frozen=True)
class SyncOptions:
    """How a file is to be synced.

    Args:
        scope: for which courses it is the truth.
        absent: one of ABSENT; who waits is dropped, also where `withdraw` is asked for.
        limits: how many drops it may bring.
        allowed: codes of the guards that are let through.
        last_wins: of rows that disagree the last one counts.
        written_at: aware; when the file was written, as far as that is known.
    """

    scope: Scope
    absent: str = "drop"
    limits: Limits = field(default_factory=Limits)
    allowed: frozenset[str] = frozenset()
    last_wins: bool = False
    written_at: datetime | None = None

"""What a batch is made from and told: the file's reader, the options, what came of it."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from studentcli.requests import Decision, Promotion
from studentcli.rules import SeatedRows
from studentcli.rules.deciding import Unread
from studentcli.services.catalog import RecordOutcome
from studentcli.services.syncing.options import SyncOptions

OnError = Literal["abort", "skip"]


class Readable(Protocol):
    """What a reader gives: items in file order, the cells of lines that are kept, how many rows."""

    items: list[Any]
    cells: dict[int, list[str]]
    rows: int


class Reader(Protocol):
    """A file that can be read any number of times."""

    def chunks(self, size: int, *, first: int | None = None) -> Iterable[Any]:
        """Read the file anew, in chunks of about `size` rows that begin with `first`."""


Result = Decision | SeatedRows | RecordOutcome | Unread
Sink = Callable[[list[Any], dict[int, list[str]]], None]
"""Takes the results of a chunk in file order (see `one_by_one`), and its cells by line, as kept."""


@dataclass
class BatchOptions:
    """How a file is to be imported.

    Args:
        on_error: `abort` applies all rows or none; `skip` applies the good ones.
        chunk: rows that are decided and written together; the outcome does not depend on it.
        term: what rows mean that name no term.
        allow_waitlist: as in `Policy`.
        all_or_none: as in `Policy`.
        strict: as in `Policy`.
        planned_at: as in `Policy`.
        run_id: names the run: once it is done, it is not done again.
        sync: the file is the truth for a scope, see `SyncOptions`.
        commit_every: commit an enrollments file in parts of so many rows: see `parts`.
        exclusive: let an enrollments file have the enrollment tables for itself: see `bulk`.
    """

    on_error: OnError = "abort"
    chunk: int = 20_000
    term: str | None = None
    allow_waitlist: bool = True
    all_or_none: bool = False
    strict: bool = False
    planned_at: datetime | None = None
    run_id: str | None = None
    sync: SyncOptions | None = None
    commit_every: int | None = None
    exclusive: bool = False


@dataclass
class BatchResult:
    """What came of a file: totals by result, the operation, and whether anything was applied."""

    totals: Counter[str] = field(default_factory=Counter)
    operation_id: int | None = None
    aborted: bool = False
    same_as: int | None = None
    done_as: int | None = None
    """The operation that did the run of this id already; then nothing was done."""
    promotions: list[Promotion] = field(default_factory=list)
    """Whom a file of records or a sync moved up; those of requests are in their decisions."""
    went_online: str | None = None
    """Why a load that was to have the tables for itself did not get them."""
    warnings: list[str] = field(default_factory=list)
    """What a file of records says that was taken as written and does not fit what is around it."""

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return self.totals["refused"]

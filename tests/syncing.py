"""Syncing a file in a test: the content, the scope, what came of it."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from studentcli.formats.source import CsvSource
from studentcli.formats.syncing import SyncReader
from studentcli.requests import Decision
from studentcli.services.batches import BatchOptions, BatchResult, Sink
from studentcli.services.operations import Act
from studentcli.services.syncing import GUARDS, SyncOptions, read_limits, read_scope
from studentcli.services.syncing.batch import SyncBatch
from studentcli.services.syncing.earlier import KIND
from tests.world import World


def sync(
    world: World,
    content: str,
    scope: str = "term=ALL",
    *,
    absent: str = "drop",
    max_drops: Iterable[str] = ("100%",),
    allow: Iterable[str] = GUARDS,
    last_wins: bool = False,
    written_at: datetime | None = None,
    dry_run: bool = False,
    every_row: bool = False,
    **options: Any,
) -> tuple[BatchResult, list[Any]]:
    """Sync a file; no guard stops it unless it is asked to."""
    chosen = SyncOptions(
        read_scope(scope), absent, read_limits(max_drops), frozenset(allow), last_wins, written_at
    )
    taken: list[Any] = []

    def sink_for() -> Sink:
        taken.clear()
        return lambda results, _cells: taken.extend(results)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_text(content)
        source = CsvSource(str(path))
        try:
            reader = SyncReader(
                source, scope, chosen.scope.term, now=world.now, every_row=every_row
            )
            act = Act(KIND, "test", "tester", source="file.csv", source_sha256=source.sha256,
                      now=world.now)  # fmt: skip
            batch = SyncBatch(
                reader, reader.survey(), act,
                BatchOptions(term=chosen.scope.term, sync=chosen, **options),
                sink_for, source.require_unchanged,
            )  # fmt: skip
            return batch.run(world.database, dry_run=dry_run), taken
        finally:
            source.close()


def outcomes(taken: list[Any]) -> dict[tuple[str, str], str]:
    """Give what came of every enrollment that something was decided about: `refused: CODE`."""
    found = {}
    for decision in taken:
        for outcome in decision.outcomes if isinstance(decision, Decision) else ():
            code = f": {outcome.refusals[0].code}" if outcome.refusals else ""
            found[outcome.student, outcome.course] = f"{outcome.result}{code}"
    return found


def live(world: World) -> set[tuple[str, str]]:
    """Give who is enrolled or waitlisted where."""
    return {key for key, status in world.statuses().items() if status in {"enrolled", "waitlisted"}}

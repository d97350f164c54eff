"""A file that is committed part by part, so that it holds no lock for long.

All parts are one operation: its number, its history and its undo are those of one import. Each
part is a transaction of its own, with its queues run, and says in the operation's totals how many
rows of the file are done; the last one takes that away again. A run that was killed is found by
its id and goes on after the rows that are done: no row is decided twice, none is left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import audit, errors
from studentcli.models import Operation
from studentcli.requests import Adds, Decision, Request, Survey
from studentcli.rules import one_by_one
from studentcli.services.batch_options import Readable
from studentcli.services.runs import ROWS_SO_FAR, begin_run, same_file

if TYPE_CHECKING:
    from studentcli.database import Database
    from studentcli.services.batches import Batch, BatchResult

Cells = dict[int, list[str]]


@dataclass
class Part:
    """Some rows of a file that are committed together, in chunks as the reader gave them."""

    chunks: list[tuple[list[Any], Cells]] = field(default_factory=list)
    rows: int = 0
    is_last: bool = False

    def survey(self) -> Survey:
        """List what the part names, to be locked before its first decision."""
        found = Survey(rows=self.rows)
        for items, _ in self.chunks:
            for item in items:
                if isinstance(item, Request | Adds):
                    found.wanted.add(item)
        return found


def read_parts(chunks: Iterable[Any], size: int, *, after: int) -> Iterator[Part]:
    """Put chunks together to parts of about `size` rows; the last one may be empty.

    Args:
        chunks: from the file's first row on.
        size: rows of a part; a request is never torn apart for it.
        after: how many rows are done.
    """
    part = Part()
    for items, cells, rows in _chunks_after(chunks, after):
        if part.rows >= size:
            yield part
            part = Part()
        part.chunks.append((items, cells))
        part.rows += rows
    part.is_last = True
    yield part


def _chunks_after(chunks: Iterable[Readable], done: int) -> Iterator[tuple[list[Any], Cells, int]]:
    """Leave out the rows that are done: another chunk size may have cut them elsewhere."""
    for chunk in chunks:
        if chunk.rows > done:
            yield list(_after(done, chunk.items)), chunk.cells, chunk.rows - done
        done = max(0, done - chunk.rows)


def _after(done: int, items: Iterable[Any]) -> Iterator[Any]:
    """Leave out the items of the first rows: a request is never torn apart, adds can be."""
    for item in items:
        rows = _rows(item)
        if rows > done:
            yield item.cut(done) if isinstance(item, Adds) else item
        done = max(0, done - rows)


def _rows(item: Any) -> int:
    if isinstance(item, Adds):
        return len(item)
    return len(item.changes) if isinstance(item, Request) else 1


class PartedBatch:
    """Carries the rows of a batch through, part by part.

    Args:
        batch: of enrollments; `options.commit_every` says how many rows a part has.
        result: empty; filled as parts are committed.
    """

    def __init__(self, batch: "Batch", result: "BatchResult") -> None:
        self.batch = batch
        self.options = batch.options
        self.result = result
        self._rows = 0

    def run(self, database: "Database") -> "BatchResult":
        """Commit the parts that are not done yet.

        Raises:
            errors.Busy: when somebody else goes on with the same run, or has undone it.
        """
        database.write(self._begin)
        if self.result.done_as is not None:
            return self.result
        take = self.batch.sink_for()
        size = self.options.commit_every or 1
        even = -(-size // -(-size // self.options.chunk))
        for part in read_parts(self.batch.reader.chunks(even), size, after=self._rows):
            for results, cells in self._commit(database, part):
                take(results, cells)
        return self.result

    def _begin(self, session: Session) -> None:
        """Find out how far the run of this id is."""
        self.result.done_as = None
        found = self._find_run(session)
        if found is None:
            self.result.same_as = same_file(session, self.batch.act)
            return
        totals = Counter[str](found.totals)
        if ROWS_SO_FAR not in totals:
            self.result.done_as = found.id
            return
        self._rows = self.batch.went_on_after = int(totals.pop(ROWS_SO_FAR))
        self.result.totals, self.result.operation_id = totals, found.id
        self.batch.refused_before = found.id if totals["refused"] else None
        self.options = replace(self.options, planned_at=found.started_at)

    def _find_run(self, session: Session) -> Any:
        run_id = self.options.run_id
        number = None if run_id is None else begin_run(session, self.batch.act, run_id)
        query = select(Operation.id, Operation.totals, Operation.started_at)
        return number and session.execute(query.where(Operation.id == number)).one()

    def _commit(self, database: "Database", part: Part) -> list[tuple[list[Any], Cells]]:
        """Commit a part; only then it counts."""
        act = self.batch.act
        with audit.following(act.channel, act.actor, act.request_key) as trail:
            done, taken = database.write(partial(self._carry, part), before_gate=True)
            trail.operation_id = done.operation_id
            for results, _ in taken if audit.is_on() else ():
                for decision in (r for r in one_by_one(results) if isinstance(r, Decision)):
                    trail.asked_and_decided(decision)
        self.result.totals, self.result.operation_id = done.totals, done.operation_id
        self._rows += part.rows
        return taken

    def _carry(
        self, part: Part, session: Session
    ) -> tuple["BatchResult", list[tuple[list[Any], Cells]]]:
        self._require_own(session)
        done = replace(self.result, totals=Counter(self.result.totals))
        work = self.batch.open_unit(session, part.survey(), self.options, done.operation_id)
        taken = []
        for items, cells in part.chunks:
            results = work.process(items)
            work.count(results, done.totals)
            taken.append((results, cells))
        self._require_unchanged()
        if not part.is_last:
            done.totals[ROWS_SO_FAR] = self._rows + part.rows
        work.finish(done)
        del done.totals[ROWS_SO_FAR]
        if self.result.operation_id is not None:
            # Its key is recorded since the first part: it tells nothing about a lost COMMIT.
            del session.info["request_key"]
        return done, taken

    def _require_own(self, session: Session) -> None:
        """Stop when the operation is not as this process left it."""
        number = self.result.operation_id
        if number is None:
            if self._find_run(session) is not None:
                raise errors.Busy(f"another import has begun run {self.options.run_id}")
            return
        query = select(Operation.totals, Operation.undone_by).where(Operation.id == number)
        found = session.execute(query.with_for_update(key_share=True)).one()
        if found.undone_by is not None:
            raise errors.Busy(
                f"batch {number} was undone while it was at row {self._rows}",
                hint="import the file again, or leave it undone",
            )
        if found.totals.get(ROWS_SO_FAR) != self._rows:
            raise errors.Busy(f"another import goes on with batch {number}")

    def _require_unchanged(self) -> None:
        try:
            self.batch.verify()
        except errors.FileUnreadable as error:
            if not self._rows:
                raise
            raise errors.FileUnreadable(
                f"the file was changed while it was read; its first {self._rows} rows are applied",
                hint=f"studentcli undo {self.result.operation_id} takes them back",
            ) from error

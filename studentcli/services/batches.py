"""A file as one operation: decided chunk by chunk, applied in one transaction, or not at all."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

from sqlalchemy.orm import Session

from studentcli import audit, errors
from studentcli.database import Database
from studentcli.facts import Key
from studentcli.records import RecordKind, RecordRow
from studentcli.requests import Decision, Policy, Promotion, Refusal, Request, Survey
from studentcli.services.bulk import Load, open_load
from studentcli.services.catalog import RecordOutcome, Saving
from studentcli.services.exclusive import let_writers_on
from studentcli.services.loading import Deciding
from studentcli.services.operations import Act, Recorder, count_outcomes
from studentcli.services.parts import PartedBatch
from studentcli.services.runs import begin_run, require_finished, same_file
from studentcli.services.writer import Rows, finished_rows

KEPT: Final = 1_200_000
"""Enrollments that a batch remembers: more are looked up again, so that memory stays flat."""

OnError = Literal["abort", "skip"]


class Unread(Protocol):
    """A row that could not be read."""

    line: int
    refusal: Refusal


class Readable(Protocol):
    """What a reader gives: items in file order, and the cells of each line."""

    items: list[Any]
    cells: dict[int, list[str]]


class Reader(Protocol):
    """A file that can be read any number of times."""

    def chunks(self, size: int) -> Iterable[Any]:
        """Read the file anew, in chunks of about `size` rows."""


Result = Decision | RecordOutcome | Unread
Sink = Callable[[list[Any], dict[int, list[str]]], None]
"""Takes the results of a chunk in file order, and the cells of its lines."""


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
        kept: enrollments that are remembered; the outcome does not depend on it.
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
    kept: int = KEPT
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
    """Whom a file of records moved up; those of requests are in their decisions."""
    went_online: str | None = None
    """Why a load that was to have the tables for itself did not get them."""
    warnings: list[str] = field(default_factory=list)
    """What a file of records says that was taken as written and does not fit what is around it."""

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return self.totals["refused"]


class _Abort(Exception):
    def __init__(self, result: BatchResult) -> None:
        super().__init__()
        self.result = result


class BatchUnit(Protocol):
    """Decides and writes one chunk after the other, inside a session."""

    def process(self, items: list[Any]) -> list[Any]:
        """Decide and write a chunk; gives a result per item, in order."""

    def count(self, results: list[Any], totals: Counter[str]) -> None:
        """Add results to the totals."""

    def finish(self, result: BatchResult) -> None:
        """Close the operation, and say in the result what came of the file as a whole."""


class EnrollmentUnit:
    """Requests: locked as a whole before the first decision.

    Args:
        session: the transaction.
        survey: what the first pass found.
        act: the operation.
        options: how to import.
        operation_id: the operation's number, when it has one.
    """

    def __init__(
        self,
        session: Session,
        survey: Survey,
        act: Act,
        options: BatchOptions,
        operation_id: int | None = None,
    ) -> None:
        self.session = session
        self.act = act
        self.kept = options.kept
        policy = Policy(
            act.now,
            allow_waitlist=options.allow_waitlist,
            all_or_none=options.all_or_none,
            strict=options.strict,
            planned_at=options.planned_at,
        )
        self.deciding = Deciding(session, policy, options.term)
        self.recorder = Recorder(session, act, operation_id)
        self._ready: Rows | None = None
        self._written: list[Key] = []
        self.load: Load | None = None
        if not self.recorder.is_forecast:
            self.load = open_load(session, survey.rows, exclusive=options.exclusive)
        self.deciding.transcripts.load = self.load
        self.deciding.lock(survey.wanted)

    def process(self, items: list[Any]) -> list[Any]:
        """Decide the requests of a chunk, while what the chunk before changed is written."""
        requests = [item for item in items if isinstance(item, Request)]
        students = self.deciding.load(requests)
        with self._writing():
            decisions = iter(self.deciding.decide(requests, students))
        self._make_ready()
        return [next(decisions) if isinstance(item, Request) else item for item in items]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write the rows that are ready: on PostgreSQL meanwhile, for the work is the server's."""
        rows, self._ready = self._ready, None
        if rows is None or self.load is None:
            yield
        elif self.deciding.is_sqlite:
            self.load.write(rows)
            yield
        else:
            with ThreadPoolExecutor(1) as thread:
                written = thread.submit(self.load.write, rows)
                yield
                written.result()

    def _make_ready(self) -> None:
        """Make the rows of a chunk; its states stay known, as the tables do not hold them yet."""
        facts = self.deciding.facts
        changed, events = facts.take()
        if self.load is not None:
            self._ready = finished_rows(
                self.session.connection(), changed, events, self.recorder.operation_id(),
                self.act.now,
            )  # fmt: skip
            facts.settle(self._written, but=changed)
            self._written = list(changed)
            if facts.size() > self.kept:
                self.load.show_states()
                facts.forget(but=changed)

    def count(self, results: list[Any], totals: Counter[str]) -> None:
        """Count outcomes; a row that cannot be read is a refused one."""
        count_outcomes((r for r in results if isinstance(r, Decision)), totals)
        unread = sum(not isinstance(result, Decision) for result in results)
        if unread:
            totals["refused"] += unread

    def finish(self, result: BatchResult) -> None:
        """Write what is left, and the totals."""
        with self._writing():
            pass
        if self.load is not None:
            self.load.end()
            result.went_online = self.load.went_online
        result.operation_id = self.recorder.finish(dict(result.totals))


class RecordUnit:
    """Records: their keys are locked as a whole before the first one is saved."""

    def __init__(
        self, session: Session, kind: RecordKind, survey: Survey, act: Act, options: BatchOptions
    ) -> None:
        self.saving = Saving(session, kind, act, "upsert", options.term)
        self.saving.lock(survey.keys)

    def process(self, items: list[Any]) -> list[Any]:
        """Save the records of a chunk."""
        rows = [item for item in items if isinstance(item, RecordRow)]
        outcomes = iter(self.saving.save(rows))
        return [next(outcomes) if isinstance(item, RecordRow) else item for item in items]

    def count(self, results: list[Any], totals: Counter[str]) -> None:
        """Count outcomes; a row that cannot be read is a refused one."""
        for result in results:
            totals[getattr(result, "result", "refused")] += 1

    def finish(self, result: BatchResult) -> None:
        """Run the queues that moved and write the totals."""
        result.operation_id, result.promotions = self.saving.finish(dict(result.totals))
        if result.promotions:
            result.totals["promoted"] = len(result.promotions)
        result.warnings = self.saving.loose_ends.tell()


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python's cycle collector from walking the facts over and over: they hold no cycles.

    Measured: at 300,000 rows on SQLite it took 9 of 24 seconds.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class Batch:
    """A file to be carried through in one transaction.

    Args:
        reader: gives the chunks; read anew when the transaction has to be run again.
        survey: what its first pass found.
        act: the operation.
        options: how to import.
        sink_for: makes the taker of the results; called anew for every run of the transaction.
        verify: called after the last row and before the commit; raising undoes everything.
        confirm: called after it with whom a file of records moved up; raising undoes everything.
    """

    reader: Reader
    survey: Survey
    act: Act
    options: BatchOptions
    sink_for: Callable[[], Sink]
    verify: Callable[[], None]
    confirm: Callable[[list[Promotion]], None] | None = None
    went_on_after: int = 0
    """How many rows an earlier run of this id, killed between two parts, had done."""
    _trail: audit.Trail | None = None

    def run(self, database: Database, *, dry_run: bool = False) -> BatchResult:
        """Carry the file through, or forecast it on a snapshot.

        Returns:
            The totals. With `on_error="abort"` and a refused row nothing is applied: `aborted`
            is set, and an operation with that outcome, without row events, is all that is
            recorded.
        """
        self._require_sensible()
        try:
            with without_collector():
                if dry_run:
                    return database.write(self._carry, dry_run=True)
                if self.options.commit_every:
                    return PartedBatch(self, BatchResult()).run(database)
                return self._run_audited(database)
        except _Abort as abort:
            result = abort.result
            result.aborted = True
            if not dry_run:
                result.operation_id = database.write(
                    lambda session: _record_abort(session, self.act, result)
                )
            return result

    def _run_audited(self, database: Database) -> BatchResult:
        act = self.act
        with audit.following(act.channel, act.actor, act.request_key) as self._trail:
            try:
                result = database.write(self._carry, before_gate=True)
            except _Abort:
                self._trail.failed(errors.BatchRefused("nothing was applied"))
                raise
            self._trail.operation_id = result.operation_id
            self._trail.promoted(result.promotions)
        return result

    def _carry(self, session: Session) -> BatchResult:
        if self.options.run_id is not None:
            done_as = begin_run(session, self.act, self.options.run_id)
            if done_as is not None:
                require_finished(session, done_as, self.options.run_id)
                return BatchResult(done_as=done_as)
        result = BatchResult(same_as=same_file(session, self.act))
        take = self.sink_for()
        if self._trail is not None:
            self._trail.restart()
        work = self.open_unit(session, self.survey, self.options)
        for part in self.reader.chunks(self.options.chunk):
            results = work.process(part.items)
            work.count(results, result.totals)
            take(results, part.cells)
            if self._trail is not None and audit.is_on():
                for decision in (r for r in results if isinstance(r, Decision)):
                    self._trail.asked_and_decided(decision)
        self.verify()
        if result.refused and self.options.on_error == "abort":
            raise _Abort(result)
        work.finish(result)
        if self.confirm is not None:
            self.confirm(result.promotions)
        return result

    def open_unit(
        self,
        session: Session,
        survey: Survey,
        options: BatchOptions,
        operation_id: int | None = None,
    ) -> BatchUnit:
        """Lock what a survey names, and give what decides and writes it.

        Args:
            session: in a writing transaction that began before the gate, or a forecast's.
            survey: of the file, or of the part of it that is committed in this transaction.
            options: how to import.
            operation_id: the operation, when an earlier part has begun it.
        """
        if survey.kind is None:
            return EnrollmentUnit(session, survey, self.act, options, operation_id)
        let_writers_on(session)
        return RecordUnit(session, survey.kind, survey, self.act, options)

    def _require_sensible(self) -> None:
        """Refuse options that only enrollments can have."""
        for option in ("exclusive", "commit_every"):
            if self.survey.kind is not None and getattr(self.options, option):
                raise errors.Usage(
                    f"--{option.replace('_', '-')} is for enrollments, and this file holds"
                    f" {self.survey.kind.plural}",
                    hint="leave it out",
                )


def _record_abort(session: Session, act: Act, result: BatchResult) -> int | None:
    """Record that nothing was applied, under a key of its own: the run is not done."""
    act = replace(act, request_key=uuid4().hex)
    return Recorder(session, act).finish(dict(result.totals), outcome="aborted")

"""A file as one operation: decided chunk by chunk, applied in one transaction, or not at all."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from uuid import uuid4

from sqlalchemy.orm import Session

from studentcli import audit, errors
from studentcli.database import Database
from studentcli.records import RecordKind, RecordRow
from studentcli.requests import Adds, Agreed, Decision, Policy, Promotion, Request, Survey
from studentcli.rules import SeatedRows, one_by_one
from studentcli.rules.deciding import unread
from studentcli.services.about import Asker
from studentcli.services.batch_options import BatchOptions, BatchResult, Reader, Result, Sink
from studentcli.services.behind import WriteBehind, short_turns
from studentcli.services.bulk import Load, open_load
from studentcli.services.catalog import Saving
from studentcli.services.exclusive import let_writers_on
from studentcli.services.loading import Decided, Deciding
from studentcli.services.operations import Act, Recorder, count_outcomes
from studentcli.services.parts import PartedBatch
from studentcli.services.runs import begin_run, require_finished, same_file
from studentcli.services.transcripts import Found
from studentcli.services.writer import finished_rows

__all__ = ["Batch", "BatchOptions", "BatchResult", "EnrollmentUnit", "Reader", "Result", "Sink"]


FIRST: Final = 2_500
"""Rows of the first chunk: the sooner it is decided, the sooner the database is at work."""


class _Abort(Exception):
    def __init__(self, result: BatchResult) -> None:
        super().__init__()
        self.result = result


class BatchUnit(Protocol):
    """Decides and writes one chunk after the other, inside a session."""

    def chunks(self, reader: Reader, size: int) -> Iterable[Any]:
        """Give what is to be decided, in chunks of about `size` rows."""

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
        load: where its rows go; none for a forecast.
        operation_id: the operation's number, when it has one.
    """

    def __init__(
        self,
        session: Session,
        survey: Survey,
        act: Act,
        options: BatchOptions,
        load: Load | None,
        *,
        operation_id: int | None = None,
    ) -> None:
        self.session = session
        self.act = act
        policy = Policy(
            act.now,
            allow_waitlist=options.allow_waitlist,
            all_or_none=options.all_or_none,
            strict=options.strict,
            planned_at=options.planned_at,
            is_sync=options.sync is not None,
        )
        self.promotions: list[Promotion] = []
        self.kept: dict[str, Any] = {}
        """What the operation keeps beside the totals."""
        self.deciding = Deciding(session, policy, options.term)
        self.recorder = Recorder(session, act, operation_id)
        self.deciding.reads_named = False  # each chunk reads those of its rows
        self.deciding.transcripts.load = load
        self._behind = None if load is None else WriteBehind(session, load)
        self._next: list[Any] = []
        """The items of the chunk after the one that is decided, as far as that is known."""
        self._ahead: Found | None = None
        """What of these was found beside the deciding."""
        self.deciding.lock(survey.wanted)

    def chunks(self, reader: Reader, size: int) -> Iterable[Any]:
        """Give the rows of the file."""
        return self.looking_ahead(reader.chunks(size, first=FIRST))

    def looking_ahead(self, chunks: Iterable[Any]) -> Iterator[Any]:
        """Give chunks, each when the next one is known; none may depend on how one is decided."""
        rest = iter(chunks)
        here = next(rest, None)
        while here is not None:
            following = next(rest, None)
            self._next = [] if following is None else following.items
            yield here
            here = following

    def process(self, items: list[Any]) -> list[Any]:
        """Decide the requests of a chunk, and have written what they change."""
        askers = self._load(items)
        if self._behind is not None:
            self._behind.go()
            self._look_ahead(self._behind)
        whose = iter(askers)
        results: list[Any] = []
        for item in items:
            if isinstance(item, Request | Adds):
                results += self.decide(item, next(whose))
                continue
            results.append(item)
            if not isinstance(item, Agreed):
                self.deciding.facts.events.append(unread(item))
        self.write()
        return results

    def _load(self, items: list[Any]) -> list[Asker]:
        ahead, self._ahead = self._ahead, None
        if ahead is None or self._behind is None:
            return self.deciding.load(_asked(items))
        return self.deciding.take(ahead, ahead.question and self._behind.answer())

    def _look_ahead(self, behind: WriteBehind) -> None:
        """Have read what the next chunk needs, while this one is decided.

        Only students and pairs that are not known yet are read: no decision before is about them.
        """
        if self._next:
            self._ahead = self.deciding.find(_asked(self._next), in_one=True)
            self._next = []
            if self._ahead.question is not None:
                behind.ask(self._ahead.question.put)

    def decide(self, asked: Request | Adds, by: Asker) -> Sequence[Decided]:
        """Decide a request, or rows, whose facts are loaded."""
        return self.deciding.decide_next(asked, by)

    def write(self) -> None:
        """Hand over what was decided; the states stay known: the tables may not hold them yet."""
        facts = self.deciding.facts
        changed, events = facts.take()
        if self._behind is not None:
            self._behind.put(
                finished_rows(
                    self.session.connection(), changed, events, self.recorder.operation_id(),
                    self.act.now,
                )
            )  # fmt: skip

    def count(self, results: list[Any], totals: Counter[str]) -> None:
        """Count outcomes; a row that cannot be read is a refused one."""
        decided = [result for result in results if isinstance(result, Decision | SeatedRows)]
        count_outcomes(decided, totals)
        unread = len(results) - len(decided)
        if unread:
            totals["refused"] += unread

    def finish(self, result: BatchResult) -> None:
        """Write what is left, and the totals."""
        self.deciding.forget()
        if self._behind is not None:
            result.went_online = self._behind.end()
        result.operation_id = self.recorder.finish({**result.totals, **self.kept})
        result.promotions = self.promotions


def _asked(items: list[Any]) -> list[Request | Adds]:
    return [item for item in items if isinstance(item, Request | Adds)]


class RecordUnit:
    """Records: their keys are locked as a whole before the first one is saved."""

    def __init__(
        self, session: Session, kind: RecordKind, survey: Survey, act: Act, options: BatchOptions
    ) -> None:
        self.saving = Saving(session, kind, act, "upsert", options.term)
        self.saving.lock(survey.keys)

    def chunks(self, reader: Reader, size: int) -> Iterable[Any]:
        """Give the rows of the file."""
        return reader.chunks(size)

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
    refused_before: int | None = None
    """The operation of that run, when some of those rows were refused."""
    _trail: audit.Trail | None = None

    @property
    def unasked(self) -> int:
        """How many decisions are made that no row asks for, as far as that is known."""
        return 0

    def run(self, database: Database, *, dry_run: bool = False) -> BatchResult:
        """Carry the file through, or forecast it on a snapshot.

        Returns:
            The totals. With `on_error="abort"` and a refused row nothing is applied: `aborted`
            is set, and an operation with that outcome, without row events, is all that is
            recorded.
        """
        self._require_sensible()
        try:
            with without_collector(), short_turns():
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
        for part in work.chunks(self.reader, self.options.chunk):
            results = work.process(part.items)
            work.count(results, result.totals)
            take(results, part.cells)
            if self._trail is not None and audit.is_on():
                for decision in (r for r in one_by_one(results) if isinstance(r, Decision)):
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
        """Pass the gate, take the locks and load the facts.

        Args:
            session: in a writing transaction that began before the gate, or a forecast's.
            survey: of the file, or of the part of it that is committed in this transaction.
            options: how to import.
            operation_id: the operation, when an earlier part has begun it.
        """
        if survey.kind is None:
            load = self.open_load(session, survey.rows)
            return EnrollmentUnit(
                session, survey, self.act, options, load, operation_id=operation_id
            )
        let_writers_on(session)
        return RecordUnit(session, survey.kind, survey, self.act, options)

    def open_load(self, session: Session, rows: int) -> Load | None:
        """Choose how so many rows are written; a forecast writes none."""
        if session.info["forecast"]:
            return None
        return open_load(session, rows, exclusive=self.options.exclusive)

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

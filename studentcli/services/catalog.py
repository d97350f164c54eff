"""Students, terms and courses: adding, editing, renumbering, cancelling, one by one and by file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.models import Base, CatalogEvent, Course, Student, Term
from studentcli.records import COURSE, STUDENT, RecordKind, RecordRow, default_of
from studentcli.requests import Consequences, Policy, Promotion, Refusal
from studentcli.services.consistency import Consistency
from studentcli.services.loose_ends import LooseEnds
from studentcli.services.mending import replace_unreadable
from studentcli.services.near import suggest_student
from studentcli.services.numbering import numbered
from studentcli.services.operations import Act, Recorder
from studentcli.services.queues import (
    QueueRun,
    courses_moved_by_courses,
    courses_moved_by_students,
    courses_moved_by_terms,
    lock_queues,
)
from studentcli.services.resolve import (
    current_term,
    is_sqlite,
    load_terms,
)
from studentcli.services.views import count_seats

Mode = Literal["add", "edit", "upsert"]
Key = tuple[str, ...]


@dataclass(slots=True)
class RecordOutcome:
    """What came of one record: created, changed, unchanged or refused."""

    row: RecordRow
    result: str
    key: tuple[str, ...]
    record_id: int | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)
    refusal: Refusal | None = None


@dataclass
class Saved(Consequences):
    """What came of saving records, in the order given, and whom the waitlists promoted.

    `taken` says of one course whose capacity was changed how many seats of it are taken now;
    `warnings` what was taken as written and does not fit what is around it.
    """

    outcomes: list[RecordOutcome]
    taken: int | None = None
    warnings: list[str] = field(default_factory=list)

    def require(self) -> "Saved":
        """Give the outcomes back when nothing was refused, else raise the first refusal."""
        for outcome in self.outcomes:
            if outcome.refusal is not None:
                raise outcome.refusal.error()
        return self


class Saving:
    """Saves records of one kind within one operation.

    Args:
        session: from `Database.write`.
        kind: which kind of record.
        act: the operation.
        mode: `add` refuses existing keys that say something else, `edit` refuses unknown ones.
        term: the term of courses that name none.
    """

    def __init__(
        self, session: Session, kind: RecordKind, act: Act, mode: Mode, term: str | None = None
    ) -> None:
        self.session = session
        self.kind = kind
        self.act = act
        self.mode = mode
        self.term = term
        self.table = Base.metadata.tables[kind.plural]
        self.recorder = Recorder(session, act)
        self.terms = {fact.code: fact for fact in load_terms(session)}
        self.consistency = Consistency(session, kind, self.terms)
        self.loose_ends = LooseEnds(session, kind)
        self._queue_run: QueueRun | None = None
        self._default_term: str | Refusal | None = None
        self._foreseen: dict[Key, dict[str, Any]] = {}
        self.unreadable: dict[str, str] = {}
        """Of the one record that is edited: what `mending` has replaced, column → text."""

    # ── locks ──

    def lock(self, keys: Iterable[tuple[str, ...]]) -> None:
        """Lock what the rules read about these records, and the queues that they can move."""
        keys = list(keys)
        session, act = self.session, self.act
        names = [key[0] for key in keys]
        student_ids: set[int] = set()
        if self.kind is COURSE:
            full = [key for key in map(self._full_key, keys) if not isinstance(key, Refusal)]
            ids = {row["id"] for row in self._existing(full).values()}
            course_ids = courses_moved_by_courses(session, ids)
        elif self.kind is STUDENT:
            listed = self._listed(Student.student_number, names)
            student_ids = set(session.scalars(select(Student.id).where(listed)))
            course_ids = courses_moved_by_students(session, student_ids)
        else:
            self._lock_terms(names)
            course_ids = courses_moved_by_terms(session, names)
        self._queue_run = lock_queues(session, act, course_ids, student_ids)

    def _lock_terms(self, codes: list[str]) -> None:
        """Lock terms by id: the check of a calendar reads both of its ends."""
        query = select(Term.id).where(self._listed(Term.code, codes)).order_by(Term.id)
        if not self.recorder.is_forecast:
            self.session.execute(query.with_for_update(key_share=True))

    def _listed(self, column: Any, values: Iterable[Any]) -> Any:
        return listed_in(column, list(values), is_sqlite=is_sqlite(self.session))

    # ── saving ──

    def save(self, rows: list[RecordRow]) -> list[RecordOutcome]:
        """Save records whose keys are locked; gives an outcome for each.

        A key may come again: the later record sees what the earlier one did.
        """
        outcomes: list[RecordOutcome] = []
        run: list[tuple[RecordRow, Key | Refusal]] = []
        keys: set[Key] = set()
        for row in rows:
            key = self._full_key(row.key)
            if key in keys:
                outcomes += self._save(run)
                run, keys = [], set()
            run.append((row, key))
            if not isinstance(key, Refusal):
                keys.add(key)
        return outcomes + self._save(run)

    def _save(self, run: list[tuple[RecordRow, Key | Refusal]]) -> list[RecordOutcome]:
        """Save records whose keys are all different."""
        existing = self._existing([key for _, key in run if not isinstance(key, Refusal)])
        outcomes = [
            RecordOutcome(row, "refused", row.key, refusal=key)
            if isinstance(key, Refusal)
            else self._decide(row, key, existing.get(key))
            for row, key in run
        ]
        written = [o for o in outcomes if o.result in {"created", "changed"}]
        for outcome in written:
            self._refresh_facts(outcome)
            before = existing.get(outcome.key)
            self.loose_ends.see(outcome.key, outcome.record_id, before, outcome.changes)
        if self.recorder.is_forecast:
            for outcome in written:
                before = existing.get(outcome.key) or {"id": None}
                self._foreseen[outcome.key] = {**before, **self._values(outcome)}
        else:
            self._insert([o for o in written if o.result == "created"])
            self._update([o for o in written if o.result == "changed"])
            self._record(written)
        return outcomes

    def finish(self, totals: dict[str, int]) -> tuple[int | None, list[Promotion]]:
        """Run the queues that moved, and close the operation."""
        operation_id = None if self.recorder.is_forecast else self.recorder.operation_id()
        promotions = self._queue_run.finish(operation_id) if self._queue_run else []
        if promotions:
            totals = {**totals, "promoted": len(promotions)}
        return self.recorder.finish(totals), promotions

    def _full_key(self, key: tuple[str, ...]) -> tuple[str, ...] | Refusal:
        """Give a course's key its term; other keys stay as they are."""
        if self.kind is not COURSE:
            return key
        term = key[0] or self._operation_term()
        if isinstance(term, Refusal):
            return term
        if term not in self.terms:
            known = ", ".join(self.terms)
            return Refusal("unknown-term", f"there is no term {term}; there are {known}")
        return (term, *key[1:])

    def _operation_term(self) -> str | Refusal:
        if self._default_term is None:
            found = current_term(self.terms.values(), Policy(self.act.now))
            named = found if isinstance(found, Refusal) else found.code
            self._default_term = self.term or named
        return self._default_term

    def _existing(self, keys: list[Key]) -> dict[Key, Any]:
        """Load the records of keys, by key; a forecast sees what it would have written."""
        found = self._stored(keys)
        if self.unreadable:
            found = {key: {**row, **self.unreadable} for key, row in found.items()}
        if self._foreseen:
            found.update((key, self._foreseen[key]) for key in keys if key in self._foreseen)
        return found

    def _stored(self, keys: list[Key]) -> dict[Key, Any]:
        columns = list(self.table.c)
        if self.kind is COURSE:
            codes = self._listed(Course.code, {key[1] for key in keys})
            query = select(Term.code.label("term_code"), *columns).join(Course.term).where(codes)
            return {
                (row["term_code"], row["code"], row["section"]): row
                for row in self.session.execute(query).mappings()
            }
        name = self.table.c["student_number" if self.kind is STUDENT else "code"]
        query = select(*columns).where(self._listed(name, {key[0] for key in keys}))
        return {(row[name.name],): row for row in self.session.execute(query).mappings()}

    def _decide(self, row: RecordRow, key: tuple[str, ...], before: Any) -> RecordOutcome:
        outcome = RecordOutcome(row, "refused", key)
        name = "/".join(key[:2]) + (f"-{key[2]}" if len(key) > 2 else "")
        if before is None:
            if self.mode == "edit":
                outcome.refusal = Refusal(
                    f"unknown-{self.kind.name}", f"there is no {self.kind.name} {name}"
                )
                return outcome
            outcome.changes = {
                f.name: [None, row.given.get(f.name, default_of(f, key))] for f in self.kind.fields
            }
            outcome.result = "created"
        else:
            outcome.record_id = before["id"]
            outcome.changes = {
                f.name: [before[f.attribute], row.given[f.name]]
                for f in self.kind.fields
                if f.name in row.given and row.given[f.name] != before[f.attribute]
            }
            outcome.result = "changed" if outcome.changes else "unchanged"
        outcome.refusal = self._refuse(outcome, before, name)
        if outcome.refusal is not None:
            outcome.result = "refused"
        return outcome

    def _refuse(self, outcome: RecordOutcome, before: Any, name: str) -> Refusal | None:
        kind = self.kind
        if self.mode == "add" and outcome.result == "changed":
            differing = ", ".join(outcome.changes)
            return Refusal(
                "already-exists",
                f"{kind.name} {name} exists with another {differing}",
                f"studentcli {kind.name} edit {name} changes it",
            )
        return self.consistency.refuse(outcome.key, outcome.record_id, before, outcome.changes)

    def _refresh_facts(self, outcome: RecordOutcome) -> None:
        """Let the queues see the new values, also in a forecast that writes none."""
        if outcome.result == "changed" and outcome.record_id is not None and self._queue_run:
            changes = {self.kind.field(n): new for n, (_, new) in outcome.changes.items()}
            self._queue_run.see(self.kind, outcome.record_id, changes)

    # ── writing ──

    def _values(self, outcome: RecordOutcome) -> dict[str, Any]:
        return {self.kind.field(n).attribute: new for n, (_, new) in outcome.changes.items()}

    def _insert(self, created: list[RecordOutcome]) -> None:
        if not created:
            return
        rows = []
        for outcome in created:
            row = self._values(outcome)
            if self.kind is COURSE:
                term, row["code"], row["section"] = outcome.key
                row["term_id"] = self.terms[term].term_id
            elif self.kind is STUDENT:
                row["student_number"], row["created_at"] = outcome.key[0], self.act.now
            else:
                row["code"] = outcome.key[0]
            rows.append(row)
        statement = insert(self.table).returning(self.table.c.id, sort_by_parameter_order=True)
        rows = numbered(self.session, self.kind.name, rows)
        ids = self.session.connection().execute(statement, rows).scalars().all()
        for outcome, record_id in zip(created, ids, strict=True):
            outcome.record_id = record_id

    def _update(self, changed: list[RecordOutcome]) -> None:
        """Update by groups of the same fields, each one statement."""
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for outcome in changed:
            row = self._values(outcome)
            groups.setdefault(tuple(row), []).append({**row, "record_id": outcome.record_id})
        for names, rows in groups.items():
            statement = (
                update(self.table)
                .where(self.table.c.id == bindparam("record_id"))
                .values({name: bindparam(name) for name in names})
            )
            self.session.connection().execute(statement, rows)

    def _record(self, outcomes: list[RecordOutcome]) -> None:
        if not outcomes:
            return
        operation_id = self.recorder.operation_id()
        self.session.execute(
            insert(CatalogEvent),
            [
                {
                    "operation_id": operation_id,
                    "line": outcome.row.line,
                    "kind": self.kind.name,
                    "record_id": outcome.record_id,
                    "action": outcome.result,
                    "changes": {
                        name: [_as_text(old), _as_text(new)]
                        for name, (old, new) in outcome.changes.items()
                        if old is not None or new is not None
                    },
                    "recorded_at": self.act.now,
                }
                for outcome in outcomes
            ],
        )


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def save_record(
    session: Session,
    kind: RecordKind,
    row: RecordRow,
    act: Act,
    *,
    mode: Mode,
    term: str | None = None,
) -> Saved:
    """Add or edit one record: a batch of one.

    Returns:
        One outcome; an unchanged record is success. A refusal is an outcome, not an exception.
    """
    unreadable = replace_unreadable(session, kind, row) if mode == "edit" else {}
    saving = Saving(session, kind, act, mode, term)
    saving.unreadable = unreadable
    warnings: list[str] = []
    try:
        saving.lock([row.key])
    except errors.DatabaseDamaged:
        if not unreadable.keys() >= {kind.field(name).attribute for name in row.given}:
            raise
        # Other texts are damaged, too, and each is mended by its own edit; nobody moves up by it.
        warnings.append(
            "nobody moves up by this, for other rules cannot be read;"
            " studentcli waitlist run --all, once db check finds no damage"
        )
    outcomes = saving.save([row])
    operation_id, promotions = saving.finish({outcomes[0].result: 1})
    refusal = outcomes[0].refusal
    if refusal is not None and refusal.code == "unknown-student":
        outcomes[0].refusal = suggest_student(session, refusal, row.key[0])
    saved = Saved(
        outcomes,
        operation_id=operation_id,
        promotions=promotions,
        warnings=[*warnings, *saving.loose_ends.tell()],
    )
    if outcomes[0].result == "changed" and "capacity" in outcomes[0].changes:
        saved.taken = _seats_taken(session, outcomes[0].record_id, promotions)
    return saved


def _seats_taken(session: Session, course_id: int | None, promotions: list[Promotion]) -> int:
    """Count the seats taken, with those that a forecast has written nobody into."""
    taken = 0 if course_id is None else count_seats(session, course_id)
    if session.info["forecast"]:
        taken += sum(promotion.course_id == course_id for promotion in promotions)
    return taken

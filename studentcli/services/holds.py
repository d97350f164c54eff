"""Holds: what blocks a student's registration, as records that somebody places and lifts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.facts import HoldFact
from studentcli.models import Hold, Student
from studentcli.requests import Consequences, Policy
from studentcli.services.loading import Deciding
from studentcli.services.numbering import numbered
from studentcli.services.operations import Act, Recorder
from studentcli.services.queues import lock_queues
from studentcli.services.resolve import find_student, is_sqlite, load_terms
from studentcli.services.views import Row

SAID = ("kind", "blocks", "reason", "from_on", "until_on")
"""What a hold says; events keep it, for they outlive what they describe."""


@dataclass
class Holds(Consequences):
    """What came of placing or lifting: the holds as `list_holds` shows them, with a `result`."""

    rows: list[Row]


def todays(session: Session, policy: Policy) -> set[date]:
    """Give the dates that are today somewhere: a hold counts in every term, by its own zone."""
    zones = {term.time_zone for term in load_terms(session)}
    return {policy.today(zone) for zone in zones or {"UTC"}}


# ── placing ──────────────────────────────────────────────────────────────────────────────


def place_hold(
    session: Session,
    student: str,
    act: Act,
    *,
    kind: str,
    blocks: str,
    reason: str,
    from_on: date | None = None,
    until_on: date | None = None,
) -> Holds:
    """Place a hold on a student; placing the same once more is unchanged.

    Nobody gets a seat by it, and nobody loses one: no queue is run.

    Args:
        session: from `Database.write`.
        student: the student number.
        act: who places it.
        kind: whose hold it is: `registrar`, `library`.
        blocks: `add`, or `add-drop`.
        reason: why.
        from_on: the first day, in the zone of each term; today when left out, where several are
            today the earlier: it blocks everywhere from now on.
        until_on: the last day; until it is lifted when left out.

    Returns:
        The one hold, placed or unchanged.

    Raises:
        errors.UnknownStudent: with near numbers.
        errors.BadValue: when it would end before it begins.
    """
    student_id = find_student(session, student).student_id
    policy = Policy(act.now)
    first = from_on or min(todays(session, policy))
    if until_on is not None and until_on < first:
        raise errors.BadValue(
            f"a hold until {until_on} would be over before it begins on {first}",
            hint="give a later --until, or leave it out: the hold then lasts until it is lifted",
        )
    Deciding(session, policy).lock_students((), [student_id])
    said = dict(zip(SAID, (kind, blocks, reason, first, until_on), strict=True))
    same = _same_hold(session, student_id, said, is_dated=from_on is not None)
    recorder = Recorder(session, act)
    if same is None:
        row, result = _write_placed(recorder, student_id, student, said), "placed"
    else:
        row, result = _rows(session, policy, Hold.id == same)[0], "unchanged"
    return Holds([{**row, "result": result}], operation_id=recorder.finish({result: 1}))


def _write_placed(recorder: Recorder, student_id: int, student: str, said: Row) -> Row:
    """Write a hold, unless this is a forecast; gives its row."""
    act = recorder.act
    placed = {**said, "placed_by": act.actor, "placed_at": act.now}
    hold_id = None
    if not recorder.is_forecast:
        statement = insert(Hold).returning(Hold.id)
        new = numbered(recorder.session, "hold", [{**placed, "student_id": student_id}])
        hold_id = recorder.session.scalars(statement, new[0]).one()
        changes = {name: [None, text] for name, text in _told(student, said).items()}
        recorder.record_change("hold", hold_id, "placed", changes)
    on = todays(recorder.session, Policy(act.now))
    return _shown({"hold": hold_id, "student": student, **placed}, on)


def _same_hold(
    session: Session, student_id: int, said: dict[str, Any], *, is_dated: bool
) -> int | None:
    """Find a hold that says the same; without a date one that has begun already is the same."""
    first = Hold.from_on == said["from_on"] if is_dated else Hold.from_on <= said["from_on"]
    query = select(Hold.id).where(
        Hold.student_id == student_id,
        Hold.lifted_at.is_(None),
        *(getattr(Hold, name) == said[name] for name in ("kind", "blocks", "reason")),
        Hold.until_on.is_not_distinct_from(said["until_on"]),
        first,
    )
    return session.scalars(query.order_by(Hold.id).limit(1)).first()


def _told(student: str, said: Any) -> dict[str, str | None]:
    """Write what a hold says as text, for its events."""
    told = {name: said[name] for name in SAID}
    return {
        "student": student,
        **{name: None if value is None else str(value) for name, value in told.items()},
    }


# ── lifting ──────────────────────────────────────────────────────────────────────────────


def lift_holds(session: Session, hold_ids: Sequence[int], act: Act) -> Holds:
    """Lift holds as one operation, and run the queues in which their students wait.

    Args:
        session: from `Database.write`.
        hold_ids: the numbers of the holds; one that was lifted before is unchanged.
        act: who lifts them, and why.

    Returns:
        The holds in the order asked, lifted or unchanged, and whom the queues gave a seat.

    Raises:
        errors.UnknownHold: when there is no hold of a number; then none is lifted.
    """
    hold_ids = list(dict.fromkeys(hold_ids))
    students = _students_of(session, hold_ids)
    run = lock_queues(session, act, set(), set(students.values()))
    # Read once the students are locked: somebody else may have lifted one meanwhile.
    listed = listed_in(Hold.id, hold_ids, is_sqlite=is_sqlite(session))
    found = {row["hold"]: row for row in _rows(session, Policy(act.now), listed)}
    lifted = [found[hold_id] for hold_id in hold_ids if found[hold_id]["state"] != "lifted"]
    for hold in lifted:
        run.lift(students[hold["hold"]], {hold["hold"]})
    recorder = Recorder(session, act)
    operation_id = None if recorder.is_forecast else _write_lifted(recorder, lifted)
    promotions = run.finish(operation_id)
    unchanged = len(hold_ids) - len(lifted)
    counts = {"lifted": len(lifted), "unchanged": unchanged, "promoted": len(promotions)}
    recorder.finish({name: count for name, count in counts.items() if count})
    for row in found.values():
        row["result"] = "unchanged"
    for hold in lifted:
        hold.update(state="lifted", result="lifted", lifted_by=act.actor, lifted_at=act.now)
    rows = [found[hold_id] for hold_id in hold_ids]
    return Holds(rows, operation_id=operation_id, promotions=promotions)


def _students_of(session: Session, hold_ids: Sequence[int]) -> dict[int, int]:
    """Find the students of holds, by the hold's number.

    Raises:
        errors.UnknownHold: when there is no hold of a number.
    """
    listed = listed_in(Hold.id, hold_ids, is_sqlite=is_sqlite(session))
    found = {
        row[0]: row[1] for row in session.execute(select(Hold.id, Hold.student_id).where(listed))
    }
    for hold_id in hold_ids:
        if hold_id not in found:
            raise errors.UnknownHold(f"there is no hold {hold_id}")
    return found


def _write_lifted(recorder: Recorder, holds: list[Row]) -> int:
    act, operation_id = recorder.act, recorder.operation_id()
    listed = listed_in(Hold.id, [h["hold"] for h in holds], is_sqlite=is_sqlite(recorder.session))
    lifted = {"lifted_by": act.actor, "lifted_at": act.now}
    recorder.session.execute(update(Hold).where(listed).values(lifted))
    for hold in holds:
        changes = {name: [text, None] for name, text in _told(hold["student"], hold).items()}
        recorder.record_change("hold", hold["hold"], "lifted", changes)
    return operation_id


# ── looking ──────────────────────────────────────────────────────────────────────────────


def list_holds(
    session: Session, policy: Policy, *, student: str | None = None, everything: bool = False
) -> list[Row]:
    """List holds by student number, then in the order of placing.

    Args:
        session: any.
        policy: for today's date.
        student: only of this student.
        everything: also those that are over or were lifted.

    Returns:
        Rows whose `state` is `active`, `upcoming`, `over` or `lifted`. A hold is active while it
        blocks in the zone of any term.

    Raises:
        errors.UnknownStudent: with near numbers.
    """
    conditions: list[Any] = [] if everything else [Hold.lifted_at.is_(None)]
    if student is not None:
        conditions.append(Hold.student_id == find_student(session, student).student_id)
    rows = _rows(session, policy, *conditions)
    return [row for row in rows if everything or row["state"] != "over"]


def _rows(session: Session, policy: Policy, *conditions: Any) -> list[Row]:
    query = (
        select(
            Hold.id.label("hold"), Student.student_number.label("student"), Hold.kind, Hold.blocks,
            Hold.reason, Hold.from_on, Hold.until_on, Hold.placed_by, Hold.placed_at,
            Hold.lifted_by, Hold.lifted_at,
        )
        .join(Student, Student.id == Hold.student_id)
        .where(*conditions)
        .order_by(Student.student_number, Hold.id)
    )  # fmt: skip
    on = todays(session, policy)
    return [_shown(dict(row), on) for row in session.execute(query).mappings()]


def _shown(row: Row, on: set[date]) -> Row:
    """Say of a hold whether it blocks."""
    if row.get("lifted_at") is not None:
        return {**row, "state": "lifted"}
    fact = HoldFact(0, row["kind"], row["blocks"], row["reason"], row["from_on"], row["until_on"])
    if any(map(fact.is_active, on)):
        return {**row, "state": "active"}
    return {**row, "state": "upcoming" if row["from_on"] > max(on) else "over"}

"""Overrides: permission to break one rule, for one student in one course, as granted records.

`overrides_ledger` lists them beside those that were given in one step with a change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.facts import CourseFact, Grant, StudentFact
from studentcli.models import Override
from studentcli.requests import Consequences, Policy
from studentcli.rules import require_overridable
from studentcli.services.loading import Deciding
from studentcli.services.numbering import numbered
from studentcli.services.operations import Act, Recorder
from studentcli.services.overrides_ledger import granted_rows
from studentcli.services.queues import lock_queues
from studentcli.services.resolve import find_course, find_student, is_sqlite
from studentcli.services.views import Row


@dataclass
class Overrides(Consequences):
    """What came of granting or revoking: as `list_overrides` shows them, with a `result`.

    `replaced` holds the numbers of the overrides that a new last day has replaced.
    """

    rows: list[Row]
    replaced: tuple[int, ...] = ()


# ── granting ─────────────────────────────────────────────────────────────────────────────


def grant_override(
    session: Session,
    student: str,
    course: str,
    act: Act,
    *,
    rule: str,
    reason: str,
    until_on: date | None = None,
    term: str | None = None,
) -> Overrides:
    """Grant an override, and run the queues in which the student waits.

    The same rule with the same last day is unchanged; with another last day the new override
    replaces the old one.

    Args:
        session: from `Database.write`.
        student: the student number.
        course: the course as written.
        act: who grants it.
        rule: one of `rules.OVERRIDABLE`.
        reason: why.
        until_on: the last day, in the zone of the course's term; until revoked when left out.
        term: the term of a course word that names none.

    Returns:
        The one override, granted or unchanged, and whom the queues gave a seat.

    Raises:
        errors.NotFound: for a word that names nothing, or several things.
        errors.BadValue: for a rule that cannot be broken, or a last day that is over.
    """
    require_overridable(rule)
    policy = Policy(act.now)
    who, where = find_student(session, student), find_course(session, course, policy, term)
    today = policy.today(where.term.time_zone)
    _require_to_come(until_on, today)
    said = {"rule": rule, "reason": reason, "until_on": until_on}
    return _grant(Recorder(session, act), who, where, said, today)


def _grant(
    recorder: Recorder, who: StudentFact, where: CourseFact, said: Row, today: date
) -> Overrides:
    session, act, policy = recorder.session, recorder.act, Policy(recorder.act.now)
    run = lock_queues(session, act, {where.course_id}, {who.student_id})
    active = _active(session, who, where, said["rule"], today)
    same = [override_id for override_id, until in active.items() if until == said["until_on"]]
    if same:
        row = {**granted_rows(session, policy, Override.id == same[0])[0], "result": "unchanged"}
        return Overrides([row], operation_id=recorder.finish({"unchanged": 1}))
    row = _write_granted(recorder, who, where, said, replaced=list(active))
    grant = Grant(row.get("override", 0), said["rule"], said["until_on"])
    run.grant(who.student_id, where.course_id, grant)
    promotions = run.finish(None if recorder.is_forecast else recorder.operation_id())
    operation_id = _finish(recorder, granted=1, revoked=len(active), promoted=len(promotions))
    if promotions and operation_id is not None:
        row = granted_rows(session, policy, Override.id == row["override"])[0]  # by now used
    row["result"] = "granted"
    return Overrides([row], tuple(active), operation_id=operation_id, promotions=promotions)


def _finish(recorder: Recorder, **counts: int) -> int | None:
    """Record the counts that are none of nothing; gives the operation's number."""
    return recorder.finish({name: count for name, count in counts.items() if count})


def _require_to_come(until_on: date | None, today: date) -> None:
    if until_on is not None and until_on < today:
        raise errors.BadValue(
            f"an override until {until_on} would be over already: today is {today}",
            hint="give a later --until, or leave it out: it then counts until it is revoked",
        )


def _active(
    session: Session, who: StudentFact, where: CourseFact, rule: str, today: date
) -> dict[int, date | None]:
    """Find the overrides of a rule that count: number → last day."""
    query = select(Override.id, Override.until_on).where(
        Override.student_id == who.student_id,
        Override.course_id == where.course_id,
        Override.rule == rule,
        Override.revoked_at.is_(None),
    )
    found = {row[0]: row[1] for row in session.execute(query.order_by(Override.id))}
    return {key: until for key, until in found.items() if Grant(key, rule, until).is_active(today)}


def _write_granted(
    recorder: Recorder, who: StudentFact, where: CourseFact, said: Row, *, replaced: list[int]
) -> Row:
    """Write an override and take back those that it replaces, unless this is a forecast."""
    act, session = recorder.act, recorder.session
    by = {"granted_by": act.actor, "granted_at": act.now}
    row = {**said, **by, "student": who.number, "course": where.ref, "state": "active"}
    if recorder.is_forecast:
        return row
    if replaced:
        listed = listed_in(Override.id, replaced, is_sqlite=is_sqlite(session))
        _write_revoked(recorder, granted_rows(session, Policy(act.now), listed))
    key = {"student_id": who.student_id, "course_id": where.course_id}
    statement = insert(Override).returning(Override.id)
    new = numbered(session, "override", [{**key, **said, **by}])
    row["override"] = session.scalars(statement, new[0]).one()
    changes = {name: [None, text] for name, text in _told(row).items()}
    recorder.record_change("override", row["override"], "granted", changes)
    return row


def _told(row: Row) -> dict[str, str | None]:
    """Write what an override says as text, for its events: they outlive what they describe."""
    names = ("student", "course", "rule", "reason", "until_on")
    return {name: None if row[name] is None else str(row[name]) for name in names}


# ── revoking ─────────────────────────────────────────────────────────────────────────────


def revoke_overrides(session: Session, override_ids: Sequence[int], act: Act) -> Overrides:
    """Revoke overrides as one operation; nobody loses a seat that was taken by one.

    Args:
        session: from `Database.write`.
        override_ids: the numbers of the overrides; one that was revoked before is unchanged.
        act: who revokes them, and why.

    Returns:
        The overrides in the order asked, revoked or unchanged.

    Raises:
        errors.UnknownOverride: when there is no override of a number; then none is revoked.
    """
    override_ids = list(dict.fromkeys(override_ids))
    listed: Any = listed_in(Override.id, override_ids, is_sqlite=is_sqlite(session))
    query = select(Override.id, Override.student_id).where(listed)
    students = {row[0]: row[1] for row in session.execute(query)}
    for override_id in override_ids:
        if override_id not in students:
            raise errors.UnknownOverride(f"there is no override {override_id}")
    policy = Policy(act.now)
    Deciding(session, policy).lock_students((), set(students.values()))
    found = {row["override"]: row for row in granted_rows(session, policy, listed)}
    revoked = [found[key] for key in override_ids if found[key]["state"] != "revoked"]
    recorder = Recorder(session, act)
    if not recorder.is_forecast:
        _write_revoked(recorder, revoked)
    unchanged = len(override_ids) - len(revoked)
    operation_id = _finish(recorder, revoked=len(revoked), unchanged=unchanged)
    for row in found.values():
        row["result"] = "unchanged"
    for row in revoked:
        row.update(state="revoked", result="revoked", revoked_by=act.actor, revoked_at=act.now)
    return Overrides([found[key] for key in override_ids], operation_id=operation_id)


def _write_revoked(recorder: Recorder, overrides: list[Row]) -> None:
    act = recorder.act
    ids = [row["override"] for row in overrides]
    recorder.session.execute(
        update(Override)
        .where(listed_in(Override.id, ids, is_sqlite=is_sqlite(recorder.session)))
        .values(revoked_by=act.actor, revoked_at=act.now)
    )
    for row in overrides:
        changes = {name: [text, None] for name, text in _told(row).items()}
        recorder.record_change("override", row["override"], "revoked", changes)

"""The ledger of overrides: who allowed what, when, why, until when, and whether it was used.

Two kinds of entries: overrides that were granted as records, and those that were given in one
step with a change (`enroll … --override RULE`), which only its event knows.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import Grant
from studentcli.models import Course, EnrollmentEvent, Operation, Override, Student, Term
from studentcli.requests import Policy
from studentcli.services.resolve import find_course, find_student, is_sqlite
from studentcli.services.views import Row, require_term

REF: Final = Term.code + "/" + Course.code + "-" + Course.section
CHUNK: Final = 10_000


class _Use(NamedTuple):
    """An event that broke rules: which ones, why, and the grants that it used."""

    operation_id: int
    student: str
    course: str
    actor: str
    recorded_at: datetime
    rules: tuple[str, ...]
    granted: tuple[int, ...]
    reason: str | None


def list_overrides(
    session: Session,
    policy: Policy,
    *,
    student: str | None = None,
    course: str | None = None,
    term: str | None = None,
) -> list[Row]:
    """List the ledger in the order of granting.

    A student or a course bounds what is read. Without one, every event is looked at once: measured
    0.3 s for 1,000,000 of them on SQLite; no index is kept for that.

    Args:
        session: any.
        policy: for today's date.
        student: only of this student.
        course: only for this course, as written.
        term: only of this term's courses; a course word means one of this term.

    Returns:
        Rows with `override` (its number; none for one given in one step), who granted which
        `rule` to whom, `state` (`active`, `over`, `revoked`, or `at once` for one step), and
        `used_by`: the operations that used it, in their order.

    Raises:
        errors.UnknownStudent, errors.UnknownCourse, errors.UnknownTerm: for what is not there.
    """
    require_term(session, term)
    wanted: dict[str, int] = {}
    if student is not None:
        wanted["student_id"] = find_student(session, student).student_id
    if course is not None:
        wanted["course_id"] = find_course(session, course, policy, term).course_id

    def about(table: Any) -> list[Any]:
        named = [getattr(table, name) == value for name, value in wanted.items()]
        return named if term is None or course is not None else [*named, Term.code == term]

    at_once = _at_once(session, _uses(session, *about(EnrollmentEvent)))
    found = [*granted_rows(session, policy, *about(Override)), *at_once]
    return sorted(found, key=lambda row: row["granted_at"])  # stable: else in the order of numbers


def granted_rows(session: Session, policy: Policy, *conditions: Any) -> list[Row]:
    """List the granted overrides that fulfil conditions, by number, as rows of the ledger."""
    query = (
        select(
            Override.id.label("override"), Student.student_number.label("student"),
            REF.label("course"), Override.rule, Override.reason, Override.until_on,
            Override.granted_by, Override.granted_at, Override.revoked_by, Override.revoked_at,
            Term.time_zone, Override.student_id,
        )
        .join(Student, Student.id == Override.student_id)
        .join(Course, Course.id == Override.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(*conditions)
        .order_by(Override.id)
    )  # fmt: skip
    rows = [dict(row) for row in session.execute(query).mappings()]
    # By student: what a swap gives up is left by an override that the new course's event names.
    students = {row["student_id"] for row in rows}
    of_them = listed_in(EnrollmentEvent.student_id, students, is_sqlite=is_sqlite(session))
    used: dict[int, list[int]] = {}
    for use in _uses(session, of_them):
        for override_id in use.granted:
            used.setdefault(override_id, []).append(use.operation_id)
    for row in rows:
        grant = Grant(row["override"], row["rule"], row["until_on"])
        state = "active" if grant.is_active(policy.today(row["time_zone"])) else "over"
        row["state"] = state if row["revoked_at"] is None else "revoked"
        row["used_by"] = ", ".join(map(str, dict.fromkeys(used.get(row["override"], ())))) or None
    return rows


def _uses(session: Session, *conditions: Any) -> list[_Use]:
    """Read the events that broke rules, in their order."""
    event = EnrollmentEvent
    query = (
        select(
            event.operation_id, Student.student_number, REF, Operation.actor, event.recorded_at,
            event.detail,
        )
        .join(Operation, Operation.id == event.operation_id)
        .join(Student, Student.id == event.student_id)
        .join(Course, Course.id == event.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(event.detail.like('%"overrides"%'), Operation.undone_by.is_(None), *conditions)
        .order_by(event.id)
    )  # fmt: skip
    found = []
    streamed = session.execute(query, execution_options={"yield_per": CHUNK})
    for operation_id, student, course, actor, at, detail in streamed:
        said = json.loads(detail or "{}")
        rules, granted = tuple(said.get("overrides", ())), tuple(said.get("granted", ()))
        reason = said.get("reason")
        found.append(_Use(operation_id, student, course, actor, at, rules, granted, reason))
    return found


def _at_once(session: Session, uses: list[_Use]) -> Iterator[Row]:
    """Give the overrides of one step: the rules that were broken without a grant."""
    used = {override_id for use in uses for override_id in use.granted}
    listed = listed_in(Override.id, used, is_sqlite=is_sqlite(session))
    query = select(Override.id, Override.rule).where(listed)
    rules = {row[0]: row[1] for row in session.execute(query)}
    for use in uses:
        granted = {rules.get(override_id) for override_id in use.granted}
        for rule in use.rules:
            if rule not in granted:
                yield {
                    "student": use.student,
                    "course": use.course,
                    "rule": rule,
                    "reason": use.reason,
                    "granted_by": use.actor,
                    "granted_at": use.recorded_at,
                    "state": "at once",
                    "used_by": str(use.operation_id),
                }

"""Judging one change whose student and course are known, and making it."""

import json
from typing import Final, Protocol

from studentcli.facts import EnrollmentFact, Event, Facts, Move
from studentcli.requests import Outcome, Policy, Refusal
from studentcli.rules.book import (
    ALWAYS,
    CLEAR,
    FOR_A_PLACE,
    FOR_A_SEAT,
    LEAVING,
    OVERRIDABLE,
    Verdict,
    judge,
    weigh,
)
from studentcli.rules.case import Case
from studentcli.rules.placing import Place, place_for
from studentcli.rules.queue import detail_of, give_up, judge_given_up
from studentcli.rules.record import corequisite_is_left
from studentcli.rules.transitions import (
    DECIDE,
    UNCHANGED,
    grade_refusal,
    state_refusal,
    verdict_of,
)

UNREAD: Final = "unread"
"""The action of an event about a row that could not be read."""


def decide_change(case: Case, facts: Facts) -> Outcome:
    """Judge one change, and make it when nothing forbids it."""
    change, student, course, enrollment, on, policy = case[:6]
    outcome = Outcome(
        change, student.number, course.ref,
        student_id=student.student_id, course_id=course.course_id, effective_on=on,
    )  # fmt: skip
    if on > policy.today(course.term.time_zone):
        return refuse(outcome, facts, [Refusal("bad-value", f"{on} is a date in the future")])
    verdict = verdict_of(case)
    if verdict == UNCHANGED or _is_over(case, verdict):
        return _unchanged(outcome, case) if verdict == UNCHANGED else _left_alone(outcome, case)
    if change.effective_on is not None and enrollment is not None:
        if (change.action, on, change.grade) in enrollment.recorded:
            return _unchanged(outcome, case)
        if on < enrollment.changed_on:
            return _superseded(outcome, enrollment, facts, policy)
    if verdict == DECIDE:
        return _add(outcome, case, facts)
    return _leave(outcome, case, verdict, facts)


def judge_add(case: Case, facts: Facts) -> tuple[Place, Verdict]:
    """Judge an add by every rule: where it leads, and what stands against it."""
    always, seat = judge(ALWAYS, case), judge(FOR_A_SEAT, case)
    place = place_for(case, facts, seat)
    verdict = always
    if place.status != "waitlisted":
        verdict += seat
    elif not place.at_once:
        verdict += judge(FOR_A_PLACE, case)
    if case.given_up is not None:
        verdict += judge_given_up(case)
    if place.beyond is not None:
        verdict += Verdict(cleared=frozenset({place.beyond}))
    if place.refusal is not None:
        verdict += Verdict((place.refusal,))
    return place, verdict


def _add(outcome: Outcome, case: Case, facts: Facts) -> Outcome:
    change, student, course, enrollment, on = case[:5]
    place, verdict = judge_add(case, facts)
    old = case.given_up
    if old is not None:
        together = {**case.together, course.course_id: "seat"}
        verdict += _judge_left(outcome, case._replace(course=old, together=together))
    if verdict.refusals or place.status is None:
        outcome.status = None if enrollment is None else enrollment.status
        return refuse(outcome, facts, verdict.refusals)
    cleared = verdict.cleared
    if enrollment is not None and enrollment.status == "withdrawn":
        cleared |= {"already-withdrawn"}
    if old is not None:
        outcome.instead_of = old.ref
        if place.status == "enrolled":
            give_up(facts, student, old, course, on=on, line=change.line)
            outcome.freed = old.course_id
    is_pending = old is not None and place.status == "waitlisted"
    more = {"instead_of": old.course_id} if is_pending and old is not None else {}
    detail = detail_of(case, cleared, **more) if cleared or more or change.reason else None
    facts.move(
        student, course,
        Move("enroll", place.status, on, change.line, None, detail, more.get("instead_of")),
    )  # fmt: skip
    outcome.result = outcome.status = place.status
    if place.status == "waitlisted":
        outcome.position, outcome.at_once = len(course.queue), place.at_once
    return outcome


def _leave(outcome: Outcome, case: Case, verdict: str, facts: Facts) -> Outcome:
    """Judge a drop, a withdrawal or a completion, and make it."""
    change, student, course, enrollment, on = case[:5]
    stated = filter(None, [state_refusal(verdict, case), grade_refusal(case)])
    judged = Verdict(tuple(stated))
    if not judged.refusals and change.action in LEAVING:
        judged = judge(LEAVING[change.action], case) + _judge_left(outcome, case)
    if judged.refusals:
        outcome.status = None if enrollment is None else enrollment.status
        return refuse(outcome, facts, judged.refusals)
    cleared = judged.cleared
    if enrollment is not None and enrollment.status == "withdrawn":
        cleared |= {"already-withdrawn"}
    detail = detail_of(case, cleared) if cleared or change.reason else None
    facts.move(student, course, Move(change.action, verdict, on, change.line, change.grade, detail))
    outcome.result = outcome.status = verdict
    outcome.grade = change.grade
    return outcome


def _judge_left(outcome: Outcome, case: Case) -> Verdict:
    """Warn about courses that lose what they are taken together with; refuse it when strict."""
    left = corequisite_is_left(case)
    if left is None:
        return CLEAR
    if case.policy.strict:
        return weigh([left], case)
    outcome.warning = left.message
    return CLEAR


def _unchanged(outcome: Outcome, case: Case) -> Outcome:
    outcome.result = UNCHANGED
    enrollment = case.enrollment
    if enrollment is not None:
        outcome.status = enrollment.status
        outcome.grade = enrollment.grade
        outcome.position = case.course.position_of(case.student.student_id)
    return outcome


def _superseded(
    outcome: Outcome, enrollment: EnrollmentFact, facts: Facts, policy: Policy
) -> Outcome:
    message = (
        f"{outcome.student} {enrollment.status} in {outcome.course} since"
        f" {enrollment.changed_on}, later than {outcome.effective_on}"
    )
    outcome.status = enrollment.status
    if policy.strict:
        return refuse(outcome, facts, [Refusal("superseded", message)])
    outcome.result = "superseded"
    outcome.note = message
    return outcome


def _is_over(case: Case, verdict: str) -> bool:
    """Tell whether a sync names what is completed or withdrawn, which it does not touch."""
    policy = case.policy
    return policy.is_sync and not policy.strict and verdict.startswith("already-")


def _left_alone(outcome: Outcome, case: Case) -> Outcome:
    """Pass over a row of a sync about what is over: a completion, a withdrawal."""
    enrollment = case.enrollment
    if enrollment is not None:
        if (case.change.action, case.on, case.change.grade) in enrollment.recorded:
            return _unchanged(outcome, case)
        outcome.status, outcome.grade = enrollment.status, enrollment.grade
        outcome.note = (
            f"{outcome.student} {enrollment.status} in {outcome.course} on"
            f" {enrollment.status_since}, which a sync does not touch"
        )
    outcome.result = "superseded"
    return outcome


# ── refusals ─────────────────────────────────────────────────────────────────────────────


def refuse(
    outcome: Outcome, facts: Facts, refusals: tuple[Refusal, ...] | list[Refusal]
) -> Outcome:
    """Mark the outcome refused and record why."""
    outcome.result = "refused"
    outcome.refusals = tuple(refusal if refusal.hint else with_way(refusal) for refusal in refusals)
    outcome.warning = None
    change = outcome.change
    facts.events.append(
        Event(
            change.line,
            outcome.student_id,
            outcome.course_id,
            change.action,
            None,
            None,
            None,
            change.grade,
            outcome.refusals[0].code,
            outcome.effective_on,
            _refusal_detail(outcome),
        )
    )
    return outcome


def with_way(refusal: Refusal) -> Refusal:
    """Say how a rule without another way out is overridden."""
    if refusal.code not in OVERRIDABLE:
        return refusal
    way = f"--override {refusal.code} --reason TEXT allows it"
    return Refusal(refusal.code, refusal.message, way)


def _refusal_detail(outcome: Outcome) -> str:
    """Keep the sentence, what was asked for when it names nothing, and further codes."""
    detail: dict[str, object] = {"message": outcome.refusals[0].message}
    if outcome.student_id is None:
        detail["student"] = outcome.student
    if outcome.course_id is None:
        detail["course"] = outcome.course
    if len(outcome.refusals) > 1:
        detail["codes"] = [refusal.code for refusal in outcome.refusals]
    return json.dumps(detail, ensure_ascii=False)


class Unread(Protocol):
    """A row that could not be read."""

    line: int
    refusal: Refusal


def unread(row: Unread) -> Event:
    """Record a row of a file that could not be read: it names nobody, and no course."""
    detail = json.dumps({"message": row.refusal.message}, ensure_ascii=False)
    return Event(
        row.line, None, None, UNREAD, None, None, None, None, row.refusal.code, None, detail
    )  # fmt: skip

"""Judging a request: change by change, then the queues; the facts move forward."""

import json
from collections.abc import Callable
from typing import Final

from studentcli.facts import CourseFact, EnrollmentFact, Event, Facts, Move, StudentFact
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Refusal, Request
from studentcli.rules.admission import admission_refusals
from studentcli.rules.seats import run_queue, seat_or_refusal
from studentcli.rules.transitions import (
    DECIDE,
    UNCHANGED,
    Case,
    grade_refusal,
    state_refusal,
    verdict_of,
)


def decide_change(case: Case, facts: Facts, policy: Policy) -> Outcome:
    """Judge one change whose student and course are known, and make it when nothing forbids it."""
    change, student, course, enrollment, on = case
    outcome = Outcome(
        change, student.number, course.ref,
        student_id=student.student_id, course_id=course.course_id, effective_on=on,
    )  # fmt: skip
    if on > policy.today(course.term.time_zone):
        return _refuse(outcome, facts, [Refusal("bad-value", f"{on} is a date in the future")])
    verdict = verdict_of(case)
    if verdict == UNCHANGED:
        return _unchanged(outcome, enrollment, course)
    if change.effective_on is not None and enrollment is not None:
        if (change.action, on, change.grade) in enrollment.recorded:
            return _unchanged(outcome, enrollment, course)
        if on < enrollment.changed_on:
            return _superseded(outcome, enrollment, facts, policy)
    if verdict == DECIDE:
        refusals: tuple[Refusal, ...] = admission_refusals(student, course, change.overrides)
        seat = seat_or_refusal(course, change, facts, policy)
        if isinstance(seat, Refusal):
            refusals = (*refusals, seat)
        else:
            verdict = seat
    else:
        refusals = tuple(filter(None, [state_refusal(verdict, case), grade_refusal(change)]))
    if refusals:
        outcome.status = None if enrollment is None else enrollment.status
        return _refuse(outcome, facts, refusals)
    detail = _detail(change) if change.reason or change.overrides else None
    move = Move(change.action, verdict, on, change.line, change.grade, detail)
    facts.move(student.student_id, course, move)
    outcome.result = outcome.status = verdict
    outcome.grade = change.grade
    if verdict == "waitlisted":
        outcome.position = len(course.queue)
    return outcome


def _unchanged(outcome: Outcome, enrollment: EnrollmentFact | None, course: CourseFact) -> Outcome:
    outcome.result = UNCHANGED
    if enrollment is not None:
        outcome.status = enrollment.status
        outcome.grade = enrollment.grade
        if outcome.student_id in course.queue:
            outcome.position = list(course.queue).index(outcome.student_id) + 1
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
        return _refuse(outcome, facts, [Refusal("superseded", message)])
    outcome.result = "superseded"
    outcome.note = message
    return outcome


def _refuse(
    outcome: Outcome, facts: Facts, refusals: tuple[Refusal, ...] | list[Refusal]
) -> Outcome:
    """Mark the outcome refused and record why."""
    outcome.result = "refused"
    outcome.refusals = tuple(refusals)
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


def _detail(change: Change) -> str:
    """Keep the reason and the overrides of a change with its event, as JSON."""
    detail = {"reason": change.reason, "overrides": sorted(change.overrides)}
    return json.dumps({name: value for name, value in detail.items() if value}, ensure_ascii=False)


def _refusal_detail(outcome: Outcome) -> str | None:
    """Keep what was asked for when it names nothing, and further codes."""
    detail: dict[str, object] = {}
    if outcome.student_id is None:
        detail["student"] = outcome.student
    if outcome.course_id is None:
        detail["course"] = outcome.course
    if len(outcome.refusals) > 1:
        detail["codes"] = [refusal.code for refusal in outcome.refusals]
    return json.dumps(detail, ensure_ascii=False) if detail else None


# ── one request ──────────────────────────────────────────────────────────────────────────

FindCourse = Callable[[Change, StudentFact], CourseFact | Refusal]


def decide(
    request: Request,
    student: StudentFact | Refusal,
    find_course: FindCourse,
    facts: Facts,
    policy: Policy,
) -> Decision:
    """Judge a request and move the facts forward.

    Drops first, then adds in their order, then the queues of the courses that changed.

    Args:
        request: the student and the changes.
        student: whom the request means, or why nobody.
        find_course: says which course a change means, or why none.
        facts: every course that `find_course` can give, and the students of their queues.
        policy: how to judge.

    Returns:
        The outcomes in the order asked, and the promotions.
    """
    decision = Decision(request, [])
    changes = request.changes
    if isinstance(student, Refusal):
        named = str(request.student)
        decision.outcomes = [
            _refuse(Outcome(change, named, _word(change)), facts, [student]) for change in changes
        ]
        return decision
    mark = facts.begin_journal() if policy.all_or_none else None
    touched: dict[int, CourseFact] = {}
    if len(changes) == 1:
        decision.outcomes.append(_judge(changes[0], student, find_course, facts, policy))
    else:
        order = sorted(range(len(changes)), key=lambda index: changes[index].action == "enroll")
        judged = {
            index: _judge(changes[index], student, find_course, facts, policy) for index in order
        }
        decision.outcomes = [judged[index] for index in range(len(changes))]
    if mark is not None:
        _apply_all_or_none(decision, facts, mark)
    for outcome in decision.outcomes:
        if outcome.course_id is not None and outcome.result in _MOVES_QUEUE:
            touched[outcome.course_id] = facts.courses[outcome.course_id]
    for course in touched.values():
        promotions = run_queue(course, facts, policy)
        if promotions:
            decision.promotions += promotions
            _settle(decision, course)
    return decision


_MOVES_QUEUE: Final = frozenset({"dropped", "withdrawn", "waitlisted"})
"""What can free a seat, or put somebody into a queue that has one."""
_WITHOUT_EFFECT: Final = frozenset({UNCHANGED, "superseded", "refused"})


def _judge(
    change: Change, student: StudentFact, find_course: FindCourse, facts: Facts, policy: Policy
) -> Outcome:
    course = find_course(change, student)
    if isinstance(course, Refusal):
        asked = Outcome(change, student.number, _word(change), student_id=student.student_id)
        return _refuse(asked, facts, [course])
    on = change.effective_on or policy.today(course.term.time_zone)
    enrollment = course.enrollments.get(student.student_id)
    return decide_change(Case(change, student, course, enrollment, on), facts, policy)


def _word(change: Change) -> str:
    return str(change.course) if isinstance(change.course, CourseWord) else f"id {change.course}"


def _apply_all_or_none(decision: Decision, facts: Facts, mark: int) -> None:
    """When anything was refused take everything back; the others carry `not-applied`."""
    refused = decision.refused
    if not refused:
        facts.journal = None
        return
    facts.rewind(mark)
    because = Refusal("not-applied", f"not applied: {refused[0].refusals[0].message}")
    for outcome in decision.outcomes:
        if outcome.is_refused:
            _refuse(outcome, facts, outcome.refusals)
        elif outcome.result not in _WITHOUT_EFFECT:
            outcome.status = outcome.position = None
            _refuse(outcome, facts, [because])


def _settle(decision: Decision, course: CourseFact) -> None:
    """Say of newcomers to a queue that was run how they stand now."""
    for outcome in decision.outcomes:
        if outcome.course_id == course.course_id and outcome.result == "waitlisted":
            queue = list(course.queue)
            if outcome.student_id in course.queue:
                outcome.position = queue.index(outcome.student_id) + 1
            else:
                outcome.result = outcome.status = "enrolled"
                outcome.position = None

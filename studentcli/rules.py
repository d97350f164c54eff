"""The registration rules: pure Python, no session, no clock, no input or output.

`decide` judges one request over the facts and moves them forward. A rule is one function in
ADMISSION; what an action does to a state is one row of TRANSITIONS.
"""

import json
from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

from studentcli.facts import CourseFact, EnrollmentFact, Event, Facts, Move, StudentFact
from studentcli.requests import (
    Change,
    CourseWord,
    Decision,
    Outcome,
    Policy,
    Promotion,
    Refusal,
    Request,
)

UNCHANGED: Final = "unchanged"
DECIDE: Final = "decide"

TRANSITIONS: Final[dict[tuple[str | None, str], str]] = {
    (None, "enroll"): DECIDE,
    (None, "drop"): "not-enrolled",
    (None, "withdraw"): "not-enrolled",
    (None, "complete"): "not-enrolled",
    ("enrolled", "enroll"): UNCHANGED,
    ("enrolled", "drop"): "dropped",
    ("enrolled", "withdraw"): "withdrawn",
    ("enrolled", "complete"): "completed",
    ("waitlisted", "enroll"): UNCHANGED,
    ("waitlisted", "drop"): "dropped",
    ("waitlisted", "withdraw"): "not-enrolled",
    ("waitlisted", "complete"): "not-enrolled",
    ("dropped", "enroll"): DECIDE,
    ("dropped", "drop"): UNCHANGED,
    ("dropped", "withdraw"): "not-enrolled",
    ("dropped", "complete"): "not-enrolled",
    ("withdrawn", "enroll"): "already-withdrawn",
    ("withdrawn", "drop"): "already-withdrawn",
    ("withdrawn", "withdraw"): UNCHANGED,
    ("withdrawn", "complete"): "not-enrolled",
    ("completed", "enroll"): "already-completed",
    ("completed", "drop"): "already-completed",
    ("completed", "withdraw"): "already-completed",
    ("completed", "complete"): "completed",
}
"""(status, action) → the status it leads to, UNCHANGED, DECIDE, or the code that refuses it."""

AFTER_OVERRIDE: Final = {"enroll": DECIDE, "drop": "dropped"}
"""What an action on a withdrawn enrollment does once `already-withdrawn` is overridden."""

OVERRIDABLE: Final = frozenset(
    {"already-withdrawn", "student-inactive", "course-closed", "course-full"}
)

DONE_WORDS: Final = {"enroll": "enrolled", "drop": "dropped", "withdraw": "withdrawn"}


# ── the rules of admission ───────────────────────────────────────────────────────────────


def student_is_inactive(student: StudentFact, course: CourseFact) -> Refusal | None:
    """Refuse an inactive student."""
    del course
    if student.status == "active":
        return None
    return Refusal(
        "student-inactive",
        f"{student.number} is inactive",
        f"studentcli student edit {student.number} --status active",
    )


def course_is_closed(student: StudentFact, course: CourseFact) -> Refusal | None:
    """Refuse a course that is closed or cancelled."""
    del student
    if course.status == "open":
        return None
    reopen = f"studentcli course edit {course.ref} --status open"
    return Refusal("course-closed", f"{course.ref} is {course.status}", reopen)


Rule = Callable[[StudentFact, CourseFact], Refusal | None]
ADMISSION: Final[tuple[Rule, ...]] = (student_is_inactive, course_is_closed)


def admission_refusals(
    student: StudentFact, course: CourseFact, overrides: frozenset[str] = frozenset()
) -> tuple[Refusal, ...]:
    """Judge every rule of admission, not only the first that fails."""
    found = [rule(student, course) for rule in ADMISSION]
    return tuple(refusal for refusal in found if refusal and refusal.code not in overrides)


# ── seats and the queue ──────────────────────────────────────────────────────────────────


def seat_or_refusal(
    course: CourseFact, change: Change, facts: Facts, policy: Policy
) -> str | Refusal:
    """Give `enrolled`, `waitlisted`, or the reason why neither is possible.

    Whenever a queue exists a newcomer joins its end, also in front of a free seat: then the queue
    is run, and whoever is eligible and first gets the seat (SEMANTICS, waitlist).
    """
    if "course-full" in change.overrides or (not course.queue and course.has_free_seat):
        return "enrolled"
    if course.queue and course.has_free_seat and _free_after_queue(course, facts):
        return "waitlisted"
    seats = f"{course.taken}/{course.capacity} seats taken"
    if not policy.allow_waitlist or course.waitlist_capacity == 0:
        hint = "try another section, or raise the capacity with studentcli course edit"
        if course.waitlist_capacity and len(course.queue) < course.waitlist_capacity:
            hint = "leave out --no-waitlist to join the queue"
        return Refusal("course-full", f"{course.ref} is full ({seats})", hint)
    if len(course.queue) >= course.waitlist_capacity:
        return Refusal(
            "waitlist-full",
            f"{course.ref} is full ({seats}) and so is its waitlist"
            f" ({len(course.queue)}/{course.waitlist_capacity})",
            "try another section, or raise --waitlist with studentcli course edit",
        )
    return "waitlisted"


def _free_after_queue(course: CourseFact, facts: Facts) -> bool:
    """Tell whether a seat stays free when everybody eligible in the queue has got one."""
    if course.capacity is None:
        return True
    eligible = sum(
        not admission_refusals(facts.students[student_id], course) for student_id in course.queue
    )
    return course.capacity - course.taken > eligible


def run_queue(course: CourseFact, facts: Facts, policy: Policy) -> list[Promotion]:
    """Give the free seats of a course to its queue, first come first served.

    Whoever a rule blocks keeps the place and is passed over, with an event that names the rule.
    Nobody is promoted into a course that takes nobody, or after the term's enroll window.
    """
    promotions: list[Promotion] = []
    today = policy.today(course.term.time_zone)
    until = course.term.enroll_until
    if not course.queue or course.status != "open" or (until is not None and today > until):
        return promotions
    for student_id in list(course.queue):
        if not course.has_free_seat:
            break
        student = facts.students[student_id]
        blocked = admission_refusals(student, course)
        if blocked:
            facts.events.append(_passed_over(student, course, blocked[0], today))
        else:
            facts.move(student_id, course, Move("promote", "enrolled", today))
            promotions.append(Promotion(student.number, course.ref))
    return promotions


def _passed_over(
    student: StudentFact, course: CourseFact, refusal: Refusal, today: date
) -> Event:
    place = course.queue[student.student_id].place
    return Event(
        None, student.student_id, course.course_id, "pass-over", "waitlisted", "waitlisted",
        place, None, refusal.code, today, None,
    )  # fmt: skip


# ── one change ───────────────────────────────────────────────────────────────────────────


class Case(NamedTuple):
    """One change with everything that judging it needs."""

    change: Change
    student: StudentFact
    course: CourseFact
    enrollment: EnrollmentFact | None
    on: date


def decide_change(case: Case, facts: Facts, policy: Policy) -> Outcome:
    """Judge one change whose student and course are known, and make it when nothing forbids it."""
    change, student, course, enrollment, on = case
    outcome = Outcome(
        change, student.number, course.ref,
        student_id=student.student_id, course_id=course.course_id, effective_on=on,
    )  # fmt: skip
    if on > policy.today(course.term.time_zone):
        return _refuse(outcome, facts, [Refusal("bad-value", f"{on} is a date in the future")])
    verdict = _verdict(case)
    if verdict == UNCHANGED:
        return _unchanged(outcome, enrollment)
    if change.effective_on is not None and enrollment is not None:
        if (change.action, on, change.grade) in enrollment.recorded:
            return _unchanged(outcome, enrollment)
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
        refusals = tuple(filter(None, [_state_refusal(verdict, case), _grade_refusal(change)]))
    if refusals:
        outcome.status = None if enrollment is None else enrollment.status
        return _refuse(outcome, facts, refusals)
    move = Move(change.action, verdict, on, change.line, change.grade, _detail(change))
    facts.move(student.student_id, course, move)
    outcome.result = outcome.status = verdict
    outcome.grade = change.grade
    if verdict == "waitlisted":
        outcome.position = len(course.queue)
    return outcome


def _verdict(case: Case) -> str:
    """Look the change up in TRANSITIONS, with the two refinements that need its values."""
    change, enrollment = case.change, case.enrollment
    status = None if enrollment is None else enrollment.status
    verdict = TRANSITIONS[status, change.action]
    if verdict == "already-withdrawn" and verdict in change.overrides:
        return AFTER_OVERRIDE[change.action]
    if status == "completed" and enrollment is not None and verdict == "completed":
        return UNCHANGED if enrollment.grade == change.grade else verdict
    return verdict


def _grade_refusal(change: Change) -> Refusal | None:
    if change.action == "complete" and not change.grade:
        return Refusal("unknown-grade", "completing a course needs a grade", "add --grade GRADE")
    return None


def _state_refusal(code: str, case: Case) -> Refusal | None:
    """Word the refusal of TRANSITIONS, or none when the verdict is a status."""
    student, course, enrollment = case.student, case.course, case.enrollment
    if enrollment is not None and code in {"already-withdrawn", "already-completed"}:
        word = code.removeprefix("already-")
        since = f"{student.number} has {word} from {course.ref} on {enrollment.status_since}"
        if word == "completed":
            return Refusal(code, since.replace(" from ", " "))
        return Refusal(code, since, f"--override {code} --reason TEXT allows it")
    if code != "not-enrolled":
        return None
    if enrollment is not None and enrollment.status == "waitlisted":
        return Refusal(
            code,
            f"{student.number} is waitlisted in {course.ref}, not enrolled",
            f"studentcli drop {student.number} {course.ref}",
        )
    status = "" if enrollment is None else f" ({enrollment.status})"
    return Refusal(
        code,
        f"{student.number} is not enrolled in {course.ref}{status}",
        f"studentcli courses {student.number} lists the enrollments",
    )


def _unchanged(outcome: Outcome, enrollment: EnrollmentFact | None) -> Outcome:
    outcome.result = UNCHANGED
    if enrollment is not None:
        outcome.status = enrollment.status
        outcome.grade = enrollment.grade
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
            change.line, outcome.student_id, outcome.course_id, change.action, None, None, None,
            change.grade, outcome.refusals[0].code, outcome.effective_on,
            _refusal_detail(outcome),
        )  # fmt: skip
    )
    return outcome


def _detail(change: Change) -> str | None:
    """Keep the reason and the overrides of a change with its event, as JSON."""
    if not change.reason and not change.overrides:
        return None
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
    mark = facts.begin_journal() if policy.all_or_none else None
    touched: dict[int, CourseFact] = {}
    changes = request.changes
    if len(changes) == 1:
        decision.outcomes.append(_judge(changes[0], request, student, find_course, facts, policy))
    else:
        order = sorted(range(len(changes)), key=lambda index: changes[index].action == "enroll")
        judged = {
            index: _judge(changes[index], request, student, find_course, facts, policy)
            for index in order
        }
        decision.outcomes = [judged[index] for index in range(len(changes))]
    if mark is not None:
        _apply_all_or_none(decision, facts, mark)
    for outcome in decision.outcomes:
        if outcome.course_id is not None and outcome.result not in _WITHOUT_EFFECT:
            touched[outcome.course_id] = facts.courses[outcome.course_id]
    for course in touched.values():
        if course.queue:
            decision.promotions += run_queue(course, facts, policy)
            _settle(decision, course)
    return decision


_WITHOUT_EFFECT: Final = frozenset({UNCHANGED, "superseded", "refused"})


def _judge(
    change: Change,
    request: Request,
    student: StudentFact | Refusal,
    find_course: FindCourse,
    facts: Facts,
    policy: Policy,
) -> Outcome:
    if isinstance(student, Refusal):
        asked = Outcome(change, str(request.student), _word(change))
        return _refuse(asked, facts, [student])
    course = find_course(change, student)
    if isinstance(course, Refusal):
        asked = Outcome(change, student.number, _word(change), student_id=student.student_id)
        return _refuse(asked, facts, [course])
    on = change.effective_on or policy.today(course.term.time_zone)
    enrollment = facts.enrollment(student.student_id, course)
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

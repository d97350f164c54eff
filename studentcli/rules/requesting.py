"""Judging one request: change by change, then the queues; the facts move forward."""

from collections.abc import Callable, Mapping
from typing import Final

from studentcli.facts import CourseFact, Facts, StudentFact
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
from studentcli.rules.case import NOTHING, Case
from studentcli.rules.deciding import decide_change, refuse
from studentcli.rules.lapsing import warn_of_lapsing
from studentcli.rules.queue import Asked, run_queues, waits_of
from studentcli.rules.seats import fills_two
from studentcli.rules.transitions import UNCHANGED, state_refusal
from studentcli.vocabulary import LIVE_STATUSES

FindCourse = Callable[[Change, StudentFact], CourseFact | Refusal]
Look = Callable[[Case], None]

_MOVES_QUEUE: Final = frozenset({"dropped", "withdrawn", "waitlisted"})
"""What can free a seat of the course, or put somebody into a queue that has one."""
WITHOUT_EFFECT: Final = frozenset({UNCHANGED, "superseded", "refused"})


def decide(
    request: Request,
    student: StudentFact | Refusal,
    find_course: FindCourse,
    facts: Facts,
    policy: Policy,
    *,
    look: Look | None = None,
) -> Decision:
    """Judge a request and move the facts forward.

    Drops first, then adds in their order, then the queues of the courses that changed.

    Args:
        request: the student and the changes.
        student: whom the request means, or why nobody.
        find_course: says which course a change means, or why none.
        facts: every course that `find_course` can give, the courses in whose queues the student
            waits, and the students of the queues that can move.
        policy: how to judge.
        look: is shown every case just before it is judged; again when it is judged anew.

    Returns:
        The outcomes in the order asked, and the promotions.
    """
    decision = Decision(request, [])
    if isinstance(student, Refusal):
        named = str(request.student)
        decision.outcomes = [
            refuse(Outcome(change, named, _word(change)), facts, [student])
            for change in request.changes
        ]
        return decision
    asking = _Asking(request, student, find_course, facts, policy, look=look)
    mark = facts.begin_journal() if policy.all_or_none else None
    decision.outcomes = asking.judge()
    if mark is not None and decision.refused:
        facts.rewind(mark)
        _refuse_all(decision, facts)
    else:
        decision.promotions = asking.promotions
    facts.journal = None
    if not policy.is_sync:
        _run_queues(decision, student, facts, policy)
    return decision


class _Asking:
    """One request being judged."""

    def __init__(
        self,
        request: Request,
        student: StudentFact,
        find_course: FindCourse,
        facts: Facts,
        policy: Policy,
        *,
        look: Look | None,
    ) -> None:
        self.changes = request.changes
        self.student = student
        self.find_course = find_course
        self.facts = facts
        self.policy = policy
        self.look = look
        self.together: Mapping[int, str] = NOTHING
        self.leaving: frozenset[int] = frozenset()
        self.promotions: list[Promotion] = []

    def judge(self) -> list[Outcome]:
        """Judge the changes; gives the outcomes in the order asked.

        Courses that are taken together are first taken for granted, in any order; when one of
        them turns out to get no seat, everything is judged anew without it.
        """
        changes = self.changes
        if len(changes) == 1:
            return [self._judge(changes[0])]
        found = [self.find_course(change, self.student) for change in changes]
        courses = [course if isinstance(course, CourseFact) else None for course in found]
        adds = [c for change, c in zip(changes, courses, strict=True) if _is_add(change) and c]
        self.leaving = frozenset(
            course.course_id
            for change, course in zip(changes, courses, strict=True)
            if course is not None and change.action in {"drop", "withdraw"}
        )
        order = sorted(range(len(changes)), key=lambda index: _is_add(changes[index]))
        if not adds or not self._look_at_each_other(adds):
            return self._judge_in(order)
        self.together = {course.course_id: "seat" for course in adds}
        while True:
            mark = self.facts.begin_journal()
            outcomes = self._judge_in(order)
            true = {
                course.course_id: rank
                for course, change, outcome in zip(courses, changes, outcomes, strict=True)
                if course is not None and _is_add(change)
                if (rank := _rank(outcome)) is not None
            }
            held = {
                course_id: min(rank, true[course_id], key=_RANKS.index)
                for course_id, rank in self.together.items()
                if course_id in true
            }
            if held == self.together:
                return outcomes
            self.facts.rewind(mark)
            self.together = held

    def _look_at_each_other(self, adds: list[CourseFact]) -> bool:
        """Tell whether the courses of the request can be what another one is taken with."""
        if any(course.is_taken_with(other.code) for course in adds for other in adds):
            return True
        courses = self.facts.courses
        return bool(self.leaving) and any(courses[c].corequisites for c in self.student.enrollments)

    def _judge_in(self, order: list[int]) -> list[Outcome]:
        self.promotions = []
        judged = {index: self._judge(self.changes[index]) for index in order}
        return [judged[index] for index in range(len(order))]

    def _judge(self, change: Change) -> Outcome:
        student, facts = self.student, self.facts
        course = self.find_course(change, student)
        if isinstance(course, Refusal):
            asked = Outcome(change, student.number, _word(change), student_id=student.student_id)
            return refuse(asked, facts, [course])
        on = change.effective_on or self.policy.undated(course.term.time_zone)
        case = Case(
            change, student, course, student.enrollments.get(course.course_id), on, self.policy,
            facts.courses, None, self.together, self.leaving,
        )  # fmt: skip
        if change.instead_of is not None and change.action == "enroll":
            old = self._given_up(change.instead_of, case)
            if isinstance(old, Refusal):
                asked = Outcome(
                    change, student.number, course.ref, student_id=student.student_id,
                    course_id=course.course_id, effective_on=on,
                )  # fmt: skip
                return refuse(asked, facts, [old])
            case = case._replace(given_up=old)
        if self.look is not None:
            self.look(case)
        outcome = decide_change(case, facts)
        if outcome.at_once:
            self._sit_down(outcome, course)
        return outcome

    def _sit_down(self, outcome: Outcome, course: CourseFact) -> None:
        """Run the queue that gives a newcomer a seat: what is judged next builds on it."""
        mine = {course.course_id: outcome.change}
        asked = Asked(self.student.student_id, mine, self.together)
        self.promotions += run_queues([course], self.facts, self.policy, asked)
        _settle(outcome, self.facts)

    def _given_up(self, word: CourseWord | int, case: Case) -> CourseFact | Refusal | None:
        """Find the course of a swap: one that the student is in, other than the new one."""
        change = Change("drop", word)
        old = self.find_course(change, self.student)
        if isinstance(old, Refusal):
            return old
        if old is case.course:
            return Refusal("bad-value", f"{old.ref} cannot be swapped for itself")
        enrollment = self.student.enrollments.get(old.course_id)
        if enrollment is not None and enrollment.status in LIVE_STATUSES:
            return self._promised(old, case) or old
        if case.enrollment is not None and case.enrollment.status in LIVE_STATUSES:
            return None  # the swap has been made: the add will be unchanged
        return state_refusal("not-enrolled", case._replace(course=old, enrollment=enrollment))

    def _promised(self, old: CourseFact, case: Case) -> Refusal | None:
        """Refuse to give up a course for a second one: one seat would become two."""
        number = self.student.number
        for course, enrollment in case.others("waitlisted"):
            if enrollment.instead_of == old.course_id:
                return Refusal(
                    "bad-value",
                    f"{number} waits for {course.ref} instead of {old.ref} already",
                    f"studentcli drop {number} {course.ref}, then swap",
                )
        return None


_RANKS: Final = ("place", "seat")


def _rank(outcome: Outcome) -> str | None:
    """Tell whether an add led to a seat, a place in the queue, or nothing."""
    return {"enrolled": "seat", "completed": "seat", "waitlisted": "place"}.get(
        outcome.status or "" if not outcome.is_refused else ""
    )


def _is_add(change: Change) -> bool:
    return change.action == "enroll"


def _word(change: Change) -> str:
    return str(change.course) if isinstance(change.course, CourseWord) else f"id {change.course}"


def _refuse_all(decision: Decision, facts: Facts) -> None:
    """Refuse what could have been applied: something else of an all-or-none request was refused."""
    because = decision.refused[0].refusals[0].message
    not_applied = Refusal("not-applied", f"not applied: {because}")
    for outcome in decision.outcomes:
        if outcome.is_refused:
            refuse(outcome, facts, outcome.refusals)
        elif outcome.result not in WITHOUT_EFFECT:
            outcome.status = outcome.position = outcome.instead_of = outcome.warning = None
            refuse(outcome, facts, [not_applied])


def _run_queues(decision: Decision, student: StudentFact, facts: Facts, policy: Policy) -> None:
    """Run the queues that the request can have moved."""
    touched, asked = touched_queues(decision, student, facts)
    if not touched:
        return
    decision.promotions += run_queues(touched, facts, policy, Asked(student.student_id, asked))
    for outcome in decision.outcomes:
        _settle(outcome, facts)
        warn_of_lapsing(outcome, facts, policy)


def touched_queues(
    decision: Decision, student: StudentFact, facts: Facts
) -> tuple[dict[CourseFact, None], dict[int, Change]]:
    """List the courses whose queues a request can have moved.

    Its own courses, and those in which the student waits: less in the term, or a course more that
    another is taken together with, can be what was missing.

    Returns:
        The courses, and by course id the changes that led to a place in a queue.
    """
    touched: dict[CourseFact, None] = {}
    waits: list[CourseFact] | None = None
    asked: dict[int, Change] = {}
    for outcome in decision.outcomes:
        if outcome.result in WITHOUT_EFFECT or outcome.course_id is None:
            continue
        course = facts.courses[outcome.course_id]
        if outcome.result in _MOVES_QUEUE or fills_two(student, course):
            touched[course] = None
        if outcome.result == "waitlisted":
            asked[course.course_id] = outcome.change
            continue
        if outcome.freed is not None:
            touched[facts.courses[outcome.freed]] = None
        waits = waits_of(student, facts) if waits is None else waits
        is_less = outcome.result != "enrolled" or outcome.freed is not None
        touched.update((c, None) for c in waits if is_less or c.is_taken_with(course.code))
    return touched, asked


def _settle(outcome: Outcome, facts: Facts) -> None:
    """Say of a newcomer to a queue that was run how they stand now."""
    if outcome.result != "waitlisted" or outcome.course_id is None:
        return
    course = facts.courses[outcome.course_id]
    outcome.position = course.position_of(outcome.student_id)
    if outcome.position is None:
        outcome.result = outcome.status = "enrolled"

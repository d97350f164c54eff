"""The straight way of an ordinary add: one course, a free seat, nobody waiting, no rule refusing.

Most rows of a file are such. They are judged by the rules of the book, each one that concerns the
course, over the same `Case`; only what cannot play a part is left out: requests of several changes,
swaps, queues, overrides, journals. Whatever is not plainly so is none of its business, and
`requesting.decide` judges it from the start.
"""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from studentcli.facts import CourseFact, Facts, StudentFact
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Refusal, Request
from studentcli.rules.book import ALWAYS, FOR_A_SEAT, rules_of
from studentcli.rules.case import NOTHING, Case, new_case
from studentcli.rules.placing import has_open_seat
from studentcli.rules.queue import detail_of
from studentcli.rules.requesting import FindCourse, decide

_NONE: frozenset[int] = frozenset()
_NO_RULES: frozenset[str] = frozenset()


class _Way(NamedTuple):
    """What is the same for everybody who asks for a course by a word."""

    course: CourseFact
    judges: tuple[Callable[[Case], Refusal | None], ...]
    today: date
    undated: date


class Seated(Decision):
    """What most requests come to: the course asked for has a free seat, and nothing is in the way.

    Its outcome is written out when somebody looks at it: of a million rows nobody does.
    """

    __slots__ = ("_course", "_on", "_outcomes", "_student")

    def __init__(
        self, request: Request, student: StudentFact, course: CourseFact, on: date
    ) -> None:
        self.request = request
        self.promotions = []
        self.operation_id = None
        self._student, self._course, self._on = student, course, on
        self._outcomes: list[Outcome] | None = None

    @property
    def outcomes(self) -> list[Outcome]:  # type: ignore[override]
        """The seat."""
        if self._outcomes is None:
            (change,), student, course = self.request.changes, self._student, self._course
            self._outcomes = [
                Outcome(
                    change, student.number, course.ref, "enrolled", "enrolled", None, None,
                    self._on, student_id=student.student_id, course_id=course.course_id,
                )
            ]  # fmt: skip
        return self._outcomes


class Decider:
    """Decides requests in their order: the ordinary ones straight, all others in full.

    Args:
        find_course: as `decide` takes it, and so are the others.
        facts: their courses must stay as they are; states, seats and queues may move.
        policy: how to judge.
    """

    def __init__(self, find_course: FindCourse, facts: Facts, policy: Policy) -> None:
        self.find_course = find_course
        self.facts = facts
        self.policy = policy
        self._ways: dict[CourseWord | int, _Way] = {}

    def decide(self, request: Request, student: StudentFact | Refusal) -> Decision:
        """Judge a request and move the facts forward, exactly as `requesting.decide` does."""
        return self.straight(request, student) or decide(
            request, student, self.find_course, self.facts, self.policy
        )

    def straight(self, request: Request, student: StudentFact | Refusal) -> Decision | None:
        """Give a free seat when nothing is in the way, else do nothing and give none."""
        changes = request.changes
        change = changes[0]
        if change.action != "enroll" or change.instead_of is not None or len(changes) > 1:
            return None
        if isinstance(student, Refusal):
            return None
        way = self._ways.get(change.course) or self._find(change, student)
        if way is None:
            return None
        course, judges, today, undated = way
        facts = self.facts
        course_id, on = course.course_id, change.effective_on or undated
        if (
            course_id in student.enrollments
            or on > today
            or not has_open_seat(course)
            or student.load_of(facts.courses).waits
        ):
            return None
        case = new_case(
            (change, student, course, None, on, self.policy, facts.courses, None, NOTHING, _NONE)
        )  # fmt: skip
        for judge in judges:
            if judge(case) is not None:
                return None
        detail = detail_of(case, _NO_RULES) if change.reason else None
        facts.seat(student, course, on, change.line, detail)
        return Seated(request, student, course, on)

    def _find(self, change: Change, student: StudentFact) -> _Way | None:
        """Find the course of an add, which does not depend on who asks."""
        course = self.find_course(change, student)
        if isinstance(course, Refusal):
            return None
        zone = course.term.time_zone
        judges = tuple(rule.judge for rule in rules_of(course, (*ALWAYS, *FOR_A_SEAT)))
        way = _Way(course, judges, self.policy.today(zone), self.policy.undated(zone))
        self._ways[change.course] = way
        return way

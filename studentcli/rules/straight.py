"""The straight way of an ordinary add: one course, a free seat, nobody waiting, no rule refusing.

Most rows of a file are such, or say what is so already. They are judged by the rules of the book,
each one that concerns the course, over the same `Case`; only what cannot play a part is left out:
requests of several changes, swaps, queues, overrides, journals. Whatever is not plainly so is none
of its business, and `requesting.decide` judges it from the start. What a rule says of a day, or of
persons who are alike, is asked once.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple

from studentcli.facts import CourseFact, Facts, StudentFact
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Refusal, Request
from studentcli.rules.book import ALWAYS, CLEAR, FOR_A_SEAT, Rule, judge, rules_of
from studentcli.rules.case import NOTHING, Case, new_case
from studentcli.rules.placing import has_open_seat
from studentcli.rules.queue import detail_of
from studentcli.rules.requesting import FindCourse, decide

_NONE: frozenset[int] = frozenset()
_NO_RULES: frozenset[str] = frozenset()
KNOWN: Final = 1_000
"""Days, or kinds of persons, of whom that is known at a time."""


class _Welcome(set[Hashable]):
    """Days, or kinds of persons, in whom some rules find nothing: asked once, then known."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        super().__init__()
        self._rules = tuple(rules)

    def take(self, about: Hashable, case: Case) -> bool:
        """Judge a case as if no reason had been given: what a reason clears is decided in full."""
        case = case._replace(change=replace(case.change, reason=None, overrides=_NO_RULES))
        if case.on > case.today or judge(self._rules, case) is not CLEAR:
            return False
        if len(self) >= KNOWN:
            self.clear()
        self.add(about)
        return True


class _Way(NamedTuple):
    """What is the same for everybody who asks for a course by a word."""

    course: CourseFact
    judges: tuple[Callable[[Case], Refusal | None], ...]
    days: _Welcome
    persons: _Welcome
    today: date
    undated: date


class Seated(Decision):
    """What most requests come to: the student gets the seat that was asked for, or has it already.

    Its outcome is written out when somebody looks at it: of a million rows nobody does.
    """

    __slots__ = ("_course", "_on", "_outcomes", "_student", "result")

    def __init__(
        self, request: Request, student: StudentFact, course: CourseFact, on: date, result: str
    ) -> None:
        self.request = request
        self.promotions = []
        self.operation_id = None
        self.result = result
        """`enrolled` or `unchanged`."""
        self._student, self._course, self._on = student, course, on
        self._outcomes: list[Outcome] | None = None

    @property
    def outcomes(self) -> list[Outcome]:  # type: ignore[override]
        """The seat."""
        if self._outcomes is None:
            (change,), student, course = self.request.changes, self._student, self._course
            self._outcomes = [
                Outcome(
                    change, student.number, course.ref, self.result, "enrolled", None, None,
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
        self._welcome: dict[Hashable, _Welcome] = {}

    def decide(self, request: Request, student: StudentFact | Refusal) -> Decision:
        """Judge a request and move the facts forward, exactly as `requesting.decide` does."""
        return self.straight(request, student) or decide(
            request, student, self.find_course, self.facts, self.policy
        )

    def straight(self, request: Request, student: StudentFact | Refusal) -> Decision | None:
        """Give a free seat, or the one that is there, when nothing is in the way; else none."""
        changes = request.changes
        change = changes[0]
        if (
            change.action != "enroll"
            or change.instead_of is not None
            or len(changes) > 1
            or isinstance(student, Refusal)
        ):
            return None
        way = self._ways.get(change.course) or self._find(change, student)
        if way is None or student.load_of(self.facts.courses).waits:
            return None
        course, judges, days, persons, today, undated = way
        facts, on = self.facts, change.effective_on or undated
        known = student.enrollments.get(course.course_id)
        if known is not None or not has_open_seat(course):
            is_so = known is not None and known.status == "enrolled" and on <= today
            return Seated(request, student, course, on, "unchanged") if is_so else None
        case = new_case(
            (change, student, course, None, on, self.policy, facts.courses, None, NOTHING, _NONE)
        )  # fmt: skip
        person = (student.status, student.tags, student.holds)
        if (on not in days and not days.take(on, case)) or (
            person not in persons and not persons.take(person, case)
        ):
            return None
        for refusal_of in judges:
            if refusal_of(case) is not None:
                return None
        detail = detail_of(case, _NO_RULES) if change.reason else None
        facts.seat(student, course, on, change.line, detail)
        return Seated(request, student, course, on, "enrolled")

    def _find(self, change: Change, student: StudentFact) -> _Way | None:
        """Find the course of an add, which does not depend on who asks."""
        course = self.find_course(change, student)
        if isinstance(course, Refusal):
            return None
        rules = rules_of(course, (*ALWAYS, *FOR_A_SEAT))
        judges = tuple(rule.judge for rule in rules if rule.looks_at == "record")
        days, persons = (
            self._welcome_of(course, [rule for rule in rules if rule.looks_at == what])
            for what in ("day", "person")
        )
        zone = course.term.time_zone
        today, undated = self.policy.today(zone), self.policy.undated(zone)
        way = self._ways[change.course] = _Way(course, judges, days, persons, today, undated)
        return way

    def _welcome_of(self, course: CourseFact, rules: list[Rule]) -> _Welcome:
        """Find whom rules welcome in a course: the same in all courses where they see the same."""
        concerns = tuple((rule, rule.concerns(course)) for rule in rules)
        return self._welcome.setdefault((course.term.time_zone, concerns), _Welcome(rules))

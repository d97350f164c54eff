"""A registry in memory: the facts of a few students and courses, and requests judged over them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from studentcli.conditions import parse_tags
from studentcli.facts import (
    CourseFact,
    EnrollmentFact,
    Event,
    Facts,
    Grant,
    HoldFact,
    StudentFact,
    TermFact,
)
from studentcli.requests import Change, Decision, Outcome, Policy, Request
from studentcli.rules import decide
from studentcli.services.resolve import READERS

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
TODAY = date(2026, 10, 5)
BEFORE = date(2026, 9, 5)
"""When what is put into the registry came about."""


def day(offset: int) -> date:
    """Give the day that is so many days from today."""
    return TODAY + timedelta(days=offset)


class Registry:
    """Facts in memory, with the words to fill them; S1 is there from the start.

    Args:
        now: the one clock reading.
        term: fields of the term `2026FA`.
    """

    def __init__(self, now: datetime = NOW, **term: Any) -> None:
        self.now = now
        self.facts = Facts()
        self.terms: dict[str, TermFact] = {}
        self.this = self.term("2026FA", **term)
        self.s1 = self.student("S1")

    # ── filling ──

    def term(self, code: str, **fields: Any) -> TermFact:
        """Add a term."""
        term = self.terms[code] = TermFact(len(self.terms) + 1, code, **fields)
        return term

    def course(self, code: str, section: str = "1", term: str = "2026FA", **texts: Any) -> int:
        """Add a course, its rules as the texts that registrars type; gives its id."""
        fields = {name: _read(name, value) for name, value in texts.items()}
        course_id = len(self.facts.courses) + 1
        course = CourseFact(
            course_id, self.terms[term], code, section, **{"is_locked": True, **fields}
        )
        self.facts.courses[course_id] = course
        same = [c for c in self.facts.courses.values() if (c.term, c.code) == (course.term, code)]
        for one in same:
            one.has_sections = len(same) > 1
        return course_id

    def student(self, number: str, tags: str | None = None, **fields: Any) -> StudentFact:
        """Add a student."""
        fields = {"status": "active", **fields}
        student = StudentFact(
            len(self.facts.students) + 101, number, tags=parse_tags(tags), is_loaded=True, **fields
        )
        self.facts.students[student.student_id] = student
        return student

    def put(self, student: StudentFact, course_id: int, status: str, **fields: Any) -> None:
        """Let a student stand in a course, since BEFORE."""
        course = self.facts.courses[course_id]
        place = course.next_place if status == "waitlisted" else None
        course.put(student, EnrollmentFact(status, BEFORE, BEFORE, BEFORE, place, **fields))

    def fill(self, course_id: int, seats: int, tags: str | None = None) -> list[StudentFact]:
        """Give seats to as many new students."""
        found = [
            self.student(f"F{len(self.facts.students)}", tags, max_credits=None)
            for _ in range(seats)
        ]
        for student in found:
            self.put(student, course_id, "enrolled")
        return found

    def queue(self, course_id: int, *numbers: str, **fields: Any) -> list[StudentFact]:
        """Let new students wait for a course."""
        found = [self.student(number, **fields) for number in numbers]
        for student in found:
            self.put(student, course_id, "waitlisted")
        return found

    def hold(
        self, student: StudentFact, from_on: date, until_on: date | None = None,
        blocks: str = "add",
    ) -> None:  # fmt: skip
        """Place a hold."""
        number = len(student.holds) + 1
        hold = HoldFact(number, "financial", blocks, f"fee {number}", from_on, until_on)
        student.holds = (*student.holds, hold)

    def grant(
        self, student: StudentFact, course_id: int, rule: str, until_on: date | None = None
    ) -> int:
        """Grant an override; gives its number."""
        number = 500 + sum(map(len, student.grants.values()))
        mine = (*student.grants.get(course_id, ()), Grant(number, rule, until_on))
        student.grants = {**student.grants, course_id: mine}
        course = self.facts.courses[course_id]
        course.has_extra_seats |= student.student_id in course.queue  # as the loader does
        return number

    # ── asking ──

    def ask(self, *changes: Change, student: StudentFact | None = None, **policy: Any) -> Decision:
        """Judge one request; seats and queues must agree with the enrollments afterwards."""
        student = student or self.s1
        decision = decide(
            Request(student.number, list(changes)),
            student,
            lambda change, _: self.facts.courses[change.course],  # type: ignore[index]
            self.facts,
            Policy(self.now, **policy),
        )
        self.require_consistent()
        return decision

    def one(self, action: Any, course_id: int, **more: Any) -> Outcome:
        """Judge one change; gives its outcome."""
        policy = {"allow_waitlist", "all_or_none", "strict", "student"} & more.keys()
        how = {name: more.pop(name) for name in policy}
        return self.ask(change(action, course_id, **more), **how).outcomes[0]

    def enroll(self, course_id: int, **more: Any) -> str:
        """Judge an add; gives what came of it, or the codes that refuse it."""
        return said(self.one("enroll", course_id, **more))

    # ── looking ──

    def status(self, course_id: int, student: StudentFact | None = None) -> str | None:
        """Give a student's state in a course."""
        enrollment = (student or self.s1).enrollments.get(course_id)
        return None if enrollment is None else enrollment.status

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        return self.facts.told()

    def steps(self) -> list[tuple[str, str, str | None]]:
        """Give the events as (action, student, code)."""
        students = self.facts.students
        return [
            (e.action, "" if e.student_id is None else students[e.student_id].number, e.code)
            for e in self.facts.told()
        ]

    def require_consistent(self) -> None:
        """Fail when a course counts other seats, tags or places than its students have."""
        students = self.facts.students.values()
        for student in students:
            states = [enrollment.status for enrollment in student.enrollments.values()]
            assert student.enrollments.waits == states.count("waitlisted"), student.number
        for course in self.facts.courses.values():
            mine = [(s, s.enrollments.get(course.course_id)) for s in students]
            seated = [s for s, e in mine if e is not None and e.is_seated]
            assert course.taken == len(seated), course.ref
            for kept in course.reserved:
                assert course.filled.get(kept.tag, 0) == sum(kept.tag in s.tags for s in seated)
            waiting = {s.student_id for s, e in mine if e is not None and e.status == "waitlisted"}
            assert set(course.queue) == waiting, course.ref
            places = [enrollment.place for enrollment in course.queue.values()]
            assert places == sorted(set(places), key=lambda place: place or 0), course.ref


def _read(name: str, value: Any) -> Any:
    if name in READERS:
        return READERS[name](value)
    return Decimal(value) if name == "credit_hours" else value


def change(action: Any, course_id: int, **fields: Any) -> Change:
    """Make a change; `override` names rules with one space between."""
    overrides = frozenset(str(fields.pop("override", "")).split())
    made = Change(action, course_id, overrides=overrides)
    return replace(made, **fields)


def said(outcome: Outcome) -> str:
    """Say what came of a change in one word, or the codes that refuse it."""
    assert outcome.is_refused == bool(outcome.refusals)
    return " ".join(refusal.code for refusal in outcome.refusals) or outcome.result


def results(decision: Decision) -> list[str]:
    """Say what came of every change."""
    return [said(outcome) for outcome in decision.outcomes]


def promoted(decision: Decision) -> list[str]:
    """List whom a decision promoted."""
    return [promotion.student for promotion in decision.promotions]


def codes(outcomes: Iterable[Outcome]) -> set[str]:
    """Collect the codes of refusals."""
    return {refusal.code for outcome in outcomes for refusal in outcome.refusals}

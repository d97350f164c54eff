"""The straight way of an ordinary add: one course, a free seat, nobody waiting, no rule refusing.

Most rows of a file are such, or say what is so already; others lead to the end of a queue in which
nobody can move, the course being full. They are judged by the rules of the book, each one that
concerns the course, over the same `Case`; only what cannot play a part is left out: requests of
several changes, swaps, moving queues, overrides, journals. Whatever is not plainly so is none of
its business, and `requesting.decide` judges it from the start. What a rule says of a day, or of
persons who are alike, is asked once.

The rows of a file go the same way in columns (`Adds`), with a quick test in the place of a rule,
and nothing is made for a row that passes but its event.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final, NamedTuple

from studentcli.columns import Lookup
from studentcli.facts import CourseFact, Facts, Move, StudentFact
from studentcli.requests import (
    Adds,
    Change,
    CourseWord,
    Decision,
    Outcome,
    Policy,
    Refusal,
    Request,
)
from studentcli.rules.book import ADDING, CLEAR, Rule, judge, rules_of
from studentcli.rules.case import NOTHING, Case, IsPlain, everybody, new_case
from studentcli.rules.placing import can_only_wait, has_open_seat, open_seats
from studentcli.rules.queue import detail_of, waits_of
from studentcli.rules.requesting import FindCourse, decide
from studentcli.rules.transitions import TRANSITIONS, UNCHANGED

_NONE: frozenset[int] = frozenset()
_NO_RULES: frozenset[str] = frozenset()
_NOBODY: Final = StudentFact(0, "", "active")
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


Judges = tuple[Callable[[Case], Refusal | None], ...]


class _Way(NamedTuple):
    """What is the same for everybody who asks for a course by a word.

    `seats` counts those that are for anybody, taken or not, as long as nobody waits. `for_a_seat`
    and `for_a_place` judge what a record says; `tests` hold a quick test for each of those for a
    seat, and there are none where a rule has none.
    """

    course: CourseFact
    seats: int
    days: _Welcome
    persons: _Welcome
    today: date
    undated: date
    for_a_seat: Judges
    for_a_place: Judges
    tests: tuple[IsPlain, ...] | None


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


def _waiting(
    request: Request, student: StudentFact, course: CourseFact, on: date, result: str
) -> Decision:
    """Say that the student is in the queue now, or was already."""
    position = course.position_of(student.student_id)
    outcome = Outcome(
        request.changes[0], student.number, course.ref, result, "waitlisted", position, None, on,
        student_id=student.student_id, course_id=course.course_id,
    )  # fmt: skip
    return Decision(request, [outcome])


class SeatedRows:
    """Rows of a file, one behind the other, that came to what `Seated` says of one.

    Args:
        adds: a block of rows.
        begin: the first one that is meant.
        students: of each row of the block.
        ways: of each row of the block.
    """

    __slots__ = ("_adds", "_begin", "_students", "_ways", "results")

    def __init__(
        self, adds: Adds, begin: int, students: Sequence[Any], ways: Sequence[Any]
    ) -> None:
        self._adds, self._begin, self._students, self._ways = adds, begin, students, ways
        self.results: list[str] = []
        """`enrolled` or `unchanged`, for each of the rows that are meant."""

    def decisions(self) -> Iterator[Seated]:
        """Write the decisions out, in the order of the rows."""
        for at, result in enumerate(self.results, self._begin):
            way, request = self._ways[at], self._adds.request(at)
            on = self._adds.days[at] or way.undated
            yield Seated(request, self._students[at], way.course, on, result)


def one_by_one(results: Iterable[Any]) -> Iterator[Any]:
    """Give results in their order, with a decision of its own for every row."""
    for result in results:
        if isinstance(result, SeatedRows):
            yield from result.decisions()
        else:
            yield result


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
        self._by_word = Lookup()
        self._courses = 0
        self._welcome: dict[Hashable, _Welcome] = {}

    def decide(self, request: Request, student: StudentFact | Refusal) -> Decision:
        """Judge a request and move the facts forward, exactly as `requesting.decide` does."""
        return self.straight(request, student) or decide(
            request, student, self.find_course, self.facts, self.policy
        )

    def straight(  # noqa: PLR0911  (every way out says that it is not plainly so)
        self, request: Request, student: StudentFact | Refusal
    ) -> Decision | None:
        """Give a seat, the one that is there, or a place in a queue; none if not plainly so."""
        changes = request.changes
        change = changes[0]
        if (
            change.action != "enroll"
            or change.instead_of is not None
            or len(changes) > 1
            or isinstance(student, Refusal)
        ):
            return None
        way = self._way_to(change.course)
        if way is None:
            return None
        course, _, days, persons, today, undated, for_a_seat, for_a_place, _ = way
        on = change.effective_on or undated
        known = student.enrollments.find(course.mark)
        if known is not None:
            if on > today or TRANSITIONS[known.status, "enroll"] != UNCHANGED:
                return None
            if known.status == "enrolled":
                return Seated(request, student, course, on, UNCHANGED)
            return _waiting(request, student, course, on, UNCHANGED)
        case = new_case((
            change, student, course, None, on, self.policy, self.facts.courses, None, NOTHING, _NONE
        ))  # fmt: skip
        sits = has_open_seat(course)
        if not sits and not can_only_wait(case):
            return None
        person = (student.status, student.tags, student.holds)
        if (on not in days and not days.take(on, case)) or (
            person not in persons and not persons.take(person, case)
        ):
            return None
        for refusal_of in for_a_seat if sits else for_a_place:
            if refusal_of(case) is not None:
                return None
        return self._seat(request, case) if sits else self._queue(request, case)

    def _seat(self, request: Request, case: Case) -> Decision | None:
        change, student, course, _, on = case[:5]
        if self._moves_on(student, course):
            return None
        detail = detail_of(case, _NO_RULES) if change.reason else None
        self.facts.seat(student, course, on, change.line, detail)
        return Seated(request, student, course, on, "enrolled")

    def _queue(self, request: Request, case: Case) -> Decision:
        change, student, course, _, on = case[:5]
        detail = detail_of(case, _NO_RULES) if change.reason else None
        step = Move("enroll", "waitlisted", on, change.line, None, detail)
        self.facts.move(student, course, step)
        return _waiting(request, student, course, on, "waitlisted")

    def decide_rows(
        self, adds: Adds, students: Sequence[StudentFact | Refusal]
    ) -> list[Decision | SeatedRows]:
        """Judge rows one after the other and move the facts forward, exactly as `decide` does.

        Args:
            adds: the rows.
            students: of each row.

        Returns:
            What came of them, in their order.
        """
        courses, seat = self.facts.courses, self.facts.seat
        ways = self._ways_of(adds, students)
        seated = SeatedRows(adds, 0, students, ways)
        found: list[Decision | SeatedRows] = [seated]
        results = seated.results
        rows: Any = zip(range(len(adds)), adds.lines, students, ways, adds.days, strict=True)
        for at, line, student, way, day in rows:
            if way is not None:
                course, seats, days, persons, today, undated, _, _, tests = way
                on, enrollments = day or undated, student.enrollments
                if course.mark in enrollments.written:
                    known = enrollments.find(course.mark)
                    if known is not None and known.status == "enrolled" and on <= today:
                        results.append("unchanged")
                        continue
                elif (
                    tests is not None
                    and on in days
                    and (student.status, student.tags, student.holds) in persons
                    and course.taken < seats  # as `has_open_seat` says, without a call
                    and not course.queue
                ):
                    if student.hours is None:
                        student.count(courses)
                    for is_plain in tests:
                        if not is_plain(student):
                            break
                    else:
                        if not (enrollments.waits and self._moves_on(student, course)):
                            seat(student, course, on, line, None)
                            results.append("enrolled")
                            continue
            found.append(self.decide(adds.request(at), student))
            seated = SeatedRows(adds, at + 1, students, ways)
            found.append(seated)
            results = seated.results
        return found

    def _moves_on(self, student: StudentFact, course: CourseFact) -> bool:
        """Tell whether a seat can be what a student lacks who waits for another course."""
        waits = waits_of(student, self.facts)  # none for most
        return any(other.is_taken_with(course.code) for other in waits)

    def _ways_of(self, adds: Adds, students: Sequence[StudentFact | Refusal]) -> list[_Way | None]:
        """Find the way of each row; there is none where student or course is not found."""
        courses = self.facts.courses
        if self._courses != len(courses):
            self._ways.clear()  # the quick tests know the courses that there were
            self._by_word.forget()
            self._courses = len(courses)
        ways = self._by_word.of(adds.courses, self._way_to)
        if Refusal in map(type, students):
            rows = zip(students, ways, strict=True)
            return [None if isinstance(by, Refusal) else way for by, way in rows]
        return ways

    def _way_to(self, word: CourseWord | int) -> _Way | None:
        """Find the way of everybody who adds a course, which does not depend on who asks."""
        return self._ways.get(word) or self._find(Change("enroll", word))

    def _find(self, add: Change) -> _Way | None:
        course = self.find_course(add, _NOBODY)
        if isinstance(course, Refusal):
            return None
        rules = rules_of(course, ADDING)
        days, persons = (
            self._welcome_of(course, [rule for rule in rules if rule.looks_at == what])
            for what in ("day", "person")
        )
        records = [rule for rule in rules if rule.looks_at == "record"]
        for_a_seat = [rule for rule in records if rule.counts != "place"]
        for_a_place = [rule for rule in records if rule.counts != "seat"]
        zone = course.term.time_zone
        way = self._ways[add.course] = _Way(
            course, open_seats(course), days, persons, self.policy.today(zone),
            self.policy.undated(zone), tuple(rule.judge for rule in for_a_seat),
            tuple(rule.judge for rule in for_a_place), self._tests(course, for_a_seat),
        )  # fmt: skip
        return way

    def _tests(self, course: CourseFact, rules: list[Rule]) -> tuple[IsPlain, ...] | None:
        """Make the quick tests of a course: one for each of some rules, or none at all."""
        quick = [rule.is_plain for rule in rules]
        if None in quick:
            return None
        made = (make(course, self.facts.courses) for make in dict.fromkeys(quick) if make)
        return tuple(is_plain for is_plain in made if is_plain is not everybody)

    def _welcome_of(self, course: CourseFact, rules: list[Rule]) -> _Welcome:
        """Find whom rules welcome in a course: the same in all courses where they see the same."""
        concerns = tuple((rule, rule.concerns(course)) for rule in rules)
        return self._welcome.setdefault((course.term.time_zone, concerns), _Welcome(rules))

"""What the rules read about students beside their own row: enrollments, holds, overrides."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import Connection, Executable
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.conditions import parse_corequisites, parse_requirements
from studentcli.database import StartAgain, list_parameter
from studentcli.facts import (
    NO_GRANTS,
    CourseFact,
    EnrollmentFact,
    Facts,
    Grant,
    HoldFact,
    Key,
    States,
    StudentFact,
    TermFact,
    mark_of_course,
)
from studentcli.meetings import parse as parse_meetings
from studentcli.requests import Adds, Request
from studentcli.services import statements
from studentcli.services.about import Asker
from studentcli.services.bulk import Load
from studentcli.services.events import UNDO, still_count
from studentcli.services.resolve import is_sqlite, read_text


@dataclass(frozen=True)
class Question:
    """What is to be read about some students.

    Args:
        connection: in the operation's transaction.
        students: locked.
        query: of `statements`, whose answer is one text if it is `in_one`.
        parameters: of the query.
    """

    connection: Connection
    students: Sequence[StudentFact]
    query: Executable
    parameters: dict[str, Any]
    in_one: bool

    def put(self) -> Any:
        """Run the query; gives an answer for `rows`."""
        found = self.connection.execute(self.query, self.parameters)
        return found.scalar_one() if self.in_one else found.all()

    def rows(self, answer: Any) -> Iterable[Any]:
        """Give the rows of an answer."""
        rows: Iterable[Any] = json.loads(answer) if self.in_one else answer
        return rows


class Found(NamedTuple):
    """Requests and rows, who asks for each, and what has to be read before they are decided."""

    asked: Sequence[Request | Adds]
    askers: list[Asker]
    question: Question | None


class Transcripts:
    """Reads the records of locked students into the facts.

    `waits` collects (student id, course id) of the queues in which they were found to wait.
    """

    def __init__(self, session: Session, facts: Facts, terms: Iterable[TermFact]) -> None:
        self.session = session
        self.facts = facts
        self.terms = {term.term_id: term for term in terms}
        self.is_sqlite = is_sqlite(session)
        self.waits: list[Key] = []
        self._courses = _CourseMarks()
        self._marks = _StateMarks(facts.states, is_sqlite=self.is_sqlite)
        self._locked: set[str] = set()
        self.load: Load | None = None
        self.is_about_leaving = False
        """Whether anybody leaves a course: another one may be taken together with it."""

    @property
    def met(self) -> Iterator[int]:
        """The ids of all courses in which the tables had them."""
        return map(int, self._courses)

    def expect_leaving(self) -> None:
        """Say that somebody leaves a course, also when records were read before that was known."""
        self.is_about_leaving = True
        self.__dict__.pop("reads_whole_records", None)

    def _list(self, values: Iterable[object]) -> object:
        return list_parameter(values, is_sqlite=self.is_sqlite)

    def _rows(self, query: Executable, parameters: dict[str, Any]) -> Iterable[Any]:
        return self.session.connection().execute(query, parameters)

    @cached_property
    def reads_whole_records(self) -> bool:
        """Whether any rule looks at a student's other courses.

        A simple catalogue needs no more than the pairs that are asked for.
        """
        return (
            self.is_about_leaving
            or any(
                course.has_sections
                or course.queue
                or course.waitlist_capacity
                or course.meetings
                or course.requires
                or course.corequisites
                or course.repeats is not None
                or course.term.max_credits is not None
                for course in self.facts.locked()
            )
            or any(student.max_credits is not None for student in self.facts.students.values())
        )

    def read(self, students: list[StudentFact], pairs: Iterable[Key] = ()) -> None:
        """Read the records of students that are not loaded yet, or only what is asked of them."""
        question = self.ask(students, pairs)
        if question is not None:
            self.take(question, self._rows(question.query, question.parameters))

    def ask(
        self, students: list[StudentFact], pairs: Iterable[Key] = (), *, in_one: bool = False
    ) -> Question | None:
        """Say what `read` has to read, if anything; the answer is to be taken (`take`).

        Args:
            students: locked.
            pairs: that are asked for; everything about the students when there are none.
            in_one: whether SQLite gives the answer in one piece. It takes as much memory, and
                another thread that reads it needs Python once and not for every row.
        """
        in_one = in_one and self.is_sqlite
        whole = self.reads_whole_records or not pairs
        parameters: dict[str, Any] = {}
        if whole:
            students = [student for student in students if not student.is_loaded]
            parameters["known"] = self._list(self.facts.courses)
        else:
            known = self.facts.students
            missing = sorted(k for k in pairs if k[1] not in known[k[0]].enrollments)
            if not missing:
                return None
            parameters = statements.pair_parameters(missing, is_sqlite=self.is_sqlite)
        if not students:
            return None
        parameters["students"] = self._list(student.student_id for student in students)
        query = statements.records(is_sqlite=self.is_sqlite, whole=whole, in_one=in_one)
        for student in students:
            student.is_loaded = whole
        return Question(self.session.connection(), students, query, parameters, in_one)

    def take(self, question: Question, rows: Iterable[Any]) -> None:
        """Take the answer to a question into the facts."""
        for student in question.students:
            student.holds, student.grants = (), NO_GRANTS
        self._locked = {course.mark for course in self.facts.locked()}
        put: dict[str, Callable[..., None]] = {
            statements.ENROLLMENTS: self._put_enrollments,
            statements.HOLD: self._put_hold,
            statements.GRANT: self._put_grant,
            statements.COURSE: self._put_course,
        }
        for kind, whose, *row in rows:
            try:
                put[kind](whose, *row)
            except ValueError:
                raise self._damaged(kind, whose) from None

    def _damaged(self, kind: str, whose: int) -> errors.DatabaseDamaged:
        student = self.facts.students.get(whose)
        of = "" if kind == statements.COURSE or student is None else f" of {student.number}"
        return errors.DatabaseDamaged(f"the {kind}{of} cannot be read")

    def _put_enrollments(
        self, student_id: int, _: None, courses: str, states: str, *__: None
    ) -> None:
        """Take the enrollments of a student in: of a nightly file as many as it has rows."""
        student = self.facts.students[student_id]
        student.recount()
        enrollments = student.enrollments
        numbers, texts = courses.split(statements.COMMA), states.split(statements.BREAK)
        of_courses = map(self._courses.__getitem__, numbers)
        of_states = list(map(self._marks.__getitem__, texts))
        if len(numbers) != len(texts):
            raise ValueError(states)
        pairs = list(map(add, of_courses, of_states))
        if not self._marks.enrolled.issuperset(of_states):
            self._mark_unsettled(student, pairs)
        if "" not in of_states and not enrollments.written:
            enrollments.written = "".join(pairs)
            return
        for number, pair, text in zip(numbers, pairs, texts, strict=True):
            if pair[0] in enrollments.written:
                continue  # moved since, and not written yet
            if pair[1:]:
                enrollments.written += pair
            else:
                self._put_enrollment(student, int(number), text)

    def _mark_unsettled(self, student: StudentFact, pairs: list[str]) -> None:
        """Note a student who stands otherwise than enrolled in a course that is locked."""
        enrolled, locked = self._marks.enrolled, self._locked
        if any(pair[1:] not in enrolled and pair[0] in locked for pair in pairs):
            self.facts.unsettled.add(student)

    def _put_enrollment(self, student: StudentFact, course_id: int, text: str) -> None:
        state, course = self._marks.read(text), self.facts.courses.get(course_id)
        if state.status == "waitlisted":
            self.waits.append((student.student_id, course_id))
            if course is not None and course.is_locked:
                state = course.queue[student.student_id]
        student.enrollments[course_id] = state

    def _put_hold(self, student_id: int, hold_id: int, *row: Any) -> None:
        blocks, kind, reason, _, from_on, until_on, *_ = row
        student = self.facts.students[student_id]
        hold = HoldFact(hold_id, kind, blocks, reason, _day(from_on), _day(until_on))
        student.holds = (*student.holds, hold)

    def _put_grant(self, student_id: int, course_id: int, *row: Any) -> None:
        rule, _, _, _, until_on, _, _, override_id = row
        student = self.facts.students[student_id]
        self.facts.grant(student, course_id, Grant(override_id, rule, _day(until_on)))

    def _put_course(self, term_id: int, course_id: int, *row: Any) -> None:
        """Take a course in that is only some student's other course."""
        code, section, meetings, asked, _, _, hundredths, _ = row
        corequisites, requires = asked.split("\n")
        if term_id not in self.terms:
            raise StartAgain  # the term was added meanwhile
        self.facts.courses[course_id] = CourseFact(
            course_id, self.terms[term_id], code, section,
            credit_hours=Decimal(hundredths) / 100,
            meetings=read_text(parse_meetings, meetings, f"meetings of {code}-{section}"),
            corequisites=read_text(
                parse_corequisites, corequisites or None, f"corequisites of {code}-{section}"
            ),
            requires=read_text(
                parse_requirements, requires or None, f"requires of {code}-{section}"
            ),
        )  # fmt: skip

    def read_recorded(self, keys: list[Key]) -> None:
        """Read what was recorded, and not undone, about pairs; promotions do not count."""
        if not keys:
            return
        if self.load is not None:
            self.load.show_events()
        query = statements.recorded(is_sqlite=self.is_sqlite)
        parameters = statements.pair_parameters(sorted(keys), is_sqlite=self.is_sqlite)
        found = list(self._rows(query, parameters))
        if any(row.action == UNDO for row in found):
            found = _without_undone(found)
        recorded: dict[Key, list[tuple[str, date, str | None]]] = {}
        for student_id, course_id, on, grade, _, _, action, _ in found:
            recorded.setdefault((student_id, course_id), []).append((action, on, grade))
        for (student_id, course_id), said in recorded.items():
            enrollments = self.facts.students[student_id].enrollments
            known = enrollments[course_id]
            changed_on = known.changed_on if known.is_moved else max(on for _, on, _ in said)
            own = replace(known, recorded=(*known.recorded, *said), changed_on=changed_on)
            enrollments[course_id] = own
            if known.status == "waitlisted":
                self.facts.courses[course_id].queue[student_id] = own


class _CourseMarks(dict[str, str]):
    """The marks of courses, by their ids as text; all that were met stay here."""

    def __missing__(self, course_id: str) -> str:
        mark = self[course_id] = mark_of_course(int(course_id))
        return mark


class _StateMarks(dict[str, str]):
    """The marks of states, by their texts; "" for a state that has none."""

    def __init__(self, states: States, *, is_sqlite: bool) -> None:
        super().__init__()
        self.enrolled: set[str] = set()
        """The marks of who is enrolled."""
        self._states = states
        self._day = date.fromisoformat if is_sqlite else _from_ordinal

    def __missing__(self, text: str) -> str:
        state = self.read(text)
        mark = self._states.mark(state)
        if mark is None:
            return ""
        if state.status == "enrolled":
            self.enrolled.add(mark)
        self[text] = mark
        return mark

    def read(self, text: str) -> EnrollmentFact:
        """Give the state of an enrollment as `statements.records` writes it.

        Raises:
            ValueError: for what that does not write.
        """
        status, enrolled_on, since, *more = text.split(" ", 5)
        place, instead_of, grade = more or ("0", "0", "")
        day = self._day(since)
        return EnrollmentFact(
            status, self._day(enrolled_on), day, day, int(place) or None, grade or None,
            int(instead_of) or None,
        )  # fmt: skip


def _from_ordinal(text: str) -> date:
    return date.fromordinal(int(text))


def _day(value: Any) -> Any:
    """Give a date that is stored: SQLite holds it as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def _without_undone(rows: list[Any]) -> list[Any]:
    """Leave out what was undone, pair by pair."""
    found: list[Any] = []
    rows.sort(key=lambda row: (row.student_id, row.course_id, row.id))
    for _, mine in groupby(rows, key=lambda row: (row.student_id, row.course_id)):
        taken = list(mine)
        places = still_count((row.operation_id, row.action, row.undoes) for row in taken)
        found += [taken[place] for place in places]
    return found

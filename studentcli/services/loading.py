"""Facts from the database: locked in one global order, then read, in few set-based statements.

Courses by id, then students by id, all before the first decision. A single request and a file of
a million rows take the same path; only the sets differ.
"""

import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import astuple
from sys import intern
from typing import Any, Final

from sqlalchemy import Executable, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.columns import Lookup
from studentcli.conditions import parse_tags
from studentcli.database import Further, StartAgain, list_parameter, listed_in
from studentcli.facts import (
    CourseFact,
    EnrollmentFact,
    Enrollments,
    Facts,
    Key,
    StudentFact,
)
from studentcli.models import Course
from studentcli.requests import (
    Adds,
    CourseWord,
    Decision,
    Policy,
    Refusal,
    Request,
    Wanted,
)
from studentcli.rules import Decider, SeatedRows
from studentcli.services import about, statements
from studentcli.services.resolve import (
    CourseIndex,
    is_sqlite,
    load_courses,
    load_names,
    load_terms,
    possible_codes,
)
from studentcli.services.transcripts import Found, Transcripts

Decided = Decision | SeatedRows

MOMENT: Final = 0.1
"""Seconds after which a lock was waited for: longer than taking it takes."""
MANY: Final = 10_000
"""Students of whom reading who waits anywhere is quicker than reading all their enrollments."""


class Deciding:
    """The facts of one operation and the decisions over them.

    Args:
        session: in the operation's transaction.
        policy: how to judge.
        term: the term named for the whole operation.
    """

    def __init__(self, session: Session, policy: Policy, term: str | None = None) -> None:
        self.session = session
        self.policy = policy
        self.facts = Facts()
        self.is_sqlite = is_sqlite(session)
        self.locks = not session.info.get("forecast", False)
        self.further: Further = session.info.get("further", Further())
        self.terms = load_terms(session)
        self.index = CourseIndex(self.terms, [], policy, term)
        self.numbers: dict[str | int, StudentFact] = {}
        self._students = Lookup()
        self._met_anew: dict[StudentFact, None] = {}
        """Who was found among those locked, and whose record was not read then."""
        self.transcripts = Transcripts(session, self.facts, self.terms)
        self._movable: set[int] = set()
        self._decider: Decider | None = None
        self.reads_named = True
        """Whether the records of named students are read with those of the queues, or later."""

    # ── locks ──

    def lock(self, wanted: Wanted) -> None:
        """Lock and load the courses, their seats and queues, and the students.

        The courses are those named, those in whose queues the named students wait, and those that
        a promotion would free or unblock.
        """
        course_ids = self._course_ids(wanted)
        self.lock_courses(course_ids, wanted.students, wanted.student_ids)
        self.transcripts.is_about_leaving = any(
            change.action != "enroll" for change in wanted.changes.values()
        )
        self._movable |= {
            course.course_id
            for change in wanted.changes.values()
            if change.action != "enroll"
            for course in self.index.possible(change)
        }
        self.lock_students(wanted.students, wanted.student_ids)
        can_change = self.locks and not self.is_sqlite
        if can_change and not self._course_ids(wanted) <= course_ids:
            raise StartAgain

    def _course_ids(self, wanted: Wanted) -> set[int]:
        """Find the courses that the changes can mean, without a lock."""
        words = [c.course for c in wanted.changes.values() if isinstance(c.course, CourseWord)]
        ids = {
            change.course for change in wanted.changes.values() if isinstance(change.course, int)
        }
        if not words:
            return ids
        listed = listed_in(Course.code, sorted(possible_codes(words)), is_sqlite=self.is_sqlite)
        named = load_names(self.session, self.terms, listed)
        index = CourseIndex(self.terms, named, self.policy, self.index.default_term)
        self.index.codes |= index.codes
        for change in wanted.changes.values():
            ids.update(course.course_id for course in index.possible(change))
        return ids

    def lock_courses(
        self,
        course_ids: set[int],
        numbers: Iterable[str] = (),
        student_ids: Iterable[int] = (),
    ) -> None:
        """Lock courses and those in which students wait, by id; then read seats and queues."""
        numbers, student_ids = list(numbers), list(student_ids)
        course_ids = course_ids | self.further.courses
        if not (course_ids or numbers or student_ids):
            return
        is_many = len(numbers) + len(student_ids) >= MANY
        query = statements.courses(is_sqlite=self.is_sqlite, locks=self.locks, many=is_many)
        lists: dict[str, Iterable[object]]
        lists = {"courses": sorted(course_ids), "numbers": numbers, "ids": student_ids}
        self._take_courses(query, {name: self._list(values) for name, values in lists.items()})

    def _take_courses(self, query: Executable, parameters: dict[str, object]) -> set[int]:
        """Load courses under lock, with seats and queues; gives their ids."""
        began = time.monotonic()
        courses = load_courses(self.session, self.terms, query, parameters)
        if self.locks and time.monotonic() - began > MOMENT:
            self._require_terms()
        found = {course.course_id: course for course in courses}
        for course in courses:
            course.is_locked = True
            self.index.add(course)
        self.facts.courses.update(found)
        self._decider = None  # it knows the courses by what they were
        if found:
            self._load_seats_and_queues(found)
        return set(found)

    def _require_terms(self) -> None:
        """Start again when a term has changed while others held the courses."""
        if list(map(astuple, load_terms(self.session))) != list(map(astuple, self.terms)):
            raise StartAgain

    def _list(self, values: Iterable[object]) -> object:
        return list_parameter(values, is_sqlite=self.is_sqlite)

    def _rows(self, query: Executable, parameters: dict[str, Any]) -> Iterable[Any]:
        return self.session.connection().execute(query, parameters)

    def _load_seats_and_queues(self, courses: dict[int, CourseFact]) -> None:
        """Count the seats taken, where they are limited, and read the queues."""
        reserved = [course_id for course_id, c in courses.items() if c.reserved]
        limited = [
            course_id
            for course_id, c in courses.items()
            if c.capacity is not None and not c.reserved
        ]
        lists = {"courses": self._list(courses), "limited": self._list(limited)}
        if reserved:
            lists["reserved"] = self._list(reserved)
        query = statements.seats_and_queues(is_sqlite=self.is_sqlite, by_tags=bool(reserved))
        for row in self._rows(query, lists):
            course_id, taken, student_id, enrolled_on, since, place, instead_of, tags = row
            course = courses[course_id]
            if student_id is None:
                course.count(parse_tags(tags), taken)
            else:
                course.queue[student_id] = EnrollmentFact(
                    "waitlisted", enrolled_on, since, changed_on=since, place=place,
                    instead_of=instead_of,
                )  # fmt: skip

    def count_seats(self, course: CourseFact) -> None:
        """Count anew who of a tag has one of the seats that are reserved for it."""
        course.taken, course.filled = 0, {}
        query = statements.seats_by_tags(is_sqlite=self.is_sqlite)
        for _, taken, *_, tags in self._rows(query, {"reserved": self._list([course.course_id])}):
            course.count(parse_tags(tags), taken)

    def read_records(self, student_ids: Iterable[int]) -> None:
        """Read the whole records of locked students."""
        students = self.facts.students
        self.transcripts.read([students[sid] for sid in sorted(student_ids) if sid in students])

    def require_waits_locked(self, student_ids: Container[int]) -> None:
        """Start again when a student has joined a queue since the courses were locked."""
        waits = {course_id for sid, course_id in self.transcripts.waits if sid in student_ids}
        unlocked = {course_id for course_id in waits if not self._is_locked(course_id)}
        if unlocked:
            raise StartAgain(courses=unlocked)
        self.transcripts.waits.clear()

    def let_move(self, course_ids: Iterable[int]) -> None:
        """Say that a seat of these courses can become free, before the students are locked."""
        self._movable.update(course_ids)

    def lock_students(self, numbers: Iterable[str], student_ids: Iterable[int]) -> None:
        """Lock the named students and those of the queues that can move, by id.

        Then what a promotion would free or unblock, until there is nothing more.
        """
        self._take_students(numbers, student_ids, self._queued() | self.further.students)
        self._follow_moves()

    def let_move_now(self, course_ids: Iterable[int]) -> None:
        """Say that seats of locked courses become free, after the students were locked."""
        self._movable.update(course_ids)
        self.transcripts.expect_leaving()
        self._students.forget()  # more may have to be read of who was found before
        queued = self._queued()
        self._take_students((), (), queued - self.facts.students.keys(), further=True)
        if queued:
            self.read_records(queued)
        self._follow_moves()

    def _follow_moves(self) -> None:
        while further := self._moved_along():
            self._lock_out_of_turn({c for c in further if not self._is_locked(c)})
            self._movable |= further
            self._take_students((), (), self._queued() - self.facts.students.keys(), further=True)

    def _lock_out_of_turn(self, course_ids: set[int]) -> None:
        """Lock further courses: without waiting for whoever holds one, it could be a deadlock."""
        if not course_ids:
            return
        query = statements.further_courses(is_sqlite=self.is_sqlite, locks=self.locks)
        found = self._take_courses(query, {"courses": self._list(sorted(course_ids))})
        if found != course_ids:
            self._require_courses(course_ids - found)
            raise StartAgain(courses=course_ids - found)

    def _require_courses(self, course_ids: set[int]) -> None:
        """Stop when a swap gives up a course that is not there: no waiting would bring it."""
        listed = listed_in(Course.id, sorted(course_ids), is_sqlite=self.is_sqlite)
        missing = course_ids - set(self.session.scalars(select(Course.id).where(listed)))
        if missing:
            raise errors.DatabaseDamaged(
                f"a place in a queue gives up course id {min(missing)}, which does not exist",
                hint="studentcli db check says whose it is",
            )

    def _queued(self) -> set[int]:
        """List the students of the queues that can move."""
        return {
            student_id
            for course in self.facts.locked()
            if self._can_move(course)
            for student_id in course.queue
        }

    def _take_students(
        self,
        numbers: Iterable[str],
        student_ids: Iterable[int],
        queued: set[int],
        *,
        further: bool = False,
    ) -> None:
        """Load students under lock; those of the queues with their records."""
        ids = queued.union(student_ids)
        wanted: dict[str, list[Any]] = {"numbers": sorted(numbers), "ids": sorted(ids)}
        lists = {name: self._list(values) for name, values in wanted.items() if values}
        if lists:
            self._students.forget()
            query = statements.students(
                is_sqlite=self.is_sqlite, locks=self.locks, by=tuple(lists), further=further
            )
            for student_id, number, status, max_credits, tags in self._rows(query, lists):
                mine = Enrollments(self.facts.states)
                # One text for all who are in a status: it is compared for every row.
                student = StudentFact(
                    student_id, number, intern(status), max_credits, parse_tags(tags), mine
                )
                self.facts.students[student_id] = self.numbers[number] = student
        if further and not queued <= self.facts.students.keys():
            raise StartAgain(students=queued - self.facts.students.keys())
        if queued:
            self.read_records(ids if self.reads_named else queued)

    def _moved_along(self) -> set[int]:
        """List the courses that a promotion could free or unblock and whose queue is not read yet.

        The old course of a swap, and what a promoted student waits for: everything after a swap,
        else what is taken together with the course.
        """
        courses, needed = self.facts.courses, set[int]()
        for course in self.facts.locked():
            if not self._can_move(course):
                continue
            for student_id, queued in course.queue.items():
                if queued.instead_of is not None:
                    needed.add(queued.instead_of)
                for course_id, enrollment in self.facts.students[student_id].enrollments.items():
                    other = courses[course_id]
                    if enrollment.status == "waitlisted" and not other.is_locked:
                        is_moved = queued.instead_of or other.is_taken_with(course.code)
                        needed.update({course_id} if is_moved else ())
        return {
            course_id
            for course_id in needed
            if not self._is_locked(course_id) or not self._can_move(courses[course_id])
        }

    def _can_move(self, course: CourseFact) -> bool:
        """Tell whether a locked course has a free seat, or can get one."""
        return course.has_free_seat or course.course_id in self._movable

    def _is_locked(self, course_id: int) -> bool:
        course = self.facts.courses.get(course_id)
        return course is not None and course.is_locked

    # ── requests ──

    def load(self, asked: Sequence[Request | Adds]) -> list[about.Asker]:
        """Load what the rules read about the students; gives who asks, for each item."""
        found = self.find(asked)
        return self.take(found, found.question and found.question.put())

    def find(self, asked: Sequence[Request | Adds], *, in_one: bool = False) -> Found:
        """Find who asks, and what has to be read for it; `in_one` as `Transcripts.ask` has it.

        The answer is to be taken before these are decided, and after all that were found before.
        """
        askers = [
            self._students.of(item.students, self._student)
            if isinstance(item, Adds)
            else self._student(item.student)
            for item in asked
        ]
        students, pairs = self._met_anew, set[Key]()
        if not self.transcripts.reads_whole_records:
            students = dict.fromkeys(about.students_among(askers))
            pairs = set(about.pairs(self.index, asked, askers))
        question = self.transcripts.ask(list(students), pairs, in_one=in_one)
        self._met_anew.clear()
        return Found(asked, askers, question)

    def take(self, found: Found, answer: Any) -> list[about.Asker]:
        """Take in the answer to the question about them; gives who asks, for each item."""
        asked, askers, question = found
        if question is not None:
            self.transcripts.take(question, question.rows(answer))
        if self.transcripts.waits:
            self.require_waits_locked({s.student_id for s in about.students_among(askers)})
        if any(map(self._is_locked, self.transcripts.met)):
            back_dated = about.back_dated(self.index, asked, askers, self.facts.unsettled)
            self.transcripts.read_recorded(back_dated)
        return askers

    def _student(self, key: str | int) -> StudentFact | Refusal:
        """Find a student among those locked."""
        found = self.facts.students.get(key) if isinstance(key, int) else self.numbers.get(key)
        if found is None:
            return Refusal("unknown-student", f"there is no student {key}")
        if not found.is_loaded:
            self._met_anew[found] = None
        return found

    def decide(self, requests: list[Request]) -> list[Decision]:
        """Load what requests are about, and decide them in their order."""
        askers = self.load(requests)
        decided = map(self.decide_next, requests, askers)
        return [decision for (decision,) in decided if isinstance(decision, Decision)]

    def decide_next(self, asked: Request | Adds, by: about.Asker) -> Sequence[Decided]:
        """Decide a request, or rows, that were loaded; gives what came of it, in its order."""
        if self._decider is None:
            self._decider = Decider(self.index.find_for, self.facts, self.policy)
        if isinstance(asked, Adds):
            return self._decider.decide_rows(asked, by)
        return [self._decider.decide(asked, by)]

    def forget(self) -> None:
        """Let go of everybody: all is decided, and the memory is wanted for other things."""
        self.facts.students.clear()
        self.facts.unsettled.clear()
        self.numbers.clear()
        self._met_anew.clear()
        self._students.forget()

"""Facts from the database: locked in one global order, then read, in few set-based statements.

Courses by id, then students by id, all before the first decision. A single request and a file of
a million rows take the same path; only the sets differ.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Executable, select
from sqlalchemy.orm import Session

from studentcli.database import StartAgain, list_parameter, listed_in
from studentcli.facts import CourseFact, EnrollmentFact, Facts, Key, StudentFact
from studentcli.models import Course
from studentcli.requests import (
    CourseWord,
    Decision,
    Policy,
    Refusal,
    Request,
    Wanted,
)
from studentcli.rules import decide
from studentcli.services import statements
from studentcli.services.bulk import IndexPause
from studentcli.services.resolve import (
    CourseIndex,
    is_sqlite,
    load_courses,
    load_terms,
    possible_codes,
)


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
        self.terms = load_terms(session)
        self.index = CourseIndex(self.terms, [], policy, term)
        self.numbers: dict[str, StudentFact] = {}
        self.index_pause: IndexPause | None = None

    def listed(self, column: object, values: Iterable[object]) -> ColumnElement[bool]:
        """Compare a column with a list of any length."""
        condition: ColumnElement[bool] = listed_in(column, values, is_sqlite=self.is_sqlite)
        return condition

    def lock(self, wanted: Wanted) -> None:
        """Lock and load the courses, their seats and queues, and the students."""
        course_ids = self._course_ids(wanted)
        self.lock_courses(course_ids)
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
        query = select(Course.id, Course.term_id, Course.code, Course.section).where(
            self.listed(Course.code, sorted(possible_codes(words)))
        )
        by_id = {term.term_id: term for term in self.terms}
        named = [
            CourseFact(course_id, by_id[term_id], code, section)
            for course_id, term_id, code, section in self.session.execute(query)
            if term_id in by_id
        ]
        index = CourseIndex(self.terms, named, self.policy, self.index.default_term)
        for change in wanted.changes.values():
            ids.update(course.course_id for course in index.possible(change))
        return ids

    def lock_courses(self, course_ids: set[int]) -> None:
        """Lock courses by id, then read their seats and queues in new statements."""
        if not course_ids:
            return
        query = statements.courses(is_sqlite=self.is_sqlite, locks=self.locks)
        courses = load_courses(
            self.session, self.terms, query, {"courses": self._list(sorted(course_ids))}
        )
        self.index = CourseIndex(self.terms, courses, self.policy, self.index.default_term)
        self.facts.courses = {course.course_id: course for course in courses}
        self._load_seats_and_queues()

    def _list(self, values: Iterable[object]) -> object:
        return list_parameter(values, is_sqlite=self.is_sqlite)

    def _rows(self, query: Executable, parameters: dict[str, object]) -> Iterable[Any]:
        return self.session.connection().execute(query, parameters)

    def _load_seats_and_queues(self) -> None:
        """Count the seats taken, where they are limited, and read the queues."""
        courses = self.facts.courses
        limited = [course_id for course_id, c in courses.items() if c.capacity is not None]
        query = statements.seats_and_queues(is_sqlite=self.is_sqlite)
        lists = {"courses": self._list(courses), "limited": self._list(limited)}
        for course_id, taken, student_id, enrolled_on, since, place in self._rows(query, lists):
            course = courses[course_id]
            if student_id is None:
                course.taken = taken
            else:
                course.enrollments[student_id] = course.queue[student_id] = EnrollmentFact(
                    "waitlisted", enrolled_on, since, changed_on=since, place=place
                )

    def lock_students(self, numbers: Iterable[str], student_ids: Iterable[int]) -> None:
        """Lock the named students and those of the queues, by id."""
        ids = set(student_ids)
        for course in self.facts.courses.values():
            ids.update(course.queue)
        wanted: dict[str, list[Any]] = {"numbers": sorted(numbers), "ids": sorted(ids)}
        lists = {name: self._list(values) for name, values in wanted.items() if values}
        if not lists:
            return
        query = statements.students(is_sqlite=self.is_sqlite, locks=self.locks, by=tuple(lists))
        for row in self._rows(query, lists):
            student = StudentFact(*row)
            self.facts.students[student.student_id] = student
            self.numbers[student.number] = student

    def student(self, request: Request) -> StudentFact | Refusal:
        """Find the student of a request among those locked."""
        key = request.student
        found = self.facts.students.get(key) if isinstance(key, int) else self.numbers.get(key)
        return found or Refusal("unknown-student", f"there is no student {key}")

    def load(self, requests: list[Request]) -> list[StudentFact | Refusal]:
        """Load the enrollments that requests are about; gives the student of each request."""
        students = [self.student(request) for request in requests]
        self._load_enrollments(requests, students)
        return students

    def decide(
        self, requests: list[Request], students: list[StudentFact | Refusal] | None = None
    ) -> list[Decision]:
        """Decide requests in their order, loading what they are about unless `load` has done so."""
        if students is None:
            students = self.load(requests)
        facts, policy, find_course = self.facts, self.policy, self.index.find_for
        return [
            decide(request, student, find_course, facts, policy)
            for request, student in zip(requests, students, strict=True)
        ]

    def _load_enrollments(
        self, requests: list[Request], students: list[StudentFact | Refusal]
    ) -> None:
        """Look up the pairs of the requests, and for old dates what was recorded about them."""
        earliest: dict[Key, date] = {}
        possible = self.index.possible
        for request, student in zip(requests, students, strict=True):
            if isinstance(student, Refusal):
                continue
            student_id = student.student_id
            for change in request.changes:
                on = change.effective_on or date.max
                for course in possible(change):
                    key = (student_id, course.course_id)
                    if key not in earliest or on < earliest[key]:
                        earliest[key] = on
        courses = self.facts.courses
        known = [key for key in earliest if key[0] in courses[key[1]].enrollments]
        found = self._read_pairs(sorted(earliest.keys() - known if known else earliest))
        self._read_recorded(
            [
                key
                for key in (*known, *found)
                if earliest[key] <= courses[key[1]].enrollments[key[0]].status_since
            ]
        )

    def _read_pairs(self, keys: list[Key]) -> list[Key]:
        """Look up enrollments, the waitlisted aside; gives the keys that have one."""
        if not keys:
            return []
        query = statements.enrollments(is_sqlite=self.is_sqlite)
        parameters = statements.pair_parameters(keys, is_sqlite=self.is_sqlite)
        found = []
        for row in self._rows(query, parameters):
            student_id, course_id, status, enrolled_on, since, grade = row
            self.facts.courses[course_id].enrollments[student_id] = EnrollmentFact(
                status, enrolled_on, since, changed_on=since, grade=grade
            )
            found.append((student_id, course_id))
        return found

    def _read_recorded(self, keys: list[Key]) -> None:
        """Read what was recorded, and not undone, about pairs; promotions do not count."""
        if not keys:
            return
        if self.index_pause is not None:
            self.index_pause.end(of="enrollment_events")
        query = statements.recorded(is_sqlite=self.is_sqlite)
        parameters = statements.pair_parameters(sorted(keys), is_sqlite=self.is_sqlite)
        latest: dict[Key, date] = {}
        for student_id, course_id, action, on, grade in self._rows(query, parameters):
            key = (student_id, course_id)
            enrollment = self.facts.courses[course_id].enrollments.get(student_id)
            if enrollment is not None:
                enrollment.recorded = (*enrollment.recorded, (action, on, grade))
                latest[key] = max(on, latest.get(key, on))
        for key, on in latest.items():
            enrollment = self.facts.courses[key[1]].enrollments.get(key[0])
            if enrollment is not None and not enrollment.is_moved:
                enrollment.changed_on = on

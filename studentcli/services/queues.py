"""Queues after a change of what the rules read: whoever can sit down now gets the seat.

A hold, an override, a record of the catalogue: the courses that it can move are locked first, the
change is written, then the queues are run in the same transaction.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from studentcli.database import listed_in
from studentcli.facts import CourseFact, Event, Grant, StudentFact
from studentcli.models import Course, StudentCourses, Term
from studentcli.records import COURSE, STUDENT, Field, RecordKind
from studentcli.requests import Policy, Promotion
from studentcli.rules import run_queues
from studentcli.services.loading import Deciding
from studentcli.services.operations import Act
from studentcli.services.resolve import READERS, is_sqlite
from studentcli.services.writer import write_facts
from studentcli.vocabulary import SEATED_STATUSES

FACT_NAMES: Final = {"max_credit_hours": "max_credits"}
"""Where a fact is called otherwise than its column."""


@dataclass
class QueueRun:
    """Courses locked for a change of what the rules read, to be offered to their queues after it.

    `touched` takes the ids of those where the change can let somebody in; `passed_over` holds the
    events of those whom `finish` could not give a free seat.
    """

    session: Session
    deciding: Deciding
    act: Act
    touched: set[int] = field(default_factory=set)
    passed_over: list[Event] = field(default_factory=list)

    def courses(self) -> list[CourseFact]:
        """List the locked courses."""
        return list(self.deciding.facts.locked())

    def student(self, student_id: int) -> StudentFact | None:
        """Give a student who was locked."""
        return self.deciding.facts.students.get(student_id)

    def read(self, student_ids: set[int]) -> None:
        """Read the records of locked students, unless they are known."""
        self.deciding.read_records(student_ids)
        self.deciding.require_waits_locked(student_ids)

    def touch_waits(self, student_ids: Iterable[int]) -> None:
        """Say that what the rules read about students has changed."""
        for student_id in student_ids:
            self.touched.update(c.course_id for c in self.courses() if student_id in c.queue)

    def lift(self, student_id: int, hold_ids: Container[int]) -> None:
        """Let the queues see that holds block a student no longer."""
        student = self.deciding.facts.students[student_id]
        student.holds = tuple(hold for hold in student.holds if hold.hold_id not in hold_ids)
        self.touch_waits([student_id])

    def grant(self, student_id: int, course_id: int, grant: Grant) -> None:
        """Let the queues see an override, which replaces those of its rule.

        One for the old course of a swap counts in the queue of the new one.
        """
        facts = self.deciding.facts
        student = facts.students[student_id]
        kept = [g for g in student.grants.get(course_id, ()) if g.rule != grant.rule]
        student.grants = {**student.grants, course_id: tuple(kept)}
        facts.grant(student, course_id, grant)
        self.touch_waits([student_id])

    def see(self, kind: RecordKind, record_id: int, changes: dict[Field, Any]) -> None:
        """Let the queues see a changed record, also in a forecast that writes nothing."""
        if kind is STUDENT:
            self._see_student(record_id, changes)
        elif kind is COURSE:
            self._see_course(record_id, changes)
        else:
            of_term = [c for c in self.courses() if c.term.term_id == record_id]
            if of_term:
                _set(of_term[0].term, changes)
            self._touch(of_term, changes)

    def _see_student(self, student_id: int, changes: dict[Field, Any]) -> None:
        student = self.student(student_id)
        if student is None:
            return
        seats = [c for c in self.courses() if c.reserved and _has_seat(student, c)]
        for course in seats:
            course.count(student.tags, -1)
        _set(student, changes)
        for course in seats:
            course.count(student.tags, 1)
        self._touch([*seats, *(c for c in self.courses() if student_id in c.queue)], changes)

    def _see_course(self, course_id: int, changes: dict[Field, Any]) -> None:
        course = self.deciding.facts.courses.get(course_id)
        if course is None:
            return
        _set(course, changes)
        course.meet(course.meetings)
        for student in self.deciding.facts.students.values():
            student.recount()
        touched = [course]
        names = {changed.name for changed in changes}
        if names & {"capacity", "reserved"}:
            self.deciding.count_seats(course)
        if names & {"meetings", "credits"}:
            facts = self.deciding.facts
            touched += [
                other
                for other in self.courses()
                if any(_has_seat(facts.students[student_id], course) for student_id in other.queue)
            ]
        self._touch(touched, changes)

    def _touch(self, courses: Iterable[CourseFact], changes: dict[Field, Any]) -> None:
        if any(changed.moves_queue for changed in changes):
            self.touched.update(course.course_id for course in courses)

    def finish(self, operation_id: int | None) -> list[Promotion]:
        """Run the queues that were touched, in the order of course ids, and write what moved."""
        facts = self.deciding.facts
        touched = [facts.courses[course_id] for course_id in sorted(self.touched)]
        promotions = run_queues(touched, facts, self.deciding.policy)
        self.passed_over = [event for event in facts.told() if event.action == "pass-over"]
        if operation_id is not None:
            write_facts(self.session, facts, operation_id, self.act.now)
        return promotions


def _set(fact: Any, changes: dict[Field, Any]) -> None:
    for changed, value in changes.items():
        name = FACT_NAMES.get(changed.attribute, changed.attribute)
        if hasattr(fact, name):
            setattr(fact, name, READERS[name](value) if name in READERS else value)


def _has_seat(student: StudentFact, course: CourseFact) -> bool:
    enrollment = student.enrollments.get(course.course_id)
    return enrollment is not None and enrollment.is_seated


def lock_queues(
    session: Session,
    act: Act,
    course_ids: set[int],
    student_ids: set[int] | None = None,
    *,
    reads: Container[int] | None = None,
) -> QueueRun:
    """Lock courses, those in which students wait, their queues, and the students.

    Args:
        session: from `Database.write`.
        act: the operation that changes them.
        course_ids: the courses whose seats or rules change.
        student_ids: the students about whom something changes.
        reads: of which of them the records are read, when not of all: they can be very many, and
            then `QueueRun.read` reads some at a time.

    Returns:
        The locked facts, whose `finish` runs the queues once the change is written.
    """
    deciding = Deciding(session, Policy(act.now))
    students = student_ids or set()
    deciding.lock_courses(course_ids, student_ids=students)
    deciding.let_move(deciding.facts.courses)
    deciding.reads_named = reads is None
    deciding.lock_students((), students)
    run = QueueRun(session, deciding, act)
    run.read(students if reads is None else {one for one in students if one in reads})
    return run


def courses_moved_by_students(session: Session, student_ids: Iterable[int]) -> set[int]:
    """Find where students wait, and where they sit on what may be a reserved seat."""
    query = (
        select(StudentCourses.course_id)
        .join(Course, Course.id == StudentCourses.course_id)
        .where(
            listed_in(StudentCourses.student_id, student_ids, is_sqlite=is_sqlite(session)),
            or_(StudentCourses.status == "waitlisted", Course.reserved.is_not(None)),
        )
    )
    return set(session.scalars(query.distinct()))


def courses_moved_by_courses(session: Session, course_ids: set[int]) -> set[int]:
    """Find where the students wait who have a seat in courses, and the courses themselves."""
    seat, wait = aliased(StudentCourses), aliased(StudentCourses)
    query = (
        select(wait.course_id)
        .join(seat, seat.student_id == wait.student_id)
        .where(
            listed_in(seat.course_id, course_ids, is_sqlite=is_sqlite(session)),
            seat.status.in_(SEATED_STATUSES),
            wait.queue_place.is_not(None),
        )
    )
    return course_ids | set(session.scalars(query.distinct()))


def courses_moved_by_terms(session: Session, codes: Iterable[str]) -> set[int]:
    """Find the courses of terms that have a queue."""
    query = (
        select(StudentCourses.course_id)
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(
            StudentCourses.status == "waitlisted",
            listed_in(Term.code, codes, is_sqlite=is_sqlite(session)),
        )
    )
    return set(session.scalars(query.distinct()))

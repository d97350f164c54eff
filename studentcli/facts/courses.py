"""A course with its term, its seats and its queue."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from studentcli.conditions import Required, Reservation, TagTerm
from studentcli.facts.people import StudentFact
from studentcli.facts.standing import EnrollmentFact, mark_of_course
from studentcli.meetings import Meeting, week_of
from studentcli.vocabulary import SEATED_STATUSES


@dataclass(slots=True, eq=False)
class TermFact:
    """A term and its calendar; dates are inclusive, in its time zone."""

    term_id: int
    code: str
    time_zone: str = "UTC"
    starts_on: date | None = None
    ends_on: date | None = None
    enroll_from: date | None = None
    enroll_until: date | None = None
    drop_until: date | None = None
    withdraw_until: date | None = None
    max_credits: Decimal | None = None
    max_waitlists: int | None = None
    grades: str | None = None


@dataclass(slots=True, eq=False)
class CourseFact:
    """A course with its seats and its queue.

    `queue` leads from the student's id to the waitlisted enrollment, in the order of places.
    `filled` counts, for every reservation, who of its tag has a seat. `has_sections` says whether
    the term has further sections of the code, `week` when it meets, as of a student. Of a course
    that is only some student's other course, and not `is_locked`, seats and queue are not known.
    """

    course_id: int
    term: TermFact
    code: str
    section: str
    status: str = "open"
    capacity: int | None = None
    waitlist_capacity: int = 0
    taken: int = 0
    queue: dict[int, EnrollmentFact] = field(default_factory=dict)
    ref: str = ""
    is_locked: bool = False
    credit_hours: Decimal = Decimal(0)
    repeats: int | None = None
    requires: tuple[tuple[Required, ...], ...] = ()
    corequisites: tuple[tuple[str, ...], ...] = ()
    meetings: tuple[Meeting, ...] = ()
    restricted: tuple[tuple[TagTerm, ...], ...] = ()
    reserved: tuple[Reservation, ...] = ()
    enroll_from: date | None = None
    enroll_until: date | None = None
    drop_until: date | None = None
    withdraw_until: date | None = None
    filled: dict[str, int] = field(default_factory=dict)
    has_sections: bool = False
    has_extra_seats: bool = False
    """Whether somebody in the queue was granted a seat beyond the capacity or a reserved one."""

    week: int = 0
    mark: str = field(init=False)
    """How it is written among a student's enrollments."""

    def __post_init__(self) -> None:
        self.ref = f"{self.term.code}/{self.code}-{self.section}"
        self.mark = mark_of_course(self.course_id)
        self.meet(self.meetings)

    def meet(self, meetings: tuple[Meeting, ...]) -> None:
        """Set when it meets."""
        self.meetings, self.week = meetings, week_of(meetings)

    @property
    def has_free_seat(self) -> bool:
        """Whether somebody could sit down, reservations aside."""
        return self.capacity is None or self.taken < self.capacity

    @property
    def window(self) -> tuple[date | None, date | None]:
        """First and last day for adds: its own, else the term's."""
        term = self.term
        return self.enroll_from or term.enroll_from, self.enroll_until or term.enroll_until

    @property
    def last_drop(self) -> date | None:
        """Last day for drops: its own, else the term's."""
        return self.drop_until or self.term.drop_until

    @property
    def last_withdrawal(self) -> date | None:
        """Last day for withdrawals: its own, else the term's."""
        return self.withdraw_until or self.term.withdraw_until

    def is_taken_with(self, code: str) -> bool:
        """Whether being enrolled in another code can be what this course asks for."""
        return any(code in group for group in self.corequisites) or any(
            item.code == code and item.in_progress for group in self.requires for item in group
        )

    @property
    def next_place(self) -> int:
        """The place of the next newcomer: one more than the last of the queue has."""
        last = next(reversed(self.queue.values()), None)
        return 1 if last is None or last.place is None else last.place + 1

    def position_of(self, student_id: int | None) -> int | None:
        """Give the position in the queue, from 1, or none; of the last one without counting."""
        if student_id not in self.queue:
            return None
        if student_id == next(reversed(self.queue)):
            return len(self.queue)
        return list(self.queue).index(student_id) + 1

    def put(self, student: StudentFact, after: EnrollmentFact | None) -> None:
        """Let a student's enrollment stand as `after`; seats and queue follow."""
        course_id, enrollments = self.course_id, student.enrollments
        before = enrollments.get(course_id)
        if before is not None or after is None:
            student.recount()
        if before is not None:
            if before.status in SEATED_STATUSES:
                self.count(student.tags, -1)
            elif before.status == "waitlisted":
                del self.queue[student.student_id]
        if after is None:
            del enrollments[course_id]
            return
        self._take_in(student, after)
        if after.status in SEATED_STATUSES:
            self.count(student.tags, 1)
        elif after.status == "waitlisted":
            self.queue[student.student_id] = after

    def _take_in(self, student: StudentFact, after: EnrollmentFact) -> None:
        if student.hours is not None:
            student.count_in(self, after)
        student.enrollments[self.course_id] = after

    def count(self, tags: frozenset[str], seats: int) -> None:
        """Count the seats of students with these tags, or with -1 one no longer."""
        self.taken += seats
        for reservation in self.reserved:
            if reservation.tag in tags:
                self.filled[reservation.tag] = self.filled.get(reservation.tag, 0) + seats


class Courses(dict[int, CourseFact]):
    """Courses by id, which also tell those of a code. A course can be put anew, not taken out."""

    def __init__(self, courses: Mapping[int, CourseFact] = MappingProxyType({})) -> None:
        super().__init__(courses)
        self._by_code: dict[str, dict[int, None]] = {}
        self._sorted = 0

    def of_code(self, code: str) -> Collection[int]:
        """Give the ids of the courses of a code."""
        if self._sorted != len(self):
            self._by_code.clear()
            for course_id, course in self.items():
                self._by_code.setdefault(course.code, {})[course_id] = None
            self._sorted = len(self)
        return self._by_code.get(code, NO_IDS)


NO_IDS: Final[Collection[int]] = ()

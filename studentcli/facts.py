"""What the rules read: the state of students, courses and enrollments, held in memory.

Loaded under lock by the services, moved forward by every decision, so that the next request of
the same operation sees the one before. `Facts.move` is the only place where a state changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from studentcli.conditions import Required, Reservation, TagTerm
from studentcli.meetings import Meeting, week_of
from studentcli.vocabulary import SEATED_STATUSES


class HoldFact(NamedTuple):
    """A hold that was not lifted; `until_on` is its last day, none = until it is lifted."""

    hold_id: int
    kind: str
    blocks: str
    reason: str
    from_on: date
    until_on: date | None

    def is_active(self, on: date) -> bool:
        """Whether it blocks on a day."""
        return self.from_on <= on and (self.until_on is None or on <= self.until_on)


class Grant(NamedTuple):
    """An override that was granted and not revoked; `until_on` is its last day."""

    override_id: int
    rule: str
    until_on: date | None

    def is_active(self, on: date) -> bool:
        """Whether it counts on a day."""
        return self.until_on is None or on <= self.until_on


@dataclass(slots=True)
class EnrollmentFact:
    """The state of one student in one course.

    `changed_on` is the date of the last change that somebody asked for (a promotion by the queue
    is none); `instead_of` the course that is given up when the queue gives a seat; `recorded`
    holds (action, date, grade) of the changes already made; `in_table` says whether the table
    has, or is about to get, a row for it; `is_moved` whether this operation has changed it.
    """

    status: str
    enrolled_on: date
    status_since: date
    changed_on: date
    place: int | None = None
    grade: str | None = None
    instead_of: int | None = None
    recorded: tuple[tuple[str, date, str | None], ...] = ()
    in_table: bool = True
    is_moved: bool = False

    @property
    def is_seated(self) -> bool:
        """Whether the student has a seat."""
        return self.status in SEATED_STATUSES


@dataclass(slots=True)
class Load:
    """What a student's courses add up to, so that a rule need not go through them.

    `week` has a bit for every five minutes in which an enrolled course meets on any date, `hours`
    the credit hours with a seat by term id, `taken` the courses with a seat by code; `waits`
    counts the queues.
    """

    week: int = 0
    hours: dict[int, Decimal] = field(default_factory=dict)
    taken: dict[str, list["CourseFact"]] = field(default_factory=dict)
    waits: int = 0

    def add(self, course: "CourseFact", enrollment: EnrollmentFact) -> None:
        """Take a course in."""
        if enrollment.is_seated:
            if enrollment.status == "enrolled":
                self.week |= course.week
            term_id = course.term.term_id
            self.hours[term_id] = self.hours.get(term_id, NO_HOURS) + course.credit_hours
            self.taken.setdefault(course.code, []).append(course)
        elif enrollment.status == "waitlisted":
            self.waits += 1


NO_HOURS: Final = Decimal(0)
NO_GRANTS: Final[Mapping[int, tuple[Grant, ...]]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class StudentFact:
    """A student as the rules see one.

    `enrollments` leads from the course's id to the enrollment, in every state; like `holds` and
    `grants` (by course id) it is there once `is_loaded` is set.
    """

    student_id: int
    number: str
    status: str
    max_credits: Decimal | None = None
    tags: frozenset[str] = frozenset()
    enrollments: dict[int, EnrollmentFact] = field(default_factory=dict)
    holds: tuple[HoldFact, ...] = ()
    grants: Mapping[int, tuple[Grant, ...]] = field(default_factory=lambda: NO_GRANTS)
    is_loaded: bool = False
    load: Load | None = None

    def load_of(self, courses: Mapping[int, "CourseFact"]) -> Load:
        """Give what the courses add up to, counted at the first use and after a seat was left."""
        if self.load is None:
            self.load = Load()
            for course_id, enrollment in self.enrollments.items():
                self.load.add(courses[course_id], enrollment)
        return self.load

    def forget(self) -> None:
        """Let go of what the tables hold."""
        self.enrollments, self.holds, self.grants = {}, (), NO_GRANTS
        self.is_loaded = False
        self.load = None


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
    the term has further sections of the code, `week` when it meets, as in `Load`. Of a course that
    is only some student's other course, and not `is_locked`, seats and queue are not known.
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

    def __post_init__(self) -> None:
        self.ref = f"{self.term.code}/{self.code}-{self.section}"
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

    def put(self, student: StudentFact, after: EnrollmentFact | None) -> None:
        """Let a student's enrollment stand as `after`; seats and queue follow."""
        before = student.enrollments.get(self.course_id)
        if student.load is not None and before is None and after is not None:
            student.load.add(self, after)
        else:
            student.load = None
        if before is not None:
            if before.is_seated:
                self.count(student, -1)
            elif before.status == "waitlisted":
                del self.queue[student.student_id]
        if after is None:
            del student.enrollments[self.course_id]
            return
        student.enrollments[self.course_id] = after
        if after.is_seated:
            self.count(student, 1)
        elif after.status == "waitlisted":
            self.queue[student.student_id] = after

    def count(self, student: StudentFact, seats: int) -> None:
        """Count a student's seat, or with -1 no longer."""
        self.taken += seats
        for reservation in self.reserved:
            if reservation.tag in student.tags:
                self.filled[reservation.tag] = self.filled.get(reservation.tag, 0) + seats


class Event(NamedTuple):
    """A change or refusal to be recorded, in the column order of `enrollment_events`."""

    line: int | None
    student_id: int | None
    course_id: int | None
    action: str
    from_status: str | None
    to_status: str | None
    queue_place: int | None
    grade: str | None
    code: str | None
    effective_on: date | None
    detail: str | None


class Move(NamedTuple):
    """One step of an enrollment, as `Facts.move` makes it."""

    action: str
    to_status: str
    on: date
    line: int | None = None
    grade: str | None = None
    detail: str | None = None
    instead_of: int | None = None


Key = tuple[int, int]
"""Student id, course id."""


class JournalEntry(NamedTuple):
    """What `Facts.rewind` needs to take one move back."""

    key: Key
    before: EnrollmentFact | None
    was_changed: bool


class Mark(NamedTuple):
    """A point to which `Facts.rewind` goes back."""

    moves: int
    events: int


@dataclass
class Facts:
    """The facts of one operation.

    `courses` holds the locked courses and the other courses of the students that are loaded;
    `changed` the enrollments to be written, `events` what is to be recorded.
    """

    students: dict[int, StudentFact] = field(default_factory=dict)
    courses: dict[int, CourseFact] = field(default_factory=dict)
    changed: dict[Key, EnrollmentFact] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    journal: list[JournalEntry] | None = None

    def locked(self) -> Iterator[CourseFact]:
        """Give the courses whose seats and queues are known, by id."""
        return (course for course in self.courses.values() if course.is_locked)

    def move(self, student: StudentFact, course: CourseFact, step: Move) -> None:
        """Change the state of an enrollment: seats, queue and the event follow from it."""
        action, to_status, on, line, grade, detail, instead_of = step
        key = (student.student_id, course.course_id)
        before = student.enrollments.get(course.course_id)
        if self.journal is not None:
            self.journal.append(JournalEntry(key, before, key in self.changed))
        place = course.next_place if to_status == "waitlisted" else None
        from_status = None if before is None else before.status
        if before is None:
            after = EnrollmentFact(
                to_status, on, on, on, place, grade, instead_of, ((action, on, grade),),
                in_table=False, is_moved=True,
            )  # fmt: skip
        else:
            after = _after(before, step, place)
        course.put(student, after)
        self.changed[key] = after
        self.events.append(
            Event(line, *key, action, from_status, to_status, place, grade, None, on, detail)
        )

    def take(self) -> tuple[dict[Key, EnrollmentFact], list[Event]]:
        """Hand over what is to be written and recorded, and begin anew."""
        taken = self.changed, self.events
        self.changed, self.events = {}, []
        return taken

    def forget(self, students: Iterable[StudentFact], *, but: Iterable[Key]) -> None:
        """Let go of what the tables hold about students, so that memory stays flat.

        Who waits in a queue stays, and who is named in `but`: their states may not be written.
        """
        kept = {student_id for student_id, _ in but}
        for course in self.locked():
            kept.update(course.queue)
        for student in students:
            if student.student_id not in kept:
                student.forget()

    def begin_journal(self) -> Mark:
        """Remember moves from now on, so that `rewind` can take them back; gives the mark."""
        if self.journal is None:
            self.journal = []
        return Mark(len(self.journal), len(self.events))

    def rewind(self, mark: Mark) -> None:
        """Take back every move since `begin_journal` gave `mark`."""
        journal = self.journal or []
        for key, before, was_changed in reversed(journal[mark.moves :]):
            course = self.courses[key[1]]
            course.put(self.students[key[0]], before)
            course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
            del self.changed[key]
            if was_changed and before is not None:
                self.changed[key] = before
        del journal[mark.moves :], self.events[mark.events :]


def _after(before: EnrollmentFact, step: Move, place: int | None) -> EnrollmentFact:
    """Derive the state that a step leads to; the one before stays as it is."""
    by_system = step.action == "promote"
    recorded = before.recorded
    return EnrollmentFact(
        step.to_status,
        enrolled_on=step.on if step.action == "enroll" else before.enrolled_on,
        status_since=step.on,
        changed_on=before.changed_on if by_system else step.on,
        place=place, grade=step.grade, instead_of=step.instead_of,
        recorded=recorded if by_system else (*recorded, (step.action, step.on, step.grade)),
        in_table=before.in_table, is_moved=True,
    )  # fmt: skip

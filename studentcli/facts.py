"""What the rules read: the state of students, courses and enrollments, held in memory.

Loaded under lock by the services, moved forward by every decision, so that the next request of
the same operation sees the one before. `Facts.move` is the only place where a state changes.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from studentcli.vocabulary import SEATED_STATUSES


@dataclass(slots=True)
class StudentFact:
    """A student as the rules see one."""

    student_id: int
    number: str
    status: str


@dataclass(slots=True)
class TermFact:
    """A term and its calendar."""

    term_id: int
    code: str
    time_zone: str = "UTC"
    starts_on: date | None = None
    ends_on: date | None = None
    enroll_from: date | None = None
    enroll_until: date | None = None


@dataclass(slots=True)
class EnrollmentFact:
    """The state of one student in one course.

    `changed_on` is the date of the last change that somebody asked for (a promotion by the queue
    is none); `recorded` holds (action, date, grade) of the changes already made; `in_table` says
    whether the table has a row for it.
    """

    status: str
    enrolled_on: date
    status_since: date
    changed_on: date
    place: int | None = None
    grade: str | None = None
    recorded: tuple[tuple[str, date, str | None], ...] = ()
    in_table: bool = True


@dataclass(slots=True)
class CourseFact:
    """A course with its seats and its queue (student id → enrollment, in the order of places)."""

    course_id: int
    term: TermFact
    code: str
    section: str
    status: str = "open"
    capacity: int | None = None
    waitlist_capacity: int = 0
    taken: int = 0
    queue: dict[int, EnrollmentFact] = field(default_factory=dict)
    last_place: int = 0
    ref: str = ""

    def __post_init__(self) -> None:
        self.ref = f"{self.term.code}/{self.code}-{self.section}"

    @property
    def has_free_seat(self) -> bool:
        """Whether somebody could sit down."""
        return self.capacity is None or self.taken < self.capacity


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


Key = tuple[int, int]
"""Student id, course id."""


class JournalEntry(NamedTuple):
    """What `Facts.rewind` needs to take one move back."""

    key: Key
    before: EnrollmentFact | None
    was_changed: bool
    last_place: int


@dataclass
class Facts:
    """The facts of one operation.

    `enrollments` holds those looked up so far except the waitlisted ones, which live in their
    course's queue; `changed` the ones to be written; `events` what is to be recorded.
    """

    students: dict[int, StudentFact] = field(default_factory=dict)
    courses: dict[int, CourseFact] = field(default_factory=dict)
    enrollments: dict[Key, EnrollmentFact] = field(default_factory=dict)
    changed: dict[Key, EnrollmentFact] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    journal: list[JournalEntry] | None = None

    def enrollment(self, student_id: int, course: CourseFact) -> EnrollmentFact | None:
        """Find the enrollment of a student in a course, or none."""
        queued = course.queue.get(student_id)
        return (
            queued if queued is not None else self.enrollments.get((student_id, course.course_id))
        )

    def move(self, student_id: int, course: CourseFact, step: Move) -> EnrollmentFact:
        """Change the state of an enrollment: seats, queue and the event follow from it."""
        key = (student_id, course.course_id)
        before = self.enrollment(student_id, course)
        if self.journal is not None:
            self.journal.append(JournalEntry(key, before, key in self.changed, course.last_place))
        place = None
        if step.to_status == "waitlisted":
            course.last_place += 1
            place = course.last_place
        after = _after(before, step, place)
        self._put(key, course, before, after)
        self.changed[key] = after
        self.events.append(
            Event(
                step.line,
                student_id,
                course.course_id,
                step.action,
                None if before is None else before.status,
                step.to_status,
                place,
                step.grade,
                None,
                step.on,
                step.detail,
            )
        )
        return after

    def _put(
        self,
        key: Key,
        course: CourseFact,
        before: EnrollmentFact | None,
        after: EnrollmentFact | None,
    ) -> None:
        """Put `after` into the place of `before`, and keep the course's seats and queue in step."""
        student_id = key[0]
        if before is not None:
            if before.status in SEATED_STATUSES:
                course.taken -= 1
            if before.status == "waitlisted":
                del course.queue[student_id]
            else:
                del self.enrollments[key]
        if after is None:
            return
        if after.status in SEATED_STATUSES:
            course.taken += 1
        if after.status == "waitlisted":
            course.queue[student_id] = after
        else:
            self.enrollments[key] = after

    def begin_journal(self) -> int:
        """Start remembering moves, so that `rewind` can take them back; gives the mark."""
        self.journal = []
        return len(self.events)

    def rewind(self, mark: int) -> None:
        """Take back every move since `begin_journal` gave `mark`."""
        for key, before, was_changed, last_place in reversed(self.journal or []):
            course = self.courses[key[1]]
            self._put(key, course, self.enrollment(key[0], course), before)
            course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
            course.last_place = last_place
            del self.changed[key]
            if was_changed and before is not None:
                self.changed[key] = before
        del self.events[mark:]
        self.journal = None


def _after(before: EnrollmentFact | None, step: Move, place: int | None) -> EnrollmentFact:
    """Derive the state that a step leads to; the one before stays as it is."""
    by_system = step.action == "promote"
    is_add = step.action == "enroll"
    recorded = before.recorded if before is not None else ()
    if not by_system:
        recorded = (*recorded, (step.action, step.on, step.grade))
    return EnrollmentFact(
        status=step.to_status,
        enrolled_on=step.on if is_add or before is None else before.enrolled_on,
        status_since=step.on,
        changed_on=before.changed_on if by_system and before is not None else step.on,
        place=place,
        grade=step.grade,
        recorded=recorded,
        in_table=before is not None and before.in_table,
    )

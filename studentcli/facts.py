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
    whether the table has, or is about to get, a row for it; `is_moved` whether this operation has
    changed it.
    """

    status: str
    enrolled_on: date
    status_since: date
    changed_on: date
    place: int | None = None
    grade: str | None = None
    recorded: tuple[tuple[str, date, str | None], ...] = ()
    in_table: bool = True
    is_moved: bool = False


@dataclass(slots=True)
class CourseFact:
    """A course with its seats, its queue and the enrollments looked up so far.

    `enrollments` and `queue` lead from the student's id to the enrollment; the queue holds the
    waitlisted ones, in the order of their places.
    """

    course_id: int
    term: TermFact
    code: str
    section: str
    status: str = "open"
    capacity: int | None = None
    waitlist_capacity: int = 0
    taken: int = 0
    enrollments: dict[int, EnrollmentFact] = field(default_factory=dict)
    queue: dict[int, EnrollmentFact] = field(default_factory=dict)
    ref: str = ""

    def __post_init__(self) -> None:
        self.ref = f"{self.term.code}/{self.code}-{self.section}"

    @property
    def has_free_seat(self) -> bool:
        """Whether somebody could sit down."""
        return self.capacity is None or self.taken < self.capacity

    @property
    def next_place(self) -> int:
        """The place of the next newcomer: one more than the last of the queue has."""
        last = next(reversed(self.queue.values()), None)
        return 1 if last is None or last.place is None else last.place + 1

    def put(self, student_id: int, after: EnrollmentFact | None) -> None:
        """Let an enrollment stand as `after`; seats and queue follow."""
        before = self.enrollments.get(student_id)
        if before is not None:
            if before.status in SEATED_STATUSES:
                self.taken -= 1
            elif before.status == "waitlisted":
                del self.queue[student_id]
        if after is None:
            del self.enrollments[student_id]
            return
        self.enrollments[student_id] = after
        if after.status in SEATED_STATUSES:
            self.taken += 1
        elif after.status == "waitlisted":
            self.queue[student_id] = after


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


@dataclass
class Facts:
    """The facts of one operation.

    `changed` holds the enrollments to be written, `events` what is to be recorded.
    """

    students: dict[int, StudentFact] = field(default_factory=dict)
    courses: dict[int, CourseFact] = field(default_factory=dict)
    changed: dict[Key, EnrollmentFact] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    journal: list[JournalEntry] | None = None

    def move(self, student_id: int, course: CourseFact, step: Move) -> None:
        """Change the state of an enrollment: seats, queue and the event follow from it."""
        action, to_status, on, line, grade, detail = step
        key = (student_id, course.course_id)
        before = course.enrollments.get(student_id)
        if self.journal is not None:
            self.journal.append(JournalEntry(key, before, key in self.changed))
        place = course.next_place if to_status == "waitlisted" else None
        if before is None:
            from_status = None
            after = EnrollmentFact(
                to_status,
                on,
                on,
                on,
                place,
                grade,
                ((action, on, grade),),
                in_table=False,
                is_moved=True,
            )
        else:
            from_status = before.status
            after = _after(before, step, place)
        course.put(student_id, after)
        self.changed[key] = after
        self.events.append(
            Event(
                line, student_id, course.course_id, action, from_status, to_status, place, grade,
                None, on, detail,
            )
        )  # fmt: skip

    def take(self) -> tuple[dict[Key, EnrollmentFact], list[Event]]:
        """Hand over what is to be written and recorded, and begin anew."""
        taken = self.changed, self.events
        self.changed, self.events = {}, []
        return taken

    def forget(self, *, but: dict[Key, EnrollmentFact]) -> None:
        """Drop what the tables hold, so that memory stays flat; the queues stay, and `but`."""
        for course in self.courses.values():
            if len(course.enrollments) > len(course.queue):
                course.enrollments = dict(course.queue)
        for (student_id, course_id), enrollment in but.items():
            self.courses[course_id].enrollments[student_id] = enrollment

    def begin_journal(self) -> int:
        """Start remembering moves, so that `rewind` can take them back; gives the mark."""
        self.journal = []
        return len(self.events)

    def rewind(self, mark: int) -> None:
        """Take back every move since `begin_journal` gave `mark`."""
        for key, before, was_changed in reversed(self.journal or []):
            course = self.courses[key[1]]
            course.put(key[0], before)
            course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
            del self.changed[key]
            if was_changed and before is not None:
                self.changed[key] = before
        del self.events[mark:]
        self.journal = None


def _after(before: EnrollmentFact, step: Move, place: int | None) -> EnrollmentFact:
    """Derive the state that a step leads to; the one before stays as it is."""
    by_system = step.action == "promote"
    recorded = before.recorded
    return EnrollmentFact(
        status=step.to_status,
        enrolled_on=step.on if step.action == "enroll" else before.enrolled_on,
        status_since=step.on,
        changed_on=before.changed_on if by_system else step.on,
        place=place,
        grade=step.grade,
        recorded=recorded if by_system else (*recorded, (step.action, step.on, step.grade)),
        in_table=before.in_table,
        is_moved=True,
    )

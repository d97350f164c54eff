"""How a state changes: one step, what is recorded of it, and how it is taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple

from studentcli.facts.courses import CourseFact, Courses
from studentcli.facts.people import Grant, StudentFact
from studentcli.facts.standing import EnrollmentFact, Enrollments, States
from studentcli.vocabulary import EXTRA_SEATS


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


FIRST_SEAT: Final = ("enroll", None, "enrolled")
"""Action and statuses of the event that tells all of a state: who never was there gets a seat."""


FirstSeat = tuple[int, int, int, str]
"""The event of a row by which somebody who never was in a course gets a seat in it: line, student
id, course id, date as text. It is the most common one by far, and all else of it is the same for
everybody.
"""
SHORT: Final = 4
"""How many fields a `FirstSeat` has; an `Event` has more."""


def written_out(event: tuple[Any, ...]) -> Event:
    """Give an event with all of its fields, in the order of `Event`."""
    if len(event) == SHORT:
        line, student_id, course_id, day = event
        return first_event(line, student_id, course_id, date.fromisoformat(day))
    return Event(*event)


def first_event(line: Any, student_id: Any, course_id: Any, on: Any, detail: Any = None) -> Event:
    """Give the event that tells all of a state."""
    return Event(line, student_id, course_id, *FIRST_SEAT, None, None, None, on, detail)


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
    `events` what is to be recorded; `changed` the enrollments to be written, without those that
    their event tells (`FIRST_SEAT`); `states` those that its students are in. `unsettled` are all
    students who stand otherwise than enrolled in a course that was locked when their records were
    read, and perhaps some others.
    """

    students: dict[int, StudentFact] = field(default_factory=dict)
    courses: Courses = field(default_factory=Courses)
    changed: dict[Key, EnrollmentFact] = field(default_factory=dict)
    events: list[Event | FirstSeat] = field(default_factory=list)
    journal: list[JournalEntry] | None = None
    states: States = field(default_factory=States)
    unsettled: set[StudentFact] = field(default_factory=set)

    def locked(self) -> Iterator[CourseFact]:
        """Give the courses whose seats and queues are known, by id."""
        return (course for course in self.courses.values() if course.is_locked)

    def move(self, student: StudentFact, course: CourseFact, step: Move) -> None:
        """Change the state of an enrollment: seats, queue and the event follow from it."""
        action, to_status, on, line, grade, detail, _ = step
        key = (student.student_id, course.course_id)
        before = student.enrollments.get(course.course_id)
        place = course.next_place if to_status == "waitlisted" else None
        if before is None:
            from_status = None
            after = _first(step, place)
        else:
            from_status = before.status
            # What is not about to be written has been: the table has, or gets, a row for it.
            after = _after(before, step, place, in_table=before.in_table or key not in self.changed)
        event = Event(line, *key, action, from_status, to_status, place, grade, None, on, detail)
        if self.journal is not None:
            self.journal.append(JournalEntry(key, before, key in self.changed))
        course.put(student, after)
        if to_status != "enrolled":
            self.unsettled.add(student)
        if event[3:6] != FIRST_SEAT:
            self.changed[key] = after
        self.events.append(event)

    def seat(
        self, student: StudentFact, course: CourseFact, on: date, line: int | None,
        detail: str | None,
    ) -> None:  # fmt: skip
        """Move a student who never was in a course to a seat: what most rows of a file come to.

        The seat is one that nobody waits for and none is reserved for; no journal is kept.
        """
        enrollments = student.enrollments
        mark, day = enrollments.states.seats.get(on) or _first_seat(enrollments, on)
        if mark is None:
            course.put(student, _seated(on))
        else:
            # The same for a million rows: without a call for every step of it.
            if student.hours is not None:
                student.week |= course.week
                student.add_hours(course)
            enrollments.written += course.mark + mark
            course.taken += 1
        student_id, course_id = student.student_id, course.course_id
        if line is not None and detail is None:
            self.events.append((line, student_id, course_id, day))
        else:
            self.events.append(first_event(line, student_id, course_id, on, detail))

    def grant(self, student: StudentFact, course_id: int, grant: Grant) -> None:
        """Let an override count for a student in a course."""
        mine = (*student.grants.get(course_id, ()), grant)
        student.grants = {**student.grants, course_id: mine}
        course = self.courses.get(course_id)
        if course is not None and grant.rule in EXTRA_SEATS:
            course.has_extra_seats |= student.student_id in course.queue

    def told(self) -> list[Event]:
        """Give the events that were not taken yet, every one written out."""
        return list(map(written_out, self.events))

    def take(self) -> tuple[dict[Key, EnrollmentFact], list[Event | FirstSeat]]:
        """Hand over what is to be written and recorded, and begin anew."""
        taken = self.changed, self.events
        self.changed, self.events = {}, []
        return taken

    def begin_journal(self) -> Mark:
        """Remember moves from now on, so that `rewind` can take them back; gives the mark."""
        if self.journal is None:
            self.journal = []
        return Mark(len(self.journal), len(self.events))

    @contextmanager
    def journaling(self) -> Iterator[Mark]:
        """Remember moves inside a block, also when nobody does so around it; gives the mark."""
        around = self.journal
        try:
            yield self.begin_journal()
        finally:
            self.journal = around

    def rewind(self, mark: Mark) -> None:
        """Take back every move since `begin_journal` gave `mark`."""
        journal = self.journal or []
        for key, before, was_changed in reversed(journal[mark.moves :]):
            course = self.courses[key[1]]
            course.put(self.students[key[0]], before)
            course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
            self.changed.pop(key, None)
            if was_changed and before is not None:
                self.changed[key] = before
        del journal[mark.moves :], self.events[mark.events :]


@lru_cache(maxsize=4096)
def _once(action: str, on: date, grade: str | None) -> tuple[tuple[str, date, str | None], ...]:
    """Say that one change was made: a hundred thousand who wait share what is the same for all."""
    return ((action, on, grade),)


def _seated(on: date) -> EnrollmentFact:
    """Derive the state of a first seat."""
    return _first(Move("enroll", "enrolled", on), None)


def _first_seat(enrollments: Enrollments, on: date) -> tuple[str | None, str]:
    states = enrollments.states
    seat = states.seats[on] = states.mark(_seated(on)), on.isoformat()
    return seat


def _first(step: Move, place: int | None) -> EnrollmentFact:
    """Derive the state that a step leads to where there was none."""
    on = step.on
    return EnrollmentFact(
        step.to_status, on, on, on, place, step.grade, step.instead_of,
        recorded=_once(step.action, on, step.grade), in_table=False, is_moved=True,
    )  # fmt: skip


def _after(
    before: EnrollmentFact, step: Move, place: int | None, *, in_table: bool
) -> EnrollmentFact:
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
        in_table=in_table, is_moved=True,
    )  # fmt: skip

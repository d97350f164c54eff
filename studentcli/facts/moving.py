"""How a state changes: one step, what is recorded of it, and how it is taken back."""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from studentcli.facts.courses import CourseFact
from studentcli.facts.people import EnrollmentFact, Grant, StudentFact
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
    _shared: dict[tuple[object, ...], EnrollmentFact] = field(default_factory=dict)

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

    def grant(self, student: StudentFact, course_id: int, grant: Grant) -> None:
        """Let an override count for a student in a course."""
        mine = (*student.grants.get(course_id, ()), grant)
        student.grants = {**student.grants, course_id: mine}
        course = self.courses.get(course_id)
        if course is not None and grant.rule in EXTRA_SEATS:
            course.has_extra_seats |= student.student_id in course.queue

    def take(self) -> tuple[dict[Key, EnrollmentFact], list[Event]]:
        """Hand over what is to be written and recorded, and begin anew."""
        taken = self.changed, self.events
        self.changed, self.events = {}, []
        return taken

    def shared(
        self, status: str, enrolled_on: date, since: date, grade: str | None
    ) -> EnrollmentFact:
        """Give the state of an enrollment as the tables hold it: one object for all that are equal.

        Nobody may change it; and no state with a place in a queue is shared.
        """
        key = (status, enrolled_on, since, grade)
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = EnrollmentFact(
                status, enrolled_on, since, since, grade=grade
            )
        return found

    def settle(self, keys: Iterable[Key], *, but: Container[Key]) -> None:
        """Share the states of enrollments that were written, so that many fit into the memory."""
        for key in keys:
            enrollments = self.students[key[0]].enrollments
            state = enrollments.get(key[1])
            if state is not None and state.status != "waitlisted" and key not in but:
                enrollments[key[1]] = self.shared(
                    state.status, state.enrolled_on, state.status_since, state.grade
                )

    def size(self) -> int:
        """Count the enrollments that are known."""
        return sum(len(student.enrollments) for student in self.students.values())

    def forget(self, *, but: Iterable[Key]) -> None:
        """Let go of what the tables hold about students, so that memory stays flat.

        Who waits in a queue stays, and who is named in `but`: their states may not be written.
        """
        kept = {student_id for student_id, _ in but}
        for course in self.locked():
            kept.update(course.queue)
        for student_id, student in self.students.items():
            if student_id not in kept:
                student.forget()

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

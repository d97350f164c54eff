"""Which enrollments the changes of some requests are about: what has to be read for them."""

from collections.abc import Iterator, Sequence
from typing import Any

from studentcli.facts import EnrollmentFact, Key, StudentFact
from studentcli.requests import Action, Adds, Change, Request
from studentcli.rules.transitions import TRANSITIONS, UNCHANGED
from studentcli.services.resolve import CourseIndex

Asker = Any
"""Who asks: the student of a request, or a refusal where there is none; of rows a list of these."""


def pairs(
    index: CourseIndex, asked: Sequence[Request | Adds], askers: Sequence[Asker]
) -> Iterator[Key]:
    """Give what changes can be about, as student id and course id."""
    for item, by in zip(asked, askers, strict=True):
        if isinstance(item, Adds):
            for student, courses in zip(by, index.possible_adds(item.courses), strict=True):
                if isinstance(student, StudentFact):
                    for course in courses:
                        yield student.student_id, course.course_id
        elif isinstance(by, StudentFact):
            for change in item.changes:
                for course in index.named(change):
                    yield by.student_id, course.course_id


def back_dated(
    index: CourseIndex,
    asked: Sequence[Request | Adds],
    askers: Sequence[Asker],
) -> list[Key]:
    """List the pairs of dated changes that are not later than how the enrollment stands.

    Of these what was recorded can count. It never does where nothing moves: an add of who is
    enrolled says nothing new, whatever its date.

    Args:
        index: finds the courses of a change.
        asked: requests and rows in their order.
        askers: of each of them, loaded.
    """
    moved = set(_moved(index, asked, askers))
    movers = {student_id for student_id, _ in moved}
    found = (
        key
        for item, by in zip(asked, askers, strict=True)
        for student, change in (_asked_by(item, by, movers) if movers else ())
        for key, state in _standing(index, student, change)
        if key in moved and change.effective_on and change.effective_on <= state.status_since
    )
    return list(dict.fromkeys(found))


def _moved(
    index: CourseIndex, asked: Sequence[Request | Adds], askers: Sequence[Asker]
) -> Iterator[Key]:
    """Give the pairs whose enrollment can move."""
    for item, by in zip(asked, askers, strict=True):
        if isinstance(item, Adds):
            yield from _moved_by_rows(index, item, by)
        elif isinstance(by, StudentFact) and by.enrollments:
            for change in item.changes:
                yield from _moved_by(index, by, change)


def _moved_by_rows(index: CourseIndex, adds: Adds, students: Sequence[Any]) -> Iterator[Key]:
    """Look at rows: most are about no enrollment, or of who is enrolled and waits nowhere."""
    rows = zip(students, index.possible_adds(adds.courses), strict=True)
    for student, courses in rows:
        for course in courses if isinstance(student, StudentFact) else ():
            enrollments = student.enrollments
            state = enrollments.find(course.mark)
            if state is None or (state.status == "enrolled" and not enrollments.waits):
                continue
            key = student.student_id, course.course_id
            if _moves(student, key, state, "enroll"):
                yield key


def _moved_by(index: CourseIndex, student: StudentFact, change: Change) -> Iterator[Key]:
    for key, state in _standing(index, student, change):
        if change.instead_of is not None or _moves(student, key, state, change.action):
            yield key


def _moves(student: StudentFact, key: Key, state: EnrollmentFact, action: Action) -> bool:
    """Tell whether an enrollment can move: by the action, or given up for a seat elsewhere."""
    stays = TRANSITIONS[state.status, action] == UNCHANGED
    return not stays or key[1] in student.enrollments.given_up()


def _asked_by(
    item: Request | Adds, by: Asker, students: set[int]
) -> Iterator[tuple[StudentFact, Change]]:
    """Give the changes that some students ask for."""
    for at, student in enumerate(by if isinstance(item, Adds) else [by]):
        if isinstance(student, StudentFact) and student.student_id in students:
            changes = [item.change(at)] if isinstance(item, Adds) else item.changes
            yield from ((student, change) for change in changes)


def _standing(
    index: CourseIndex, student: StudentFact, change: Change
) -> Iterator[tuple[Key, EnrollmentFact]]:
    """Give the enrollments that a change can be about."""
    for course in index.named(change):
        state = student.enrollments.find(course.mark)
        if state is not None:
            yield (student.student_id, course.course_id), state

"""Which enrollments the changes of some requests are about: what has to be read for them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

from studentcli.facts import EnrollmentFact, Key, StudentFact
from studentcli.requests import Action, Adds, Change, Request
from studentcli.rules.transitions import TRANSITIONS, UNCHANGED
from studentcli.services.resolve import CourseIndex

Asker = Any
"""Who asks: the student of a request, or a refusal where there is none; of rows a list of these."""


def students_among(askers: Iterable[Asker]) -> Iterator[StudentFact]:
    """Give the students of requests and rows, some of them more than once."""
    for by in askers:
        for student in by if isinstance(by, list) else (by,):
            if student.__class__ is StudentFact:  # asked for every row
                yield student


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
    unsettled: set[StudentFact],
) -> list[Key]:
    """List the pairs of dated changes that are not later than how the enrollment stands.

    Of these what was recorded can count. It never does where nothing moves: an add of who is
    enrolled says nothing new, whatever its date.

    Args:
        index: finds the courses of a change.
        asked: requests and rows in their order.
        askers: of each of them, loaded.
        unsettled: as `Facts` has them.
    """
    moved = dict(_moved(index, asked, askers, unsettled))
    if not moved:
        return []
    movers = set(moved.values())
    found = (
        key
        for item, by in zip(asked, askers, strict=True)
        for student, change in _asked_by(item, by, movers)
        for key, state in _standing(index, student, change)
        if key in moved and change.effective_on and change.effective_on <= state.status_since
    )
    return list(dict.fromkeys(found))


def _moved(
    index: CourseIndex,
    asked: Sequence[Request | Adds],
    askers: Sequence[Asker],
    unsettled: set[StudentFact],
) -> Iterator[tuple[Key, StudentFact]]:
    """Give the pairs whose enrollment can move, and the student of each."""
    for item, by in zip(asked, askers, strict=True):
        if isinstance(item, Adds):
            yield from _moved_by_rows(index, item, by, unsettled)
        elif isinstance(by, StudentFact) and by.enrollments:
            for change in item.changes:
                yield from _moved_by(index, by, change)


def _moved_by_rows(
    index: CourseIndex, adds: Adds, students: Sequence[Any], unsettled: set[StudentFact]
) -> Iterator[tuple[Key, StudentFact]]:
    """Look at the rows of some: an add moves nothing of who is just enrolled wherever they are."""
    possible = index.possible_adds(adds.courses)
    for at in _rows_of(students, unsettled):
        student = students[at]
        enrollments = student.enrollments
        for course in possible[at]:
            state = enrollments.find(course.mark)
            if state is None or (state.status == "enrolled" and not enrollments.waits):
                continue
            key = student.student_id, course.course_id
            if _moves(student, key, state, "enroll"):
                yield key, student


def _moved_by(
    index: CourseIndex, student: StudentFact, change: Change
) -> Iterator[tuple[Key, StudentFact]]:
    for key, state in _standing(index, student, change):
        if change.instead_of is not None or _moves(student, key, state, change.action):
            yield key, student


def _moves(student: StudentFact, key: Key, state: EnrollmentFact, action: Action) -> bool:
    """Tell whether an enrollment can move: by the action, or given up for a seat elsewhere."""
    stays = TRANSITIONS[state.status, action] == UNCHANGED
    return not stays or key[1] in student.enrollments.given_up()


def _asked_by(
    item: Request | Adds, by: Asker, students: set[StudentFact]
) -> Iterator[tuple[StudentFact, Change]]:
    """Give the changes that some students ask for."""
    if isinstance(item, Adds):
        yield from ((by[at], item.change(at)) for at in _rows_of(by, students))
    elif by in students:
        yield from ((by, change) for change in item.changes)


def _rows_of(whose: Sequence[Any], students: set[StudentFact]) -> list[int]:
    """List the places of the rows of some students."""
    return list(compress(range(len(whose)), map(students.__contains__, whose)))


def _standing(
    index: CourseIndex, student: StudentFact, change: Change
) -> Iterator[tuple[Key, EnrollmentFact]]:
    """Give the enrollments that a change can be about."""
    for course in index.named(change):
        state = student.enrollments.find(course.mark)
        if state is not None:
            yield (student.student_id, course.course_id), state

"""Which enrollments the changes of some requests are about: what has to be read for them."""

from collections.abc import Iterator, Sequence
from typing import Any

from studentcli.facts import Key, StudentFact
from studentcli.requests import Adds, Change, Request
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
            for student, course_ids in zip(by, index.possible_adds(item.courses), strict=True):
                if isinstance(student, StudentFact):
                    for course_id in course_ids:
                        yield student.student_id, course_id
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
    found = _BackDated(index)
    for item, by in zip(asked, askers, strict=True):
        if isinstance(item, Adds):
            found.look_at_rows(item, by)
        elif isinstance(by, StudentFact) and by.enrollments:
            for change in item.changes:
                found.look_at(by, change)
    return [key for key in found.dated if key in found.moved]


class _BackDated:
    """Pairs whose change is not later than how the enrollment stands, and pairs that can move."""

    def __init__(self, index: CourseIndex) -> None:
        self._index = index
        self.dated: dict[Key, None] = {}
        self.moved: set[Key] = set()

    def look_at(self, student: StudentFact, change: Change) -> None:
        """Look at a change of a student."""
        enrollments = student.enrollments
        given_up: set[int | None] = set()  # once there is a seat in another course
        if enrollments.waits:
            given_up = {enrollment.instead_of for enrollment in enrollments.values()}
        on, is_swap = change.effective_on, change.instead_of is not None
        for course in self._index.named(change):
            enrollment = enrollments.get(course.course_id)
            if enrollment is None:
                continue
            key = student.student_id, course.course_id
            if on is not None and on <= enrollment.status_since:
                self.dated[key] = None
            stays = TRANSITIONS[enrollment.status, change.action] == UNCHANGED
            if is_swap or not stays or course.course_id in given_up:
                self.moved.add(key)

    def look_at_rows(self, adds: Adds, students: Sequence[Any]) -> None:
        """Look at rows: most are about no enrollment, or of who is enrolled and waits nowhere."""
        named = self._index.possible_adds(adds.courses)
        rows = zip(students, named, adds.days, strict=True)
        for at, (student, course_ids, on) in enumerate(rows):
            for course_id in course_ids if isinstance(student, StudentFact) else ():
                enrollments = student.enrollments
                if course_id not in enrollments:
                    continue
                state = enrollments[course_id]
                if state.status != "enrolled" or enrollments.waits:
                    self.look_at(student, adds.change(at))
                elif on is not None and on <= state.status_since:
                    self.dated[student.student_id, course_id] = None

"""Which enrollments the changes of some requests are about: what has to be read for them."""

from collections.abc import Iterator, Sequence
from typing import Any

from studentcli.facts import Courses, Key, StudentFact
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
    courses: Courses,
    asked: Sequence[Request | Adds],
    askers: Sequence[Asker],
) -> list[Key]:
    """List the pairs of dated changes that are not later than how the enrollment stands.

    Of these what was recorded can count. It never does where nothing moves: an add of who is
    enrolled says nothing new, whatever its date.

    Args:
        index: finds the courses of a change.
        courses: by id.
        asked: requests and rows in their order.
        askers: of each of them, loaded.
    """
    dated: dict[Key, None] = {}
    moved: set[Key] = set()
    for student, change in _about_enrollments(index, asked, askers):
        enrollments = student.enrollments
        given_up: set[int | None] = set()  # once there is a seat in another course
        if student.load_of(courses).waits:
            given_up = {enrollment.instead_of for enrollment in enrollments.values()}
        on, is_swap = change.effective_on, change.instead_of is not None
        for course in index.named(change):
            enrollment = enrollments.get(course.course_id)
            if enrollment is None:
                continue
            key = student.student_id, course.course_id
            if on is not None and on <= enrollment.status_since:
                dated[key] = None
            stays = TRANSITIONS[enrollment.status, change.action] == UNCHANGED
            if is_swap or not stays or course.course_id in given_up:
                moved.add(key)
    return [key for key in dated if key in moved]


def _about_enrollments(
    index: CourseIndex, asked: Sequence[Request | Adds], askers: Sequence[Asker]
) -> Iterator[tuple[StudentFact, Change]]:
    """Give the changes of students who are, or were, in a course that is named."""
    for item, by in zip(asked, askers, strict=True):
        if isinstance(item, Adds):
            rows = zip(by, index.possible_adds(item.courses), strict=True)
            for at, (student, course_ids) in enumerate(rows):
                if isinstance(student, StudentFact):
                    enrollments = student.enrollments
                    for course_id in course_ids:
                        if course_id in enrollments:
                            yield student, item.change(at)
                            break
        elif isinstance(by, StudentFact) and by.enrollments:
            for change in item.changes:
                yield by, change

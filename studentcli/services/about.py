"""Which enrollments the changes of some requests are about: what has to be read for them."""

from collections.abc import Iterator, Sequence

from studentcli.facts import Courses, Key, StudentFact
from studentcli.requests import Refusal, Request
from studentcli.rules.transitions import TRANSITIONS, UNCHANGED
from studentcli.services.resolve import CourseIndex


def pairs(
    index: CourseIndex, requests: Sequence[Request], students: Sequence[StudentFact | Refusal]
) -> Iterator[Key]:
    """Give what changes can be about, as student id and course id."""
    for request, student in zip(requests, students, strict=True):
        if not isinstance(student, Refusal):
            for change in request.changes:
                for course in index.named(change):
                    yield student.student_id, course.course_id


def back_dated(
    index: CourseIndex,
    courses: Courses,
    requests: Sequence[Request],
    students: Sequence[StudentFact | Refusal],
) -> list[Key]:
    """List the pairs of dated changes that are not later than how the enrollment stands.

    Of these what was recorded can count. It never does where nothing moves: an add of who is
    enrolled says nothing new, whatever its date.

    Args:
        index: finds the courses of a change.
        courses: by id.
        requests: in their order.
        students: of each request, loaded.
    """
    found: dict[Key, None] = {}
    moved: set[Key] = set()
    for request, student in zip(requests, students, strict=True):
        if isinstance(student, Refusal) or not student.enrollments:
            continue
        enrollments = student.enrollments
        given_up: set[int | None] = set()  # once there is a seat in another course
        if student.load_of(courses).waits:
            given_up = {enrollment.instead_of for enrollment in enrollments.values()}
        for change in request.changes:
            on, is_swap = change.effective_on, change.instead_of is not None
            for course in index.named(change):
                enrollment = enrollments.get(course.course_id)
                if enrollment is None:
                    continue
                key = student.student_id, course.course_id
                if on is not None and on <= enrollment.status_since:
                    found[key] = None
                stays = TRANSITIONS[enrollment.status, change.action] == UNCHANGED
                if is_swap or not stays or course.course_id in given_up:
                    moved.add(key)
    return [key for key in found if key in moved]

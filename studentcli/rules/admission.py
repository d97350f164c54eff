"""Who may be admitted to which course: one small function a rule, all of them always evaluated."""

from collections.abc import Callable
from typing import Final

from studentcli.facts import CourseFact, StudentFact
from studentcli.requests import Refusal

OVERRIDABLE: Final = frozenset(
    {"already-withdrawn", "student-inactive", "course-closed", "course-full", "waitlist-full"}
)


def student_is_inactive(student: StudentFact, course: CourseFact) -> Refusal | None:
    """Refuse an inactive student."""
    del course
    if student.status == "active":
        return None
    return Refusal(
        "student-inactive",
        f"{student.number} is inactive",
        f"studentcli student edit {student.number} --status active",
    )


def course_is_closed(student: StudentFact, course: CourseFact) -> Refusal | None:
    """Refuse a course that is closed or cancelled."""
    del student
    if course.status == "open":
        return None
    reopen = f"studentcli course edit {course.ref} --status open"
    return Refusal("course-closed", f"{course.ref} is {course.status}", reopen)


Rule = Callable[[StudentFact, CourseFact], Refusal | None]
ADMISSION: Final[tuple[Rule, ...]] = (student_is_inactive, course_is_closed)


def admission_refusals(
    student: StudentFact, course: CourseFact, overrides: frozenset[str] = frozenset()
) -> tuple[Refusal, ...]:
    """Judge every rule of admission, not only the first that fails."""
    found = [refusal for rule in ADMISSION if (refusal := rule(student, course)) is not None]
    return tuple(refusal for refusal in found if refusal.code not in overrides) if found else ()

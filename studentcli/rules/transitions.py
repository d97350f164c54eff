"""What an action does to a state: one table, and the words for what it refuses."""

from typing import Final

from studentcli.grades import scale
from studentcli.requests import Refusal
from studentcli.rules.case import Case

UNCHANGED: Final = "unchanged"
DECIDE: Final = "decide"

TRANSITIONS: Final[dict[tuple[str | None, str], str]] = {
    (None, "enroll"): DECIDE,
    (None, "drop"): "not-enrolled",
    (None, "withdraw"): "not-enrolled",
    (None, "complete"): "not-enrolled",
    ("enrolled", "enroll"): UNCHANGED,
    ("enrolled", "drop"): "dropped",
    ("enrolled", "withdraw"): "withdrawn",
    ("enrolled", "complete"): "completed",
    ("waitlisted", "enroll"): UNCHANGED,
    ("waitlisted", "drop"): "dropped",
    ("waitlisted", "withdraw"): "not-enrolled",
    ("waitlisted", "complete"): "not-enrolled",
    ("dropped", "enroll"): DECIDE,
    ("dropped", "drop"): UNCHANGED,
    ("dropped", "withdraw"): "not-enrolled",
    ("dropped", "complete"): "not-enrolled",
    ("withdrawn", "enroll"): "already-withdrawn",
    ("withdrawn", "drop"): "already-withdrawn",
    ("withdrawn", "withdraw"): UNCHANGED,
    ("withdrawn", "complete"): "not-enrolled",
    ("completed", "enroll"): "already-completed",
    ("completed", "drop"): "already-completed",
    ("completed", "withdraw"): "already-completed",
    ("completed", "complete"): "completed",
}
"""(status, action) → the status it leads to, UNCHANGED, DECIDE, or the code that refuses it."""

AFTER_OVERRIDE: Final = {"enroll": DECIDE, "drop": "dropped"}
"""What an action on a withdrawn enrollment does once `already-withdrawn` is overridden."""


def verdict_of(case: Case) -> str:
    """Look the change up in TRANSITIONS, with the two refinements that need its values."""
    change, enrollment = case.change, case.enrollment
    status = None if enrollment is None else enrollment.status
    verdict = TRANSITIONS[status, change.action]
    if verdict == "already-withdrawn" and verdict in case.allowed:
        return AFTER_OVERRIDE[change.action]
    if status == "completed" and enrollment is not None and verdict == "completed":
        return UNCHANGED if enrollment.grade == change.grade else verdict
    return verdict


def grade_refusal(case: Case) -> Refusal | None:
    """Refuse a completion without a grade, or with one that is not in the term's scale."""
    change, term = case.change, case.course.term
    if change.action != "complete":
        return None
    if not change.grade:
        return Refusal("unknown-grade", "completing a course needs a grade", "add --grade GRADE")
    grades = scale(term.grades)
    if grades.knows(change.grade):
        return None
    return Refusal(
        "unknown-grade",
        f"{change.grade} is no grade of {term.code}; there are {', '.join(grades.grades)}",
        f"studentcli term edit {term.code} --grades GRADES names others",
    )


def state_refusal(code: str, case: Case) -> Refusal | None:
    """Word the refusal of TRANSITIONS, or none when the verdict is a status."""
    student, course, enrollment = case.student, case.course, case.enrollment
    if enrollment is not None and code in {"already-withdrawn", "already-completed"}:
        word = code.removeprefix("already-")
        since = f"{student.number} has {word} from {course.ref} on {enrollment.status_since}"
        if word == "completed":
            return Refusal(code, since.replace(" from ", " "))
        return Refusal(code, since, f"--override {code} --reason TEXT allows it")
    if code != "not-enrolled":
        return None
    if enrollment is not None and enrollment.status == "waitlisted":
        return Refusal(
            code,
            f"{student.number} is waitlisted in {course.ref}, not enrolled",
            f"studentcli drop {student.number} {course.ref}",
        )
    status = "" if enrollment is None else f" ({enrollment.status})"
    return Refusal(
        code,
        f"{student.number} is not enrolled in {course.ref}{status}",
        f"studentcli courses {student.number} lists the enrollments",
    )

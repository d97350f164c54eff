"""Who may be admitted: what a student's and a course's own records say."""

from datetime import date

from studentcli.conditions import unmet
from studentcli.requests import Refusal
from studentcli.rules.case import Case


def student_is_inactive(case: Case) -> Refusal | None:
    """Refuse an inactive student."""
    student = case.student
    if student.status == "active":
        return None
    activate = f"studentcli student edit {student.number} --status active"
    return Refusal("student-inactive", f"{student.number} is inactive", activate)


def course_is_closed(case: Case) -> Refusal | None:
    """Refuse a course that is closed or cancelled."""
    course = case.course
    if course.status == "open":
        return None
    reopen = f"studentcli course edit {course.ref} --status open"
    return Refusal("course-closed", f"{course.ref} is {course.status}", reopen)


def hold_on_record(case: Case) -> Refusal | None:
    """Refuse what an active hold blocks: adding, or adding and dropping."""
    holds = case.student.holds
    if not holds:
        return None
    is_add = case.change.action == "enroll"
    blocking = [
        hold for hold in holds if hold.is_active(case.today) and (is_add or hold.blocks != "add")
    ]
    if not blocking:
        return None
    said = "; ".join(f"{hold.kind} since {hold.from_on}: {hold.reason}" for hold in blocking)
    number = case.student.number
    lift = f"studentcli hold lift {blocking[0].hold_id} lifts it; studentcli hold list {number}"
    return Refusal("hold", f"{number} has a hold ({said})", lift)


def window_is_closed(case: Case) -> Refusal | None:
    """Refuse an add outside of the enroll window, or a backdated one without a reason."""
    first, last = case.course.window
    if first is None and last is None:
        return None
    ref = case.course.ref
    if first is not None and case.on < first:
        return Refusal("window-closed", f"the enroll window of {ref} opens on {first}")
    if last is not None and case.on > last:
        return Refusal("window-closed", f"the enroll window of {ref} closed on {last}")
    return _unexplained(case, "window-closed", last, f"the enroll window of {ref}")


def drop_is_late(case: Case) -> Refusal | None:
    """Refuse a drop after the deadline; leaving a queue is free at any time."""
    last = case.course.last_drop
    if last is None or case.is_waiting:
        return None
    number, ref = case.student.number, case.course.ref
    if case.on > last:
        return Refusal(
            "drop-deadline",
            f"the last day to drop {ref} was {last}",
            f"studentcli withdraw {number} {ref} leaves a W on the transcript",
        )
    return _unexplained(case, "drop-deadline", last, f"the drop deadline of {ref}")


def withdrawal_is_late(case: Case) -> Refusal | None:
    """Refuse a withdrawal after the deadline."""
    last = case.course.last_withdrawal
    if last is None:
        return None
    ref = case.course.ref
    if case.on > last:
        return Refusal("withdraw-deadline", f"the last day to withdraw from {ref} was {last}")
    return _unexplained(case, "withdraw-deadline", last, f"the withdraw deadline of {ref}")


def _unexplained(case: Case, code: str, last: date | None, what: str) -> Refusal | None:
    """Refuse to go back before a day that has passed unless somebody says why."""
    if last is None or case.today <= last or case.change.reason:
        return None
    return Refusal(
        code,
        f"{what} ended on {last}; a change dated {case.on} needs a reason",
        "add --reason TEXT",
    )


def student_is_restricted(case: Case) -> Refusal | None:
    """Refuse a student whose tags the course does not take."""
    groups = case.course.restricted
    if not groups:
        return None
    missing = unmet(groups, case.student.tags)
    if missing is None:
        return None
    wanted = " or ".join(f"not {term.tag}" if term.is_excluded else term.tag for term in missing)
    tags = " ".join(sorted(case.student.tags)) or "no tags"
    number = case.student.number
    return Refusal(
        "restricted",
        f"{case.course.ref} takes only students with {wanted}; {number} has {tags}",
        f"studentcli student edit {number} --tags TAGS",
    )

"""Swaps that wait for one another: everybody would give up what the next one wants, nobody can.

A queue gives a seat when one is free. Where two students would trade their seats in two full
courses, none ever is.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from studentcli.conditions import find_cycle
from studentcli.facts import CourseFact, Facts, StudentFact
from studentcli.models import Course, StudentCourses
from studentcli.rules.queue import judge_queue
from studentcli.services.checks.finding import Finding, attention
from studentcli.services.checks.scope import Scope, look_at_queues

FULL: Final = "course-full"


class _Swap(NamedTuple):
    """Who would get the next seat of a course, and which course that would free."""

    student: StudentFact
    new: CourseFact
    old: CourseFact

    def __str__(self) -> str:
        return f"{self.student.number} waits for {self.new.ref} and gives up {self.old.ref}"


def check_swaps(session: Session, scope: Scope) -> Iterator[Finding]:
    """Find the circles of swaps in full courses, each once."""
    waiting = _pending(session, scope)
    if find_cycle({str(new): map(str, olds) for new, olds in waiting.items()}) is None:
        return
    swaps = _next_swaps(session, scope, set(waiting))
    for circle in _circles(swaps):
        first = circle[0]
        ref = shlex.quote(first.new.ref)
        yield attention(
            "swap-circle",
            f"{first.student.number} in {first.new.ref}",
            f"{', '.join(map(str, circle))}: none of them can be the first",
            f"studentcli override grant {shlex.quote(first.student.number)} {ref} --rule {FULL}"
            " --reason TEXT",
        )


def _pending(session: Session, scope: Scope) -> dict[int, set[int]]:
    """Read which courses are waited for in place of which: new → old ones, by id."""
    wait, seat = aliased(StudentCourses), aliased(StudentCourses)
    query = (
        select(wait.course_id, wait.instead_of_id)
        .join(Course, Course.id == wait.course_id)
        .join(seat, (seat.student_id == wait.student_id) & (seat.course_id == wait.instead_of_id))
        .where(
            wait.instead_of_id.is_not(None),
            seat.status == "enrolled",
            Course.term_id.in_(scope.covered),
        )
        .distinct()
        .order_by(wait.course_id, wait.instead_of_id)
    )
    found: dict[int, set[int]] = {}
    for new, old in session.execute(query):
        if old is not None:
            found.setdefault(new, set()).add(old)
    return found


def _next_swaps(session: Session, scope: Scope, course_ids: set[int]) -> dict[int, _Swap]:
    """Find the courses whose next seat would go to a swap: by the id of the course."""
    facts = look_at_queues(session, scope.policy, course_ids)
    found = (_next_swap(facts.courses[key], facts, scope) for key in sorted(course_ids))
    return {swap.new.course_id: swap for swap in found if swap is not None}


def _next_swap(course: CourseFact, facts: Facts, scope: Scope) -> _Swap | None:
    """Find who has only a full course in the way, when that is a swap."""
    if course.has_free_seat:
        return None
    for student_id, verdict in judge_queue(course, facts, scope.policy).items():
        if all(refusal.code == FULL for refusal in verdict.refusals):
            old_id = course.queue[student_id].instead_of
            if old_id is None or old_id not in facts.students[student_id].enrollments:
                return None
            return _Swap(facts.students[student_id], course, facts.courses[old_id])
    return None


def _circles(swaps: Mapping[int, _Swap]) -> Iterator[list[_Swap]]:
    """Follow from every course the seat that its next student would free."""
    seen: set[int] = set()
    for start in swaps:
        path: list[int] = []
        course_id = start
        while course_id in swaps and course_id not in seen:
            seen.add(course_id)
            path.append(course_id)
            course_id = swaps[course_id].old.course_id
        if course_id in path:
            yield [swaps[key] for key in path[path.index(course_id) :]]

"""Why an enrollment would succeed or not: every rule, its evidence, and the way out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.facts import CourseFact, StudentFact
from studentcli.models import Student, StudentCourses
from studentcli.requests import Change, CourseWord, Outcome, Policy, Refusal, Request, Wanted
from studentcli.rules import decide
from studentcli.rules.case import Case
from studentcli.rules.explaining import Finding, findings
from studentcli.services.loading import Deciding
from studentcli.services.near import suggest_course, suggest_student
from studentcli.services.views import Row


@dataclass(frozen=True)
class Explanation:
    """What would come of adding one course, and why.

    Args:
        outcome: what `enroll` would answer: enrolled, waitlisted, unchanged or refused.
        status: how the student stands in the course now; none = not at all.
        position: the place in the queue now, 1 = next.
        findings: what every rule of the book says.
    """

    outcome: Outcome
    status: str | None
    position: int | None
    findings: tuple[Finding, ...]

    def rows(self) -> list[Row]:
        """Give a row per rule: what it says, and the command for the override that clears it."""
        asked = self.outcome
        return [
            {
                "course": asked.course,
                "would": asked.result,
                "place": asked.position,
                "rule": finding.code,
                "result": finding.result,
                "message": finding.refusal.message if finding.refusal else None,
                "hint": finding.refusal.hint if finding.refusal else None,
                "override": override_command(asked, finding),
            }
            for finding in self.findings
        ]


def override_command(outcome: Outcome, finding: Finding) -> str | None:
    """Write the command that grants the override which clears a rule, or none."""
    if not finding.is_overridable:
        return None
    return (
        f"studentcli override grant {outcome.student} {finding.course or outcome.course}"
        f" --rule {finding.code} --reason TEXT"
    )


def explain(
    session: Session,
    student: str | int,
    courses: Sequence[str | int],
    policy: Policy,
    *,
    term: str | None = None,
) -> list[Explanation]:
    """Explain what would come of enrolling a student in courses, asked for together.

    The decision is the one that `submit` makes of the same request; nothing is written.

    Args:
        session: from `Database.read`, or of a forecast.
        student: the student number, or the database id.
        courses: as written, or database ids; what means the same course is taken once.
        policy: how to judge.
        term: the term code that course words mean when they name none.

    Returns:
        One explanation per course, in the order asked.

    Raises:
        errors.UnknownStudent: with near numbers.
        errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm: as enrolling resolves.
    """
    words = [CourseWord(word) if isinstance(word, str) else word for word in courses]
    asked = Request(student, [Change("enroll", word) for word in words])
    deciding = Deciding(session, policy, term)
    wanted = Wanted()
    wanted.add(asked)
    deciding.let_move(_waits(session, student))
    deciding.lock(wanted)
    (found,) = deciding.load([asked])
    if isinstance(found, Refusal):
        near = suggest_student(session, found, student) if isinstance(student, str) else found
        raise near.error()
    by_course = {_course(deciding, change, found).course_id: change for change in asked.changes}
    return _explained(deciding, found, Request(student, list(by_course.values())))


def _waits(session: Session, student: str | int) -> set[int]:
    """Find where the student waits: to say what a promotion meets, whole queues are read."""
    key = Student.id if isinstance(student, int) else Student.student_number
    query = (
        select(StudentCourses.course_id)
        .join(Student, Student.id == StudentCourses.student_id)
        .where(key == student, StudentCourses.status == "waitlisted")
    )
    return set(session.scalars(query))


def _course(deciding: Deciding, change: Change, student: StudentFact) -> CourseFact:
    course = deciding.index.find_for(change, student)
    if isinstance(course, Refusal):
        if isinstance(change.course, CourseWord):
            term = deciding.index.term_of(change.course)
            course = suggest_course(deciding.session, course, change.course, term)
        raise course.error()
    return course


def _explained(deciding: Deciding, student: StudentFact, request: Request) -> list[Explanation]:
    """Decide the request over the facts, and keep what the rules say just before each decision."""
    facts, seen = deciding.facts, dict[int, tuple[Any, ...]]()
    standing = dict(student.enrollments.items())
    positions = {
        course.course_id: position
        for course in facts.locked()
        if (position := course.position_of(student.student_id)) is not None
    }

    def look(case: Case) -> None:
        seen[case.course.course_id] = tuple(findings(case, facts))

    decision = decide(request, student, deciding.index.find_for, facts, deciding.policy, look=look)
    explained = []
    for outcome in decision.outcomes:
        course_id = outcome.course_id
        assert course_id is not None  # noqa: S101  (every course was found)
        enrollment = standing.get(course_id)
        explained.append(
            Explanation(
                outcome,
                None if enrollment is None else enrollment.status,
                positions.get(course_id),
                seen[course_id],
            )
        )
    return explained

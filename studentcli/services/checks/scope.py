"""What the checks by the rules look at: a day, some terms, and who was let in by an override."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from studentcli.database import list_parameter
from studentcli.facts import CourseFact, Enrollments, Facts, Key, StudentFact, TermFact
from studentcli.requests import Change, Policy
from studentcli.rules.case import Case
from studentcli.services import statements
from studentcli.services.events import read_detail, still_count
from studentcli.services.loading import Deciding
from studentcli.services.resolve import is_sqlite, load_courses, load_terms
from studentcli.services.transcripts import Transcripts


@dataclass(frozen=True)
class Scope:
    """Which terms are looked at, and as of when.

    Args:
        policy: for today's date.
        terms: every term.
        named: the term that somebody named; without one, those that are not over.
    """

    policy: Policy
    terms: tuple[TermFact, ...]
    named: str | None = None

    @classmethod
    def of(cls, session: Session, policy: Policy, named: str | None) -> "Scope":
        """Look at the terms of a database."""
        return cls(policy, tuple(load_terms(session)), named)

    def covers(self, term: TermFact) -> bool:
        """Tell whether what is found in a term is to be told."""
        if self.named is not None:
            return term.code == self.named
        return self.is_running(term)

    def is_running(self, term: TermFact) -> bool:
        """Tell whether a term is not over."""
        return term.ends_on is None or self.policy.today(term.time_zone) <= term.ends_on

    @property
    def covered(self) -> list[int]:
        """The ids of the terms that are covered."""
        return [term.term_id for term in self.terms if self.covers(term)]

    @property
    def read(self) -> list[int]:
        """The ids of the terms that matter: the covered, and those that run beside them."""
        return [t.term_id for t in self.terms if self.covers(t) or self.is_running(t)]


class Records:
    """The records of students, a chunk at a time, for the rules to judge again.

    The courses that were met stay in memory, the students do not.
    """

    def __init__(self, session: Session, scope: Scope) -> None:
        self.session = session
        self.scope = scope
        self.facts = Facts()
        self.is_sqlite = is_sqlite(session)

    def take_courses(self, course_ids: Collection[int]) -> None:
        """Take in, with everything that rules ask about them, the courses to be judged."""
        missing = sorted(set(course_ids) - self.facts.courses.keys())
        if missing:
            query = statements.further_courses(is_sqlite=self.is_sqlite, locks=False)
            parameters = {"courses": list_parameter(missing, is_sqlite=self.is_sqlite)}
            found = load_courses(self.session, list(self.scope.terms), query, parameters)
            self.facts.courses.update((course.course_id, course) for course in found)

    def read(self, student_ids: Collection[int]) -> list[StudentFact]:
        """Read students with their whole records, by id, in place of those read before."""
        query = statements.students(is_sqlite=self.is_sqlite, locks=False, by=("ids",))
        parameters = {"ids": list_parameter(sorted(student_ids), is_sqlite=self.is_sqlite)}
        rows: Any = self.session.connection().execute(query, parameters)
        students = [
            StudentFact(
                student_id, number, status, max_credits,
                enrollments=Enrollments(self.facts.states),
            )
            for student_id, number, status, max_credits, _ in rows
        ]  # fmt: skip
        self.facts.students = {student.student_id: student for student in students}
        Transcripts(self.session, self.facts, self.scope.terms).read(students)
        return students

    def case(self, student: StudentFact, course: CourseFact) -> Case:
        """Put an enrollment as a case, as if the student asked for it today."""
        policy = self.scope.policy
        return Case(
            Change("enroll", course.course_id), student, course,
            student.enrollments.get(course.course_id), policy.today(course.term.time_zone),
            policy, self.facts.courses,
        )  # fmt: skip


def look_at_queues(session: Session, policy: Policy, course_ids: set[int]) -> Facts:
    """Read courses with their queues and everybody in them, without a lock, whatever the session.

    Args:
        session: any.
        policy: for today's date.
        course_ids: the courses.
    """
    deciding = Deciding(session, policy)
    deciding.locks = False
    deciding.lock_courses(course_ids)
    deciding.let_move(course_ids)
    deciding.lock_students((), ())
    return deciding.facts


def overridden(session: Session, keys: Collection[Key]) -> dict[Key, frozenset[str]]:
    """Find the rules that were overridden when students were last let in, by pair.

    Returns:
        Codes by (student id, course id); a pair without an override is left out.
    """
    if not keys:
        return {}
    sqlite = is_sqlite(session)
    query = statements.let_in(is_sqlite=sqlite)
    parameters = statements.pair_parameters(sorted(keys), is_sqlite=sqlite)
    rows: Any = session.connection().execute(query, parameters)
    recorded: dict[Key, list[tuple[int, str, str | None]]] = {}
    for student_id, course_id, *step in rows:
        recorded.setdefault((student_id, course_id), []).append(tuple(step))
    found: dict[Key, frozenset[str]] = {}
    for key, taken in recorded.items():
        for place in still_count(taken)[-1:]:
            codes = read_detail(taken[place][2]).get("overrides")
            found[key] = frozenset(map(str, codes or ()))
    return {key: codes for key, codes in found.items() if codes}

"""One change with everything that judging it needs: what every rule is given."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from studentcli.facts import CourseFact, Courses, EnrollmentFact, StudentFact
from studentcli.requests import Change, Policy

NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


IsPlain = Callable[[StudentFact], bool]
"""Tells that a rule finds nothing in who was never in a course, and whose courses are counted;
otherwise it is to be judged."""


def everybody(_: StudentFact) -> bool:
    """Let everybody pass."""
    return True


class Case(NamedTuple):
    """One change of one student in one course, on one day.

    `courses` holds every course that the student is or was in, by id. `given_up` is the course of
    `--instead-of`. `together` leads from the courses that the same request adds to `seat` or
    `place`, as far as it has been found out; `leaving` names the courses that it drops.
    """

    change: Change
    student: StudentFact
    course: CourseFact
    enrollment: EnrollmentFact | None
    on: date
    policy: Policy
    courses: Courses
    given_up: CourseFact | None = None
    together: Mapping[int, str] = NOTHING
    leaving: frozenset[int] = frozenset()

    @property
    def today(self) -> date:
        """Today in the zone of the course's term."""
        return self.policy.today(self.course.term.time_zone)

    @property
    def is_waiting(self) -> bool:
        """Whether the student is in the queue of the course already."""
        return self.enrollment is not None and self.enrollment.status == "waitlisted"

    @property
    def allowed(self) -> frozenset[str]:
        """The rules that may be broken: by the change itself, or by a granted override."""
        grants = self.student.grants.get(self.course.course_id)
        if not grants:
            return self.change.overrides
        granted = (grant.rule for grant in grants if grant.is_active(self.today))
        return self.change.overrides.union(granted)

    @property
    def counted(self) -> StudentFact:
        """The student, with what the courses add up to, the one that is given up among them."""
        return self.student.count(self.courses)

    def others(self, *statuses: str) -> Iterator[tuple[CourseFact, EnrollmentFact]]:
        """Give the student's other courses in these states, without the one that is given up."""
        courses = self.courses
        mine = self.course.course_id
        old = 0 if self.given_up is None else self.given_up.course_id
        for course_id, enrollment in self.student.enrollments.items():
            if enrollment.status in statuses and course_id not in {mine, old}:
                yield courses[course_id], enrollment

    def this_term(self, *statuses: str) -> Iterator[tuple[CourseFact, EnrollmentFact]]:
        """Give those of the same term."""
        term = self.course.term
        return (pair for pair in self.others(*statuses) if pair[0].term is term)

    def added(self, *ranks: str) -> set[str]:
        """Give the codes of this term that the same request adds beside the course itself.

        Args:
            ranks: `seat` or `place`: what the add leads to.
        """
        if not self.together:
            return set()
        term, mine = self.course.term, self.course.course_id
        return {
            self.courses[course_id].code
            for course_id, rank in self.together.items()
            if rank in ranks and course_id != mine and self.courses[course_id].term is term
        }


new_case: Final = partial(tuple.__new__, Case)
"""Makes a case of its fields: the class takes them one by one, at twice the time."""

"""A student: enrollments, holds, overrides, and what the courses add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from studentcli.facts.standing import EnrollmentFact, Enrollments
from studentcli.vocabulary import SEATED_STATUSES

if TYPE_CHECKING:
    from studentcli.facts.courses import CourseFact


class HoldFact(NamedTuple):
    """A hold that was not lifted; `until_on` is its last day, none = until it is lifted."""

    hold_id: int
    kind: str
    blocks: str
    reason: str
    from_on: date
    until_on: date | None

    def is_active(self, on: date) -> bool:
        """Whether it blocks on a day."""
        return self.from_on <= on and (self.until_on is None or on <= self.until_on)


class Grant(NamedTuple):
    """An override that was granted and not revoked; `until_on` is its last day."""

    override_id: int
    rule: str
    until_on: date | None

    def is_active(self, on: date) -> bool:
        """Whether it counts on a day."""
        return self.until_on is None or on <= self.until_on


Hours = Mapping[int, Decimal]
"""Credit hours with a seat by term id, shared by all for whom they are the same."""
NO_HOURS: Final = Decimal(0)
NO_TERMS: Final[Hours] = {}
SUMS: Final = 10_000
"""Different sums that are known at a time, to be shared."""
_sums: Final[dict[tuple[int, int, Decimal], tuple[Hours, Hours]]] = {}
"""What hours become with some more of a term: by the id of what they were, which stays alive."""


NO_GRANTS: Final[Mapping[int, tuple[Grant, ...]]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class StudentFact:
    """A student as the rules see one.

    `enrollments` leads from the course's id to the enrollment, in every state; `grants` has the
    course's id, too. These and `holds` are asked for at once, which sets `is_loaded`, and there
    when the answer is taken. What the courses add up to, so that a rule need not go through them:
    `week` has a bit for every piece of the week in which an enrolled course meets on any date, and
    `hours` is none until they are counted.
    """

    student_id: int
    number: str
    status: str
    max_credits: Decimal | None = None
    tags: frozenset[str] = frozenset()
    enrollments: Enrollments = field(default_factory=Enrollments)
    holds: tuple[HoldFact, ...] = ()
    grants: Mapping[int, tuple[Grant, ...]] = field(default_factory=lambda: NO_GRANTS)
    is_loaded: bool = False
    week: int = 0
    hours: Hours | None = None

    def count(self, courses: Mapping[int, "CourseFact"]) -> "StudentFact":
        """Count what the courses add up to, at the first use and after a seat was left."""
        if self.hours is None:
            self.week, self.hours = 0, NO_TERMS
            for course_id, enrollment in self.enrollments.items():
                self.count_in(courses[course_id], enrollment)
        return self

    def count_in(self, course: "CourseFact", enrollment: EnrollmentFact) -> None:
        """Take a further course into what they add up to."""
        status = enrollment.status
        if status in SEATED_STATUSES:
            if status == "enrolled":
                self.week |= course.week
            self.add_hours(course)

    def add_hours(self, course: "CourseFact") -> None:
        """Add the hours of a course; equal sums of a hundred thousand students are one."""
        hours, term_id, more = self.hours or NO_TERMS, course.term.term_id, course.credit_hours
        key = id(hours), term_id, more
        known = _sums.get(key)
        if known is None:
            if len(_sums) >= SUMS:
                _sums.clear()
            after = {**hours, term_id: hours.get(term_id, NO_HOURS) + more} if more else hours
            known = _sums[key] = hours, after
        self.hours = known[1]

    def recount(self) -> None:
        """Have the courses counted anew at the next use."""
        self.week, self.hours = 0, None

    def forget(self) -> None:
        """Let go of what the tables hold, until the records are read again."""
        self.enrollments = Enrollments(self.enrollments.states)
        self.recount()
        self.holds, self.grants, self.is_loaded = (), NO_GRANTS, False

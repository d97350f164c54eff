"""A student: enrollments, holds, overrides, and what the courses add up to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

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


@dataclass(slots=True, frozen=True)
class EnrollmentFact:
    """The state of one student in one course; all who are in the same state can share it.

    `changed_on` is the date of the last change that somebody asked for (a promotion by the queue
    is none); `instead_of` the course that is given up when the queue gives a seat; `recorded`
    holds (action, date, grade) of the changes already made; `in_table` says whether the table
    had a row for it when it came about; `is_moved` whether this operation has changed it.
    """

    status: str
    enrolled_on: date
    status_since: date
    changed_on: date
    place: int | None = None
    grade: str | None = None
    instead_of: int | None = None
    recorded: tuple[tuple[str, date, str | None], ...] = ()
    in_table: bool = True
    is_moved: bool = False

    @property
    def is_seated(self) -> bool:
        """Whether the student has a seat."""
        return self.status in SEATED_STATUSES


class Enrollments:
    """The enrollments of a student by the course's id, in the order in which they came.

    A batch holds a hundred thousand students with some dozens each. With ten courses two lists are
    as large as a dict, with fifty less than half as large, and searched in half a microsecond.

    `waits` counts those in a queue. What is done for every row of a file looks at the lists
    themselves.
    """

    __slots__ = ("course_ids", "states", "waits")

    def __init__(self) -> None:
        self.course_ids: list[int] = []
        self.states: list[EnrollmentFact] = []
        self.waits = 0

    def __contains__(self, course_id: object) -> bool:
        return course_id in self.course_ids

    def __iter__(self) -> Iterator[int]:
        return iter(self.course_ids)

    def __len__(self) -> int:
        return len(self.course_ids)

    def __eq__(self, other: object) -> bool:
        theirs = dict(other.items()) if isinstance(other, Enrollments) else other
        return dict(self.items()) == theirs

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, course_id: int) -> EnrollmentFact:
        return self.states[self.course_ids.index(course_id)]

    def __setitem__(self, course_id: int, state: EnrollmentFact) -> None:
        self.waits += state.status == "waitlisted"
        if course_id in self.course_ids:
            at = self.course_ids.index(course_id)
            self.waits -= self.states[at].status == "waitlisted"
            self.states[at] = state
        else:
            self.course_ids.append(course_id)
            self.states.append(state)

    def __delitem__(self, course_id: int) -> None:
        at = self.course_ids.index(course_id)
        self.waits -= self.states[at].status == "waitlisted"
        del self.course_ids[at], self.states[at]

    def get(self, course_id: int) -> EnrollmentFact | None:
        """Give the enrollment in a course, if there is one."""
        return self[course_id] if course_id in self.course_ids else None

    def items(self) -> Iterator[tuple[int, EnrollmentFact]]:
        """Give course ids with enrollments."""
        return zip(self.course_ids, self.states, strict=True)

    def values(self) -> Iterator[EnrollmentFact]:
        """Give the enrollments."""
        return iter(self.states)


@dataclass(slots=True)
class Load:
    """What a student's courses add up to, so that a rule need not go through them.

    `week` has a bit for every piece of the week in which an enrolled course meets on any date,
    `hours` the credit hours with a seat by term id, shared by all for whom they are the same.
    """

    week: int = 0
    hours: Mapping[int, Decimal] = field(default_factory=lambda: NO_TERMS)

    def add(self, course: "CourseFact", enrollment: EnrollmentFact) -> None:
        """Take a course in."""
        status = enrollment.status
        if status in SEATED_STATUSES:
            if status == "enrolled":
                self.week |= course.week
            self.add_hours(course)

    def add_hours(self, course: "CourseFact") -> None:
        """Add the hours of a course; equal sums of a hundred thousand students are one."""
        hours, term_id, more = self.hours, course.term.term_id, course.credit_hours
        key = id(hours), term_id, more
        known = _sums.get(key)
        if known is None:
            if len(_sums) >= SUMS:
                _sums.clear()
            after = {**hours, term_id: hours.get(term_id, NO_HOURS) + more} if more else hours
            known = _sums[key] = hours, after
        self.hours = known[1]


NO_HOURS: Final = Decimal(0)
NO_TERMS: Final[Mapping[int, Decimal]] = {}
SUMS: Final = 10_000
"""Different sums that are known at a time, to be shared."""
_Hours = Mapping[int, Decimal]
_sums: Final[dict[tuple[int, int, Decimal], tuple[_Hours, _Hours]]] = {}
"""What hours become with some more of a term: by the id of what they were, which stays alive."""


NO_GRANTS: Final[Mapping[int, tuple[Grant, ...]]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class StudentFact:
    """A student as the rules see one.

    `enrollments` leads from the course's id to the enrollment, in every state; like `holds` and
    `grants` (by course id) it is there once `is_loaded` is set.
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
    load: Load | None = None

    def load_of(self, courses: Mapping[int, "CourseFact"]) -> Load:
        """Give what the courses add up to, counted at the first use and after a seat was left."""
        if self.load is None:
            self.load = Load()
            for course_id, enrollment in self.enrollments.items():
                self.load.add(courses[course_id], enrollment)
        return self.load

    def forget(self) -> None:
        """Let go of what the tables hold, until the records are read again."""
        self.enrollments, self.load = Enrollments(), None
        self.holds, self.grants, self.is_loaded = (), NO_GRANTS, False

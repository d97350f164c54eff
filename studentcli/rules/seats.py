"""The seats of a course: how many are left for whom."""

from dataclasses import dataclass, field
from datetime import date

from studentcli.facts import CourseFact, StudentFact
from studentcli.requests import Refusal
from studentcli.rules.book import CLEAR, Verdict, weigh
from studentcli.rules.case import Case


@dataclass
class Seats:
    """The seats of a course, given out in the mind."""

    course: CourseFact
    today: date
    taken: int = 0
    filled: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = self.course.taken
        self.filled = dict(self.course.filled)

    def refuse(self, student: StudentFact) -> str | None:
        """Name the rule that keeps a student from sitting down, or none."""
        course = self.course
        if course.capacity is None:
            return None
        free = course.capacity - self.taken
        if free <= 0:
            return "course-full"
        return "seat-reserved" if free <= self._kept(student.tags) else None

    def _kept(self, tags: frozenset[str] = frozenset()) -> int:
        """Count the seats that are kept free for other tags than these."""
        return sum(
            max(0, kept_for.seats - self.filled.get(kept_for.tag, 0))
            for kept_for in self.course.reserved
            if kept_for.tag not in tags and kept_for.is_active(self.today)
        )

    @property
    def spare(self) -> int:
        """How many seats of a limited course are free beside those kept; below 0 some lack."""
        return (self.course.capacity or 0) - self.taken - self._kept()

    def has_reserved(self, student: StudentFact) -> bool:
        """Tell whether seats are reserved for a student."""
        return any(
            kept_for.tag in student.tags and kept_for.is_active(self.today)
            for kept_for in self.course.reserved
        )

    def copy(self) -> "Seats":
        """Give the same seats, to be given out otherwise."""
        other = Seats(self.course, self.today)
        other.taken, other.filled = self.taken, dict(self.filled)
        return other

    def take(self, student: StudentFact, seats: int = 1) -> None:
        """Let a student sit down, or with -1 stand up."""
        self.taken += seats
        for kept_for in self.course.reserved:
            if kept_for.tag in student.tags:
                self.filled[kept_for.tag] = self.filled.get(kept_for.tag, 0) + seats


def fills_two(student: StudentFact, course: CourseFact) -> bool:
    """Tell whether one seat can fill two reservations: then more is free for others than before."""
    return sum(kept_for.tag in student.tags for kept_for in course.reserved) > 1


def judge_seat(case: Case, seats: Seats) -> Verdict:
    """Judge whether there is a seat for a student who is the next to be given one."""
    blocked = seats.refuse(case.student)
    if blocked is None:
        return CLEAR
    if "course-full" in case.allowed:
        blocked = "course-full"
    return weigh([Refusal(blocked, full_sentence(case, blocked))], case)


def full_sentence(case: Case, blocked: str | None) -> str:
    """Say why no seat is free for a student."""
    course = case.course
    seats = f"{course.taken}/{course.capacity} seats taken"
    if blocked == "seat-reserved":
        kept = ", ".join(
            f"{kept.seats} for {kept.tag}" for kept in course.reserved if kept.is_active(case.today)
        )
        return f"the free seats of {course.ref} ({seats}) are reserved: {kept}"
    if course.has_free_seat:
        return (
            f"the free seats of {course.ref} ({seats}) belong to its queue of {len(course.queue)}"
        )
    return f"{course.ref} is full ({seats})"

"""How students stand in courses: an enrollment, and all of a student's written small.

A batch holds a hundred thousand students with some dozens of enrollments each, and looks for one
of them in every row. Written as characters, one for the course and one for the state, a student's
enrollments are one object of a few bytes each, and a course is found in them in no time: as two
lists they took three times the memory, and most of a row's time was waiting for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Final

from studentcli.vocabulary import SEATED_STATUSES


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


OWN: Final = "\0"
"""Stands for a state that has no mark of its own: the student keeps it."""
MOST: Final = 500_000
"""Marks of states at most: the characters end soon after."""
LONG: Final = 3
"""Recorded changes in a state from which on it is hardly anybody else's."""

_numbers: Final = count(1, 2)
"""What the marks of courses are made of: odd numbers, those of states are even."""
_course_marks: Final[dict[int, str]] = {}
_courses: Final[dict[str, int]] = {}


def mark_of_course(course_id: int) -> str:
    """Give the character by which a course is written, the same in the whole process.

    There are half a million of them.
    """
    mark = _course_marks.get(course_id)
    if mark is None:
        new = chr(next(_numbers))
        _courses[new] = course_id
        mark = _course_marks.setdefault(course_id, new)  # another thread can have been first
    return mark


class States:
    """The states that the students of one operation are in, with the characters for them.

    `seats` holds of first seats, by their dates, the marks and the dates as text, as far as they
    were asked for.
    """

    __slots__ = ("_marks", "by_mark", "seats")

    def __init__(self) -> None:
        self._marks: dict[EnrollmentFact, str] = {}
        self.by_mark: dict[str, EnrollmentFact] = {}
        self.seats: dict[date, tuple[str | None, str]] = {}

    def mark(self, state: EnrollmentFact) -> str | None:
        """Give the character by which a state is written.

        None for one that is different for everybody, and for any further one once there are
        `MOST`: whoever is in it keeps it.
        """
        if (
            state.status == "waitlisted"
            or state.instead_of is not None
            or len(state.recorded) >= LONG
        ):
            return None
        mark = self._marks.get(state)
        if mark is None and len(self._marks) < MOST:
            mark = self._marks[state] = chr(2 * len(self._marks) + 2)
            self.by_mark[mark] = state
        return mark


class Enrollments:
    """The enrollments of a student by the course's id, in the order in which they came.

    `written` holds two characters for each: the marks of its course and of its state. `waits`
    counts those in a queue. What is done for every row of a file looks at the marks itself.

    Args:
        states: of the operation; without it these enrollments have states of their own.
    """

    __slots__ = ("_own", "states", "waits", "written")

    def __init__(self, states: States | None = None) -> None:
        self.states = States() if states is None else states
        self.written = ""
        self.waits = 0
        self._own: tuple[EnrollmentFact, ...] = ()
        """The states that have no mark, in their order."""

    def __contains__(self, course_id: int) -> bool:
        return self._place_of(course_id) >= 0

    def __iter__(self) -> Iterator[int]:
        return map(_courses.__getitem__, self.written[::2])

    def __len__(self) -> int:
        return len(self.written) // 2

    def __eq__(self, other: object) -> bool:
        theirs = dict(other.items()) if isinstance(other, Enrollments) else other
        return dict(self.items()) == theirs

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, course_id: int) -> EnrollmentFact:
        state = self.get(course_id)
        if state is None:
            raise KeyError(course_id)
        return state

    def __setitem__(self, course_id: int, state: EnrollmentFact) -> None:
        at, mark = self._place_of(course_id), self.states.mark(state)
        pair = mark_of_course(course_id) + (mark or OWN)
        self.waits += state.status == "waitlisted"
        self._replace(len(self.written) if at < 0 else at, pair, () if mark else (state,))

    def __delitem__(self, course_id: int) -> None:
        at = self._place_of(course_id)
        if at < 0:
            raise KeyError(course_id)
        self._replace(at, "", ())

    def get(self, course_id: int) -> EnrollmentFact | None:
        """Give the enrollment in a course, if there is one."""
        mark = _course_marks.get(course_id)
        return None if mark is None else self.find(mark)

    def find(self, mark: str) -> EnrollmentFact | None:
        """Give the enrollment in the course of a mark, if there is one."""
        at = self.written.find(mark)
        if at < 0:
            return None
        return self.states.by_mark.get(self.written[at + 1]) or self._own_at(at)

    def items(self) -> Iterator[tuple[int, EnrollmentFact]]:
        """Give course ids with enrollments."""
        return zip(self, self.values(), strict=True)

    def values(self) -> Iterator[EnrollmentFact]:
        """Give the enrollments."""
        own, by_mark = iter(self._own), self.states.by_mark
        return (next(own) if mark == OWN else by_mark[mark] for mark in self.written[1::2])

    def waiting(self) -> Iterator[int]:
        """Give the ids of the courses in whose queues the student is."""
        at = -1
        for state in self._own:
            at = self.written.index(OWN, at + 1)
            if state.status == "waitlisted":
                yield _courses[self.written[at - 1]]

    def given_up(self) -> set[int]:
        """List the courses that are given up once there is a seat in another one."""
        return {state.instead_of for state in self._own if state.instead_of is not None}

    def _place_of(self, course_id: int) -> int:
        """Give the place of a course among the characters, or -1."""
        mark = _course_marks.get(course_id)
        return -1 if mark is None else self.written.find(mark)

    def _own_at(self, at: int) -> EnrollmentFact:
        return self._own[self.written.count(OWN, 0, at)]

    def _replace(self, at: int, pair: str, own: tuple[EnrollmentFact, ...]) -> None:
        """Put a pair of marks, or none, in the place of the one that is there, or behind all."""
        written = self.written
        there = written[at + 1 : at + 2]
        if there:
            before = self.states.by_mark.get(there) or self._own_at(at)
            self.waits -= before.status == "waitlisted"
        nth = written.count(OWN, 0, at)
        self._own = (*self._own[:nth], *own, *self._own[nth + (there == OWN) :])
        self.written = written[:at] + pair + written[at + 2 :]

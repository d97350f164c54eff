"""What a file names against what is live, by ids: eight bytes an enrollment, no objects."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Final

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import Key
from studentcli.models import StudentCourses
from studentcli.services.resolve import is_sqlite
from studentcli.vocabulary import LIVE_STATUSES

FEW: Final = 0.1
"""Of what is live, how many others can be named for them to be remembered."""


class Comparison:
    """The enrollments that a file names, and those that are live, of the courses of a scope.

    Args:
        course_ids: the courses, by id.

    `doubled` holds what the file names more than once, `absent` (after `compare`) what is live and
    not named, `kept` what a pending swap would give up although a row names it or may mean it.
    """

    def __init__(self, course_ids: Iterable[int]) -> None:
        self.course_ids = list(course_ids)
        self._position = {course_id: at for at, course_id in enumerate(self.course_ids)}
        self._named = {course_id: array("q") for course_id in self.course_ids}
        self._live = {course_id: array("q") for course_id in self.course_ids}
        self._new: dict[int, set[int] | None] = {}
        """Who is named and not live, by course; none where these are not few."""
        self.doubled: set[Key] = set()
        self.drops: dict[int, int] = {}
        self.others: dict[int, int] = {}
        self.held = 0
        self.kept: set[Key] = set()
        self._swaps: dict[int, list[int]] = {}
        self._absent: list[int] = []
        self._open_courses: set[int] = set()
        self._open_students: set[int] = set()
        self._all_open = False

    def covers(self, course_id: int) -> bool:
        """Tell whether a course belongs to the scope."""
        return course_id in self._position

    def name(self, students: Iterable[int | None], courses: Iterable[int | None]) -> None:
        """Take in what rows name; none is what one does not say in a way that can be understood.

        An absent enrollment that such a row may have meant is not dropped.

        Args:
            students: their ids, of each row.
            courses: their ids, of each row.
        """
        named = self._named
        for student_id, course_id in zip(students, courses, strict=True):
            if student_id is None and course_id is None:
                self._all_open = True
            elif student_id is None:
                self._open_courses.add(course_id)  # type: ignore[arg-type]
            elif course_id is None:
                self._open_students.add(student_id)
            elif course_id in named:
                named[course_id].append(student_id)

    def read_live(self, session: Session) -> None:
        """Read what is live, and what of it pending swaps give up."""
        table = StudentCourses
        students = func.aggregate_strings(cast(table.student_id, Text), ",")
        query = (
            select(table.course_id, students)
            .where(
                listed_in(table.course_id, self.course_ids, is_sqlite=is_sqlite(session)),
                table.status.in_(LIVE_STATUSES),
            )
            .group_by(table.course_id)
        )
        self._live = {course_id: array("q") for course_id in self.course_ids}
        for course_id, ids in session.connection().execute(query):
            self._live[course_id].extend(sorted(map(int, ids.split(","))))
        self._swaps.clear()
        pending = select(table.instead_of_id, table.student_id).where(
            table.status == "waitlisted",
            listed_in(table.instead_of_id, self.course_ids, is_sqlite=is_sqlite(session)),
        )
        for given_up, student_id in session.connection().execute(pending):
            if given_up is not None:
                self._swaps.setdefault(given_up, []).append(student_id)

    def compare(self) -> None:
        """Find who is absent, how many others are named, and what is named twice."""
        width = len(self.course_ids)
        for at, (course_id, named) in enumerate(self._named.items()):
            live, said = self._live[course_id], set(named)
            new = said.difference(live)
            self.others[course_id] = len(new)
            self._new[course_id] = new if len(new) <= FEW * len(live) else None
            self.kept.update(
                (student_id, course_id)
                for student_id in self._swaps.get(course_id, ())
                if student_id in said or self._may_be_meant(student_id, course_id)
            )
            if len(said) < len(named):
                twice = sorted(named)
                self.doubled.update(
                    (one, course_id) for one, other in pairwise(twice) if one == other
                )
            absent = [student_id for student_id in live if student_id not in said]
            dropped = [s for s in absent if not self._may_be_meant(s, course_id)]
            self.held += len(absent) - len(dropped)
            self.drops[course_id] = len(dropped)
            self._absent += [student_id * width + at for student_id in dropped]
        self._named.clear()
        self._absent.sort()

    def _may_be_meant(self, student_id: int, course_id: int) -> bool:
        return (
            self._all_open or student_id in self._open_students or course_id in self._open_courses
        )

    def live(self, course_id: int) -> int:
        """Count what is live in a course."""
        return len(self._live[course_id])

    def students(self) -> set[int]:
        """List the ids of those of whom anything is live."""
        return set().union(*self._live.values())

    def agrees(self, student_id: int | None, course_id: int | None) -> bool:
        """Tell whether an enrollment that was named is live, in a course of the scope."""
        if student_id is None or course_id not in self._position:
            return False
        new = self._new[course_id]
        if new is not None:
            return student_id not in new
        live = self._live[course_id]
        at = bisect_left(live, student_id)
        return at < len(live) and live[at] == student_id

    def absent(self) -> Iterator[tuple[int, list[int]]]:
        """Give who is absent, by student id: the student, and the courses by id."""
        width = len(self.course_ids)
        for student_id, packed in groupby(self._absent, key=lambda one: one // width):
            yield student_id, [self.course_ids[one % width] for one in packed]

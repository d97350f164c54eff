"""What must hold after every step, told from the events that the step has left."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.meetings import overlap, parse
from studentcli.models import (
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Student,
    StudentCourses,
    Term,
)
from studentcli.vocabulary import SEATED_STATUSES
from tests.world import World

Pair = tuple[int, int]
"""Student id, course id."""


@dataclass
class Chronicle:
    """Follows the operations of a world, in the order in which they held their locks.

    An operation takes its number while it holds the courses: for one course, the order of numbers
    is the order in which things happened, however many were under way at once.
    """

    world: World
    statuses: dict[Pair, str | None] = field(default_factory=dict)
    places: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    cleared: dict[Pair, frozenset[str]] = field(default_factory=dict)
    """The rules that were overridden for the seat somebody has."""
    capacities: dict[int, int | None] = field(default_factory=dict)
    seen: tuple[int, int] = (0, 0)
    excused: set[Any] = field(default_factory=set)
    seated: list[Pair] = field(default_factory=list)
    """Who took a seat in this step, in order."""

    def follow(self, *, edits: bool) -> None:
        """Take in what happened since the last call; `edits` says that rules may have changed."""
        self.seated = []
        with self.world.database.session(writes=False) as session:
            catalog = self._new(session, CatalogEvent, self.seen[0])
            events = self._new(session, EnrollmentEvent, self.seen[1])
            operations = {event.operation_id for event in (*catalog, *events)}
            for operation in sorted(operations):
                self._edit([e for e in catalog if e.operation_id == operation])
                passed: dict[int, set[int]] = defaultdict(set)
                for event in events:
                    if event.operation_id == operation:
                        self._take(event, passed)
            self.seen = (
                max((e.id for e in catalog), default=self.seen[0]),
                max((e.id for e in events), default=self.seen[1]),
            )
            self._check_schedules(session, edits=edits)

    def _new(self, session: Session, table: Any, after: int) -> list[Any]:
        query = select(table).where(table.id > after).order_by(table.id)
        return list(session.scalars(query))

    def _edit(self, events: list[CatalogEvent]) -> None:
        for event in events:
            if event.kind == "course" and (
                event.action == "created" or "capacity" in event.changes
            ):
                new = event.changes.get("capacity", [None, None])[1]
                self.capacities[event.record_id] = None if new is None else int(new)

    def _take(self, event: EnrollmentEvent, passed: dict[int, set[int]]) -> None:
        student_id, course_id = event.student_id, event.course_id
        if event.action == "pass-over" and student_id and course_id:
            passed[course_id].add(student_id)
        if event.code is not None or student_id is None or course_id is None:
            return
        pair, queue = (student_id, course_id), self.places[course_id]
        overridden = frozenset(json.loads(event.detail or "{}").get("overrides", ()))
        assert self.statuses.get(pair) == event.from_status, f"{event.action} of {pair}"
        if event.action == "promote" and "course-full" not in overridden:
            before = {other for other, place in queue.items() if place < queue[student_id]}
            assert before <= passed[course_id], f"{pair} was promoted before {before}"
        queue.pop(student_id, None)
        self.statuses[pair] = event.to_status
        if event.to_status == "waitlisted":
            assert event.queue_place is not None
            assert all(event.queue_place > place for place in queue.values()), f"place of {pair}"
            queue[student_id] = event.queue_place
        if event.to_status in SEATED_STATUSES and event.from_status not in SEATED_STATUSES:
            self.cleared[pair] = overridden
            self.seated.append(pair)
            self._check_seat(course_id, overridden)

    def _check_seat(self, course_id: int, overridden: frozenset[str]) -> None:
        """Nobody sits down beyond the capacity of that moment without an override."""
        taken = sum(
            course == course_id and status in SEATED_STATUSES
            for (_, course), status in self.statuses.items()
        )
        capacity = self.capacities[course_id]
        is_within = capacity is None or taken <= capacity
        assert is_within or "course-full" in overridden, f"{taken}/{capacity} in {course_id}"

    # ── what a student has at once ──

    def _check_schedules(self, session: Session, *, edits: bool) -> None:
        """Nobody gets a seat beyond the load, or at the time of another, without an override.

        An edit of limits, credits or times leaves enrollments as they are: what it brings about
        is excused as long as it stays.
        """
        loads, conflicts = _over_load(session), _conflicts(session)
        found = loads | conflicts
        if not edits:
            for student_id, term_id, course_ids in loads:
                taken = [c for s, c in self.seated if s == student_id and c in course_ids]
                if taken:
                    cleared = self.cleared[student_id, taken[-1]]
                    assert "credit-load" in cleared, f"{student_id} over load in {term_id}"
            for student_id, *both in conflicts - self.excused:
                cleared = frozenset().union(*(self.cleared[student_id, one] for one in both))
                assert "time-conflict" in cleared, f"{student_id} is in {both} at once"
        self.excused = found if edits else self.excused & found


def _over_load(session: Session) -> set[Any]:
    """Give (student id, term id, course ids) of those with more credits than they may have."""
    query = select(
        Student.id, Student.max_credit_hours, Term.id, Term.max_credits, Course.id,
        Course.credit_hours,
    )  # fmt: skip
    hours: dict[tuple[int, int], dict[int, Decimal]] = defaultdict(dict)
    limits: dict[tuple[int, int], Decimal | None] = {}
    for student_id, own, term_id, usual, course_id, credit_hours in session.execute(
        _seats(query, SEATED_STATUSES)
    ):
        hours[student_id, term_id][course_id] = credit_hours
        limits[student_id, term_id] = usual if own is None else own
    return {
        (*key, tuple(sorted(taken)))
        for key, taken in hours.items()
        if (limit := limits[key]) is not None and sum(taken.values()) > limit
    }


def _conflicts(session: Session) -> set[Any]:
    """Give (student id, course id, course id) of those who would have to be in two places."""
    query = select(Student.id, Course.id, Course.meetings, Term.id, Term.starts_on, Term.ends_on)
    rows = session.execute(_seats(query, ("enrolled",)).where(Course.meetings.is_not(None))).all()
    return {
        (one[0], *sorted((one[1], other[1])))
        for one, other in combinations(rows, 2)
        if one[0] == other[0]
        and overlap(
            parse(one[2]), parse(other[2]), my_term=(one[4], one[5]),
            their_term=(other[4], other[5]), same_term=one[3] == other[3],
        )
    }  # fmt: skip


def _seats(query: Any, statuses: tuple[str, ...]) -> Any:
    return (
        query.select_from(StudentCourses)
        .join(Student, Student.id == StudentCourses.student_id)
        .join(Course, Course.id == StudentCourses.course_id)
        .join(Term, Term.id == Course.term_id)
        .where(StudentCourses.status.in_(statuses))
    )

"""What stands against taking enrollments back: changed since, or the seat is another's now."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.database import listed_in
from studentcli.facts import CourseFact, EnrollmentFact, Key
from studentcli.models import CatalogEvent, EnrollmentEvent, StudentCourses
from studentcli.rules.seats import Seats
from studentcli.services.events import State
from studentcli.services.queues import QueueRun
from studentcli.services.resolve import is_sqlite
from studentcli.services.undoing.returns import Return
from studentcli.vocabulary import SEATED_STATUSES

LIMITS: Final = frozenset({"capacity", "reserved"})
"""The fields of a course that say for whom there are seats."""


class Blocked(NamedTuple):
    """An enrollment that cannot be taken back, and why; `since` is what has changed it."""

    key: Key
    code: str
    why: str
    since: int | None = None


class Weighing:
    """Takes in what an operation did, and finds what of it can go back.

    Of an enrollment that is to have a place in a queue everything is kept, of one that is to have
    a seat in a limited course the student; of all others nothing, for they can be a million.

    Args:
        run: the locked facts, which show the records as they will be.
        operation_id: the operation that is undone.
    """

    def __init__(self, run: QueueRun, operation_id: int) -> None:
        self.run = run
        self.operation_id = operation_id
        self.count = 0
        self.blocked: dict[Key, Blocked] = {}
        self.queued: dict[Key, Return] = {}
        self._seats: dict[int, Seats] = {}
        self._sitting: defaultdict[int, list[int]] = defaultdict(list)
        self._last_event: dict[int, int] = {}

    def take_in(self, returns: Iterable[Return]) -> None:
        """Take in some of what the operation did."""
        facts = self.run.deciding.facts
        for found in returns:
            self.count += 1
            why = self._changed(found)
            if why is not None:
                self.blocked[found.key] = Blocked(found.key, "changed-since", why, found.since)
                continue
            course_id = found.course_id
            last = self._last_event.get(course_id, 0)
            self._last_event[course_id] = max(last, found.last_event)
            student = facts.students[found.student_id]
            if found.is_queued:
                self.queued[found.key] = found
            elif found.frees_seat:
                self._seats_of(course_id).take(student, -1)
            elif found.takes_seat and facts.courses[course_id].capacity is not None:
                self._sitting[course_id].append(student.student_id)

    def close(self) -> None:
        """Find what stands against one another, now that all is taken in."""
        while True:
            found = [*self._places_taken(), *self._promised_twice()] or list(self._crowded())
            if not found:
                return
            self.blocked.update((one.key, one) for one in found)

    @property
    def going_count(self) -> int:
        """How many can go back."""
        return self.count - len(self.blocked)

    def going(self, returns: Iterable[Return]) -> list[Return]:
        """Leave out what cannot go back."""
        return [found for found in returns if found.key not in self.blocked]

    def _queued(self) -> list[Return]:
        return self.going(self.queued.values())

    def _seats_of(self, course_id: int) -> Seats:
        """Give the seats of a course as they are, and as they become."""
        if course_id not in self._seats:
            self._seats[course_id] = self._seats_now(course_id)
        return self._seats[course_id]

    def _seats_now(self, course_id: int) -> Seats:
        course = self.run.deciding.facts.courses[course_id]
        return Seats(course, self.run.deciding.policy.today(course.term.time_zone))

    # ── changed ──

    def _changed(self, found: Return) -> str | None:
        if found.since is not None:
            return f"changed since by operation {found.since}"
        facts = self.run.deciding.facts
        student = facts.students.get(found.student_id)
        if student is None or not self._is_there(found.course_id):
            return "the student or the course is gone"
        if _state(student.enrollments.get(found.course_id)) != found.now:
            return "is not what its events say; studentcli db check tells more"
        old = None if found.before is None else found.before[5]
        if old is not None and not self._is_there(old):
            return "the course that it would give up is gone"
        return None

    def _is_there(self, course_id: int) -> bool:
        return course_id in self.run.deciding.facts.courses

    # ── places ──

    def _places_taken(self) -> Iterator[Blocked]:
        """Find whose place in a queue somebody else has."""
        coming = [one for one in self._queued() if one.before is not None and one.before[3]]
        leaving = {one.key for one in self._queued()}
        places = {
            (course.course_id, queued.place)
            for course in map(self._course, {one.course_id for one in coming})
            for student_id, queued in course.queue.items()
            if (student_id, course.course_id) not in leaving
        }
        for one in coming:
            if one.before is not None and (one.course_id, one.before[3]) in places:
                yield Blocked(one.key, "changed-since", "the place in the waitlist is taken")

    def _course(self, course_id: int) -> CourseFact:
        return self.run.deciding.facts.courses[course_id]

    def _promised_twice(self) -> Iterator[Blocked]:
        """Find swaps whose old course is promised to another one: one seat would become two."""
        swaps = {
            one.key: one.before[5]
            for one in self._queued()
            if one.before is not None and one.before[5] is not None
        }
        mine, session = StudentCourses, self.run.session
        students = sorted({student_id for student_id, _ in swaps})
        query = select(mine.student_id, mine.course_id, mine.instead_of_id).where(
            listed_in(mine.student_id, students, is_sqlite=is_sqlite(session)),
            mine.instead_of_id.is_not(None),
        )
        going = {one.key for one in self._queued()}
        promised = {
            (student_id, old): course_id
            for student_id, course_id, old in (session.execute(query) if swaps else ())
            if (student_id, course_id) not in going
        }
        for key, old in swaps.items():
            if (key[0], old) in promised:
                new, given_up = self._course(promised[key[0], old]).ref, self._course(old).ref
                why = f"waits for {new} instead of {given_up} now"
                yield Blocked(key, "changed-since", why)

    # ── seats ──

    def _crowded(self) -> Iterator[Blocked]:
        """Find whose seat was given to somebody else since, or is kept for others now."""
        moving = self._queued()
        sitting = defaultdict[int, list[int]](list)
        for course_id, student_ids in self._sitting.items():
            sitting[course_id] += [s for s in student_ids if (s, course_id) not in self.blocked]
        for one in moving:
            if one.takes_seat:
                sitting[one.course_id].append(one.student_id)
        for course_id, student_ids in sitting.items():
            leaving = [one.student_id for one in moving if one.course_id == course_id]
            leaving = [s for s in leaving if self.queued[s, course_id].frees_seat]
            yield from self._crowded_in(self._course(course_id), student_ids, leaving)

    def _crowded_in(
        self, course: CourseFact, sitting: list[int], leaving: list[int]
    ) -> Iterator[Blocked]:
        students, course_id = self.run.deciding.facts.students, course.course_id
        if course.capacity is None:
            return
        now, after = self._seats_now(course_id), self._seats_of(course_id).copy()
        for student_id in leaving:
            after.take(students[student_id], -1)
        for student_id in sitting:
            after.take(students[student_id])
        is_full = after.taken > max(now.taken, course.capacity or 0)
        is_kept = after.spare < min(now.spare, 0)
        if not (is_full or is_kept) or not self._is_narrower(course_id):
            return
        for student_id in sitting:
            if is_full:
                why = f"no seat is free: {course.taken}/{course.capacity}"
                yield Blocked((student_id, course_id), "course-full", why)
            elif not after.has_reserved(students[student_id]):
                why = f"the free seats ({course.taken}/{course.capacity}) are kept for others"
                yield Blocked((student_id, course_id), "seat-reserved", why)

    def _is_narrower(self, course_id: int) -> bool:
        """Tell whether there are less seats than before: what was so then may be so again."""
        session = self.run.session
        return _is_taken_since(session, course_id, self._last_event.get(course_id, 0)) or (
            _is_limited_since(session, course_id, self.operation_id)
        )


def _state(fact: EnrollmentFact | None) -> State | None:
    if fact is None:
        return None
    return (
        fact.status, fact.enrolled_on, fact.status_since, fact.place, fact.grade, fact.instead_of,
    )  # fmt: skip


def _is_taken_since(session: Session, course_id: int, last_event: int) -> bool:
    """Tell whether somebody has a seat of a course who had none after an event."""
    event = EnrollmentEvent
    query = (
        select(event.student_id, event.from_status, event.to_status)
        .where(event.course_id == course_id, event.id > last_event, event.code.is_(None))
        .order_by(event.id)
    )
    first: dict[int | None, str | None] = {}
    last: dict[int | None, str | None] = {}
    for student_id, before, after in session.execute(query):
        first.setdefault(student_id, before)
        last[student_id] = after
    return any(
        status in SEATED_STATUSES and first[student_id] not in SEATED_STATUSES
        for student_id, status in last.items()
    )


def _is_limited_since(session: Session, course_id: int, operation_id: int) -> bool:
    """Tell whether a course says otherwise than after an operation for whom it has seats."""
    event = CatalogEvent
    query = (
        select(event.changes)
        .where(
            event.kind == "course",
            event.record_id == course_id,
            event.operation_id > operation_id,
        )
        .order_by(event.id)
    )
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for changes in session.scalars(query):
        for name in LIMITS & changes.keys():
            first.setdefault(name, changes[name][0])
            last[name] = changes[name][1]
    return first != last

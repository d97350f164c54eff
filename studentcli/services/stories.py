"""The story of one place in a waitlist, told from the events of its course."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import EnrollmentEvent, Operation, Student, StudentCourses
from studentcli.requests import Policy
from studentcli.rules.queue import judge_queue
from studentcli.services.events import REPAIR, UNDO
from studentcli.services.resolve import find_course, find_student
from studentcli.services.views import Row
from studentcli.services.waitlists import read_queue

WAITLISTED: Final = "waitlisted"


@dataclass(frozen=True)
class Story:
    """What became of one student in the queue of one course.

    Args:
        student: the student number.
        course: the course as TERM/CODE-SECTION.
        rows: oldest first: `on`, `operation`, `actor`, `event` (joined, moved-up, passed-over,
            promoted, left; last of all now), `place` (1 = next), `rule` and `message`.
    """

    student: str
    course: str
    rows: list[Row]


def story_of_place(
    session: Session, student: str, word: str, policy: Policy, *, term: str | None = None
) -> Story:
    """Tell the whole story of a student in the queue of a course.

    Args:
        session: from `Database.read`.
        student: the student number.
        word: the course.
        policy: for today's date.
        term: the term that the word means when it names none.

    Raises:
        errors.UnknownStudent, errors.UnknownCourse, errors.AmbiguousCourse, errors.UnknownTerm:
            for what is named and not there.
        errors.NotFound: when the student was never in the queue of the course.
    """
    found = find_student(session, student)
    course = find_course(session, word, policy, term)
    told = list(_Telling(found.student_id).tell(_queue_events(session, course.course_id)))
    now = _now(session, found.student_id, course.course_id, policy)
    if not told and "place" not in now:
        raise errors.NotFound(
            f"{found.number} was never on the waitlist of {course.ref} ({now['message']})",
            hint=f"studentcli explain {found.number} {course.ref} says what adding it would meet",
        )
    told.append(now)
    return Story(found.number, course.ref, told)


def _queue_events(session: Session, course_id: int) -> Iterable[Any]:
    """Select what happened in the queue of a course, oldest first."""
    event = EnrollmentEvent
    query = (
        select(
            event.operation_id, Operation.actor, event.student_id, event.action,
            event.from_status, event.to_status, event.queue_place, event.code,
            event.effective_on, Student.student_number,
        )
        .join(Operation, Operation.id == event.operation_id)
        .outerjoin(Student, Student.id == event.student_id)
        .where(
            event.course_id == course_id,
            event.action != REPAIR,
            or_(event.from_status == WAITLISTED, event.to_status == WAITLISTED),
        )
        .order_by(event.id)
    )  # fmt: skip
    return session.execute(query)


@dataclass
class _Telling:
    """Goes through the events of a queue and keeps what one student's place went through."""

    student_id: int
    waiting: dict[int, int] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def place(self) -> int | None:
        """The place as people count it: 1 = next."""
        mine = self.waiting.get(self.student_id)
        if mine is None:
            return None
        return sum(place <= mine for place in self.waiting.values())

    def tell(self, events: Iterable[Any]) -> Iterator[Row]:
        """Give a row for everything that is about the student or moves the place up."""
        last: Any = None
        for event in events:
            if last is not None and event.operation_id != last.operation_id:
                yield from self._moved_up(last)
            last = event
            if event.student_id != self.student_id:
                self._see_other(event)
                continue
            yield from self._moved_up(event)
            yield self._about_student(event)
        if last is not None:
            yield from self._moved_up(last)

    def _see_other(self, event: Any) -> None:
        before = self.place
        if event.to_status == WAITLISTED:
            self.waiting[event.student_id] = event.queue_place
            return
        self.waiting.pop(event.student_id, None)
        if self.place != before:
            verb = "got a seat" if event.to_status == "enrolled" else "left"
            self.gone.append(f"{event.student_number or 'somebody'} {verb}")

    def _moved_up(self, event: Any) -> Iterator[Row]:
        """Tell at once how far one operation has moved the student up."""
        if self.gone:
            yield _row(event, "moved-up", self.place, f"moved up: {', '.join(self.gone)}")
            self.gone = []

    def _about_student(self, event: Any) -> Row:
        if event.action == "pass-over":
            return _row(event, "passed-over", self.place, f"passed over: {event.code}")
        by_undo = " again: what came after was undone" if event.action == UNDO else ""
        if event.to_status == WAITLISTED:
            self.waiting[self.student_id] = event.queue_place
            return _row(event, "joined", self.place, f"joined the waitlist{by_undo}")
        place = self.place
        self.waiting.pop(self.student_id, None)
        if event.to_status == "enrolled":
            return _row(event, "promoted", place, f"got a seat{by_undo}")
        why = event.to_status or "joining it was undone"
        return _row(event, "left", place, f"left the waitlist ({why})")


def _row(event: Any, name: str, place: int | None, message: str) -> Row:
    return {
        "on": event.effective_on,
        "operation": event.operation_id,
        "actor": event.actor,
        "event": name,
        "place": place,
        "rule": event.code,
        "message": message,
    }


def _now(session: Session, student_id: int, course_id: int, policy: Policy) -> Row:
    """Say how the student stands today, and of who waits what blocks a seat."""
    run, course = read_queue(session, course_id, policy)
    row: Row = {"on": policy.today(course.term.time_zone), "event": "now"}
    if student_id in course.queue:
        refusals = judge_queue(course, run.deciding.facts, policy)[student_id].refusals
        row["place"] = course.position_of(student_id)
        row["rule"] = " ".join(dict.fromkeys(refusal.code for refusal in refusals)) or None
        blocked = "; ".join(refusal.message for refusal in refusals)
        row["message"] = f"waits: {blocked}" if blocked else "may sit down when the queue is run"
        return row
    mine = StudentCourses
    status = session.scalar(
        select(mine.status).where(mine.student_id == student_id, mine.course_id == course_id)
    )
    row["message"] = status or "not in the course"
    return row

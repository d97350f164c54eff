"""Taking enrollments back: in the facts, in the tables, with an event for each."""

from typing import Any

from sqlalchemy.orm import Session

from studentcli.facts import EnrollmentFact, Event, Key
from studentcli.services.events import UNDO, State, undoing
from studentcli.services.queues import QueueRun
from studentcli.services.resolve import is_sqlite
from studentcli.services.undoing.returns import Return


def take_back(run: QueueRun, returns: list[Return], undone: int) -> list[Key]:
    """Put enrollments back in the facts, with an event for each, and name the queues to be run.

    Returns:
        The enrollments whose rows have to go.
    """
    facts, gone, detail = run.deciding.facts, list[Key](), undoing(undone)
    for found in returns:
        student, course = facts.students[found.student_id], facts.courses[found.course_id]
        before = student.enrollments.get(found.course_id)
        after = None if found.before is None else _fact(found.before, in_table=before is not None)
        facts.events.append(_event(run, found, detail))
        if before is None and after is None:
            continue
        course.put(student, after)
        if after is None:
            gone.append(found.key)
        else:
            facts.changed[found.key] = after
        if found.frees_seat:
            run.touched.add(found.course_id)
    for course_id in {found.course_id for found in returns if found.is_queued}:
        course = facts.courses[course_id]
        course.queue = dict(sorted(course.queue.items(), key=lambda item: item[1].place or 0))
    return gone


def _fact(state: State, *, in_table: bool) -> EnrollmentFact:
    status, enrolled_on, since, place, grade, instead_of = state
    return EnrollmentFact(
        status, enrolled_on, since, since, place, grade, instead_of, in_table=in_table,
        is_moved=True,
    )  # fmt: skip


def _event(run: QueueRun, found: Return, detail: str) -> Event:
    course = run.deciding.facts.courses[found.course_id]
    today = run.deciding.policy.today(course.term.time_zone)
    now, before = found.now, found.before
    return Event(
        None, found.student_id, found.course_id, UNDO, None if now is None else now[0],
        None if before is None else before[0], None if before is None else before[3],
        None if before is None else before[4], None, today, detail,
    )  # fmt: skip


def remove_rows(session: Session, keys: list[Key]) -> None:
    """Remove the rows of enrollments that did not exist before."""
    if not keys:
        return
    connection: Any = session.connection()
    if is_sqlite(session):
        connection.exec_driver_sql(
            "DELETE FROM student_courses WHERE student_id = ? AND course_id = ?", keys
        )
        return
    connection.exec_driver_sql(
        "DELETE FROM student_courses AS sc USING unnest(%s::bigint[], %s::bigint[])"
        " AS gone(student_id, course_id)"
        " WHERE sc.student_id = gone.student_id AND sc.course_id = gone.course_id",
        tuple(list(column) for column in zip(*keys, strict=True)),
    )

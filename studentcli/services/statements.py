"""The statements under every enrollment, each put together once.

Measured: building one took SQLAlchemy as long as PostgreSQL needed to answer it. Lists are
parameters (`database.list_parameter`), so that one statement serves every number of values.
"""

from functools import cache
from typing import Any

from sqlalchemy import Select, TextualSelect, func, null, or_, select, text, union_all

from studentcli.database import listed
from studentcli.models import Course, EnrollmentEvent, Student, StudentCourses, Term
from studentcli.vocabulary import SEATED_STATUSES

Query = Select[*tuple[Any, ...]]


@cache
def terms() -> Query:
    """Select every term, by code, in the order of `TermFact`."""
    return select(
        Term.id, Term.code, Term.time_zone, Term.starts_on, Term.ends_on,
        Term.enroll_from, Term.enroll_until,
    ).order_by(Term.code)  # fmt: skip


@cache
def courses(*, is_sqlite: bool, locks: bool) -> Query:
    """Select the courses of the ids in `:courses`, by id."""
    query = course_columns().where(listed(Course.id, "courses", is_sqlite=is_sqlite))
    return query.with_for_update(key_share=True) if locks else query


@cache
def course_columns() -> Query:
    """Select what `CourseFact` is made of, by id, from every course."""
    return select(
        Course.id, Course.term_id, Course.code, Course.section, Course.status,
        Course.capacity, Course.waitlist_capacity,
    ).order_by(Course.id)  # fmt: skip


@cache
def seats_and_queues(*, is_sqlite: bool) -> Query:
    """Count the seats taken in the courses `:limited`, and read the queues of `:courses`.

    A row with a student is one of a queue, in the order of places. The index on (course, status)
    bounds the rows by the capacities.
    """
    table = StudentCourses
    queues = select(
        table.course_id, null().label("taken"), table.student_id, table.enrolled_on,
        table.status_since, table.queue_place,
    )  # fmt: skip
    queues = queues.where(
        listed(table.course_id, "courses", is_sqlite=is_sqlite), table.status == "waitlisted"
    )
    seats = select(table.course_id, func.count(), *[null()] * 4).where(
        listed(table.course_id, "limited", is_sqlite=is_sqlite), table.status.in_(SEATED_STATUSES)
    )
    both = union_all(queues, seats.group_by(table.course_id)).subquery()
    return select(both).order_by(both.c.course_id, both.c.queue_place)


@cache
def students(*, is_sqlite: bool, locks: bool, by: tuple[str, ...]) -> Query:
    """Select students by id, in the order of `StudentFact`; `by` names the lists that are given.

    They are `:numbers` and `:ids`; with both, whoever is in one of them.
    """
    columns = {"numbers": Student.student_number, "ids": Student.id}
    conditions = [listed(columns[name], name, is_sqlite=is_sqlite) for name in by]
    query = select(Student.id, Student.student_number, Student.status)
    query = query.where(or_(*conditions)).order_by(Student.id)
    return query.with_for_update(key_share=True) if locks else query


def _pairs(*, is_sqlite: bool) -> str:
    """Write the table `p(student_id, course_id)` of the pairs that `pair_parameters` gives."""
    if is_sqlite:
        return (
            "(SELECT CAST(key AS INTEGER) AS student_id, value AS course_id"
            " FROM json_each(:pairs)) AS p"
        )
    arrays = "unnest(CAST(:students AS bigint[]), CAST(:courses AS bigint[]))"
    return f"{arrays} AS p(student_id, course_id)"


def pair_parameters(keys: list[tuple[int, int]], *, is_sqlite: bool) -> dict[str, Any]:
    """Give the parameters of `enrollments` and `recorded` for (student id, course id)."""
    if is_sqlite:
        # An object whose names repeat: json_each walks it as it stands, one row a member.
        return {"pairs": "{" + ",".join(f'"{s}":{c}' for s, c in keys) + "}"}
    student_ids, course_ids = zip(*keys, strict=True)
    return {"students": list(student_ids), "courses": list(course_ids)}


@cache
def enrollments(*, is_sqlite: bool) -> TextualSelect:
    """Select the enrollments of pairs, the waitlisted aside."""
    table = StudentCourses
    return text(
        "SELECT sc.student_id, sc.course_id, sc.status, sc.enrolled_on, sc.status_since,"
        f" sc.grade FROM {_pairs(is_sqlite=is_sqlite)} CROSS JOIN student_courses sc"
        " WHERE sc.student_id = p.student_id AND sc.course_id = p.course_id"
        " AND sc.status <> 'waitlisted'"
    ).columns(
        table.student_id, table.course_id, table.status, table.enrolled_on, table.status_since,
        table.grade,
    )  # fmt: skip


@cache
def recorded(*, is_sqlite: bool) -> TextualSelect:
    """Select what was recorded, and not undone, about pairs; promotions do not count."""
    event = EnrollmentEvent
    return text(
        "SELECT e.student_id, e.course_id, e.action, e.effective_on, e.grade"
        f" FROM {_pairs(is_sqlite=is_sqlite)} CROSS JOIN enrollment_events e"
        " JOIN operations o ON o.id = e.operation_id"
        " WHERE e.student_id = p.student_id AND e.course_id = p.course_id"
        " AND e.code IS NULL AND e.action <> 'promote' AND o.undone_by IS NULL"
    ).columns(event.student_id, event.course_id, event.action, event.effective_on, event.grade)

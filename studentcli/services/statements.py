"""The statements under every enrollment, each put together once.

Measured: building one took SQLAlchemy as long as PostgreSQL needed to answer it. Lists are
parameters (`database.list_parameter`), so that one statement serves every number of values.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Select,
    TextClause,
    TextualSelect,
    exists,
    func,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import aliased

from studentcli.database import listed
from studentcli.models import Course, EnrollmentEvent, Student, StudentCourses, Term
from studentcli.vocabulary import SEATED_STATUSES

Query = Select[*tuple[Any, ...]]


@cache
def terms() -> Query:
    """Select every term, by code, in the order of `TermFact`."""
    return select(
        Term.id, Term.code, Term.time_zone, Term.starts_on, Term.ends_on, Term.enroll_from,
        Term.enroll_until, Term.drop_until, Term.withdraw_until, Term.max_credits,
        Term.max_waitlists, Term.grades,
    ).order_by(Term.code)  # fmt: skip


@cache
def courses(*, is_sqlite: bool, locks: bool, many: bool = False) -> Query:
    """Select the courses of the ids in `:courses` and those in which `:ids`, `:numbers` wait.

    By id. With so `many` students SQLite looks through everybody who waits; PostgreSQL knows by
    itself what is quicker.
    """
    named = or_(
        listed(Student.id, "ids", is_sqlite=is_sqlite),
        listed(Student.student_number, "numbers", is_sqlite=is_sqlite),
    )
    waits = select(StudentCourses.course_id).where(StudentCourses.queue_place.is_not(None))
    if many and is_sqlite:
        waits = waits.where(exists().where(Student.id == StudentCourses.student_id, named))
    else:
        waits = waits.join(Student, Student.id == StudentCourses.student_id).where(named)
    wanted = listed(Course.id, "courses", is_sqlite=is_sqlite)
    query = course_columns().where(or_(wanted, Course.id.in_(waits)))
    return query.with_for_update(key_share=True) if locks else query


@cache
def further_courses(*, is_sqlite: bool, locks: bool) -> Query:
    """Select the courses of the ids in `:courses`, by id.

    They are locked out of turn: those that somebody holds are left out, for waiting could end in a
    deadlock.
    """
    query = course_columns().where(listed(Course.id, "courses", is_sqlite=is_sqlite))
    return query.with_for_update(key_share=True, skip_locked=True) if locks else query


@cache
def course_columns() -> Query:
    """Select what `CourseFact` is made of, by id, from every course.

    The last column tells whether the code has further sections in the term.
    """
    other = aliased(Course)
    return select(
        Course.id, Course.term_id, Course.code, Course.section, Course.status, Course.capacity,
        Course.waitlist_capacity, Course.credit_hours, Course.repeats, Course.requires,
        Course.corequisites, Course.meetings, Course.restricted, Course.reserved,
        Course.enroll_from, Course.enroll_until, Course.drop_until, Course.withdraw_until,
        select(other.id)
        .where(other.term_id == Course.term_id, other.code == Course.code, other.id != Course.id)
        .exists(),
    ).order_by(Course.id)  # fmt: skip


@cache
def seats_and_queues(*, is_sqlite: bool, by_tags: bool) -> Query:
    """Count the seats taken in the courses `:limited`, and read the queues of `:courses`.

    A row with a student is one of a queue, in the order of places. The index on (course, status)
    bounds the rows by the capacities. `by_tags` counts the seats of `:reserved` too: a row for
    each set of tags that the students there have.
    """
    table = StudentCourses
    queues = select(
        table.course_id, null().label("taken"), table.student_id, table.enrolled_on,
        table.status_since, table.queue_place, table.instead_of_id, null().label("tags"),
    )  # fmt: skip
    queues = queues.where(
        listed(table.course_id, "courses", is_sqlite=is_sqlite), table.status == "waitlisted"
    )
    seats = select(table.course_id, func.count(), *[null()] * 6).where(
        listed(table.course_id, "limited", is_sqlite=is_sqlite), table.status.in_(SEATED_STATUSES)
    )
    arms: list[Query] = [queues, seats.group_by(table.course_id)]
    if by_tags:
        arms.append(seats_by_tags(is_sqlite=is_sqlite))
    both = union_all(*arms).subquery()
    return select(both).order_by(both.c.course_id, both.c.queue_place)


@cache
def seats_by_tags(*, is_sqlite: bool) -> Query:
    """Count the seats taken in the courses `:reserved`, a row for each set of tags."""
    table = StudentCourses
    return (
        select(table.course_id, func.count(), *[null()] * 5, Student.tags)
        .join(Student, Student.id == table.student_id)
        .where(
            listed(table.course_id, "reserved", is_sqlite=is_sqlite),
            table.status.in_(SEATED_STATUSES),
        )
        .group_by(table.course_id, Student.tags)
    )


@cache
def students(*, is_sqlite: bool, locks: bool, by: tuple[str, ...], further: bool = False) -> Query:
    """Select students by id, in the order of `StudentFact`; `by` names the lists that are given.

    They are `:numbers` and `:ids`; with both, whoever is in one of them. `further` ones are locked
    as `further_courses` are.
    """
    columns = {"numbers": Student.student_number, "ids": Student.id}
    conditions = [listed(columns[name], name, is_sqlite=is_sqlite) for name in by]
    query = select(
        Student.id, Student.student_number, Student.status, Student.max_credit_hours, Student.tags
    )
    query = query.where(or_(*conditions)).order_by(Student.id)
    return query.with_for_update(key_share=True, skip_locked=further) if locks else query


ENROLLMENTS: Final = "enrollments"
HOLD: Final = "holds"
GRANT: Final = "overrides"
COURSE: Final = "courses"
COMMA: Final = ","
BREAK: Final = "\x1e"
"""What stands between the states of a student: no word or date holds it, and no usable grade."""


def _pairs(*, is_sqlite: bool) -> str:
    """Write the table `p(student_id, course_id)` of the pairs that `pair_parameters` gives."""
    if is_sqlite:
        return (
            "(SELECT CAST(key AS INTEGER) AS student_id, value AS course_id"
            " FROM json_each(:pairs)) AS p"
        )
    arrays = "unnest(CAST(:pair_students AS bigint[]), CAST(:pair_courses AS bigint[]))"
    return f"{arrays} AS p(student_id, course_id)"


def pair_parameters(keys: list[tuple[int, int]], *, is_sqlite: bool) -> dict[str, Any]:
    """Give the parameters of `records` and `recorded` for (student id, course id)."""
    if is_sqlite:
        # An object whose names repeat: json_each walks it as it stands, one row a member.
        return {"pairs": "{" + ",".join(f'"{s}":{c}' for s, c in keys) + "}"}
    student_ids, course_ids = zip(*keys, strict=True)
    return {"pair_students": list(student_ids), "pair_courses": list(course_ids)}


def _enrollments(*, is_sqlite: bool) -> str:
    """Write the columns that give the enrollments of a student, as `records` says."""
    together, end = ("group_concat", "char(30)") if is_sqlite else ("string_agg", "chr(30)")
    enrolled_on, since = (
        name if is_sqlite else f"({name} - DATE '0001-01-01' + 1)"
        for name in ("sc.enrolled_on", "sc.status_since")
    )
    return (
        f"'{ENROLLMENTS}' AS kind, sc.student_id AS whose, CAST(NULL AS bigint) AS a,"
        f" {together}(CAST(sc.course_id AS text), '{COMMA}') AS b,"
        f" {together}(sc.status || ' ' || {enrolled_on} || ' ' || {since} || CASE"
        " WHEN sc.queue_place IS NULL AND sc.instead_of_id IS NULL AND sc.grade IS NULL THEN ''"
        " ELSE ' ' || coalesce(sc.queue_place, 0) || ' ' || coalesce(sc.instead_of_id, 0)"
        f" || ' ' || coalesce(sc.grade, '') END, {end}) AS c,"
        " CAST(NULL AS text) AS d, CAST(NULL AS text) AS e, CAST(NULL AS date) AS f,"
        " CAST(NULL AS date) AS g, CAST(NULL AS integer) AS h, CAST(NULL AS bigint) AS i"
    )


@cache
def records(*, is_sqlite: bool, whole: bool, in_one: bool = False) -> TextClause:
    """Select what the rules read about the students of `:students`, in one statement.

    Rows of four kinds share the columns, of which b to g are texts and dates: enrollments (the
    `whole` record of a student, else those of the pairs that `pair_parameters` gives; with `:known`
    the courses of a whole record that are not in it), holds and overrides that were not taken back.
    Dates come as they are stored.

    A student's enrollments are one row: their courses, `COMMA` between, and their states, `BREAK`
    between. A state is status and two dates, and unless these are null place, course to be given up
    (0 = none) and grade, with blanks between. PostgreSQL writes a date as its ordinal, which does
    not depend on the session's settings. On SQLite it takes half of the time of a row for each.
    SQLite gives the rows `in_one` text, too: as JSON.
    """
    mine = "IN (SELECT value FROM json_each(:students))" if is_sqlite else "= ANY(:students)"
    enrollments = _enrollments(is_sqlite=is_sqlite)
    pairs = _pairs(is_sqlite=is_sqlite)
    arms = [
        f"SELECT {enrollments} FROM student_courses sc WHERE sc.student_id {mine}"
        " GROUP BY sc.student_id"
        if whole
        else f"SELECT {enrollments} FROM {pairs} CROSS JOIN student_courses sc"
        " WHERE sc.student_id = p.student_id AND sc.course_id = p.course_id"
        " GROUP BY sc.student_id",
        (
            f"SELECT '{HOLD}', h.student_id, h.id, h.blocks, h.kind, h.reason, NULL,"
            f" h.from_on, h.until_on, NULL, NULL FROM holds h WHERE h.student_id {mine}"
            " AND h.lifted_at IS NULL"
        ),
        (
            f"SELECT '{GRANT}', o.student_id, o.course_id, o.rule, NULL, NULL, NULL,"
            f" o.until_on, NULL, NULL, o.id FROM overrides o WHERE o.student_id {mine}"
            " AND o.revoked_at IS NULL"
        ),
    ]
    if whole:
        known = "IN (SELECT value FROM json_each(:known))" if is_sqlite else "= ANY(:known)"
        arms.append(
            f"SELECT '{COURSE}', c.term_id, c.id, c.code, c.section, c.meetings,"
            " coalesce(c.corequisites, '') || '\n' || coalesce(c.requires, ''),"
            " NULL, NULL, CAST(round(c.credit_hours * 100) AS integer), NULL FROM courses c"
            f" WHERE c.id IN (SELECT course_id FROM student_courses WHERE student_id {mine})"
            f" AND NOT (c.id {known})"
        )
    rows = " UNION ALL ".join(arms)
    return text(_in_one(rows) if in_one else rows)


def _in_one(rows: str) -> str:
    """Write the query that gives the rows of `records` as one JSON text."""
    # JSON holds no BLOB, and in a file edited by hand there can be one in any place.
    texts = ", ".join(f"CAST({name} AS text)" for name in "bcdefg")
    a, h, i = (f"CAST({name} AS integer)" for name in "ahi")
    cells = f"kind, whose, {a}, {texts}, {h}, {i}"
    return f"SELECT json_group_array(json_array({cells})) FROM ({rows})"


@cache
def recorded(*, is_sqlite: bool) -> TextualSelect:
    """Select the changes that were recorded about pairs; promotions do not count.

    The columns: pair, date, grade, then what `events.still_count` reads of those that were undone.
    """
    event = EnrollmentEvent
    return text(
        "SELECT e.student_id, e.course_id, e.effective_on, e.grade, e.id, e.operation_id,"
        " e.action, CASE WHEN e.action = 'undo' THEN e.detail END AS undoes"
        f" FROM {_pairs(is_sqlite=is_sqlite)} CROSS JOIN enrollment_events e"
        " WHERE e.student_id = p.student_id AND e.course_id = p.course_id"
        " AND e.code IS NULL AND e.action <> 'promote'"
    ).columns(
        event.student_id, event.course_id, event.effective_on, event.grade, event.id,
        event.operation_id, event.action, event.detail.label("undoes"),
    )  # fmt: skip


@cache
def let_in(*, is_sqlite: bool) -> TextualSelect:
    """Select how the students of pairs came to their seats or places, the last time last."""
    event = EnrollmentEvent
    return text(
        "SELECT e.student_id, e.course_id, e.operation_id, e.action, e.detail"
        f" FROM {_pairs(is_sqlite=is_sqlite)} CROSS JOIN enrollment_events e"
        " WHERE e.student_id = p.student_id AND e.course_id = p.course_id"
        " AND e.code IS NULL AND e.action IN ('enroll', 'promote', 'undo')"
        " ORDER BY e.id"
    ).columns(
        event.student_id, event.course_id, event.operation_id, event.action, event.detail
    )  # fmt: skip

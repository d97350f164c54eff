"""What stands against taking records back: who needs them, whose key it is, what fits no more."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.database import listed_in
from studentcli.facts import Key
from studentcli.models import (
    CatalogEvent,
    Course,
    EnrollmentEvent,
    Hold,
    Operation,
    Override,
    StudentCourses,
)
from studentcli.records import COURSE, STUDENT, TERM
from studentcli.services.consistency import FORWARD, Consistency, CourseKey
from studentcli.services.events import read_detail
from studentcli.services.resolve import is_sqlite, load_terms
from studentcli.services.undoing.records import KEYS, KINDS, RecordReturn, Values, table_of
from studentcli.vocabulary import LIVE_STATUSES

Record = tuple[str, int | None]
"""Kind, id."""


def find_obstacles(
    session: Session,
    operation_id: int,
    returns: list[RecordReturn],
    after: Mapping[Key, str | None],
) -> None:
    """Say of records why they cannot go back: others need them, or they fit no more.

    Args:
        session: in the operation's transaction.
        operation_id: the operation that is undone.
        returns: the records; get their `why`.
        after: how the enrollments will stand that go back too; none where the row goes.
    """
    if not returns:
        return
    uses = _uses(session, returns, {key for key, status in after.items() if status is None})
    for one in returns:
        if one.why is not None:
            continue
        if one.before is None:
            one.why = uses.get((one.kind, one.record_id))
            if one.kind == "override":
                one.why = _override_use(session, operation_id, one)
        elif one.kind in KEYS and _key_is_taken(session, one):
            one.why = "its number or code is somebody else's now"
    left = [one for one in returns if one.why is None]
    _find_contradictions(session, left, is_new=_is_changed_since(session, operation_id))
    _find_attended(session, [one for one in returns if one.why is None], after)


def _is_changed_since(session: Session, operation_id: int) -> bool:
    """Tell whether the catalogue says something else than after an operation.

    What was done later and undone does not count, nor does that undo.
    """
    edits = select(CatalogEvent.operation_id).where(
        CatalogEvent.operation_id > operation_id, CatalogEvent.kind.in_((TERM.name, COURSE.name))
    )
    query = select(Operation.totals).where(Operation.id.in_(edits), Operation.undone_by.is_(None))
    return any(totals.get("operation", 0) <= operation_id for totals in session.scalars(query))


def _find_contradictions(session: Session, returns: list[RecordReturn], *, is_new: bool) -> None:
    """Ask what is asked of every record before it is saved: others may have changed since.

    What was so before may be so again, unless the catalogue `is_new` since: a term that is moved
    leaves its courses as they are, and whoever undoes an edit after it finds them so.
    """
    facts = load_terms(session)
    terms = {fact.code: fact for fact in facts}
    codes = {fact.term_id: fact.code for fact in facts}
    for kind in KINDS.values():
        mine = [one for one in returns if one.kind == kind.name and one.before is not None]
        if kind is STUDENT or not mine:
            continue
        consistency = Consistency(session, kind, terms)
        news = [(one, _key(one, codes), _news(one)) for one in mine]
        if kind is COURSE:
            consistency.expect({k: new["requires"] for _, k, new in news if "requires" in new})
        for one, key, new in news:
            try:
                refusal = consistency.contradiction(key, one.now, new)
            except errors.BadValue as error:  # the text of a rule that an edit has mended
                one.why = error.message
            else:
                if refusal is not None and (is_new or _ends_too_early(one)):
                    one.why = refusal.message


def _ends_too_early(one: RecordReturn) -> bool:
    """Tell whether the database itself would refuse the dates of a record."""
    row = one.before or {}
    return any(
        row.get(first) and row.get(last) and row[last] < row[first] for first, last in FORWARD
    )


def _key(one: RecordReturn, codes: Mapping[int, str]) -> CourseKey:
    row = one.before or {}
    return tuple(codes[row[n]] if n == "term_id" else row[n] for n in KEYS[one.kind])


def _news(one: RecordReturn) -> Values:
    """Give what the fields of a record will say, of those that change: by name."""
    now, before = one.now or {}, one.before or {}
    return {
        field.name: before[field.attribute]
        for field in KINDS[one.kind].fields
        if one.now is None or before[field.attribute] != now[field.attribute]
    }


def _find_attended(
    session: Session, returns: list[RecordReturn], after: Mapping[Key, str | None]
) -> None:
    """Find the courses that would be cancelled again, with students in them who came since."""
    cancelled = {
        one.record_id: one
        for one in returns
        if one.kind == "course" and one.before is not None and one.now is not None
        if one.before["status"] == "cancelled" != one.now["status"]
    }
    mine = StudentCourses
    query = select(mine.student_id, mine.course_id, mine.status).where(
        listed_in(mine.course_id, sorted(cancelled), is_sqlite=is_sqlite(session)),
        mine.status.in_(LIVE_STATUSES),
    )
    for student_id, course_id, status in session.execute(query):
        if after.get((student_id, course_id), status) in LIVE_STATUSES:
            cancelled[course_id].why = "has students since; course cancel drops them"


def _uses(session: Session, returns: list[RecordReturn], gone: set[Key]) -> dict[Record, str]:
    """Say of the records to be removed what else refers to them; a query a table, not a record.

    What goes together with them does not count: `gone` enrollments, and records of the same undo.
    """
    going = {(one.kind, one.record_id) for one in returns if one.before is None}

    def among(column: Any, kind: str) -> Any:
        ids = [record_id for its_kind, record_id in going if its_kind == kind]
        return listed_in(column, ids, is_sqlite=is_sqlite(session))

    uses = dict.fromkeys(_enrollment_users(session, among, gone), "has enrollments")
    for kind, column, owner, owner_column in (
        ("course", Course.id, "term", Course.term_id),
        ("hold", Hold.id, "student", Hold.student_id),
        ("override", Override.id, "student", Override.student_id),
        ("override", Override.id, "course", Override.course_id),
    ):
        query = select(column, owner_column).where(among(owner_column, owner))
        for record_id, owner_id in session.execute(query):
            if (kind, record_id) not in going:
                uses.setdefault((owner, owner_id), f"has {kind}s")
    return uses


def _enrollment_users(
    session: Session, among: Callable[[Any, str], Any], gone: set[Key]
) -> Iterator[Record]:
    """Give the students and courses of the enrollments that stay."""
    mine = StudentCourses
    query = select(mine.student_id, mine.course_id, mine.instead_of_id).where(
        or_(
            among(mine.student_id, "student"),
            among(mine.course_id, "course"),
            among(mine.instead_of_id, "course"),
        )
    )
    for student_id, course_id, old_id in session.execute(query):
        if (student_id, course_id) not in gone:
            yield from (("student", student_id), ("course", course_id), ("course", old_id))


def _override_use(session: Session, operation_id: int, one: RecordReturn) -> str | None:
    event = EnrollmentEvent
    query = (
        select(event.detail)
        .join(Operation, Operation.id == event.operation_id)
        .where(
            event.student_id == (one.now or {})["student_id"],
            event.detail.like('%"granted"%'),
            event.operation_id != operation_id,
            Operation.undone_by.is_(None),
        )
    )
    used = any(
        one.record_id in read_detail(detail).get("granted", ()) for detail in session.scalars(query)
    )
    return "was used since" if used else None


def _key_is_taken(session: Session, one: RecordReturn) -> bool:
    names, before = KEYS[one.kind], one.before or {}
    if one.now is not None and all(one.now[name] == before[name] for name in names):
        return False
    table = table_of(one.kind)
    same = and_(*(table.c[name] == before[name] for name in names))
    return session.scalar(select(table.c.id).where(same, table.c.id != one.record_id)) is not None

"""Words of the tests of `db check`: looking, and editing tables by hand."""

from datetime import date
from typing import Any

from sqlalchemy import Date, bindparam, text

from studentcli.column_types import UtcDateTime
from studentcli.requests import Policy
from studentcli.services.checks import Finding, find_all
from studentcli.services.undoing import undo_operation
from tests.world import World

WHY: dict[str, Any] = {"reason": "the dean said so"}
TERM = "2026FA"


def find(world: World, term: str | None = None) -> list[Finding]:
    return world.database.read(
        lambda session: list(find_all(session, Policy(world.now), term=term))
    )


def told(world: World, term: str | None = None) -> list[tuple[str, str, str]]:
    return [(one.check, one.subject, one.finding) for one in find(world, term)]


def edit(world: World, statement: str, **values: Any) -> None:
    """Edit a table by hand."""
    with world.database.connect(writes=True) as connection:
        connection.execute(text(statement), values)
        connection.commit()


def grant(world: World, student: str, code: str, rule: str, until: date | None = None) -> None:
    """Grant an override."""
    with world.database.connect(writes=True) as connection:
        connection.execute(
            text(
                "INSERT INTO overrides (student_id, course_id, rule, reason, until_on, granted_by,"
                " granted_at) SELECT s.id, c.id, :rule, 'because', :until, 'dean', :now"
                " FROM students s, courses c WHERE s.student_number = :student AND c.code = :code"
            ).bindparams(bindparam("now", type_=UtcDateTime()), bindparam("until", type_=Date())),
            {"student": student, "code": code, "rule": rule, "until": until, "now": world.now},
        )
        connection.commit()


def hold(world: World, student: str, until: date) -> None:
    """Place a hold that ends."""
    with world.database.connect(writes=True) as connection:
        connection.execute(
            text(
                "INSERT INTO holds (student_id, kind, blocks, reason, from_on, until_on, placed_by,"
                " placed_at) SELECT id, 'library', 'add', 'a book', '2026-01-01', :until, 'desk',"
                " :now FROM students WHERE student_number = :student"
            ).bindparams(bindparam("now", type_=UtcDateTime()), bindparam("until", type_=Date())),
            {"student": student, "until": until, "now": world.now},
        )
        connection.commit()


def busy_world(world: World) -> World:
    """Do some of everything that leaves an enrollment."""
    world.student("S1", "S2", "S3", "S4")
    world.course("CS101", capacity=1, waitlist=5)
    world.course("MATH1")
    for number in ("S1", "S2", "S3", "S4"):
        world.submit("enroll", number, "CS101").require()
    world.submit("enroll", "S1", "MATH1").require()
    world.submit("complete", "S1", "MATH1", grade="A").require()
    world.submit("enroll", "S2", "MATH1").require()
    world.submit("withdraw", "S2", "MATH1").require()
    done = world.submit("enroll", "S4", "MATH1").require()
    world.database.write(
        lambda session: undo_operation(session, done.operation_id or 0, world.act("undo"))
    )
    return world

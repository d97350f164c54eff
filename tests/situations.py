"""A situation for every rule: what must be so that exactly this rule forbids one change.

In each of them S1 asks about `ALL/CS101-1`, and everything but the one rule would allow it. Dates
lie so far back that it holds whatever day it is.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select

from studentcli.models import Course, Hold, Override, Student, Term
from studentcli.records import TERM
from tests.world import NOW, World

STUDENT: Final = "S1"
COURSE: Final = "ALL/CS101-1"
LONG_AGO: Final = "2020-01-01"


class Situation(NamedTuple):
    """A code, the action that it refuses, and what fills the world so that it does."""

    code: str
    action: str
    fill: Callable[[World], None]
    name: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.action, self.code, self.name]))


# ── filling ──


def _course(**fields: Any) -> Callable[[World], None]:
    """The course is so."""

    def fill(world: World) -> None:
        world.course("CS101", **fields)

    return fill


def _with(*codes: str, **fields: Any) -> Callable[[World], None]:
    """The course is so, and S1 is enrolled in others that are just so too."""

    def fill(world: World) -> None:
        world.course("CS101", *codes, **fields)
        world.submit("enroll", STUDENT, *codes).require()

    return fill


def _then(*steps: tuple[str, dict[str, Any]], **term: Any) -> Callable[[World], None]:
    """S1 has gone through these steps in the course; then the term became so."""

    def fill(world: World) -> None:
        world.course("CS101")
        for action, more in steps:
            world.submit(action, STUDENT, COURSE, **more).require()
        if term:
            world.save(TERM, term="ALL", **term).require()

    return fill


ENROLLED: Final[tuple[str, dict[str, Any]]] = ("enroll", {})
COMPLETED: Final[tuple[str, dict[str, Any]]] = ("complete", {"grade": "B"})
WITHDRAWN: Final[tuple[str, dict[str, Any]]] = ("withdraw", {})


def _held(blocks: str, *steps: tuple[str, dict[str, Any]]) -> Callable[[World], None]:
    def fill(world: World) -> None:
        _then(*steps)(world)
        place_hold(world, blocks)

    return fill


def _inactive(world: World) -> None:
    world.course("CS101")
    world.student(STUDENT, status="inactive")


def _second_section(world: World) -> None:
    world.course("CS101", section="2")
    world.course("CS101")
    world.submit("enroll", STUDENT, "ALL/CS101-2").require()


def _taken_before(world: World) -> None:
    world.term("OLD")
    world.course("CS101", term="OLD")
    world.course("CS101", repeats=0)
    world.submit("enroll", STUDENT, "OLD/CS101").require()
    world.submit("complete", STUDENT, "OLD/CS101", grade="A").require()


def _loaded(world: World) -> None:
    world.course("CS101", credits=3)
    world.student(STUDENT, max_credits="2.5")


def _no_waitlists(world: World) -> None:
    world.course("CS101", capacity=0, waitlist=9)
    world.save(TERM, term="ALL", max_waitlists=0).require()


def _full_queue(world: World) -> None:
    world.student("S2", "S3")
    world.course("CS101", capacity=1, waitlist=1)
    for number in ("S2", "S3"):
        world.submit("enroll", number, COURSE).require()


def _waiting(world: World) -> None:
    world.course("CS101", capacity=0, waitlist=9)
    world.submit("enroll", STUDENT, COURSE).require()


SITUATIONS: Final = (
    Situation("student-inactive", "enroll", _inactive),
    Situation("course-closed", "enroll", _course(status="closed")),
    Situation("course-closed", "enroll", _course(status="cancelled"), "cancelled"),
    Situation("hold", "enroll", _held("add")),
    Situation("hold", "drop", _held("add-drop", ENROLLED)),
    Situation("hold", "withdraw", _held("add-drop", ENROLLED)),
    Situation("window-closed", "enroll", _then(enroll_until=LONG_AGO)),
    Situation("window-closed", "enroll", _course(enroll_from="9999-12-31"), "not open yet"),
    Situation("drop-deadline", "drop", _then(ENROLLED, drop_until=LONG_AGO)),
    Situation("withdraw-deadline", "withdraw", _then(ENROLLED, withdraw_until=LONG_AGO)),
    Situation("restricted", "enroll", _course(restricted="honors")),
    Situation("prerequisite-missing", "enroll", _course(requires="MATH100")),
    Situation("corequisite-missing", "enroll", _course(corequisites="LAB")),
    Situation(
        "corequisite-missing",
        "enroll",
        _course(corequisites="LAB", capacity=0, waitlist=9),
        "queue",
    ),
    Situation("time-conflict", "enroll", _with("ART", meetings="MWF 10:00-10:50")),
    Situation("credit-load", "enroll", _loaded),
    Situation("duplicate-section", "enroll", _second_section),
    Situation("repeat-limit", "enroll", _taken_before),
    Situation("waitlist-limit", "enroll", _no_waitlists),
    Situation("course-full", "enroll", _course(capacity=0)),
    Situation("waitlist-full", "enroll", _full_queue),
    Situation("seat-reserved", "enroll", _course(capacity=1, reserved="honors=1")),
    Situation("already-withdrawn", "enroll", _then(ENROLLED, WITHDRAWN)),
    Situation("already-withdrawn", "drop", _then(ENROLLED, WITHDRAWN)),
    Situation("already-completed", "enroll", _then(ENROLLED, COMPLETED)),
    Situation("already-completed", "drop", _then(ENROLLED, COMPLETED)),
    Situation("already-completed", "withdraw", _then(ENROLLED, COMPLETED)),
    Situation("not-enrolled", "drop", _course()),
    Situation("not-enrolled", "withdraw", _course()),
    Situation("not-enrolled", "withdraw", _waiting, "waiting"),
    Situation("not-enrolled", "complete", _course()),
)


# ── the records of the desk ──


def place_hold(world: World, blocks: str, number: str = STUDENT) -> None:
    """Put a hold on a student, long ago."""
    mine = select(Student.id).where(Student.student_number == number).scalar_subquery()
    hold = insert(Hold).values(
        student_id=mine, kind="financial", blocks=blocks, reason="library fee",
        from_on=date.fromisoformat(LONG_AGO), placed_by="bursar", placed_at=NOW,
    )  # fmt: skip
    world.database.write(lambda session: session.execute(hold) and None)


def grant(world: World, rule: str, ref: str = COURSE, number: str = STUDENT) -> None:
    """Grant a student an override in a course."""
    mine = select(Student.id).where(Student.student_number == number).scalar_subquery()
    named = Term.code + "/" + Course.code + "-" + Course.section
    course = select(Course.id).join(Term).where(named == ref).scalar_subquery()
    override = insert(Override).values(
        student_id=mine, course_id=course, rule=rule, reason="dean", granted_by="dean",
        granted_at=NOW,
    )  # fmt: skip
    world.database.write(lambda session: session.execute(override) and None)

"""How often one enrollment over HTTP waits for PostgreSQL: a bound, whatever the rules look at."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from sqlalchemy import insert, select

from studentcli.models import Hold, Student
from tests.benchmarks.http import round_trips
from tests.door import Door
from tests.situations import grant
from tests.world import NOW, World

AT_MOST = 10
"""Round trips of one enrollment by id: each costs as much as the network is slow."""

COURSE = "2026FA/CS101-1"


@pytest.fixture
def site(new_database: Callable[..., str]) -> Iterator[World]:
    """Give a world on PostgreSQL with a course, a student and a term without an end."""
    site = World(new_database("postgresql"))
    site.term("2026FA")
    site.student("S1")
    site.course("CS101", term="2026FA", capacity=30, waitlist=9)
    yield site
    site.database.dispose()


def fill_every_rule(site: World) -> None:
    """Give every rule something to look at, and let S1 meet them all."""
    site.term(
        "2026FA", enroll_from="2020-01-01", enroll_until="9999-12-30", drop_until="9999-12-30",
        withdraw_until="9999-12-30", max_credits=30, max_waitlists=3, starts_on="2026-09-01",
        ends_on="2026-12-18", time_zone="America/New_York",
    )  # fmt: skip
    site.term("2026SP")
    site.course("MATH100", "CS101", term="2026SP", credits=3)
    site.course("LAB", "ART", term="2026FA", credits=3, meetings="T 10:00-11:00")
    site.course("CS101", term="2026FA", section="2")
    site.student("S1", tags="honors level:senior", max_credits=18)
    for code in ("2026SP/MATH100", "2026SP/CS101"):
        site.submit("enroll", "S1", code).require()
        site.submit("complete", "S1", code, grade="B").require()
    site.submit("enroll", "S1", "2026FA/LAB").require()
    site.course(
        "CS101", term="2026FA", credits=3, capacity=2, waitlist=9, requires="MATH100:C",
        corequisites="LAB", meetings="M 10:00-11:00", restricted="!probation", repeats=1,
        reserved="honors=1; level:junior=1 until 2026-01-01", enroll_until="9999-12-31",
    )  # fmt: skip
    expired = insert(Hold).values(
        student_id=select(Student.id).where(Student.student_number == "S1").scalar_subquery(),
        kind="financial", blocks="add-drop", reason="fee", from_on=date(2020, 1, 1),
        until_on=date(2020, 1, 2), placed_by="bursar", placed_at=NOW,
    )  # fmt: skip
    site.database.write(lambda session: session.execute(expired) and None)
    for rule in ("time-conflict", "course-full"):
        grant(site, rule, COURSE)


def fill_queue(site: World) -> None:
    """Let somebody wait whom a rule blocks, in this course and in another."""
    site.student("S2", "S3")
    site.course("OTHER", term="2026FA", capacity=1, waitlist=9)
    site.submit("enroll", "S3", "2026FA/OTHER").require()
    site.submit("enroll", "S2", "2026FA/OTHER").require()
    site.course("CS101", term="2026FA", capacity=0)
    for code in ("2026FA/CS101-1", "2026FA/LAB"):
        site.submit("enroll", "S2", code, overrides=frozenset({"prerequisite-missing"}), reason="x")
    site.student("S2", status="inactive")
    site.course("CS101", term="2026FA", capacity=2)


def waits(site: World) -> list[str]:
    """Enroll S1 over HTTP; gives the statements it waited for."""
    with site.database.session(writes=False) as session:
        student_id = session.scalars(select(Student.id).where(Student.student_number == "S1")).one()
    door = Door(site)
    course_id = door.course_id(COURSE)
    door.close()
    statements = round_trips(site.url, student_id, course_id)
    assert site.statuses()["S1", COURSE] == "enrolled"
    return statements


def test_an_enrollment_into_a_plain_course_is_within_the_bound(site: World) -> None:
    statements = waits(site)
    assert len(statements) <= AT_MOST, statements


def test_an_enrollment_that_every_rule_looks_at_is_within_the_bound(site: World) -> None:
    fill_every_rule(site)
    statements = waits(site)
    assert len(statements) <= AT_MOST, statements


def test_an_enrollment_past_a_queue_of_the_blocked_is_within_the_bound(site: World) -> None:
    fill_every_rule(site)
    fill_queue(site)
    statements = waits(site)
    assert len(statements) <= AT_MOST, statements

"""Texts of rules that nobody can read: found, told by every command, mended one by one."""

import itertools
import json
import shlex

import pytest

from studentcli import errors
from tests.conftest import Run
from tests.doctor import edit, find, told
from tests.world import World

TEXTS = {
    "UPDATE courses SET requires = 'CS101 &' WHERE code = 'CS201'":
        ("course ALL/CS201-1", "requires cannot be read: "),
    "UPDATE courses SET corequisites = 'LAB:C' WHERE code = 'CS201'":
        ("course ALL/CS201-1", "corequisites cannot be read: "),
    "UPDATE courses SET meetings = 'sometimes' WHERE code = 'CS201'":
        ("course ALL/CS201-1", "meetings cannot be read: "),
    "UPDATE courses SET restricted = '|' WHERE code = 'CS201'":
        ("course ALL/CS201-1", "restricted cannot be read: "),
    "UPDATE courses SET reserved = 'honors' WHERE code = 'CS201'":
        ("course ALL/CS201-1", "reserved cannot be read: "),
    "UPDATE terms SET grades = 'A B C' WHERE code = 'ALL'":
        ("term ALL", "grades cannot be read: "),
    "UPDATE terms SET time_zone = 'Mars/Base' WHERE code = 'ALL'":
        ("term ALL", "time_zone cannot be read: "),
}  # fmt: skip


GOOD = {
    "--requires": "CS101", "--corequisites": "CS101", "--meetings": "M 10:00-11:00",
    "--restricted": "!probation", "--reserved": "honors=1", "--grades": "A B | F",
    "--time-zone": "Europe/Berlin",
}  # fmt: skip


@pytest.mark.parametrize("statement", TEXTS)
def test_the_text_of_a_rule_that_cannot_be_read_is_damage_and_never_a_traceback(
    statement: str, world: World, command: Run
) -> None:
    world.student("S1")
    world.course("CS101", "CS201", capacity=5)
    world.submit("enroll", "S1", "CS101").require()
    edit(world, statement)
    subject, finding = TEXTS[statement]
    (found,) = [one for one in find(world) if one.check == "text"]
    assert found.subject == subject
    assert found.finding.startswith(finding)
    assert found.severity == "damage"
    done = command("enroll", "S1", "CS201", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "[database-damaged]" in done.stderr
    assert "hint: studentcli db check says how to mend it" in done.stderr
    assert command("db", "check", database=world).returncode == errors.ExitStatus.DATABASE
    *line, _metavar = shlex.split(found.mend)[1:]
    good = GOOD[line[-1]]
    assert command(*line, good, database=world).returncode == 0
    assert [one for one in find(world) if one.severity == "damage"] == []
    told = json.loads(command("history", "--limit", "1", "--format", "json", database=world).stdout)
    assert told[0]["kind"] in {"course-edit", "term-edit"}
    assert command(*line, "-", database=world).returncode == 0
    assert command("enroll", "S1", "CS201", database=world).returncode == 0


def test_mending_a_text_records_what_was_there_and_runs_the_queue(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("CS101", capacity=1, waitlist=5)
    for number in ("S1", "S2"):
        world.submit("enroll", number, "CS101").require()
    edit(world, "UPDATE courses SET capacity = 2, requires = 'MATH1 &'")
    assert command("drop", "S1", "CS101", database=world).returncode == errors.ExitStatus.DATABASE
    forecast = command("course", "edit", "CS101", "--requires", "-", "-n", database=world)
    assert forecast.returncode == 0
    assert find(world) != []
    done = command("course", "edit", "CS101", "--requires", "-", database=world)
    assert done.returncode == 0
    assert world.statuses()["S2", "ALL/CS101-1"] == "enrolled"
    with world.database.connect(writes=False) as connection:
        last = connection.exec_driver_sql(
            "SELECT changes FROM catalog_events ORDER BY id DESC LIMIT 1"
        ).scalar_one()
    changes = json.loads(last) if isinstance(last, str) else last
    assert changes == {"requires": ["MATH1 &", None]}


def test_of_many_texts_that_nobody_can_read_each_is_mended_by_the_command_that_is_named(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("CS101", "CS201", capacity=1, waitlist=5)
    for number, course in itertools.product(("S1", "S2"), ("CS101", "CS201")):
        world.submit("enroll", number, course).require()
    edit(world, "UPDATE courses SET requires = '|', meetings = 'sometimes', capacity = 2")
    damaged = [one for one in find(world) if one.check == "text"]
    assert len(damaged) == 4
    for one in damaged:
        *line, _metavar = shlex.split(one.mend)[1:]
        good = "MATH1" if line[-1] == "--requires" else "-"
        assert command(*line, good, "-n", database=world).returncode == 0
        assert command(*line, good, database=world).returncode == 0
    assert [one for one in find(world) if one.check == "text"] == []
    assert command("course", "edit", "CS201", "--title", "Logic", database=world).returncode == 0


def test_what_an_edit_gives_beside_a_damaged_text_waits_until_queues_can_be_run(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("CS101", capacity=1, waitlist=5)
    world.course("CS201")
    for number, course in (("S1", "CS101"), ("S2", "CS101"), ("S2", "CS201")):
        world.submit("enroll", number, course).require()
    edit(world, "UPDATE courses SET requires = '|'")
    more = ("course", "edit", "CS101", "--requires", "-", "--capacity", "2")
    for line in (more, (*more, "-n")):
        assert command(*line, database=world).returncode == errors.ExitStatus.DATABASE
    for course in ("CS101", "CS201"):
        done = command("course", "edit", course, "--requires", "-", database=world)
        assert done.returncode == 0
        assert ("waitlist run --all" in done.stderr) == (course == "CS101")
    assert command("course", "edit", "CS101", "--capacity", "2", database=world).returncode == 0
    assert world.statuses()["S2", "ALL/CS101-1"] == "enrolled"


@pytest.mark.parametrize(
    "line", ["enroll S1 CS201", "courses S1 --week", "drop S1 CS201", "course edit CS201 --title X"]
)
def test_every_command_that_reads_a_damaged_text_says_so(
    line: str, world: World, command: Run
) -> None:
    world.student("S1")
    world.course("CS201", meetings="M 10:00-11:00", capacity=5)
    world.submit("enroll", "S1", "CS201").require()
    edit(world, "UPDATE courses SET meetings = 'sometimes'")
    done = command(*shlex.split(line), database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "meetings of" in done.stderr
    assert "[database-damaged]" in done.stderr


def test_the_rules_are_not_asked_about_a_database_that_they_cannot_read(world: World) -> None:
    world.student("S1")
    world.course("CS101", capacity=1)
    world.submit("enroll", "S1", "CS101").require()
    world.course("CS101", capacity=0)
    edit(world, "UPDATE courses SET meetings = 'sometimes'")
    checks = {one.check: one.severity for one in find(world)}
    assert checks == {"text": "damage", "events": "damage", "rules": "attention"}


def test_a_swap_that_gives_up_a_course_which_is_not_there_is_damage(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("CS101", capacity=1, waitlist=5)
    for number in ("S1", "S2"):
        world.submit("enroll", number, "CS101").require()
    edit(world, "UPDATE student_courses SET instead_of_id = 999 WHERE status = 'waitlisted'")
    assert told(world)[0] == (
        "reference", "courses 999",
        "is named in student_courses.instead_of_id but does not exist",
    )  # fmt: skip
    done = command("drop", "S1", "CS101", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "gives up course id 999, which does not exist [database-damaged]" in done.stderr
    assert command("db", "check", "--fix", database=world).returncode == 0
    assert command("drop", "S1", "CS101", database=world).returncode == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE student_courses SET enrolled_on = 'yesterday'",
        "UPDATE catalog_events SET changes = '{'",
        "UPDATE courses SET credit_hours = 'many'",
    ],
)
def test_a_value_that_no_driver_can_read_is_damage(
    statement: str, sqlite_world: World, command: Run
) -> None:
    sqlite_world.student("S1")
    sqlite_world.course("CS101")
    sqlite_world.submit("enroll", "S1", "CS101").require()
    edit(sqlite_world, statement)
    done = command("db", "check", "--format", "tsv", database=sqlite_world)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "cannot be read" in done.stdout
    assert "Traceback" not in done.stderr

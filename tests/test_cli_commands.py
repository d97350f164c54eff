"""The commands as registrars and scripts use them: exit codes, output, quiet, dry run."""

import json
from typing import Any

import pytest

from tests.conftest import Run
from tests.world import World


@pytest.fixture
def filled(world: World) -> World:
    world.student("S1", "S2", "S3", given_name="Ada", family_name="King")
    world.course("CS101", capacity=1, waitlist=1, credits="3", title="Computing")
    world.course("MATH200", credits="4.5")
    return world


@pytest.fixture
def small(sqlite_world: World) -> World:
    sqlite_world.student("S1", "S2", "S3", given_name="Ada", family_name="King")
    sqlite_world.course("CS101", capacity=1, waitlist=1, credits="3", title="Computing")
    sqlite_world.course("MATH200", credits="4.5")
    return sqlite_world


def test_the_main_job_from_the_command_line(filled: World, run: Run) -> None:
    first = run("enroll", "S1", "CS101", "MATH200", database=filled.url)
    assert first.returncode == 0, first.stderr
    assert [line.split("\t")[3] for line in first.stdout.splitlines()] == [
        "result", "enrolled", "enrolled",
    ]  # fmt: skip
    assert run("enroll", "S2", "CS101", database=filled.url).returncode == 0
    full = run("enroll", "S3", "CS101", "MATH200", database=filled.url)
    assert full.returncode == 4
    assert "[waitlist-full]" in full.stderr
    assert "hint:" in full.stderr
    courses = run("courses", "S3", database=filled.url)
    assert [line.split("\t")[0] for line in courses.stdout.splitlines()[1:]] == ["ALL/MATH200-1"]
    dropped = run("drop", "S1", "CS101", "--format", "json", database=filled.url)
    rows = json.loads(dropped.stdout)
    assert [(row["student"], row["action"]) for row in rows] == [("S1", "drop"), ("S2", "promote")]
    roster = run("roster", "CS101", "--format", "csv", database=filled.url)
    assert roster.stdout.splitlines()[1].startswith("S2,Ada,King,enrolled")


def exits(run: Run, world: World, *arguments: str) -> Any:
    done = run(*arguments, database=world.url)
    assert "Traceback" not in done.stderr
    return done


def test_repeating_a_command_is_success_and_says_so(small: World, run: Run) -> None:
    run("enroll", "S1", "CS101", database=small.url)
    again = exits(run, small, "enroll", "S1", "CS101")
    assert again.returncode == 0
    assert "is already enrolled" in again.stdout


def test_a_dry_run_says_would_and_changes_nothing(small: World, run: Run) -> None:
    done = exits(run, small, "enroll", "S1", "CS101", "--dry-run")
    assert done.returncode == 0
    assert "S1 would be enrolled in ALL/CS101-1" in done.stdout
    assert small.enrollments() == {}


def test_quiet_prints_nothing_on_success_and_errors_always(small: World, run: Run) -> None:
    good = exits(run, small, "-q", "enroll", "S1", "CS101")
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = exits(run, small, "enroll", "-q", "S1", "NOPE")
    assert (bad.returncode, bad.stdout) == (3, "")
    assert "[unknown-course]" in bad.stderr


def test_an_error_with_format_json_is_one_object(small: World, run: Run) -> None:
    done = exits(run, small, "roster", "CS10", "--format", "json")
    problem = json.loads(done.stderr)["error"]
    assert done.returncode == 3
    assert (problem["code"], problem["hint"]) == ("unknown-course", "did you mean ALL/CS101-1?")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("enroll", "S1"), 2),
        (("enroll", "S1", "CS101", "--on", "yesterday"), 4),
        (("enroll", "S1", "CS101", "--override", "course-full"), 4),
        (("enroll", "S1", "CS101", "--format", "xml"), 2),
        (("enroll", "S1", "CS101", "--wait", "-1"), 2),
        (("nonsense",), 2),
        (("course", "cancel", "CS101"), 2),
        (("withdraw", "S1", "CS101"), 4),
        (("complete", "S1", "CS101", "--grade", "A"), 4),
        (("student", "show", "S9"), 3),
        (("term", "show", "2030"), 3),
        (("history", "99"), 3),
        (("courses", "--term", "2030"), 3),
        (("student", "add", "S1", "--given-name", "Bob"), 4),
        (("student", "edit", "S9", "--given-name", "Bob"), 3),
        (("course", "add", "CS101", "--capacity", "many"), 4),
        (("export", "grades"), 2),
    ],
)
def test_every_mistake_has_its_exit_code_and_a_hint(
    small: World, run: Run, arguments: tuple[str, ...], code: int
) -> None:
    done = exits(run, small, *arguments)
    assert done.returncode == code, done.stderr
    assert "error: " in done.stderr
    assert small.enrollments() == {}


def test_the_catalogue_is_kept_from_the_command_line(filled: World, run: Run) -> None:
    steps = [
        ("term", "add", "2026FA", "--name", "Fall", "--starts-on", "2026-09-01"),
        ("course", "add", "2026FA/BIO1", "--section", "002", "--capacity", "2"),
        ("course", "edit", "2026FA/BIO1", "--capacity", "-"),
        ("student", "add", "S4", "--email", "s4@example.org"),
        ("student", "edit", "S4", "--status", "inactive", "--reason", "left"),
        ("student", "renumber", "S4", "S0004"),
        ("course", "cancel", "MATH200", "--reason", "no room"),
    ]
    for step in steps:
        done = run(*step, database=filled.url)
        assert done.returncode == 0, done.stderr
    student = json.loads(
        run("student", "show", "S0004", "--format", "json", database=filled.url).stdout
    )
    assert (student[0]["status"], student[0]["email"]) == ("inactive", "s4@example.org")
    offered = json.loads(run("courses", "--format", "json", database=filled.url).stdout)
    assert [(c["ref"], c["capacity"], c["status"]) for c in offered] == [
        ("2026FA/BIO1-002", None, "open"),
        ("ALL/CS101-1", 1, "open"),
        ("ALL/MATH200-1", None, "cancelled"),
    ]
    kinds = json.loads(run("history", "--format", "json", database=filled.url).stdout)
    assert kinds[0]["kind"] == "course-cancel"
    assert kinds[0]["reason"] == "no room"


def test_who_becomes_inactive_keeps_the_courses_and_the_command_to_drop_them_is_told(
    small: World, run: Run
) -> None:
    small.submit("enroll", "S1", "CS101", "MATH200")
    done = exits(run, small, "student", "edit", "S1", "--status", "inactive")
    assert "hint: studentcli drop S1 ALL/CS101-1 ALL/MATH200-1" in done.stderr
    assert set(small.statuses().values()) == {"enrolled"}


def test_an_edit_that_promotes_says_whom(small: World, run: Run) -> None:
    small.one("enroll", "S1", "CS101")
    small.one("enroll", "S2", "CS101")
    done = exits(run, small, "course", "edit", "CS101", "--capacity", "2")
    assert "S2 moved up from the waitlist into ALL/CS101-1" in done.stderr


def test_the_actor_is_recorded(small: World, run: Run) -> None:
    run("enroll", "S1", "CS101", "--actor", "Grace", database=small.url)
    run("enroll", "S2", "CS101", database=small.url, env={"STUDENTCLI_ACTOR": "cron"})
    rows = json.loads(run("history", "--format", "json", database=small.url).stdout)
    assert [row["actor"] for row in rows[:2]] == ["cron", "Grace"]

"""The audit log: a line per request and per outcome, from the command line and from files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli import audit
from studentcli.requests import Change, Request
from tests.conftest import Run
from tests.door import CALLER, Door
from tests.world import World

PERSONAL = ('"S1"', '"S2"', "Ada", "King", "ada@example.org", "because she asked", '"A+"')


@pytest.fixture
def school(world: World) -> World:
    world.student("S1", given_name="Ada", family_name="King", email="ada@example.org")
    world.student("S2")
    world.course("CS101", capacity=1)
    return world


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def logged(run: Run, school: World, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Run a command with a log; gives the lines that it added."""
    path = tmp_path / "audit.log"

    def call(*arguments: str, **more: Any) -> list[dict[str, Any]]:
        before = len(lines(path)) if path.exists() else 0
        run(*arguments, "--log-file", str(path), "--actor", "desk 3", database=school.url, **more)
        return lines(path)[before:]

    return call


def test_a_request_and_its_outcome_are_a_line_each(
    logged: Callable[..., list[dict[str, Any]]], school: World, tmp_path: Path
) -> None:
    asked, decided = logged("enroll", "S1", "CS101")
    assert asked["event"] == "enrollment_requested"
    assert asked["courses"] == ["CS101"]
    assert decided["event"] == "enrollment_decided"
    assert decided["level"] == "INFO"
    assert (decided["action"], decided["status"]) == ("enroll", "enrolled")
    assert decided["course"] == "ALL/CS101-1"
    assert {decided["channel"], asked["channel"]} == {"cli"}
    assert {decided["actor"], asked["actor"]} == {"desk 3"}
    assert asked["request_key"] == decided["request_key"]
    assert decided["duration_ms"] >= 0
    with school.database.connect(writes=False) as connection:
        newest = connection.execute(text("SELECT max(id) FROM operations")).scalar_one()
        student = connection.execute(text("SELECT id FROM students ORDER BY id")).scalar()
    assert decided["operation_id"] == newest
    assert decided["student_id"] == student
    assert (tmp_path / "audit.log").stat().st_mode & 0o777 == 0o600


def test_a_refusal_is_a_warning_with_its_code(
    logged: Callable[..., list[dict[str, Any]]],
) -> None:
    logged("enroll", "S1", "CS101")
    refused = logged("enroll", "S2", "CS101", "--no-waitlist")[-1]
    assert (refused["event"], refused["level"]) == ("enrollment_refused", "WARNING")
    assert refused["code"] == "course-full"
    only = logged("enroll", "S2", "CS101", "--log-level", "warning")
    assert [line["event"] for line in only] == ["enrollment_refused"]


def test_no_line_says_who_a_person_is(
    logged: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    logged("enroll", "S1", "CS101", "--reason", "because she asked")
    logged("complete", "S1", "CS101", "--grade", "A+")
    logged("enroll", "nobody", "CS101")
    written = (tmp_path / "audit.log").read_text()
    assert [word for word in (*PERSONAL, "nobody") if word in written] == []


def test_a_file_leaves_the_lines_of_its_rows_once_it_is_applied(
    logged: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("student,course\nS1,CS101\nS2,NOPE\n")
    aborted = logged("import", str(path))
    assert [(line["event"], line.get("code")) for line in aborted] == [
        ("operation_failed", "batch-refused")
    ]
    applied = logged("import", str(path), "--on-error", "skip", "--chunk", "1")
    assert [(line["event"], line["line"]) for line in applied] == [
        ("enrollment_requested", 2), ("enrollment_decided", 2),
        ("enrollment_requested", 3), ("enrollment_refused", 3),
    ]  # fmt: skip
    assert {line["channel"] for line in applied} == {"csv"}


@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        (
            ("hold", "lift", "1"),
            [("hold", "place", "S2", "--reason", "fees"), ("drop", "S1", "CS101")],
        ),
        (("override", "grant", "S2", "CS101", "--rule", "course-full", "--reason", "x"), []),
        (("course", "edit", "CS101", "--capacity", "2"), []),
        (("import", "courses.csv"), []),
    ],
)
def test_whoever_moves_up_by_an_operation_that_is_no_request_is_a_line(
    logged: Callable[..., list[dict[str, Any]]],
    school: World,
    tmp_path: Path,
    arguments: tuple[str, ...],
    before: list[tuple[str, ...]],
) -> None:
    (tmp_path / "courses.csv").write_text("course,capacity\nCS101,2\n")
    school.course("CS101", waitlist=5)
    for line in (("enroll", "S1", "CS101"), ("enroll", "S2", "CS101"), *before):
        logged(*line)
    assert logged(*arguments, "-n") == []
    (promoted,) = logged(*arguments)
    with school.database.connect(writes=False) as connection:
        newest = connection.execute(text("SELECT max(id) FROM operations")).scalar_one()
        student = connection.execute(text("SELECT max(id) FROM students")).scalar_one()
    assert promoted["event"] == "enrollment_promoted"
    assert (promoted["student_id"], promoted["course"]) == (student, "ALL/CS101-1")
    assert (promoted["operation_id"], promoted["actor"]) == (newest, "desk 3")
    assert logged(*arguments) == []


def test_everybody_whom_a_cancelled_course_drops_is_a_line(
    logged: Callable[..., list[dict[str, Any]]], school: World
) -> None:
    school.course("CS101", waitlist=5)
    logged("enroll", "S1", "CS101")
    logged("enroll", "S2", "CS101")
    dropped = logged("course", "cancel", "CS101", "--reason", "no room")
    assert [(line["event"], line["action"], line["status"]) for line in dropped] == [
        ("enrollment_decided", "drop", "dropped")
    ] * 2
    assert {line["operation_id"] for line in dropped} == {school.count("operations")}


def test_an_operation_that_is_no_request_says_when_nothing_came_of_it(
    logged: Callable[..., list[dict[str, Any]]],
) -> None:
    (failed,) = logged("hold", "lift", "9")
    assert (failed["event"], failed["code"]) == ("operation_failed", "unknown-hold")


def test_a_forecast_leaves_no_line(
    logged: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("student,course\nS1,CS101\n")
    assert logged("enroll", "S1", "CS101", "-n") == []
    assert logged("import", str(path), "-n") == []


def test_an_operation_that_fails_says_so(
    logged: Callable[..., list[dict[str, Any]]], school: World
) -> None:
    with school.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE courses SET title = title"))
        asked, failed = logged("enroll", "S1", "CS101", "--wait", "0.2")
    assert asked["event"] == "enrollment_requested"
    assert (failed["event"], failed["code"]) == ("operation_failed", "busy")


def test_the_environment_names_the_log_and_a_dash_is_standard_error(
    run: Run, school: World, tmp_path: Path
) -> None:
    env = {"STUDENTCLI_LOG_FILE": str(tmp_path / "env.log")}
    run("enroll", "S1", "CS101", database=school.url, env=env)
    assert len(lines(tmp_path / "env.log")) == 2
    done = run("drop", "S1", "CS101", "-q", "--log-file", "-", database=school.url)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == [
        "enrollment_requested",
        "enrollment_decided",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--log-file", "/nonexistent/a.log"), "cannot be written"),
        (("--log-file", "-", "--log-level", "loud"), "no log level"),
    ],
)
def test_a_log_that_cannot_be_written_stops_before_anything_is_done(
    run: Run, school: World, options: tuple[str, ...], words: str
) -> None:
    done = run("enroll", "S1", "CS101", *options, database=school.url)
    assert done.returncode == 2
    assert words in done.stderr
    assert school.statuses() == {}


def test_requests_over_http_leave_the_same_lines(door: Door, tmp_path: Path) -> None:
    door.world.student("S1", given_name="Ada")
    door.world.course("CS101", capacity=1)
    audit.open_log(str(tmp_path / "http.log"), "info")
    try:
        door.enroll("S1", "CS101")
        door.call("DELETE", f"/students/{door.student_id('S1')}/courses/{door.course_id('CS101')}")
        door.call("POST", "/students/999/enroll", json={"course_id": door.course_id("CS101")})
    finally:
        audit.close_log()
    written = lines(tmp_path / "http.log")
    assert [line["event"] for line in written] == [
        "enrollment_requested", "enrollment_decided",
        "enrollment_requested", "enrollment_decided",
        "enrollment_requested", "enrollment_refused",
    ]  # fmt: skip
    assert {(line["channel"], line["actor"]) for line in written} == {("http", f"http:{CALLER}")}
    assert written[-1]["code"] == "unknown-student"
    assert written[0]["course_ids"] == [door.course_id("CS101")]


def test_a_log_that_was_rotated_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit.open_log(str(path), "info")
    try:
        for _ in range(2):
            with audit.following("test", "tester", "key") as trail:
                trail.asked(Request(1, [Change("enroll", 2)]))
            if not (tmp_path / "audit.log.1").exists():
                path.rename(tmp_path / "audit.log.1")
    finally:
        audit.close_log()
    assert [line["course_ids"] for line in lines(path)] == [[2]]
    assert [line["student_id"] for line in lines(tmp_path / "audit.log.1")] == [1]

"""enroll --students LIST --courses LIST: every student in every course, as one operation."""

import csv
import io
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.desk import rows
from tests.world import World


@pytest.fixture
def desk(world: World) -> World:
    world.student("S1", "S2", "S3", "00731")
    world.course("CS101", "MATH200")
    world.course("ART", capacity=1, waitlist=5)
    return world


def operations(desk: World) -> int:
    return desk.count("operations")


def test_every_student_is_enrolled_in_every_course_as_one_operation(
    desk: World, command: Run
) -> None:
    before = operations(desk)
    done = command("enroll", "--students", "S1, S2,S1", "--courses", "CS101,ALL/ART", database=desk)
    assert done.returncode == 0
    assert operations(desk) == before + 1
    assert desk.statuses() == {
        ("S1", "ALL/CS101-1"): "enrolled", ("S1", "ALL/ART-1"): "enrolled",
        ("S2", "ALL/CS101-1"): "enrolled", ("S2", "ALL/ART-1"): "waitlisted",
    }  # fmt: skip
    told = list(csv.DictReader(io.StringIO(done.stdout), delimiter="\t"))
    assert [(row["student"], row["course"], row["result"]) for row in told] == [
        ("S1", "ALL/CS101-1", "enrolled"), ("S1", "ALL/ART-1", "enrolled"),
        ("S2", "ALL/CS101-1", "enrolled"), ("S2", "ALL/ART-1", "waitlisted"),
    ]  # fmt: skip
    assert "2 students, 2 courses: 3 enrolled, 1 waitlisted, operation " in done.stderr
    again = command("enroll", "--students", "S1,S2", "--courses", "CS101,ART", database=desk)
    assert (again.returncode, "4 unchanged" in again.stderr) == (0, True)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("S1\n\n00731\n", "@class.txt"),
        ("Name,Student\nKing,S1\nLin,00731\n", "@class.txt"),
        ("\ufeffstudent;note\r\nS1;x\r\n00731;\r\n", "@class.txt"),
    ],
    ids=["lines", "csv", "semicolon"],
)
def test_a_list_is_read_from_a_file(
    desk: World, command: Run, tmp_path: Path, content: str, name: str
) -> None:
    (tmp_path / "class.txt").write_text(content)
    (tmp_path / "courses.txt").write_text("course\nMATH200\n")
    done = command("enroll", "--students", name, "--courses", "@courses.txt", "-q", database=desk)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(desk.statuses()) == {("S1", "ALL/MATH200-1"), ("00731", "ALL/MATH200-1")}


def test_one_side_can_be_an_argument(desk: World, command: Run, run: Run) -> None:
    assert command("enroll", "S1", "--courses", "CS101,ART", "-q", database=desk).returncode == 0
    done = run("enroll", "--students", "@-", "--courses", "CS101", database=desk.url, stdin="S2\n")
    assert done.returncode == 0, done.stderr
    assert len(desk.statuses()) == 3


def test_refusals_are_told_each_and_the_others_are_applied(desk: World, command: Run) -> None:
    done = command(
        "enroll", "--students", "S1,731,S2", "--courses", "CS101,ART", "--no-waitlist", "-q",
        database=desk,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stdout == ""
    near = "there is no student 731 (did you mean 00731?) [unknown-student]"
    first, second, full, summary = done.stderr.splitlines()
    assert (first, second) == (f"731, CS101: {near}", f"731, ART: {near}")
    assert full.startswith("S2, ALL/ART-1: ")
    assert full.endswith("[course-full]")
    assert "3 students, 2 courses: 3 enrolled, 3 refused" in summary
    assert len(desk.statuses()) == 3


def test_a_cohort_of_unknown_students_is_not_found(desk: World, command: Run) -> None:
    done = command("enroll", "--students", "X,Y", "--courses", "CS101", database=desk)
    assert done.returncode == 3


def test_a_forecast_of_a_cohort_says_what_it_does(desk: World, command: Run) -> None:
    before = rows(desk)
    forecast = command("enroll", "--students", "S2,S1,X", "--courses", "ART", "-n", database=desk)
    assert rows(desk) == before
    assert "forecast, nothing was changed: would be 1 enrolled, 1 waitlisted" in forecast.stderr
    done = command("enroll", "--students", "S2,S1,X", "--courses", "ART", database=desk)
    results = [
        [(r["student"], r["result"], r["position"], r["code"])
         for r in csv.DictReader(io.StringIO(said.stdout), delimiter="\t")]
        for said in (forecast, done)
    ]  # fmt: skip
    assert results[0] == results[1]
    assert (forecast.returncode, done.returncode) == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--students", "S1"], "COURSE is missing"),
        (["--courses", "CS101"], "STUDENT is missing"),
        ([], "STUDENT is missing"),
        (["S1"], "COURSE is missing"),
        (["S1", "--students", "S2", "--courses", "CS101"], "STUDENT is named twice"),
        (["S1", "CS101", "--courses", "ART"], "COURSE is named twice"),
        (["--students", ",", "--courses", "CS101"], "names no student"),
        (["--students", "S1", "--courses", ""], "names no course"),
        (["--students", "@none.txt", "--courses", "CS101"], "none.txt cannot be read"),
        (["--students", "@wide.csv", "--courses", "CS101"], "has no column 'student'"),
        (["--students", "@ragged.csv", "--courses", "CS101"], "line 2: 3 cells"),
        (["--students", "1.2E+05,S1", "--courses", "CS101"], "spreadsheet has shortened"),
        (["--students", "S1", "--courses", "CS101,ART", "--instead-of", "X"], "takes one course"),
    ],
)
def test_a_cohort_that_is_not_said_in_one_way_is_refused(
    desk: World, command: Run, tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "wide.csv").write_text("name,number\nKing,S1\n")
    (tmp_path / "ragged.csv").write_text("name,student\nKing,Ada,S1\n")
    before = rows(desk)
    done = command("enroll", *arguments, database=desk)
    assert done.returncode == 2
    assert told in done.stderr
    assert rows(desk) == before


def test_the_sizes_of_a_list_are_counted_in_words(desk: World, command: Run) -> None:
    Path("class.txt").write_text("S1\n")
    done = command("enroll", "--students", "@class.txt", "--courses", "CS101", database=desk)
    assert "1 student, 1 course: 1 enrolled" in done.stderr


@pytest.mark.parametrize("content", [b"student\nS\xe9\n", "student\nS1\n".encode("utf-16-be")])
def test_a_list_in_another_encoding_names_no_option_that_there_is_not(
    desk: World, command: Run, content: bytes
) -> None:
    Path("class.txt").write_bytes(content)
    done = command("enroll", "--students", "@class.txt", "--courses", "CS101", database=desk)
    assert (done.returncode, "--encoding" in done.stderr) == (2, False), done.stderr
    assert "as CSV UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("given", "example"),
    [
        (("--students", "S1"), "--courses: CS101,MATH200"),
        (("--courses", "ART"), "--students: S1042,S1043"),
    ],
)
def test_what_a_list_lacks_is_shown_by_an_example_of_its_kind(
    desk: World, command: Run, given: tuple[str, ...], example: str
) -> None:
    done = command("enroll", *given, database=desk)
    assert (done.returncode, example in done.stderr) == (2, True), done.stderr

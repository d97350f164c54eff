"""batch: the files that were imported, and what came of their rows."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.desk import read_csv
from tests.world import World

FILE = "student,course\nS1,A\nS2,A\nS3,A\n"


@pytest.fixture
def imported(world: World) -> str:
    """Import a file of which the second row is refused; gives its number."""
    world.student("S1", "S3")
    world.student("S2", status="inactive")
    world.course("A")
    result, _ = world.import_csv(FILE, on_error="skip")
    return str(result.operation_id)


def test_list_tells_every_file_and_what_undid_it(
    world: World, imported: str, command: Callable[..., Any]
) -> None:
    undo = command("batch", "undo", imported, database=world)
    assert undo.returncode == 0, undo.stderr
    listed = command("batch", "list", "--format", "json", database=world)
    (row,) = json.loads(listed.stdout)
    assert (row["batch"], row["source"], row["outcome"]) == (int(imported), "file.csv", "done")
    assert row["totals"] == "2 enrolled, 1 refused"
    assert row["undone_by"] is not None


def test_show_tells_one_file_and_its_rows(
    world: World, imported: str, command: Callable[..., Any]
) -> None:
    shown = command("batch", "show", imported, "--format", "json", database=world)
    assert json.loads(shown.stdout)[0]["source"] == "file.csv"
    rows = command("batch", "show", imported, "--rows", "--format", "csv", database=world)
    assert [(row["student"], row["code"]) for row in read_csv(rows.stdout)] == [
        ("S1", ""), ("S2", "student-inactive"), ("S3", "")
    ]  # fmt: skip


def test_rejects_is_csv_of_the_refused_rows(
    world: World, imported: str, command: Callable[..., Any]
) -> None:
    done = command("batch", "rejects", imported, database=world)
    (row,) = read_csv(done.stdout)
    assert (row["line"], row["student"], row["course"], row["code"]) == (
        "3", "S2", "ALL/A-1", "student-inactive"
    )  # fmt: skip
    assert row["message"] == "S2 is inactive"


@pytest.mark.usefixtures("imported")
def test_rejects_tell_what_names_nothing_as_it_was_written_and_rows_that_cannot_be_read(
    world: World, command: Callable[..., Any]
) -> None:
    result, _ = world.import_csv(
        "student,course,effective_on\nS7,A,\nS1,Z,\nS1,A,tomorrow\n", on_error="skip"
    )
    done = command("batch", "rejects", str(result.operation_id), database=world)
    rows = read_csv(done.stdout)
    assert [(row["line"], row["student"], row["course"], row["code"]) for row in rows] == [
        ("2", "S7", "A", "unknown-student"),
        ("3", "S1", "Z", "unknown-course"),
        ("4", "", "", "bad-value"),
    ]
    assert "tomorrow" in rows[2]["message"]
    assert done.stderr == ""


@pytest.mark.usefixtures("imported")
def test_rejects_of_a_file_of_records_say_that_they_are_not_kept(
    world: World, command: Callable[..., Any]
) -> None:
    result, _ = world.import_csv("student,status\nS4,gone\nS5,active\n", on_error="skip")
    done = command("batch", "rejects", str(result.operation_id), database=world)
    assert "1 refused row is not kept" in done.stderr


@pytest.mark.usefixtures("imported")
def test_rejects_of_an_aborted_file_says_where_to_find_them(
    world: World, command: Callable[..., Any]
) -> None:
    result, _ = world.import_csv(FILE)
    assert result.aborted
    done = command("batch", "rejects", str(result.operation_id), database=world)
    assert read_csv(done.stdout) == []
    assert "1 refused row is not kept; import FILE -n --rejects FILE" in done.stderr


@pytest.mark.usefixtures("imported")
def test_what_is_no_batch_is_said_so(world: World, command: Callable[..., Any]) -> None:
    done = command("batch", "show", "1", database=world)
    assert (done.returncode, done.stdout) == (3, "")
    assert "there is no batch 1" in done.stderr

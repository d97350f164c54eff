"""A file that is committed in parts: one operation, whatever happens between two of them."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studentcli import errors
from studentcli.services import batches
from studentcli.services.checks import check_database
from studentcli.services.operations import Act
from studentcli.services.undoing import undo_operation
from tests.conftest import Run
from tests.world import World, results

STUDENTS, COURSES = 12, 5


def fill(world: World) -> str:
    """Fill a catalogue with queues; gives a file of 60 rows, some of them refused."""
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(STUDENTS)))
    world.import_csv(
        "course,capacity,waitlist\n" + "".join(f"C{n},{n + 3},4\n" for n in range(COURSES))
    )
    rows = [f"enroll,S{s},C{c}" for c in range(COURSES) for s in range(STUDENTS)]
    rows[20:20] = ["drop,S1,C0", "drop,S2,C0", "enroll,nobody,C0", "drop,S9,C0", "enroll,S1,C0"]
    rows[40:40] = ["drop,S3,C1", "sing,S1,C1", "drop,S0,C0", "drop,S0,C0"]
    return "action,student,course\n" + "".join(f"{row}\n" for row in rows)


def operations(world: World) -> int:
    return world.count("operations")


class Killed(BaseException):
    """What a kill is to the process: nothing after it happens."""


def import_until(
    world: World, path: Path, rows: int, *, keeps_cells: bool = True, **options: Any
) -> None:
    """Import, and stop dead once so many rows are told."""
    from studentcli.formats.native import reader_of
    from studentcli.formats.report import rows_of
    from studentcli.formats.source import CsvSource

    source = CsvSource(str(path))
    reader = reader_of(source)
    reader.keeps_cells = keeps_cells
    told = 0

    def take(results: list[Any], _cells: dict[int, list[str]]) -> None:
        nonlocal told
        told += sum(map(rows_of, results))
        if told >= rows:
            raise Killed

    act = Act("import-enrollments", "test", "tester", source="file.csv",
              source_sha256=source.sha256, now=world.now)  # fmt: skip
    chosen = batches.BatchOptions(on_error="skip", **options)
    batch = batches.Batch(
        reader, reader.survey(), act, chosen, lambda: take, source.require_unchanged
    )
    try:
        batch.run(world.database)
    finally:
        source.close()


@pytest.fixture
def clean(engine: str, new_database: Callable[..., str]) -> World:
    """Give a second database, for a clean run."""
    return World(new_database(engine))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_give_what_one_transaction_gives(world: World, clean: World, size: int) -> None:
    file = fill(world)
    fill(clean)
    before = operations(world)
    result, items = world.import_csv(file, on_error="skip", commit_every=size)
    expected, told = clean.import_csv(file, on_error="skip")
    assert result.totals == expected.totals
    assert results(items) == results(told)
    assert world.enrollments() == clean.enrollments()
    assert world.events() == clean.events()
    assert operations(world) == before + 1
    assert world.database.read(check_database) == []


@pytest.mark.parametrize(
    ("rows", "then", "cells"), [(1, 7, True), (20, 5, False), (21, 1000, False), (50, 3, True)]
)
def test_a_run_stopped_between_parts_goes_on_after_them(
    world: World, clean: World, tmp_path: Path, rows: int, then: int, *, cells: bool
) -> None:
    file = fill(world)
    fill(clean)
    path = tmp_path / "in.csv"
    path.write_text(file)
    before = operations(world)
    with pytest.raises(Killed):
        import_until(world, path, rows, keeps_cells=cells, commit_every=7, run_id="night")
    assert 0 < world.count("enrollment_events") < clean.count("enrollment_events") + 60
    result, _ = world.import_file(
        path, keeps_cells=cells, on_error="skip", commit_every=then, run_id="night"
    )
    expected, _ = clean.import_file(path, on_error="skip")
    assert result.totals == expected.totals
    assert world.enrollments() == clean.enrollments()
    assert world.events() == clean.events()
    assert operations(world) == before + 1
    again, _ = world.import_file(path, on_error="skip", commit_every=7, run_id="night")
    assert again.done_as == result.operation_id
    assert world.database.read(check_database) == []


def test_an_import_in_parts_is_undone_as_one(world: World) -> None:
    file = fill(world)
    result, _ = world.import_csv(file, on_error="skip", commit_every=7)
    number = result.operation_id
    assert number is not None
    world.database.write(lambda session: undo_operation(session, number, world.act("undo")))
    assert world.enrollments() == {}


def test_what_a_stopped_run_has_done_can_be_undone_and_then_begun_anew(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(fill(world))
    with pytest.raises(Killed):
        import_until(world, path, 20, commit_every=7, run_id="night")
    number = operations(world)
    world.database.write(lambda session: undo_operation(session, number, world.act("undo")))
    assert world.enrollments() == {}
    result, _ = world.import_file(path, on_error="skip", commit_every=7, run_id="night")
    assert result.done_as is None
    assert result.operation_id == number + 2
    assert world.database.read(check_database) == []


def test_an_atomic_run_does_not_pass_for_the_rest_of_a_stopped_one(
    sqlite_world: World, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(fill(sqlite_world))
    with pytest.raises(Killed):
        import_until(sqlite_world, path, 20, commit_every=7, run_id="night")
    with pytest.raises(errors.Usage, match="of which 21 rows are done"):
        sqlite_world.import_file(path, on_error="skip", run_id="night")


def test_two_imports_of_one_run_in_parts_do_no_row_twice(
    world: World, clean: World, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(fill(world))
    fill(clean)
    clean.import_file(path, on_error="skip")
    importers = [
        subprocess.Popen(
            [sys.executable, "-m", "studentcli", "--database", world.url, "import", str(path),
             "--on-error", "skip", "--commit-every", "2", "--run-id", "night"],
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    told = [(p.communicate(timeout=120)[1], p.returncode) for p in importers]
    assert {code for _, code in told} <= {0, 5, 6}, told
    assert world.statuses() == clean.statuses()
    assert world.count("enrollment_events") == clean.count("enrollment_events")


def test_an_unfinished_batch_says_how_far_it_is(
    sqlite_world: World, command: Run, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(fill(sqlite_world))
    with pytest.raises(Killed):
        import_until(sqlite_world, path, 20, commit_every=7, run_id="night")
    shown = command("batch", "list", database=sqlite_world).stdout
    assert "21 rows so far" in shown
    done = command(
        "import", str(path), "--on-error", "skip", "--commit-every", "7", "--run-id", "night",
        database=sqlite_world,
    )  # fmt: skip
    assert done.returncode == 6
    assert "21 rows are done; going on after them" in done.stderr
    assert "studentcli batch rejects" in done.stderr
    assert "rows so far" not in command("batch", "list", database=sqlite_world).stdout


@pytest.mark.parametrize(
    "options",
    [("--commit-every", "10"), ("--commit-every", "10", "--on-error", "skip", "--exclusive"),
     ("--commit-every", "0", "--on-error", "skip")],
)  # fmt: skip
def test_what_parts_do_not_go_with_is_a_wrong_command(
    sqlite_world: World, command: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "in.csv").write_text(fill(sqlite_world))
    done = command("import", "in.csv", *options, database=sqlite_world)
    assert done.returncode == 2
    assert sqlite_world.count("student_courses") == 0


def test_records_have_no_parts(sqlite_world: World) -> None:
    with pytest.raises(errors.Usage, match="--commit-every is for enrollments"):
        sqlite_world.import_csv("student\nS1\n", on_error="skip", commit_every=5)


def test_a_stopped_import_says_which_rows_are_applied(world: World, tmp_path: Path) -> None:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(3000)))
    world.course("A")
    path = tmp_path / "in.csv"
    path.write_text("student,course\n" + "".join(f"S{n},A\n" for n in range(3000)))
    importer = subprocess.Popen(
        [sys.executable, "-m", "studentcli", "--database", world.url, "import", str(path),
         "--on-error", "skip", "--commit-every", "1"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while world.count("student_courses") < 5:
        time.sleep(0.05)
    importer.send_signal(signal.SIGINT)
    _, told = importer.communicate(timeout=60)
    assert importer.returncode == 130, told
    found = re.search(r"interrupted at row ([\d,]+) of 3,000: these rows are applied", told)
    assert found, told
    # A part that is just committed may not be told any more.
    assert world.count("student_courses") - int(found[1].replace(",", "")) in {0, 1}

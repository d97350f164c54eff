"""The real data set: imported, synced with a part of it, with all of it, and undone."""

import csv
import json
import os
from pathlib import Path
from random import Random

import pytest

from tests.conftest import Run
from tests.desk import rows
from tests.world import World

FOLDER = os.environ.get("STUDENTCLI_TEST_OULAD")
TERMS = ("2013B", "2013J", "2014B", "2014J")


@pytest.fixture
def oulad(world: World, command: Run) -> World:
    """Give the real data set as it is imported."""
    if not FOLDER:
        pytest.skip("STUDENTCLI_TEST_OULAD names no folder with the data set")
    folder = Path(FOLDER)
    for name in ("terms", "courses", "students", "enrollments", "withdrawals"):
        done = command("import", f"{folder}/{name}.csv", database=world)
        assert done.returncode == 0, done.stderr
    with (folder / "enrollments.csv").open(newline="") as file:
        listed = [row[1:] for row in csv.reader(file)]
    lost = [listed[0], *Random(1).sample(listed[1:], k=len(listed) * 7 // 10)]
    for name, part in (("full", listed), ("lost", lost)):
        with Path(f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(part)
    return world


def test_a_part_of_the_real_data_is_stopped_and_all_of_it_changes_nothing(
    oulad: World, command: Run
) -> None:
    before = rows(oulad, "student_courses", "enrollment_events")
    for term in TERMS:
        options = ("--sync", "--scope", f"term={term}", "--where", f"term={term}")
        held = command("import", "lost.csv", *options, database=oulad)
        assert (held.returncode, "[too-many-drops]" in held.stderr) == (8, True)
        done = command("import", "full.csv", *options, database=oulad)
        assert done.returncode == 0, done.stderr
        assert "full.csv: " in done.stderr
        assert rows(oulad, "student_courses", "enrollment_events") == before
    batches = json.loads(command("batch", "list", "--format", "json", database=oulad).stdout)
    for batch in batches:
        if batch["kind"].endswith("enrollments"):
            undone = command("undo", str(batch["batch"]), "-q", database=oulad)
            assert undone.returncode == 0, undone.stderr
    assert oulad.count("student_courses") == 0
    assert command("db", "check", database=oulad).returncode == 0

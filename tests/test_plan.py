"""plan, then apply: what was decided is carried out, or nothing is."""

import csv
import io
import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from studentcli.services.operations import Act
from studentcli.services.runs import begin_run
from tests.conftest import Run
from tests.desk import rows
from tests.threads import one_inside_the_other
from tests.world import World

FALL = (
    "action,student,course\nenroll,S3,ART\ndrop,S1,ART\nenroll,S9,ART\nenroll,S1,BIO\nenroll,S1\n"
)
PLAN = [
    {"line": 2, "student": "S3", "course": "ALL/ART-1", "action": "enroll",
     "result": "waitlisted", "status": "waitlisted", "position": 2, "on": "DAY"},
    {"line": 3, "student": "S1", "course": "ALL/ART-1", "action": "drop", "result": "dropped",
     "status": "dropped", "on": "DAY", "promotions": [{"student": "S2", "course": "ALL/ART-1"}]},
    {"line": 4, "student": "S9", "course": "ART", "action": "enroll", "result": "refused",
     "codes": ["unknown-student"], "message": "there is no student S9"},
    {"line": 5, "student": "S1", "course": "ALL/BIO-1", "action": "enroll", "result": "enrolled",
     "status": "enrolled", "on": "DAY"},
    {"line": 6, "result": "refused", "codes": ["bad-value"],
     "message": "2 cells, the header has 3"},
    {"rows": 5, "totals": {"waitlisted": 1, "dropped": 1, "promoted": 1, "refused": 2,
                           "enrolled": 1}, "would_be_applied": True},
]  # fmt: skip
"""What a plan says; programs read it."""


@pytest.fixture
def desk(world: World, tmp_path: Path) -> World:
    """Give a full course with a queue, one without a limit, and a file about both."""
    world.student("S1", "S2", "S3")
    world.course("ART", capacity=1, waitlist=5)
    world.course("BIO")
    for number in ("S1", "S2"):
        world.submit("enroll", number, "ART").require()
    (tmp_path / "fall.csv").write_text(FALL)
    return world


def make(desk: World, command: Run, *options: str, exits: int = 6) -> list[dict[str, Any]]:
    done = command("plan", "fall.csv", "--out", "plan.jsonl", *options, database=desk)
    assert done.returncode == exits, done.stderr
    return [json.loads(line) for line in Path("plan.jsonl").read_text().splitlines()]


def test_a_plan_is_json_lines_and_changes_nothing(desk: World, command: Run) -> None:
    before = rows(desk)
    header, *lines = make(desk, command, "--on-error", "skip")
    assert rows(desk) == before
    assert list(header) == [
        "plan", "term", "options", "kind", "file", "sha256", "planned_at", "database",
    ]  # fmt: skip
    assert (header["plan"], header["kind"], header["file"]) == (1, "enrollments", "fall.csv")
    assert header["options"]["on_error"] == "skip"
    day = lines[0]["on"]
    assert lines == json.loads(json.dumps(PLAN).replace("DAY", day))
    assert stat.S_IMODE(Path("plan.jsonl").stat().st_mode) == 0o600


def test_forecast_plan_and_apply_decide_the_same(desk: World, command: Run) -> None:
    skip = ("--on-error", "skip")
    would = command("import", "fall.csv", "-n", *skip, "--format", "csv", database=desk).stdout
    lines = make(desk, command, *skip)[1:-1]
    done = command("apply", "plan.jsonl", "fall.csv", "--format", "csv", database=desk)
    assert done.returncode == 6, done.stderr
    asked = [
        [
            (row["line"], row["result"], row["status"])
            for row in csv.DictReader(io.StringIO(out))
            if row["line"]
        ]
        for out in (would, done.stdout)
    ]
    planned = [(str(x["line"]), x["result"], x.get("status", "")) for x in lines]
    assert asked == [planned, planned]
    assert desk.statuses() == {
        ("S1", "ALL/ART-1"): "dropped",
        ("S1", "ALL/BIO-1"): "enrolled",
        ("S2", "ALL/ART-1"): "enrolled",
        ("S3", "ALL/ART-1"): "waitlisted",
    }


def test_a_decision_that_moved_is_listed_and_nothing_is_changed(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    desk.one("enroll", "S3", "ART")
    before = rows(desk)
    done = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert done.returncode == 8
    assert "line 2: S3 in ALL/ART-1: planned waitlisted, place 2, " in done.stderr
    assert "; now unchanged: waitlisted, place 2" in done.stderr
    assert "error: 1 of 5 decisions are no longer what was planned" in done.stderr
    assert rows(desk) == before
    data = command("apply", "plan.jsonl", "fall.csv", "--format", "csv", database=desk)
    assert [row["line"] for row in csv.DictReader(io.StringIO(data.stdout))] == ["2"]


def test_another_promotion_than_planned_is_a_decision_that_moved(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    desk.hold("S2")
    done = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert done.returncode == 8
    assert "line 3" in done.stderr
    assert "S2 moves up into ALL/ART-1; now dropped" in done.stderr


def test_another_file_than_planned_is_held(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    Path("other.csv").write_text(FALL + "enroll,S2,BIO\n")
    before = rows(desk)
    done = command("apply", "plan.jsonl", "other.csv", database=desk)
    assert (done.returncode, "[another-file]" in done.stderr) == (8, True)
    assert rows(desk) == before


def test_a_plan_applied_twice_says_which_batch_it_was(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    assert command("apply", "plan.jsonl", "fall.csv", database=desk).returncode == 6
    before = rows(desk)
    done = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert done.returncode == 0
    assert "fall.csv: applied already as batch " in done.stderr
    assert rows(desk) == before


def test_a_plan_with_refused_rows_is_kept_and_applies_nothing_unless_they_are_skipped(
    desk: World, command: Run
) -> None:
    *_, last = make(desk, command)
    assert last["would_be_applied"] is False
    before = rows(desk, "student_courses", "enrollment_events")
    assert command("apply", "plan.jsonl", "fall.csv", database=desk).returncode == 6
    assert rows(desk, "student_courses", "enrollment_events") == before


def test_undated_rows_keep_the_day_of_the_plan_and_no_deadline_is_evaded(
    desk: World, command: Run
) -> None:
    Path("fall.csv").write_text("student,course\nS1,BIO\n")
    make(desk, command, exits=0)
    text = Path("plan.jsonl").read_text()
    header, row, last = map(json.loads, text.splitlines())
    header["planned_at"], row["on"] = "2026-01-05T12:00:00+00:00", "2026-01-05"
    Path("plan.jsonl").write_text("".join(json.dumps(x) + "\n" for x in (header, row, last)))
    desk.term("ALL", time_zone="UTC", enroll_until="2026-02-01")
    assert command("apply", "plan.jsonl", "fall.csv", database=desk).returncode == 8
    desk.term("ALL", enroll_until="-")
    assert command("apply", "plan.jsonl", "fall.csv", database=desk).returncode == 0
    assert str(desk.enrollments()["S1", "ALL/BIO-1"][1]) == "2026-01-05"


def test_a_file_of_records_is_planned_with_whom_it_moves_up(desk: World, command: Run) -> None:
    Path("fall.csv").write_text("course,title,capacity\nART,Drawing,2\nCHE,Matter,5\n")
    _, art, che, last = make(desk, command, exits=0)
    assert art["changes"] == {"title": ["ART", "Drawing"], "capacity": ["1", "2"]}
    assert (che["record"], che["result"]) == ("ALL/CHE-1", "created")
    assert last["promotions"] == [{"student": "S2", "course": "ALL/ART-1"}]
    desk.hold("S2")
    before = rows(desk)
    moved = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert moved.returncode == 8
    assert "the waitlists: planned S2 moves up into ALL/ART-1; now nobody moves up" in moved.stderr
    assert rows(desk) == before
    desk.lift(1)
    done = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert done.returncode == 0, done.stderr
    assert desk.statuses()["S2", "ALL/ART-1"] == "enrolled"


def test_show_counts_a_plan_and_lists_what_changes(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    shown = command("plan", "show", "plan.jsonl", "--format", "csv", database=desk).stdout
    assert dict(csv.reader(io.StringIO(shown))) | {"result": "rows"} == {
        "result": "rows", "waitlisted": "1", "dropped": "1", "promoted": "1", "refused": "2",
        "enrolled": "1",
    }  # fmt: skip
    listed = command("plan", "show", "plan.jsonl", "--rows", "--format", "json", database=desk)
    data = json.loads(listed.stdout)
    assert [row["line"] for row in data] == [2, 3, None, 4, 5, 6]
    assert data[2]["change"] == "S2 moves up into ALL/ART-1"
    table = command("plan", "show", "plan.jsonl", "--rows", "--format", "table", database=desk)
    assert "there is no student S9" in table.stdout


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: "", "is no plan"),
        (lambda _: "student,course\n", "is no plan"),
        (lambda text: text.rpartition('{"rows"')[0], "is not whole"),
        (lambda text: text.replace('{"plan": 1', '{"plan": 2'), "of this version"),
        (lambda text: text.replace('"planned_at": "2', '"planned_at": "x'), "of this version"),
        (lambda text: text.replace('"term": null', '"term": 7'), "of this version"),
    ],
)
def test_what_is_no_whole_plan_is_refused(
    sqlite_world: World, command: Run, spoil: Any, said: str
) -> None:
    sqlite_world.student("S1")
    Path("fall.csv").write_text("student\nS1\n")
    make(sqlite_world, command, exits=0)
    Path("plan.jsonl").write_text(spoil(Path("plan.jsonl").read_text()))
    for arguments in (["apply", "plan.jsonl", "fall.csv"], ["plan", "show", "plan.jsonl"]):
        done = command(*arguments, database=sqlite_world)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("option", "spoiled"),
    [
        ('"encoding": null', '"encoding": 7'),
        ('"strict": false', '"strict": 0'),
        ('"commit_every": null', '"commit_every": true'),
        ('"max_drops": null', '"max_drops": ["5%", 7]'),
        ('"where": null', '"where": "term=FA"'),
        ('"on_error": "abort"', '"on_error": null'),
    ],
)
def test_an_option_of_another_type_is_a_damaged_plan(
    sqlite_world: World, command: Run, option: str, spoiled: str
) -> None:
    sqlite_world.student("S1")
    Path("fall.csv").write_text("student\nS1\n")
    make(sqlite_world, command, exits=0)
    text = Path("plan.jsonl").read_text()
    assert option in text
    Path("plan.jsonl").write_text(text.replace(option, spoiled))
    done = command("apply", "plan.jsonl", "fall.csv", database=sqlite_world)
    assert (done.returncode, "is damaged: its option" in done.stderr) == (2, True), done.stderr


def test_a_plan_of_nothing_names_no_next_step(sqlite_world: World, command: Run) -> None:
    sqlite_world.student("S1")
    Path("fall.csv").write_text("student,course\nS1,NONE\n")
    done = command("plan", "fall.csv", "--out", "plan.jsonl", database=sqlite_world)
    assert done.returncode == 6
    assert "planned in plan.jsonl; nothing would be applied: rows are refused" in done.stderr
    assert "next: studentcli apply" not in done.stderr


def test_a_plan_that_cannot_be_made_leaves_no_file(sqlite_world: World, command: Run) -> None:
    Path("fall.csv").write_text("what\nS1\n")
    done = command("plan", "fall.csv", "--out", "plan.jsonl", database=sqlite_world)
    assert done.returncode == 2
    assert [path.name for path in Path().glob("*plan*")] == []


# ── runs with an id ──────────────────────────────────────────────────────────────────────


def test_a_run_that_is_done_is_not_done_again(desk: World, command: Run) -> None:
    arguments = ("import", "fall.csv", "--on-error", "skip", "--run-id", "nightly.1")
    assert command(*arguments, "--rejects", "r.csv", database=desk).returncode == 6
    before, rejects = rows(desk), Path("r.csv").read_text()
    again = command(*arguments, "--rejects", "r.csv", database=desk)
    assert again.returncode == 0
    assert "done already as batch " in again.stderr
    assert (rows(desk), Path("r.csv").read_text()) == (before, rejects)
    Path("fall.csv").write_text("student,course\nS3,BIO\n")
    other = command(*arguments, database=desk)
    assert (other.returncode, "[another-file]" in other.stderr) == (8, True)


def test_an_aborted_run_can_be_started_again(desk: World, command: Run) -> None:
    arguments = ("import", "fall.csv", "--run-id", "night")
    assert command(*arguments, database=desk).returncode == 6
    desk.student("S9")
    Path("fall.csv").write_text("student,course\nS9,BIO\n")
    assert command(*arguments, database=desk).returncode == 0
    assert desk.statuses()["S9", "ALL/BIO-1"] == "enrolled"


def test_a_run_that_was_undone_is_done_again_under_its_id(desk: World, command: Run) -> None:
    arguments = ("import", "fall.csv", "--on-error", "skip", "--run-id", "night")
    before = desk.enrollments()
    command(*arguments, database=desk)
    after = desk.enrollments()
    for _ in range(2):
        listed = command("batch", "list", "--format", "json", database=desk)
        last = json.loads(listed.stdout)[0]
        assert command("undo", str(last["batch"]), database=desk).returncode == 0
        assert desk.enrollments() == before
        again = command(*arguments, database=desk)
        assert (again.returncode, "done already" in again.stderr) == (6, False), again.stderr
        assert desk.enrollments() == after
    assert "done already as batch" in command(*arguments, database=desk).stderr


def test_a_plan_applied_under_another_run_id_is_applied_already(desk: World, command: Run) -> None:
    make(desk, command, "--on-error", "skip")
    first = command("apply", "plan.jsonl", "fall.csv", "--run-id", "night", database=desk)
    assert first.returncode == 6, first.stderr
    before = rows(desk)
    again = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert (again.returncode, rows(desk)) == (0, before)
    assert "applied already as batch " in again.stderr
    desk.student("S9")
    moved = command("apply", "plan.jsonl", "fall.csv", database=desk)
    assert moved.returncode == 8


@pytest.mark.parametrize("run_id", ["", " ", "a b", "#1", "x" * 101])
def test_what_can_be_no_run_id_is_refused(sqlite_world: World, command: Run, run_id: str) -> None:
    Path("fall.csv").write_text("student\nS1\n")
    done = command("import", "fall.csv", "--run-id", run_id, database=sqlite_world)
    assert done.returncode == 2
    assert sqlite_world.count("students") == 0


def test_two_runs_of_one_id_at_once_take_turns(desk: World) -> None:
    def run(session: Any) -> int | None:
        act = Act("import-x", "test", "tester", now=desk.now)
        found = begin_run(session, act, "night")
        if found is None:
            from studentcli.services.operations import Recorder

            Recorder(session, act).operation_id()
        return found

    first, second = one_inside_the_other(desk, run, run)
    assert first is None
    assert second is not None


def test_two_importers_with_one_run_id_import_once(desk: World, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("student,course\n" + "".join(f"S{n},BIO\n" for n in (1, 2, 3)))
    importers = [
        subprocess.Popen(
            [sys.executable, "-m", "studentcli", "--database", desk.url, "import", str(path),
             "--run-id", "night"],
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    told = [(p.communicate(timeout=60)[1], p.returncode) for p in importers]
    assert [code for _, code in told] == [0, 0, 0], told
    assert sum("done already" in text for text, _ in told) == 2
    assert desk.count("student_courses") == 5


def test_an_apply_killed_and_started_again_ends_like_one_clean_run(
    desk: World, command: Run, tmp_path: Path
) -> None:
    desk.import_csv("student\n" + "".join(f"T{n}\n" for n in range(3000)))
    (tmp_path / "fall.csv").write_text(
        "student,course\n" + "".join(f"T{n},BIO\n" for n in range(3000))
    )
    make(desk, command, exits=0)
    started = subprocess.Popen(
        [sys.executable, "-m", "studentcli", "--database", desk.url, "apply", "plan.jsonl",
         "fall.csv", "-q"],
        cwd=tmp_path,
    )  # fmt: skip
    time.sleep(0.6)
    started.kill()
    started.wait(60)
    assert desk.count("student_courses") in {2, 3002}
    assert command("apply", "plan.jsonl", "fall.csv", database=desk).returncode == 0
    assert desk.count("student_courses") == 3002
    assert list(desk.statuses().values()).count("enrolled") == 3001

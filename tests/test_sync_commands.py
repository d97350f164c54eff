"""import --sync from the command line: what it prints, plan and apply, the rest of a batch."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from studentcli.cli.context import state
from tests.conftest import Run
from tests.desk import read_csv, rows
from tests.syncing import live
from tests.world import TODAY, World

SYNC = ("import", "fall.csv", "--sync", "--scope", "term=ALL")


@pytest.fixture
def desk(world: World, tmp_path: Path) -> World:
    """Give twenty students in a course, two in a full one with a queue, and a file of just that."""
    world.student(*(f"S{n}" for n in range(20)), "01103")
    world.course("ART")
    world.course("MIN", capacity=1, waitlist=5)
    write(range(20), "S1,MIN\nS2,MIN\n", tmp_path)
    world.import_file(tmp_path / "fall.csv")
    return world


def write(numbers: "range | list[int]", more: str = "", folder: Path = Path()) -> None:
    listed = "".join(f"S{n},ART\n" for n in numbers)
    (folder / "fall.csv").write_text(f"student,course\n{listed}{more}")


def test_nothing_to_do_is_said_in_one_line(desk: World, command: Run) -> None:
    done = command(*SYNC, database=desk)
    assert done.returncode == 0
    assert done.stderr.startswith("fall.csv: 22 unchanged of 22 rows into ")
    assert done.stderr.count("\n") == 1


def test_a_guard_tells_what_would_have_happened_and_what_allows_it(
    desk: World, command: Run
) -> None:
    write(range(10), "S3,MIN\n")
    before = rows(desk)
    done = command(*SYNC, database=desk)
    assert (done.returncode, done.stdout) == (8, "")
    assert "term=ALL: 12 of 22 would be dropped (over the limit); 1 other is named\n" in done.stderr
    assert "ALL/ART-1: 10 of 20 would be dropped (over the limit)\n" in done.stderr
    assert "ALL/MIN-1: 2 of 2 would be dropped (over the limit); 1 other is named\n" in done.stderr
    assert "[too-many-drops]" in done.stderr
    assert "--max-drops 100% in place of --max-drops 5% allows it" in done.stderr
    assert rows(desk) == before
    data = command(*SYNC, "--format", "json", database=desk)
    assert json.loads(data.stdout)[1] == {
        "name": "ALL/ART-1", "live": 20, "drops": 10, "others": 0, "over": True
    }  # fmt: skip
    assert json.loads(data.stderr)["error"]["code"] == "too-many-drops"
    number = command(*SYNC, "--max-drops", "12", database=desk)
    assert "--max-drops 100% --max-drops 12 in place of --max-drops 12 allows" in number.stderr
    allowed = command(*SYNC, "--max-drops", "100%", "--max-drops", "12", database=desk)
    assert allowed.returncode == 0
    assert "12 dropped, 1 enrolled, 10 unchanged of 11 rows and 12 absent from them" in (
        allowed.stderr
    )


def test_the_guards_of_the_file_name_what_allows_it(desk: World, command: Run) -> None:
    write([])
    empty = command(*SYNC, database=desk)
    assert (empty.returncode, "[empty-file]" in empty.stderr) == (8, True)
    assert "--allow empty-file" in empty.stderr
    write(range(19), "S1,MIN\nS2,MIN\n")
    assert command(*SYNC, database=desk).returncode == 0
    os.utime("fall.csv", (1, 1))
    assert command(*SYNC, database=desk).returncode == 0, "the last file again"
    write(range(18), "S1,MIN\nS2,MIN\n")
    os.utime("fall.csv", (1, 1))
    older = command(*SYNC, database=desk)
    assert (older.returncode, "[older-file]" in older.stderr) == (8, True)
    assert command(*SYNC, "--allow", "older-file", database=desk).returncode == 0


def test_refused_rows_and_absent_ones_are_told_and_rejects_hold_both(
    desk: World, command: Run
) -> None:
    desk.term("ALL", drop_until=str(TODAY.replace(year=2025)))
    write(range(19), "S1,MIN\n1103,MIN\n")
    options = ("--on-error", "skip", "--rejects", "rejects.csv")
    done = command(*SYNC, *options, database=desk)
    assert done.returncode == 6
    assert "\nabsent: S19 in ALL/ART-1: " in f"\n{done.stderr}"
    assert "hint: --absent withdraw withdraws who is absent, --absent keep" in done.stderr
    assert "line 22: there is no student 1103; 01103 exists [unknown-student]" in done.stderr
    rejects = read_csv(Path("rejects.csv").read_text())
    assert [(row["student"], row["course"], row["_line"], row["_code"]) for row in rejects] == [
        ("S19", "ALL/ART-1", "", "drop-deadline"),
        ("1103", "MIN", "22", "unknown-student"),
    ]  # fmt: skip
    listed = command("batch", "rejects", "5", database=desk)
    assert {row["code"] for row in read_csv(listed.stdout)} <= {"drop-deadline", "unknown-student"}


def test_the_absent_are_rejected_in_the_columns_of_the_file(desk: World, command: Run) -> None:
    desk.term("ALL", drop_until=str(TODAY.replace(year=2025)))
    listed = "".join(f"x,ALL,S{n},ART\n" for n in range(19))
    Path("fall.csv").write_text(f"Note,Term,Student ID,Class\n{listed}x,ALL,S1,MIN\nx,ALL,S2,MIN\n")
    names = ("--map", "Student ID=student", "--map", "Class=course", "--map", "Note=_note")
    command(*SYNC, *names, "--on-error", "skip", "--rejects", "rejects.csv", database=desk)
    header, absent = Path("rejects.csv").read_text().splitlines()
    assert header == "Note,Term,Student ID,Class,_line,_code,_reason,_request"
    assert absent.startswith(",ALL,S19,ART-1,,drop-deadline,")


def test_every_row_comes_as_data_and_the_absent_have_no_line(desk: World, command: Run) -> None:
    write(range(19), "S2,MIN\n")
    done = command(*SYNC, "--format", "csv", database=desk)
    found = read_csv(done.stdout)
    assert [(row["line"], row["student"], row["result"]) for row in found[:3]] == [
        ("", "S1", "dropped"), ("", "S19", "dropped"), ("2", "S0", "unchanged")
    ]  # fmt: skip
    assert [row["action"] for row in found[-2:]] == ["enroll", "promote"]
    assert len(found) == 2 + 20 + 1


def test_fifty_superseded_rows_are_told_and_how_many_more(desk: World, command: Run) -> None:
    desk.student(*(f"W{n}" for n in range(53)))
    waiting = "".join(f"W{n},ART\n" for n in range(53))
    desk.import_csv(f"student,course\n{waiting}")
    left = "".join(f"withdraw,W{n},ART\n" for n in range(53))
    desk.import_csv(f"action,student,course\n{left}")
    write(range(20), f"S1,MIN\nS2,MIN\n{waiting}")
    done = command(*SYNC, database=desk)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("superseded: line ") == 50
    assert "… and 3 more superseded\n" in done.stderr


def test_a_sync_says_how_far_it_is(desk: World, command: Run) -> None:
    write(range(19), "S2,MIN\nS3,MIN\n")
    assert command(*SYNC, "--chunk", "8", database=desk).returncode == 0
    assert state.place == (23, 23), "21 rows, and two drops of who is absent"


def test_a_sync_is_a_batch_with_the_figures_of_its_guards(desk: World, command: Run) -> None:
    write(range(18), "S1,MIN\nS2,MIN\n")
    command(*SYNC, "--max-drops", "20%", "--max-drops", "9", database=desk)
    batch = json.loads(command("batch", "list", "--format", "json", database=desk).stdout)[0]
    shown = command("batch", "show", str(batch["batch"]), "--format", "json", database=desk)
    found = json.loads(shown.stdout)
    found = found[0] if isinstance(found, list) else found
    assert (found["kind"], found["totals"]) == ("sync-enrollments", "2 dropped, 20 unchanged")
    assert found["scope"] == "term=ALL"
    assert found["guards"] == "2 of 22 absent, most in ALL/ART-1 (2 of 20); at most 20% and 9"
    history = command("history", str(batch["batch"]), "--format", "csv", database=desk)
    assert [row["action"] for row in read_csv(history.stdout)] == ["drop", "drop"]


def test_a_plan_of_a_sync_is_applied_as_planned(desk: World, command: Run) -> None:
    write(range(18), "S2,MIN\nS3,MIN\n")
    options = ("--sync", "--scope", "term=ALL", "--max-drops", "5")
    before = rows(desk)
    planned = command("plan", "fall.csv", "--out", "p.jsonl", *options, database=desk)
    assert planned.returncode == 0, planned.stderr
    assert rows(desk) == before
    header, *lines, last = map(json.loads, Path("p.jsonl").read_text().splitlines())
    assert header["options"]["scope"] == "term=ALL"
    assert [(line["line"], line["student"], line["result"]) for line in lines] == [
        (0, "S1", "dropped"), (0, "S18", "dropped"), (0, "S19", "dropped"), (21, "S3", "waitlisted")
    ]  # fmt: skip
    assert last["promotions"] == [{"student": "S2", "course": "ALL/MIN-1"}]
    shown = command("plan", "show", "p.jsonl", "--rows", "--format", "csv", database=desk)
    told = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [(row["line"], row["action"]) for row in told] == [
        ("", "drop"), ("", "drop"), ("", "drop"), ("21", "enroll"), ("", "promote")
    ]  # fmt: skip
    assert command("apply", "p.jsonl", "fall.csv", database=desk).returncode == 0
    assert desk.statuses()["S2", "ALL/MIN-1"] == "enrolled"
    assert desk.statuses()["S18", "ALL/ART-1"] == "dropped"
    assert command("apply", "p.jsonl", "fall.csv", database=desk).returncode == 0


def test_what_moved_since_the_plan_of_a_sync_is_listed_and_nothing_else(
    desk: World, command: Run
) -> None:
    write([*range(17), 19], "S1,MIN\nS2,MIN\nS3,MIN\n")
    options = ("--sync", "--scope", "term=ALL", "--max-drops", "5")
    command("plan", "fall.csv", "--out", "p.jsonl", *options, database=desk)
    desk.submit("drop", "S17", "ART").require()
    desk.submit("drop", "S19", "ART").require()
    before = rows(desk)
    done = command("apply", "p.jsonl", "fall.csv", "--format", "csv", database=desk)
    assert done.returncode == 8
    told = [(row["line"], row["student"], row["now"][:8]) for row in read_csv(done.stdout)]
    assert told == [("", "S17", "nothing"), ("19", "S19", "enrolled")]
    assert rows(desk) == before
    said = command("apply", "p.jsonl", "fall.csv", database=desk).stderr
    assert "absent: S17 in ALL/ART-1: planned dropped" in said


def test_what_a_guard_stops_at_apply_is_planned_again(desk: World, command: Run) -> None:
    write(range(14), "S1,MIN\nS2,MIN\n")
    options = ("plan", "fall.csv", "--out", "p.jsonl", *SYNC[2:])
    command(*options, "--max-drops", "30%", database=desk)
    for number in range(6, 14):
        desk.submit("drop", f"S{number}", "ART").require()
    before = rows(desk)
    stopped = command("apply", "p.jsonl", "fall.csv", database=desk)
    assert stopped.returncode == 8
    assert "--max-drops 50% in place of --max-drops 30% allows it" in stopped.stderr
    assert "these are options of plan: plan the file again with them" in stopped.stderr
    assert rows(desk) == before


def test_a_named_run_is_synced_once(desk: World, command: Run) -> None:
    write(range(19), "S1,MIN\nS2,MIN\n")
    first = command(*SYNC, "--run-id", "monday", database=desk)
    desk.submit("drop", "S3", "ART").require()
    again = command(*SYNC, "--run-id", "monday", database=desk)
    assert (first.returncode, again.returncode) == (0, 0)
    assert "done already as batch" in again.stderr
    assert desk.statuses()["S3", "ALL/ART-1"] == "dropped"


def test_a_sync_is_undone_by_its_number(desk: World, command: Run) -> None:
    before = rows(desk, "student_courses")
    write(range(19), "S2,MIN\n")
    command(*SYNC, database=desk)
    newest = json.loads(command("batch", "list", "--format", "json", database=desk).stdout)[0]
    assert command("undo", str(newest["batch"]), database=desk).returncode == 0
    assert rows(desk, "student_courses") == before


def test_a_line_of_the_log_for_every_change_and_none_for_what_is_so(
    desk: World, command: Run
) -> None:
    write(range(19), "S2,MIN\n")
    command("--log-file", "log.jsonl", *SYNC, database=desk)
    lines = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    events = [(line["event"], line.get("action")) for line in lines]
    assert events.count(("enrollment_decided", "drop")) == 2
    assert events.count(("enrollment_promoted", None)) == 1
    assert not any(action == "enroll" for _, action in events)


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("action,student,course\nenroll,S1,ART\n", (), "has a column 'action'"),
        ("student,course,grade\nS1,ART,\n", (), "has a column 'grade'"),
        ("student,course,instead_of\nS1,ART,\n", (), "has a column 'instead_of'"),
        ("student\nS1\n", (), "holds students"),
        ("student,course\nS1,ART\n", ("--rows", "2-9"), "reads the whole file"),
        ("student,course\nS1,ART\n", ("--where", "course=ART"), "reads the whole file"),
        ("student,course,term\nS1,ART,ALL\n", ("--where", "term=SP"), "reads the whole file"),
        ("student,course\nS1,ART\n", ("--absent", "remove"), "--absent 'remove'"),
        ("student,course\nS1,ART\n", ("--allow", "everything"), "--allow 'everything'"),
        ("student,course\nS1,ART\n", ("--max-drops", "many"), "--max-drops 'many'"),
    ],
)
def test_what_a_sync_cannot_take_is_a_matter_of_usage(
    desk: World, command: Run, content: str, options: tuple[str, ...], says: str
) -> None:
    Path("fall.csv").write_text(content)
    before = rows(desk)
    done = command(*SYNC, *options, database=desk)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert rows(desk) == before


@pytest.mark.parametrize(
    "option",
    [("--scope", "term=ALL"), ("--absent", "drop"), ("--max-drops", "5%"), ("--last-wins",),
     ("--allow", "older-file")],
)  # fmt: skip
def test_an_option_of_a_sync_goes_with_one(
    desk: World, command: Run, option: tuple[str, ...]
) -> None:
    done = command("import", "fall.csv", *option, database=desk)
    assert (done.returncode, f"{option[0]} goes with --sync" in done.stderr) == (2, True)


def test_a_sync_names_its_scope(desk: World, command: Run) -> None:
    done = command("import", "fall.csv", "--sync", database=desk)
    assert (done.returncode, "--scope term=2026FA" in done.stderr) == (2, True)


def test_rows_of_other_terms_can_be_left_out(desk: World, command: Run) -> None:
    desk.term("SP")
    desk.course("ART", term="SP")
    lines = "".join(f"S{n},ART,ALL\n" for n in range(20)) + "S1,MIN,ALL\nS2,MIN,ALL\nS3,ART,SP\n"
    Path("fall.csv").write_text(f"student,course,term\n{lines}")
    refused = command(*SYNC, database=desk)
    assert (refused.returncode, "[outside-scope]" in refused.stderr) == (6, True)
    done = command(*SYNC, "--where", "term=ALL", database=desk)
    assert (done.returncode, "22 unchanged of 22 rows, 1 left out" in done.stderr) == (0, True)


def test_only_rows_of_a_term_that_there_is_are_left_out(desk: World, command: Run) -> None:
    desk.term("SP")
    desk.course("ART", term="SP")
    lines = "".join(f"S{n},ART,ALL\n" for n in range(16))
    mine = "S16,ART,\nS17,ALL/ART,\nS18,ART, ALL \nS1,MIN,\nS2,ALL/MIN,\nS19,ALL/ART,SP\n"
    others = "S3,ART,SP\nS4,SP/ART,\nS5,SP/ART,SP\n"
    Path("fall.csv").write_text(f"student,course,term\n{lines}{mine}{others}S9,ART,all\n")
    options = ("--where", "term=ALL", "--on-error", "skip", "--rejects", "r.csv")
    before = live(desk)
    done = command(*SYNC, *options, database=desk)
    assert "2 refused" in done.stderr
    assert "21 unchanged" in done.stderr
    assert " of 23 rows, 3 left out" in done.stderr
    assert [row["student"] for row in read_csv(Path("r.csv").read_text())] == ["S19", "S9"]
    assert live(desk) == before


def test_the_columns_of_another_program_are_mapped(desk: World, command: Run) -> None:
    text = Path("fall.csv").read_text().replace("student,course", "Student ID,Class")
    Path("fall.csv").write_text(text)
    names = ("--map", "Student ID=student", "--map", "Class=course")
    done = command(*SYNC, *names, database=desk)
    assert (done.returncode, "22 unchanged" in done.stderr) == (0, True)


def test_the_term_of_the_scope_is_the_term_of_the_rows(desk: World, command: Run) -> None:
    desk.term("SP")
    desk.course("ART", term="SP")
    done = command("--term", "SP", *SYNC, database=desk)
    assert (done.returncode, "22 unchanged" in done.stderr) == (0, True)

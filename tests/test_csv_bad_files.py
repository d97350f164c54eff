"""CSV files as people send them: read as they are meant, or refused before anything is written."""

import gzip
import os
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from studentcli import errors
from studentcli.formats.source import FIELD_LIMIT, CsvSource
from tests.conftest import Offer, Run
from tests.desk import (
    codes,
    fill_for_files,
    filled_once,
    rows,
)
from tests.world import World

NewDatabase = Callable[..., str]

BOTH = {("S1", "ALL/CS101-1"): "enrolled", ("S2", "ALL/CS101-1"): "enrolled"}


@pytest.fixture
def desk(new_database: NewDatabase) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_for_files, new_database)


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


PACKED = gzip.compress(b"student,course\nS1,CS101\nS2,CS101\n")
SAID = {
    "semicolon": (b"student;course\nS1;CS101\nS2;CS101\n", "separated by ';', by its header"),
    "semicolon-quoted": (
        b'"student";"_a, b";"course"\n"S1";"x,y";"CS101"\nS2;;CS101\n',
        "separated by ';', by its header",
    ),
    "semicolon-bom": (
        b"\xef\xbb\xbfstudent;course\r\nS1;CS101\r\nS2;CS101",
        "separated by ';', by its header",
    ),
    "tab": (b"student\tcourse\nS1\tCS101\nS2\tCS101\n", "separated by '\\t', by its header"),
    "pipe": (b"student|course\nS1|CS101\nS2|CS101\n", "separated by '|', by its header"),
    "utf-16-le": (
        "student,course\nS1,CS101\nS2,CS101\n".encode("utf-16"),
        "read as UTF-16, by its first bytes",
    ),
    "utf-16-be": (
        b"\xfe\xff" + "\r\nstudent,course\rS1,CS101\rS2,CS101".encode("utf-16-be"),
        "read as UTF-16, by its first bytes",
    ),
    "comma-wins": (b"student,_a;b,course\nS1,,CS101\nS2,;,CS101\n", None),
    "gzip": (PACKED, None),
    "gzip-in-two-parts": (
        gzip.compress(b"student,course\nS1,CS101\n") + gzip.compress(b"S2,CS101\n"), None,
    ),
    "gzip-of-tabs": (
        gzip.compress(b"student\tcourse\nS1\tCS101\nS2\tCS101\n"),
        "separated by '\\t', by its header",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_a_file_shows_about_itself_is_taken_and_said_aloud(
    desk: World, offer: Offer, case: str
) -> None:
    content, said = SAID[case]
    code, stderr = offer(content)
    assert code == 0
    *told, summary = stderr.splitlines()
    assert told == ([] if said is None else [f"note: in.csv is {said}"])
    assert "2 enrolled of 2 rows" in summary
    assert desk.statuses() == BOTH
    assert offer(content, "-q") == (0, "")


def test_a_packed_file_on_standard_input_is_the_same_file(desk: World, run: Run) -> None:
    run("import", "-", database=desk.url, stdin=gzip.decompress(PACKED))
    done = run("import", "-", database=desk.url, stdin=PACKED)
    assert (done.returncode, desk.statuses()) == (0, BOTH)
    assert "2 unchanged of 2 rows" in done.stderr
    assert "same file as batch" in done.stderr


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
    "utf-16-no-bom": ("student,course\n".encode("utf-16-le"), "NUL at byte 1"),
    "gzip-cut": (gzip.compress(b"student,course\nS1,CS101\n")[:-9], "ends too early"),
    "gzip-no-text": (gzip.compress(b"student,course\nS1,M\xfcller\n"), "byte 19 (line 2)"),
    "gzip-header-alone": (b"\x1f\x8b", "damaged"),
    "gzip-damaged": (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "damaged"),
    "gzip-of-zeros": (gzip.compress(b"\0" * 3_000_000), "only NUL bytes"),
    "nul": (b"student,course\nS1,CS\x00101\n", "NUL at byte 20"),
    "latin-1": (LATIN, f"byte {LATIN.index(b'M') + 1} (line 3)"),
    "latin-1-crlf": (LATIN.replace(b"\n", b"\r\n"), f"byte {LATIN.index(b'M') + 3} (line 3)"),
    "latin-1-header": (b"student,pr\xe9nom\n", "byte 10 (line 1)"),
    "truncated-utf-8": (b"student,_x\nS1,\xc3", "byte 14 (line 2)"),
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


def source(tmp_path: Path, content: bytes, encoding: str) -> CsvSource:
    """Open a file of this content."""
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    return CsvSource(str(path), encoding=encoding)


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


@pytest.mark.parametrize(
    ("content", "options", "hint"),
    [
        (b"student;course\nS1;CS101\n", ["--delimiter", ","], "--delimiter ';'"),
        (b"student,course\nS1,CS101\n", ["--delimiter", ";"], "--delimiter ','"),
        ("student,course\n".encode("utf-16"), ["--encoding", "utf-8"], "--encoding utf-16"),
    ],
)
def test_what_somebody_names_wrongly_is_not_replaced_by_a_guess(
    desk: World, offer: Offer, content: bytes, options: list[str], hint: str
) -> None:
    code, stderr = offer(content, *options)
    assert code == 2
    assert hint in stderr
    assert desk.statuses() == {}


@pytest.mark.parametrize("letter", ['"', "\n", "\r", " "])
def test_a_delimiter_that_separates_nothing_is_refused(
    desk: World, offer: Offer, letter: str
) -> None:
    code, stderr = offer(b'student,"course"\nS1,CS101\n', "--delimiter", letter)
    assert code == 2
    assert stderr.startswith("error: ")
    assert desk.statuses() == {}

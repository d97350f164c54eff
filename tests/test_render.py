"""What a terminal and a pipe get to see: all of the data, nothing executed, nothing cut."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from studentcli import errors, render
from studentcli.render import Column, Seats, listing, safe_text
from studentcli.requests import Change, Decision, Outcome, Refusal, Request
from tests.conftest import Run
from tests.world import World

Rows = list[dict[str, object]]

FORMATS = ("table", "tsv", "csv", "json", "jsonl")
COLUMNS = (Column("student", "Student"), Column("name", "Name"), Column("seats", "Seats", "seats"),
           Column("credits", "Credits", "hours"), Column("status", "Status", "status"),
           Column("since", "Since", "date"), Column("grade", "Grade"))  # fmt: skip

ATTACKS = {
    "colour": "\x1b[31mred",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "c1-csi": "\u009b31mred",
    "c1-osc": "\u009d0;owned\u009c",
    "bidi": "abc\u202edcba",
    "isolate": "\u2067abc",
    "hidden": "S1\u200b042",
    "bom": "\ufeffS1",
    "backspace": "King\b\b\b\bPope",
    "return": "King\rPope",
    "lines": "one\ntwo\u2028three\u2029four",
    "tab": "one\ttwo",
    "del": "a\x7fb",
    "tag": "a\U000e0041b",
}
MARKUP = ("[red]Ada[/red]", "[/]", "[/red]", "[link=http://x]Ada[/link]", "[bold", "[b]x[/b]",
          ":smile:", "{name}", "%s", "\\[red]")  # fmt: skip
EXECUTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2028-\u202e\u2060-\u206f"
                      "\ufeff\U000e0001-\U000e007f]")  # fmt: skip
OWN = re.compile("\x1b\\[[0-9;]*m")
"""The colours that a table may have."""


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def at_terminal(
    *arguments: str,
    database: str | None = None,
    home: Path,
    columns: int = 80,
    env: dict[str, str] | None = None,
    stdout: int | None = None,
) -> tuple[int, str]:
    """Run `studentcli` at a terminal of its own; gives the exit code and what it showed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8",
                   "TERM": "xterm-256color", **(env or {}),
                   **({"STUDENTCLI_DATABASE_URL": database} if database else {})}  # fmt: skip
    program = subprocess.Popen(
        [sys.executable, "-m", "studentcli", *arguments], cwd=home, env=environment,
        stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the program closed its end
        pass
    os.close(master)
    return program.wait(60), shown.decode().replace("\r\n", "\n")


@pytest.fixture
def hostile(sqlite_world: World) -> World:
    """Give students whose names attack the terminal: put there by SQL, for no door lets them in."""
    with sqlite_world.database.connect(writes=True) as connection:
        for number, attack in enumerate([*ATTACKS.values(), *MARKUP]):
            connection.execute(
                text(
                    "INSERT INTO students (student_number, given_name, family_name, email, status,"
                    " created_at) VALUES (:number, :name, :name, :name, 'active', '2026-01-01')"
                ),
                {"number": f"S{number}", "name": attack},
            )
        connection.execute(
            text(
                "INSERT INTO courses (title, term_id, code, section, credit_hours, capacity,"
                " waitlist_capacity, status) SELECT :title, id, 'CS101', '1', 3, 30, 5, 'open'"
                " FROM terms"
            ),
            {"title": ATTACKS["link"] + MARKUP[0]},
        )
        connection.commit()
    for number in range(len(ATTACKS) + len(MARKUP)):
        sqlite_world.submit("enroll", f"S{number}", "CS101").require()
    return sqlite_world


# ── text from the database ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_a_terminal_would_execute_is_made_visible(attack: str) -> None:
    shown = safe_text(attack)
    assert not EXECUTED.search(shown)
    assert "\n" not in shown
    assert "\t" not in shown
    for letter in attack:
        assert letter in shown or f"\\u{ord(letter):04x}" in shown


@given(st.text())
def test_no_text_at_all_reaches_a_terminal_with_a_control_character(value: str) -> None:
    shown = safe_text(value)
    left = {letter for letter in shown if unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp"}}
    assert left <= {"\u200c", "\u200d"}


@pytest.mark.parametrize(
    "name",
    ["Ada King", "O'Neil-Łukasiewicz", "李小龍", "\u0645\u06cc\u200c\u062e\u0648", "श्री\u0902",
     "क्\u200dष", "Zoë", "e\u0301", *MARKUP],
)  # fmt: skip
def test_a_name_stays_as_it_is(name: str) -> None:
    assert safe_text(name) == name


@pytest.mark.parametrize("mark", ["\u200c", "\u200d"])
@pytest.mark.parametrize("form", ["{}ab", "ab{}", "S1{}042", "a{} b", "a {}b", "a{}1", "a{}-b"])
def test_a_joiner_is_hidden_only_between_letters(mark: str, form: str) -> None:
    assert safe_text(form.format(mark)) == form.format(f"\\u{ord(mark):04x}")


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_format_executes_a_name_at_a_terminal(monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, attack in ATTACKS.items():
        out = Terminal()
        row = {"student": "S1", "name": attack}
        listing([row], COLUMNS[:2], fmt, title=attack, footer=attack, stream=out)
        shown = OWN.sub("", out.getvalue()) if fmt == "table" else out.getvalue()
        assert (name, EXECUTED.findall(shown)) == (name, [])
        assert "S1" in shown


@pytest.mark.parametrize("markup", MARKUP)
@pytest.mark.parametrize("fmt", ["table", "tsv"])
def test_markup_in_a_name_is_text(monkeypatch: pytest.MonkeyPatch, fmt: str, markup: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for out in (Terminal(), io.StringIO()):
        row = {"student": "S1", "name": f"<{markup}>"}
        listing([row], COLUMNS[:2], fmt, title=markup, footer=markup, stream=out)
        expected = markup.replace("\\", "\\\\") if fmt == "tsv" else markup
        assert f"<{expected}>" in OWN.sub("", out.getvalue())
        assert "\x1b[31m" not in out.getvalue()
        assert "\x1b]" not in out.getvalue()


@pytest.mark.parametrize("fmt", ["table", "json"])
def test_a_message_never_executes_what_somebody_typed(
    monkeypatch: pytest.MonkeyPatch, fmt: str
) -> None:
    for name, attack in ATTACKS.items():
        out, err = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        render.error(errors.UnknownStudent(f"there is no {attack}", hint=attack), fmt)
        render.note(attack)
        done = Outcome(Change("enroll", 1), attack, attack, "enrolled", "enrolled")
        refused = Outcome(Change("drop", 1), attack, attack, refusals=(Refusal("in-use", attack),))
        render.decisions([Decision(Request("S1", []), [done, refused])], fmt, forecast=True)
        render.record({"name": attack}, COLUMNS[1:2], fmt)
        assert (name, EXECUTED.findall(out.getvalue() + err.getvalue())) == (name, [])
        assert out.getvalue()
        assert err.getvalue().count("unknown-student") == 1


@pytest.mark.parametrize("line", ["roster CS101", "courses S3", "student list --format tsv"])
def test_no_command_executes_a_name_at_a_terminal(
    hostile: World, tmp_path: Path, line: str
) -> None:
    code, shown = at_terminal(*line.split(), database=hostile.url, home=tmp_path, columns=120)
    assert code == 0
    assert not EXECUTED.search(OWN.sub("", shown))
    assert "Traceback" not in shown
    assert "S3" in shown or "CS101" in shown


# ── tables at a terminal ─────────────────────────────────────────────────────────────────

ROWS = [
    {"student": "S1042", "name": "Ada Lovelace-King", "seats": Seats(28, 30),
     "credits": Decimal("1.50"), "status": "waitlisted, place 13", "since": date(2026, 9, 1),
     "grade": "B+"},
    {"student": "00731", "name": "李小龍 Łukasiewicz", "seats": Seats(123456789, 987654321),
     "credits": Decimal("99999.25"), "status": "enrolled", "since": date(2027, 12, 31)},
]  # fmt: skip


def cells() -> list[str]:
    """Give every text that a table of ROWS must show."""
    return [render.plain(value) for row in ROWS for value in row.values()]


@pytest.mark.parametrize("columns", [20, 80, 120])
def test_a_table_fits_its_terminal_and_loses_no_letter(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    listing(ROWS, COLUMNS, "table", title="2026FA", footer="2 students", stream=out)
    shown = OWN.sub("", out.getvalue())
    assert max(render.display_width(line) for line in shown.splitlines()) <= columns
    wanted = Counter("".join(cells()).replace(" ", ""))
    assert not wanted - Counter(shown)
    if columns >= 80:
        assert all(cell in shown for cell in ("S1042", "00731", "28/30", "2026-09-01", "99999.25"))


@pytest.mark.parametrize("columns", [20, 80, 120])
def test_a_listing_at_a_terminal_of_any_width_is_whole(
    sqlite_world: World, tmp_path: Path, columns: int
) -> None:
    sqlite_world.course("CS101", capacity=987, title="Introduction to Programming", credits="1.5")
    code, shown = at_terminal("courses", database=sqlite_world.url, home=tmp_path, columns=columns)
    plain = OWN.sub("", shown)
    assert code == 0
    assert "\t" not in plain
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert not Counter("ALL/CS101-1IntroductiontoProgramming0/9871.5open") - Counter(plain)
    if columns >= 80:
        assert "0/987" in plain


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_terminal_without_colour_gets_none(
    sqlite_world: World, tmp_path: Path, env: dict[str, str]
) -> None:
    sqlite_world.course("CS101", capacity=1)
    sqlite_world.student("S1")
    sqlite_world.submit("enroll", "S1", "CS101").require()
    code, shown = at_terminal("courses", database=sqlite_world.url, home=tmp_path, env=env)
    assert code == 0
    assert "1/1" in shown
    assert "TERM" not in env or "\x1b" not in shown
    colours = {part for found in OWN.findall(shown) for part in found[2:-1].split(";")}
    assert not {part for part in colours if part.isdigit() and 30 <= int(part) <= 107}


def test_errors_at_a_terminal_are_words_without_colour(sqlite_world: World, tmp_path: Path) -> None:
    code, shown = at_terminal("courses", "S9", database=sqlite_world.url, home=tmp_path)
    assert code == 3
    assert shown == (
        "error: there is no student S9 [unknown-student]\n"
        "hint: studentcli student list shows the students\n"
    )


# ── pipes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", ["courses --format table", "--help", "courses S9"])
def test_a_pipe_gets_no_escape_sequence_whatever_the_environment_asks_for(
    sqlite_world: World, run: Run, line: str
) -> None:
    sqlite_world.course("CS101", title="x" * 300)
    env = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "GITHUB_ACTIONS": "true", "COLUMNS": "20",
           "TERM": "xterm-256color"}  # fmt: skip
    done = run(*line.split(), database=sqlite_world.url, env=env)
    assert done.returncode in {0, 2, 3}
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if "course" in line and done.returncode == 0:
        assert "x" * 300 in done.stdout


def test_data_goes_to_the_pipe_and_words_to_the_terminal(
    sqlite_world: World, tmp_path: Path
) -> None:
    sqlite_world.student("S1")
    with (tmp_path / "out").open("wb") as out:
        code, shown = at_terminal(
            "enroll", "S1", "CS999", database=sqlite_world.url, home=tmp_path, stdout=out.fileno()
        )
    assert code == 3
    assert shown.startswith("error: there is no course CS999")
    header, row = (tmp_path / "out").read_text().splitlines()
    assert header.split("\t")[:2] == ["student", "course"]
    assert row.split("\t")[:2] == ["S1", "CS999"]


def test_a_piped_table_is_as_wide_as_it_needs_and_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = io.StringIO()
    listing([*ROWS, {"student": "S3", "name": "x" * 300, "status": "done"}], COLUMNS, "table",
            stream=out)  # fmt: skip
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert all(cell in out.getvalue() for cell in [*cells(), "x" * 300])
    starts = {
        render.display_width(line[: line.index(word)])
        for line, word in zip(lines, ("Name", "Ada", "李", "xxx"), strict=True)
    }
    assert len(starts) == 1


def written(fmt: str, rows: Rows) -> str:
    """Give a listing as a pipe gets it."""
    out = io.StringIO()
    listing(rows, COLUMNS, fmt, stream=out)
    return out.getvalue()


def read_tsv(content: str) -> Rows:
    """Read TSV as written: one line a row, whatever the cells hold."""
    header, *lines = content.removesuffix("\n").split("\n")
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


READERS: dict[str, Callable[[str], Rows]] = {
    "json": json.loads,
    "jsonl": lambda content: [json.loads(line) for line in content.split("\n")[:-1]],
    "csv": lambda content: list(csv.DictReader(io.StringIO(content, newline=""))),
    "tsv": read_tsv,
}


@pytest.mark.parametrize("fmt", READERS)
def test_every_format_reads_back_as_what_it_was(fmt: str) -> None:
    found = READERS[fmt](written(fmt, ROWS))
    typed = fmt in {"json", "jsonl"}
    assert [list(row) for row in found] == [[column.name for column in COLUMNS]] * 2
    assert found[0] == {
        "student": "S1042", "name": "Ada Lovelace-King", "seats": "28/30",
        "credits": 1.5 if typed else "1.5", "status": "waitlisted, place 13",
        "since": "2026-09-01", "grade": "B+",
    }  # fmt: skip
    assert (found[1]["student"], found[1]["grade"]) == ("00731", None if typed else "")


@pytest.mark.parametrize("fmt", READERS)
def test_no_rows_are_an_empty_list_in_every_format(fmt: str) -> None:
    assert READERS[fmt](written(fmt, [])) == []
    assert written(fmt, []).startswith("student") is (fmt in {"csv", "tsv"})


@pytest.mark.parametrize("fmt", READERS)
def test_a_pipe_gets_every_character_of_a_name(fmt: str) -> None:
    unescaped = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    for value in (*ATTACKS.values(), *MARKUP, 'a,"b"', "a\r\nb", " padded ", "\\t", "x" * 9999, ""):
        (found,) = READERS[fmt](written(fmt, [{"student": "S1", "name": value}]))
        name = str(found["name"])
        if fmt == "tsv":
            name = re.sub(r"\\.", lambda match: unescaped[match[0]], name)
        assert name == value


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_row_of_lines_is_one_line(fmt: str) -> None:
    content = written(fmt, [{"student": "S1", "name": "a\nb\tc\rd"}] * 3)
    if fmt != "csv":  # quotes hold line breaks there
        assert len(re.split("[\r\n]+", content.strip())) == {"jsonl": 3, "json": 5}.get(fmt, 4)
    assert content.endswith("\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (Decimal("3.00"), "3"), (Decimal("1.50"), "1.5"), (Decimal("0.10"), "0.1"),
     (Decimal(100), "100"), (date(2026, 9, 1), "2026-09-01"), (0, "0"), (Seats(3, None), "3"),
     (datetime(2026, 9, 1, 8, 5, 7, 9, tzinfo=UTC), "2026-09-01T08:05:07Z"), (Seats(3, 0), "3/0")],
)  # fmt: skip
def test_values_are_written_without_regard_to_where_they_go(value: object, shown: str) -> None:
    assert render.plain(value) == shown

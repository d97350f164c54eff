"""The command line against bad input and faults: no traceback, no partial change, the exit code."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from studentcli import schema
from studentcli.database import Database, normalize_url
from tests.conftest import Run
from tests.world import World

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]

STATE = ("students", "terms", "courses", "student_courses")
EVERYTHING = (*STATE, "operations", "enrollment_events", "catalog_events", "alembic_version")


def rows(world: World, *tables: str) -> dict[str, list[str]]:
    """Give the rows of tables, to compare before and after."""
    with world.database.connect(writes=False) as connection:
        return {
            table: sorted(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
            for table in tables
        }


def fill(world: World) -> World:
    """Fill a small catalogue in which near names exist."""
    world.student("S1042", given_name="Ada", family_name="King")
    world.student("00731", "1000", "731000", "-17")
    world.course("CS101", "MATH200", capacity=30, waitlist=5)
    world.submit("enroll", "S1042", "CS101").require()
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


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command line inside this process: what it does not catch fails the test."""
    from studentcli.cli.app import build_app
    from studentcli.cli.boundary import run as run_line

    for name in [n for n in os.environ if n.startswith(("STUDENTCLI_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str, database: str | World) -> Done:
        name = database.url if isinstance(database, World) else database
        monkeypatch.setenv("STUDENTCLI_DATABASE_URL", name)
        code = run_line(build_app(list(arguments)), list(arguments))
        captured = capsys.readouterr()
        return Done(list(arguments), code, captured.out, captured.err)

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def shell(tmp_path: Path) -> Command:
    """Run a line of sh in which `"$@"` is studentcli with the arguments that follow."""

    def call(script: str, *arguments: str, database: str, wait: float = 60) -> Done:
        return subprocess.run(
            ["sh", "-c", script, "sh", sys.executable, "-m", "studentcli", *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
                 "STUDENTCLI_DATABASE_URL": database},
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=wait,
        )  # fmt: skip

    return call


# ── words that name nothing ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "code", "near"),
    [
        ("enroll S1043 CS101", "unknown-student", "S1042"),
        ("enroll s1042 CS101", "unknown-student", "S1042"),
        ("enroll 731 CS101", "unknown-student", "00731"),
        ("drop S1043 CS101", "unknown-student", "S1042"),
        ("withdraw S1043 CS101", "unknown-student", "S1042"),
        ("complete S1043 CS101 --grade A", "unknown-student", "S1042"),
        ("courses S1043", "unknown-student", "S1042"),
        ("student show S1043", "unknown-student", "S1042"),
        ("student edit S1043 --status inactive", "unknown-student", "S1042"),
        ("student renumber S1043 S7", "unknown-student", "S1042"),
        ("history --student S1043", "unknown-student", "S1042"),
        ("enroll S1042 CS110", "unknown-course", "ALL/CS101-1"),
        ("enroll S1042 cs101", "unknown-course", "ALL/CS101-1"),
        ("enroll S1042 ALL/CS110", "unknown-course", "ALL/CS101-1"),
        ("drop S1042 CS110", "unknown-course", "ALL/CS101-1"),
        ("roster CS110", "unknown-course", "ALL/CS101-1"),
        ("course show CS110", "unknown-course", "ALL/CS101-1"),
        ("course edit CS110 --capacity 3", "unknown-course", "ALL/CS101-1"),
        ("course cancel CS110 --reason x", "unknown-course", "ALL/CS101-1"),
        ("history --course CS110", "unknown-course", "ALL/CS101-1"),
        ("enroll S1042 MATH200 --term 2026XX", "unknown-term", "ALL"),
        ("courses --term 2026XX", "unknown-term", "ALL"),
        ("course add 2026XX/CS900", "unknown-term", "ALL"),
        ("term show 2026XX", "unknown-term", "ALL"),
        ("term edit 2026XX --name x", "unknown-term", "term list"),
        ("export courses --term 2026XX", "unknown-term", "ALL"),
        ("history 999", "unknown-operation", "studentcli history"),
    ],
)
def test_a_word_that_names_nothing_is_told_with_what_is_near_and_nothing_is_picked(
    desk: World, command: Command, line: str, code: str, near: str
) -> None:
    before = rows(desk, *STATE)
    done = command(*line.split(), database=desk)
    assert done.returncode == 3
    assert f"[{code}]" in done.stderr
    told = done.stderr.split(f"[{code}]", 1)
    assert near in (told[0] if code == "unknown-term" else "") + told[1]
    assert rows(desk, *STATE) == before


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775808",
        "1_000",
        "\u0660\u0660\u0667\u0663\u0661",
        "\uff11\uff10\uff10\uff10",
        "1000.0",
    ],
)
def test_a_number_is_text_and_never_read_as_another_one(
    desk: World, command: Command, number: str
) -> None:
    before = rows(desk, *STATE)
    for line in (("enroll", number, "MATH200"), ("student", "show", number), ("courses", number)):
        done = command(*line, database=desk)
        assert (done.returncode, "[unknown-student]" in done.stderr) == (3, True)
    assert rows(desk, *STATE) == before


def test_a_number_that_begins_with_a_dash_is_taken_after_a_double_dash_only(
    desk: World, command: Command
) -> None:
    before = rows(desk, *EVERYTHING)
    assert command("enroll", "-17", "MATH200", database=desk).returncode == 2
    assert command("enroll", "-n", "--", "-99", "MATH200", database=desk).returncode == 3
    assert rows(desk, *EVERYTHING) == before
    assert command("enroll", "--", "-17", "MATH200", database=desk).returncode == 0
    assert desk.statuses()["-17", "ALL/MATH200-1"] == "enrolled"


def test_history_shows_no_operation_for_a_number_that_nobody_wrote_so(
    world: World, command: Command
) -> None:
    for place in range(12):  # operation 10 exists, and must not be shown for 1_0
        world.student(f"S{place}")
    numbers = (
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "\u0663",
        "0x1",
        "1.5",
        "1_0",
    )
    for number in numbers:
        done = command("history", "--", number, database=world)
        assert (number, done.returncode in {2, 3}, done.stdout) == (number, True, "")
        assert done.stderr.startswith("error: ")
        assert number in done.stderr or "[usage]" in done.stderr


WORDED = (
    "enroll WORD CS101",
    "enroll S1042 WORD",
    "student add WORD",
    "student renumber S1042 WORD",
    "course add WORD",
    "term add WORD",
    "courses WORD",
)


@pytest.mark.parametrize(
    "word",
    [
        "", "   ", "x" * 65, "S1\x1b[2J", "S1\x1b]0;owned\x07", "S\u009b2J", "S\x7f1",
        "S\u20281", "S\udcff1",
    ],
    ids=["empty", "blank", "long", "esc", "osc", "c1", "del", "line-separator", "no-utf8"],
)  # fmt: skip
def test_a_word_that_no_number_or_code_can_be_is_refused_unasked(
    desk: World, command: Command, word: str
) -> None:
    before = rows(desk, *EVERYTHING)
    for line in WORDED:
        arguments = [word if part == "WORD" else part for part in line.split()]
        done = command(*arguments, database=desk)
        assert (line, done.returncode) == (line, 2)
        assert done.stderr.startswith("error: ")
        assert not set("\x1b\x07\x7f\u009b\u2028") & set(done.stderr)
    assert rows(desk, *EVERYTHING) == before


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad"])
def test_a_word_with_invisible_characters_is_refused_and_shown_with_them(
    desk: World, command: Command, hidden: str
) -> None:
    before = rows(desk, *EVERYTHING)
    for line in (*WORDED, "student show WORD", "courses --term WORD", "history --student WORD",
                 "history --course WORD", "course add CS9 --section WORD"):  # fmt: skip
        done = command(*line.replace("WORD", f"S10{hidden}42").split(), database=desk)
        assert (line, done.returncode) == (line, 2)
        assert f"'S10\\u{ord(hidden):04x}42'" in done.stderr
        assert "[malformed-id]" in done.stderr
        assert hidden not in done.stderr
    assert rows(desk, *EVERYTHING) == before


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_a_joiner_is_part_of_a_word_between_letters_only(
    desk: World, command: Command, joiner: str
) -> None:
    spelled = f"\u0645\u06cc{joiner}\u062e\u0648"
    assert command("student", "add", spelled, database=desk).returncode == 0
    assert command("courses", spelled, database=desk).returncode == 0
    assert command("student", "add", f"S{joiner}1", database=desk).returncode == 2


# ── values that cannot be read ───────────────────────────────────────────────────────────

BAD_VALUES = [
    *(("student", "add", "S9", "--family-name", name) for name in
      ("\x1b[31mKing", "\x1b]8;;http://x\x07King", "\u009b31mKing", "King\x07", "a\u2028b",
       "x" * 1001)),
    ("student", "add", "S9", "--email", "nobody"),
    ("student", "add", "S9", "--status", "gone"),
    ("student", "list", "--status", ""),
    *(("student", "add", "S9", f"--max-credits={value}") for value in
      ("-1", "1_0", "1e3", "nan", "\u0663", "1,5", "1.005", "9" * 30)),
    *(("course", "add", "CS9", f"--capacity={value}") for value in
      ("-1", "1_000", "3.5", "\u0663", "9223372036854775808", "many")),
    ("course", "add", "CS9", "--waitlist=-1"),
    ("course", "edit", "CS101", "--credits", "three"),
    ("course", "edit", "CS101", "--status", "shut"),
    ("course", "edit", "CS101", "--title", "\x1b[2J"),
    *(("term", "add", "T9", "--starts-on", value) for value in
      ("2026-02-30", "2026-9-1", "01.09.2026", "tomorrow", "202\u0666-09-01", "0000-01-01")),
    ("term", "add", "T9", "--starts-on", "2026-09-02", "--ends-on", "2026-09-01"),
    *(("term", "add", "T9", "--time-zone", value) for value in
      ("Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe", "x" * 300)),
    *(("enroll", "S1042", "MATH200", "--on", value) for value in
      ("", " ", "yesterday", "2026-02-30", "2999-01-01")),
    ("enroll", "S1042", "MATH200", "--override", "nonsense", "--reason", "x"),
    ("enroll", "S1042", "MATH200", "--override", "course-full"),
    ("enroll", "S1042", "MATH200", "--reason", "\x1b[2J"),
    ("enroll", "S1042", "MATH200", "--actor", "\x1b[2J"),
    *((*line, "--reason", reason) for reason in ("", "  ") for line in
      (("enroll", "S1042", "MATH200"), ("course", "cancel", "CS101"),
       ("student", "edit", "S1042", "--status", "inactive"),
       ("student", "renumber", "S1042", "S9"))),
    *(("complete", "S1042", "CS101", "--grade", grade) for grade in
      ("", "-", "+", "..", "<b>", "A" * 9, "\u0661")),
]  # fmt: skip


@pytest.mark.parametrize("line", BAD_VALUES, ids=lambda line: ascii(" ".join(line))[1:50])
def test_a_value_that_cannot_be_read_is_refused_and_never_a_default(
    desk: World, command: Command, line: tuple[str, ...]
) -> None:
    before = rows(desk, *STATE)
    done = command(*line, database=desk)
    assert done.returncode == 4
    assert "[unknown-grade]" in done.stderr or "[bad-value]" in done.stderr
    assert not set("\x1b\x07\u009b\u2028") & set(done.stderr)
    assert rows(desk, *STATE) == before


def test_a_number_with_spaces_around_it_is_the_same_student_all_the_way(
    desk: World, command: Command
) -> None:
    done = command("student", "edit", " S1042 ", "--status", "inactive", database=desk)
    assert done.returncode == 0
    assert "studentcli drop S1042 ALL/CS101-1" in done.stderr


# ── command lines that cannot be carried out ─────────────────────────────────────────────

UNUSABLE = [
    "", "frobnicate", "student frobnicate", "student", "enroll", "enroll S1042",
    "enroll S1042 MATH200 --frobnicate", "complete S1042 CS101", "course cancel CS101",
    "enroll S1042 MATH200 --format xml", "drop S1042 CS101 --format TABLE",
    "withdraw S1042 CS101 --format xml", "complete S1042 CS101 --grade A --format xml",
    "student add S9 --format xml", "student edit S1042 --email a@b --format xml",
    "student renumber S1042 S9 --format xml", "course edit CS101 --capacity 1 --format xml",
    "course cancel CS101 --reason x --format xml", "term add T9 --format xml",
    "courses --format xml", "enroll S1042 MATH200 --wait -1", "enroll S1042 MATH200 --wait nan",
    "enroll S1042 MATH200 --wait inf", "enroll S1042 MATH200 --wait soon", "export grades",
    "history --limit 0", "history --limit 9223372036854775808", "history --course",
    "import in.csv --on-error ignore", "import in.csv --delimiter ;;", "import in.csv --chunk 0",
    "import in.csv --format xml", "import missing.csv", "import .", "db backup in.csv",
    "db backup missing/new.db", "export students -o missing/new.csv",
    "import in.csv --rejects missing/r.csv", "enroll S1042 MATH200 --database mysql://h/d",
    "enroll S1042 MATH200 --database sqlite://", "courses --database postgresql://h:port/d",
]  # fmt: skip


@pytest.mark.parametrize("line", UNUSABLE)
def test_a_line_that_cannot_be_carried_out_is_exit_2_and_does_nothing(
    desk: World, command: Command, tmp_path: Path, line: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\n00731,CS101\n")
    before = rows(desk, *EVERYTHING)
    done = command(*line.split(), database=desk)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "[usage]" in done.stderr or "[file-unreadable]" in done.stderr
    assert done.stdout == ""
    assert rows(desk, *EVERYTHING) == before
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("enroll S1043 CS101 --format json", "unknown-student"),
        ("--format json enroll S1043 CS101", "unknown-student"),
        ("--format jsonl student show S1043", "unknown-student"),
        ("complete S1042 MATH200 --grade A --format json", "not-enrolled"),
        ("enroll S1042 --format json", "usage"),
        ("student add S9 --email nobody --format=json", "bad-value"),
    ],
)
def test_an_error_for_programs_is_one_json_object(
    desk: World, command: Command, line: str, code: str
) -> None:
    done = command(*line.split(), database=desk)
    assert done.returncode in {2, 3, 4}
    (told,) = done.stderr.splitlines()
    error = json.loads(told)["error"]
    assert (error["code"], set(error)) == (code, {"code", "message", "hint"})


def test_quiet_says_nothing_on_success_and_errors_always(desk: World, command: Command) -> None:
    for line in ("enroll S1042 MATH200", "drop S1042 MATH200", "student add S9",
                 "course edit CS101 --capacity 31", "term add T9", "db check"):  # fmt: skip
        done = command("-q", *line.split(), database=desk)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    refused = command("enroll", "S1043", "CS101", "-q", database=desk)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "[unknown-student]" in refused.stderr


# ── where output goes ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("option", ["export students -o", "import in.csv --rejects"])
def test_a_folder_cannot_be_written_over_and_nothing_is_imported_before_that_is_known(
    desk: World, command: Command, tmp_path: Path, option: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\n00731,CS101\n")
    (tmp_path / "folder").mkdir()
    before = rows(desk, *EVERYTHING)
    done = command(*option.split(), "folder", database=desk)
    assert done.returncode == 2
    assert rows(desk, *EVERYTHING) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.csv"]


@pytest.mark.parametrize("option", ["export students -o", "import in.csv --rejects"])
def test_a_pipe_or_device_named_as_output_is_never_replaced_by_a_file(
    desk: World, command: Command, tmp_path: Path, option: str
) -> None:
    # As root, `-o /dev/null` would otherwise turn /dev/null into a file of names.
    (tmp_path / "in.csv").write_text("student,course\n00731,CS101\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = command(*option.split(), str(pipe), database=desk)
        assert done.returncode in {0, 2}
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    finally:
        os.close(reader)


def test_the_file_that_is_read_is_never_overwritten_by_its_rejects(
    desk: World, command: Command, tmp_path: Path
) -> None:
    content = "student,course\n00731,CS101\n"
    (tmp_path / "in.csv").write_text(content)
    done = command("import", "in.csv", "--rejects", "./in.csv", database=desk)
    assert done.returncode == 2
    assert (tmp_path / "in.csv").read_text() == content
    assert ("00731", "ALL/CS101-1") not in desk.statuses()


def test_a_reader_that_stops_early_ends_the_program_silently(desk: World, shell: Command) -> None:
    desk.import_csv("student\n" + "".join(f"N{number:06}\n" for number in range(6000)))
    script = '("$@"; echo "code $?" >&2) | head -c 1'
    for line in ("student list --format json", "export students"):
        done = shell(script, *line.split(), database=desk.url)
        assert (line, done.stderr) == (line, "code 0\n")


@pytest.mark.parametrize(
    ("line", "recorded"),
    [("courses", False), ("--help", False), ("enroll S1042 MATH200", True)],
)
def test_a_full_disk_behind_stdout_is_told_and_so_is_what_was_recorded(
    desk: World, shell: Command, line: str, *, recorded: bool
) -> None:
    done = shell('exec "$@" > /dev/full', *line.split(), database=desk.url)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "[output-failed]" in done.stderr
    assert ("the change was recorded" in done.stderr) is recorded
    assert (("S1042", "ALL/MATH200-1") in desk.statuses()) is recorded


def test_an_export_that_finds_the_disk_full_leaves_the_old_file_as_it_was(
    desk: World, shell: Command, tmp_path: Path
) -> None:
    desk.import_csv("student\n" + "".join(f"N{number:06}\n" for number in range(6000)))
    (tmp_path / "out.csv").write_text("the old one")
    done = shell('ulimit -f 64; exec "$@"', "export", "students", "-o", "out.csv",
                 database=desk.url)  # fmt: skip
    assert done.returncode == 1
    assert "[output-failed]" in done.stderr
    assert (tmp_path / "out.csv").read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-"])
def test_a_closed_standard_stream_breaks_nothing(
    desk: World, shell: Command, redirection: str
) -> None:
    done = shell(f'exec "$@" {redirection}', "enroll", "S1042", "MATH200", database=desk.url)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == 0 or "[output-failed]" in done.stderr
    assert desk.statuses()["S1042", "ALL/MATH200-1"] == "enrolled"


def test_a_terminal_that_knows_no_utf8_gets_the_names_escaped(desk: World, run: Run) -> None:
    desk.student("S7", family_name="Łukasiewicz")
    for line in ("student show S7", "student show S7 --format json"):
        done = run(*line.split(), database=desk.url, env={"PYTHONIOENCODING": "ascii"})
        assert "Traceback" not in done.stderr
        assert done.returncode == 0
        assert "ukasiewicz" in done.stdout


# ── the environment ──────────────────────────────────────────────────────────────────────


def test_an_argument_that_is_no_utf8_is_refused(desk: World, run: Run) -> None:
    before = rows(desk, *EVERYTHING)
    done = run("student", "add", "S\udcff", database=desk.url)
    assert done.returncode == 2
    assert "is no valid UTF-8 [usage]" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(desk, *EVERYTHING) == before


@pytest.mark.parametrize("name", ["STUDENTCLI_ACTOR", "STUDENTCLI_TERM"])
def test_an_environment_that_is_no_utf8_is_refused(desk: World, run: Run, name: str) -> None:
    before = rows(desk, *STATE)
    done = run("enroll", "S1042", "MATH200", database=desk.url, env={name: "a\udcff"})
    assert done.returncode in {2, 3, 4, 7}
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert rows(desk, *STATE) == before


@pytest.mark.parametrize("script", ['exec env -i "$@"', 'unset HOME; exec "$@"'])
def test_no_environment_is_needed(desk: World, shell: Command, script: str) -> None:
    arguments = ("enroll", "S1042", "MATH200", "--database", desk.url)
    done = shell(script, *arguments, database=desk.url)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert desk.statuses()["S1042", "ALL/MATH200-1"] == "enrolled"


def test_a_command_that_is_interrupted_before_it_began_leaves_no_traceback(desk: World) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from studentcli.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "courses"], env={"STUDENTCLI_DATABASE_URL": desk.url},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# ── interruptions ────────────────────────────────────────────────────────────────────────

INTERRUPTIBLE = (  # a shell may have started the tests with SIGINT ignored
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from studentcli.cli import main; main()"
)


def is_writing(world: World) -> bool:
    """Tell whether somebody holds a writing transaction."""
    if not world.database.is_sqlite:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'studentcli:%' AND backend_xid IS NOT NULL"
            " AND pid <> pg_backend_pid()"
        )
        with world.database.connect(writes=False) as connection:
            return bool(connection.execute(text(query)).scalar_one())
    probe = World(world.url).database
    probe.wait = 0
    try:
        with probe.connect(writes=True):
            return False
    except Exception as error:
        if type(error).__name__ != "Busy":
            raise
        return True


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_batch_that_is_stopped_is_rolled_back_and_says_so(
    world: World, tmp_path: Path, number: int, code: int, word: str
) -> None:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(200)))
    world.import_csv("term,course\n" + "".join(f"ALL,C{n}\n" for n in range(100)))
    pairs = "".join(f"S{n},C{m},ALL\n" for n in range(200) for m in range(100))
    (tmp_path / "in.csv").write_text(f"student,course,term\n{pairs}")
    before = rows(world, *EVERYTHING)
    batch = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "import", "in.csv", "--chunk", "50",
         "--rejects", "rejects.csv"],
        env={**os.environ, "STUDENTCLI_DATABASE_URL": world.url, "HOME": str(tmp_path)},
        cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while batch.poll() is None and not is_writing(world):
        time.sleep(0.01)
    batch.send_signal(number)
    _, told = batch.communicate(timeout=30)
    assert batch.returncode == code
    assert told.strip() == f"{word}: rolled back, nothing was changed"
    assert rows(world, *EVERYTHING) == before
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_waiting_for_somebody_elses_lock_can_be_stopped(
    world: World, tmp_path: Path, number: int, code: int
) -> None:
    fill(world)
    with everything_locked(world):
        waiting = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, "enroll", "S1042", "MATH200", "--wait", "60"],
            env={**os.environ, "STUDENTCLI_DATABASE_URL": world.url, "HOME": str(tmp_path)},
            cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(2)  # more than the program needs to reach the lock; sooner is no failure
        waiting.send_signal(number)
        _, told = waiting.communicate(timeout=20)
    assert waiting.returncode == code
    assert "rolled back, nothing was changed" in told


# ── the database ─────────────────────────────────────────────────────────────────────────

WRITING = ("enroll S1042 MATH200", "drop S1042 CS101", "student add S9", "import in.csv",
           "course edit CS101 --capacity 1", "course cancel CS101 --reason x")  # fmt: skip
READING = ("courses", "courses S1042", "roster CS101", "student list", "history", "term list",
           "export enrollments", "db check", "enroll S1042 MATH200 --dry-run")  # fmt: skip
OF_SCHEMA = ("db status", "db init", "db upgrade", "db adopt", "db backup copy.db")


@contextmanager
def everything_locked(world: World) -> Iterator[None]:
    """Hold the locks that another writer would hold."""
    with world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE courses SET title = title"))
        connection.execute(text("UPDATE students SET email = email"))
        yield


@pytest.mark.parametrize(
    "line", ["enroll S1042 MATH200", "import in.csv", "course edit CS101 --capacity 1"]
)
def test_a_writer_waits_for_another_as_long_as_it_was_told_and_then_says_busy(
    world: World, command: Command, tmp_path: Path, line: str
) -> None:
    fill(world)
    (tmp_path / "in.csv").write_text("student,course\nS1042,CS101\n")
    before = rows(world, *EVERYTHING)
    with everything_locked(world):
        started = time.monotonic()
        done = command(*line.split(), "--wait", "0.3", database=world)
    assert 0.3 <= time.monotonic() - started < 5
    assert done.returncode == 5
    assert "error: waited 0.3 s for" in done.stderr
    assert "[busy]" in done.stderr
    assert "--wait" in done.stderr
    assert rows(world, *EVERYTHING) == before


def test_readers_go_on_while_somebody_writes(world: World, command: Command) -> None:
    fill(world)
    with everything_locked(world):
        for line in READING:
            done = command(*line.split(), "--wait", "0.3", database=world)
            assert (line, done.returncode) == (line, 0)


def test_an_upgrade_of_a_locked_file_waits_no_longer_than_it_was_told(
    new_database: Callable[..., str], command: Command
) -> None:
    url = new_database("sqlite", empty=True)
    old = Database(normalize_url(url))
    schema.upgrade(old, create=True, revision="0001")
    before = Path(url).read_bytes()
    with old.connect(writes=True):
        started = time.monotonic()
        done = command("db", "upgrade", "--wait", "0.3", database=url)
    assert time.monotonic() - started < 5
    assert done.returncode == 5
    assert "[busy]" in done.stderr
    assert Path(url).read_bytes() == before


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_a_schema_that_is_older_or_newer_is_left_alone(
    world: World, command: Command, tmp_path: Path, revision: str
) -> None:
    fill(world)
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    with world.database.connect(writes=True) as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        connection.commit()
    before = rows(world, *EVERYTHING)
    upgrading = OF_SCHEMA[1:4] if revision == "9999" else ()
    for line in (*WRITING[:4], *READING[-4:], *upgrading, "db status"):
        done = command(*line.split(), database=world)
        assert (line, done.returncode) == (line, 7)
        assert f"schema {revision}" in done.stderr or line == "db status"
    assert rows(world, *EVERYTHING) == before


def test_an_older_schema_names_the_command_that_helps(desk: World, command: Command) -> None:
    with desk.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        connection.commit()
    done = command("courses", database=desk)
    assert done.returncode == 7
    assert "[schema-mismatch]" in done.stderr
    assert "hint: studentcli db backup FILE, then studentcli db upgrade" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"student,course\n" * 100, b"SQLite format 3\0" + b"\xff" * 500, None],
    ids=["text", "damaged", "folder"],
)
def test_what_is_no_database_is_told_and_left_as_it_is(
    command: Command, tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    path = tmp_path / "it"
    path.mkdir() if content is None else path.write_bytes(content)
    for line in ("enroll S1042 MATH200", "import in.csv", "courses", "db check", *OF_SCHEMA):
        done = command(*line.split(), database=str(path))
        assert (line, done.returncode) == (line, 7)
        assert done.stderr.startswith("error: ")
        assert path.is_dir() if content is None else path.read_bytes() == content
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv", "it"]


@pytest.mark.parametrize("line", [*WRITING, *READING, "db status", "db upgrade", "db adopt",
                                  "db backup copy.db"])  # fmt: skip
def test_a_database_that_is_not_there_is_never_made_by_the_way(
    command: Command, tmp_path: Path, line: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    done = command(*line.split(), database=str(tmp_path / "mistyped.db"))
    assert done.returncode == 7
    assert "mistyped.db" in done.stderr
    assert "[database-missing]" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.csv"]


def test_a_database_cannot_be_made_below_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = command("db", "init", database=str(tmp_path / "file" / "new.db"))
    assert done.returncode == 7
    assert "[database-unavailable]" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_may_only_be_read_is_told_and_not_changed(desk: World, shell: Command) -> None:
    script = 'exec "$@"'
    if os.geteuid() == 0:  # root may write everywhere unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("running as root, and there is no setpriv")
        script = 'exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"'
    before = Path(desk.url).read_bytes()
    Path(desk.url).chmod(0o400)
    done = shell(script, "enroll", "S1042", "MATH200", database=desk.url)
    assert done.returncode == 7
    assert "cannot be written [database-unavailable]" in done.stderr
    assert Path(desk.url).read_bytes() == before


def test_a_full_disk_under_the_database_undoes_the_batch(
    desk: World, shell: Command, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("student\n" + "".join(f"N{n:060}\n" for n in range(5000)))
    before = rows(desk, *EVERYTHING)
    done = shell('ulimit -f 600; exec "$@"', "import", "in.csv", database=desk.url)
    assert done.returncode == 7
    assert "[database-unavailable]" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(desk, *EVERYTHING) == before


def test_a_row_that_was_edited_by_hand_is_reported(desk: World, command: Command) -> None:
    with desk.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE student_courses SET status = 'dropped'"))
        connection.commit()
    done = command("db", "check", database=desk)
    assert done.returncode == 7
    assert "S1042 in ALL/CS101-1" in done.stdout
    assert "[database-damaged]" in done.stderr


# ── PostgreSQL out of reach ──────────────────────────────────────────────────────────────


@contextmanager
def server_that_refuses_passwords() -> Iterator[int]:
    """Speak just enough of PostgreSQL's protocol to ask for a password and refuse it."""

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"R\0\0\0\x08\0\0\0\x03")
            connection.recv(4096)
            fields = b'SFATAL\0C28P01\0Mpassword authentication failed for user "ada"\0\0'
            connection.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    "form", ["ada:geheim@127.0.0.1:PORT/db?", "127.0.0.1:PORT/db?user=ada&password=geheim&"]
)
def test_a_wrong_password_is_told_and_never_shown(command: Command, form: str) -> None:
    with server_that_refuses_passwords() as port:
        place = form.replace("PORT", str(port))
        url = f"postgresql://{place}sslmode=disable&gssencmode=disable"
        done = command("courses", database=url)
    assert done.returncode == 7
    assert "password authentication failed" in done.stderr
    assert "[database-unavailable]" in done.stderr
    assert "geheim" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "place",
    [
        "ada:geheim@127.0.0.1:1/db", "ada:geheim@/db?host=/nowhere",
        "/db?host=/nowhere&password=geheim",
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_reached_is_told_without_the_password(
    command: Command, tmp_path: Path, place: str
) -> None:
    (tmp_path / "in.csv").write_text("student,course\nS1042,MATH200\n")
    for line in ("enroll S1042 MATH200", "import in.csv", "courses", "db status", "db init"):
        done = command(*line.split(), database=f"postgresql://{place}")
        assert (line, done.returncode) == (line, 7)
        assert "[database-unavailable]" in done.stderr
        assert "geheim" not in done.stderr + done.stdout


def test_a_database_that_the_server_does_not_have_is_told(
    postgres_server: str, command: Command
) -> None:
    done = command("courses", database=postgres_server.replace("/postgres?", "/nodb?"))
    assert done.returncode == 7
    assert "nodb" in done.stderr

"""Words, values and command lines that nobody can mean: refused by name, and nothing is done."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.desk import (
    EVERYTHING,
    STATE,
    fill_catalogue,
    filled_once,
    rows,
)
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def desk(new_database: NewDatabase) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_catalogue, new_database)


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
    desk: World, command: Run, line: str, code: str, near: str
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
    desk: World, command: Run, number: str
) -> None:
    before = rows(desk, *STATE)
    for line in (("enroll", number, "MATH200"), ("student", "show", number), ("courses", number)):
        done = command(*line, database=desk)
        assert (done.returncode, "[unknown-student]" in done.stderr) == (3, True)
    assert rows(desk, *STATE) == before


def test_a_number_that_begins_with_a_dash_is_taken_after_a_double_dash_only(
    desk: World, command: Run
) -> None:
    before = rows(desk, *EVERYTHING)
    assert command("enroll", "-17", "MATH200", database=desk).returncode == 2
    assert command("enroll", "-n", "--", "-99", "MATH200", database=desk).returncode == 3
    assert rows(desk, *EVERYTHING) == before
    assert command("enroll", "--", "-17", "MATH200", database=desk).returncode == 0
    assert desk.statuses()["-17", "ALL/MATH200-1"] == "enrolled"


def test_history_shows_no_operation_for_a_number_that_nobody_wrote_so(
    world: World, command: Run
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
    desk: World, command: Run, word: str
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
    desk: World, command: Run, hidden: str
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
    desk: World, command: Run, joiner: str
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
    desk: World, command: Run, line: tuple[str, ...]
) -> None:
    before = rows(desk, *STATE)
    done = command(*line, database=desk)
    assert done.returncode == 4
    assert "[unknown-grade]" in done.stderr or "[bad-value]" in done.stderr
    assert not set("\x1b\x07\u009b\u2028") & set(done.stderr)
    assert rows(desk, *STATE) == before


def test_a_number_with_spaces_around_it_is_the_same_student_all_the_way(
    desk: World, command: Run
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
    desk: World, command: Run, tmp_path: Path, line: str
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
    desk: World, command: Run, line: str, code: str
) -> None:
    done = command(*line.split(), database=desk)
    assert done.returncode in {2, 3, 4}
    (told,) = done.stderr.splitlines()
    error = json.loads(told)["error"]
    assert (error["code"], set(error)) == (code, {"code", "message", "hint"})


@pytest.mark.parametrize(
    ("line", "code", "status"),
    [
        # What no command line can be: 2.
        ("enroll S1042", "usage", 2),
        ("enroll S1042 CS101 --onn 2026-10-05", "usage", 2),
        ("db check --format xml", "usage", 2),
        ("history --limit many", "usage", 2),
        ("override revoke one", "usage", 2),
        # A value that no change can carry, as in the cell of a file: 4.
        ("enroll S1042 CS101 --on 05.10.2026", "bad-value", 4),
        ("enroll S1042 CS101 --override nonsense --reason x", "bad-value", 4),
        ("enroll S1042 CS101 --override hold", "bad-value", 4),
        ("override grant S1042 CS101 --rule nonsense --reason x", "bad-value", 4),
        ("course edit CS101 --requires CS1|", "bad-value", 4),
        ("complete S1042 CS101 --grade A+++++++++", "unknown-grade", 4),
    ],
)
def test_a_line_that_is_none_exits_2_and_a_value_that_is_none_4(
    desk: World, command: Run, line: str, code: str, status: int
) -> None:
    done = command(*line.split(), database=desk)
    assert done.returncode == status
    assert f"[{code}]" in done.stderr


def test_an_override_without_a_reason_says_how_to_give_one(desk: World, command: Run) -> None:
    done = command("enroll", "S1042", "MATH200", "--override", "hold", database=desk)
    assert done.stderr.splitlines() == [
        "error: an override needs a reason [bad-value]",
        "hint: add --reason TEXT; in a file, the column reason",
    ]


def test_quiet_says_nothing_on_success_and_errors_always(desk: World, command: Run) -> None:
    for line in ("enroll S1042 MATH200", "drop S1042 MATH200", "student add S9",
                 "course edit CS101 --capacity 31", "term add T9", "db check"):  # fmt: skip
        done = command("-q", *line.split(), database=desk)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    refused = command("enroll", "S1043", "CS101", "-q", database=desk)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "[unknown-student]" in refused.stderr

"""The demo: it works wherever it is tried, is true, and touches nothing but its own."""

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from studentcli.demo import NEXT, SAMPLES, STORY
from studentcli.demo.folder import sample
from tests.picture import at_terminal

FOLDER = "studentcli-demo"
PROGRAM = f'studentcli() {{ "{sys.executable}" -m studentcli "$@"; }}\n'
OWN = {"demo.db", *SAMPLES}
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Type into a shell that has no HOME and no locale; stderr comes where it was said."""

    def call(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", PROGRAM + line], env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            encoding="utf-8", check=False, cwd=tmp_path, timeout=120,
        )  # fmt: skip

    return call


def steps_of(told: str) -> list[tuple[str, int, str]]:
    """Take a demo apart: every command, the exit code that is told, what it prints."""
    steps = []
    for part in re.split(r"^\$ ", told, flags=re.MULTILINE)[1:]:
        line, _, rest = part.partition("\n")
        code = re.search(r"^# Its exit code is (\d+)", rest, re.MULTILINE)
        printed = "".join(
            f"{text}\n" for text in rest.splitlines() if text and not text.startswith("#")
        )
        steps.append((line, int(code[1]) if code else 0, printed))
    return steps


def listing_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_it_tells_the_main_job_without_home_or_locale_in_a_pipe(shell: Shell) -> None:
    told = shell("studentcli demo")
    assert told.returncode == 0, told.stdout
    printed = {
        line.removesuffix(" --format table"): text for line, _, text in steps_of(told.stdout)
    }
    assert re.search(
        r"^2026FA/PSY110-001 .* 8/8 +2 +open$", printed["studentcli courses"], re.MULTILINE
    )
    roster = printed["studentcli roster PSY110-001"]
    assert len(re.findall(r" enrolled +\d", roster)) == 8
    assert re.findall(r"^(S\d+) .* waitlisted, place (\d)", roster, re.MULTILINE) == [
        ("S1037", "1"), ("S1012", "2"), ("S1042", "3"),
    ]  # fmt: skip
    assert "8/8 seats taken, 3/3 waiting" in roster
    assert "↑ S1018 moved up" in printed["studentcli drop S1032 ART130"]
    assert "Ada King" in printed["studentcli courses S1042"]
    refused = printed["studentcli enroll S1033 PSY110-001"]
    assert "[waitlist-full]\nhint: try another section" in refused
    assert "✓ S1033" in printed["studentcli enroll S1033 PSY110-002"]


def test_what_it_shows_is_what_a_reader_gets_who_types_it(shell: Shell, tmp_path: Path) -> None:
    (export, *_), *steps = steps_of(shell("studentcli demo").stdout)
    assert len(steps) == len(STORY) + 1
    (tmp_path / FOLDER / "demo.db").unlink()
    for line, code, printed in steps:
        typed = shell(f"{export}\n{line}")
        assert (line, typed.returncode, typed.stdout) == (line, code, printed)


def test_every_line_can_be_typed_again_afterwards(shell: Shell) -> None:
    told = shell("studentcli demo").stdout
    (export, *_), *steps = steps_of(told)
    afterwards = [line for line in NEXT if f"#   {line}\n" in told]
    assert len(afterwards) == len(NEXT)
    for line, code in [*((line, code) for line, code, _ in steps), *((n, 0) for n in NEXT)]:
        typed = shell(f"{export}\n{line}")
        assert (line, typed.returncode) == (line, code), typed.stdout
    assert shell(f"{export}\nstudentcli db check").returncode == 0


def test_a_second_run_starts_afresh_and_keeps_what_the_demo_did_not_make(
    shell: Shell, tmp_path: Path
) -> None:
    first = shell("studentcli demo")
    (tmp_path / FOLDER / "notes.txt").write_text("mine")
    shell(f"studentcli drop S1012 2026FA/PSY110 --database {FOLDER}/demo.db")
    second = shell("studentcli demo")
    assert second.returncode == 0
    assert steps_of(second.stdout) == steps_of(first.stdout)
    assert (tmp_path / FOLDER / "notes.txt").read_text() == "mine"
    assert set(listing_of(tmp_path / FOLDER)) == {*OWN, "notes.txt"}


def _put_database(folder: Path, template: Path) -> None:
    (folder / "demo.db").write_bytes(template.read_bytes())


def _put_journal(folder: Path, template: Path) -> None:
    (folder / "demo.db-wal").write_bytes(template.read_bytes())


def _put_changed_sample(folder: Path, template: Path) -> None:
    del template
    (folder / "students.csv").write_bytes(sample("students.csv") + b"S1,Ada,King,\n")


def _put_link(folder: Path, template: Path) -> None:
    _put_database(folder.parent, template)
    (folder / "demo.db").symlink_to(folder.parent / "demo.db")


def _put_folder(folder: Path, template: Path) -> None:
    (folder / "demo.db").mkdir()
    _put_database(folder / "demo.db", template)


@pytest.mark.parametrize(
    "put", [_put_database, _put_journal, _put_changed_sample, _put_link, _put_folder]
)
@pytest.mark.parametrize("option", ["", "-q", "-n"])
def test_what_only_has_the_name_of_the_demos_is_left_untouched(
    shell: Shell, tmp_path: Path, sqlite_template: Path, put: Callable[..., None], option: str
) -> None:
    (tmp_path / FOLDER).mkdir()
    put(tmp_path / FOLDER, sqlite_template)
    before = listing_of(tmp_path)
    done = shell(f"studentcli demo {option}")
    assert done.returncode == 2
    assert "was not made by the demo" in done.stdout
    assert "hint: move it away, or name another folder: studentcli demo FOLDER" in done.stdout
    assert listing_of(tmp_path) == before


def test_quiet_prints_nothing_and_leaves_the_same_database(shell: Shell, tmp_path: Path) -> None:
    quiet = shell("studentcli -q demo")
    assert (quiet.returncode, quiet.stdout) == (0, "")
    roster = shell(f"studentcli roster 2026FA/PSY110-001 --database {FOLDER}/demo.db").stdout
    assert roster.count("waitlisted") == 3
    assert (tmp_path / FOLDER / "demo.db").stat().st_mode & 0o777 == 0o600


def test_a_dry_run_tells_the_same_commands_and_makes_nothing(shell: Shell, tmp_path: Path) -> None:
    forecast = shell("studentcli demo --dry-run")
    assert forecast.returncode == 0
    assert "would make" in forecast.stdout
    assert list(tmp_path.iterdir()) == []
    real = steps_of(shell("studentcli demo").stdout)
    assert [line for line, *_ in steps_of(forecast.stdout)] == [line for line, *_ in real]


def test_at_a_terminal_of_80_columns_every_row_of_a_table_stays_on_one_line(tmp_path: Path) -> None:
    shown = at_terminal("demo", folder=tmp_path, NO_COLOR="1")
    assert "--format" not in shown
    offered = re.findall(r"^2026FA/\S+ +\S.* +\d+ .* \d +open *$", shown, re.MULTILINE)
    assert len(offered) == 8
    assert (
        len(re.findall(r"^S10\d\d +\S.* (?:enrolled|place \d) +[\d-]{10} *$", shown, re.MULTILINE))
        == 11
    )


def test_settings_of_somebody_elses_database_do_not_reach_it(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "studentcli.toml").write_text('database = "school.db"\nterm = "2030"\n')
    done = shell("studentcli demo", STUDENTCLI_DATABASE_URL="other.db", STUDENTCLI_TERM="2031")
    assert done.returncode == 0, done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {FOLDER, "studentcli.toml"}


@pytest.mark.parametrize("option", ["", "-q"])
def test_a_step_that_fails_stops_the_demo_and_not_the_next_one(shell: Shell, option: str) -> None:
    failed = shell(f"studentcli {option} demo", STUDENTCLI_WAIT="-1")
    assert failed.returncode == 2
    assert "error: wait (environment) must be seconds" in failed.stdout
    assert "import" not in failed.stdout
    assert shell("studentcli -q demo").returncode == 0


def test_ctrl_c_in_a_step_ends_the_demo_and_says_so_once(shell: Shell, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "studentcli", "demo"], env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=tmp_path,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        while "db init" not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        told, said = program.communicate(timeout=60)
    assert program.returncode == 130, said
    assert said.count("interrupted: ") == 1
    assert "Remove it" not in told
    assert shell("studentcli -q demo").returncode == 0


@pytest.mark.parametrize("name", ["it's a/b", "-x", "~", "x://y"])
def test_a_folder_of_any_name_can_be_typed_again(shell: Shell, tmp_path: Path, name: str) -> None:
    done = shell('studentcli demo -- "$FOLDER"', FOLDER=name)
    assert done.returncode == 0, done.stdout
    assert set(listing_of(tmp_path / name)) == OWN
    (export, *_), *steps = steps_of(done.stdout)
    assert shell(f"{export}\n{steps[1][0]}").returncode == 0
    shell(done.stdout.splitlines()[-1].removeprefix("# Remove it: "))
    assert not (tmp_path / name).exists()


def test_in_the_working_folder_only_what_it_made_is_named_for_removal(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = shell("studentcli demo .")
    shell(done.stdout.splitlines()[-1].removeprefix("# Remove it: "))
    assert listing_of(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--database school.db", "makes a database and terms of its own"),
        ("--term 2026FA", "makes a database and terms of its own"),
        ("file", "file is no folder"),
        ("file/below", "cannot hold the demo"),
        ('"$(printf "a\\033b")"', "cannot be typed again"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    shell: Shell, tmp_path: Path, arguments: str, error: str
) -> None:
    (tmp_path / "file").write_text("mine")
    done = shell(f"studentcli demo {arguments}")
    assert done.returncode == 2
    assert error in done.stdout
    assert listing_of(tmp_path) == {"file": b"mine"}


def test_no_date_of_the_sample_can_close_a_door() -> None:
    columns = set(csv.DictReader(sample("terms.csv").decode().splitlines()).fieldnames or ())
    assert columns == {"term", "name", "starts_on", "ends_on", "time_zone"}

"""The command line in a broken surrounding: no traceback, no partial change, the exit code."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.conftest import Run
from tests.desk import (
    EVERYTHING,
    STATE,
    everything_locked,
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


# ── where output goes ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("option", ["export students -o", "import in.csv --rejects"])
def test_a_folder_cannot_be_written_over_and_nothing_is_imported_before_that_is_known(
    desk: World, command: Run, tmp_path: Path, option: str
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
    desk: World, command: Run, tmp_path: Path, option: str
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
    desk: World, command: Run, tmp_path: Path
) -> None:
    content = "student,course\n00731,CS101\n"
    (tmp_path / "in.csv").write_text(content)
    done = command("import", "in.csv", "--rejects", "./in.csv", database=desk)
    assert done.returncode == 2
    assert (tmp_path / "in.csv").read_text() == content
    assert ("00731", "ALL/CS101-1") not in desk.statuses()


def test_a_reader_that_stops_early_ends_the_program_silently(desk: World, shell: Run) -> None:
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
    desk: World, shell: Run, line: str, *, recorded: bool
) -> None:
    done = shell('exec "$@" > /dev/full', *line.split(), database=desk.url)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "[output-failed]" in done.stderr
    assert ("the change was recorded" in done.stderr) is recorded
    assert (("S1042", "ALL/MATH200-1") in desk.statuses()) is recorded


def test_an_export_that_finds_the_disk_full_leaves_the_old_file_as_it_was(
    desk: World, shell: Run, tmp_path: Path
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
def test_a_closed_standard_stream_breaks_nothing(desk: World, shell: Run, redirection: str) -> None:
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
def test_no_environment_is_needed(desk: World, shell: Run, script: str) -> None:
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


@contextmanager
def batch_under_way(world: World, folder: Path, chunk: int) -> Iterator["subprocess.Popen[str]"]:
    """Begin an import of 20,000 rows; gives the process as soon as it has begun to write."""
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(200)))
    world.import_csv("term,course\n" + "".join(f"ALL,C{n}\n" for n in range(100)))
    pairs = "".join(f"S{n},C{m},ALL\n" for n in range(200) for m in range(100))
    (folder / "in.csv").write_text(f"student,course,term\n{pairs}")
    before = rows(world, *EVERYTHING)
    batch = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "import", "in.csv", "--chunk", str(chunk),
         "--rejects", "rejects.csv"],
        env={**os.environ, "STUDENTCLI_DATABASE_URL": world.url, "HOME": str(folder)},
        cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while batch.poll() is None and not is_writing(world):
        time.sleep(0.01)
    yield batch
    assert rows(world, *EVERYTHING) == before
    assert [path.name for path in folder.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_batch_that_is_stopped_is_rolled_back_and_says_how_far_it_was(
    world: World, tmp_path: Path, number: int, code: int, word: str
) -> None:
    with batch_under_way(world, tmp_path, 50) as batch:
        batch.send_signal(number)
        _, told = batch.communicate(timeout=30)
    assert batch.returncode == code
    assert re.fullmatch(
        word + r" at row ([0-9,]+) of [0-9,]+: rolled back, nothing was changed", told.strip()
    )


def test_a_batch_whose_server_session_ends_is_rolled_back_and_says_so(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    world = World(new_database("postgresql"))
    with batch_under_way(world, tmp_path, 500) as batch:
        with world.database.connect(writes=False) as connection:
            killed = connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).all()
        _, told = batch.communicate(timeout=30)
    assert killed
    assert batch.returncode == 7
    assert told.startswith("error: ")
    assert "[database-unavailable]" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_waiting_for_somebody_elses_lock_can_be_stopped(
    world: World, tmp_path: Path, number: int, code: int
) -> None:
    fill_catalogue(world)
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

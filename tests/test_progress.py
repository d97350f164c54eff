"""A long import is seen while it runs: a bar at a terminal, lines in the log."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from studentcli import audit
from studentcli.cli.context import state
from studentcli.cli.progress import Progress
from studentcli.services.operations import Act
from tests.world import World


def long_file(world: World, path: Path, students: int) -> None:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(students)))
    world.course(*(f"C{n}" for n in range(20)))
    pairs = "".join(f"S{n},C{m}\n" for n in range(students) for m in range(20))
    path.write_text(f"student,course\n{pairs}")


def seen_at_a_terminal(world: World, folder: Path, *options: str) -> str:
    """Import a file with a terminal as standard error; gives what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "studentcli", "import", "in.csv", *options],
        env={**os.environ, "STUDENTCLI_DATABASE_URL": world.url, "HOME": str(folder),
             "TERM": "xterm", "COLUMNS": "100"},
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # Linux ends a terminal with an error
        pass
    os.close(ours)
    assert process.wait(30) == 0, shown.decode()
    return shown.decode()


def test_a_long_import_shows_rows_rate_and_time_left_at_a_terminal(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    world = World(new_database("sqlite"))
    long_file(world, tmp_path / "in.csv", 5000)
    shown = seen_at_a_terminal(world, tmp_path, "-n", "--chunk", "200")
    assert "/100000" in shown
    assert "rows/s" in shown
    assert "-:--:--" in shown or "0:00:" in shown
    assert "would be 100000 enrolled" in shown


def test_a_short_import_shows_no_bar(new_database: Callable[..., str], tmp_path: Path) -> None:
    world = World(new_database("sqlite"))
    long_file(world, tmp_path / "in.csv", 2)
    assert "rows/s" not in seen_at_a_terminal(world, tmp_path)


def test_the_log_has_a_line_per_interval_with_rows_rate_and_time_left(tmp_path: Path) -> None:
    path, act = tmp_path / "audit.log", Act("import-enrollments", "csv", "desk 3")
    audit.open_log(str(path), "info")
    try:
        progress = Progress(100, act, shown=False, interval=0)
        progress.advance(25)
        progress.advance(25)
        Progress(100, act, shown=False, interval=60).advance(25)
        Progress(100, None, shown=False, interval=0).advance(25)
    finally:
        audit.close_log()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["event"], first["rows"], second["rows"]) == ("batch_progress", 25, 50)
    assert (second["total"], second["channel"], second["actor"]) == (100, "csv", "desk 3")
    assert second["request_key"] == act.request_key
    assert second["rows_per_second"] > 0
    assert second["seconds_left"] >= 0


def test_where_a_batch_is_begins_anew_with_it() -> None:
    progress = Progress(100, None, shown=False)
    progress.advance(30)
    assert state.place == (30, 100)
    progress.restart()
    assert state.place == (0, 100)
    state.place = None

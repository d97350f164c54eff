"""The README does what it says: its commands are run in order, its output is compared.

In a shown line `…` stands for any text, a line of `…` alone for any lines. Dates are compared as
dates, whichever day it is.
"""

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
NOT_RUN = {"needs the package index", "it is the gate itself"}
DATA_SET = "needs the data set: STUDENTCLI_TEST_OULAD names its folder"
BLOCK = re.compile(
    r"(?:<!-- (?:not run: )?(?P<note>[^>]*) -->\n)?```console\n(?P<body>.*?)```", re.DOTALL
)
Step = tuple[str, list[str]]


def steps_of(body: str) -> list[Step]:
    """Split a block into its commands, each with the lines shown below it."""
    steps: list[Step] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


BLOCKS = [(m["note"], steps_of(m["body"])) for m in BLOCK.finditer(README.read_text("utf-8"))]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Shell:
    """A reader's shell: what is exported stays, what runs in the background is stopped."""

    folder: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    background: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        programs = Path(sys.executable).parent
        self.environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(self.folder),
                            "LC_ALL": "C.UTF-8"}  # fmt: skip

    def run(self, command: str) -> str:
        """Run a line as it stands; gives what it prints on both streams."""
        command = command.replace("8000", str(self.port))
        if command.startswith("export "):
            self.environment |= dict(word.split("=", 1) for word in command.split()[1:])
            return ""
        if command.endswith(" &"):
            self._start(command.removesuffix(" &"))
            return ""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        return done.stdout

    def _start(self, command: str) -> None:
        started = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.background.append(started)
        assert started.stderr is not None
        assert "listening on" in started.stderr.readline()

    def stop(self) -> None:
        for process in self.background:
            process.terminate()
            process.communicate(timeout=20)


@contextmanager
def shell_in(folder: Path) -> Iterator[Shell]:
    shell = Shell(folder)
    try:
        yield shell
    finally:
        shell.stop()


def dateless(text: str) -> str:
    return re.sub(r"\d{4}-\d{2}-\d{2}", "DATE", text)


def pattern_of(shown: list[str]) -> str:
    """Make a pattern of shown lines."""
    parts = []
    for line in shown:
        if line == "…":
            parts.append(r"(?:.*\n)*")
        else:
            parts.append(re.escape(dateless(line)).replace("…", ".*") + r" *\n")
    return "".join(parts)


def require_as_shown(shell: Shell, steps: list[Step]) -> None:
    for command, shown in steps:
        printed = shell.run(command)
        if printed and not printed.endswith("\n"):
            printed += "\n"
        assert re.fullmatch(pattern_of(shown), dateless(printed)), (
            f"$ {command}\n{printed}--- is not as the README shows it:\n" + "\n".join(shown)
        )


def test_every_block_is_run_or_says_why_not() -> None:
    notes = {note for note, _ in BLOCKS if note is not None}
    assert notes == {*NOT_RUN, DATA_SET}
    run = [steps for note, steps in BLOCKS if note is None]
    assert len(list(itertools.chain.from_iterable(run))) > 30


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_do_what_the_readme_shows(tmp_path: Path) -> None:
    with shell_in(tmp_path) as shell:
        for note, steps in BLOCKS:
            if note is None:
                require_as_shown(shell, steps)


def test_the_real_data_comes_in_as_the_readme_shows(tmp_path: Path) -> None:
    folder = os.environ.get("STUDENTCLI_TEST_OULAD")
    if not folder:
        pytest.skip("STUDENTCLI_TEST_OULAD names no folder with the data set")
    (tmp_path / "oulad").symlink_to(Path(folder).absolute())
    with shell_in(tmp_path) as shell:
        for note, steps in BLOCKS:
            if note == DATA_SET:
                require_as_shown(shell, steps)


def test_the_python_example_runs(tmp_path: Path) -> None:
    example = README.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

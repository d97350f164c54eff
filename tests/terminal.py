"""A real shell at a pseudo-terminal: keys go in, the line as the shell then has it comes out."""

import contextlib
import os
import pty
import select
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

SCRIPTS = sysconfig.get_path("scripts")
CTRL_G, CTRL_U = b"\x07", b"\x15"
PROMPT = b"READY>"

# Ctrl-G writes the line into a file; moved there, so that it is never read half.
RC = {
    "bash": (
        ".bashrc",
        (
            "PS1='READY> '\n"
            """bind -x '"\\C-g": printf %s "$READLINE_LINE" >~/.line; mv ~/.line ~/line'\n"""
        ),
    ),
    "zsh": (
        ".zshrc",
        (
            "PS1='READY> '\n"
            'dump() { print -rn -- "$BUFFER" >~/.line; mv ~/.line ~/line }\n'
            "zle -N dump\nbindkey '^G' dump\n"
        ),
    ),
    "fish": (
        ".config/fish/config.fish",
        (
            "function fish_prompt; echo 'READY> '; end\nset fish_greeting\n"
            "bind \\cg 'commandline >~/.line; mv ~/.line ~/line'\n"
        ),
    ),
}
# The pseudo-terminal becomes the shell's controlling one, without forking a process with threads.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Give the environment of somebody at a terminal with this home."""
    path = os.pathsep.join([SCRIPTS, "/usr/local/bin", "/usr/bin", "/bin"])
    return {"HOME": str(home), "PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8", **more}


class Terminal:
    """An interactive shell."""

    def __init__(self, shell: str, home: Path, **more: str) -> None:
        name, lines = RC[shell]
        rc = home / name
        rc.parent.mkdir(parents=True, exist_ok=True)
        with rc.open("a") as file:
            file.write(f"\n{lines}")
        self._dump = home / "line"
        self._seen = b""
        self._shell = shutil.which(shell) or shell
        self._environment = environment(home, **more)
        self._home = home

    def __enter__(self) -> Self:
        """Start the shell and wait for its prompt."""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, self._shell, "-i"],
            stdin=slave, stdout=slave, stderr=slave, env=self._environment, cwd=self._home,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._read_until(lambda: PROMPT in self._seen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def line_after(self, keys: str) -> str:
        """Type keys into an empty line; gives the line as it is then."""
        self._dump.unlink(missing_ok=True)
        os.write(self._master, CTRL_U + keys.encode() + CTRL_G)
        self._read_until(self._dump.exists)
        return self._dump.read_text(encoding="utf-8").removesuffix("\n")

    def _read_until(self, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not is_done():
            assert time.monotonic() < deadline, self._seen.decode(errors="replace")
            if select.select([self._master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self._seen += os.read(self._master, 65536)

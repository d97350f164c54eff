"""Runs a program as a child and says what it cost: wall time, processor time, peak memory."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAUNCHER: Final = """
import json, os, sys, time
begun = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
status, usage = os.wait4(child, 0)[1:]
wall = time.perf_counter() - begun
code = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([code, wall, cpu, usage.ru_maxrss]), file=sys.stderr)
"""
"""A small process between us and the child: on Linux a child's peak memory is at least that of
the process that started it."""


class ChildFailedError(Exception):
    """The measured program ended with an exit code that was not expected."""


@dataclass(frozen=True)
class Usage:
    """What a child cost: seconds, seconds of processor, MB."""

    wall: float
    cpu: float
    peak_mb: float
    stderr: str


def measure(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    accepted: Collection[int] = (0,),
) -> Usage:
    """Run a program to its end, its standard output in a pipe.

    Args:
        arguments: the program's full path, and its arguments.
        environment: beside this process's own, without its `STUDENTCLI_` settings.
        folder: where it runs.
        accepted: the exit codes that are no failure.

    Raises:
        ChildFailedError: with what it wrote to stderr.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", LAUNCHER, *arguments],
        env=clean_environment(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    told, _, figures = done.stderr.rstrip().rpartition("\n")
    code, wall, cpu, peak = json.loads(figures)
    if code not in accepted:
        raise ChildFailedError(f"{' '.join(arguments)} ended with {code}: {told[-2000:]}")
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(wall, cpu, peak * unit / 1e6, told)


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Give this process's environment without settings that would change the measurement."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STUDENTCLI_", "PYTHON"))
    }
    return {**kept, **more}

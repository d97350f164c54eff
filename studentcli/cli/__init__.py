"""The command line: one file per noun or verb; parse, call one service function, render."""

import contextlib
import os
import sys


def main() -> None:
    """Run `studentcli` with this process's arguments."""
    arguments = sys.argv[1:]
    try:
        from studentcli.cli.app import build_app
        from studentcli.cli.boundary import run
        from studentcli.cli.context import open_streams

        open_streams()
        status = run(build_app(arguments), arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was changed\n")
        status = 130
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    if status == 130:
        _leave_interrupted()
    sys.exit(status)


def _leave_interrupted() -> None:
    """Leave with exit code 130, and not by the signal.

    Python remembers a Ctrl-C that came while it ran code from text, as dataclasses do when they
    are imported, and would end the process by SIGINT although everything was handled.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(130)

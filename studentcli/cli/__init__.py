"""The command line: one file per noun or verb; parse, call one service function, render."""

import sys


def main() -> None:
    """Run `studentcli` with this process's arguments."""
    from studentcli.cli.app import app
    from studentcli.cli.boundary import run

    sys.exit(run(app, sys.argv[1:]))

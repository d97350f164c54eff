"""The command line: one file per noun or verb; parse, call one service function, render."""

import sys


def main() -> None:
    """Run `studentcli` with this process's arguments."""
    from studentcli.cli.app import build_app
    from studentcli.cli.boundary import run

    arguments = sys.argv[1:]
    sys.exit(run(build_app(arguments), arguments))

"""The command line: one file per noun or verb; parse, call one service function, render."""

import sys


def main() -> None:
    """Run `studentcli` with this process's arguments."""
    from studentcli.cli.context import open_streams

    open_streams()
    arguments = sys.argv[1:]
    try:
        from studentcli.cli.app import build_app
        from studentcli.cli.boundary import run
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was changed\n")
        sys.exit(130)
    sys.exit(run(build_app(arguments), arguments))

"""demo: the main job in one command, on a database of its own.

Every step goes through the same command line as if it had been typed: what is shown is what
happens.
"""

import io
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from studentcli import errors
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.settings import ENVIRONMENT

if TYPE_CHECKING:
    from studentcli.demo import DemoFolder, Step

PANEL = "Help"


def add_to(app: typer.Typer) -> None:
    """Declare the command."""

    @command(app, writes=True, panel=PANEL)
    def demo(
        cli: Cli,
        folder: Annotated[
            str,
            typer.Argument(metavar="FOLDER", help="Made here; a demo's own is started afresh."),
        ] = "studentcli-demo",
    ) -> None:
        """Show the main job on a small sample university.

        Example: studentcli demo
        """
        from studentcli.demo import FIRST, STORY, DemoFolder

        if cli.options["database"] or cli.options["term"]:
            raise errors.Usage(
                "the demo makes a database and terms of its own",
                hint="studentcli demo FOLDER says where",
            )
        place = DemoFolder(folder)
        if cli.dry_run:
            place.require_own()
        else:
            place.start_afresh()
        show = _Show(cli, place)
        show.begin()
        with _environment(show.variables):
            try:
                show.take(FIRST)
            finally:  # also a demo that is stopped here must not lock itself out
                place.claim_database()
            for step in STORY:
                show.take(step)
        if not cli.dry_run:
            show.end()


class _Show:
    """Tells the story: prints every command and runs it.

    Args:
        cli: with --quiet only what goes wrong is told; with --dry-run nothing is run.
        place: the folder.
    """

    def __init__(self, cli: Cli, place: "DemoFolder") -> None:
        from studentcli.demo import TERM

        self.cli = cli
        self.place = place
        wanted = {"database": place.database, "term": TERM}
        given = {name: cli.options[name] for name in ("actor", "wait")}
        wanted |= {name: str(value) for name, value in given.items() if value is not None}
        self.variables = {ENVIRONMENT[name]: text for name, text in wanted.items()}
        # At a terminal a table comes by itself, and the command stays short.
        self.fmt = cli.explicit_format or (None if sys.stdout.isatty() else "table")

    def begin(self) -> None:
        """Tell where everything is, and how a shell comes to mean it."""
        from studentcli.demo import SAMPLES

        made = "Forecast: would make" if self.cli.dry_run else "Made"
        self._say(f"# {made} the folder {self.place.name} with the files")
        self._say(f"# {', '.join(SAMPLES)}.")
        self._say("# What follows a $ you can type yourself, here and in this order.")
        self._say(f"$ {self._export()}")

    def take(self, step: "Step") -> None:
        """Tell one step and run it.

        Raises:
            SystemExit: with the step's exit code, when that is not the one of the story.
        """
        arguments = step.arguments(self.place.name, self.fmt)
        if step.words:
            self._say(f"\n# {step.words}")
        self._say(f"$ {shlex.join(['studentcli', *arguments])}")
        if self.cli.dry_run:
            return
        with self._hushed() as said:
            code = _run(arguments)
        if code != step.exit_status:
            sys.stderr.write(said.getvalue())  # why, in the one form of errors
            sys.exit(code or errors.ExitStatus.UNEXPECTED)
        if code:
            self._say(f"# Its exit code is {code}, so that a script can tell.")

    def end(self) -> None:
        """Tell what to try next, and how to leave no trace."""
        from studentcli.demo import NEXT

        self._say("\n# That is the main job. What you could try next:")
        for line in (self._export(), *NEXT):
            self._say(f"#   {line}")
        self._say(f"# Again from the start: {shlex.join(['studentcli', 'demo', self.place.name])}")
        self._say(f"# Remove it: {shlex.join(self.place.how_to_remove())}")

    def _export(self) -> str:
        return shlex.join(["export", *(f"{n}={text}" for n, text in self.variables.items())])

    def _say(self, line: str) -> None:
        if not self.cli.quiet:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()  # what the command says on stderr comes after it

    @contextmanager
    def _hushed(self) -> Iterator[io.StringIO]:
        """Keep what a step says on stderr to ourselves with --quiet; nothing otherwise."""
        said = io.StringIO()
        if not self.cli.quiet:
            yield said
            return
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            yield said


def _run(arguments: list[str]) -> int:
    """Run a command line as the program itself does, without the cost of a new process."""
    from studentcli.cli.app import build_app
    from studentcli.cli.boundary import run

    return run(build_app(arguments), arguments)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Let commands run as in a shell that has exported the variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

"""The root of the command line: options in front of every command, and the commands."""

from typing import Annotated

import typer

from studentcli import __version__
from studentcli.cli import catalog, changes, db, files, history, lists
from studentcli.cli.framework import (
    ActorOption,
    DatabaseOption,
    FormatOption,
    QuietOption,
    TermOption,
    WaitOption,
    new_app,
    remember_options,
)

app = new_app(
    "Student enrollment from the command line. Start with: studentcli db init", add_completion=True
)


def _version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if wanted:
        typer.echo(f"studentcli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    database: DatabaseOption = None,
    term: TermOption = None,
    format: FormatOption = None,  # noqa: A002  (the option's name)
    actor: ActorOption = None,
    wait: WaitOption = None,
    quiet: QuietOption = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Student enrollment from the command line. Start with: studentcli db init."""
    del version
    remember_options(
        {
            "database": database,
            "term": term,
            "format": format,
            "actor": actor,
            "wait": wait,
            "quiet": quiet,
        }
    )


changes.add_to(app)
lists.add_to(app)
catalog.add_to(app)
files.add_to(app)
history.add_to(app)
db.add_to(app)

"""The root of the command line: options in front of every command, and the commands."""

import inspect
from importlib import import_module
from typing import Annotated, Final

import typer

from studentcli import __version__
from studentcli.cli.framework import (
    ActorOption,
    DatabaseOption,
    FormatOption,
    LogFileOption,
    LogLevelOption,
    QuietOption,
    TermOption,
    WaitOption,
    new_app,
    remember_options,
)
from studentcli.cli.shells import InstallOption, Root, ShowOption

FILES: Final = {
    "changes": ("enroll", "drop", "withdraw", "complete"),
    "holds": ("hold",),
    "overrides": ("override",),
    "lists": ("courses", "roster"),
    "explain": ("explain",),
    "waitlist": ("waitlist",),
    "students": ("student",),
    "catalog": ("course", "term"),
    "imports": ("import",),
    "exports": ("export",),
    "plan": ("apply", "plan"),
    "history": ("history",),
    "batch": ("undo", "batch"),
    "db": ("db",),
    "serve": ("serve",),
    "demo": ("demo",),
    "help": ("help",),
}
"""Which file of this package holds which commands; a test holds it equal to what they declare."""


def build_app(arguments: list[str]) -> typer.Typer:
    """Build the application, loading only the file of the command that is called.

    Args:
        arguments: the command line. When its first command is not plain to see (help, completion,
            an option with a value in front), every file is loaded.
    """
    app = new_app(inspect.getdoc(root) or "", cls=Root)
    app.callback()(root)
    first = arguments[0] if arguments else ""
    owner = [name for name, commands in FILES.items() if first in commands]
    for name in owner or FILES:
        import_module(f"studentcli.cli.{name}").add_to(app)
    return app


def _version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if wanted:
        typer.echo(f"studentcli {__version__}")
        raise typer.Exit


def root(
    *,
    database: DatabaseOption = None,
    term: TermOption = None,
    format: FormatOption = None,  # noqa: A002  (the option's name)
    actor: ActorOption = None,
    wait: WaitOption = None,
    log_file: LogFileOption = None,
    log_level: LogLevelOption = None,
    quiet: QuietOption = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    install_completion: InstallOption = None,
    show_completion: ShowOption = None,
) -> None:
    """Student enrollment from the command line. Start with: studentcli db init.

    Example: studentcli enroll S1042 CS101 MATH200
    """
    del version, install_completion, show_completion
    remember_options(
        {
            "database": database,
            "term": term,
            "format": format,
            "actor": actor,
            "wait": wait,
            "log_file": log_file,
            "log_level": log_level,
            "quiet": quiet,
        }
    )

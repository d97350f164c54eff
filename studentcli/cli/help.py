"""help: the topics that no single command owns, and the help of every command."""

from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.framework import Command

PANEL = "Help"


def add_to(app: typer.Typer) -> None:
    """Declare the command.

    Not through `@command`: help must be had also where the settings cannot be read.
    """

    @app.command(cls=Command, rich_help_panel=PANEL)
    def help(  # noqa: A001  (the word that people type)
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[TOPIC | COMMAND...]",
                help="A topic or a command; the topics are listed if left out.",
                show_default=False,
                autocompletion=_words,
            ),
        ] = None,
    ) -> None:
        """Explain exit codes, files, settings, cron, or a command.

        Example: studentcli help exit-codes
        """
        from studentcli.cli.topics import TOPICS, list_topics

        if not words:
            typer.echo(list_topics())
        elif len(words) == 1 and words[0] in TOPICS:
            typer.echo(TOPICS[words[0]].text())
        else:
            _show_command(words, [*TOPICS])


def _words(incomplete: str) -> list[str]:
    from studentcli.cli.app import FILES
    from studentcli.cli.topics import TOPICS

    commands = (name for names in FILES.values() for name in names)
    return complete.one_of(*TOPICS, *commands)(incomplete)


def _show_command(words: list[str], topics: list[str]) -> None:
    """Print what `studentcli WORDS --help` prints."""
    from studentcli.cli.app import build_app

    app: Any = typer.main.get_command(build_app(words))
    context = app.make_context("studentcli", [], resilient_parsing=True)
    known = topics
    for word in words:
        commands = getattr(context.command, "commands", {})
        if word not in commands:
            raise _unknown(words, word, [*known, *commands])
        known = []
        context = commands[word].make_context(word, [], parent=context, resilient_parsing=True)
    typer.echo(context.get_help())


def _unknown(words: list[str], word: str, known: list[str]) -> errors.NotFound:
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    before = " ".join(words[: words.index(word)])
    name = f"{before} {word}".strip()
    suggestion = f"did you mean studentcli help {f'{before} {near[0]}'.strip()}?" if near else None
    return errors.NotFound(
        f"there is no help on {name!r}",
        hint=suggestion or "studentcli help lists the topics, studentcli --help the commands",
    )

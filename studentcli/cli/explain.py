"""explain: every rule of an enrollment, passed or not, with the evidence and the way out."""

import typer

from studentcli.cli.arguments import CoursesArgument, StudentArgument
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.errors import ExitStatus
from studentcli.render import Column, listing

PANEL = "Look up"

RULE_DATA = (
    Column("course", ""), Column("would", ""), Column("place", ""), Column("rule", ""),
    Column("result", ""), Column("message", ""), Column("hint", ""), Column("override", ""),
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Declare the command."""

    @command(app, panel=PANEL)
    def explain(cli: Cli, student: StudentArgument, courses: CoursesArgument) -> None:
        """Say what every rule says about an enrollment; change nothing.

        Example: studentcli explain S1042 CS101 MATH200
        """
        from studentcli import render, values
        from studentcli.services.explaining import explain as explain_all

        number = values.identifier(student)
        words = [values.identifier(word) for word in courses]
        found = cli.database.read(
            lambda session: explain_all(session, number, words, cli.policy(), term=cli.term)
        )
        if cli.fmt == "table":
            render.explanations([(each.outcome, each.rows()) for each in found])
        else:
            listing([row for each in found for row in each.rows()], RULE_DATA, cli.fmt)
        if any(each.outcome.is_refused for each in found):
            cli.exit_status = ExitStatus.REFUSED

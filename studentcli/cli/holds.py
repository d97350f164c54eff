"""hold: what blocks a student's registration; placing, lifting, looking up."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import (
    OptionalStudentArgument,
    ReasonOption,
    StudentArgument,
    record_number,
)
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, counted, listing
from studentcli.vocabulary import HOLD_BLOCKS

PANEL = "Enrollment"
USUAL_KINDS = ("registrar", "advising", "bursar", "conduct", "health", "library")

WHAT = (
    Column("hold", "No.", "number"),
    Column("student", "Student", "key"),
    Column("kind", "Kind"),
    Column("blocks", "Blocks"),
    Column("from_on", "From", "date"),
    Column("until_on", "Until", "date"),
    Column("state", "State", "status"),
)
WHY = (Column("reason", "Reason"), Column("placed_by", "Placed by"))
REST = (
    Column("placed_at", "Placed (UTC)", "time"),
    Column("lifted_by", "Lifted by"),
    Column("lifted_at", "Lifted (UTC)", "time"),
)
HOLD_DATA = (*WHAT, *WHY, *REST)
DONE_DATA = (Column("result", "Result", "status"), *HOLD_DATA)

KindOption = Annotated[
    str,
    typer.Option(
        "--kind",
        metavar="WORD",
        help="Whose hold it is, in a word of your own.",
        autocompletion=complete.one_of(*USUAL_KINDS),
    ),
]
BlocksOption = Annotated[
    str,
    typer.Option(
        "--blocks",
        metavar="|".join(HOLD_BLOCKS),
        help="Adding; or also dropping and withdrawing.",
        autocompletion=complete.one_of(*HOLD_BLOCKS),
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", help="First day, YYYY-MM-DD; today if left out."),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE", help="Last day; until lifted if left out."),
]


def _sentence(row: dict[str, Any], *, forecast: bool) -> str:
    number = f"hold {row['hold']}" if row["hold"] else "a hold"
    what = f"{number} ({row['kind']}) on {row['student']}"
    if row["result"] == "unchanged":
        return f"{what} is {'lifted' if row['state'] == 'lifted' else 'placed'} already"
    until = f" until {row['until_on']}" if row["until_on"] else ""
    when = f" from {row['from_on']}{until}" if row["result"] == "placed" else ""
    return f"{what} {'would be' if forecast else 'is'} {row['result']}{when}"


def _place(
    cli: Cli, student: str, words: dict[str, str], first: str | None, last: str | None
) -> None:
    from studentcli import values
    from studentcli.services.holds import place_hold

    reason = values.reason(words["reason"])
    act = cli.act("hold-place", reason=reason)
    unit = partial(
        place_hold,
        student=values.identifier(student),
        act=act,
        kind=values.identifier(words["kind"]),
        blocks=values.one_of(*HOLD_BLOCKS)(words["blocks"]),
        reason=reason,
        from_on=None if first is None else values.iso_date(first),
        until_on=None if last is None else values.iso_date(last),
    )
    cli.show_done(cli.follow(unit, act).rows, DONE_DATA, _sentence)


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app("Holds: place, lift, look up.\n\nExample: studentcli hold list S1042")
    app.add_typer(group, name="hold", rich_help_panel=PANEL)

    @command(group, "place", writes=True)
    def place(
        cli: Cli,
        student: StudentArgument,
        *,
        reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
        kind: KindOption = USUAL_KINDS[0],
        blocks: BlocksOption = HOLD_BLOCKS[0],
        from_: FromOption = None,
        until: UntilOption = None,
    ) -> None:
        """Place a hold that blocks a student's registration.

        Example: studentcli hold place S1042 --kind library --reason 'two books'
        """
        words = {"kind": kind, "blocks": blocks, "reason": reason}
        _place(cli, student, words, from_, until)

    @command(group, "lift", writes=True)
    def lift(
        cli: Cli,
        numbers: Annotated[
            list[str],
            typer.Argument(
                metavar="NUMBER...", help="Holds, as hold list numbers them.", show_default=False
            ),
        ],
        *,
        reason: ReasonOption = None,
    ) -> None:
        """Lift holds; whoever waits for a free seat gets it.

        Example: studentcli hold lift 1 --reason 'books are back'
        """
        from studentcli.services.holds import lift_holds

        hint = "studentcli hold list shows the holds"
        hold_ids = [record_number(number, "a hold", hint) for number in numbers]
        act = cli.act("hold-lift", reason=reason)
        lifted = cli.follow(partial(lift_holds, hold_ids=hold_ids, act=act), act)
        cli.show_done(lifted.rows, DONE_DATA, _sentence)
        cli.show_promotions(lifted.promotions)

    @command(group, "list")
    def list_(
        cli: Cli,
        student: OptionalStudentArgument = None,
        *,
        everything: Annotated[
            bool, typer.Option("--all", help="Also those that are over or were lifted.")
        ] = False,
    ) -> None:
        """List holds, of everybody or of a student.

        Example: studentcli hold list S1042 --all
        """
        from studentcli import values
        from studentcli.services.holds import list_holds

        number = None if student is None else values.identifier(student)
        rows = cli.database.read(
            partial(list_holds, policy=cli.policy(), student=number, everything=everything)
        )
        columns = (*WHAT, *WHY) if cli.fmt == "table" else HOLD_DATA
        listing(rows, columns, cli.fmt, footer=counted(len(rows), "hold"))

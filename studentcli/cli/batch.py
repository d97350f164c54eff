"""undo and batch: taking an operation back; the files that were imported."""

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from studentcli import errors
from studentcli.cli.arguments import ReasonOption, record_number
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.cli.history import EVENT_COLUMNS, LimitOption
from studentcli.render import Column, counted, listing, note, record

if TYPE_CHECKING:
    from studentcli.services.undoing import Undone

PANEL = "Files"
HINT = "studentcli history lists the operations"

NumberArgument = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help="Operation, as history numbers it.", show_default=False),
]
BATCH_HINT = "studentcli batch list shows the batches"
BatchArgument = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help="Batch, as batch list numbers it.", show_default=False),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-changed", help="Leave out what was changed since.")
]

UNDONE_COLUMNS = (
    Column("record", "What"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("from_status", "From", "status"),
    Column("to_status", "To", "status"),
    Column("code", "Left by"),
    Column("message", "Message"),
)
WHAT = (
    Column("batch", "No.", "number"),
    Column("started_at", "When (UTC)", "time"),
    Column("kind", "What"),
    Column("actor", "Who"),
    Column("source", "File"),
    Column("outcome", "Outcome", "status"),
    Column("undone_by", "Undone by", "number"),
    Column("totals", "Totals"),
)
BATCH_COLUMNS = (
    *WHAT,
    Column("scope", "Scope of the sync"),
    Column("guards", "Its guards"),
    Column("finished_at", "Finished (UTC)", "time"),
    Column("source_sha256", "SHA-256"),
    Column("reason", "Reason"),
)
REJECT_COLUMNS = (
    Column("line", "Line", "number"),
    Column("action", "Action"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("effective_on", "Effective", "date"),
    Column("code", "Refused by"),
    Column("message", "Message"),
)
EVERY_ROW = 10_000_000


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""

    @command(app, "undo", writes=True, panel=PANEL)
    def undo(
        cli: Cli, number: NumberArgument, *, skip_changed: SkipOption = False,
        reason: ReasonOption = None,
    ) -> None:  # fmt: skip
        """Take an operation back, with the promotions that it caused.

        Example: studentcli undo 5 --reason 'wrong file'
        """
        _undo(cli, number, skip_changed=skip_changed, reason=reason)

    group = new_app("Files that were imported.\n\nExample: studentcli batch list")
    app.add_typer(group, name="batch", rich_help_panel=PANEL)

    @command(group, "undo", writes=True)
    def batch_undo(
        cli: Cli, number: NumberArgument, *, skip_changed: SkipOption = False,
        reason: ReasonOption = None,
    ) -> None:  # fmt: skip
        """Take a file back: the same as undo.

        Example: studentcli batch undo 5 --reason 'wrong file'
        """
        _undo(cli, number, skip_changed=skip_changed, reason=reason)

    @command(group, "list")
    def list_(cli: Cli, *, limit: LimitOption = 50) -> None:
        """List the files that were imported, newest first.

        Example: studentcli batch list --limit 10
        """
        from studentcli.services.imports import list_batches

        rows = cli.database.read(partial(list_batches, limit=limit))
        listing(rows, WHAT if cli.fmt == "table" else BATCH_COLUMNS, cli.fmt)

    @command(group, "show")
    def show(
        cli: Cli,
        number: BatchArgument,
        *,
        rows: Annotated[bool, typer.Option("--rows", help="What came of its rows.")] = False,
    ) -> None:
        """Show one import, or everything that it changed and refused.

        Example: studentcli batch show 9 --rows
        """
        _show(cli, record_number(number, "a batch", BATCH_HINT), rows=rows)

    @command(group, "rejects")
    def rejects(cli: Cli, number: BatchArgument) -> None:
        """List the rows that an import refused; CSV unless --format names another form.

        Example: studentcli batch rejects 9
        """
        from studentcli.services.imports import count_refused, list_rejects

        batch_id = record_number(number, "a batch", BATCH_HINT)
        found = cli.database.read(partial(list_rejects, operation_id=batch_id))
        listing(found, REJECT_COLUMNS, cli.explicit_format or "csv")
        refused = cli.database.read(partial(count_refused, operation_id=batch_id))
        if refused > len(found) and not cli.quiet:
            kept = "refused row is" if refused - len(found) == 1 else "refused rows are"
            note(
                f"{refused - len(found)} {kept} not kept;"
                " import FILE -n --rejects FILE lists what is refused now"
            )


def _show(cli: Cli, batch_id: int, *, rows: bool) -> None:
    from studentcli.services.history import list_events
    from studentcli.services.imports import show_batch

    shown = cli.database.read(partial(show_batch, operation_id=batch_id))
    if not rows:
        record(shown, BATCH_COLUMNS, cli.fmt)
        return
    policy = cli.policy()
    found = cli.database.read(
        partial(list_events, policy=policy, operation=batch_id, limit=EVERY_ROW)
    )
    columns = [
        column
        for column in EVENT_COLUMNS
        if cli.fmt != "table" or any(row[column.name] is not None for row in found)
    ]
    listing(found, columns, cli.fmt)


def _undo(cli: Cli, number: str, *, skip_changed: bool, reason: str | None) -> None:
    from studentcli.services.undoing import undo_operation

    operation_id = record_number(number, "an operation", HINT)
    act = cli.act("undo", reason=reason)
    unit = partial(undo_operation, operation_id=operation_id, act=act, skip_changed=skip_changed)
    undone = cli.follow(unit, act)
    if not cli.quiet or undone.blocked:
        _list_undone(cli, undone)
    if undone.result == "refused":
        count = len(undone.blocked)
        raise errors.ChangedSince(
            f"operation {number} is not undone: {count} of its changes"
            f" {'does' if count == 1 else 'do'} not go back",
            hint=_way_out(undone),
        )
    cli.done(_sentence(undone, forecast=cli.dry_run))
    cli.show_promotions(undone.promotions)
    cli.show_warnings(undone.warnings)


def _way_out(undone: "Undone") -> str:
    """Say what makes an undo possible that something stands against."""
    later = sorted({row["since"] for row in undone.blocked if row["since"]}, reverse=True)
    ways = [f"studentcli undo {number} first" for number in later[:3]]
    if not later and {row["code"] for row in undone.blocked} & {"course-full", "seat-reserved"}:
        ways.append("studentcli course edit COURSE --capacity N makes room")
    if undone.possible:
        ways.append(f"--skip-changed takes the other {counted(undone.possible, 'change')} back")
    return "; ".join(ways) or "studentcli history shows what has changed them"


def _list_undone(cli: Cli, undone: "Undone") -> None:
    """List what went back, then what did not; without what only a refusal says if there is none."""
    if undone.taken_back or undone.blocked:
        columns = UNDONE_COLUMNS if undone.blocked else UNDONE_COLUMNS[:-2]
        listing(chain(undone.rows(), undone.blocked), columns, cli.fmt)


def _sentence(undone: "Undone", *, forecast: bool) -> str:
    number = undone.undone
    if undone.result == "unchanged":
        if undone.already is not None:
            return f"operation {number} is already undone, by operation {undone.already}"
        return f"operation {number} has changed nothing that is left to undo"
    count = len(undone.taken_back)
    what = f"{counted(count, 'change')} {'would go' if forecast else 'went'} back"
    left = f", {len(undone.blocked)} left as they are" if undone.blocked else ""
    by = "" if undone.operation_id is None else f" (operation {undone.operation_id})"
    return f"operation {number} {'would be' if forecast else 'is'} undone: {what}{left}{by}"

"""undo and batch: taking an operation back; the files that were imported."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli.arguments import ReasonOption, record_number
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.cli.history import EVENT_COLUMNS, LimitOption
from studentcli.render import Column, counted, listing, note, record

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
        from studentcli.services.imports import list_rejects, show_batch

        batch_id = record_number(number, "a batch", BATCH_HINT)
        found = cli.database.read(partial(list_rejects, operation_id=batch_id))
        listing(found, REJECT_COLUMNS, cli.explicit_format or "csv")
        shown = cli.database.read(partial(show_batch, operation_id=batch_id))
        if shown["outcome"] == "aborted" and not cli.quiet:
            note("nothing was applied, so no rows are kept; import FILE --rejects FILE lists them")


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
    rows = [{**row, "code": None, "message": None} for row in undone.rows]
    rows += [{"from_status": None, "to_status": None, **row} for row in undone.blocked]
    if rows and not (cli.quiet and not undone.blocked):
        listing(rows, _filled(rows), cli.fmt)
    if undone.result == "refused":
        count = len(undone.blocked)
        raise errors.ChangedSince(
            f"operation {number} is not undone: {count} of its changes"
            f" {'does' if count == 1 else 'do'} not go back"
        )
    cli.done(_sentence(undone, forecast=cli.dry_run))
    cli.show_promotions(undone.promotions)


def _filled(rows: list[dict[str, Any]]) -> list[Column]:
    """Leave out what only a refusal says when there is none."""
    has_refusals = any(row["code"] is not None for row in rows)
    return [c for c in UNDONE_COLUMNS if has_refusals or c.name not in {"code", "message"}]


def _sentence(undone: Any, *, forecast: bool) -> str:
    number = undone.undone
    if undone.result == "unchanged":
        return f"operation {number} is already undone, or has changed nothing"
    count = len(undone.rows)
    what = f"{counted(count, 'change')} {'would go' if forecast else 'went'} back"
    left = f", {len(undone.blocked)} left as they are" if undone.blocked else ""
    by = "" if undone.operation_id is None else f" (operation {undone.operation_id})"
    return f"operation {number} {'would be' if forecast else 'is'} undone: {what}{left}{by}"

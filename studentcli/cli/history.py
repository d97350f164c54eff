"""history: who did what, when, through which door, and what came of it."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import record_number
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.render import Column, listing, note

PANEL = "Look up"

StudentOption = Annotated[
    str | None,
    typer.Option(
        "--student",
        metavar="STUDENT",
        help="Of this student.",
        autocompletion=complete.students,
    ),
]
CourseOption = Annotated[
    str | None,
    typer.Option(
        "--course",
        metavar="COURSE",
        help="Of this course.",
        autocompletion=complete.courses,
    ),
]
LimitOption = Annotated[
    int,
    typer.Option("--limit", metavar="NUMBER", min=1, max=1_000_000, help="The newest so many."),
]

OPERATION_COLUMNS = (
    Column("operation", "No.", "number"),
    Column("started_at", "When (UTC)", "time"),
    Column("kind", "What"),
    Column("actor", "Who"),
    Column("channel", "Through"),
    Column("outcome", "Outcome", "status"),
    Column("totals", "Totals"),
    Column("source", "File"),
    Column("reason", "Reason"),
)
EVENT_COLUMNS = (
    Column("operation", "No.", "number"),
    Column("recorded_at", "When (UTC)", "time"),
    Column("actor", "Who"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("term", "Term", "key"),
    Column("action", "Action"),
    Column("from_status", "From", "status"),
    Column("to_status", "To", "status"),
    Column("code", "Refused by"),
    Column("grade", "Grade"),
    Column("effective_on", "Effective", "date"),
    Column("line", "Line", "number"),
    Column("changes", "Changes"),
    Column("detail", "Detail"),
)
EVENT_TABLE = (
    Column("operation", "No.", "number"),
    Column("effective_on", "Effective", "date"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("term", "Term", "key"),
    Column("action", "Action"),
    Column("change", "Change"),
    Column("actor", "Who"),
)


def add_to(app: typer.Typer) -> None:
    """Declare the command."""

    @command(app, panel=PANEL)
    def history(
        cli: Cli,
        number: Annotated[
            str | None,
            typer.Argument(metavar="[NUMBER]", help="Show this operation.", show_default=False),
        ] = None,
        *,
        student: StudentOption = None,
        course: CourseOption = None,
        limit: LimitOption = 50,
    ) -> None:
        """Show operations, or the events of one, a student, a course.

        Example: studentcli history --student S1042
        """
        hint = "studentcli history"
        operation = None if number is None else record_number(number, "an operation", hint)
        if operation is None and student is None and course is None and cli.term is None:
            _show_operations(cli, limit)
        else:
            _show_events(cli, operation, student, course, limit)


def _show_operations(cli: Cli, limit: int) -> None:
    from studentcli.services.history import list_operations

    rows = cli.database.read(partial(list_operations, limit=limit))
    listing(rows, _filled(rows, OPERATION_COLUMNS, cli.fmt), cli.fmt)


def _show_events(
    cli: Cli, operation: int | None, student: str | None, course: str | None, limit: int
) -> None:
    from studentcli import values
    from studentcli.services.history import list_events

    rows = cli.database.read(
        partial(
            list_events,
            policy=cli.policy(),
            operation=operation,
            student=None if student is None else values.identifier(student),
            course=None if course is None else values.identifier(course),
            term=cli.term,
            limit=limit + 1,
        )
    )
    newest = rows[-limit:]
    if cli.fmt == "table":
        newest = [_for_people(row) for row in newest]
    columns = EVENT_TABLE if cli.fmt == "table" else EVENT_COLUMNS
    listing(newest, _filled(newest, columns, cli.fmt), cli.fmt)
    if len(rows) > limit and not cli.quiet:
        note(f"these are the newest {limit}; --limit NUMBER shows more")


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    """Say in one cell what an event changed; a change of the catalogue counts from its day on."""
    return {
        **row,
        "change": _change(row),
        "term": None if row["course"] else row["term"],
        "effective_on": row["effective_on"] or row["recorded_at"].date(),
    }


def _change(row: dict[str, Any]) -> str:
    """Say what an event changed, or which rule refused it."""
    if row["changes"] is not None:
        return str(row["changes"])
    if row["code"]:
        verb = {"pass-over": "passed over", "repair": "by its events"}.get(row["action"], "refused")
        said = f"{row['from_status'] or '–'} → {row['to_status'] or '–'}"
        return f"{verb}: {said if row['action'] == 'repair' else row['code']}"
    grade = f" ({row['grade']})" if row["grade"] else ""
    before = f"{row['from_status']} → " if row["from_status"] else ""
    return f"{before}{row['to_status'] or '–'}{grade}"


def _filled(rows: list[dict[str, Any]], columns: tuple[Column, ...], fmt: str) -> list[Column]:
    """Leave out of a table what no row says: a terminal is narrow. Data keeps every column."""
    return [
        column
        for column in columns
        if fmt != "table" or any(row[column.name] is not None for row in rows)
    ]

"""history: who did what, when, through which door, and what came of it."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.render import Column, listing

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
    Column("action", "Action"),
    Column("from_status", "From", "status"),
    Column("to_status", "To", "status"),
    Column("code", "Refused by"),
    Column("grade", "Grade"),
    Column("effective_on", "Effective", "date"),
    Column("line", "Line", "number"),
    Column("detail", "Detail"),
)
EVENT_TABLE = (
    Column("operation", "No.", "number"),
    Column("effective_on", "Effective", "date"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("action", "Action"),
    Column("change", "Change"),
    Column("actor", "Who"),
)
CATALOG_COLUMNS = (
    Column("operation", "No.", "number"),
    Column("recorded_at", "When (UTC)", "time"),
    Column("kind", "Kind"),
    Column("record_id", "Id", "number"),
    Column("action", "Action"),
    Column("changes", "Changes"),
    Column("line", "Line", "number"),
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
        from studentcli.services import views

        operation = _operation(number) if number is not None else None
        unit: Any
        columns: tuple[Column, ...] = EVENT_TABLE if cli.fmt == "table" else EVENT_COLUMNS
        if operation is None and student is None and course is None and cli.term is None:
            columns, unit = OPERATION_COLUMNS, partial(views.list_operations, limit=limit)
        else:
            if operation is not None:
                edits = partial(views.list_catalog_events, operation=operation, limit=limit)
                if rows := cli.database.read(edits):
                    listing(rows, _filled(rows, CATALOG_COLUMNS, cli.fmt), cli.fmt)
                    return
            unit = partial(
                views.list_events,
                policy=cli.policy(),
                operation=operation,
                student=student,
                course=course,
                term=cli.term,
                limit=limit,
            )
        rows = cli.database.read(unit)
        for row in rows:
            row["change"] = _change(row) if "code" in row else None
        listing(rows, _filled(rows, columns, cli.fmt), cli.fmt)


def _operation(number: str) -> int:
    """Read the number of an operation: digits alone, as history writes it."""
    if not (number.isascii() and number.isdigit() and int(number) < 2**63):
        raise errors.Usage(f"{number!r} is no number of an operation", hint="studentcli history")
    return int(number)


def _change(row: dict[str, Any]) -> str:
    """Say in one cell what an event changed, or which rule refused it."""
    if row["code"]:
        verb = "passed over" if row["action"] == "pass-over" else "refused"
        return f"{verb}: {row['code']}"
    grade = f" ({row['grade']})" if row["grade"] else ""
    before = f"{row['from_status']} → " if row["from_status"] else ""
    return f"{before}{row['to_status']}{grade}"


def _filled(rows: list[dict[str, Any]], columns: tuple[Column, ...], fmt: str) -> list[Column]:
    """Leave out of a table what no row says: a terminal is narrow. Data keeps every column."""
    return [
        column
        for column in columns
        if fmt != "table" or any(row[column.name] is not None for row in rows)
    ]

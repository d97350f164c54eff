"""student: adding, editing, renumbering, listing, showing."""

from typing import Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import ReasonOption, StudentArgument
from studentcli.cli.catalog import PANEL, save
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.records import STUDENT
from studentcli.render import Column, listing, record

STATUS = STUDENT.field("status")

NewNumberArgument = Annotated[
    str, typer.Argument(metavar="STUDENT", help="Number of the new student.", show_default=False)
]
STUDENT_COLUMNS = (
    Column("student", "Student", "key"),
    Column("given_name", "Given name"),
    Column("family_name", "Family name"),
    Column("email", "E-mail"),
    Column("status", "Status", "status"),
    Column("max_credits", "Max credits", "hours"),
    Column("tags", "Tags"),
)


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app(
        "Students: add, edit, renumber, look up.\n\nExample: studentcli student show S1042"
    )
    app.add_typer(group, name="student", rich_help_panel=PANEL)

    @command(group, "add", writes=True, fields_of=STUDENT)
    def add(
        cli: Cli, student: NewNumberArgument, *, fields: dict[str, str], reason: ReasonOption = None
    ) -> None:
        """Add a student.

        Example: studentcli student add S1043 --family-name Hopper
        """
        save(cli, STUDENT, {**fields, "student": student}, "add", reason)

    @command(group, "edit", writes=True, fields_of=STUDENT)
    def edit(
        cli: Cli, student: StudentArgument, *, fields: dict[str, str], reason: ReasonOption = None
    ) -> None:
        """Change a student; - clears a field.

        Example: studentcli student edit S1042 --status inactive
        """
        save(cli, STUDENT, {**fields, "student": student}, "edit", reason)
        if fields.get("status", "").strip() == "inactive" and not cli.quiet:
            _tell_live(cli, student)

    @command(group, "renumber", writes=True)
    def renumber(
        cli: Cli,
        student: StudentArgument,
        number: Annotated[
            str, typer.Argument(metavar="NEW", help="The new number.", show_default=False)
        ],
        *,
        reason: ReasonOption = None,
    ) -> None:
        """Give a student another number.

        Example: studentcli student renumber S1042 S2042
        """
        from studentcli import render, values
        from studentcli.services.renumbering import renumber_student

        act = cli.act("student-renumber", reason=reason)
        old, new = values.identifier(student), values.identifier(number)
        cli.write(lambda session: renumber_student(session, old, new, act))
        cli.done(render.renumbering_sentence(old, new, forecast=cli.dry_run))

    @command(group, "list")
    def list_(
        cli: Cli,
        *,
        search: Annotated[
            str | None, typer.Option("--search", metavar="TEXT", help="Part of number or name.")
        ] = None,
        status: Annotated[
            str | None,
            typer.Option(
                "--status",
                metavar=STATUS.metavar,
                help="Only those.",
                autocompletion=complete.one_of(*STATUS.choices),
            ),
        ] = None,
        under_load: Annotated[
            str | None,
            typer.Option(
                "--under-load",
                metavar="HOURS",
                help="Who is enrolled in the term with fewer credit hours.",
            ),
        ] = None,
    ) -> None:
        """List students.

        Example: studentcli student list --search king

        Example: studentcli student list --under-load 12 --term 2026FA
        """
        if under_load is not None:
            if search is not None or status is not None:
                from studentcli.errors import Usage

                raise Usage("--under-load stands alone", hint="leave out --search and --status")
            _list_under_load(cli, under_load)
            return
        from studentcli.services import views

        wanted = None if status is None else STATUS.read(status)
        rows = cli.database.read(
            lambda session: views.list_students(session, search=search, status=wanted)
        )
        tagged = cli.fmt != "table" or any(row["tags"] for row in rows)
        columns = STUDENT_COLUMNS if tagged else STUDENT_COLUMNS[:-1]
        listing(rows, columns, cli.fmt, footer=f"{len(rows)} students")

    @command(group, "show")
    def show(cli: Cli, student: StudentArgument) -> None:
        """Show a student.

        Example: studentcli student show S1042
        """
        from studentcli import values
        from studentcli.services import views

        number = values.identifier(student)
        row = cli.database.read(lambda session: views.show_student(session, number))
        record(row, STUDENT_COLUMNS, cli.fmt)


def _list_under_load(cli: Cli, least: str) -> None:
    """List who has fewer credit hours in the term than a minimum."""
    from studentcli import values
    from studentcli.services import views

    hours = values.hours(least)
    term, rows = cli.database.read(
        lambda session: views.list_under_load(session, hours, cli.policy(), term=cli.term)
    )
    columns = (*STUDENT_COLUMNS[:3], Column("load", "Load", "hours"), *STUDENT_COLUMNS[3:])
    footer = f"{len(rows)} students under {least} credits in {term}"
    listing(rows, columns, cli.fmt, footer=footer)


def _tell_live(cli: Cli, student: str) -> None:
    """List what a student who becomes inactive keeps, with the command that drops it."""
    from studentcli import values
    from studentcli.services import views

    number = values.identifier(student)

    def unit(session: Any) -> Any:
        return views.list_live(session, {views.show_student(session, number)["student_id"]})

    cli.show_kept(cli.database.read(unit))

"""override: permission to break one rule; granting, revoking, and the ledger of them all."""

from functools import partial
from typing import Annotated, Any

import typer

from studentcli.cli import complete
from studentcli.cli.arguments import (
    CourseArgument,
    OptionalStudentArgument,
    ReasonOption,
    StudentArgument,
    record_number,
)
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, counted, listing

PANEL = "Enrollment"

OVERRIDE_TABLE = (
    Column("override", "No.", "number"),
    Column("student", "Student", "key"),
    Column("course", "Course", "key"),
    Column("rule", "Rule"),
    Column("state", "State", "status"),
    Column("until_on", "Until", "date"),
    Column("granted_by", "Granted by"),
    Column("used_by", "Used by no."),
    Column("reason", "Reason"),
)
OVERRIDE_DATA = (
    *OVERRIDE_TABLE,
    Column("granted_at", "Granted (UTC)", "time"),
    Column("revoked_by", "Revoked by"),
    Column("revoked_at", "Revoked (UTC)", "time"),
)
DONE_DATA = (Column("result", "Result", "status"), *OVERRIDE_DATA)


def _sentence(row: dict[str, Any], *, forecast: bool) -> str:
    number = f"override {row['override']}" if row.get("override") else "an override"
    what = f"{number} of {row['rule']} for {row['student']} in {row['course']}"
    if row["result"] == "unchanged":
        return f"{what} is {'revoked' if row['state'] == 'revoked' else 'granted'} already"
    be = "would be" if forecast else "is"
    until = f" until {row['until_on']}" if row["until_on"] and row["result"] == "granted" else ""
    used = row.get("used_by") if row["result"] == "revoked" else None
    stays = f"; operation {used} has used it, and what it did stays" if used else ""
    return f"{what} {be} {row['result']}{until}{stays}"


def _grant(
    cli: Cli, student: str, course: str, *, rule: str, reason: str, until: str | None
) -> None:
    from studentcli import values
    from studentcli.services.overrides import grant_override

    said = values.reason(reason)
    act = cli.act("override-grant", reason=said)
    unit = partial(
        grant_override,
        student=values.identifier(student),
        course=values.identifier(course),
        act=act,
        rule=rule.strip(),
        reason=said,
        until_on=None if until is None else values.iso_date(until),
        term=cli.term,
    )
    granted = cli.follow(unit, act)
    cli.show_done(granted.rows, DONE_DATA, _sentence)
    for number in granted.replaced:
        cli.done(f"it {'would replace' if cli.dry_run else 'replaces'} override {number}")
    cli.show_promotions(granted.promotions)


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app("Overrides: grant, revoke, look up.\n\nExample: studentcli override list S1042")
    app.add_typer(group, name="override", rich_help_panel=PANEL)

    @command(group, "grant", writes=True)
    def grant(
        cli: Cli,
        student: StudentArgument,
        course: CourseArgument,
        *,
        rule: Annotated[
            str,
            typer.Option(
                "--rule",
                metavar="RULE",
                help="The rule that may be broken, by its code.",
                autocompletion=complete.overridable,
            ),
        ],
        reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
        until: Annotated[
            str | None,
            typer.Option("--until", metavar="DATE", help="Last day; until revoked if left out."),
        ] = None,
    ) -> None:
        """Allow a student to break one rule in one course.

        Example: studentcli override grant S1042 CS101 --rule hold --reason paid
        """
        _grant(cli, student, course, rule=rule, reason=reason, until=until)

    @command(group, "revoke", writes=True)
    def revoke(
        cli: Cli,
        numbers: Annotated[
            list[str],
            typer.Argument(
                metavar="NUMBER...",
                help="Overrides, as override list numbers them.",
                show_default=False,
            ),
        ],
        *,
        reason: ReasonOption = None,
    ) -> None:
        """Take overrides back; what was done by them stays.

        Example: studentcli override revoke 1
        """
        from studentcli.services.overrides import revoke_overrides

        hint = "studentcli override list shows the overrides"
        override_ids = [record_number(number, "an override", hint) for number in numbers]
        act = cli.act("override-revoke", reason=reason)
        unit = partial(revoke_overrides, override_ids=override_ids, act=act)
        cli.show_done(cli.follow(unit, act).rows, DONE_DATA, _sentence)

    @command(group, "list")
    def list_(
        cli: Cli,
        student: OptionalStudentArgument = None,
        *,
        course: Annotated[
            str | None,
            typer.Option(
                "--course", metavar="COURSE", help="For this course.",
                autocompletion=complete.courses,
            ),
        ] = None,
    ) -> None:  # fmt: skip
        """List who allowed what, until when, why, and which operation used it.

        Example: studentcli override list --course CS101
        """
        from studentcli import values
        from studentcli.services.overrides_ledger import list_overrides

        rows = cli.database.read(
            partial(
                list_overrides,
                policy=cli.policy(),
                student=None if student is None else values.identifier(student),
                course=None if course is None else values.identifier(course),
                term=cli.term,
            )
        )
        columns = OVERRIDE_TABLE if cli.fmt == "table" else OVERRIDE_DATA
        listing(rows, columns, cli.fmt, footer=counted(len(rows), "override"))

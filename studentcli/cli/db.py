"""db: create, upgrade, adopt, inspect, check and back up the database."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from studentcli import errors
from studentcli.cli.context import Cli, state
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, listing, record

PANEL = "Database"
STATUS_COLUMNS = (
    Column("database", "Database"),
    Column("engine", "Engine"),
    Column("revision", "Schema"),
    Column("expected", "Needed"),
    Column("is_current", "Ready"),
)
FINDING_COLUMNS = (
    Column("check", "Check"),
    Column("subject", "Subject"),
    Column("finding", "Finding"),
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to be made.", show_default=False)
]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the SQL; change nothing.")]


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app(
        "The database: create, upgrade, adopt, check, back up.\n\nExample: studentcli db status"
    )
    app.add_typer(group, name="db", rich_help_panel=PANEL)
    _add_migrations(group)
    _add_inspections(group)


def _add_migrations(group: typer.Typer) -> None:
    @command(group, "init", writes=True)
    def init(cli: Cli) -> None:
        """Create the database, or bring it up to date.

        Example: studentcli db init
        """
        _upgrade(cli, create=True)

    @command(group, "upgrade", writes=True)
    def upgrade(cli: Cli, *, sql: SqlOption = False) -> None:
        """Bring the schema up to date; every row stays.

        Example: studentcli db upgrade
        """
        if not sql:
            _upgrade(cli, create=False)
            return
        from studentcli import schema

        sys.stdout.write(schema.upgrade_sql(cli.named_database()))

    @command(group, "adopt", writes=True)
    def adopt(cli: Cli) -> None:
        """Take over students and courses tables from before.

        Example: studentcli db adopt
        """
        from studentcli import schema

        database = cli.named_database()
        if cli.dry_run:
            cli.done(schema.forecast_adoption(database))
            return
        revision = schema.adopt(database, on_backup=lambda copy: _tell_copy(cli, copy))
        state.recorded = True
        cli.done(f"{database} is adopted (schema {revision})")


def _upgrade(cli: Cli, *, create: bool) -> None:
    from studentcli import schema

    database = cli.named_database()
    if cli.dry_run:
        cli.done(schema.forecast(database, create=create))
        return
    revision = schema.upgrade(database, create=create, on_backup=lambda copy: _tell_copy(cli, copy))
    state.recorded = True
    cli.done(f"{database} is ready (schema {revision})")


def _tell_copy(cli: Cli, copy: Path) -> None:
    cli.done(f"the database as it was is copied to {copy}")


def _add_inspections(group: typer.Typer) -> None:
    @command(group, "status")
    def status(cli: Cli) -> None:
        """Show which database this is and whether its schema fits.

        Example: studentcli db status
        """
        from studentcli import schema

        found = schema.status(cli.named_database())
        row = {column.name: getattr(found, column.name) for column in STATUS_COLUMNS}
        row["is_current"] = "yes" if found.is_current else "no"
        record(row, STATUS_COLUMNS, cli.fmt)
        if not found.is_current:
            cli.exit_status = errors.ExitStatus.DATABASE

    @command(group, "check")
    def check(cli: Cli) -> None:
        """Look for rows that the rules cannot have written.

        Example: studentcli db check
        """
        from studentcli.services.checks import check_database

        findings = cli.database.read(check_database)
        if findings or (cli.fmt != "table" and not cli.quiet):
            listing([finding.as_row() for finding in findings], FINDING_COLUMNS, cli.fmt)
        if findings:
            count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
            raise errors.DatabaseDamaged(f"{count} in {cli.named_database()}")
        cli.done(f"{cli.named_database()} is sound")

    @command(group, "backup")
    def backup(cli: Cli, file: FileArgument) -> None:
        """Copy the database into one new file.

        Example: studentcli db backup monday.db
        """
        from studentcli import schema

        database = cli.named_database()
        schema.backup(database, file)
        cli.done(f"{database} is copied to {file}")

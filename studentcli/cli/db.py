"""db: create, upgrade, adopt, inspect, check and back up the database."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from studentcli import errors
from studentcli.cli.context import Cli
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, listing, record

PANEL = "Administration"
STATUS_COLUMNS = (
    Column("database", "Database"),
    Column("engine", "Engine"),
    Column("revision", "Schema"),
    Column("expected", "Needed"),
    Column("is_current", "Ready"),
)
FINDING_COLUMNS = (Column("check", "Check"), Column("subject", "Subject"), Column("finding", "Finding"))


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = new_app("The database: create, upgrade, adopt, check, back up.")
    app.add_typer(group, name="db", rich_help_panel=PANEL)

    @command(group, "init")
    def init(cli: Cli) -> None:
        """Create the database, or bring it up to date. Example: studentcli db init"""
        from studentcli import schema

        database = cli.named_database()
        revision = schema.upgrade(database, create=True)
        cli.done(f"{database} is ready (schema {revision})")

    @command(group, "upgrade")
    def upgrade(
        cli: Cli,
        *,
        sql: Annotated[bool, typer.Option("--sql", help="Print the SQL; change nothing.")] = False,
    ) -> None:
        """Bring the schema up to date; every row stays. Example: studentcli db upgrade"""
        from studentcli import schema

        database = cli.named_database()
        if sql:
            sys.stdout.write(schema.upgrade_sql(database))
            return
        revision = schema.upgrade(database)
        cli.done(f"{database} is ready (schema {revision})")

    @command(group, "status")
    def status(cli: Cli) -> None:
        """Show which database this is and whether its schema fits. Example: studentcli db status"""
        from studentcli import schema

        found = schema.status(cli.named_database())
        row = {column.name: getattr(found, column.name) for column in STATUS_COLUMNS}
        row["is_current"] = "yes" if found.is_current else "no"
        record(row, STATUS_COLUMNS, cli.fmt)
        if not found.is_current:
            cli.exit_status = errors.ExitStatus.DATABASE

    @command(group, "adopt")
    def adopt(cli: Cli) -> None:
        """Take over students and courses tables from before studentcli. Example: studentcli db adopt"""
        from studentcli import schema

        database = cli.named_database()
        revision = schema.adopt(database)
        cli.done(f"{database} is adopted (schema {revision})")

    @command(group, "check")
    def check(cli: Cli) -> None:
        """Look for rows that the rules cannot have written. Example: studentcli db check"""
        from studentcli.services.checks import check_database

        findings = cli.database.read(check_database)
        listing(
            [finding.as_row() for finding in findings], FINDING_COLUMNS, cli.fmt
        ) if findings or cli.fmt != "table" else None
        if findings:
            raise errors.DatabaseDamaged(f"{len(findings)} findings in {cli.named_database()}")
        cli.done(f"{cli.named_database()} is sound")

    @command(group, "backup")
    def backup(
        cli: Cli, file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
    ) -> None:
        """Copy the database into one new file. Example: studentcli db backup monday.db"""
        from studentcli import schema

        database = cli.named_database()
        schema.backup(database, file)
        cli.done(f"{database} is copied to {file}")

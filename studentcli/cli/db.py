"""db: create, upgrade, adopt, inspect, check and back up the database."""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studentcli import errors
from studentcli.cli.context import SHOWN, Cli, state
from studentcli.cli.framework import command, new_app
from studentcli.render import Column, counted, listing, note, record

if TYPE_CHECKING:
    from studentcli.services.checks import Finding

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
    Column("severity", "Severity"),
    Column("mend", "Mended by"),
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to be made.", show_default=False)
]
FixOption = Annotated[
    bool, typer.Option("--fix", help="First rewrite enrollments as their events say.")
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

    @command(group, "check", writes=True)
    def check(cli: Cli, *, fix: FixOption = False) -> None:
        """Look for damage, and for what the rules would not allow today.

        Each finding comes with the command that mends it. Exit code 7: damage, such as an
        enrollment that is not what its events say. Exit code 4: what needs attention, such as a
        seat that is free behind a waitlist, or an overlap without an override; of terms that are
        not over, or of --term TERM, whose prerequisites are then judged again as well.

        Example: studentcli db check
        """
        if fix:
            _fix(cli)
        _check(cli)

    @command(group, "backup")
    def backup(cli: Cli, file: FileArgument) -> None:
        """Copy the database into one new file.

        Example: studentcli db backup monday.db
        """
        from studentcli import schema

        database = cli.named_database()
        schema.backup(database, file)
        cli.done(f"{database} is copied to {file}")


def _fix(cli: Cli) -> None:
    """Rewrite enrollments as their events say, and tell what became of them."""
    from studentcli.services import checks

    act = cli.act(checks.FIX)
    fixed = cli.write(lambda session: checks.fix_enrollments(session, act))
    would = "would be " if cli.dry_run else ""
    if not cli.quiet:
        for subject, verb, why in fixed.repairs[:SHOWN]:
            note(f"{subject}: {would}{verb} ({why})")
        untold = fixed.totals.total() - SHOWN
        if untold > 0:
            note(f"… and {untold} more")
    counts = ", ".join(f"{count} {would}{verb}" for verb, count in fixed.totals.items())
    number = f", operation {fixed.operation_id}" if fixed.operation_id else ""
    cli.done(f"enrollments as their events say: {counts or 'nothing to do'}{number}")
    if fixed.left:
        note(f"left as they are: {fixed.left}; no event tells of them, or nothing that can be")


def _check(cli: Cli) -> None:
    """Print what is found while the snapshot is open: it may be more than fits into memory."""
    from studentcli.services.checks import find_all

    counts = Counter[str]()

    def tallied(findings: "Iterator[Finding]") -> Iterator[dict[str, str]]:
        for finding in findings:
            counts[finding.severity] += 1
            yield finding.as_row()

    def unit(session: Any) -> None:
        rows = tallied(find_all(session, cli.policy(), term=cli.term))
        first = next(rows, None)
        if first is not None or (cli.fmt != "table" and not cli.quiet):
            listing(() if first is None else chain([first], rows), FINDING_COLUMNS, cli.fmt)

    cli.database.read(unit)
    if counts["damage"]:
        more = f", {counts['attention']} to attend to" if counts["attention"] else ""
        raise errors.DatabaseDamaged(
            f"{counted(counts['damage'], 'finding')}{more} in {cli.named_database()}",
            hint="each finding says what mends it; then run studentcli db check again",
        )
    if counts["attention"]:
        cli.exit_status = errors.ExitStatus.REFUSED
        cli.done(
            f"{counted(counts['attention'], 'finding')} to attend to in {cli.named_database()}"
        )
    else:
        cli.done(f"{cli.named_database()} is sound")

"""export: the native CSV that import reads, streamed from one snapshot."""

from pathlib import Path
from typing import Annotated, Any

import typer

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.cli.imports import PANEL
from studentcli.records import KINDS
from studentcli.render import Column, listing

EXPORTS = (*KINDS, "enrollments")


def add_to(app: typer.Typer) -> None:
    """Declare the command."""

    @command(app, "export", panel=PANEL)
    def export(
        cli: Cli,
        kind: Annotated[
            str,
            typer.Argument(
                metavar="KIND",
                help=f"{', '.join(EXPORTS[:-1])} or {EXPORTS[-1]}.",
                autocompletion=complete.one_of(*EXPORTS),
            ),
        ],
        *,
        output: Annotated[
            Path | None,
            typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout."),
        ] = None,
        excel: Annotated[
            bool, typer.Option("--excel", help="Neutralise cells that a spreadsheet would run.")
        ] = False,
    ) -> None:
        """Write the native CSV that import reads.

        Example: studentcli export courses -o courses.csv
        """
        if kind not in EXPORTS:
            raise errors.Usage(f"{kind!r} is none of {', '.join(EXPORTS)}")
        _export(cli, kind, output, excel=excel)


def _export(cli: Cli, kind: str, output: Path | None, *, excel: bool) -> None:
    """Write the rows while the snapshot is open: a million of them need no memory."""
    from studentcli.formats import native
    from studentcli.formats.output import writing
    from studentcli.render import plain
    from studentcli.services import exporting, views

    columns = native.ENROLLMENT_COLUMNS[:-1] if kind == "enrollments" else KINDS[kind].columns
    fmt = cli.explicit_format or "csv"
    neutral = native.neutral if excel else plain

    def unit(session: Any) -> None:
        rows: Any
        if kind == "enrollments":
            rows = exporting.export_enrollments(session, term=cli.term)
        elif kind == "students":
            rows = views.list_students(session)
        elif kind == "terms":
            rows = views.list_terms(session)
        else:
            rows = views.list_courses(session, term=cli.term)
        cells = ({name: neutral(row.get(name)) for name in columns} for row in rows)
        with writing(output) as stream:
            listing(cells, [Column(name, name) for name in columns], fmt, stream=stream)

    cli.database.read(unit)

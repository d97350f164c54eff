"""Opening the file of a command: the options that say how it is to be read, the same everywhere."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from studentcli import errors
from studentcli.cli.context import Cli
from studentcli.render import note

if TYPE_CHECKING:
    from studentcli.formats.source import CsvSource

EncodingOption = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Encoding of the file; UTF-8, or UTF-16 by its first bytes, if left out.",
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="CHARACTER",
        help="Between the cells; by the header if left out: , ; tab or |.",
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=NAME",
        help="What a column of the file is called here: 'Student ID=student'.",
    ),
]
RowsOption = Annotated[
    str | None,
    typer.Option(
        "--rows",
        metavar="LINES",
        help="Only the rows that begin on these lines, the header being line 1: 10-20, 12, 100-.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=CELL",
        help="Only rows with this cell: term=2026FA; of one column any, of several all.",
    ),
]


@dataclass
class FileOptions:
    """The file of a command and how it is to be read.

    Args:
        name: as typed; `-` is standard input.
        encoding: as typed, or None.
        delimiter: as typed, or None.
        mapping: as typed: COLUMN=NAME.
        rows: as typed: lines.
        where: as typed: NAME=CELL.
    """

    name: str
    encoding: str | None = None
    delimiter: str | None = None
    mapping: list[str] | None = None
    rows: str | None = None
    where: list[str] | None = None


@contextmanager
def opened(cli: Cli, file: FileOptions) -> Iterator["CsvSource"]:
    """Open a file, and say aloud what was found out about it that is not the rule.

    Raises:
        errors.Usage: for an option that cannot be carried out.
        errors.FileUnreadable: as `CsvSource`.
    """
    from studentcli.formats.selection import read_selection
    from studentcli.formats.source import CsvSource

    delimiter = "\t" if file.delimiter in {"\\t", "tab"} else file.delimiter
    if delimiter is not None and len(delimiter) != 1:
        raise errors.Usage("--delimiter takes one character")
    selection = read_selection(file.mapping or (), file.rows, file.where or ())
    with closing(
        CsvSource(file.name, encoding=file.encoding, delimiter=delimiter, selection=selection)
    ) as source:
        for guess in source.guesses if not cli.quiet else ():
            note(f"note: {source.name} is {guess}")
        yield source

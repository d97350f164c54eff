"""Students or courses as somebody lists them: `S1,S2`, or a file of them: `@class.txt`."""

from contextlib import closing

from studentcli import errors, values
from studentcli.formats.source import CsvSource


def read_words(text: str, column: str) -> list[str]:
    """Read a list of student numbers or course words; each counts once.

    Args:
        text: words with commas between them, or `@` and the name of a file (`@-` is standard
            input): a CSV file with that column, or one word a line.
        column: `student` or `course`.

    Raises:
        errors.Usage: when there is none.
        errors.FileUnreadable: for a file that cannot be read, or has other columns.
        errors.MalformedId: for what can be no number or code.
    """
    words = _read_file(text[1:], column) if text.startswith("@") else text.split(",")
    found = [values.identifier(word) for word in words if word.strip()]
    if not found:
        raise errors.Usage(f"{text!r} names no {column}")
    return list(dict.fromkeys(found))


def _read_file(name: str, column: str) -> list[str]:
    with closing(CsvSource(name, has_options=False)) as source:
        if column in source.header:
            at = source.header.index(column)
            return [_cell(source, line, cells, at) for line, cells in source.rows()]
        if len(source.header) > 1:
            raise errors.FileUnreadable(
                f"{source.name} has no column {column!r}",
                hint=f"name the column so in its first line, or write one {column} a line",
            )
        return [_cell(source, line, cells, 0) for line, cells in source.records()]


def _cell(source: CsvSource, line: int, cells: list[str], at: int) -> str:
    if len(cells) != len(source.header):
        raise errors.FileUnreadable(
            f"{source.name}, line {line}: {len(cells)} cells, the first line has"
            f" {len(source.header)}"
        )
    return cells[at]

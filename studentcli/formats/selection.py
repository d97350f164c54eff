"""Which rows of a file are meant, and what its columns are called: --map, --rows, --where.

Lines are counted as messages and rejects count them: the header is line 1. What is left out is
left out before rows are grouped into requests.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from studentcli import errors
from studentcli.values import normal

_LINES: Final = re.compile(r"([0-9]{1,9})(-([0-9]{1,9})?)?", re.ASCII)


def column_name(cell: str) -> str:
    """Give the name of a column as it is compared: case and spaces around it do not matter."""
    return cell.strip().lower()


@dataclass
class Selection:
    """How a file's columns are called here, and which of its rows are meant.

    Args:
        names: the column's name by the name that the file gives it.
        lines: first and last line of every range; no end where the last is None.
        where: the cells that a column may hold, by the column's name here.
    """

    names: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[int, int | None]] = field(default_factory=list)
    where: dict[str, set[str]] = field(default_factory=dict)

    @property
    def takes_all(self) -> bool:
        """Whether every row is meant."""
        return not self.lines and not self.where

    def header(self, columns: list[str], name: str) -> list[str]:
        """Give the columns of a file the names that they have here.

        Raises:
            errors.FileUnreadable: when there is no such column to be named or looked at.
        """
        found = [column_name(column) for column in columns]
        _require(self.names, found, "--map", columns, name)
        header = [self.names.get(column, column) for column in found]
        _require(self.where, header, "--where", header, name)
        return header

    def picks(self, line: int, cells: list[str], header: list[str]) -> bool:
        """Tell whether a row is meant.

        One that has not the header's number of cells is, whatever `where` says: a broken row is
        refused, not passed over.
        """
        if self.lines and not any(
            first <= line and (last is None or line <= last) for first, last in self.lines
        ):
            return False
        if len(cells) != len(header):
            return True
        at = header.index
        return all(normal(cells[at(name)]) in wanted for name, wanted in self.where.items())


def _require(
    wanted: Iterable[str], found: list[str], option: str, shown: list[str], file: str
) -> None:
    for name in wanted:
        if name not in found:
            raise errors.FileUnreadable(
                f"{option}: {file} has no column {name!r}",
                hint=f"its columns are {', '.join(column.strip() for column in shown)}",
            )


def read_selection(names: Iterable[str], lines: str | None, conditions: Iterable[str]) -> Selection:
    """Read what was typed.

    Args:
        names: such as `Student ID=student`.
        lines: such as `10-20`, `12`, `100-` or `3,7-9`.
        conditions: such as `term=2026FA`; of one column any, of several columns all must hold.

    Raises:
        errors.Usage: for what is written otherwise.
    """
    selection = Selection()
    for text in names:
        column, equals, ours = text.rpartition("=")
        column, ours = column_name(column), column_name(ours)
        if not (column and equals and ours):
            raise errors.Usage(f"--map {text!r}", hint="such as --map 'Student ID=student'")
        if column in selection.names:
            raise errors.Usage(f"--map names the column {column!r} twice")
        selection.names[column] = ours
    for text in conditions:
        name, equals, cell = text.partition("=")
        if not (equals and column_name(name)):
            raise errors.Usage(f"--where {text!r}", hint="such as --where term=2026FA")
        selection.where.setdefault(column_name(name), set()).add(normal(cell))
    if lines is not None:
        selection.lines = [_range(part.strip()) for part in lines.split(",")]
    return selection


def _range(text: str) -> tuple[int, int | None]:
    found = _LINES.fullmatch(text)
    if found is None:
        raise errors.Usage(
            f"--rows {text!r} names no lines", hint="such as 12, 10-20, 100- or 3,7-9"
        )
    first, dash, last = found.groups()
    end = int(first) if dash is None else int(last) if last else None
    if end is not None and end < int(first):
        raise errors.Usage(f"--rows {text} ends before it begins")
    return int(first), end

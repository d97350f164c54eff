"""What the first reading of a file leaves for the second: rows that are plain, in numbers.

A file is parsed once. Of a row that plainly adds a course there remain its line and where its
student, course and date stand among the different ones of the file; of any other row its cells.
"""

import marshal
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO, Any, Final, cast

from studentcli.columns import Column
from studentcli.formats.gathering import Plain
from studentcli.formats.source import Row
from studentcli.requests import Adds

LENGTH: Final = 4
"""Bytes in front of a block that say how long it is."""


class Known:
    """The different cells of a column, what each of them says, and its number.

    Cells that say the same text have the same number, however they are spelled.

    Args:
        read: says what a cell says, or raises `errors.BadValue`.
    """

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read
        self._at: dict[Any, int] = {}
        self.values: list[Any] = []
        """What the cells say, by their numbers."""

    def number(self, cell: Any) -> int:
        """Give the number of a cell.

        Raises:
            errors.BadValue: for a cell that says nothing.
        """
        at = self._at.get(cell)
        if at is None:
            value = self._read(cell)
            if isinstance(value, str) and value != cell:
                at = self.number(value)  # spelled otherwise, it is the same
            else:
                self.values.append(value)
                at = len(self.values) - 1
            self._at[cell] = at
        return at

    def value(self, cell: Any) -> Any:
        """Give what a cell says; raises as `number` does."""
        return self.values[self.number(cell)]

    def numbers(self, cells: Sequence[Any]) -> list[int]:
        """Give the numbers of cells; raises as `number` does."""
        found = list(map(self._at.get, cells))
        if None in found:
            pairs = zip(cells, found, strict=True)
            return [self.number(cell) if at is None else at for cell, at in pairs]
        return cast("list[int]", found)


class Digest:
    """Blocks of rows, kept in a temporary file.

    Args:
        file: empty.
        columns: the students, the courses and the dates that the numbers mean.
        keeps_cells: whether the cells of every row will be wanted, not only those of the others.
    """

    def __init__(self, file: IO[bytes], columns: Sequence[Known], *, keeps_cells: bool) -> None:
        self._file = file
        self._columns = columns
        self._keeps_cells = keeps_cells

    def put(self, lines: Sequence[int], numbers: list[list[int]], others: list[int],
            rows: list[list[str]]) -> None:  # fmt: skip
        """Keep a block.

        Args:
            lines: of its rows.
            numbers: of students, courses and dates, a list each.
            others: the places of the rows that are more than an add, ascending.
            rows: the cells of all.
        """
        kept = rows if self._keeps_cells else [rows[at] for at in others]
        where = (lines.start, len(lines)) if isinstance(lines, range) else list(lines)
        block = marshal.dumps((where, numbers, others, kept))
        self._file.write(len(block).to_bytes(LENGTH))
        self._file.write(block)

    def put_rows(self, lines: Sequence[int], rows: list[list[str]]) -> None:
        """Keep a block that is to be read row by row."""
        self.put(list(lines), [], list(range(len(rows))), rows)

    def pieces(self) -> Iterator[Row | Plain]:
        """Give the rows in their order, those that are plainly adds together."""
        self._file.seek(0)
        while length := self._file.read(LENGTH):
            block = self._file.read(int.from_bytes(length))
            where, numbers, others, kept = marshal.loads(block)  # noqa: S302  (written above)
            if isinstance(where, tuple):
                begin, count = where
                where = range(begin, begin + count)
            if numbers:
                yield from self._pieces(where, numbers, others, kept)
            else:
                yield from zip(where, kept, strict=True)

    def _pieces(
        self, lines: Sequence[int], numbers: list[list[int]], others: list[int],
        kept: list[list[str]],
    ) -> Iterator[Row | Plain]:  # fmt: skip
        rows = iter(kept)
        columns = (
            Column(known.values, at) for known, at in zip(self._columns, numbers, strict=True)
        )
        adds = Adds(lines, *columns)
        begin = 0
        for at in (*others, len(lines)):
            if begin < at:
                cells = list(islice(rows, at - begin if self._keeps_cells else 0))
                yield Plain(adds.cut(begin, at), cells)
            if at < len(lines):
                yield lines[at], next(rows)
            begin = at + 1

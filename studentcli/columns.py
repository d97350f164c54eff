"""Columns of rows in which most values repeat: where each one stands in a table, found once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Column:
    """Values of some rows, of which many are equal: where each of them stands in a table.

    Args:
        table: the different values; many columns share one.
        at: of each row.
    """

    table: list[Any]
    at: Sequence[int]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.at)

    def __iter__(self) -> Iterator[Any]:
        """Give the value of each row."""
        return map(self.table.__getitem__, self.at)

    def __getitem__(self, row: int) -> Any:
        """Give the value of one row."""
        return self.table[self.at[row]]


class Lookup:
    """What the values of columns lead to, each found once; of one table at a time it is kept."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Find everything anew."""
        self._table: list[Any] | None = None
        self._found: list[Any] = []
        self._is_found = bytearray()
        self._left = 0

    def of(self, column: Column, find: Callable[[Any], Any]) -> list[Any]:
        """Give for each row what its value leads to.

        Args:
            column: the rows.
            find: finds what a value leads to.
        """
        if column.table is not self._table:
            self.forget()
            self._table = column.table
        more = len(column.table) - len(self._found)
        self._found += [None] * more
        self._is_found += bytes(more)
        self._left += more
        if self._left and 0 in map(self._is_found.__getitem__, column.at):
            for at in set(column.at):
                if not self._is_found[at]:
                    self._found[at], self._is_found[at] = find(column.table[at]), 1
                    self._left -= 1
        return list(map(self._found.__getitem__, column.at))

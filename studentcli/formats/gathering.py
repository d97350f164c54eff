"""How the rows of an enrollments file become requests, and these the chunks of a batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from studentcli import errors
from studentcli.formats.source import Row
from studentcli.requests import Adds, Change, CourseWord, Refusal, Request


@dataclass(slots=True)
class Unreadable:
    """A row that cannot be read: it ends the request before it."""

    line: int
    refusal: Refusal


class Plain(NamedTuple):
    """Rows that are each plainly a request of one add, with their cells if these are kept."""

    adds: Adds
    rows: list[list[str]]


@dataclass
class Chunk:
    """Some rows, read: `items` in file order, and the cells of each line that are kept."""

    items: list[Any]
    cells: dict[int, list[str]]
    rows: int = 0


def growing(size: int, first: int | None) -> Iterator[int]:
    """Give the sizes of chunks: `first`, if that is smaller, then twice as many up to `size`."""
    rows = min(first or size, size)
    while True:
        yield rows
        rows = min(2 * rows, size)


class Gathering:
    """Puts rows together to requests, and these to chunks that end where a request ends.

    Args:
        read: reads a row: student, change, `request` cell.
        size: rows of a chunk.
        first: rows of the first chunk, see `growing`.
    """

    def __init__(
        self,
        read: Callable[[int, list[str]], tuple[str, Change, str]],
        size: int,
        first: int | None = None,
    ) -> None:
        self._read = read
        self._sizes = growing(size, first)
        self._room = next(self._sizes)
        self._open: tuple[Any, ...] | None = None
        """What a row must say to belong to the last request."""
        self.chunk = Chunk([], {})

    def take(self, piece: Row | Plain) -> Iterator[Chunk]:
        """Take the next rows in; gives the chunks that are full."""
        if isinstance(piece, Plain):
            yield from self._take_adds(*piece)
        elif piece[1]:
            yield from self._take_row(*piece)
        else:
            yield Chunk([], {})

    def _take_adds(self, adds: Adds, rows: list[list[str]]) -> Iterator[Chunk]:
        self._open = None
        start = 0
        while start < len(adds):
            yield from self._full()
            stop = min(start + self._room - self.chunk.rows, len(adds))
            some = adds.cut(start, stop)
            self.chunk.items.append(some)
            self.chunk.rows += len(some)
            if rows:
                self.chunk.cells.update(zip(some.lines, rows[start:stop], strict=True))
            start = stop

    def _take_row(self, line: int, cells: list[str]) -> Iterator[Chunk]:
        item: Request | Unreadable
        try:
            student, change, request_cell = self._read(line, cells)
        except errors.BadValue as error:
            item, key = Unreadable(line, Refusal(error.code, error.message, error.hint)), None
        else:
            word = cast("CourseWord", change.course)
            key = (student, request_cell or (word.term, change.effective_on))
            request = self.chunk.items[-1] if key == self._open else None
            if request is not None and (
                request_cell or not any(word.may_be(c.course) for c in request.changes)
            ):
                request.changes.append(change)
                self._keep(line, cells)
                return
            item = Request(student, [change])
        yield from self._full()
        self.chunk.items.append(item)
        self._keep(line, cells)
        self._open = key

    def _keep(self, line: int, cells: list[str]) -> None:
        self.chunk.cells[line] = cells
        self.chunk.rows += 1

    def _full(self) -> Iterator[Chunk]:
        """Give the chunk that is full, before anything more is put into it."""
        if self.chunk.rows >= self._room:
            yield self.chunk
            self.chunk = Chunk([], {})
            self._room = next(self._sizes)

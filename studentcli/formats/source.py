"""A CSV file as it lies there: opened, checked, hashed, read row by row with flat memory.

What makes the whole file unreadable (encoding, header, quotes) raises `errors.FileUnreadable`
before anything is decided.
"""

import codecs
import csv
import gzip
import hashlib
import itertools
import os
import re
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from studentcli import errors
from studentcli.formats import dialect
from studentcli.formats.selection import Selection

if TYPE_CHECKING:
    from _csv import Reader

FIELD_LIMIT: Final = 128 * 1024
LINE_LIMIT: Final = 4 * 1024 * 1024
BLOCK: Final = 1024 * 1024
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
GZIP: Final = b"\x1f\x8b"

ROWS: Final = 500
"""Records of a block."""

Row = tuple[int, list[str]]
"""The line on which a record begins (the header is line 1), and its cells."""
Block = tuple[Sequence[int], list[list[str]]]
"""The lines on which some records begin, and the cells of each."""


class CsvSource:
    """One CSV file, which can be read twice.

    Args:
        name: a path, or `-` for standard input. What cannot be read twice (standard input, a
            pipe, gzip) is copied to a temporary file first, as the text that it holds.
        encoding: of the text; by its BOM when left out: UTF-16, else UTF-8.
        delimiter: between the cells, one character; by the header when left out.
        selection: what its columns are called here, and which rows are meant; all when left out.
        has_options: whether the command has options that say how the file is read.

    Raises:
        errors.FileUnreadable: saying what is wrong and what to do.
    """

    def __init__(
        self,
        name: str,
        *,
        encoding: str | None = None,
        delimiter: str | None = None,
        selection: Selection | None = None,
        has_options: bool = True,
    ) -> None:
        self.name = "standard input" if name == "-" else name
        self.selection = selection or Selection()
        self._has_options = has_options
        self.passed_over = 0
        """How many rows of the last reading were not meant."""
        named = None if encoding is None else dialect.text_encoding(encoding)
        self._open_files = ExitStack()
        self._file = self._open_files.enter_context(self._open(name))
        try:
            with self._reading():
                self._file.seek(0)
                beginning = self._file.read(BLOCK)
                self._identity = self._stat()
                self.sha256 = self._hash()
            self.encoding = named or dialect.encoding_of(beginning)
            self._require_text(beginning)
            header = dialect.first_line(beginning, self.encoding)
            self.delimiter = delimiter or dialect.delimiter_of(header)
            self._require_delimiter(header)
            self.guesses = dialect.guesses(
                None if named else self.encoding, None if delimiter else self.delimiter
            )
            """What was found out about the file and is not the rule, in words."""
            self.written_at = _written_at(name)
            """When the file was written, in UTC; of standard input nobody knows."""
            self.columns = self._read_columns()
            """The header as it stands there."""
            self.header = self._name_columns()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, and what was put aside of it."""
        self._open_files.close()

    @contextmanager
    def put_aside(self) -> Iterator[IO[bytes]]:
        """Give an empty temporary file to be filled; it is closed with this one.

        Raises:
            errors.FileUnreadable: when there is no room for it.
        """
        try:
            with ExitStack() as when_it_fails:
                aside = when_it_fails.enter_context(tempfile.TemporaryFile())
                yield aside
                aside.flush()
                self._open_files.push(when_it_fails.pop_all())
        except OSError as error:
            raise errors.FileUnreadable(
                f"{self.name} cannot be put aside in the folder for temporary files:"
                f" {error.strerror}",
                hint="make room there, or name another folder with TMPDIR",
            ) from error

    def _open(self, name: str) -> IO[bytes]:
        """Open the file so that its text can be read twice; what is packed is unpacked."""
        try:
            opened = _open_bytes(name)
            if opened.read(len(GZIP)) != GZIP:
                return opened
            opened.seek(0)
            with opened, gzip.GzipFile(fileobj=opened) as unpacked:
                return _spool(cast("IO[bytes]", unpacked), self.name)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise errors.FileUnreadable(
                f"{self.name} is gzip that ends too early or is damaged",
                hint="pack it or fetch it anew; gzip -t checks it",
            ) from error
        except OSError as error:
            raise errors.FileUnreadable(
                f"{name} cannot be read: {error.strerror}",
                hint="check the path and its permissions",
            ) from error
        except ValueError as error:  # a NUL in the path
            raise errors.FileUnreadable("the path of the file cannot be read") from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say that it is the file that cannot be read any further: its disk or share is gone."""
        try:
            yield
        except OSError as error:
            raise errors.FileUnreadable(
                f"{self.name} cannot be read to its end: {error.strerror}",
                hint="try again; if it fails again, copy it to another disk and import the copy",
            ) from error

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def require_unchanged(self) -> None:
        """Stop when the file was written to since it was opened."""
        with self._reading():
            now = self._stat()
        if now != self._identity:
            raise errors.FileUnreadable(
                f"{self.name} was changed while it was read; nothing was applied",
                hint="import it again once it is complete",
            )

    def _hash(self) -> str:
        digest = hashlib.sha256()
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            digest.update(block)
        return digest.hexdigest()

    def _require_text(self, block: bytes) -> None:
        if self.encoding != "utf-8-sig":
            return
        if block[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            raise errors.FileUnreadable(
                f"{self.name} is UTF-16, at byte 0",
                hint=self._way("add --encoding utf-16"),
            )
        if (nul := block.find(b"\0")) >= 0:
            raise errors.FileUnreadable(
                f"{self.name} is no text: there is a NUL at byte {nul}",
                hint="export it as CSV UTF-8",
            )

    def _require_delimiter(self, header: str) -> None:
        """Stop at a header that another character separates than the one named."""
        other = dialect.delimiter_of(header)
        if self.delimiter in header or other not in header:
            return
        raise errors.FileUnreadable(
            f"{self.name} is separated by {dialect.shown(other)},"
            f" not by {dialect.shown(self.delimiter)}",
            hint=f"add --delimiter {dialect.shown(other)}",
        )

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._identity[0]

    def records(self) -> Iterator[Row]:
        """Read the file from its beginning: every record with the line it begins on.

        Empty lines are passed over.
        """
        line = 1
        with self._reader() as reader:
            try:
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
            except csv.Error as error:
                raise self._broken(line, str(error)) from error

    def blocks(self) -> Iterator[Block]:
        """Read the records after the header that are meant, some hundred at a time."""
        if not self.selection.takes_all:
            meant = self.rows()
            while picked := list(itertools.islice(meant, ROWS)):
                yield [line for line, _ in picked], [cells for _, cells in picked]
            return
        self.passed_over = 0
        with self._reader() as reader:
            try:
                next(filter(None, reader), None)
                line = reader.line_num + 1
                while records := list(itertools.islice(reader, ROWS)):
                    lines, rows = _numbered(records, line, reader.line_num + 1)
                    if rows:
                        yield lines, rows
                    line = reader.line_num + 1
            except csv.Error:
                for _ in self.records():  # only this reading knows the line, and raises
                    pass
                raise

    @contextmanager
    def _reader(self) -> Iterator["Reader"]:
        """Open a CSV reader at the beginning of the file."""
        self._file.seek(0)
        # The file stays open for the second reading: the wrapper must not close it.
        text = TextIOWrapper(cast("BinaryIO", self._file), encoding=self.encoding, newline="")
        csv.field_size_limit(FIELD_LIMIT)
        try:
            with self._reading():
                yield csv.reader(
                    iter(partial(text.readline, LINE_LIMIT), ""),
                    delimiter=self.delimiter, strict=True,
                )  # fmt: skip
        except (UnicodeDecodeError, UnicodeError) as error:
            raise self._undecodable(error) from error
        finally:
            with suppress(ValueError):  # a reading that was left off, of a file closed since
                text.detach()

    def rows(self) -> Iterator[Row]:
        """Read the records after the header that are meant."""
        records = self.records()
        next(records, None)
        self.passed_over = 0
        return records if self.selection.takes_all else self._picked(records)

    def _picked(self, records: Iterator[Row]) -> Iterator[Row]:
        for line, cells in records:
            if self.selection.picks(line, cells, self.header):
                yield line, cells
            else:
                self.passed_over += 1

    def _read_columns(self) -> list[str]:
        records = self.records()
        first = next(records, None)
        records.close()  # type: ignore[attr-defined]
        if first is None:
            raise errors.FileUnreadable(
                f"{self.name} is empty", hint="its first line must name the columns"
            )
        return first[1]

    def _name_columns(self) -> list[str]:
        header = self.selection.header(self.columns, self.name)
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise errors.FileUnreadable(f"{self.name} names the column {twice[0]!r} twice")
        return header

    def _broken(self, line: int, reason: str) -> errors.FileUnreadable:
        if "field larger" in reason or "unexpected end" in reason:
            reason = "a quote that opens there is not closed, or a cell is longer than 128 KiB"
        return errors.FileUnreadable(
            f"{self.name}, line {line}: {reason}", hint="mend the quotes of that line"
        )

    def _way(self, option: str) -> str:
        """Say how a file in another encoding is read: by an option only where there is one."""
        return f"save it as CSV UTF-8{f', or {option}' if self._has_options else ''}"

    def _undecodable(self, error: UnicodeError) -> errors.FileUnreadable:
        """Find the byte: the decoder tells only the place inside what it was given."""
        name = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        hint = self._way("name its encoding with --encoding, such as cp1252")
        decoder = codecs.getincrementaldecoder(self.encoding)()
        offset, line = 0, 1
        with self._reading():
            self._file.seek(0)
            for raw in itertools.chain(self._file, [b""]):
                try:
                    line += decoder.decode(raw, final=not raw).count("\n")
                except UnicodeDecodeError as found:
                    # What the decoder held back from the line before stands in front of this one.
                    at = offset + len(raw) - len(found.object) + found.start
                    line += found.object[: found.start].count(b"\n")
                    said = f"byte {at} (line {line}), 0x{found.object[found.start]:02x}"
                    return errors.FileUnreadable(f"{self.name} is not {name}: {said}", hint=hint)
                except UnicodeError:  # UTF-16 or UTF-32 without a BOM, which knows no place
                    break
                offset += len(raw)
        return errors.FileUnreadable(f"{self.name} is not {name}: {error}", hint=hint)


def _numbered(records: list[list[str]], first: int, after: int) -> Block:
    """Say on which line each of some records begins, and leave the empty ones out.

    Args:
        records: one behind the other.
        first: the line of the first one.
        after: the line behind the last one.
    """
    if after - first == len(records):  # then every one has one line
        lines: Sequence[int] = range(first, after)
    else:
        ends = (1 + sum(len(_LINE_END.findall(cell)) for cell in cells) for cells in records)
        lines = list(itertools.accumulate(ends, initial=first))[:-1]
    if all(records):
        return lines, records
    kept = [(line, cells) for line, cells in zip(lines, records, strict=True) if cells]
    return [line for line, _ in kept], [cells for _, cells in kept]


def _written_at(name: str) -> datetime | None:
    if name == "-" or not stat.S_ISREG((status := Path(name).stat()).st_mode):
        return None
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _open_bytes(name: str) -> IO[bytes]:
    if name == "-":
        return _spool(sys.stdin.buffer, "standard input")
    path = Path(name)
    if path.is_dir():
        raise errors.FileUnreadable(f"{name} is a folder, not a file")
    opened = path.open("rb")
    if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    with opened:
        return _spool(opened, name)


def _spool(stream: IO[bytes], name: str) -> IO[bytes]:
    """Copy a stream that can be read only once; stop at once when it is no text."""
    with ExitStack() as when_it_fails:
        spooled = when_it_fails.enter_context(tempfile.TemporaryFile())
        while block := stream.read(BLOCK):
            if block.count(b"\0") == len(block):
                raise errors.FileUnreadable(f"{name} is no text: it holds only NUL bytes")
            spooled.write(block)
        spooled.seek(0)
        when_it_fails.pop_all()  # the source closes it
    return spooled

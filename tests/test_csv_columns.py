"""Rows that are read in columns come to what they come to row by row."""

import errno
import io
import os
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given

from studentcli import errors
from studentcli.formats import source as sources
from studentcli.formats.native import EnrollmentReader, reader_of
from studentcli.formats.selection import Selection
from studentcli.formats.source import CsvSource
from studentcli.requests import Adds
from tests.strategies import drawn, on_a_database

HEADERS = (
    "action,student,course,term,section,effective_on",
    "student,course",
    "course,effective_on,student,reason,request",
    "action,student,course,instead_of,override,reason,grade,_note",
)
CELLS: dict[str, tuple[str, ...]] = {
    "action": ("enroll",) * 9 + ("drop", " enroll", "jump", ""),
    "student": ("S1", " S1", "S2", "S3", "S4", "S5", "", "1.1E+03"),
    "course": ("CS101", "CS102", "CS101-2", "2026FA/CS101", '"C\nS"', ""),
    "term": ("2026FA",) * 5 + ("2026SP", "", "", " "),
    "section": ("", "1", "2", "2 "),
    "effective_on": ("", " ", "2026-09-01", "2026-09-02", "2026-09-02 ", "2026-13-01"),
    "reason": ("",) * 9 + (" ", "why", '"two\r\nlines"', '"a\rb"'),
    "request": ("",) * 9 + ("1", "2"),
    "instead_of": ("",) * 9 + ("CS103",),
    "override": ("",) * 9 + ("hold", "nothing"),
    "grade": ("",) * 9 + ("A",),
    "_note": ("", '"a ""quoted""\nnote"', "note"),
}


def content(rng: Random) -> str:
    """Draw a file of which most rows are plain, with what else there is in files."""
    header = rng.choice(HEADERS)
    names = header.split(",")
    # What cannot be read stands at the end, and has whole blocks read row by row.
    usual = [
        cells[: rng.choice((1, -2, -2, len(cells)))] for cells in map(CELLS.__getitem__, names)
    ]
    lines = [header]
    for _ in range(rng.randrange(40)):
        cells = [rng.choice(some) for some in usual]
        cells += ["more"] * (rng.random() < 0.02)
        lines.append(rng.choice(("",) + (",".join(cells),) * 20))
    return rng.choice(("\n", "\r\n", "\r")).join(lines) + rng.choice(("", "\n"))


def read(path: Path, size: int, *, in_columns: bool, cells: bool = True, **options: Any) -> Any:
    """Give the requests of a file, and which lines stand in which chunk."""
    try:
        source = CsvSource(str(path), **options)
    except errors.FileUnreadable as error:
        return str(error)
    reader = EnrollmentReader(source)
    reader.keeps_cells = cells
    if not in_columns:
        reader._pieces = source.rows  # type: ignore[method-assign]
    try:
        with patch.object(sources, "ROWS", 7):
            chunks = list(reader.chunks(size))
    except errors.FileUnreadable as error:
        return str(error)
    finally:
        source.close()
    items = [item for chunk in chunks for item in chunk.items]
    several = (item.requests() if isinstance(item, Adds) else [item] for item in items)
    kept = [(chunk.rows, chunk.cells) for chunk in chunks]
    return [item for some in several for item in some], kept


@on_a_database(200)
@given(example=drawn(lambda rng: (content(rng), rng.choice((1, 3, 10, 100)))))
def test_columns_give_what_rows_give(tmp_path_factory: Any, example: tuple[str, int]) -> None:
    text, size = example
    path = tmp_path_factory.getbasetemp() / "columns.csv"
    path.write_text(text, newline="")

    every: dict[str, Any] = {}
    for options in (every, {"selection": Selection(lines=[(3, 20)])}):
        wanted = read(path, size, in_columns=False, **options)
        assert read(path, size, in_columns=True, **options) == wanted
        without = read(path, size, in_columns=True, cells=False, **options)
        if isinstance(wanted, str):
            assert without == wanted
            continue
        assert without[0] == wanted[0]
        for (rows, some), (all_rows, all_of_them) in zip(without[1], wanted[1], strict=True):
            assert rows == all_rows == len(all_of_them)
            assert some.items() <= all_of_them.items()


def test_plain_rows_are_read_in_columns(tmp_path: Path) -> None:
    """Otherwise the comparison above would compare rows with rows."""
    path = tmp_path / "plain.csv"
    path.write_text("student,course\n" + "".join(f"S{n},CS101\n" for n in range(30)))
    source = CsvSource(str(path))
    (chunk,) = EnrollmentReader(source).chunks(100)
    source.close()

    assert [len(item) for item in chunk.items if isinstance(item, Adds)] == [28]
    assert chunk.rows == len(chunk.cells) == 30


@pytest.mark.parametrize("header", ["student,course", "student,status"])
def test_chunks_grow_from_the_first_one_to_their_size(tmp_path: Path, header: str) -> None:
    """The sooner the first one is decided, the sooner the database is at work."""
    path = tmp_path / "plain.csv"
    path.write_text(f"{header}\n" + "".join(f"S{n},active\n" for n in range(30)))
    source = CsvSource(str(path))
    grown = [chunk.rows for chunk in reader_of(source).chunks(8, first=2)]
    even = [chunk.rows for chunk in reader_of(source).chunks(8)]
    source.close()
    assert grown == [2, 4, 8, 8, 8]
    assert even == [8, 8, 8, 6]


class _BadDisk(io.FileIO):
    """A file on a disk that fails once so many bytes of it were read."""

    left = 0

    def readinto(self, buffer: Any) -> int:
        got = super().readinto(buffer) or 0
        self.left -= got
        if self.left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return got


def survey(path: Path) -> None:
    source = CsvSource(str(path))
    try:
        EnrollmentReader(source).survey()
    finally:
        source.close()


@pytest.mark.parametrize("readings", [0.5, 1.5])
def test_a_disk_that_fails_while_the_file_is_read_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings: float
) -> None:
    """While it is hashed or surveyed, and not as a full folder for temporary files."""
    path = tmp_path / "plain.csv"
    path.write_text("student,course\n" + "".join(f"S{n},CS101\n" for n in range(500_000)))

    def opened(_: str) -> io.BufferedReader:
        raw = _BadDisk(path)
        raw.left = int(path.stat().st_size * readings)
        return io.BufferedReader(raw)

    monkeypatch.setattr(sources, "_open_bytes", opened)
    with pytest.raises(errors.FileUnreadable, match=r"plain.csv cannot be read to its end: Input"):
        survey(path)


@pytest.mark.parametrize("fault", ["full", "none"])
def test_a_file_that_cannot_be_put_aside_is_refused_and_the_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def aside() -> Any:
        if fault == "none":
            raise FileNotFoundError(2, "No usable temporary directory found")
        return Path("/dev/full").open("w+b")

    path = tmp_path / "plain.csv"
    path.write_text("student,course\n" + "S1,CS101\nS2,CS101\n" * 3000)
    source = CsvSource(str(path))
    monkeypatch.setattr("tempfile.TemporaryFile", aside)
    with pytest.raises(errors.FileUnreadable, match="cannot be put aside") as refused:
        EnrollmentReader(source).survey()
    source.close()

    assert "TMPDIR" in str(refused.value.hint)

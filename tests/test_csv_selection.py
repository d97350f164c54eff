"""--map, --rows, --where: files with other names in their header, and parts of files."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Offer, Run
from tests.desk import fill_for_files, filled_once, rows
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def desk(new_database: NewDatabase) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_for_files, new_database)


EXPORTED = b"Student ID,Kurs = Code,Seats\nS1,CS101,9\nS2,MATH200,9\n"
MAPPED = ["--map", "student id=Student", "--map", " Kurs = Code =course", "--map", "SEATS=_seats"]


def test_columns_of_other_names_are_read_as_what_they_are_mapped_to(
    desk: World, offer: Offer
) -> None:
    assert offer(EXPORTED, "-q", *MAPPED) == (0, "")
    assert set(desk.statuses()) == {("S1", "ALL/CS101-1"), ("S2", "ALL/MATH200-1")}


def test_records_are_mapped_too(desk: World, offer: Offer) -> None:
    content = b"ID,Surname\nS7,King\n"
    assert offer(content, "-q", "--map", "ID=student", "--map", "Surname=family_name") == (0, "")
    assert desk.count("students") == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--map", "Student=student"], "--map: in.csv has no column 'student'"),
        (["--map", "Seats=student"], "column 'student id', which"),
        ([*MAPPED, "--map", "Seats=x"], "--map names the column 'seats' twice"),
        ([*MAPPED[:4], "--map", "Seats=course"], "names the column 'course' twice"),
        (["--map", "student"], "--map 'student'"),
        (["--map", "=student"], "--map '=student'"),
        (["--map", "Seats="], "--map 'Seats='"),
        ([*MAPPED, "--where", "Seats=9"], "--where: in.csv has no column 'seats'"),
        (["--where", "Seats"], "--where 'Seats'"),
        (["--where", "=9"], "--where '=9'"),
        (["--rows", "x"], "--rows 'x' names no lines"),
        (["--rows", ""], "--rows '' names no lines"),
        (["--rows", "3,"], "--rows '' names no lines"),
        (["--rows", "-3"], "--rows '-3' names no lines"),
        (["--rows", "\u0663"], "names no lines"),
        (["--rows", "5-3"], "--rows 5-3 ends before it begins"),
    ],
)
def test_what_selects_nothing_that_is_there_is_refused(
    desk: World, offer: Offer, options: list[str], told: str
) -> None:
    before = rows(desk)
    code, stderr = offer(EXPORTED, *options)
    assert code == 2
    assert told in stderr
    assert rows(desk) == before


FILE = """student,course,_note
S1,CS101,a

S1,MATH200,"two
lines"
S2,CS101,b
S3,CS101, a
"""


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (["--rows", "2"], ["S1 CS101"]),
        (["--rows", "2-4"], ["S1 CS101", "S1 MATH200"]),
        (["--rows", "3"], []),
        (["--rows", "5"], []),
        (["--rows", "6-"], ["S2 CS101", "S3 CS101"]),
        (["--rows", "1,4, 7-7"], ["S1 MATH200", "S3 CS101"]),
        (["--where", "course=CS101"], ["S1 CS101", "S2 CS101", "S3 CS101"]),
        (["--where", " Course = CS101"], ["S1 CS101", "S2 CS101", "S3 CS101"]),
        (["--where", "_note=a"], ["S1 CS101", "S3 CS101"]),
        (["--where", "_note=a", "--where", "_note=b", "--where", "student=S2"], ["S2 CS101"]),
        (["--where", "course=cs101"], []),
        (["--rows", "4-", "--where", "course=CS101"], ["S2 CS101", "S3 CS101"]),
    ],
)  # fmt: skip
def test_only_the_rows_that_are_meant_are_taken_and_the_others_are_counted(
    desk: World, offer: Offer, options: list[str], taken: list[str]
) -> None:
    code, stderr = offer(FILE.encode(), *options)
    assert code == 0
    assert {f"{number} {ref[4:-2]}" for number, ref in desk.statuses()} == set(taken)
    assert f"of {len(taken)} rows, {4 - len(taken)} left out into" in stderr


def test_rows_are_grouped_into_requests_after_what_is_not_meant_is_left_out(desk: World) -> None:
    """With the row of S2 between them they would be two requests."""
    from studentcli.formats.native import reader_of
    from studentcli.formats.selection import read_selection
    from studentcli.formats.source import CsvSource

    path = Path(desk.url).with_suffix(".csv")
    path.write_text("student,course\nS1,CS101\nS2,CS101\nS1,MATH200\n")
    for where, requests in ([], 3), (["student=S1"], 1):
        source = CsvSource(str(path), selection=read_selection([], None, where))
        reader = reader_of(source)
        assert sum(len(chunk.items) for chunk in reader.chunks(10)) == requests
        assert reader.survey().wanted.students == ({"S1"} if where else {"S1", "S2"})
        source.close()


def test_a_broken_row_is_refused_and_not_passed_over(desk: World, offer: Offer) -> None:
    code, stderr = offer(b"student,course\nS1\nS2,CS101\n", "--where", "course=CS101")
    assert code == 6
    assert "line 2: 1 cells, the header has 2" in stderr
    assert desk.statuses() == {}


def test_rejects_keep_the_columns_of_the_file_so_that_the_same_options_read_them(
    desk: World, command: Run, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text(" Student ID ;_Reason;Kurs\nS1;;CS101\nS9;;CS101\n")
    options = ["--map", "Student ID=student", "--map", "Kurs=course", "--on-error", "skip"]
    done = command("import", "in.csv", *options, "--rejects", "out.csv", database=desk)
    assert done.returncode == 6
    with (tmp_path / "out.csv").open() as file:
        assert list(csv.reader(file)) == [
            [" Student ID ", "Kurs", "_line", "_code", "_reason", "_request"],
            ["S9", "CS101", "3", "unknown-student", "there is no student S9", "3"],
        ]
    desk.student("S9")
    done = command("import", "out.csv", *options, database=desk)
    assert (done.returncode, len(desk.statuses())) == (0, 2)

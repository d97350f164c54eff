"""Files of any bytes: no traceback, no partial change, the right exit code.

By hand with more: `STUDENTCLI_TEST_EXAMPLES=5000 pytest tests/test_csv_fuzzed.py`. What failed is
kept as an example of its own.
"""

import gzip
import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings

from studentcli.formats.native import ENROLLMENT_COLUMNS
from tests.conftest import Offer
from tests.desk import STATE, fill_for_files, filled_once, rows
from tests.strategies import drawn
from tests.world import World

EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_EXAMPLES", "100"))
HEADERS = (
    "student,course", ",".join(ENROLLMENT_COLUMNS), "student,family_name,status,max_credits,email",
    "term,starts_on,time_zone", "course,title,capacity,waitlist,credits,meetings",
    "student;course", "student\tcourse",
)  # fmt: skip
CELLS = (
    "S1", "S2", "S3", "NEW", "CS101", "MATH200", "ALL", "enroll", "drop", "withdraw", "complete",
    "2026-09-01", "-", "", "A", "1", "999999999999", "1.23E+05", "course-full", "Mo 9:00-10:00",
    "Europe/Berlin", '"a,b"', '"', '""', "\0", "\x1b[31m", "\ufeff", "\u202e", "Müller", "\ud83d",
    "inactive", "x" * 1001, " S1 ", "'", "\\", "=1+1", "\u2028", "\x85", "\x0c", "\x1c", "0", "İ",
)  # fmt: skip
ENDS = ("\n", "\n", "\n", "\r\n", "\r", "\n\n", "")
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "utf-32", "utf-7")
NAMED = ("utf-8", "cp1252", "utf-16", "utf-16-le", "utf-7", "utf-32", "shift_jis", "ascii", "hz")
OPTIONS: tuple[Callable[[Random], list[str]], ...] = (
    lambda rng: ["--encoding", rng.choice(NAMED)],
    lambda rng: ["--delimiter", rng.choice([",", ";", "tab", "|", "a", "é", "\0", " "])],
    lambda rng: ["--rows", rng.choice(["2-3", "3-", "1", "2,4"])],
    lambda rng: ["--where", rng.choice(["course=CS101", "student=S1", "student="])],
    lambda rng: ["--map", rng.choice(["student=_x", "a=student", "course=instead_of"])],
    lambda rng: ["--chunk", rng.choice(["1", "2"])],
    lambda _: ["-n"],
    lambda _: ["--rejects", "rejects.csv"],
    lambda _: ["--all-or-none"],
)


def any_file(rng: Random) -> tuple[bytes, list[str]]:
    """Draw a file that begins as one of ours and may end as anything, and options to read it."""
    header = rng.choice(HEADERS)
    mark = next(mark for mark in ",;\t" if mark in header)
    lines = [header]
    for _ in range(rng.randint(0, 6)):
        width = header.count(mark) + rng.choice([1, 1, 1, 1, 1, 0, 2])
        lines.append(mark.join(rng.choice(CELLS) for _ in range(width)))
    text = "".join(line + rng.choice(ENDS) for line in lines)
    content = bytearray(text.encode(rng.choice(ENCODINGS), "replace"))
    for _ in range(rng.choice([0, 0, 1, 1, 3, 20])):
        at = rng.randint(0, len(content))
        content[at : at + rng.choice([0, 1, 1, 4])] = rng.randbytes(rng.choice([0, 1, 1, 3]))
    data = bytes(content)
    if rng.random() < 0.2:
        data = gzip.compress(data)
        if rng.random() < 0.5:
            at = rng.randrange(len(data))
            data = data[:at] + rng.randbytes(rng.choice([0, 1])) + data[at + 1 :]
    options = ["--on-error", rng.choice(["skip", "abort"])]
    for option in OPTIONS:
        if rng.random() < 0.12:
            options += option(rng)
    return data, options


@pytest.fixture
def desk(new_database: Callable[..., str]) -> World:
    """Give a filled catalogue on SQLite."""
    return filled_once(fill_for_files, new_database)


@given(drawn(any_file))
@example((b"student,course\nS1,CS101\n", ["--on-error", "abort", "--encoding", "utf-16"]))
@example((b"student,course\nS1,CS101\n", ["--on-error", "abort", "--encoding", "utf-32"]))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_are_imported_or_refused_whole(
    desk: World, offer: Offer, drawn_file: tuple[bytes, list[str]]
) -> None:
    content, options = drawn_file
    before, everything = rows(desk, *STATE, "enrollment_events"), rows(desk)
    code, stderr = offer(content, *options)
    assert code in {0, 2, 6}
    assert "Traceback" not in stderr
    if code == 2:
        assert stderr.count("error: ") == 1
        assert rows(desk) == everything
    if "-n" in options:
        assert rows(desk) == everything
    if code == 6 and "skip" not in options:
        assert rows(desk, *STATE, "enrollment_events") == before
        assert "nothing was applied" in stderr
    if code == 0:
        assert "error: " not in stderr
        assert "refused" not in stderr

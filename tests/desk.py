"""A desk to try things at: small catalogues, filled once and copied, and looks at what changed."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.world import World

STATE = ("students", "terms", "courses", "student_courses")
EVERYTHING = (
    *STATE,
    "holds",
    "overrides",
    "operations",
    "enrollment_events",
    "catalog_events",
    "alembic_version",
)


def fill_catalogue(world: World) -> World:
    """Fill a small catalogue in which near names exist."""
    world.student("S1042", given_name="Ada", family_name="King")
    world.student("00731", "1000", "731000", "-17")
    world.course("CS101", "MATH200", capacity=30, waitlist=5)
    world.submit("enroll", "S1042", "CS101").require()
    return world


def fill_for_files(world: World) -> World:
    """Add three students and two courses."""
    world.student("S1", "S2", "S3")
    world.course("CS101", "MATH200", capacity=30)
    return world


_filled: dict[Callable[[World], World], bytes] = {}


def filled_once(fill: Callable[[World], World], new_database: Callable[..., str]) -> World:
    """Give a copy of a SQLite file that is filled once in this process."""
    if fill not in _filled:
        url = new_database("sqlite")
        fill(World(url)).database.dispose()
        _filled[fill] = Path(url).read_bytes()
    url = new_database("sqlite")
    Path(url).write_bytes(_filled[fill])
    return World(url)


def rows(world: World, *tables: str) -> dict[str, list[str]]:
    """Give the rows of tables, to compare before and after; of every one unless named."""
    with world.database.connect(writes=False) as connection:
        return {
            table: sorted(str(row) for row in connection.execute(text(f"SELECT * FROM {table}")))
            for table in tables or EVERYTHING
        }


@contextmanager
def everything_locked(world: World) -> Iterator[None]:
    """Hold the locks that another writer would hold."""
    with world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE courses SET title = title"))
        connection.execute(text("UPDATE students SET email = email"))
        yield


def codes(items: list[Any]) -> dict[int, str]:
    """Give the code by line of the rows that were refused."""
    found: dict[int, str] = {}
    for item in items:
        for outcome in getattr(item, "outcomes", ()):
            if outcome.is_refused:
                found[outcome.change.line] = outcome.refusals[0].code
        if getattr(item, "refusal", None) is not None:
            line = item.line if hasattr(item, "line") else item.row.line
            found[line] = item.refusal.code
    return found


def read_csv(content: str) -> list[dict[str, str]]:
    """Read CSV text as rows by column."""
    return list(csv.DictReader(io.StringIO(content)))

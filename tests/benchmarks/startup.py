"""What `studentcli courses STUDENT` costs, against the imports and the query it cannot do without.

`python -m tests.benchmarks.startup --pairs 15`

Processor time of the whole process, user and system, in pairs. The other process imports typer,
pydantic and sqlalchemy.orm, and makes one SELECT on the same SQLite file through SQLAlchemy.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from studentcli.database import init_database
from studentcli.records import COURSE, STUDENT
from tests.benchmarks.processes import measure
from tests.world import World

TARGET: Final = 1.25
BASELINE: Final = """
import sys, typer, pydantic, sqlalchemy.orm
from sqlalchemy import create_engine, text
with create_engine("sqlite:///" + sys.argv[1]).connect() as connection:
    query = text("SELECT * FROM students WHERE student_number = :number")
    print(connection.execute(query, {"number": "S1"}).all())
"""


def fill(path: Path) -> None:
    """Make a small database: one student in a few courses."""
    init_database(str(path))
    world = World(str(path))
    world.save(STUDENT, student="S1", given_name="Ada", family_name="Lovelace").require()
    for number in range(1, 6):
        world.save(COURSE, course=f"CS10{number}", term="ALL", title="Course").require()
        world.one("enroll", "S1", f"CS10{number}")
    world.database.dispose()


def command() -> list[str]:
    """Give the installed command, or the module where there is none."""
    installed = Path(sys.executable).with_name("studentcli")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "studentcli"]


def run_pairs(ours: Sequence[str], theirs: Sequence[str], folder: Path, pairs: int) -> None:
    """Measure both in turn, after one warm-up that fills the bytecode caches."""
    environment = {"STUDENTCLI_DATABASE_URL": str(folder / "small.db"), "HOME": str(folder)}
    taken: list[tuple[float, float]] = []
    for _ in range(pairs + 1):
        a = measure(ours, environment, folder).cpu
        b = measure(theirs, environment, folder).cpu
        taken.append((a, b))
    taken = taken[1:]
    ratios = [a / b for a, b in taken]
    print(
        f"studentcli courses S1: {statistics.median(a for a, _ in taken):.3f} s of processor,"
        f" imports and one SELECT alone: {statistics.median(b for _, b in taken):.3f} s\n"
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f},"
        f" {pairs} pairs), target at most {TARGET}"
    )


def main() -> None:
    """Make the database, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=15)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studentcli-startup-") as name:
        folder = Path(name)
        database = folder / "small.db"
        fill(database)
        theirs = [sys.executable, "-c", BASELINE, str(database)]
        run_pairs([*command(), "courses", "S1"], theirs, folder, chosen.pairs)


if __name__ == "__main__":
    main()

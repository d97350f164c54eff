"""How time per row and memory grow with the file: 10,000 to 5,000,000 rows.

`python -m tests.benchmarks.growth --engine postgresql [--largest 5000000] [--students 100000]`

The file grows with its school, ten rows to a student and 500 to a course; or, with `--students`,
ever more rows come from the same school of 2,000 courses. Every size is imported into a fresh
database, as a file that arrives there; the small ones, which swing more, five times. Beside it, in
the same run, the first row alone: what starting and ending takes, however large the file is. What
a row takes is told with it and beyond it.
"""

import argparse
import statistics
from itertools import islice
from pathlib import Path
from typing import Final

from tests.benchmarks.batch import run_import
from tests.benchmarks.processes import Usage
from tests.benchmarks.school import SLOTS, School, Site, copied, opened_school

SIZES: Final = (10_000, 100_000, 1_000_000, 5_000_000)
SMALL: Final = 100_000
"""Up to this size an import is measured several times."""


def main() -> None:
    """Measure every size up to the largest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--students", type=int, help="as many for every size")
    parser.add_argument("--rules", action="store_true")
    chosen = parser.parse_args()
    for rows in (size for size in SIZES if size <= chosen.largest):
        students, courses = rows // 10, max(SLOTS, rows // 500)
        if chosen.students:
            students, courses = chosen.students, 2_000
        school = School(rows, students, courses, chosen.rules)
        options = () if chosen.engine == "sqlite" else ("--exclusive",)
        with opened_school(chosen.engine, school) as (site, file):
            times = 5 if rows <= SMALL else 1
            first = first_row_of(file)
            starts = [run_fresh(site, first, *options).wall for _ in range(5)]
            used = [run_fresh(site, file, *options) for _ in range(times)]
        start, wall = statistics.median(starts), statistics.median(usage.wall for usage in used)
        each, beyond = (seconds / rows * 1e6 for seconds in (wall, wall - start))
        print(
            f"{chosen.engine}: {rows:>9,} rows {wall:8.2f} s, {each:5.1f} µs a row,"
            f" {beyond:5.1f} beyond the start ({start:.2f} s), peak"
            f" {max(usage.peak_mb for usage in used):.0f} MB",
            flush=True,
        )


def first_row_of(file: Path) -> Path:
    """Write the first row of a file alone into another."""
    short = file.with_name("first.csv")
    with file.open() as rows:
        short.write_text("".join(islice(rows, 2)))
    return short


def run_fresh(site: Site, file: Path, *options: str) -> Usage:
    """Import a file into a fresh database."""
    with copied(site) as copy:
        return run_import(copy, file, *options)


if __name__ == "__main__":
    main()

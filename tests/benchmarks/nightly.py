"""The same file again the next night, with one row in a hundred changed.

`python -m tests.benchmarks.nightly --rows 1000000 --engine postgresql`

Into a database that holds all of it: as changes, in which that row is a drop, and as the truth
about the term (`--sync`), from which that row is missing. Beside them, in the same round, the first
load, and reading alone: the time of `import -n` with a database that refuses nothing is deciding,
not reading, so the file is only read and its cells are split.
"""

import argparse
import random
import statistics
import time
from pathlib import Path
from typing import Final

from studentcli.formats.native import EnrollmentReader
from studentcli.formats.source import CsvSource
from tests.benchmarks.batch import run_import
from tests.benchmarks.school import TERM, School, copied, opened_school

CHANGED: Final = 0.01


def change(file: Path) -> Path:
    """Write the file of the next night: some of its rows are drops now, a day later."""
    chance = random.Random(2)
    night = file.with_name("night.csv")
    with file.open() as before, night.open("w") as after:
        after.write(next(before))
        for row in before:
            is_changed = chance.random() < CHANGED
            cells = row.rstrip("\n").split(",")
            if is_changed:
                cells[0], cells[-1] = "drop", "2026-09-01"
            after.write(",".join(cells) + "\n")
    return night


def list_enrolled(night: Path) -> Path:
    """Write the file of the next night as a list of who is enrolled then."""
    listed = night.with_name("list.csv")
    with night.open() as changes, listed.open("w") as after:
        for row in changes:
            action, rest = row.split(",", 1)
            if action != "drop":
                after.write(rest)
    return listed


def read(file: Path) -> float:
    """Read the requests of a file and do nothing with them; gives the seconds."""
    begun = time.perf_counter()
    source = CsvSource(str(file))
    for _ in EnrollmentReader(source).chunks(20_000):
        pass
    source.close()
    return time.perf_counter() - begun


def main() -> None:
    """Measure rounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rules", action="store_true")
    chosen = parser.parse_args()
    ratios: dict[str, list[float]] = {"changes": [], "sync": []}
    school = School(chosen.rows, max(1_000, chosen.rows // 10), 2_000, chosen.rules)
    with opened_school(chosen.engine, school) as (site, file):
        night = change(file)
        nights = {
            "changes": (night, ()),
            "sync": (list_enrolled(night), ("--sync", "--scope", f"term={TERM}")),
        }
        for number in range(1, chosen.rounds + 1):
            for way, (tonight, options) in nights.items():
                with copied(site) as copy:
                    first = run_import(copy, file)
                    second = run_import(copy, tonight, *options)
                ratios[way].append(second.wall / first.wall)
                print(
                    f"{chosen.engine}, round {number}, {way}: first load {first.wall:.2f} s"
                    f" (processor {first.cpu:.2f}), next night {second.wall:.2f} s"
                    f" ({second.cpu:.2f}), reading alone {read(night):.2f} s, peak"
                    f" {second.peak_mb:.0f} MB\n  {second.stderr.splitlines()[-1]}",
                    flush=True,
                )
    for way, found in ratios.items():
        print(
            f"next night as {way} / first load: {statistics.median(found):.2f}"
            f" ({min(found):.2f}-{max(found):.2f})"
        )


if __name__ == "__main__":
    main()

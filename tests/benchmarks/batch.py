"""How long an import takes, against the database's own time for the same finished rows.

`python -m tests.benchmarks.batch --rows 1000000 --engine postgresql [--rules]`

With `--rules` every rule has data to look at: prerequisites on half of the courses, passed by
everybody; meetings on all; a window, a credit limit, restrictions, repeats; a hold on one student
in a hundred, whose rows are refused.

Every round measures the real command in a process of its own, online and as a bulk load
(`--exclusive`; on SQLite a file that dominates its table is one by itself), then the two loads of
`benchmarks.loads`. All begin with a fresh copy of one database that holds the catalogue and an
earlier enrollment, with its keys, foreign keys and indexes. With `--others` also what people use
today: see `benchmarks.others`.
"""

import argparse
import gc
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.benchmarks import others
from tests.benchmarks.loads import (
    Finished,
    finished_rows,
    load_best,
    load_plainly,
    write_in_bulk,
)
from tests.benchmarks.processes import Usage, measure
from tests.benchmarks.school import School, Site, copied, is_held, opened_school

MEMORY_TARGET: Final = 300
WAYS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "sqlite": {"bulk": ()},
    "postgresql": {"online": (), "bulk": ("--exclusive",)},
}
"""How a file can be imported on each engine, and the options for it."""
YARDSTICKS: Final = {"plain": load_plainly, "best": load_best}
WRITER: Final = "writer"
"""The import's own bulk writer, with nothing read or decided."""
TARGETS: Final = {
    ("postgresql", "online", "plain"): 1.2,
    ("postgresql", "bulk", "plain"): 0.4,
    ("postgresql", "bulk", "best"): 2.5,
    ("sqlite", "bulk", "plain"): 0.8,
    ("sqlite", "bulk", "best"): 2.5,
}

# ── the command ──────────────────────────────────────────────────────────────


def run_import(url: str, file: Path, *options: str) -> Usage:
    """Run the command as people do."""
    environment = {"STUDENTCLI_DATABASE_URL": url, "HOME": str(file.parent)}
    command = [sys.executable, "-m", "studentcli", "import", str(file), "--on-error", "skip",
               *options]  # fmt: skip
    return measure(command, environment, file.parent, accepted=(0, 6))


# ── the rounds ───────────────────────────────────────────────────────────────────────────


@dataclass
class Figures:
    """What the rounds measured: seconds by way, and the peak memory of the imports."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peaks: list[float] = field(default_factory=list)

    def ratios(self, way: str, yardstick: str) -> list[float]:
        """Compare a way with a yardstick, round by round."""
        return [a / b for a, b in zip(self.seconds[way], self.seconds[yardstick], strict=True)]


def run_rounds(site: Site, file: Path, chosen: argparse.Namespace) -> None:
    """Measure every way, one after the other in every round, and print the figures."""
    rows: list[Finished] = []
    figures = Figures()
    for number in range(1, chosen.rounds + 1):
        for way, options in WAYS[chosen.engine].items():
            with copied(site) as copy:
                used = run_import(copy, file, *options)
                figures.seconds[way].append(used.wall)
                figures.peaks.append(used.peak_mb)
                print(f"  round {number}: {way:6} {used.wall:7.2f} s (own processor time"
                      f" {used.cpu:.2f} s)", flush=True)  # fmt: skip
                if not rows:
                    print(f"  {used.stderr.splitlines()[-1]}")
                    rows = finished_rows(copy)
                    gc.collect()
                    gc.freeze()
                    require_complete(rows, chosen)
        for way, load in {**YARDSTICKS, WRITER: write_in_bulk}.items():
            with copied(site) as copy:
                figures.seconds[way].append(load(copy, rows))
                print(f"  round {number}: {way:6} {figures.seconds[way][-1]:7.2f} s", flush=True)
        for way, seconds in others.measured(site, file, chosen.rows) if chosen.others else ():
            figures.seconds[way].append(seconds)
            print(f"  round {number}: {way} {seconds:.2f} s", flush=True)
    tell(figures, chosen.engine)


def tell(figures: Figures, engine: str) -> None:
    """Print medians, ratios with their spread, and targets."""
    for way, seconds in figures.seconds.items():
        print(f"  {way:6} median {statistics.median(seconds):7.2f} s"
              f" ({min(seconds):.2f}-{max(seconds):.2f})")  # fmt: skip
    for way in (*WAYS[engine], WRITER):
        for yardstick in YARDSTICKS:
            ratios = figures.ratios(way, yardstick)
            target = TARGETS.get((engine, way, yardstick))
            print(
                f"  {way} / {yardstick}: {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f}-{max(ratios):.2f})"
                + (f", target at most {target}" if target else "")
            )
    for way in WAYS[engine]:
        mine = {*WAYS[engine], *YARDSTICKS, WRITER}
        for other in sorted(figures.seconds.keys() - mine):
            times = figures.ratios(other, way)
            print(f"  {other} / {way}: {statistics.median(times):.2f}")
    print(f"  memory {max(figures.peaks):.0f} MB, target below {MEMORY_TARGET} MB")


def require_complete(rows: Sequence[Finished], chosen: argparse.Namespace) -> None:
    """Stop when the import did not write one event per row of the file, and a state unless held."""
    held = sum(is_held(n % chosen.students) for n in range(chosen.rows)) if chosen.rules else 0
    counts = [len(finished) for finished in rows]
    expected = [chosen.rows - held, chosen.rows]
    if counts != expected:
        raise SystemExit(f"the import wrote {counts} rows, {expected} were expected")


def run_profile(site: Site, file: Path) -> None:
    """Run one import in this process and print where the time goes."""
    import cProfile
    import pstats

    from studentcli.cli import main as studentcli

    copy = site.copy()
    os.environ["STUDENTCLI_DATABASE_URL"] = copy
    sys.argv = ["studentcli", "import", str(file), "--on-error", "skip"]
    profile = cProfile.Profile()
    with suppress(SystemExit):
        profile.runcall(studentcli)
    site.drop(copy)
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--students", type=int, default=100_000)
    parser.add_argument("--courses", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", action="store_true", help="with data for every rule")
    parser.add_argument("--others", action="store_true", help="beside what people use today")
    parser.add_argument("--profile", action="store_true", help="profile one import instead")
    chosen = parser.parse_args()
    if chosen.rows > chosen.students * chosen.courses:
        parser.error("there are not so many pairs of student and course")
    return chosen


def main() -> None:
    """Prepare one database and one file, then measure."""
    chosen = parse_arguments()
    size = (chosen.rows, chosen.students, chosen.courses)
    with opened_school(chosen.engine, School(*size, chosen.rules, chosen.seed)) as (site, file):
        print("{}: {:,} rows, {:,} students, {:,} courses".format(chosen.engine, *size), flush=True)
        if chosen.profile:
            run_profile(site, file)
        else:
            run_rounds(site, file, chosen)


if __name__ == "__main__":
    main()

"""How long an import takes, against the database's own time for the same finished rows.

`python -m tests.benchmarks.batch --rows 1000000 --engine postgresql [--rules]`

With `--rules` every rule has data to look at: prerequisites on half of the courses, passed by
everybody; meetings on all; a window, a credit limit, restrictions, repeats; a hold on one student
in a hundred, whose rows are refused.

Every round measures the real command in a process of its own, online and as a bulk load
(`--exclusive`; on SQLite a file that dominates its table is one by itself), then the two loads of
`benchmarks.loads`. All begin with a fresh copy of one database that holds the catalogue and an
earlier enrollment, with its keys, foreign keys and indexes.
"""

import argparse
import csv
import gc
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, func, insert, select, text, update

from studentcli import schema
from studentcli.database import Database, normalize_url
from studentcli.models import Course, Hold, Student, StudentCourses, Term
from tests.benchmarks.loads import Rows, finished_rows, load_best, load_plainly
from tests.benchmarks.processes import Usage, measure
from tests.postgres import running_server

TERM: Final = "2026SU"
MEMORY_TARGET: Final = 300
WAYS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "sqlite": {"bulk": ()},
    "postgresql": {"online": (), "bulk": ("--exclusive",)},
}
"""How a file can be imported on each engine, and the options for it."""
YARDSTICKS: Final = {"plain": load_plainly, "best": load_best}
TARGETS: Final = {
    ("postgresql", "online", "plain"): 1.2,
    ("postgresql", "bulk", "plain"): 0.4,
    ("postgresql", "bulk", "best"): 2.5,
    ("sqlite", "bulk", "plain"): 0.8,
    ("sqlite", "bulk", "best"): 2.5,
}
FIRST_DAY: Final = date(2026, 5, 1)

SLOTS: Final = 40
"""Times of the week that do not overlap: with `--rules` a student's courses have different ones."""


# ── the catalogue and the file ───────────────────────────────────────────────────────────


def student_number(index: int) -> str:
    """Name a student."""
    return f"S{index + 1:07d}"


def course_code(index: int) -> str:
    """Name a course."""
    return f"CRS{index + 1:05d}"


def capacity_of(index: int, rows: int, courses: int) -> int | None:
    """Half of the courses are unlimited, one in twenty fills up, the others have ample room."""
    wanted = rows / courses
    if index % 20 == 1:
        return max(1, round(wanted * 0.6))
    return None if index % 2 == 0 else round(wanted * 2) + 20


def meeting_of(index: int) -> str:
    """Give a course one of the times of the week."""
    day, hour = divmod(index % SLOTS, 8)
    return f"{'MTWRF'[day]} {8 + hour:02}:00-{8 + hour:02}:50"


def rules_of(index: int) -> dict[str, Any]:
    """Give a course what the rules look at."""
    return {
        "requires": "BASE:C" if index % 2 else None,
        "meetings": meeting_of(index),
        "restricted": "!suspended" if index % 5 == 0 else None,
        "repeats": 2 if index % 3 == 0 else None,
    }


def fill_rules(connection: Connection, term_id: int, chosen: argparse.Namespace) -> None:
    """Let everybody have passed BASE in an earlier term, and hold one student in a hundred."""
    connection.execute(
        update(Term).where(Term.id == term_id),
        {"enroll_from": FIRST_DAY, "enroll_until": date(2099, 12, 31), "max_credits": Decimal(40)},
    )
    earlier = connection.execute(
        insert(Term).returning(Term.id), {"code": "2025FA", "name": "2025FA", "time_zone": "UTC"}
    ).scalar_one()
    base = {
        "term_id": earlier, "code": "BASE", "section": "1", "title": "Base", "status": "open",
        "credit_hours": Decimal(3), "waitlist_capacity": 0,
    }  # fmt: skip
    base_id = connection.execute(insert(Course).returning(Course.id), base).scalar_one()
    day = date(2025, 12, 1)
    ids = connection.execute(select(Student.id).order_by(Student.id)).scalars().all()
    passed = [
        {"student_id": student_id, "course_id": base_id, "status": "completed", "grade": "B",
         "enrolled_on": day, "status_since": day}
        for student_id in ids
    ]  # fmt: skip
    connection.execute(insert(StudentCourses), passed)
    held = [
        {"student_id": ids[index], "kind": "library", "blocks": "add", "reason": "a book",
         "from_on": day, "placed_by": "benchmark", "placed_at": datetime.now(UTC)}
        for index in range(chosen.students) if is_held(index)
    ]  # fmt: skip
    connection.execute(insert(Hold), held)


def fill_one(connection: Connection, term_id: int) -> None:
    """Let there be one enrollment: the file does not come to an empty table."""
    other = {
        "term_id": term_id, "code": "OTHER", "section": "1", "title": "Other", "status": "open",
        "credit_hours": Decimal(3), "waitlist_capacity": 0,
    }  # fmt: skip
    course_id = connection.execute(insert(Course).returning(Course.id), other).scalar_one()
    enrolled = {
        "student_id": connection.execute(select(func.min(Student.id))).scalar_one(),
        "course_id": course_id, "status": "enrolled", "enrolled_on": FIRST_DAY,
        "status_since": FIRST_DAY,
    }  # fmt: skip
    connection.execute(insert(StudentCourses), enrolled)


def is_held(index: int) -> bool:
    """Tell whether a student has a hold."""
    return index % 100 == 50


def fill_catalogue(database: Database, chosen: argparse.Namespace) -> None:
    """Add the students and the courses."""
    students = [
        {
            "student_number": student_number(i), "given_name": f"Given{i}",
            "family_name": f"Family{i}", "status": "active", "created_at": datetime.now(UTC),
            "tags": "level:senior major:CS" if chosen.rules and i % 2 else None,
        }
        for i in range(chosen.students)
    ]  # fmt: skip
    with database.connect(writes=True) as connection:
        term_id = connection.execute(
            insert(Term).returning(Term.id), {"code": TERM, "name": TERM, "time_zone": "UTC"}
        ).scalar_one()
        courses = [
            {
                "term_id": term_id, "code": course_code(i), "section": "001",
                "title": f"Course {i}", "credit_hours": Decimal(3), "status": "open",
                "capacity": capacity_of(i, chosen.rows, chosen.courses),
                "waitlist_capacity": chosen.rows, **(rules_of(i) if chosen.rules else {}),
            }
            for i in range(chosen.courses)
        ]  # fmt: skip
        connection.execute(insert(Student), students)
        connection.execute(insert(Course), courses)
        if chosen.rules:
            fill_rules(connection, term_id, chosen)
        else:
            fill_one(connection, term_id)
        connection.execute(text("ANALYZE"))
        connection.commit()
    database.dispose()


def pairs_without_conflict(chance: random.Random, chosen: argparse.Namespace) -> list[int]:
    """Draw pairs so that the courses of a student meet at different times."""
    pairs = []
    for number in range(chosen.rows):
        student, nth = number % chosen.students, number // chosen.students
        slot = (student * 7 + nth) % SLOTS
        course = chance.randrange(chosen.courses // SLOTS) * SLOTS + slot
        pairs.append(student * chosen.courses + course)
    chance.shuffle(pairs)
    return pairs


def write_file(path: Path, chosen: argparse.Namespace) -> None:
    """Write distinct pairs of student and course, in random order."""
    chance = random.Random(chosen.seed)
    pairs = (
        pairs_without_conflict(chance, chosen)
        if chosen.rules
        else chance.sample(range(chosen.students * chosen.courses), chosen.rows)
    )
    days = [(FIRST_DAY + timedelta(days=i)).isoformat() for i in range(60)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["action", "student", "course", "term", "section", "effective_on"])
        for pair in pairs:
            student, course = divmod(pair, chosen.courses)
            writer.writerow(
                ["enroll", student_number(student), course_code(course), TERM, "001",
                 chance.choice(days)]
            )  # fmt: skip


# ── the engines ──────────────────────────────────────────────────────────────────────────


class Site(Protocol):
    """Where databases are made: one that is prepared, and fresh copies of it."""

    @property
    def prepared(self) -> str:
        """The URL or path of the prepared database."""

    def copy(self) -> str:
        """Make a fresh copy; gives its URL or path."""

    def drop(self, database: str) -> None:
        """Remove a copy."""


class SqliteSite:
    """SQLite files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepared = str(folder / "prepared.db")

    def copy(self) -> str:
        """Copy the prepared file, and let the disk finish before the clock starts."""
        path = str(self.folder / "copy.db")
        shutil.copyfile(self.prepared, path)
        os.sync()
        return path

    def drop(self, database: str) -> None:
        """Remove a copy."""
        Path(database).unlink()


class PostgresSite:
    """Databases of one server."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._admin("CREATE DATABASE bench_prepared")
        self.prepared = self._url("bench_prepared")

    def copy(self) -> str:
        """Make a database of the prepared one, with no checkpoint left to do."""
        self._admin("CREATE DATABASE bench_copy TEMPLATE bench_prepared", "CHECKPOINT")
        return self._url("bench_copy")

    def drop(self, database: str) -> None:
        """Remove a copy."""
        del database
        self._admin("DROP DATABASE bench_copy WITH (FORCE)")

    def _url(self, name: str) -> str:
        url = normalize_url(self.server).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def _admin(self, *statements: str) -> None:
        engine = Database(normalize_url(self.server)).engine
        with engine.connect() as connection:
            autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                autocommit.execute(text(statement))


@contextmanager
def opened_site(engine: str, folder: Path) -> Iterator[Site]:
    """Give the site of an engine; PostgreSQL runs as long as it is used."""
    with ExitStack() as stack:
        if engine == "sqlite":
            yield SqliteSite(folder)
        else:
            yield PostgresSite(stack.enter_context(running_server()))


# ── the command ──────────────────────────────────────────────────────────────


def run_import(url: str, file: Path, folder: Path, *options: str) -> Usage:
    """Run the command as people do."""
    environment = {"STUDENTCLI_DATABASE_URL": url, "HOME": str(folder)}
    command = [sys.executable, "-m", "studentcli", "import", str(file), "--on-error", "skip",
               *options]  # fmt: skip
    return measure(command, environment, folder, accepted=(0, 6))


# ── the rounds ───────────────────────────────────────────────────────────────────────────


@dataclass
class Figures:
    """What the rounds measured: seconds by way, and the peak memory of the imports."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peaks: list[float] = field(default_factory=list)

    def ratios(self, way: str, yardstick: str) -> list[float]:
        """Compare a way with a yardstick, round by round."""
        return [a / b for a, b in zip(self.seconds[way], self.seconds[yardstick], strict=True)]


def run_rounds(site: Site, file: Path, folder: Path, chosen: argparse.Namespace) -> None:
    """Measure every way, one after the other in every round, and print the figures."""
    rows: list[Rows] = []
    figures = Figures()
    for number in range(1, chosen.rounds + 1):
        for way, options in WAYS[chosen.engine].items():
            with copied(site) as copy:
                used = run_import(copy, file, folder, *options)
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
        for way, load in YARDSTICKS.items():
            with copied(site) as copy:
                figures.seconds[way].append(load(copy, rows))
                print(f"  round {number}: {way:6} {figures.seconds[way][-1]:7.2f} s", flush=True)
    tell(figures, chosen.engine)


@contextmanager
def copied(site: Site) -> Iterator[str]:
    """Give a fresh copy for as long as it is used."""
    copy = site.copy()
    yield copy
    site.drop(copy)


def tell(figures: Figures, engine: str) -> None:
    """Print medians, ratios with their spread, and targets."""
    for way, seconds in figures.seconds.items():
        print(f"  {way:6} median {statistics.median(seconds):7.2f} s"
              f" ({min(seconds):.2f}-{max(seconds):.2f})")  # fmt: skip
    for way in WAYS[engine]:
        for yardstick in YARDSTICKS:
            ratios = figures.ratios(way, yardstick)
            target = TARGETS.get((engine, way, yardstick))
            print(
                f"  {way} / {yardstick}: {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f}-{max(ratios):.2f})"
                + (f", target at most {target}" if target else "")
            )
    print(f"  memory {max(figures.peaks):.0f} MB, target below {MEMORY_TARGET} MB")


def require_complete(rows: Sequence[Rows], chosen: argparse.Namespace) -> None:
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
    parser.add_argument("--profile", action="store_true", help="profile one import instead")
    chosen = parser.parse_args()
    if chosen.rows > chosen.students * chosen.courses:
        parser.error("there are not so many pairs of student and course")
    return chosen


def main() -> None:
    """Prepare one database and one file, then measure."""
    chosen = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="studentcli-bench-") as name:
        folder = Path(name)
        file = folder / "enrollments.csv"
        with opened_site(chosen.engine, folder) as site:
            print(
                f"{chosen.engine}: {chosen.rows:,} rows, {chosen.students:,} students,"
                f" {chosen.courses:,} courses",
                flush=True,
            )
            database = Database(normalize_url(site.prepared))
            schema.upgrade(database, create=True)
            fill_catalogue(database, chosen)
            write_file(file, chosen)
            if chosen.profile:
                run_profile(site, file)
            else:
                run_rounds(site, file, folder, chosen)


if __name__ == "__main__":
    main()

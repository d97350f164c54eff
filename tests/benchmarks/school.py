"""The school of the batch benchmarks: a catalogue, a file of enrollments, databases for both."""

import csv
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, func, insert, select, text, update

from studentcli import schema
from studentcli.database import Database, normalize_url
from studentcli.models import Course, Hold, Student, StudentCourses, Term
from tests.postgres import running_server

TERM: Final = "2026SU"
FIRST_DAY: Final = date(2026, 5, 1)
SLOTS: Final = 40
"""Times of the week that do not overlap: with rules a student's courses have different ones."""


@dataclass(frozen=True)
class School:
    """How large it is.

    Args:
        rows: of the file; every one is another pair of student and course.
        students: how many.
        courses: how many.
        rules: whether every rule has data to look at.
        seed: draws the pairs.
    """

    rows: int
    students: int = 100_000
    courses: int = 2_000
    rules: bool = False
    seed: int = 1


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


def fill_rules(connection: Connection, term_id: int, school: School) -> None:
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
        for index in range(school.students) if is_held(index)
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


def fill_catalogue(database: Database, school: School) -> None:
    """Add the students and the courses."""
    students = [
        {
            "student_number": student_number(i), "given_name": f"Given{i}",
            "family_name": f"Family{i}", "status": "active", "created_at": datetime.now(UTC),
            "tags": "level:senior major:CS" if school.rules and i % 2 else None,
        }
        for i in range(school.students)
    ]  # fmt: skip
    with database.connect(writes=True) as connection:
        term_id = connection.execute(
            insert(Term).returning(Term.id), {"code": TERM, "name": TERM, "time_zone": "UTC"}
        ).scalar_one()
        courses = [
            {
                "term_id": term_id, "code": course_code(i), "section": "001",
                "title": f"Course {i}", "credit_hours": Decimal(3), "status": "open",
                "capacity": capacity_of(i, school.rows, school.courses),
                "waitlist_capacity": school.rows, **(rules_of(i) if school.rules else {}),
            }
            for i in range(school.courses)
        ]  # fmt: skip
        connection.execute(insert(Student), students)
        connection.execute(insert(Course), courses)
        if school.rules:
            fill_rules(connection, term_id, school)
        else:
            fill_one(connection, term_id)
        connection.execute(text("ANALYZE"))
        connection.commit()
    database.dispose()


def pairs_without_conflict(chance: random.Random, school: School) -> list[int]:
    """Draw pairs so that the courses of a student meet at different times."""
    pairs = []
    for number in range(school.rows):
        student, nth = number % school.students, number // school.students
        slot = (student * 7 + nth) % SLOTS
        course = chance.randrange(school.courses // SLOTS) * SLOTS + slot
        pairs.append(student * school.courses + course)
    chance.shuffle(pairs)
    return pairs


def write_file(path: Path, school: School) -> None:
    """Write distinct pairs of student and course, in random order."""
    chance = random.Random(school.seed)
    pairs = (
        pairs_without_conflict(chance, school)
        if school.rules
        else chance.sample(range(school.students * school.courses), school.rows)
    )
    days = [(FIRST_DAY + timedelta(days=i)).isoformat() for i in range(60)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["action", "student", "course", "term", "section", "effective_on"])
        for pair in pairs:
            student, course = divmod(pair, school.courses)
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
        """Remove a copy, and what a killed or careless program left beside it."""
        for end in ("", "-wal", "-shm"):
            Path(database + end).unlink(missing_ok=True)


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


@contextmanager
def opened_school(engine: str, school: School) -> Iterator[tuple[Site, Path]]:
    """Prepare a database with the catalogue, and the file beside it."""
    with tempfile.TemporaryDirectory(prefix="studentcli-bench-") as name:
        file = Path(name) / "enrollments.csv"
        with opened_site(engine, Path(name)) as site:
            database = Database(normalize_url(site.prepared))
            schema.upgrade(database, create=True)
            fill_catalogue(database, school)
            write_file(file, school)
            yield site, file


@contextmanager
def copied(site: Site) -> Iterator[str]:
    """Give a fresh copy for as long as it is used."""
    copy = site.copy()
    yield copy
    site.drop(copy)

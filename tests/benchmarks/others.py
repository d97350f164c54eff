"""What people use today for the same file: the plain ORM loop, sqlite-utils, the sqlite3 shell.

None of them checks a rule, and only the loop looks anything up. The loop is run for some thousand
rows and scaled: it takes a minute for what an import does in a second. sqlite-utils comes with
`pip install 'studentcli[bench]'`; what is not there is left out.
"""

import csv
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, event, func, select
from sqlalchemy.orm import Session

from studentcli.database import normalize_url
from studentcli.models import Course, EnrollmentEvent, Student, StudentCourses
from tests.benchmarks.processes import measure
from tests.benchmarks.school import Site, copied

LOOP_ROWS: Final = 5_000


def measured(site: Site, file: Path, rows: int) -> Iterator[tuple[str, float]]:
    """Measure each of them; gives its name and the seconds for the whole file."""
    for name, is_committing in (("ORM loop, committing", True), ("ORM loop, one commit", False)):
        with copied(site) as copy:
            done = min(rows, LOOP_ROWS)
            yield name, run_loop(copy, file, done, is_committing=is_committing) / done * rows
    if site.prepared.startswith("postgresql"):
        return
    yield from _run_tools(file)


def _run_tools(file: Path) -> Iterator[tuple[str, float]]:
    """Let the tools of SQLite read the file into a new database."""
    utils = Path(sys.executable).parent / "sqlite-utils"
    shell = shutil.which("sqlite3")
    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        insert = [str(utils), "insert", "to.db", "enrollments", str(file), "--csv"]
        tools = {
            "sqlite-utils insert": (utils.exists(), insert),
            "sqlite-utils insert --no-detect-types": (
                utils.exists(), [*insert, "--no-detect-types"],
            ),
            "sqlite3 .import": (shell, [str(shell), "to.db", f".import --csv {file} enrollments"]),
        }  # fmt: skip
        for tool, (is_here, command) in tools.items():
            if is_here:
                Path(name, "to.db").unlink(missing_ok=True)
                yield tool, measure(command, {}, Path(name)).wall


def run_loop(url: str, file: Path, rows: int, *, is_committing: bool) -> float:
    """Enroll row by row as a script with an ORM does; gives the seconds.

    Args:
        url: a copy of the prepared database.
        file: the enrollments.
        rows: how many of them.
        is_committing: whether after every row, or once.
    """
    engine = create_engine(normalize_url(url))
    if engine.dialect.name == "sqlite":
        event.listen(
            engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON")
        )
    with file.open(encoding="utf-8", newline="") as lines, Session(engine) as session:
        begun = time.perf_counter()
        for line, row in enumerate(itertools.islice(csv.DictReader(lines), rows), 2):
            _enroll(session, row, line)
            if is_committing:
                session.commit()
        session.commit()
        seconds = time.perf_counter() - begun
    engine.dispose()
    return seconds


def _enroll(session: Session, row: dict[str, str], line: int) -> None:
    student = session.scalars(select(Student).where(Student.student_number == row["student"])).one()
    course = session.scalars(
        select(Course).where(Course.code == row["course"], Course.section == row["section"])
    ).one()
    taken = session.scalar(
        select(func.count()).where(
            StudentCourses.course_id == course.id, StudentCourses.status == "enrolled"
        )
    )
    has_seat = course.capacity is None or (taken or 0) < course.capacity
    status = "enrolled" if has_seat else "waitlisted"
    on = date.fromisoformat(row["effective_on"])
    state = StudentCourses(
        student_id=student.id, course_id=course.id, status=status, enrolled_on=on,
        status_since=on, queue_place=None if has_seat else line,
    )  # fmt: skip
    told = EnrollmentEvent(
        operation_id=0, line=line, student_id=student.id, course_id=course.id, action="enroll",
        to_status=status, effective_on=on, recorded_at=student.created_at,
    )  # fmt: skip
    session.add_all([state, told])
    session.flush()

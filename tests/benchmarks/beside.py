"""How long one enrollment takes while a large online batch runs, against a quiet database.

`python -m tests.benchmarks.beside [--rows 100000]`

PostgreSQL. The single students and courses are none of the batch's: what they share is the
machine. Every enrollment is one transaction over a connection of its own, as a command makes it,
without the start of the process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from studentcli import services
from studentcli.database import Database, normalize_url
from studentcli.models import Course, Student, Term
from studentcli.requests import Change, CourseWord, Request
from studentcli.services.operations import Act
from tests.benchmarks.school import TERM, School, Site, copied, opened_school

SINGLES = 200
PAUSE = 0.02


def add_others(database: Database) -> None:
    """Add students and courses that the file does not name."""
    with database.connect(writes=True) as connection:
        term_id = connection.execute(select(Term.id).where(Term.code == TERM)).scalar_one()
        pattern = {"given_name": "", "family_name": "", "status": "active",
                   "created_at": datetime.now(UTC)}  # fmt: skip
        for number in range(SINGLES):
            connection.execute(insert(Student).values(student_number=f"OTHER{number}", **pattern))
        for number in range(50):
            connection.execute(
                insert(Course).values(
                    term_id=term_id, code=f"O{number}", section="1", title="", credit_hours=3,
                    capacity=500, waitlist_capacity=10, status="open",
                )
            )  # fmt: skip
        connection.commit()


def submit(session: Session, request: Request) -> None:
    """Enroll."""
    services.submit(session, request, Act("enroll"), term=TERM).require()


def enroll_while(database: Database, goes_on: Callable[[], bool]) -> Iterator[float]:
    """Enroll one after the other as long as something goes on; gives the seconds of each."""
    for turn in range(SINGLES * 50):
        if not goes_on():
            return
        change = Change("enroll", CourseWord(f"O{turn // SINGLES}"))
        request = Request(f"OTHER{turn % SINGLES}", [change])
        begun = time.perf_counter()
        database.write(partial(submit, request=request))
        yield time.perf_counter() - begun
        time.sleep(PAUSE)


def tell(name: str, seconds: list[float]) -> None:
    """Print p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    print(
        f"{name}: {len(seconds)} enrollments, p50 {cuts[49] * 1e3:.1f} ms,"
        f" p99 {cuts[98] * 1e3:.1f} ms, longest {max(seconds) * 1e3:.1f} ms",
        flush=True,
    )


def start_batch(url: str, file: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start the online batch."""
    return subprocess.Popen(
        [sys.executable, "-m", "studentcli", "-q", "import", str(file), "--on-error", "skip",
         *options],
        env={**os.environ, "STUDENTCLI_DATABASE_URL": url, "HOME": str(file.parent)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def main() -> None:
    """Measure a quiet run, then beside a batch, then beside one in parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    chosen = parser.parse_args()
    school = School(chosen.rows, max(1_000, chosen.rows // 10))
    with opened_school("postgresql", school) as (site, file):
        prepared = Database(normalize_url(site.prepared))
        add_others(prepared)
        prepared.dispose()
        measure_beside("quiet", site, file, None)
        measure_beside("beside a batch", site, file, ())
        parts = ("--commit-every", "5000")
        measure_beside("beside a batch in parts of 5,000", site, file, parts)


def measure_beside(name: str, site: Site, file: Path, options: tuple[str, ...] | None) -> None:
    """Measure beside a batch with these options, or for 15 s beside nothing."""
    with copied(site) as copy:
        database = Database(normalize_url(copy), wait=60)
        until = time.monotonic() + 15
        batch = None if options is None else start_batch(copy, file, *options)

        def goes_on() -> bool:
            return time.monotonic() < until if batch is None else batch.poll() is None

        seconds = list(enroll_while(database, goes_on))
        database.dispose()
    tell(name, seconds)


if __name__ == "__main__":
    main()

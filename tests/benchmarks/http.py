"""How many enrollments a second come through HTTP, against a bare route that does one INSERT.

`python -m tests.benchmarks.http --engine postgresql --seconds 4`

Both servers run as processes of their own with the same driver, pool and server settings; eight
connections of this process ask them in turn, round after round. Every request is a new pair of
student and course: over all courses, or all eight at one course, which is followed by the next
when its seats are taken. The test server does not wait for the disk.
"""

import argparse
import itertools
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, text

from studentcli import schema
from studentcli.api import create_app
from studentcli.database import Database, normalize_url
from studentcli.models import Course, Student, Term
from tests.benchmarks.processes import clean_environment
from tests.benchmarks.school import opened_site

CONNECTIONS: Final = 8
STUDENTS: Final = 2_000
SPREAD: Final = 200
HOT: Final = 60
SEATS: Final = 500
MOST_REQUESTS: Final = 20_000
TARGET: Final = 0.5

Pairs = Iterator[tuple[int, int]]


# ── the catalogue, and who is enrolled in what ───────────────────────────────────────────


def fill(database: Database) -> None:
    """Add students with the ids 1 to STUDENTS, courses with SPREAD ids and then HOT ids."""
    students = [
        {
            "id": number, "student_number": f"S{number}", "given_name": "", "family_name": "",
            "status": "active", "created_at": datetime.now(UTC),
        }
        for number in range(1, STUDENTS + 1)
    ]  # fmt: skip
    with database.connect(writes=True) as connection:
        term_id = connection.execute(
            insert(Term).returning(Term.id), {"code": "2026FA", "name": "", "time_zone": "UTC"}
        ).scalar_one()
        courses = [
            {
                "id": number, "term_id": term_id, "code": f"C{number}", "section": "1",
                "title": "", "credit_hours": 3, "status": "open", "waitlist_capacity": 100,
                "capacity": SEATS if number > SPREAD else STUDENTS,
            }
            for number in range(1, SPREAD + HOT + 2)
        ]  # fmt: skip
        connection.execute(insert(Student), students)
        connection.execute(insert(Course), courses)
        connection.execute(
            text("CREATE TABLE bare (student_id bigint, course_id bigint,"
                 " PRIMARY KEY (student_id, course_id))")
        )  # fmt: skip
        connection.execute(text("ANALYZE"))
        connection.commit()
    database.dispose()


def spread_pairs() -> Pairs:
    """Every pair once, another course each time."""
    for turn, student in itertools.product(range(SPREAD), range(1, STUDENTS + 1)):
        yield student, (student + turn) % SPREAD + 1


def hot_pairs() -> Pairs:
    """One course after the other, each until its seats are taken."""
    for course in range(SPREAD + 1, SPREAD + HOT + 1):
        for student in range(1, SEATS + 1):
            yield student, course


# ── the servers ──────────────────────────────────────────────────────────────────────────


@contextmanager
def serving(module: str, *arguments: str, url: str) -> Iterator[int]:
    """Run a server as a process until the block ends; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=clean_environment({"STUDENTCLI_DATABASE_URL": url}),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"127\.0\.0\.1:([0-9]+)", line)
        if found is None:
            raise SystemExit(f"{module} did not start: {line}{process.stderr.read()}")
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def ask(port: int, pairs: Pairs, turn: threading.Lock, until: float) -> Counter[int]:
    """Post pair after pair over one connection; gives the statuses answered."""
    answered: Counter[int] = Counter()
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            with turn:
                pair = next(pairs, None)
            if pair is None:
                break
            body = json.dumps({"course_id": pair[1]})
            line.sendall(
                f"POST /students/{pair[0]}/enroll HTTP/1.1\r\nHost: bench\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}".encode()
            )
            answered[_read_status(line)] += 1
    return answered


def _read_status(line: socket.socket) -> int:
    data = b""
    while b"\r\n\r\n" not in data:
        data += line.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head)
    assert length is not None
    while len(body) < int(length[1]):
        body += line.recv(65_536)
    return int(head[9:12])


def rate(port: int, pairs: Pairs, seconds: float) -> float:
    """Ask over all connections at once; gives the enrollments a second."""
    turn, found = threading.Lock(), list[Counter[int]]()
    bounded = itertools.islice(pairs, MOST_REQUESTS)
    begun = time.perf_counter()
    threads = [
        threading.Thread(target=lambda: found.append(ask(port, bounded, turn, begun + seconds)))
        for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    answered = sum(found, Counter())
    if set(answered) != {201}:
        raise SystemExit(f"answered {dict(answered)}, only 201 was expected")
    return answered[201] / took


# ── round trips ──────────────────────────────────────────────────────────────────────────


def round_trips(url: str, student_id: int, course_id: int) -> list[str]:
    """List what one enrollment sends to PostgreSQL and waits for, from libpq's own trace."""
    from psycopg.pq import Trace
    from starlette.testclient import TestClient

    database = Database(normalize_url(url), pool_size=1)
    with (
        TestClient(create_app(database)) as client,
        tempfile.TemporaryFile("w+", encoding="utf-8") as trace,
    ):
        client.get("/health").raise_for_status()
        with database.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
        driver.pgconn.trace(trace.fileno())
        driver.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        path = f"/students/{student_id}/enroll"
        client.post(path, json={"course_id": course_id}).raise_for_status()
        driver.pgconn.untrace()
        trace.seek(0)
        sent = [line.split("\t") for line in trace if line.startswith("F\t")]
    database.dispose()
    # A simple query and a Sync are what the client waits for; a Parse tells of which statement.
    statements = [fields[3] for fields in sent if fields[2].strip() in {"Query", "Parse"}]
    waits = sum(fields[2].strip() in {"Query", "Sync"} for fields in sent)
    if waits != len(statements):
        raise SystemExit(f"{waits} waits for {len(statements)} statements")
    return [" ".join(statement.replace('"', " ").split()) for statement in statements]


def show_round_trips(url: str) -> None:
    """Count one enrollment into an empty course, and into one with a long queue and history."""
    plain = round_trips(url, 1, SPREAD + HOT + 1)
    print(f"  round trips of one enrollment: {len(plain)}")
    for statement in plain:
        print(f"    {statement[:100]}")
    with Database(normalize_url(url)).connect(writes=True) as connection:
        course = {"course": SPREAD + HOT + 1}
        connection.execute(
            text("UPDATE courses SET capacity = 1, waitlist_capacity = 1000 WHERE id = :course"),
            course,
        )
        connection.execute(
            text("INSERT INTO student_courses (student_id, course_id, status, enrolled_on,"
                 " status_since, queue_place) SELECT id, :course, 'waitlisted', CURRENT_DATE,"
                 " CURRENT_DATE, id FROM students WHERE id BETWEEN 2 AND 300"), course,
        )  # fmt: skip
        connection.commit()
    queued = round_trips(url, 301, SPREAD + HOT + 1)
    print(f"  with 299 in the queue: {len(queued)}")


# ── the rounds ───────────────────────────────────────────────────────────────────────────


def run_rounds(url: str, chosen: argparse.Namespace) -> None:
    """Measure all three, one after the other, and print the figures."""
    ways: dict[str, tuple[Pairs, list[float]]] = {
        "bare INSERT": (spread_pairs(), []),
        "enroll, spread": (spread_pairs(), []),
        "enroll, one hot course": (hot_pairs(), []),
    }
    with (
        serving("tests.benchmarks.bare", url, url=url) as bare,
        serving("studentcli", "serve", "--port", "0", url=url) as real,
    ):
        for number in range(chosen.rounds + 1):
            for name, (pairs, rates) in ways.items():
                port = bare if name.startswith("bare") else real
                seconds = chosen.seconds if number else 1  # the first round warms up
                measured = rate(port, pairs, seconds)
                if number:
                    rates.append(measured)
            if number:
                shown = "   ".join(
                    f"{name} {rates[-1]:6.0f}/s" for name, (_, rates) in ways.items()
                )
                print(f"  round {number}: {shown}", flush=True)
    against = statistics.median(ways["bare INSERT"][1])
    for name, (_, rates) in ways.items():
        middle = statistics.median(rates)
        target = "" if name.startswith("bare") else f", target at least {TARGET}"
        print(f"  median {name}: {middle:.0f}/s, ratio {middle / against:.2f}{target}")


def main() -> None:
    """Prepare a database, count the round trips, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="studentcli-bench-") as name,
        opened_site(chosen.engine, Path(name)) as site,
    ):
        print(f"{chosen.engine}: {CONNECTIONS} connections, {chosen.seconds:g} s a round")
        database = Database(normalize_url(site.prepared))
        schema.upgrade(database, create=True)
        fill(database)
        if chosen.engine == "postgresql":
            show_round_trips(site.prepared)
        run_rounds(site.prepared, chosen)


if __name__ == "__main__":
    main()

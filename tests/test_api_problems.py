"""What goes wrong over HTTP is a problem document: never a page, never an inside, never a 500."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli.api import create_app
from studentcli.database import Database, normalize_url
from tests.door import Door, require_problem
from tests.world import World

JSON = {"content-type": "application/json"}


@pytest.fixture
def open_course(door: Door) -> Door:
    """Give student 1 and course 1."""
    door.world.student("S1")
    door.world.course("CS101")
    assert (door.student_id("S1"), door.course_id("CS101")) == (1, 1)
    return door


def require_untouched(door: Door) -> None:
    assert door.world.enrollments() == {}
    assert door.world.count("enrollment_events") == 0


# ── malformed requests ───────────────────────────────────────────────────────────────────

BAD_IDS = (
    "0", "-1", "+1", "1.0", "1_000", "1e3", "0x1", "01", "00731", "%201", "1%20", "1%0A", "١", "१",
    "S1042", "null", "true", str(2**63), str(10**40), "9" * 5000, "%00", "1%00", "[1]", "'1'",
    "1;DROP%20TABLE%20students",
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda bad: bad[:25])
def test_an_id_that_is_no_plain_decimal_number_is_422(sqlite_world: World, bad: str) -> None:
    door = Door(sqlite_world)
    for method, path in (
        ("POST", f"/students/{bad}/enroll"),
        ("GET", f"/students/{bad}/courses"),
        ("DELETE", f"/students/{bad}/courses/1"),
        ("DELETE", f"/students/1/courses/{bad}"),
        ("GET", f"/courses/{bad}/roster"),
    ):
        more: dict[str, Any] = {"json": {"course_id": 1}} if method == "POST" else {}
        problem = require_problem(door.call(method, path, **more))
        assert (problem["status"], problem["code"]) == (422, "malformed-id"), path
        (error,) = problem["errors"]
        assert error["location"] == "path"
        assert error["field"] in {"student_id", "course_id"}


BAD_BODIES: tuple[tuple[Any, str | None], ...] = (
    ({"course_id": "1"}, "course_id"),
    ({"course_id": 1.5}, "course_id"),
    ({"course_id": 1e300}, "course_id"),
    ({"course_id": 2.0**60}, "course_id"),
    ({"course_id": True}, "course_id"),
    ({"course_id": None}, "course_id"),
    ({"course_id": [1]}, "course_id"),
    ({"course_id": {"id": 1}}, "course_id"),
    ({"course_id": 0}, "course_id"),
    ({"course_id": -1}, "course_id"),
    ({"course_id": 2**63}, "course_id"),
    ({"course_id": 10**100}, "course_id"),
    ({}, "course_id"),
    ({"course_id": 1, "override": "course-full"}, "override"),
    ({"Course_Id": 1, "course_id": 1}, "Course_Id"),
    ([], None),
    ([{"course_id": 1}], None),
    ("1", None),
    (1, None),
    (None, None),
)


@pytest.mark.parametrize(("body", "field"), BAD_BODIES, ids=lambda value: str(value)[:30])
def test_a_body_of_another_shape_is_422_and_names_the_field(
    open_course: Door, body: Any, field: str | None
) -> None:
    problem = require_problem(open_course.call("POST", "/students/1/enroll", json=body))
    assert (problem["status"], problem["code"]) == (422, "bad-value")
    assert problem["errors"][0].get("field") == field
    assert problem["errors"][0]["location"] == "body"
    require_untouched(open_course)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b'{"course_id": 1', b"course_id=1", b"\xff\xfe\x00", b"\x00", b"NaN",
        b'{"course_id": NaN}', b'{"course_id": Infinity}', b'{"course_id": 01}',
        b'{"course_id": 1}garbage', b'{"\\ud800": 1}', b'{"course_id": "\\ud800"}',
        b'{"course_id": +1}', b'{"course_id": ' + b"9" * 6000 + b"}",
        b"[" * 10_000, b'{"a":' * 3_000, b"[" * 900 + b"]" * 900,
    ],
    ids=lambda raw: repr(raw[:18]),
)  # fmt: skip
def test_a_body_that_is_no_proper_json_is_a_4xx_problem(open_course: Door, raw: bytes) -> None:
    answer = open_course.call("POST", "/students/1/enroll", content=raw, headers=JSON)
    assert answer.status_code in {400, 422}
    require_untouched(open_course)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
def test_a_body_that_does_not_say_it_is_json_is_415(open_course: Door, kind: str) -> None:
    answer = open_course.call(
        "POST", "/students/1/enroll", content=b'{"course_id": 1}', headers={"content-type": kind}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "not-json")
    require_untouched(open_course)


def test_a_whole_number_written_with_a_point_is_the_same_number(open_course: Door) -> None:
    answer = open_course.call(
        "POST", "/students/1/enroll", content=b'{"course_id": 1.0}', headers=JSON
    )
    assert answer.status_code == 201


def test_what_is_sent_is_not_repeated_at_length(open_course: Door) -> None:
    body = {f"{'x' * 200}{number}": "Quillfeather" for number in range(60)}
    answer = open_course.call("POST", "/students/1/enroll", json=body)
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 5000
    assert "Quillfeather" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/students", "student_number"),
        ("/students?student_number=", "student_number"),
        ("/students?student_number=%00", "student_number"),
        ("/students?student_number=a%1Bb", "student_number"),
        ("/students?student_number=a%C2%9Bb", "student_number"),
        ("/students?student_number=a%E2%80%A8b", "student_number"),
        (f"/students?student_number={'x' * 65}", "student_number"),
        ("/students?student_number=S1&student_number=S2", "student_number"),
        ("/students?student_number=S1&limit=5", "limit"),
        ("/courses", "ref"),
        ("/courses?ref=%0A", "ref"),
        ("/courses?reference=CS101&ref=CS101", "reference"),
        ("/students/1/courses?term=", "term"),
        ("/students/1/courses?terms=2026FA", "terms"),
        ("/courses/1/roster?status=enrolled", "status"),
        ("/health?verbose=1", "verbose"),
    ],
)
def test_a_query_that_is_malformed_or_that_nothing_reads_is_422(
    open_course: Door, query: str, field: str
) -> None:
    problem = require_problem(open_course.get(query))
    assert (problem["status"], problem["code"]) == (422, "bad-value")
    assert [(e["location"], e["field"]) for e in problem["errors"]] == [("query", field)]


def test_a_misunderstood_parameter_never_lets_a_change_through(open_course: Door) -> None:
    open_course.enroll("S1", "CS101")
    dropped = open_course.call("DELETE", "/students/1/courses/1?dry_run=true")
    enrolled = open_course.call("POST", "/students/1/enroll?waitlist=no", json={"course_id": 1})
    assert (dropped.status_code, enrolled.status_code) == (422, 422)
    assert set(open_course.world.statuses().values()) == {"enrolled"}


@pytest.mark.parametrize(
    "number", ["%20", "%FF", "\u202eS1", "\ufeff", "S1' OR '1'='1", "%25", "\U000e0001", "[red]"]
)
def test_a_number_that_nobody_can_have_is_not_found(open_course: Door, number: str) -> None:
    answer = open_course.get(f"/students?student_number={number}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-student")


# ── the length of a body ─────────────────────────────────────────────────────────────────


def test_a_body_that_says_it_is_long_is_413_before_anything_is_done(open_course: Door) -> None:
    open_course.enroll("S1", "CS101")
    long = {"content-length": str(100 * 2**20), **JSON}
    for method, path in (
        ("POST", "/students/1/enroll"),
        ("DELETE", "/students/1/courses/1"),
        ("GET", "/health"),
    ):
        answer = open_course.call(method, path, content=b"{}", headers=long)
        assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert set(open_course.world.statuses().values()) == {"enrolled"}


def test_a_body_in_chunks_is_413_as_soon_as_it_is_too_long(open_course: Door) -> None:
    taken = []

    def chunks() -> Iterator[dict[str, Any]]:
        for number in range(1600):
            taken.append(number)
            yield {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    statuses = call_asgi(open_course, chunks())
    assert statuses == [413]
    assert len(taken) == 1
    require_untouched(open_course)


def call_asgi(door: Door, messages: Iterator[dict[str, Any]]) -> list[int]:
    """Send a POST message by message, as a server passes it on; gives the statuses answered."""
    import asyncio

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/students/1/enroll", "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
        "client": ("192.0.2.7", 1), "http_version": "1.1", "scheme": "http", "root_path": "",
        "asgi": {"version": "3.0"}, "server": ("test", 80), "raw_path": b"/students/1/enroll",
    }  # fmt: skip
    asyncio.run(door.app(scope, receive, send))
    return [message["status"] for message in sent if message["type"] == "http.response.start"]


# ── addresses and methods ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/students/1", "/students/1/courses/", "/students//courses", "/redoc"]
)
def test_an_address_where_nothing_is_is_404(door: Door, path: str) -> None:
    problem = require_problem(door.get(path))
    assert (problem["status"], problem["code"], problem["type"]) == (
        404,
        "not-found",
        "about:blank",
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/students/1/enroll", "POST"),
        ("GET", "/students/1/enroll", "POST"),
        ("GET", "/students/1/courses/1", "DELETE"),
        ("POST", "/students/1/courses", "GET"),
        ("DELETE", "/students", "GET"),
        ("OPTIONS", "/health", "GET"),
    ],
)
def test_a_method_that_an_address_lacks_is_405_and_names_those_it_has(
    door: Door, method: str, path: str, allowed: str
) -> None:
    answer = door.call(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


# ── the database ─────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def locked(world: World) -> Iterator[None]:
    """Hold what every change of course 1 needs."""
    with world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE courses SET title = title WHERE id = 1"))
        yield
        connection.rollback()


def test_a_lock_that_is_not_released_is_503_busy_with_retry_after(
    open_course: Door, caplog: pytest.LogCaptureFixture
) -> None:
    impatient = Door(open_course.world, wait=0.3)
    with caplog.at_level(logging.ERROR), locked(open_course.world):
        answer = impatient.call("POST", "/students/1/enroll", json={"course_id": 1})
    impatient.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert "Retry-After" in answer.json()["hint"]
    require_untouched(open_course)
    assert open_course.enroll("S1", "CS101").status_code == 201


def test_a_pool_whose_connections_are_all_in_use_is_503_busy(
    open_course: Door, caplog: pytest.LogCaptureFixture
) -> None:
    narrow = Door(open_course.world, wait=0.3, pool_size=1)
    with caplog.at_level(logging.ERROR), narrow.database.connect(writes=False):
        answer = narrow.get("/health")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert narrow.get("/health").status_code == 200
    narrow.close()


def test_a_database_that_is_gone_is_503_and_says_where_only_to_the_log(
    sqlite_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(sqlite_world)
    path = Path(str(sqlite_world.database.url.database))
    path.rename(path.with_suffix(".away"))
    with caplog.at_level(logging.ERROR):
        answer = door.get("/health")
    assert (answer.status_code, answer.json()["code"]) == (503, "database-missing")
    assert str(path.parent) not in answer.text
    assert str(path) in caplog.text


def test_a_server_that_cannot_be_reached_is_503_without_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from starlette.testclient import TestClient

    url = "postgresql://keeper:sesame@db.invalid:1/registry"
    client = TestClient(create_app(Database(normalize_url(url), wait=1, pool_size=1)))
    with caplog.at_level(logging.ERROR):
        problem = require_problem(client.get("/health"))
    assert (problem["status"], problem["code"]) == (503, "database-unavailable")
    assert "db.invalid" not in json.dumps(problem)
    assert "db.invalid" in caplog.text
    assert "sesame" not in caplog.text


def test_a_schema_of_another_version_is_503(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with door.world.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with caplog.at_level(logging.ERROR):
        answer = door.get("/health")
    assert (answer.status_code, answer.json()["code"]) == (503, "schema-mismatch")
    assert "studentcli db upgrade" in answer.json()["hint"]


def test_a_fault_of_ours_is_500_without_an_inside(open_course: Door) -> None:
    with open_course.world.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE enrollment_events"))
    answer = open_course.call("POST", "/students/1/enroll", json={"course_id": 1})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "enrollment_events" not in answer.text
    assert "INSERT" not in answer.text
    assert open_course.world.count("student_courses") == 0


# ── many at once ─────────────────────────────────────────────────────────────────────────

CALLERS = 8


def at_once(door: Door, numbers: list[int]) -> list[Any]:
    """Enroll students in course 1 at the same moment; gives the answers."""
    barrier, answers = threading.Barrier(len(numbers)), list[Any]()

    def ask(student_id: int) -> None:
        barrier.wait(30)
        path = f"/students/{student_id}/enroll"
        answers.append(door.call("POST", path, json={"course_id": 1}))

    threads = [threading.Thread(target=ask, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_one_pair_posted_by_eight_callers_at_once_is_enrolled_once(open_course: Door) -> None:
    answers = at_once(open_course, [1] * CALLERS)
    assert sorted(answer.status_code for answer in answers) == [200] * (CALLERS - 1) + [201]
    assert len({answer.text for answer in answers}) == 1
    assert open_course.world.count("enrollment_events") == 1


def test_the_last_seat_goes_to_exactly_one_of_eight_callers(door: Door) -> None:
    door.world.student(*(f"S{number}" for number in range(CALLERS)))
    door.world.course("CS101", capacity=1, waitlist=4)
    answers = at_once(door, [door.student_id(f"S{number}") for number in range(CALLERS)])
    placed = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(p["status"] for p in placed) == ["enrolled"] + ["waitlisted"] * 4
    assert sorted(p["position"] for p in placed if p["position"]) == [1, 2, 3, 4]
    refused = [answer.json()["code"] for answer in answers if answer.status_code == 409]
    assert refused == ["waitlist-full"] * 3

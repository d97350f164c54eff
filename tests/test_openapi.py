"""The OpenAPI document says what the door does, and schemathesis finds no difference."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from studentcli.api import create_app
from studentcli.database import Database, normalize_url
from tests.conftest import ENGINES
from tests.door import Door
from tests.world import World

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
EVERYWHERE = {"413", "422", "500", "503"}
STATUSES = {
    ("POST", "/students/{student_id}/enroll"): {"200", "201", "400", "404", "409", "415"},
    ("DELETE", "/students/{student_id}/courses/{course_id}"): {"200", "404", "409"},
    ("GET", "/students/{student_id}/courses"): {"200", "404"},
    ("GET", "/students/{student_id}/explain"): {"200", "404"},
    ("GET", "/students"): {"200", "404"},
    ("GET", "/courses"): {"200", "404", "409"},
    ("GET", "/courses/{course_id}/roster"): {"200", "404"},
    ("GET", "/health"): {"200"},
}
load_all_checks()
ALL_CHECKS: list[Any] = CHECKS.get_all()
CONFIG = "[generation]\nmax-examples = 100\ndeterministic = true\n"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Give the document; making it needs no database."""
    return create_app(Database(normalize_url("nowhere.db"))).openapi()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_every_address_documents_its_answers_and_every_problem_by_its_media_type(
    document: dict[str, Any],
) -> None:
    found = operations(document)
    assert set(found) == set(STATUSES)
    for key, operation in found.items():
        assert set(operation["responses"]) == STATUSES[key] | EVERYWHERE, key
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"] == PROBLEM
            else:
                assert set(response["content"]) == {"application/json"}
            assert response["description"] not in {"", "Successful Response"}
        assert operation["responses"]["503"]["headers"]["Retry-After"]["required"]


def test_every_address_and_parameter_is_described(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        assert operation["summary"]
        assert operation["description"]
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    assert all(schema["description"] for schema in document["components"]["schemas"].values())


def test_the_documents_bounds_are_exact(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["EnrollRequest"]
    assert body["properties"]["course_id"]["maximum"] == 2**63 - 1
    assert body["additionalProperties"] is False


def test_the_documentation_page_is_there_and_shows_the_document(door: Door) -> None:
    page = door.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text
    assert door.get("/openapi.json").json()["info"]["title"] == "studentcli"


# ── schemathesis: all checks, on both engines ────────────────────────────────────────────


def fill(world: World) -> None:
    """Fill a catalogue whose names are the document's examples, and whose ids are small."""
    world.term("2026FA")
    world.student("S1042", *(f"S{number}" for number in range(2, 13)))
    world.student("S13", status="inactive")
    world.course("CS101", term="2026FA", section="001", capacity=2, waitlist=3)
    world.course("CS101", term="2026FA", section="002", capacity=0)
    world.course("ART", "BIO", term="2026FA", credits="1.5")
    world.course("LAW", term="2026FA", status="closed")
    for number in range(2, 7):
        world.one("enroll", f"S{number}", "2026FA/CS101-001")
    world.one("enroll", "S2", "2026FA/ART")
    world.one("complete", "S2", "2026FA/ART", grade="A")
    world.one("enroll", "S3", "2026FA/BIO")
    world.one("withdraw", "S3", "2026FA/BIO")


APP = create_app(Database(normalize_url("nowhere.db")))
DESCRIBED = schemathesis.openapi.from_asgi(
    "/openapi.json", APP, config=SchemathesisConfig.from_str(CONFIG)
)


@pytest.fixture(params=ENGINES, scope="module")
def served(request: pytest.FixtureRequest, new_database: Any) -> Iterator[None]:
    """Let the described application work on a filled database of each engine."""
    world = World(new_database(request.param))
    fill(world)
    database = APP.state.database = Database(world.database.url, wait=30, pool_size=4)
    yield
    database.dispose()
    world.database.dispose()


@pytest.mark.usefixtures("served")
@DESCRIBED.parametrize()
def test_what_is_documented_is_what_is_answered(case: Any) -> None:
    case.call_and_validate(checks=ALL_CHECKS)


@pytest.mark.usefixtures("served")
def test_what_is_answered_about_those_who_exist_is_what_is_documented() -> None:
    """Generated ids seldom meet anybody, so every pair of a student and a course is tried too."""
    answered: Counter[int] = Counter()
    body: Any
    for student_id, course_id in itertools.product(range(1, 14), range(1, 6)):
        pair = {"student_id": str(student_id), "course_id": str(course_id)}
        body = {"course_id": course_id}
        for method, path in (
            ("POST", "/students/{student_id}/enroll"),
            ("GET", "/students/{student_id}/courses"),
            ("GET", "/students/{student_id}/explain"),
            ("GET", "/courses/{course_id}/roster"),
            ("DELETE", "/students/{student_id}/courses/{course_id}"),
        ):
            case = DESCRIBED[path][method].Case(
                path_parameters={name: pair[name] for name in pair if f"{{{name}}}" in path},
                query={"course_id": [pair["course_id"]]} if path.endswith("explain") else {},
            )
            if method == "POST":
                case.body, case.media_type = body, "application/json"
            answer = case.call_and_validate(checks=ALL_CHECKS)
            answered[answer.status_code] += 1
    assert set(answered) == {200, 201, 404, 409}


@pytest.mark.usefixtures("served")
def test_sequences_of_requests_are_answered_as_documented() -> None:
    settings = hypothesis.settings(
        max_examples=40,
        stateful_step_count=6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    DESCRIBED.as_state_machine().run(settings=settings)

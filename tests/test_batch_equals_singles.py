"""The central promise: a file gives exactly what its requests give one at a time."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studentcli.facts import standing
from studentcli.formats.native import EnrollmentReader
from studentcli.formats.source import CsvSource
from studentcli.requests import Decision, Request
from studentcli.services import batches, bulk
from studentcli.services.checks import check_database, replay_events
from tests.conftest import ENGINES
from tests.strategies import HEADER, STUDENTS, Catalogue, catalogue, drawn, on_a_database, rows
from tests.world import World, results


@dataclass(frozen=True)
class Case:
    """A random catalogue and a random file for it."""

    catalogue: Catalogue
    rows: tuple[str, ...]
    all_or_none: bool
    allow_waitlist: bool
    strict: bool


def case(rng: Random) -> Case:
    """Draw one."""
    before = catalogue(rng)
    return Case(
        catalogue=before,
        rows=rows(rng, before.enrolled),
        all_or_none=rng.random() < 0.3,
        allow_waitlist=rng.random() < 0.8,
        strict=rng.random() < 0.3,
    )


def requests_of(content: str, folder: Any) -> list[Request]:
    """Read the requests as the batch would, but row by row, to submit them one at a time."""
    path = folder / "singles.csv"
    path.write_text(content)
    source = CsvSource(str(path))
    reader = EnrollmentReader(source)
    reader._pieces = source.rows  # type: ignore[method-assign]
    items = [item for part in reader.chunks(10_000) for item in part.items]
    source.close()
    return [item for item in items if isinstance(item, Request)]


EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_EXAMPLES", "25"))
"""By hand with more: `STUDENTCLI_TEST_EXAMPLES=1000 pytest tests/test_batch_equals_singles.py`."""


@pytest.fixture(params=ENGINES, scope="module")
def pair(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Any:
    """Give two databases on one engine: one for the batch, one for the singles."""
    worlds = World(new_database(request.param)), World(new_database(request.param))
    yield worlds
    for world in worlds:
        world.database.dispose()


@on_a_database(EXAMPLES)
@given(
    case=drawn(case),
    chunk=st.sampled_from((1, 2, 7, 10_000)),
    first=st.sampled_from((1, batches.FIRST)),
    way=st.sampled_from(("few rows", "many rows", "alone")),
    marks=st.sampled_from((standing.MOST, 2, 0)),
)
def test_a_batch_gives_what_its_requests_give_one_at_a_time(
    pair: tuple[World, World],
    tmp_path_factory: pytest.TempPathFactory,
    case: Case,
    chunk: int,
    first: int,
    way: str,
    marks: int,
) -> None:
    batch, singles = pair
    content = HEADER + "".join(case.rows)
    loading: dict[str, Any] = {"chunk": chunk, "exclusive": way == "alone"}
    policy: dict[str, Any] = {
        "all_or_none": case.all_or_none,
        "allow_waitlist": case.allow_waitlist,
        "strict": case.strict,
    }
    for world in pair:
        case.catalogue.fill(world)

    forecast, foretold = batch.import_csv(
        content, on_error="skip", dry_run=True, **loading, **policy
    )
    foretold = results(foretold)
    before = batch.enrollments()
    with (
        patch.object(bulk, "WORTH_IT", 0 if way == "many rows" else bulk.WORTH_IT),
        patch.object(standing, "MOST", marks),
        patch.object(batches, "FIRST", first),
    ):
        result, items = batch.import_csv(content, on_error="skip", **loading, **policy)
    one_by_one = [
        singles.submit_request(request, **policy)
        for request in requests_of(content, tmp_path_factory.getbasetemp())
    ]

    assert results(items) == results(one_by_one)
    assert [d.promotions for d in items if isinstance(d, Decision)] == [
        d.promotions for d in one_by_one
    ]
    assert foretold == results(items)
    assert forecast.totals == result.totals
    assert batch.enrollments() == singles.enrollments()
    assert batch.events() == singles.events()
    assert_sound(batch)
    if not any(
        r for d in results(items) for r in d if r[0] not in {"unchanged", "refused", "superseded"}
    ):
        assert batch.enrollments() == before


DAMAGE = ("file", "reference", "events")
"""The checks of what no rule and no edit of the catalogue may lead to."""


def assert_sound(world: World) -> None:
    """The tables equal what the events say, row by row, and no seat is idle before a queue."""
    with world.database.session(writes=False) as session:
        assert [f for f in check_database(session) if f.check in DAMAGE] == []
        replayed = replay_events(session)
    assert len(replayed) == len(world.enrollments())
    assert world.idle_seats() == []


def test_feeding_a_dated_file_twice_changes_nothing(world: World) -> None:
    world.student(*STUDENTS)
    world.course("A", capacity=2, waitlist=9)
    day = date(2026, 9, 1)
    content = HEADER + "".join(
        f"{action},{student},{course},ALL,1,{day + timedelta(days=offset)},{grade},,,,\n"
        for offset, (action, student, course, grade) in enumerate(
            [
                ("enroll", "S1", "A", ""),
                ("enroll", "S2", "A", ""),
                ("enroll", "S3", "A", ""),
                ("drop", "S1", "A", ""),
                ("enroll", "S1", "A", ""),
                ("withdraw", "S2", "A", ""),
                ("complete", "S3", "A", "B"),
            ]
        )
    )
    world.import_csv(content)
    after, events = world.enrollments(), world.count("enrollment_events")

    again, _ = world.import_csv(content)

    assert dict(again.totals) == {"unchanged": 7}
    assert again.same_as is not None
    assert world.enrollments() == after
    assert world.count("enrollment_events") == events


@pytest.mark.parametrize(("first", "second"), [("A-1", "A"), ("A", "A-1"), ("ALL/A", "A-1")])
def test_one_course_written_two_ways_is_named_a_second_time(
    world: World, first: str, second: str
) -> None:
    world.student("S1")
    world.course("A", section="1")
    rows = f"enroll,S1,{first},2026-09-01\ndrop,S1,{second},2026-09-01\n"
    result, _ = world.import_csv(f"action,student,course,effective_on\n{rows}")
    assert dict(result.totals) == {"enrolled": 1, "dropped": 1}


def test_two_sections_of_a_course_stay_one_request(world: World) -> None:
    world.student("S1")
    world.course("A", section="1")
    world.course("A", section="2")
    world.one("enroll", "S1", "A-1")
    rows = "enroll,S1,A-2\ndrop,S1,A-1\n"
    _, decisions = world.import_csv(f"action,student,course\n{rows}")
    assert len(decisions) == 1

"""The promise of undo: whatever was done, undone in reverse order, was never done."""

import os
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.conftest import ENGINES
from tests.desk import rows as rows_of
from tests.strategies import HEADER, Catalogue, catalogue, drawn, rows
from tests.test_undoing import is_told, undo
from tests.world import World

EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_EXAMPLES", "15"))
Case = tuple[Catalogue, list[str]]


def case(rng: Random) -> Case:
    """Draw a catalogue, and files of one row or of many."""
    stands = catalogue(rng)
    files = []
    for _ in range(rng.randint(1, 6)):
        drawn_rows = rows(rng, stands.enrolled)
        files.append("".join(drawn_rows if rng.random() < 0.5 else drawn_rows[:1]))
    return stands, files


@pytest.fixture(scope="module", params=ENGINES)
def stage(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Iterator[World]:
    """Give one world for all the cases of an engine."""
    world = World(new_database(request.param))
    yield world
    world.database.dispose()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(case=drawn(case))
def test_what_is_undone_in_reverse_order_was_never_done(stage: World, case: Case) -> None:
    stands, files = case
    stands.fill(stage)
    done = []
    for content in files:
        before = rows_of(stage, "student_courses")
        result, _ = stage.import_csv(HEADER + content, on_error="skip")
        done.append((result.operation_id, before, rows_of(stage, "student_courses")))
    undoing = []
    for operation_id, before, after in reversed(done):
        told = undo(stage, operation_id, dry_run=True)
        undone = undo(stage, operation_id)
        assert undone.result in {"undone", "unchanged"}, undone.blocked
        assert (told.rows, told.promotions) == (undone.rows, [])
        assert rows_of(stage, "student_courses") == before
        assert is_told(stage)
        undoing.append((undone.operation_id, after))
    for operation_id, after in reversed(undoing):
        if operation_id is not None:
            assert undo(stage, operation_id).result == "undone"
        assert rows_of(stage, "student_courses") == after
        assert is_told(stage)

"""The promise of undo: whatever was done, undone in reverse order, was never done."""

import os
from random import Random

from hypothesis import given

from tests.desk import rows as rows_of
from tests.strategies import HEADER, Catalogue, catalogue, drawn, on_a_database, rows
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


@on_a_database(EXAMPLES)
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

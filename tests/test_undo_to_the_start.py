"""The promise of undo: whatever was done, undone in reverse order, was never done."""

import os
from dataclasses import dataclass
from random import Random

from hypothesis import given
from sqlalchemy import select

from studentcli.models import Operation
from tests import desk
from tests.strategies import Catalogue, catalogue, drawn, on_a_database
from tests.test_batch_equals_singles import assert_sound
from tests.test_state_machine import KINDS_OF_ACT, Act
from tests.test_undoing import is_told, undo
from tests.world import World

EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_EXAMPLES", "15"))
TABLES = (*desk.STATE, "holds", "overrides")
Tables = dict[str, list[str]]


@dataclass(frozen=True)
class Story:
    """A catalogue, what is done to it, and how that is undone.

    `order` holds numbers that say in which order, `at_once` of how many students together.
    """

    before: Catalogue
    acts: tuple[Act, ...]
    order: tuple[float, ...]
    at_once: int


def story(rng: Random) -> Story:
    """Draw files, single commands, edits, holds and overrides."""
    count = rng.randint(2, 7)
    acts = tuple(rng.choice(KINDS_OF_ACT)(rng) for _ in range(count))
    order = tuple(rng.random() for _ in range(2 * count))
    return Story(catalogue(rng), acts, order, rng.choice((1, 2, 500)))


def numbers_after(world: World, last: int) -> list[int]:
    with world.database.session(writes=False) as session:
        return list(session.scalars(select(Operation.id).where(Operation.id > last)))


def tables(world: World) -> Tables:
    return desk.rows(world, *TABLES)


def perform(world: World, acts: tuple[Act, ...]) -> list[tuple[int, Tables, Tables]]:
    """Do what a story tells; gives each operation with the tables before and after it."""
    done, last = [], max(numbers_after(world, 0), default=0)
    for act in acts:
        before = tables(world)
        act.do(world, *act.given)
        for number in numbers_after(world, last):
            done.append((number, before, tables(world)))
            last = number
    return done


@on_a_database(EXAMPLES)
@given(told=drawn(story))
def test_what_is_undone_in_reverse_order_was_never_done(stage: World, told: Story) -> None:
    told.before.fill(stage)
    done = perform(stage, told.acts)
    undoing = []
    for operation_id, before, after in reversed(done):
        foretold = undo(stage, operation_id, dry_run=True, at_once=told.at_once)
        undone = undo(stage, operation_id, at_once=told.at_once)
        assert undone.result in {"undone", "unchanged"}, undone.blocked
        assert foretold.taken_back == undone.taken_back
        assert foretold.promotions == undone.promotions == []
        assert tables(stage) == before
        assert is_told(stage)
        undoing.append((undone.operation_id, after))
    assert_sound(stage)
    for undo_id, after in reversed(undoing):
        if undo_id is not None:
            assert undo(stage, undo_id, at_once=told.at_once).result == "undone"
        assert tables(stage) == after
        assert is_told(stage)
    assert_sound(stage)


@on_a_database(EXAMPLES)
@given(told=drawn(story))
def test_what_is_undone_in_any_order_leaves_a_sound_database(stage: World, told: Story) -> None:
    told.before.fill(stage)
    numbers = [operation_id for operation_id, *_ in perform(stage, told.acts)]
    for where in told.order:
        if not numbers:
            break
        target = numbers[int(where * len(numbers))]
        before = tables(stage)
        stopped = undo(stage, target, at_once=told.at_once)
        if stopped.result == "refused":
            assert tables(stage) == before
            left = undo(stage, target, skip_changed=True, at_once=told.at_once)
        else:
            left = stopped
        if left.operation_id is not None:
            numbers.append(left.operation_id)
        assert is_told(stage)
        assert_sound(stage)

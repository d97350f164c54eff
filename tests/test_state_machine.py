"""Any sequence of acts, two at a time now and then, keeps what the rule book promises."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import given

from studentcli.records import COURSE, STUDENT, TERM
from studentcli.requests import Change, CourseWord, Request
from studentcli.rules import OVERRIDABLE
from studentcli.services.cancelling import cancel_course
from tests import ledger
from tests.chronicle import Chronicle
from tests.strategies import (
    ACTIONS,
    COURSES,
    GRADES,
    HEADER,
    KINDS,
    REFS,
    STUDENTS,
    Catalogue,
    catalogue,
    course,
    drawn,
    granted,
    held,
    on_a_database,
    rows,
    student,
    term,
)
from tests.test_batch_equals_singles import assert_sound
from tests.world import World

EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_STORIES", "6"))
"""By hand with more: `STUDENTCLI_TEST_STORIES=300 pytest tests/test_state_machine.py`."""
STEPS = 10


@dataclass(frozen=True)
class Act:
    """Something that somebody does: one of the functions below, and with what."""

    do: Callable[..., object]
    given: tuple[Any, ...]

    @property
    def edits(self) -> bool:
        """Whether it can change what is asked of those who have a seat already."""
        return self.do is edit


@dataclass(frozen=True)
class Story:
    """A catalogue, and what is done to it; the acts of one step are begun at the same time."""

    before: Catalogue
    steps: tuple[tuple[Act, ...], ...]


# ── what can be done ─────────────────────────────────────────────────────────────────────


def ask(world: World, number: str, changes: tuple[Change, ...], policy: dict[str, Any]) -> None:
    world.submit_request(Request(number, list(changes)), **policy)


def edit(world: World, kind: Any, cells: dict[str, Any]) -> None:
    """Edit a record; the catalogue may refuse it."""
    world.save(kind, **cells)


def cancel(world: World, ref: str) -> None:
    world.database.write(lambda session: cancel_course(session, ref, world.act("course-cancel")))


def import_rows(world: World, content: str, options: dict[str, Any]) -> None:
    world.import_csv(content, **options)


def an_ask(rng: Random) -> Act:
    changes = []
    for ref in rng.sample(REFS, rng.choice((1, 1, 1, 2, 3))):
        action = rng.choice(ACTIONS)
        overrides = rng.sample(sorted(OVERRIDABLE), rng.choice((0, 0, 0, 0, 1, 3)))
        old = rng.choice([other for other in REFS if other != ref])
        swaps = action == "enroll" and rng.random() < 0.25
        changes.append(
            Change(
                action,  # type: ignore[arg-type]
                CourseWord(ref),
                grade=rng.choice(GRADES) if action == "complete" else None,
                reason="because" if overrides else None,
                overrides=frozenset(overrides),
                instead_of=CourseWord(old) if swaps else None,
            )
        )
    policy = {"all_or_none": rng.random() < 0.2, "strict": rng.random() < 0.2}
    return Act(ask, (rng.choice(STUDENTS), tuple(changes), policy))


def an_edit(rng: Random) -> Act:
    """Draw an edit of one or two fields."""
    draw = rng.choice((course, course, student, term))
    if draw is course:
        key = dict(zip(("term", "course", "section"), rng.choice(COURSES), strict=True))
        kind, cells = COURSE, course(rng, KINDS)
    elif draw is student:
        key, kind, cells = {"student": rng.choice(STUDENTS)}, STUDENT, student(rng)
    else:
        key, kind, cells = {"term": rng.choice(("ALL", "T2"))}, TERM, term(rng, KINDS)
    names = rng.sample(sorted(cells), rng.choice((1, 1, 2)))
    return Act(edit, (kind, {**key, **{name: cells[name] for name in names}}))


def a_resize(rng: Random) -> Act:
    """Draw an edit of a capacity: it changes nothing for those who have a seat."""
    key = dict(zip(("term", "course", "section"), rng.choice(COURSES), strict=True))
    return Act(resize, ({**key, "capacity": rng.choice(("-", 0, 1, 2, 3, 4))},))


def resize(world: World, cells: dict[str, Any]) -> None:
    world.save(COURSE, **cells)


def a_hold(rng: Random) -> Act:
    if rng.random() < 0.6:
        return Act(ledger.lift_holds, (rng.choice(STUDENTS),))
    hold = held(rng)
    return Act(ledger.place_hold, (hold.student, hold.blocks, hold.from_on, hold.until_on))


def an_override(rng: Random) -> Act:
    if rng.random() < 0.2:
        return Act(ledger.revoke_overrides, (rng.choice(STUDENTS),))
    one = granted(rng)
    return Act(ledger.grant, (one.student, one.ref, one.rule, one.until_on))


def a_file(rng: Random) -> Act:
    pairs = [(number, ref) for number in STUDENTS for ref in REFS]
    few = rows(rng, rng.sample(pairs, 12))[: rng.randint(2, 8)]
    options = {"on_error": rng.choice(("skip", "skip", "abort")), "chunk": rng.choice((1, 3, 100))}
    return Act(import_rows, (HEADER + "".join(few), options))


def a_cancel(rng: Random) -> Act:
    return Act(cancel, (rng.choice(REFS),))


KINDS_OF_ACT = (
    *[an_ask] * 12, *[a_resize] * 3, *[an_edit] * 4, *[a_hold] * 3, *[an_override] * 3,
    *[a_file] * 3, a_cancel,
)  # fmt: skip


def story(rng: Random) -> Story:
    """Draw a story; every third step is two acts at once."""
    steps = tuple(
        tuple(rng.choice(KINDS_OF_ACT)(rng) for _ in range(rng.choice((1, 1, 2))))
        for _ in range(STEPS)
    )
    return Story(catalogue(rng), steps)


# ── the test ─────────────────────────────────────────────────────────────────────────────


@on_a_database(EXAMPLES)
@given(told=drawn(story))
def test_whatever_is_done_keeps_seats_queues_and_schedules_as_the_rules_say(
    stage: World, told: Story
) -> None:
    told.before.fill(stage)
    chronicle = Chronicle(stage)
    chronicle.follow(edits=True)
    assert_sound(stage)
    for step in told.steps:
        perform(stage, step)
        chronicle.follow(edits=any(act.edits for act in step))
        assert_sound(stage)


def perform(world: World, step: tuple[Act, ...]) -> None:
    """Do the acts of a step, all at once; whoever fails fails the test."""
    with ThreadPoolExecutor(len(step)) as threads:
        for done in [threads.submit(act.do, world, *act.given) for act in step]:
            done.result()

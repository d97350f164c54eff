"""Waiting for what others hold, on PostgreSQL: as long as --wait says, and what is read then."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from studentcli import errors
from tests.world import TODAY, World


@contextmanager
def held(world: World, code: str) -> Iterator[Any]:
    """Hold a course as an enrollment does; gives the connection, whose commit lets it go."""
    with world.database.connect(writes=True) as other:
        other.execute(text("SELECT id FROM courses WHERE code = :code FOR NO KEY UPDATE"),
                      {"code": code})  # fmt: skip
        yield other


@pytest.fixture
def postgres(new_database: Callable[..., str]) -> Iterator[World]:
    world = World(new_database("postgresql"))
    yield world
    world.database.dispose()


@pytest.fixture
def swap(postgres: World) -> World:
    """S1 has the only seat of NEW; S2 waits for it and gives up the only seat of OLD."""
    postgres.student("S1", "S2")
    postgres.course("OLD", "NEW", capacity=1, waitlist=5)
    postgres.one("enroll", "S1", "NEW")
    postgres.one("enroll", "S2", "OLD")
    postgres.one("enroll", "S2", "NEW", instead_of="OLD")
    return postgres


def test_a_course_that_a_promotion_frees_is_waited_for_like_any_other(swap: World) -> None:
    swap.database.wait = 30
    with ThreadPoolExecutor(1) as threads, held(swap, "OLD") as other:
        waiting = threads.submit(swap.submit, "drop", "S1", "NEW")
        time.sleep(3)  # longer than any number of tries without waiting takes
        assert not waiting.done()
        other.commit()
        decision = waiting.result(30)
    assert [(p.student, p.instead_of) for p in decision.promotions] == [("S2", "ALL/OLD-1")]


def test_whoever_holds_what_a_promotion_frees_is_named_when_the_wait_is_over(swap: World) -> None:
    swap.database.wait = 0.5
    with held(swap, "OLD"), pytest.raises(errors.Busy) as caught:
        swap.submit("drop", "S1", "NEW")
    assert f"studentcli:{os.getpid()}" in caught.value.message
    assert swap.statuses()["S2", "ALL/NEW-1"] == "waitlisted"


def wait_while(world: World, change: Any) -> Any:
    """Enroll S1 in C while somebody holds it, and make a change before it is let go."""
    world.database.wait = 30
    with ThreadPoolExecutor(1) as threads, held(world, "C") as other:
        waiting = threads.submit(world.one, "enroll", "S1", "T/C")
        time.sleep(0.5)
        change()
        other.commit()
        return waiting.result(30)


@pytest.fixture
def course(postgres: World) -> World:
    postgres.student("S1")
    postgres.term("T")
    postgres.course("C", term="T", capacity=1, waitlist=5)
    return postgres


def test_a_term_that_is_added_while_a_course_is_waited_for_is_no_stranger(course: World) -> None:
    def add() -> None:
        course.term("T2")
        course.course("D", term="T2")
        course.one("enroll", "S1", "T2/D")

    assert wait_while(course, add).result == "enrolled"


def test_a_window_that_is_closed_while_a_course_is_waited_for_is_closed(course: World) -> None:
    outcome = wait_while(course, lambda: course.term("T", enroll_until=TODAY - timedelta(days=1)))
    assert [refusal.code for refusal in outcome.refusals] == ["window-closed"]

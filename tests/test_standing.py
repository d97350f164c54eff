"""The enrollments of a student, written small, are what a dict of them would be."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studentcli.facts import (
    CourseFact,
    EnrollmentFact,
    Enrollments,
    States,
    TermFact,
    mark_of_course,
    standing,
)

DAY = date(2026, 9, 1)
COURSES = (1, 2, 7, 300, 70_000, 10**15)
SHARED = [
    EnrollmentFact(status, on, on, on, grade="B" if status == "completed" else None)
    for status in ("enrolled", "dropped", "completed")
    for on in (DAY, DAY + timedelta(1))
]
PLACES = [EnrollmentFact("waitlisted", DAY, DAY, DAY, place=place) for place in (1, 2, 3)]
SWAP = replace(PLACES[0], instead_of=7)
steps = st.lists(
    st.tuples(st.sampled_from(COURSES), st.sampled_from([*SHARED, *PLACES, SWAP, None])),
    max_size=30,
)


@pytest.fixture(params=[standing.MOST, 1, 0], ids=["with marks", "one mark", "no mark left"])
def marks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let states have marks, or let all of them be taken."""
    monkeypatch.setattr(standing, "MOST", request.param)


@pytest.mark.usefixtures("marks")
@given(steps=steps)
def test_enrollments_are_what_a_dict_would_be(steps: list[tuple[int, Any]]) -> None:
    """Whatever was put and taken out, in the same order, with the same waits."""
    mine, model = Enrollments(), dict[int, EnrollmentFact]()
    for course_id, state in steps:
        if state is not None:
            mine[course_id] = model[course_id] = state
        elif course_id in model:
            del mine[course_id], model[course_id]
        else:
            with pytest.raises(KeyError):
                del mine[course_id]
        assert list(mine.items()) == list(model.items())
        assert (list(mine), list(mine.values())) == (list(model), list(model.values()))
        assert len(mine) == len(model)
        assert mine.given_up() == {7} & {state.instead_of for state in model.values()}
        assert mine.waits == sum(state.status == "waitlisted" for state in model.values())
        for each in COURSES:
            assert mine.get(each) == mine.find(mark_of_course(each)) == model.get(each)
            assert (each in mine) is (each in model)
    assert mine == model
    assert (mine == {**model, 5: SHARED[0]}) is False


def test_a_course_that_nobody_has_met_is_not_there() -> None:
    """Asking for it leaves nothing behind."""
    before = len(standing._courses)
    assert 987_654_321 not in Enrollments()
    assert Enrollments().get(987_654_321) is None
    with pytest.raises(KeyError):
        Enrollments()[987_654_321]
    assert len(standing._courses) == before


def test_what_is_different_for_everybody_has_no_mark() -> None:
    """Places in queues, swaps and long stories would use the marks up; the student keeps them."""
    story = replace(SHARED[0], recorded=(("enroll", DAY, None),) * standing.LONG)
    mine = Enrollments()
    for state in (PLACES[0], SWAP, story):
        assert mine.states.mark(state) is None
        mine[1] = state
        assert mine[1] is state


def test_students_of_one_operation_share_its_states_and_no_others() -> None:
    """So that they go with the operation; in another one the same character is another state."""
    states = States()
    one, two, other = Enrollments(states), Enrollments(states), Enrollments()
    other[1] = SHARED[2]
    one[1], two[1] = SHARED[0], replace(SHARED[0])
    assert one[1] is two[1]
    assert one.written == two.written == other.written
    assert other[1] == SHARED[2]


def test_threads_that_meet_a_course_at_once_write_it_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two marks of one course would hide an enrollment: both have taken a number by then."""
    both = Barrier(2)

    def number(one: int) -> int:
        both.wait(10)
        return one

    monkeypatch.setattr(standing, "_numbers", map(number, count(900_001, 2)))
    with ThreadPoolExecutor(2) as pool:
        marks = list(pool.map(mark_of_course, [2 * 10**9] * 2))
    assert marks[0] == marks[1] == mark_of_course(2 * 10**9)
    assert standing._courses[marks[0]] == 2 * 10**9


def test_a_student_s_enrollments_stay_small() -> None:
    """Fifty of them in two hundred bytes and something: a batch holds millions."""
    mine = Enrollments()
    for course_id in range(1, 51):
        mine[course_id] = SHARED[0]
    assert sys.getsizeof(mine) + sys.getsizeof(mine.written) < 400


def test_a_position_in_a_queue_counts_from_one() -> None:
    course = CourseFact(1, TermFact(1, "2026FA"), "A", "001")
    assert course.position_of(7) is None
    course.queue.update(dict(zip((7, 9, 8), PLACES, strict=True)))
    assert [course.position_of(student_id) for student_id in (7, 9, 8, 6)] == [1, 2, 3, None]

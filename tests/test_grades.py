"""The grade scale: what passes, what is better, and which texts are no scale."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studentcli import errors
from studentcli.grades import DEFAULT_SCALE, read_scale, scale

LETTERS = ["A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-", "D+", "D", "D-", "F"]


def test_without_a_scale_the_default_one_holds() -> None:
    assert str(scale(None)) == read_scale(DEFAULT_SCALE) == DEFAULT_SCALE
    assert scale(None).grades == (*LETTERS, "P", "NP")


@pytest.mark.parametrize("grade", [*LETTERS[:-1], "P"])
def test_every_grade_before_the_bar_passes(grade: str) -> None:
    assert scale(None).knows(grade)
    assert scale(None).passes(grade)


@pytest.mark.parametrize("grade", ["F", "NP"])
def test_every_grade_after_the_bar_fails(grade: str) -> None:
    assert scale(None).knows(grade)
    assert not scale(None).passes(grade)


@pytest.mark.parametrize("grade", ["E", "a", "p", "1.0", "", " A", "A ", "|", ";"])
def test_an_unknown_grade_is_never_a_pass(grade: str) -> None:
    assert not scale(None).knows(grade)
    assert not scale(None).passes(grade)
    assert not scale(None).is_at_least(grade, "F")
    assert not scale(None).is_at_least("A", grade)
    assert not scale(None).is_at_least(grade, grade)


def test_of_two_letters_the_one_further_up_is_enough_for_the_other() -> None:
    for rank, grade in enumerate(LETTERS):
        enough = [minimum for minimum in LETTERS if scale(None).is_at_least(grade, minimum)]
        assert enough == LETTERS[rank:]


@pytest.mark.parametrize(
    ("grade", "minimum", "is_enough"),
    [
        ("C", "C", True),
        ("C+", "C", True),
        ("C-", "C", False),
        ("F", "F", True),
        ("D-", "F", True),
        ("F", "D-", False),
        ("P", "C", False),
        ("A+", "P", False),
        ("P", "F", False),
        ("P", "NP", True),
        ("NP", "P", False),
    ],
)
def test_a_minimum_is_met_only_within_its_own_scale(
    grade: str, minimum: str, is_enough: bool
) -> None:
    assert scale(None).is_at_least(grade, minimum) is is_enough


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (" A  B|F ", "A B | F"),
        ("P|", "P |"),
        ("P |;Q| R", "P |; Q | R"),
        ("1.0 1.3 4.0|5.0", "1.0 1.3 4.0 | 5.0"),
        ("a A | f F", "a A | f F"),
    ],
)
def test_a_scale_is_stored_in_one_form(written: str, stored: str) -> None:
    assert read_scale(written) == stored
    assert read_scale(stored) == stored


@pytest.mark.parametrize(
    ("written", "code", "sentence"),
    [
        ("", "bad-value", "'' is no grade scale (expected grades from best to worst"),
        ("A B C", "bad-value", "'A B C' is no grade scale"),
        ("A | B | F", "bad-value", "'A | B | F' is no grade scale"),
        ("| F", "bad-value", "'| F' is no grade scale"),
        ("|", "bad-value", "'|' is no grade scale"),
        ("A | F;", "bad-value", "'A | F;' is no grade scale"),
        ("A | F; P", "bad-value", "'P' is no grade scale"),
        ("A A | F", "bad-value", "the grade 'A' stands twice"),
        ("A | A", "bad-value", "the grade 'A' stands twice"),
        ("A | F; P | F", "bad-value", "the grade 'F' stands twice"),
        ("A, B | F", "unknown-grade", "'A,' is no grade"),
        ("- | F", "unknown-grade", "'-' is no grade"),
        ("A | excellent", "unknown-grade", "'excellent' is no grade"),
        ("A\n| F", "bad-value", "control character"),
        ("A " * 501 + "| F", "bad-value", "longer than 1000 characters"),
    ],
)
def test_what_is_no_scale_is_refused_with_what_is_expected(
    written: str, code: str, sentence: str
) -> None:
    with pytest.raises(errors.BadValue, match=re.escape(sentence)) as refusal:
        read_scale(written)
    assert refusal.value.code == code


def test_a_scale_that_outgrows_its_limit_by_its_spaces_is_refused() -> None:
    grades = [f"{number:03}" for number in range(249)]
    tight = f"{' '.join(grades)}|FFFF"
    assert len(tight) == 1000
    with pytest.raises(errors.BadValue, match="longer than 1000 characters"):
        read_scale(tight)


GRADES = st.lists(
    st.from_regex(r"[A-Z0-9][A-Z0-9+.\-]{0,2}", fullmatch=True), min_size=1, max_size=9, unique=True
)


@given(GRADES, GRADES, st.data())
def test_grades_come_back_from_a_scale_in_their_order(
    first: list[str], second: list[str], data: st.DataObject
) -> None:
    second = [grade for grade in second if grade not in first]
    bars = [data.draw(st.integers(1, len(side))) for side in (first, second) if side]
    written = ";".join(
        f"{' '.join(side[:bar])} | {' '.join(side[bar:])}"
        for side, bar in zip((first, second), bars, strict=False)
    )
    stored = read_scale(written)
    assert read_scale(stored) == str(scale(stored)) == stored
    assert list(scale(stored).grades) == first + second
    passing = first[: bars[0]] + (second[: bars[1]] if second else [])
    assert [grade for grade in scale(stored).grades if scale(stored).passes(grade)] == passing

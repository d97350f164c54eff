"""The grade scale of an institution: which grades there are, which pass, which is better."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from studentcli import errors, values

DEFAULT_SCALE: Final = "A+ A A- B+ B B- C+ C C- D+ D D- | F; P | NP"
"""Letters and pass/no pass: each scale from best to worst, `|` before the failing grades."""

_EXAMPLE: Final = "A B C D | F; P | NP"


class _Ladder(NamedTuple):
    """One scale, from best to worst."""

    passing: tuple[str, ...]
    failing: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([*self.passing, "|", *self.failing])


class _Place(NamedTuple):
    """Where a grade stands: in which ladder, how far from its top, and on which side."""

    ladder: int
    steps_down: int
    passes: bool


@dataclass(frozen=True)
class GradeScale:
    """The grades of an institution; those of different scales cannot be compared.

    `scale` makes one from its text, and its `str` is that text again.
    """

    ladders: tuple[_Ladder, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.ladders))

    @cached_property
    def _places(self) -> dict[str, _Place]:
        return {
            grade: _Place(number, steps_down, steps_down < len(ladder.passing))
            for number, ladder in enumerate(self.ladders)
            for steps_down, grade in enumerate([*ladder.passing, *ladder.failing])
        }

    @property
    def grades(self) -> tuple[str, ...]:
        """Every grade, scale after scale, the best first."""
        return tuple(self._places)

    def knows(self, grade: str) -> bool:
        """Tell whether the grade is one of the scale."""
        return grade in self._places

    def passes(self, grade: str) -> bool:
        """Tell whether the grade passes; one that is not of the scale never does."""
        place = self._places.get(grade)
        return place is not None and place.passes

    def is_at_least(self, grade: str, minimum: str) -> bool:
        """Tell whether a grade is as good as a minimum, or better.

        A failing minimum is met by itself and by all above it. A grade that is unknown, or of
        another scale than the minimum, is never enough: a P says nothing about a C.
        """
        place, least = self._places.get(grade), self._places.get(minimum)
        return (
            place is not None
            and least is not None
            and place.ladder == least.ladder
            and place.steps_down <= least.steps_down
        )


def read_scale(text: str) -> str:
    """Read a grade scale.

    Args:
        text: scales with `;` between, each from best to worst with spaces between its grades
            and one `|` between those that pass and those that fail (there may be none of these).

    Returns:
        The text to store, with single spaces.

    Raises:
        errors.BadValue: when a scale has no passing grade or not exactly one `|`, or a grade
            stands twice; `UnknownGrade` when one is no grade at all.
    """
    return values.plain(str(_parsed(text)))


@lru_cache(maxsize=64)
def scale(text: str | None) -> GradeScale:
    """Give the grade scale of a stored text, the default one for None."""
    return _parsed(DEFAULT_SCALE if text is None else text)


def _parsed(text: str) -> GradeScale:
    ladders = tuple(_ladder(part.strip(), text) for part in values.plain(text).split(";"))
    _require_each_once(grade for ladder in ladders for side in ladder for grade in side)
    return GradeScale(ladders)


def _ladder(part: str, text: str) -> _Ladder:
    passing, *failing = (side.split() for side in part.split("|"))
    if not passing or len(failing) != 1:
        raise errors.BadValue(
            f"{(part or text)!r} is no grade scale (expected grades from best to worst, one | "
            "between those that pass and those that fail, and ; between scales, such as "
            f"{_EXAMPLE})"
        )
    return _Ladder(tuple(map(values.grade, passing)), tuple(map(values.grade, failing[0])))


def _require_each_once(grades: Iterable[str]) -> None:
    seen: set[str] = set()
    for grade in grades:
        if grade in seen:
            raise errors.BadValue(
                f"the grade {grade!r} stands twice in the grade scale (expected each once over "
                "all its scales)"
            )
        seen.add(grade)

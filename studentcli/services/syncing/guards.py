"""What stops a sync before anything is written: too many drops, no rows, an older file."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from itertools import takewhile
from typing import Any, Final, NamedTuple

from studentcli import errors

EMPTY: Final = errors.EmptyFile.code
OLDER: Final = errors.OlderFile.code
GUARDS: Final = (EMPTY, OLDER)
"""The guards that `--allow` lets through; that of the drops has its own option."""

FEW: Final = 5
"""So many drops are no disaster, whatever their share, unless they are everybody of a course.

Whoever asks for a smaller share than the usual one means it.
"""

PERCENT: Final = 100
DEFAULT_SHARE: Final = Decimal(5)
_TO_THE_SECOND: Final = "%Y-%m-%d %H:%M:%S"
_LIMIT: Final = re.compile(
    r"(?:(?P<share>[0-9]{1,3}(?:\.[0-9]{1,3})?)(?=%)|(?P<number>[0-9]{1,12}))(?P<sign>%?)"
)


@dataclass(frozen=True)
class Limits:
    """How many of the live enrollments a sync may drop.

    Args:
        share: percent of those in the scope, and of those in each course; a `FEW` are allowed
            unless it is below the usual one, everybody of a course only with 100.
        number: of them in the whole scope.
    """

    share: Decimal = DEFAULT_SHARE
    number: int | None = None

    def allows(self, drops: int, live: int) -> bool:
        """Tell whether a share of `live` may be dropped: of the scope, or of a course."""
        if self.share >= PERCENT:
            return True
        if drops == live and drops > 1:
            return False
        few = FEW if self.share >= DEFAULT_SHARE else 0
        return drops <= max(few, int(live * self.share / PERCENT))

    def widened(self, scope: "CourseFigures", over: "Sequence[CourseFigures]") -> "Limits":
        """Give the narrowest limits, in whole percent, that let these figures through."""
        shares = [PERCENT * f.drops / Decimal(f.live) for f in over if not self.allows(*f[1:3])]
        share = max([self.share, *(each.to_integral_value(ROUND_CEILING) for each in shares)])
        return Limits(share, None if self.number is None else max(self.number, scope.drops))

    def typed(self) -> list[str]:
        """Write the limits as they are typed; a share that is the usual one only on its own."""
        number = [] if self.number is None else [str(self.number)]
        share = [f"{self.share.normalize():f}%"]
        return share + number if self.share != DEFAULT_SHARE or not number else number

    def __str__(self) -> str:
        """Write both limits, for people."""
        number = [] if self.number is None else [str(self.number)]
        return " and ".join([f"{self.share.normalize():f}%", *number])


def read_limits(texts: Iterable[str]) -> Limits:
    """Read what was typed: `5%`, `200`, or one of each; the usual share holds beside a number.

    Raises:
        errors.Usage: for what is written otherwise.
    """
    given: dict[str, Any] = {}
    for text in texts:
        found = _LIMIT.fullmatch(text.strip())
        if found is None or Decimal(found["share"] or 0) > PERCENT:
            raise errors.Usage(
                f"--max-drops {text!r} is no share and no number",
                hint="such as --max-drops 5%, or --max-drops 200, or one of each",
            )
        if found["sign"] in given:
            kind = "share" if found["sign"] else "number"
            raise errors.Usage(
                f"--max-drops names a {kind} twice, the second time {text!r}",
                hint="give the one that holds, and leave the other out",
            )
        given[found["sign"]] = found["share"] or found["number"]
    share, number = given.get("%", DEFAULT_SHARE), given.get("")
    return Limits(Decimal(share), int(number) if number else None)


class CourseFigures(NamedTuple):
    """What a sync means for a course, or the whole scope: live, to be dropped, others named."""

    name: str
    live: int
    drops: int
    others: int


@dataclass
class Figures:
    """What a sync would do, counted before anything is decided.

    `held` are drops that are not made: a row does not say whom or what it means.
    """

    scope: CourseFigures
    courses: list[CourseFigures] = field(default_factory=list)
    held: int = 0

    @property
    def widest(self) -> CourseFigures | None:
        """The course that loses the largest share, of several the largest course."""
        losing = [course for course in self.courses if course.drops]
        return max(losing, key=lambda c: (c.drops / c.live, c.live), default=None)


class Earlier(NamedTuple):
    """A file that was applied to the scope before."""

    operation_id: int
    sha256: str | None
    written_at: datetime | None


def require_drops_allowed(figures: Figures, limits: Limits) -> None:
    """Stop when a sync would drop more than it may.

    Raises:
        errors.TooManyDrops: naming the option that allows it, with the figures.
    """
    scope = figures.scope
    over = [f for f in (scope, *figures.courses) if not limits.allows(f.drops, f.live)]
    if limits.number is not None and scope.drops > limits.number and scope not in over:
        over.insert(0, scope)
    if not over:
        return
    first = over[0]
    options = [" ".join(f"--max-drops {text}" for text in limit.typed())
               for limit in (limits.widened(scope, over), limits)]  # fmt: skip
    where = "" if first is scope else f", {first.drops} of {first.live} in {first.name}"
    error = errors.TooManyDrops(
        f"{scope.drops} of the {scope.live} enrollments in {scope.name} are not in the file{where};"
        f" at most {limits} may be dropped, so nothing was changed",
        hint=f"look whether the file is whole; {options[0]} in place of {options[1]} allows it,"
        " --absent keep drops nobody",
    )
    error.figures = [
        {**f._asdict(), "over": f in over} for f in (scope, *figures.courses) if f.drops
    ]
    raise error


def require_rows(rows: int, name: str | None, scope: str) -> None:
    """Stop when the file of a sync has none, or none that was picked out of it.

    Raises:
        errors.EmptyFile: naming the option that allows it.
    """
    if not rows:
        raise errors.EmptyFile(f"{name or 'the file'} has no rows for {scope}; nothing was changed")


def require_newer(
    name: str | None, sha256: str | None, written_at: datetime | None, earlier: Sequence[Earlier]
) -> None:
    """Stop when the file is older than the last one of the scope, as far as that can be told.

    It is when it was written before that one was, and not when after it: to the second, as many
    file systems and copies know it. Where that says nothing it is when an earlier sync had it.

    Args:
        name: of the file.
        sha256: of its content.
        written_at: when it was written, if known.
        earlier: what was applied to one scope and not undone, the last one first.

    Raises:
        errors.OlderFile: naming the option that allows it.
    """
    if not earlier or sha256 == earlier[0].sha256:
        return
    last = earlier[0]
    same_as_last = takewhile(lambda file: file.sha256 == last.sha256, earlier)
    newest = max((file.written_at for file in same_as_last if file.written_at), default=None)
    later = 0
    if written_at and newest:
        later = int(written_at.timestamp()) - int(newest.timestamp())
    if later > 0:
        return
    if later < 0:
        raise errors.OlderFile(
            f"{name} was written {written_at:{_TO_THE_SECOND}} UTC, before the file of batch"
            f" {last.operation_id} ({newest:{_TO_THE_SECOND}}); nothing was changed"
        )
    same = next((file for file in earlier if file.sha256 == sha256), None)
    if same is not None:
        raise errors.OlderFile(
            f"{name} is the file of batch {same.operation_id}, and batch {last.operation_id} came"
            " after it; nothing was changed"
        )


def kept_figures(figures: Figures, limits: Limits | None) -> dict[str, Any]:
    """Give what the operation keeps of its figures."""
    widest = figures.widest
    return {
        "live": figures.scope.live,
        "absent": figures.scope.drops,
        "held": figures.held,
        "widest": None if widest is None else list(widest[:3]),
        "limits": str(limits) if limits else None,
    }

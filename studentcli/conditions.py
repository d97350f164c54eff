"""What a course asks of its students, as the short texts that registrars type.

    prerequisites    CS101:C|CS102 & MATH100       `&` is and, `|` is or and binds first
    corequisites     CS101L & MATH100|MATH101
    tags             level:senior major:CS
    restriction      level:senior|level:junior & !probation
    reserved seats   honors=5 until 2026-09-01; level:freshman=10

A `read_*` function takes what somebody wrote and gives the one text that is stored. A `parse_*`
function takes the stored text and gives what the rules look at; it keeps what it has parsed,
because many students meet the same few texts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from studentcli import errors, values

IN_PROGRESS: Final = "in-progress"
UNTIL: Final = "until"
EXCLUDED: Final = "!"

_TAG = re.compile(r"[A-Za-z0-9:._][A-Za-z0-9:._\-]{0,63}", re.ASCII)
_KEPT: Final = 8192
"""How many different texts of a kind are kept parsed."""

_Item = TypeVar("_Item")


class Required(NamedTuple):
    """One course that satisfies a prerequisite."""

    code: str
    min_grade: str | None = None
    in_progress: bool = False
    """Whether being enrolled in it counts as well as having passed it."""

    def __str__(self) -> str:
        marks = [self.min_grade, IN_PROGRESS if self.in_progress else None]
        return ":".join([self.code, *filter(None, marks)])


class TagTerm(NamedTuple):
    """One tag that a restriction asks for, or that it excludes."""

    tag: str
    is_excluded: bool = False

    def __str__(self) -> str:
        return f"{EXCLUDED if self.is_excluded else ''}{self.tag}"


class Reservation(NamedTuple):
    """Seats kept for the students with a tag, until the end of a day or for good."""

    tag: str
    seats: int
    until: date | None = None

    def is_active(self, on: date) -> bool:
        """Whether the seats are still kept on a day."""
        return self.until is None or on <= self.until

    def __str__(self) -> str:
        end = "" if self.until is None else f" {UNTIL} {self.until.isoformat()}"
        return f"{self.tag}={self.seats}{end}"


class _Kind(NamedTuple):
    """How a kind of text is called in a refusal, and what a good one looks like."""

    name: str
    example: str
    signs: str = "& or |"


_PREREQUISITES: Final = _Kind("prerequisites", "CS101:C|CS102 & MATH100")
_COREQUISITES: Final = _Kind("corequisites", "CS101L & MATH100|MATH101")
_TAGS: Final = _Kind("tags", "level:senior major:CS")
_RESTRICTION: Final = _Kind("restriction", "level:senior|level:junior & !probation")
_RESERVATIONS: Final = _Kind("reserved seats", "honors=5 until 2026-09-01; level:freshman=10", ";")


# ── prerequisites and corequisites ───────────────────────────────────────────────────────


def read_requirements(text: str) -> str:
    """Read the prerequisites of a course.

    Args:
        text: groups joined by `&`, each of courses joined by `|`; a course is its code, then
            `:GRADE` for a minimum, then `:in-progress` when being enrolled counts too.

    Returns:
        The text to store: single spaces around `&`, none around `|`, nothing said twice.

    Raises:
        errors.BadValue: when it cannot be read, `MalformedId` for a code, `UnknownGrade` for
            a grade that none can be.
    """
    return _joined(_groups(text, _PREREQUISITES, _required), _PREREQUISITES)


@lru_cache(maxsize=_KEPT)
def parse_requirements(text: str | None) -> tuple[tuple[Required, ...], ...]:
    """Give the groups of stored prerequisites: of each group, one course must be had."""
    return () if text is None else _groups(text, _PREREQUISITES, _required)


def read_corequisites(text: str) -> str:
    """Read the corequisites of a course: as prerequisites, of codes alone.

    Raises:
        errors.BadValue: when it cannot be read, `MalformedId` for a code.
    """
    return _joined(_groups(text, _COREQUISITES, _corequisite), _COREQUISITES)


@lru_cache(maxsize=_KEPT)
def parse_corequisites(text: str | None) -> tuple[tuple[str, ...], ...]:
    """Give the groups of stored corequisites: of each group, one code must be enrolled in."""
    return () if text is None else _groups(text, _COREQUISITES, _corequisite)


def _required(item: str) -> Required:
    code, *marks = (part.strip() for part in item.split(":"))
    in_progress = marks[-1:] == [IN_PROGRESS]
    grades = marks[:-1] if in_progress else marks
    if not code or len(grades) > 1:
        raise errors.BadValue(
            f"{_shown(item)} is no prerequisite (expected CODE, CODE:GRADE, CODE:{IN_PROGRESS} "
            f"or CODE:GRADE:{IN_PROGRESS}, such as CS101:C)"
        )
    return Required(_code(code), _grade(grades[0], item) if grades else None, in_progress)


def _corequisite(item: str) -> str:
    if ":" in item:
        raise errors.BadValue(
            f"{_shown(item)} is no corequisite (expected a course code without a grade, "
            "such as CS101L)"
        )
    return _code(item)


def _code(text: str) -> str:
    if text == "-":
        # A lone `-` clears a value wherever one can be cleared: it cannot be a course as well.
        raise errors.BadValue("'-' is no course code (expected such as CS101)")
    return values.identifier(text)


def _grade(text: str, item: str) -> str:
    try:
        return values.grade(text)
    except errors.UnknownGrade:
        raise errors.UnknownGrade(
            f"{_shown(text)} in {_shown(item)} is no grade (expected such as CS101:B+, "
            f"CS101:{IN_PROGRESS} or CS101:B+:{IN_PROGRESS})"
        ) from None


# ── tags, restrictions, reserved seats ───────────────────────────────────────────────────


def read_tags(text: str) -> str:
    """Read the tags of a student.

    Args:
        text: tags with spaces or commas between them; upper and lower case differ.

    Returns:
        The tags in the order written, each once, with single spaces between them.

    Raises:
        errors.BadValue: when there is none, or one is no tag.
    """
    words = _given(text.replace(",", " "), _TAGS).split()
    return _fitting(" ".join(dict.fromkeys(map(_tag, words))), _TAGS)


@lru_cache(maxsize=_KEPT)
def parse_tags(text: str | None) -> frozenset[str]:
    """Give the tags of a stored text."""
    return frozenset() if text is None else frozenset(text.split())


def read_restriction(text: str) -> str:
    """Read which students may take a course: tags that it asks for, and `!TAG` it excludes.

    Returns:
        The text to store: single spaces around `&`, none around `|`, nothing said twice.

    Raises:
        errors.BadValue: when it cannot be read.
    """
    return _joined(_groups(text, _RESTRICTION, _tag_term), _RESTRICTION)


@lru_cache(maxsize=_KEPT)
def parse_restriction(text: str | None) -> tuple[tuple[TagTerm, ...], ...]:
    """Give the groups of a stored restriction: of each group, one term must hold."""
    return () if text is None else _groups(text, _RESTRICTION, _tag_term)


def unmet(
    groups: tuple[tuple[TagTerm, ...], ...], tags: frozenset[str]
) -> tuple[TagTerm, ...] | None:
    """Give the first group of a restriction that a student's tags do not satisfy, or None."""
    for group in groups:
        if not any((term.tag in tags) != term.is_excluded for term in group):
            return group
    return None


def read_reservations(text: str) -> str:
    """Read how many seats are kept for the students with a tag, and until which day.

    Args:
        text: `TAG=SEATS` or `TAG=SEATS until YYYY-MM-DD` (that day included), with `;` between.

    Returns:
        The reservations in the order written, with `; ` between them.

    Raises:
        errors.BadValue: when it cannot be read, keeps no seat, or names a tag twice.
    """
    return _fitting("; ".join(map(str, _reservations(text))), _RESERVATIONS)


@lru_cache(maxsize=_KEPT)
def parse_reservations(text: str | None) -> tuple[Reservation, ...]:
    """Give the reservations of a stored text, in the order written."""
    return () if text is None else _reservations(text)


def _reservations(text: str) -> tuple[Reservation, ...]:
    found: dict[str, Reservation] = {}
    for part in _given(text, _RESERVATIONS).split(";"):
        reservation = _reservation(_part(part, text, _RESERVATIONS))
        if reservation.tag in found:
            raise errors.BadValue(
                f"{reservation.tag!r} has reserved seats twice (expected each tag once)"
            )
        found[reservation.tag] = reservation
    return tuple(found.values())


def _reservation(part: str) -> Reservation:
    tag, _, rest = part.partition("=")
    seats, *end = rest.split() or [""]
    if not seats or (end and (len(end) != 2 or end[0] != UNTIL)):
        raise errors.BadValue(
            f"{_shown(part)} reserves no seats (expected TAG=SEATS or "
            f"TAG=SEATS {UNTIL} YYYY-MM-DD, such as honors=5)"
        )
    reservation = Reservation(
        _tag(tag.strip()), values.integer(seats), values.iso_date(end[1]) if end else None
    )
    if reservation.seats == 0:
        raise errors.BadValue(
            f"{_shown(part)} reserves no seats (expected 1 or more; leave the tag out for none)"
        )
    return reservation


def _tag_term(item: str) -> TagTerm:
    tag = item.removeprefix(EXCLUDED).strip()
    if not tag:
        raise errors.BadValue(f"{item!r} excludes no tag (expected such as {EXCLUDED}probation)")
    return TagTerm(_tag(tag), is_excluded=item.startswith(EXCLUDED))


def _tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise errors.BadValue(
            f"{_shown(text)} is no tag (expected up to 64 letters, digits and : . _ -, "
            "such as level:senior)"
        )
    return text


# ── groups ───────────────────────────────────────────────────────────────────────────────


def _groups(text: str, kind: _Kind, read: Callable[[str], _Item]) -> tuple[tuple[_Item, ...], ...]:
    """Read and-groups of or-groups; what is said twice is taken once."""
    groups = [
        [_item(part, text, kind) for part in g.split("|")] for g in _given(text, kind).split("&")
    ]
    return tuple(dict.fromkeys(tuple(dict.fromkeys(map(read, group))) for group in groups))


def _item(part: str, text: str, kind: _Kind) -> str:
    item = _part(part, text, kind)
    if item.startswith("(") or item.count("(") != item.count(")"):
        # A code such as `ART (studio)` has a pair of its own.
        raise errors.BadValue(
            f"{_shown(text)} has parentheses, which are not read: | binds before & "
            f"(expected such as {kind.example})",
            hint="write (A & B)|C as A|C & B|C",
        )
    return item


def _part(part: str, text: str, kind: _Kind) -> str:
    item = part.strip()
    if not item:
        raise errors.BadValue(
            f"{_shown(text)} has a {kind.signs} with nothing on one side "
            f"(expected such as {kind.example})"
        )
    return item


def _given(text: str, kind: _Kind) -> str:
    # Normal as a whole: some letters become a `;` or a space, and then divide as one.
    value = values.normal(text)
    if not value:
        raise errors.BadValue(
            f"the text of the {kind.name} is empty (expected such as {kind.example})",
            hint="a lone - takes away what was there",
        )
    return value


def _joined(groups: tuple[tuple[object, ...], ...], kind: _Kind) -> str:
    return _fitting(" & ".join("|".join(map(str, group)) for group in groups), kind)


def _fitting(text: str, kind: _Kind) -> str:
    if len(text) > values.MAX_TEXT:
        raise errors.BadValue(
            f"the text of the {kind.name}, {_shown(text)}, is longer than "
            f"{values.MAX_TEXT} characters"
        )
    return text


def _shown(text: str) -> str:
    value = text.strip()
    return repr(value) if len(value) <= values.MAX_IDENTIFIER else f"{value[:20]!r}…"


# ── cycles ───────────────────────────────────────────────────────────────────────────────


def find_cycle(requirements: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Find courses that require each other, so that nobody could ever take them.

    Args:
        requirements: code → the codes it requires; a code without an entry requires nothing.

    Returns:
        The codes of one cycle, each requiring the next, the first repeated at the end; None
        when there is no cycle. The time is linear in the codes and what they require.
    """
    finished: set[str] = set()
    for code in requirements:
        if code not in finished and (cycle := _cycle_from(code, requirements, finished)):
            return cycle
    return None


def _cycle_from(
    start: str, requirements: Mapping[str, Iterable[str]], finished: set[str]
) -> list[str] | None:
    """Follow what `start` requires; add to `finished` the codes that lead into no cycle."""
    # A stack of our own: catalogues have longer chains than Python has recursion.
    path: dict[str, Iterator[str]] = {start: iter(requirements.get(start, ()))}
    while path:
        for needed in path[next(reversed(path))]:
            if needed in path:
                codes = list(path)
                return [*codes[codes.index(needed) :], needed]
            if needed not in finished:
                path[needed] = iter(requirements.get(needed, ()))
                break
        else:
            finished.add(path.popitem()[0])
    return None

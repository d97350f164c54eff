"""When and where a course meets: `MWF 10:00-10:50 2026-09-01..2026-10-15 @B 12`.

Several meetings are separated by `;`. Times are those on the wall clock of the term's time zone:
two meetings of a place overlap or not whatever its clocks do in spring and autumn.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import count, pairwise
from typing import Final

from studentcli import errors, values

DAY_LETTERS: Final = "MTWRFSU"
"""Monday to Sunday: R is Thursday, S Saturday, U Sunday."""
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MIDNIGHT: Final = 24 * 60
EXAMPLE: Final = "MWF 10:00-10:50 2026-09-01..2026-10-15 @B 12"

_TIMES = re.compile(
    r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII
)  # fmt: skip

Dates = tuple[date | None, date | None]
"""First and last day, both inclusive; none where nobody said."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A time of the week at which a course meets.

    Args:
        days: bit mask, Monday = 1, Sunday = 64.
        starts: minutes after midnight.
        ends: minutes after midnight, up to 24:00; at this minute the room is free again.
        first: the first day on which it can take place; none = the term's first day.
        last: the last day, inclusive; none = the term's last day.
        room: where.
    """

    days: int
    starts: int
    ends: int
    first: date | None = None
    last: date | None = None
    room: str | None = None

    def __str__(self) -> str:
        """Write the canonical text, which `read` leaves as it is."""
        dates = f" {self.first}..{self.last}" if self.first and self.last else ""
        return f"{self.when}{dates}{f' @{self.room}' if self.room else ''}"

    @property
    def when(self) -> str:
        """Say days and times: `MWF 10:00-10:50`."""
        letters = "".join(DAY_LETTERS[day] for day in self.weekdays)
        return f"{letters} {clock(self.starts)}-{clock(self.ends)}"

    @property
    def weekdays(self) -> list[int]:
        """List the days as Python numbers them: Monday is 0, Sunday 6."""
        return [day for day in range(7) if self.days >> day & 1]


def clock(minutes: int) -> str:
    """Write minutes after midnight as HH:MM."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


# ── reading ──────────────────────────────────────────────────────────────────────────────


def read(text: str) -> str:
    """Read the meetings of a course as somebody writes them.

    Args:
        text: days, times, and as far as wanted dates and `@` room; several separated by `;`.

    Returns:
        The canonical text: days in the order of the week, meetings by their first day and time,
        one space between words. The same meetings give the same text however they were written.

    Raises:
        errors.BadValue: for what is no meeting, what never takes place, and what stands twice.
    """
    canonical = "; ".join(map(str, parse(values.plain(text))))
    return values.plain(canonical)  # which may have become longer than a text can be


@lru_cache(maxsize=16_384)
def parse(text: str | None) -> tuple[Meeting, ...]:
    """Give the meetings of a canonical text, by first day and time; none for a course without.

    Raises:
        errors.BadValue: for a text that `read` has not made.
    """
    if text is None:
        return ()
    found = sorted(map(_meeting, text.split(";")), key=_order)
    for one, other in pairwise(found):
        if one == other:
            raise errors.BadValue(f"the meeting {str(one)!r} is written twice")
    return tuple(found)


def _order(meeting: Meeting) -> tuple[object, ...]:
    dates = meeting.first or date.min, meeting.last or date.max
    times = meeting.starts, meeting.ends
    return meeting.weekdays[0], *times, meeting.days, *dates, meeting.room or ""


def _meeting(text: str) -> Meeting:
    words, at, room = text.partition("@")
    parts = words.split()
    if len(parts) not in {2, 3}:
        raise errors.BadValue(
            f"{text.strip()!r} is no meeting (expected such as {EXAMPLE};"
            " dates and room can be left out)"
        )
    days, (starts, ends) = _days(parts[0]), _times(parts[1])
    first, last = _dates(parts[2]) if len(parts) == 3 else (None, None)
    meeting = Meeting(days, starts, ends, first, last, " ".join(room.split()) or None)
    if at and meeting.room is None:
        raise errors.BadValue(f"{text.strip()!r} names no room after @")
    if not _falls_on(days, first, last):
        raise errors.BadValue(f"'{meeting}' never takes place: none of its days is in these dates")
    return meeting


def _days(word: str) -> int:
    mask = 0
    for letter in word:
        day = DAY_LETTERS.find(letter)
        if day < 0 or mask >> day & 1:
            raise errors.BadValue(
                f"{word!r} are no days (expected letters of {DAY_LETTERS}, each once:"
                " R is Thursday, S Saturday, U Sunday)"
            )
        mask |= 1 << day
    return mask


def _times(word: str) -> tuple[int, int]:
    match = _TIMES.fullmatch(word)
    if match is None:
        raise errors.BadValue(f"{word!r} are no times (expected HH:MM-HH:MM, such as 09:00-10:50)")
    from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
    starts, ends = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if ends > MIDNIGHT:
        raise errors.BadValue(f"{word!r} goes beyond 24:00, the end of the day")
    if ends <= starts:
        raise errors.BadValue(
            f"{word!r} does not end after it starts (a meeting over midnight is two,"
            " the first one until 24:00)"
        )
    return starts, ends


def _dates(word: str) -> tuple[date, date]:
    first_word, dots, last_word = word.partition("..")
    if not dots:
        raise errors.BadValue(
            f"{word!r} are no dates (expected FIRST..LAST, such as 2026-09-01..2026-10-15)"
        )
    first, last = values.iso_date(first_word), values.iso_date(last_word)
    if last < first:
        raise errors.BadValue(f"{word!r} ends before it begins")
    return first, last


# ── the dates of the term ────────────────────────────────────────────────────────────────


def outside(meetings: tuple[Meeting, ...], first: date | None, last: date | None) -> Meeting | None:
    """Find the first meeting whose dates are not all within those of the term, or none.

    A meeting without dates has the term's; a term without a first or last day takes any.
    """
    for meeting in meetings:
        if first is not None and meeting.first is not None and meeting.first < first:
            return meeting
        if last is not None and meeting.last is not None and meeting.last > last:
            return meeting
    return None


def within(meetings: tuple[Meeting, ...], first: date | None, last: date | None) -> list[Meeting]:
    """Cut the dates of meetings to those of the term.

    One of which nothing is left gets no dates of its own, and so the term's.
    """
    found = []
    for meeting in meetings:
        begins = max(filter(None, (meeting.first, first)), default=None)
        ends = min(filter(None, (meeting.last, last)), default=None)
        is_left = begins is not None and ends is not None and begins <= ends
        if meeting.first is None or not is_left or not _falls_on(meeting.days, begins, ends):
            begins = ends = None
        found.append(replace(meeting, first=begins, last=ends))
    return list(dict.fromkeys(found))


# ── overlapping ──────────────────────────────────────────────────────────────────────────

_PIECE: Final = 15
"""Minutes for which a week has a bit: most meetings begin and end at one of these."""
_bits: Final[dict[tuple[int, int], int]] = {}
_new_bits: Final = count()


@lru_cache(maxsize=16384)
def week_of(meetings: tuple[Meeting, ...]) -> int:
    """Give a bit for every piece of the week in which there is a meeting, on any date.

    Weeks that have no bit in common belong to meetings of which none overlap. Bits are given in the
    order in which this process meets the pieces: most are in no meeting, and weeks stay small.
    """
    week = 0
    for meeting in meetings:
        for weekday in meeting.weekdays:
            for piece in range(meeting.starts // _PIECE, -(-meeting.ends // _PIECE)):
                week |= 1 << _bit_of((weekday, piece))
    return week


def _bit_of(piece: tuple[int, int]) -> int:
    known = _bits.get(piece)
    # Another thread can have been first.
    return _bits.setdefault(piece, next(_new_bits)) if known is None else known


def overlap(
    mine: tuple[Meeting, ...],
    theirs: tuple[Meeting, ...],
    *,
    my_term: Dates,
    their_term: Dates,
    same_term: bool,
) -> tuple[Meeting, Meeting] | None:
    """Find the first two meetings, one of each course, that nobody can attend both.

    Back to back is none. A meeting without dates has its term's; where a date is unknown it goes
    on. Two meetings of different terms, one of them with no date known at all, are none: nobody
    can say that they ever meet.

    Args:
        mine: the meetings of one course.
        theirs: the meetings of the other.
        my_term: first and last day of the one course's term.
        their_term: first and last day of the other's.
        same_term: whether both courses are of one term.
    """
    # Asked for every two courses of a student in a batch: what is seldom true is asked last.
    for one in mine:
        for other in theirs:
            if (
                one.days & other.days
                and one.starts < other.ends
                and other.starts < one.ends
                and _share_a_day(one, other, my_term, their_term, same_term=same_term)
            ):
                return one, other
    return None


def _share_a_day(
    one: Meeting, other: Meeting, my_term: Dates, their_term: Dates, *, same_term: bool
) -> bool:
    my_first, my_last = one.first or my_term[0], one.last or my_term[1]
    their_first, their_last = other.first or their_term[0], other.last or their_term[1]
    if not same_term and (my_first is my_last is None or their_first is their_last is None):
        return False
    first = my_first if their_first is None else their_first
    if my_first is not None and first is not None and my_first > first:
        first = my_first
    last = my_last if their_last is None else their_last
    if my_last is not None and last is not None and my_last < last:
        last = my_last
    return _falls_on(one.days & other.days, first, last)


def _falls_on(days: int, first: date | None, last: date | None) -> bool:
    """Tell whether one of the days occurs from `first` to `last`, both inclusive."""
    if first is None or last is None:
        return True
    length = (last - first).days + 1
    if length >= 7:
        return True
    in_range = ((1 << max(length, 0)) - 1) << first.weekday()
    return bool(days & (in_range | in_range >> 7))

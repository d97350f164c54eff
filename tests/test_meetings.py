"""Meetings: one text for the same thing however written, and overlaps exact to the day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studentcli import errors
from studentcli.meetings import (
    DAY_LETTERS,
    MIDNIGHT,
    Dates,
    Meeting,
    clock,
    outside,
    overlap,
    parse,
    read,
    within,
)

# ── reading ──────────────────────────────────────────────────────────────────────────────

WRITTEN = [
    ("MWF 10:00-10:50", "MWF 10:00-10:50"),
    ("  FWM   10:00-10:50  ", "MWF 10:00-10:50"),
    ("USFRWTM 00:00-24:00", "MTWRFSU 00:00-24:00"),
    ("U 23:59-24:00", "U 23:59-24:00"),
    ("R 10:00-10:01@B  12", "R 10:00-10:01 @B 12"),
    ("R 10:00-10:50 @ B@C ", "R 10:00-10:50 @B@C"),
    ("T 10:00-10:50 2028-02-29..2028-02-29", "T 10:00-10:50 2028-02-29..2028-02-29"),
    ("FM 10:00-10:50 2026-09-01..2026-10-15@B", "MF 10:00-10:50 2026-09-01..2026-10-15 @B"),
    ("F 08:00-09:00;WM 09:00-10:00 @2 ; M 08:00-08:50",
     "M 08:00-08:50; MW 09:00-10:00 @2; F 08:00-09:00"),
    ("M 08:00-09:00 @b; M 08:00-09:00 @a", "M 08:00-09:00 @a; M 08:00-09:00 @b"),
    ("M 08:00-09:00 2026-10-01..2026-10-31; M 08:00-09:00 2026-09-01..2026-09-30",
     "M 08:00-09:00 2026-09-01..2026-09-30; M 08:00-09:00 2026-10-01..2026-10-31"),
    ("M 08:00-09:00; M 08:30-09:00", "M 08:00-09:00; M 08:30-09:00"),
    ("M 08:00-09:00 @Cafe\u0301", "M 08:00-09:00 @Caf\u00e9"),
    # NFC makes a semicolon of the Greek question mark.
    ("M 08:00-09:00\u037e T 08:00-09:00", "M 08:00-09:00; T 08:00-09:00"),
]  # fmt: skip
REFUSED = [
    ("", "is no meeting"),
    ("MWF", "expected such as MWF 10:00-10:50"),
    ("MWF @B 12", "is no meeting"),
    ("MWF 10:00 - 10:50", "is no meeting"),
    ("MWF 10:00-10:50 2026-09-01 .. 2026-10-15", "is no meeting"),
    ("MWF 10:00-10:50;", "'' is no meeting"),
    ("MWF 10:00-10:50;; F 12:00-13:00", "'' is no meeting"),
    ("MWF 10:00-10:50 @", "names no room after @"),
    ("mwf 10:00-10:50", "'mwf' are no days"),
    ("TTh 10:00-10:50", "R is Thursday"),
    ("MM 10:00-10:50", "each once"),
    ("MWF 9:00-10:50", "'9:00-10:50' are no times (expected HH:MM-HH:MM, such as 09:00-10:50)"),
    ("MWF 10:00-10:60", "are no times"),
    ("MWF 10:00-25:00", "are no times"),
    ("MWF 10.00-10.50", "are no times"),
    ("MWF \u0661\u0660:00-11:00", "are no times"),
    ("MWF 23:00-24:01", "beyond 24:00"),
    ("MWF 10:00-10:00", "does not end after it starts"),
    ("MWF 24:00-24:00", "does not end after it starts"),
    ("MWF 22:00-01:00", "over midnight is two"),
    ("MWF 10:00-10:50 2026-09-01", "are no dates (expected FIRST..LAST"),
    ("MWF 10:00-10:50 ..2026-09-01", "'' is no date"),
    ("MWF 10:00-10:50 2026-09-01..2026-9-30", "'2026-9-30' is no date (expected YYYY-MM-DD)"),
    ("T 10:00-10:50 2027-02-29..2027-03-30", "'2027-02-29' is no date"),
    ("MWF 10:00-10:50 2026-10-15..2026-09-01", "ends before it begins"),
    ("F 10:00-10:50 2026-09-01..2026-09-03", "never takes place"),
    ("WM 10:00-10:50 @B; MW 10:00-10:50  @B", "'MW 10:00-10:50 @B' is written twice"),
    ("M 08:00-09:00 @a\nb", "control character"),
    ("M 08:00-09:00 @" + "x" * 1000, "longer than 1000"),
    ("M 08:00-09:00@" + "x" * 986, "longer than 1000"),
]


@pytest.mark.parametrize(("written", "canonical"), WRITTEN)
def test_the_same_meetings_give_the_same_text_however_written(written: str, canonical: str) -> None:
    assert read(written) == canonical
    assert read(canonical) == canonical


@pytest.mark.parametrize(("written", "told"), REFUSED)
def test_what_is_no_meeting_is_refused_saying_what_is_expected(written: str, told: str) -> None:
    with pytest.raises(errors.BadValue) as refused:
        read(written)
    assert told in refused.value.message


def test_a_course_without_meetings_has_none() -> None:
    assert parse(None) == ()


def test_a_meeting_says_when_and_where() -> None:
    (meeting,) = parse("MWF 09:05-24:00 2026-09-01..2026-10-15 @B 12")
    assert (meeting.days, meeting.starts, meeting.ends) == (0b10101, 9 * 60 + 5, MIDNIGHT)
    assert (meeting.first, meeting.last) == (date(2026, 9, 1), date(2026, 10, 15))
    assert (meeting.room, meeting.when) == ("B 12", "MWF 09:05-24:00")


# ── overlapping ──────────────────────────────────────────────────────────────────────────

FALL: Dates = (date(2026, 8, 31), date(2026, 12, 18))
SPRING: Dates = (date(2027, 1, 11), date(2027, 5, 7))
OPEN: Dates = (None, None)
M, T = "M 10:00-11:00", "T 10:00-11:00"
MONDAY = "2026-09-07..2026-09-07"

IN_ONE_TERM = [
    (M, M, FALL, True),
    (M, "M 11:00-12:00", FALL, False),  # back to back
    (M, "M 09:00-10:00", FALL, False),
    (M, "M 10:59-12:00", FALL, True),
    (M, "M 09:00-10:01", FALL, True),
    (M, "M 10:15-10:30", FALL, True),  # one within the other
    ("MWF 10:00-11:00", "TRSU 10:00-11:00", FALL, False),
    ("MWF 10:00-11:00", "TRFU 10:00-11:00", FALL, True),
    ("M 23:00-24:00", "T 00:00-01:00", FALL, False),
    ("U 00:00-24:00", "U 23:59-24:00", FALL, True),
    (M, "T 10:00-11:00; M 10:30-11:30", FALL, True),  # the second meeting
    (M, M, OPEN, True),
    (M, M, (FALL[0], None), True),
    # Date ranges: the last day of the one is the first of the other, or the day before.
    (f"{M} 2026-09-01..2026-09-07", f"{M} 2026-09-07..2026-10-30", FALL, True),
    (f"{M} 2026-09-01..2026-09-07", f"{M} 2026-09-08..2026-10-30", FALL, False),
    (f"{M} {MONDAY}", M, FALL, True),
    (f"{M} {MONDAY}", M, OPEN, True),
    # They share a range, but no Monday lies in what they share.
    (f"{M} 2026-09-01..2026-09-10", f"{M} 2026-09-08..2026-09-30", FALL, False),
    (f"MT 10:00-11:00 {MONDAY}", T, FALL, False),  # one day, and it is the other weekday
    (M, M, (date(2026, 9, 8), date(2026, 9, 13)), False),  # a term of six days without a Monday
    (M, M, (date(2026, 9, 8), date(2026, 9, 14)), True),
    ("U 10:00-11:00", "U 10:00-11:00", (date(2026, 9, 11), date(2026, 9, 13)), True),
    # The term ends before the meeting's own dates: what somebody wrote about it counts.
    (f"{M} 2027-01-04..2027-01-25", M, FALL, False),
    # Leap day 2028 is a Tuesday.
    (f"{T} 2028-02-29..2028-02-29", T, (date(2028, 2, 28), date(2028, 3, 1)), True),
    (f"{T} 2028-02-29..2028-02-29", "W 10:00-11:00", (date(2028, 2, 28), date(2028, 3, 1)), False),
    ("W 10:00-11:00", "W 10:00-11:00", (date(2028, 2, 24), date(2028, 2, 29)), False),
    # The night in which clocks change: times are those on the wall.
    ("U 01:00-02:30", "U 02:30-04:00", (date(2026, 10, 25), date(2026, 10, 25)), False),
    ("U 01:00-02:31", "U 02:30-04:00", (date(2026, 10, 25), date(2026, 10, 25)), True),
]
ACROSS_TERMS = [
    (M, FALL, M, SPRING, False),
    (M, FALL, M, (date(2026, 12, 14), None), True),  # the terms share the Monday 2026-12-14
    (M, FALL, M, (date(2026, 12, 15), None), False),
    (M, FALL, M, OPEN, False),  # nobody knows when the other one is
    (M, OPEN, M, OPEN, False),
    (f"{M} {MONDAY}", OPEN, M, FALL, True),  # its own dates say it
    (f"{M} {MONDAY}", OPEN, f"{M} {MONDAY}", OPEN, True),
    (f"{M} {MONDAY}", FALL, M, SPRING, False),
    (M, (None, FALL[1]), M, (SPRING[0], None), False),
    (M, (FALL[0], None), M, (SPRING[0], None), True),
    (M, (None, FALL[1]), M, FALL, True),
]


def clash(mine: str, my_term: Dates, theirs: str, their_term: Dates, *, same_term: bool) -> bool:
    """Ask both ways round: the answer must be the same pair."""
    one, other = parse(read(mine)), parse(read(theirs))
    found = overlap(one, other, my_term=my_term, their_term=their_term, same_term=same_term)
    back = overlap(other, one, my_term=their_term, their_term=my_term, same_term=same_term)
    assert (found is None) == (back is None)
    if found is not None:
        assert found[0] in one
        assert found[1] in other
    return found is not None


@pytest.mark.parametrize(("mine", "theirs", "term", "expected"), IN_ONE_TERM)
def test_meetings_of_one_term_overlap_if_some_minute_belongs_to_both(
    mine: str, theirs: str, term: Dates, *, expected: bool
) -> None:
    assert clash(mine, term, theirs, term, same_term=True) is expected


@pytest.mark.parametrize(("mine", "my_term", "theirs", "their_term", "expected"), ACROSS_TERMS)
def test_meetings_of_two_terms_overlap_only_on_days_known_to_be_shared(
    mine: str, my_term: Dates, theirs: str, their_term: Dates, *, expected: bool
) -> None:
    assert clash(mine, my_term, theirs, their_term, same_term=False) is expected


def test_the_pair_that_overlaps_is_named_in_the_order_asked() -> None:
    mine, theirs = parse(read(f"{T}; {M}")), parse("MW 10:30-12:00 @B")
    found = overlap(mine, theirs, my_term=FALL, their_term=FALL, same_term=True)
    assert found is not None
    assert [str(meeting) for meeting in found] == [M, "MW 10:30-12:00 @B"]


def test_a_course_without_meetings_never_overlaps() -> None:
    everything = parse("MTWRFSU 00:00-24:00")
    assert overlap((), everything, my_term=FALL, their_term=FALL, same_term=True) is None
    assert overlap(everything, (), my_term=FALL, their_term=FALL, same_term=True) is None


# ── for any meetings ─────────────────────────────────────────────────────────────────────

START = date(2028, 2, 21)
"""A Monday; the calendar below holds a leap day."""
CALENDAR = [START + timedelta(days=number) for number in range(21)]
MINUTES = st.integers(8 * 60, 8 * 60 + 9)
"""Few, so that back to back is common."""


def ranges() -> st.SearchStrategy[Dates]:
    """Draw a range of the calendar, whole."""
    return st.tuples(st.sampled_from(CALENDAR), st.sampled_from(CALENDAR)).map(
        lambda days: (min(days), max(days))
    )


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw the text of a meeting that takes place."""
    days = "".join(draw(st.sets(st.sampled_from(DAY_LETTERS), min_size=1)))
    starts, ends = sorted(draw(st.sets(MINUTES, min_size=2, max_size=2)))
    times = f"{clock(starts)}-{clock(ends)}"
    first, last = draw(ranges())
    dates = f" {first}..{last}" if draw(st.booleans()) else ""
    room = draw(st.sampled_from(["", " @ B  12", "@\u00c5@"]))
    return f"{days} {times}{dates}{room}"


def readable(text: str) -> bool:
    try:
        read(text)
    except errors.BadValue:
        return False
    return True


courses = st.lists(texts(), min_size=1, max_size=3).map(";".join).filter(readable)


@given(courses)
def test_canonical_text_reads_back_to_itself(text: str) -> None:
    canonical = read(text)
    assert read(canonical) == canonical
    assert "; ".join(map(str, parse(canonical))) == canonical


@given(st.text(alphabet=st.sampled_from("MTR0129:-;.@ \u00a0\u0301\u037eB"), max_size=40))
def test_any_text_is_refused_or_has_a_canonical_form(text: str) -> None:
    for candidate in (text, f"M 10:00-11:00 @{text}"):
        if readable(candidate):
            assert read(read(candidate)) == read(candidate)


def occupied(meetings: tuple[Meeting, ...], term: Dates) -> set[tuple[date, int]]:
    """List every minute of the calendar in which a course meets."""
    return {
        (day, minute)
        for meeting in meetings
        for day in CALENDAR
        if (meeting.first or term[0] or day) <= day <= (meeting.last or term[1] or day)
        and day.weekday() in meeting.weekdays
        for minute in range(meeting.starts, meeting.ends)
    }


@given(courses, courses, ranges(), ranges(), st.booleans())
def test_an_overlap_is_what_a_calendar_shows(
    mine: str, theirs: str, my_term: Dates, other_term: Dates, same_term: bool
) -> None:
    their_term = my_term if same_term else other_term
    one, other = parse(read(mine)), parse(read(theirs))
    expected = bool(occupied(one, my_term) & occupied(other, their_term))
    assert clash(mine, my_term, theirs, their_term, same_term=same_term) is expected


# ── the dates of the term ────────────────────────────────────────────────────────────────

AUTUMN: Dates = (date(2026, 8, 24), date(2026, 12, 18))


@pytest.mark.parametrize(
    ("dates", "term", "is_outside", "cut"),
    [
        ("", AUTUMN, False, ""),
        ("2026-08-24..2026-12-18", AUTUMN, False, "2026-08-24..2026-12-18"),  # to the day
        ("2026-08-23..2026-12-18", AUTUMN, True, "2026-08-24..2026-12-18"),
        ("2026-08-24..2026-12-19", AUTUMN, True, "2026-08-24..2026-12-18"),
        ("2026-01-01..2027-12-31", AUTUMN, True, "2026-08-24..2026-12-18"),
        ("2030-01-01..2030-12-31", AUTUMN, True, ""),  # nothing is left: the term's own
        ("2026-12-14..2026-12-31", AUTUMN, True, "2026-12-14..2026-12-18"),
        ("2026-12-16..2026-12-31", AUTUMN, True, ""),  # no Monday is left
        ("2030-01-01..2030-12-31", (None, None), False, "2030-01-01..2030-12-31"),
        ("2026-08-23..2030-12-31", (AUTUMN[0], None), True, "2026-08-24..2030-12-31"),
        ("2020-01-01..2026-12-19", (None, AUTUMN[1]), True, "2020-01-01..2026-12-18"),
    ],
)
def test_the_dates_of_a_meeting_are_within_its_term_or_cut_to_it(
    dates: str, term: Dates, *, is_outside: bool, cut: str
) -> None:
    meetings = parse(read(f"M 10:00-10:50 {dates} @B"))
    assert outside(meetings, *term) == (meetings[0] if is_outside else None)
    assert within(meetings, *term) == list(parse(read(f"M 10:00-10:50 {cut} @B")))
    assert outside(tuple(within(meetings, *term)), *term) is None

"""The calendar: windows and deadlines, per term and per course, to the end of the day there."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.rules.registry import TODAY, Registry, day, said

# ── the enroll window ──


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        (None, None, "enrolled"),
        (0, 0, "enrolled"),
        (0, None, "enrolled"),
        (-1, None, "enrolled"),
        (1, None, "window-closed"),  # the day before it opens
        (None, 0, "enrolled"),
        (None, 1, "enrolled"),
        (None, -1, "window-closed"),  # the day after it closed
        (-9, 9, "enrolled"),
        (1, 9, "window-closed"),
        (-9, -1, "window-closed"),
    ],
)
@pytest.mark.parametrize("whose", ["term", "course"])
def test_adds_are_taken_from_the_first_to_the_last_day_of_the_window(
    first: int | None, last: int | None, wanted: str, whose: str
) -> None:
    window: dict[str, Any] = {
        name: day(offset)
        for name, offset in (("enroll_from", first), ("enroll_until", last))
        if offset is not None
    }
    registry = Registry(**(window if whose == "term" else {}))
    course = registry.course("CS101", **(window if whose == "course" else {}))
    assert registry.enroll(course) == wanted


@pytest.mark.parametrize(
    ("term", "own", "wanted"),
    [
        ({"enroll_until": -1}, {"enroll_until": 0}, "enrolled"),
        ({"enroll_until": 9}, {"enroll_until": -1}, "window-closed"),
        ({"enroll_from": 1}, {"enroll_from": 0}, "enrolled"),
        ({"enroll_from": -9}, {"enroll_from": 1}, "window-closed"),
        # only one side is the course's own: the other stays the term's
        ({"enroll_from": 1, "enroll_until": 5}, {"enroll_until": 9}, "window-closed"),
        ({"enroll_from": -5, "enroll_until": -1}, {"enroll_from": -9}, "window-closed"),
    ],
)
def test_the_courses_own_window_counts_before_the_terms(
    term: dict[str, int], own: dict[str, int], wanted: str
) -> None:
    dates: list[dict[str, Any]] = [{k: day(n) for k, n in side.items()} for side in (term, own)]
    registry = Registry(**dates[0])
    course = registry.course("CS101", **dates[1])
    assert registry.enroll(course) == wanted


@pytest.mark.parametrize("allow_waitlist", [True, False])
def test_a_full_course_takes_nobody_into_its_queue_outside_the_window(
    *, allow_waitlist: bool
) -> None:
    registry = Registry(enroll_until=day(-1))
    course = registry.course("CS101", capacity=0, waitlist_capacity=9)
    codes = registry.enroll(course, allow_waitlist=allow_waitlist).split()
    assert codes == ["window-closed"] + ([] if allow_waitlist else ["course-full"])


def test_the_refusal_says_when_the_window_opens_or_closed() -> None:
    registry = Registry()
    early = registry.course("CS101", enroll_from=day(1))
    late = registry.course("CS102", enroll_until=day(-1))
    assert f"opens on {day(1)}" in registry.one("enroll", early).refusals[0].message
    assert f"closed on {day(-1)}" in registry.one("enroll", late).refusals[0].message


# ── deadlines ──


@pytest.mark.parametrize(
    ("action", "field", "code"),
    [
        ("drop", "drop_until", "drop-deadline"),
        ("withdraw", "withdraw_until", "withdraw-deadline"),
    ],
)
@pytest.mark.parametrize(
    ("term", "own", "is_late"),
    [
        (None, None, False),
        (0, None, False),  # the last day is in time
        (1, None, False),
        (-1, None, True),
        (None, 0, False),
        (None, -1, True),
        (-1, 0, False),  # the course's own counts, later
        (9, -1, True),  # or earlier
    ],
)
def test_a_course_can_be_left_to_the_end_of_the_last_day(
    action: str, field: str, code: str, term: int | None, own: int | None, *, is_late: bool
) -> None:
    registry = Registry(**_dated(field, term))
    course = registry.course("CS101", **_dated(field, own))
    registry.put(registry.s1, course, "enrolled")
    outcome = registry.one(action, course)
    assert said(outcome) == (code if is_late else {"drop": "dropped"}.get(action, "withdrawn"))
    assert registry.status(course) == ("enrolled" if is_late else outcome.status)


def _dated(field: str, offset: int | None) -> dict[str, Any]:
    return {} if offset is None else {field: day(offset)}


@pytest.mark.parametrize("deadline", ["drop_until", "withdraw_until"])
def test_each_deadline_is_for_its_own_way_of_leaving(deadline: str) -> None:
    registry = Registry(**_dated(deadline, -1))
    course, other = registry.course("CS101"), registry.course("CS102")
    registry.put(registry.s1, course, "enrolled")
    registry.put(registry.s1, other, "enrolled")
    said_of = {"drop": registry.one("drop", course), "withdraw": registry.one("withdraw", other)}
    late = deadline.removesuffix("_until")
    assert {action for action, outcome in said_of.items() if outcome.is_refused} == {late}


def test_a_place_in_the_queue_can_be_left_at_any_time() -> None:
    registry = Registry(drop_until=day(-9), withdraw_until=day(-9), enroll_until=day(-9))
    course = registry.course("CS101", capacity=0, waitlist_capacity=9)
    registry.put(registry.s1, course, "waitlisted")
    assert said(registry.one("drop", course)) == "dropped"


def test_a_late_drop_says_to_withdraw() -> None:
    registry = Registry(drop_until=day(-1))
    course = registry.course("CS101")
    registry.put(registry.s1, course, "enrolled")
    refusal = registry.one("drop", course).refusals[0]
    assert str(day(-1)) in refusal.message
    assert str(refusal.hint).startswith("studentcli withdraw S1 2026FA/CS101-1")


def test_a_grade_can_be_recorded_after_every_deadline() -> None:
    registry = Registry(drop_until=day(-9), withdraw_until=day(-9), enroll_until=day(-9))
    course = registry.course("CS101")
    registry.put(registry.s1, course, "enrolled")
    assert said(registry.one("complete", course, grade="A")) == "completed"


# ── dated back ──

DEADLINES = [
    ("enroll", "enroll_until", "window-closed", "enrolled"),
    ("drop", "drop_until", "drop-deadline", "dropped"),
    ("withdraw", "withdraw_until", "withdraw-deadline", "withdrawn"),
]


@pytest.mark.parametrize(("action", "field", "code", "done"), DEADLINES)
@pytest.mark.parametrize(
    ("last", "on", "reason", "is_refused"),
    [
        (-1, -1, None, True),  # dated to the last day, but today it is over: say why
        (-1, -1, "form of 4 October", False),
        (-5, -9, None, True),
        (-5, -9, "form was late", False),
        (-5, -4, "form was late", True),  # a reason does not move the deadline
        (0, -1, None, False),  # today would be in time as well: no reason needed
        (9, -3, None, False),
        (0, 0, None, False),
    ],
)
def test_a_change_dated_back_over_a_deadline_needs_a_reason(
    action: str, field: str, code: str, done: str, last: int, on: int, reason: str | None,
    *, is_refused: bool,
) -> None:  # fmt: skip
    registry = Registry(**_dated(field, last))
    course = registry.course("CS101")
    if action != "enroll":
        registry.put(registry.s1, course, "enrolled")
    outcome = registry.one(action, course, effective_on=day(on), reason=reason)
    assert said(outcome) == (code if is_refused else done)
    if is_refused and reason is None:
        assert "--reason" in str(outcome.refusals[0].hint)


def test_a_change_dated_before_the_window_opened_is_refused_whatever_the_reason() -> None:
    registry = Registry(enroll_from=day(-5))
    course = registry.course("CS101")
    assert registry.enroll(course, effective_on=day(-6), reason="dean") == "window-closed"
    assert registry.enroll(course, effective_on=day(-5)) == "enrolled"


def test_a_change_dated_back_over_a_deadline_keeps_its_reason_in_the_event() -> None:
    registry = Registry(enroll_until=day(-1))
    registry.one("enroll", registry.course("CS101"), effective_on=day(-2), reason="form was late")
    event = registry.events[-1]
    assert (event.effective_on, event.detail) == (day(-2), '{"reason": "form was late"}')


# ── where the day ends ──


MIDNIGHTS = [
    # zone, the last day: one second before its end, and the end itself
    ("UTC", date(2026, 10, 5)),
    ("Pacific/Kiritimati", date(2026, 10, 5)),  # UTC+14: over while it is the 5th in London
    ("Etc/GMT+12", date(2026, 10, 5)),  # UTC-12: still the 5th when it is the 6th in London
    ("America/New_York", date(2026, 10, 31)),  # the night before the clocks go back
    ("America/New_York", date(2026, 11, 1)),  # a day of 25 hours
    ("America/New_York", date(2026, 3, 8)),  # a day of 23 hours
    ("Europe/Berlin", date(2026, 3, 28)),
    ("Europe/Berlin", date(2026, 3, 29)),  # 23 hours
    ("Europe/Berlin", date(2026, 10, 25)),  # 25 hours
    ("Asia/Kathmandu", date(2026, 10, 5)),  # UTC+5:45
    ("America/Santiago", date(2026, 9, 5)),  # midnight itself is left out the next day
    ("Europe/Berlin", date(2028, 2, 28)),
    ("Europe/Berlin", date(2028, 2, 29)),  # the leap day is a day
    ("Asia/Tokyo", date(2026, 12, 31)),
]


@pytest.mark.parametrize(("zone", "last"), MIDNIGHTS)
@pytest.mark.parametrize(("action", "field", "code", "done"), DEADLINES)
def test_a_last_day_ends_at_midnight_in_the_terms_own_zone(
    zone: str, last: date, action: str, field: str, code: str, done: str
) -> None:
    for seconds, wanted in ((-1, done), (0, code)):
        registry = Registry(_end_of(zone, last, seconds), time_zone=zone, **{field: last})
        course = registry.course("CS101")
        if action != "enroll":
            registry.put(registry.s1, course, "enrolled")
        assert said(registry.one(action, course)) == wanted, seconds


def _end_of(zone: str, last: date, seconds: int) -> datetime:
    """Give the moment that many seconds after the last day has ended."""
    end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=ZoneInfo(zone))
    return datetime.fromtimestamp(end.timestamp() + 1 + seconds, UTC)


@pytest.mark.parametrize(("zone", "last"), MIDNIGHTS)
def test_a_first_day_begins_where_the_one_before_it_ends(zone: str, last: date) -> None:
    first = date.fromordinal(last.toordinal() + 1)
    for seconds, wanted in ((-1, "window-closed"), (0, "enrolled")):
        registry = Registry(_end_of(zone, last, seconds), time_zone=zone, enroll_from=first)
        assert registry.enroll(registry.course("CS101")) == wanted, seconds


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        # 01:30 comes twice in New York on 1 November; the day goes on after both
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "enrolled"),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "enrolled"),
        (datetime(2026, 11, 2, 4, 59, 59, tzinfo=UTC), "enrolled"),
        (datetime(2026, 11, 2, 5, 0, 0, tzinfo=UTC), "window-closed"),
        # at midnight by the summer clock it was not over yet
        (datetime(2026, 11, 2, 4, 0, 0, tzinfo=UTC), "enrolled"),
        (datetime(2026, 11, 1, 3, 59, 59, tzinfo=UTC), "window-closed"),  # 31 October there
        (datetime(2026, 11, 1, 4, 0, 0, tzinfo=UTC), "enrolled"),
    ],
)
def test_a_day_of_25_hours_is_open_for_25_hours(now: datetime, wanted: str) -> None:
    one_day = date(2026, 11, 1)
    registry = Registry(
        now, time_zone="America/New_York", enroll_from=one_day, enroll_until=one_day
    )
    assert registry.enroll(registry.course("CS101")) == wanted


@pytest.mark.parametrize(
    ("hour", "wanted"),
    [(22, "window-closed"), (23, "enrolled"), (45, "enrolled"), (46, "window-closed")],
)
def test_a_day_of_23_hours_is_open_for_23_hours(hour: int, wanted: str) -> None:
    one_day = date(2026, 3, 29)
    now = datetime(2026, 3, 28 + hour // 24, hour % 24, tzinfo=UTC)
    registry = Registry(now, time_zone="Europe/Berlin", enroll_from=one_day, enroll_until=one_day)
    assert registry.enroll(registry.course("CS101")) == wanted


def test_one_moment_is_in_time_for_one_term_and_late_for_another() -> None:
    registry = Registry(datetime(2026, 10, 5, 23, tzinfo=UTC), time_zone="UTC", enroll_until=TODAY)
    registry.term("EAST", time_zone="Pacific/Kiritimati", enroll_until=TODAY)
    here, there = registry.course("CS101"), registry.course("CS101", term="EAST")
    assert (registry.enroll(here), registry.enroll(there)) == ("enrolled", "window-closed")


@pytest.mark.parametrize(
    ("zone", "wanted"), [("Pacific/Kiritimati", date(2026, 10, 6)), ("Etc/GMT+12", TODAY)]
)
def test_an_undated_change_gets_the_date_of_the_terms_zone(zone: str, wanted: date) -> None:
    registry = Registry(datetime(2026, 10, 5, 23, tzinfo=UTC), time_zone=zone)
    registry.enroll(registry.course("CS101"))
    assert registry.events[-1].effective_on == wanted


@pytest.mark.parametrize(
    ("zone", "wanted"), [("Pacific/Kiritimati", "enrolled"), ("America/New_York", "bad-value")]
)
def test_tomorrow_is_a_bad_date_only_where_it_has_not_begun(zone: str, wanted: str) -> None:
    registry = Registry(datetime(2026, 10, 5, 23, tzinfo=UTC), time_zone=zone)
    course = registry.course("CS101")
    assert registry.enroll(course, effective_on=date(2026, 10, 6)) == wanted


@pytest.mark.parametrize(
    ("field", "fields"),
    [("hold", {"from_on": TODAY, "until_on": TODAY}), ("grant", {"until_on": TODAY})],
)
def test_holds_and_overrides_end_with_the_day_of_the_terms_zone(
    field: str, fields: dict[str, Any]
) -> None:
    for seconds, wanted in ((-1, True), (0, False)):
        zone = "Asia/Kathmandu"
        registry = Registry(_end_of(zone, TODAY, seconds), time_zone=zone)
        course = registry.course("CS101", status="closed" if field == "grant" else "open")
        if field == "hold":
            registry.hold(registry.s1, **fields)
        else:
            registry.grant(registry.s1, course, "course-closed", **fields)
        is_blocked = registry.enroll(course) != "enrolled"
        assert is_blocked == (wanted if field == "hold" else not wanted)

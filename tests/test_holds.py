"""Holds: placing, lifting, what they block and whom lifting lets in; hold place, lift, list."""

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from studentcli import errors, services
from studentcli.requests import Change, CourseWord, Policy, Request
from studentcli.services.checks import check_database
from studentcli.services.history import list_events
from studentcli.services.holds import lift_holds, list_holds, place_hold
from tests.conftest import Run
from tests.desk import rows
from tests.threads import one_inside_the_other
from tests.world import TODAY, World

DAY = timedelta(days=1)


@pytest.fixture
def queued(world: World) -> World:
    """S1 has the only seat of A; S2 and S3 wait."""
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1, waitlist=5)
    world.course("B")
    for student in ("S1", "S2", "S3"):
        world.one("enroll", student, "A")
    return world


def codes(world: World, action: str, student: str, course: str, **more: Any) -> list[str]:
    return [r.code for r in world.one(action, student, course, **more).refusals]


def holds(world: World, **wanted: Any) -> list[tuple[Any, ...]]:
    found = world.database.read(partial(list_holds, policy=Policy(world.now), **wanted))
    return [(row["hold"], row["student"], row["state"]) for row in found]


# ── what a hold blocks ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("blocks", "drop"), [("add", []), ("add-drop", ["hold"])], ids=["add", "add-drop"]
)
def test_a_hold_blocks_adding_and_only_when_it_says_so_dropping(
    queued: World, blocks: str, drop: list[str]
) -> None:
    queued.hold("S1", blocks=blocks)
    assert codes(queued, "enroll", "S1", "B") == ["hold"]
    assert codes(queued, "drop", "S1", "A") == drop
    assert codes(queued, "enroll", "S2", "B") == []


@pytest.mark.parametrize(
    ("first", "last", "blocks"),
    [
        (TODAY, None, True),
        (TODAY, TODAY, True),
        (TODAY - 9 * DAY, TODAY, True),
        (TODAY - 9 * DAY, TODAY - DAY, False),
        (TODAY + DAY, None, False),
    ],
)
def test_a_hold_blocks_from_its_first_to_its_last_day(
    queued: World, first: date, last: date | None, blocks: bool
) -> None:
    queued.hold("S1", from_on=first, until_on=last)
    assert codes(queued, "enroll", "S1", "B") == (["hold"] if blocks else [])


def test_a_hold_whose_last_day_has_passed_blocks_nothing_and_needs_no_lifting(
    queued: World,
) -> None:
    queued.hold("S2", until_on=TODAY)
    queued.now += DAY
    queued.one("drop", "S1", "A")
    assert queued.statuses()["S2", "ALL/A-1"] == "enrolled"
    assert holds(queued) == []
    assert holds(queued, everything=True) == [(1, "S2", "over")]


def test_a_hold_placed_in_the_evening_blocks_at_once_in_every_zone(queued: World) -> None:
    queued.now = datetime(2026, 10, 6, 1, 0, tzinfo=UTC)  # still the 5th in New York
    queued.term("NY", time_zone="America/New_York")
    queued.course("C", term="NY")
    placed = queued.hold("S1")
    assert placed.rows[0]["from_on"] == date(2026, 10, 5)
    assert codes(queued, "enroll", "S1", "NY/C") == ["hold"]
    assert codes(queued, "enroll", "S1", "ALL/B") == ["hold"]


def test_whoever_waits_keeps_the_place_and_is_passed_over(queued: World) -> None:
    queued.hold("S2")
    promoted = queued.submit("drop", "S1", "A").promotions
    assert [promotion.student for promotion in promoted] == ["S3"]
    passed = [event for event in queued.events()["ALL/A-1"] if event[1] == "pass-over"]
    assert [(event[0], event[6]) for event in passed] == [("S2", "hold")]


def test_placing_a_hold_takes_nobodys_seat_and_runs_no_queue(queued: World) -> None:
    before = rows(queued, "student_courses", "enrollment_events")
    placed = queued.hold("S1")
    assert placed.promotions == []
    assert rows(queued, "student_courses", "enrollment_events") == before


# ── placing and lifting ──────────────────────────────────────────────────────────────────


def test_lifting_gives_a_free_seat_to_whoever_was_passed_over(queued: World) -> None:
    hold_id = queued.hold("S2").rows[0]["hold"]
    queued.hold("S3")
    queued.one("drop", "S1", "A")
    lifted = queued.lift(hold_id)
    assert [promotion.student for promotion in lifted.promotions] == ["S2"]
    assert queued.statuses()["S2", "ALL/A-1"] == "enrolled"
    assert queued.statuses()["S3", "ALL/A-1"] == "waitlisted"


def test_a_student_with_two_holds_waits_until_both_are_lifted(queued: World) -> None:
    queued.hold("S2")
    queued.hold("S2", kind="bursar", reason="fees")
    queued.hold("S3")
    queued.one("drop", "S1", "A")
    assert queued.lift(1).promotions == []
    assert [promotion.student for promotion in queued.lift(2).promotions] == ["S2"]


def test_lifting_several_is_one_operation_and_keeps_the_order_of_the_queue(
    queued: World,
) -> None:
    queued.hold("S3")
    queued.hold("S2")
    queued.one("drop", "S1", "A")
    before = queued.count("operations")
    lifted = queued.lift(1, 2)
    assert [row["result"] for row in lifted.rows] == ["lifted", "lifted"]
    assert [promotion.student for promotion in lifted.promotions] == ["S2"]
    assert queued.count("operations") == before + 1
    assert lifted.operation_id == before + 1


def test_placing_and_lifting_again_changes_nothing(queued: World) -> None:
    assert queued.hold("S1").rows[0]["result"] == "placed"
    queued.now += DAY
    assert queued.hold("S1").rows[0]["result"] == "unchanged"
    assert queued.hold("S1", from_on=TODAY).rows[0]["result"] == "unchanged"
    assert queued.hold("S1", reason="three books").rows[0]["hold"] == 2
    assert queued.hold("S1", from_on=TODAY + DAY).rows[0]["hold"] == 3
    assert [row["hold"] for row in queued.lift(1, 1, 3).rows] == [1, 3]
    changed = rows(queued, "holds", "catalog_events")
    again = queued.lift(1)
    assert (again.rows[0]["result"], again.rows[0]["state"]) == ("unchanged", "lifted")
    assert rows(queued, "holds", "catalog_events") == changed
    assert queued.hold("S1").rows[0]["result"] == "placed"


def test_one_unknown_hold_among_several_lifts_none(queued: World) -> None:
    queued.hold("S1")
    before = rows(queued)
    with pytest.raises(errors.UnknownHold):
        queued.lift(1, 99)
    assert rows(queued) == before


def test_a_hold_that_would_be_over_before_it_begins_is_refused(queued: World) -> None:
    with pytest.raises(errors.BadValue, match="over before it begins on 2026-10-05"):
        queued.hold("S1", until_on=TODAY - DAY)
    assert queued.count("holds") == 0


def test_a_forecast_says_what_lifting_would_do_and_writes_nothing(queued: World) -> None:
    queued.hold("S2")
    queued.hold("S3")
    queued.one("drop", "S1", "A")
    before = rows(queued, "holds", "operations", "catalog_events", "student_courses")
    assert queued.hold("S1", dry_run=True).rows[0]["hold"] is None
    forecast = queued.lift(2, 1, dry_run=True)
    after = rows(queued, "holds", "operations", "catalog_events", "student_courses")
    assert after == before
    done = queued.lift(2, 1)
    assert forecast.promotions == done.promotions
    said = ("hold", "result", "state")
    assert [[row[n] for n in said] for row in forecast.rows] == [
        [row[n] for n in said] for row in done.rows
    ]


def test_history_shows_who_placed_and_lifted_a_hold(queued: World) -> None:
    queued.hold("S1", until_on=date(2026, 12, 24))
    queued.lift(1)
    queued.hold("S2")
    events = queued.database.read(
        partial(list_events, policy=Policy(queued.now), student="S1", limit=2)
    )
    said = (
        "kind: library, blocks: add, reason: two books, from_on: 2026-10-05, until_on: 2026-12-24"
    )
    assert [(e["student"], e["action"], e["changes"], e["actor"]) for e in events] == [
        ("S1", "placed", said, "tester"),
        ("S1", "lifted", said, "tester"),
    ]
    of_course = queued.database.read(
        partial(list_events, policy=Policy(queued.now), course="A", limit=50)
    )
    assert {event["action"] for event in of_course} == {"created", "enroll"}


def test_listing_shows_what_blocks_or_will_and_all_on_demand(queued: World) -> None:
    queued.hold("S2")
    queued.hold("S1", from_on=TODAY + DAY)
    queued.hold("S1", from_on=TODAY - 2 * DAY, until_on=TODAY - DAY)
    queued.hold("S3")
    queued.lift(4)
    assert holds(queued) == [(2, "S1", "upcoming"), (1, "S2", "active")]
    assert holds(queued, everything=True) == [
        (2, "S1", "upcoming"), (3, "S1", "over"), (1, "S2", "active"), (4, "S3", "lifted"),
    ]  # fmt: skip
    assert holds(queued, student="S2") == [(1, "S2", "active")]
    with pytest.raises(errors.UnknownStudent):
        holds(queued, student="S9")


# ── at the same time ─────────────────────────────────────────────────────────────────────


def enrolling(world: World, student: str, course: str) -> Any:
    request = Request(student, [Change("enroll", CourseWord(course))])
    act = world.act("enroll")
    return lambda session: services.submit(session, request, act).outcomes[0]


def placing(world: World, student: str) -> Any:
    act = world.act("hold-place")
    return lambda session: place_hold(
        session, student, act, kind="library", blocks="add", reason="two books"
    )


def test_an_enroll_that_begins_while_a_hold_is_placed_is_refused(queued: World) -> None:
    _, outcome = one_inside_the_other(queued, placing(queued, "S1"), enrolling(queued, "S1", "B"))
    assert [refusal.code for refusal in outcome.refusals] == ["hold"]


def test_a_hold_waits_for_the_enroll_that_began_before_it(queued: World) -> None:
    outcome, placed = one_inside_the_other(
        queued, enrolling(queued, "S1", "B"), placing(queued, "S1")
    )
    assert outcome.result == "enrolled"
    assert placed.rows[0]["result"] == "placed"
    events = queued.database.read(
        partial(list_events, policy=Policy(queued.now), student="S1", limit=2)
    )
    assert [event["action"] for event in events] == ["enroll", "placed"]


def test_two_at_once_place_one_hold_and_lift_it_once(queued: World) -> None:
    both = one_inside_the_other(queued, placing(queued, "S1"), placing(queued, "S1"))
    assert [placed.rows[0]["result"] for placed in both] == ["placed", "unchanged"]

    def lifting(session: Session) -> Any:
        return lift_holds(session, [1], queued.act("hold-lift"))

    both = one_inside_the_other(queued, lifting, lifting)
    assert [lifted.rows[0]["result"] for lifted in both] == ["lifted", "unchanged"]


def test_a_seat_that_becomes_free_while_a_hold_is_lifted_goes_to_the_first(
    queued: World,
) -> None:
    queued.hold("S2")
    act = queued.act("hold-lift")
    drop = Request("S1", [Change("drop", CourseWord("A"))])
    one_inside_the_other(
        queued,
        lambda session: lift_holds(session, [1], act),
        lambda session: services.submit(session, drop, queued.act("drop")),
    )
    assert queued.statuses()["S2", "ALL/A-1"] == "enrolled"
    with queued.database.session(writes=False) as session:
        assert check_database(session) == []


# ── commands ─────────────────────────────────────────────────────────────────────────────


def test_commands_say_what_was_done_in_a_sentence_and_as_data(queued: World, command: Run) -> None:
    run = partial(command, database=queued)
    placed = run("hold", "place", "S2", "--reason", "fees", "--format", "json")
    (row,) = json.loads(placed.stdout)
    assert {name: row[name] for name in ("result", "hold", "student", "kind", "blocks")} == {
        "result": "placed", "hold": 1, "student": "S2", "kind": "registrar", "blocks": "add",
    }  # fmt: skip
    assert placed.stderr.startswith("hold 1 (registrar) on S2 is placed from ")
    assert run("drop", "S1", "A").returncode == 0
    run("drop", "S3", "A")
    run("hold", "place", "S3", "--reason", "fees")
    refused = run("enroll", "S2", "B")
    assert refused.returncode == errors.ExitStatus.REFUSED
    assert "hint: studentcli hold lift 1 lifts it" in refused.stderr
    forecast = run("hold", "lift", "1", "-n", "--format", "table")
    assert (forecast.returncode, forecast.stdout) == (0, "")
    assert forecast.stderr.splitlines() == [
        "forecast, nothing was changed: hold 1 (registrar) on S2 would be lifted",
        "S2 would move up from the waitlist into ALL/A-1",
    ]
    lifted = run("hold", "lift", "1", "2", "--reason", "paid", "--format", "table")
    assert lifted.stderr.splitlines() == [
        "hold 1 (registrar) on S2 is lifted",
        "hold 2 (registrar) on S3 is lifted",
        "S2 moved up from the waitlist into ALL/A-1",
    ]
    again = run("hold", "lift", "1")
    assert (again.returncode, again.stderr) == (0, "hold 1 (registrar) on S2 is lifted already\n")
    assert run("hold", "lift", "1", "-q").stderr == ""
    assert run("hold", "list").stdout.count("\n") == 1
    assert [row["state"] for row in json.loads(run("hold", "list", "S2", "--all", "--format",
            "json").stdout)] == ["lifted"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["place", "S9", "--reason", "x"], 3, "there is no student S9"),
        (["place", "S1", "--reason", " "], 4, "the reason is empty"),
        (["place", "S1", "--reason", "x", "--blocks", "all"], 4, "none of add, add-drop"),
        (["place", "S1", "--reason", "x", "--until", "soon"], 4, "'soon' is no date"),
        (["place", "S1", "--reason", "x", "--until", "2020-01-01"], 4, "over before it begins"),
        (["place", "S1", "--reason", "x", "--kind", ""], 2, "is empty"),
        (["lift", "99"], 3, "there is no hold 99 [unknown-hold]"),
        (["lift", "1" * 5000], 2, "is no number of a hold"),
        (["lift", "S1"], 2, "is no number of a hold"),
    ],
)
def test_what_cannot_be_done_says_why_and_does_nothing(
    queued: World, command: Run, words: list[str], status: int, said: str
) -> None:
    before = rows(queued)
    done = command("hold", *words, database=queued)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert rows(queued) == before

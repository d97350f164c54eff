"""Overrides: granting, revoking, what they allow, and the ledger of whether they were used."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from studentcli import errors, services
from studentcli.requests import Change, CourseWord, Policy, Request
from studentcli.services.checks import check_database
from studentcli.services.history import list_events
from studentcli.services.overrides import grant_override, revoke_overrides
from studentcli.services.overrides_ledger import list_overrides
from studentcli.services.views import list_courses
from tests.conftest import Run
from tests.desk import rows
from tests.threads import one_inside_the_other
from tests.world import TODAY, World

DAY = timedelta(days=1)


@pytest.fixture
def queued(world: World) -> World:
    """S1 has the only seat of A; S2 and S3 wait; A and B meet at the same hour."""
    world.student("S1", "S2", "S3", "S4")
    world.course("A", capacity=1, waitlist=5, meetings="M 09:00-10:00")
    world.course("B", meetings="M 09:30-10:30")
    for student in ("S1", "S2", "S3"):
        world.one("enroll", student, "A")
    return world


def ledger(world: World, *names: str, **wanted: Any) -> list[tuple[Any, ...]]:
    found = world.database.read(partial(list_overrides, policy=Policy(world.now), **wanted))
    return [tuple(row.get(name) for name in names) for row in found]


def status(world: World, student: str, course: str = "A") -> str | None:
    return world.statuses().get((student, f"ALL/{course}-1"))


def promoted(done: Any) -> list[str]:
    return [promotion.student for promotion in done.promotions]


# ── what an override allows ──────────────────────────────────────────────────────────────


def test_an_override_of_a_full_course_seats_who_waits_beyond_the_capacity(
    queued: World,
) -> None:
    granted = queued.override("S3", "A", "course-full")
    assert promoted(granted) == ["S3"]
    assert [status(queued, number) for number in ("S1", "S2", "S3")] == [
        "enrolled", "waitlisted", "enrolled",
    ]  # fmt: skip
    courses = queued.database.read(list_courses)
    assert [(c["taken"], c["capacity"]) for c in courses if c["course"] == "A"] == [(2, 1)]
    assert promoted(queued.submit("drop", "S1", "A")) == []
    assert promoted(queued.submit("drop", "S3", "A")) == ["S2"]


def test_an_override_of_a_reserved_seat_seats_who_waits_for_it(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", capacity=1, waitlist=5, reserved="honors=1")
    world.one("enroll", "S1", "A")
    world.one("enroll", "S2", "A")
    assert status(world, "S2") == "waitlisted"
    assert promoted(world.override("S2", "A", "seat-reserved")) == ["S2"]
    assert status(world, "S1") == "waitlisted"


def test_an_override_of_what_kept_somebody_waiting_gives_the_free_seat(queued: World) -> None:
    queued.one("enroll", "S2", "B")
    queued.one("drop", "S3", "A")
    queued.one("drop", "S1", "A")
    assert status(queued, "S2") == "waitlisted"
    assert promoted(queued.override("S2", "A", "time-conflict")) == ["S2"]


def test_an_override_counts_for_the_next_change_until_its_last_day(queued: World) -> None:
    queued.hold("S4")
    queued.override("S4", "B", "hold", until_on=TODAY)
    queued.now += DAY
    assert queued.one("enroll", "S4", "B").is_refused
    queued.now -= DAY
    assert queued.one("enroll", "S4", "A").is_refused
    assert queued.one("enroll", "S4", "B").status == "enrolled"


def test_an_override_for_the_old_course_of_a_swap_moves_the_queue_of_the_new_one(
    world: World,
) -> None:
    world.student("S1", "S2")
    world.course("OLD", drop_until=TODAY)
    world.course("NEW", capacity=1, waitlist=5)
    world.one("enroll", "S1", "NEW")
    world.one("enroll", "S2", "OLD")
    swap = Change("enroll", CourseWord("NEW"), instead_of=CourseWord("OLD"))
    world.submit_request(Request("S2", [swap])).require()
    world.now += DAY
    assert promoted(world.submit("drop", "S1", "NEW")) == []
    assert promoted(world.override("S2", "OLD", "drop-deadline")) == ["S2"]
    assert status(world, "S2", "OLD") == "dropped"
    operation = world.count("operations")
    assert ledger(world, "course", "rule", "state", "used_by") == [
        ("ALL/OLD-1", "drop-deadline", "active", str(operation)),
    ]


def test_a_queue_with_an_override_does_not_stop_others_from_changing_their_courses(
    queued: World,
) -> None:
    """S3's override is held up by another rule; nobody else of the queue is loaded with S3."""
    queued.one("enroll", "S3", "B")
    queued.override("S3", "A", "course-full")
    assert status(queued, "S3") == "waitlisted"
    result, _ = queued.import_csv("action,student,course\nenroll,S3,A\nenroll,S4,A\ndrop,S3,B\n")
    assert dict(result.totals) == {"unchanged": 1, "waitlisted": 1, "dropped": 1, "promoted": 1}
    assert [status(queued, number) for number in ("S2", "S3", "S4")] == [
        "waitlisted", "enrolled", "waitlisted",
    ]  # fmt: skip


# ── granting and revoking ────────────────────────────────────────────────────────────────


def test_granting_the_same_again_is_unchanged_and_another_last_day_replaces_it(
    queued: World,
) -> None:
    queued.override("S4", "B", "hold")
    again = queued.override("S4", "B", "hold", reason="another")
    assert [(row["override"], row["result"]) for row in again.rows] == [(1, "unchanged")]
    queued.override("S4", "B", "time-conflict")
    other = queued.override("S4", "B", "hold", until_on=TODAY)
    assert (other.rows[0]["override"], other.replaced) == (3, (1,))
    assert ledger(queued, "override", "state") == [(1, "revoked"), (2, "active"), (3, "active")]
    queued.now += DAY
    assert queued.override("S4", "B", "hold").replaced == ()


def test_a_revoked_override_allows_nothing_and_takes_no_seat_away(queued: World) -> None:
    queued.hold("S4")
    queued.override("S4", "B", "hold")
    queued.override("S2", "A", "course-full")
    revoked = queued.revoke(1, 2, 1)
    assert [(row["override"], row["result"]) for row in revoked.rows] == [
        (1, "revoked"), (2, "revoked"),
    ]  # fmt: skip
    assert queued.one("enroll", "S4", "B").is_refused
    assert status(queued, "S2") == "enrolled"
    changed = rows(queued, "overrides", "catalog_events")
    assert [row["result"] for row in queued.revoke(1).rows] == ["unchanged"]
    assert rows(queued, "overrides", "catalog_events") == changed
    with pytest.raises(errors.UnknownOverride):
        queued.revoke(2, 9)


@pytest.mark.parametrize(
    ("rule", "more", "error", "said"),
    [
        ("gravity", {}, errors.BadValue, "cannot be overridden"),
        ("already-completed", {}, errors.BadValue, "cannot be overridden"),
        ("hold", {"until_on": TODAY - DAY}, errors.BadValue, "over already: today is 2026-10-05"),
    ],
)
def test_what_cannot_be_granted_says_why(
    queued: World, rule: str, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    before = rows(queued)
    with pytest.raises(error, match=said):
        queued.override("S1", "A", rule, **more)
    assert rows(queued) == before


def test_a_forecast_says_whom_a_grant_would_seat_and_writes_nothing(queued: World) -> None:
    queued.override("S3", "A", "course-full", until_on=TODAY + DAY, reason="before")
    queued.one("drop", "S3", "A")
    before = rows(queued, "overrides", "operations", "catalog_events", "student_courses")
    forecast = queued.override("S2", "A", "course-full", dry_run=True)
    assert queued.override("S3", "A", "course-full", dry_run=True).replaced == (1,)
    queued.revoke(1, dry_run=True)
    after = rows(queued, "overrides", "operations", "catalog_events", "student_courses")
    assert after == before
    done = queued.override("S2", "A", "course-full")
    assert promoted(forecast) == promoted(done) == ["S2"]
    assert forecast.rows[0]["state"] == done.rows[0]["state"] == "active"


def test_history_of_both_student_and_course_shows_the_override(queued: World) -> None:
    queued.override("S4", "A", "hold")
    queued.override("S4", "B", "hold")
    queued.revoke(1)
    said = "rule: hold, reason: dean agreed"
    asked: list[dict[str, Any]] = [{"student": "S4"}, {"course": "A"}]
    for wanted in (*asked, asked[0] | asked[1]):
        events = queued.database.read(
            partial(list_events, policy=Policy(queued.now), limit=50, **wanted)
        )
        found = [
            (event["action"], event["student"], event["course"], event["changes"])
            for event in events
            if event["action"] in {"granted", "revoked"} and event["course"] == "ALL/A-1"
        ]
        assert found == [
            ("granted", "S4", "ALL/A-1", said), ("revoked", "S4", "ALL/A-1", said),
        ]  # fmt: skip


# ── the ledger ───────────────────────────────────────────────────────────────────────────


def test_the_ledger_says_which_operations_used_an_override(queued: World) -> None:
    queued.hold("S4", blocks="add-drop")
    queued.override("S4", "B", "hold")
    queued.override("S4", "B", "time-conflict")
    first = queued.submit("enroll", "S4", "B").operation_id
    queued.now += DAY
    queued.submit("drop", "S4", "B").require()
    second = queued.count("operations")
    assert ledger(queued, "override", "rule", "used_by") == [
        (1, "hold", f"{first}, {second}"), (2, "time-conflict", None),
    ]  # fmt: skip


def test_an_override_that_is_over_is_not_taken_for_the_one_that_was_used(queued: World) -> None:
    queued.hold("S4")
    queued.override("S4", "B", "hold", until_on=TODAY)
    queued.now += DAY
    queued.override("S4", "B", "hold")
    operation = queued.submit("enroll", "S4", "B").operation_id
    assert ledger(queued, "override", "state", "used_by") == [
        (1, "over", None), (2, "active", str(operation)),
    ]  # fmt: skip


def test_the_ledger_has_what_was_allowed_in_one_step(queued: World) -> None:
    queued.hold("S4")
    queued.override("S4", "A", "hold")
    rules = frozenset({"course-full", "restricted"})
    done = queued.submit("enroll", "S4", "A", overrides=rules, reason="last term")
    operation = done.operation_id
    names = ("override", "student", "course", "rule", "reason", "state", "used_by", "granted_by")
    assert ledger(queued, *names) == [
        (1, "S4", "ALL/A-1", "hold", "dean agreed", "active", str(operation), "tester"),
        (None, "S4", "ALL/A-1", "course-full", "last term", "at once", str(operation), "tester"),
    ]


def test_the_ledger_of_a_student_a_course_or_a_term(queued: World) -> None:
    queued.term("T")
    queued.course("C", term="T")
    queued.override("S1", "A", "hold")
    queued.override("S2", "B", "hold")
    queued.override("S2", "T/C", "hold")
    queued.one("enroll", "S4", "ALL/A", overrides=frozenset({"course-full"}), reason="said so")
    assert ledger(queued, "override", student="S2") == [(2,), (3,)]
    assert ledger(queued, "override", course="ALL/A") == [(1,), (None,)]
    assert ledger(queued, "override", student="S2", course="ALL/A") == []
    assert ledger(queued, "override", term="T") == [(3,)]
    assert ledger(queued, "override", course="A", term="ALL") == [(1,), (None,)]
    with pytest.raises(errors.UnknownTerm):
        ledger(queued, term="X")


# ── at the same time ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("grant_first", [False, True])
def test_a_grant_and_a_drop_at_once_leave_no_seat_idle(queued: World, grant_first: bool) -> None:
    queued.one("enroll", "S2", "B")
    queued.one("drop", "S3", "A")
    request = Request("S1", [Change("drop", CourseWord("A"))])

    def grant(session: Session) -> Any:
        act = queued.act("override-grant")
        return grant_override(session, "S2", "A", act, rule="time-conflict", reason="agreed")

    def drop(session: Session) -> Any:
        return services.submit(session, request, queued.act("drop"))

    units = (grant, drop) if grant_first else (drop, grant)
    found = one_inside_the_other(queued, *units)
    assert [promoted(done) for done in found] == [[], ["S2"]]
    assert status(queued, "S2") == "enrolled"
    with queued.database.session(writes=False) as session:
        assert check_database(session) == []


def test_the_same_granted_twice_at_once_is_one_override_and_revoked_once(
    queued: World,
) -> None:
    def grant(session: Session) -> Any:
        act = queued.act("override-grant")
        return grant_override(session, "S4", "B", act, rule="hold", reason="agreed")

    def revoke(session: Session) -> Any:
        return revoke_overrides(session, [1], queued.act("override-revoke"))

    for unit, result in ((grant, "granted"), (revoke, "revoked")):
        both = one_inside_the_other(queued, unit, unit)
        assert [done.rows[0]["result"] for done in both] == [result, "unchanged"]


# ── commands ─────────────────────────────────────────────────────────────────────────────


def test_commands_say_what_was_done_in_a_sentence_and_as_data(queued: World, command: Run) -> None:
    run = partial(command, database=queued)
    grant = ("override", "grant", "S2", "A", "--rule", "course-full", "--reason", "dean")
    what = "override of course-full for S2 in ALL/A-1"
    forecast = run(*grant, "-n", "--format", "table")
    assert forecast.stderr.splitlines() == [
        f"forecast, nothing was changed: an {what} would be granted",
        "S2 would move up from the waitlist into ALL/A-1",
    ]
    done = run(*grant, "--format", "json")
    assert done.stderr.splitlines() == [
        "override 1 of course-full for S2 in ALL/A-1 is granted",
        "S2 moved up from the waitlist into ALL/A-1",
    ]
    (row,) = json.loads(done.stdout)
    operation = str(queued.count("operations"))
    assert (row["result"], row["override"], row["used_by"]) == ("granted", 1, operation)
    assert "2/1" in run("courses", "--format", "table").stdout
    assert "2/1 seats taken" in run("roster", "A", "--format", "table").stdout
    assert run(*grant).stderr == "override 1 of course-full for S2 in ALL/A-1 is granted already\n"
    other = run(*grant, "--until", "2099-01-01", "--format", "table")
    assert other.stderr.splitlines() == [
        "override 2 of course-full for S2 in ALL/A-1 is granted until 2099-01-01",
        "it replaces override 1",
    ]
    revoked = run("override", "revoke", "1", "2", "--format", "table")
    assert (revoked.returncode, revoked.stderr.splitlines()) == (0, [
        "override 1 of course-full for S2 in ALL/A-1 is revoked already",
        "override 2 of course-full for S2 in ALL/A-1 is revoked",
    ])  # fmt: skip


def test_the_ledger_at_the_desk_is_a_table_and_as_json_whole(queued: World, command: Run) -> None:
    queued.override("S2", "A", "course-full")
    shown = command("override", "list", "S2", "--format", "table", database=queued).stdout
    assert "course-full" in shown
    assert shown.endswith("1 override\n")
    data = command("override", "list", "--course", "A", "--format", "json", database=queued).stdout
    assert [(row["student"], row["state"], row["granted_by"]) for row in json.loads(data)] == [
        ("S2", "active", "tester")
    ]


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (["grant", "S9", "A", "--rule", "hold", "--reason", "x"], 3, "there is no student S9"),
        (["grant", "S1", "Z", "--rule", "hold", "--reason", "x"], 3, "there is no course Z"),
        (["grant", "S1", "A", "--rule", "luck", "--reason", "x"], 4, "hint: these can: "),
        (["grant", "S1", "A", "--rule", "hold", "--reason", ""], 4, "the reason is empty"),
        (["grant", "S1", "A", "--rule", "hold"], 2, "--reason"),
        (["revoke", "7"], 3, "there is no override 7 [unknown-override]"),
        (["revoke", "A"], 2, "is no number of an override"),
    ],
)
def test_what_cannot_be_done_says_why_and_does_nothing(
    queued: World, command: Run, words: list[str], exit_status: int, said: str
) -> None:
    before = rows(queued)
    done = command("override", *words, database=queued)
    assert (done.returncode, done.stdout) == (exit_status, "")
    assert said in done.stderr
    assert rows(queued) == before

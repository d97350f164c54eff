"""`waitlist show|explain|simulate|run`: what a queue does, said before, after and in between."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from studentcli import errors
from studentcli.records import COURSE
from studentcli.requests import Change, CourseWord, Policy, Request
from studentcli.services.checks import check_database
from studentcli.services.stories import story_of_place
from studentcli.services.waitlists import (
    Capacity,
    Offered,
    Simulation,
    run_waitlists,
    show_waitlist,
    simulate_waitlist,
)
from tests.conftest import Run
from tests.desk import rows
from tests.test_explain import allow, hold, read_rows
from tests.test_render import OWN, at_terminal
from tests.world import TODAY, World

DAY = timedelta(days=1)
BLOCKED = f"S4 has a hold (bursar since {TODAY - DAY}: unpaid fees)"


@pytest.fixture
def queue(world: World) -> World:
    """S1 and S2 have the two seats of A; S3 to S6 wait, S4 with a hold."""
    world.student("S1", "S2", "S3", "S4", "S5", "S6", given_name="Ada", family_name="King")
    world.course("A", capacity=2, waitlist=9, credits=3)
    for number in ("S1", "S2", "S3", "S4", "S5", "S6"):
        world.one("enroll", number, "A")
    hold(world, "S4")
    return world


@pytest.fixture
def idle(world: World) -> World:
    """S2 waits alone in front of a free seat of A, held until the end of today."""
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1, waitlist=9)
    world.one("enroll", "S1", "A")
    world.one("enroll", "S2", "A")
    hold(world, "S2", until_on=TODAY)
    world.one("drop", "S1", "A")
    return world


def shown(world: World, word: str = "A") -> list[dict[str, Any]]:
    policy = Policy(world.now)
    return world.database.read(lambda session: show_waitlist(session, word, policy))[1]


def simulated(world: World, seats: int | None, *, is_more: bool = False) -> Simulation:
    policy, capacity = Policy(world.now), Capacity(seats, is_more)
    return world.database.read(lambda session: simulate_waitlist(session, "A", capacity, policy))


def offered(world: World, *words: str, dry_run: bool = False, term: str | None = None) -> Offered:
    act = world.act("waitlist-run")
    return world.database.write(
        lambda session: run_waitlists(session, words or None, act, term=term), dry_run=dry_run
    )


def story(world: World, number: str, word: str = "A") -> list[dict[str, Any]]:
    policy = Policy(world.now)
    return world.database.read(lambda session: story_of_place(session, number, word, policy)).rows


def told(world: World, number: str) -> list[tuple[Any, ...]]:
    return [(row["event"], row.get("place"), row["message"]) for row in story(world, number)]


# ── show ─────────────────────────────────────────────────────────────────────────────────


def test_a_queue_is_shown_by_place_with_everything_that_blocks_each(queue: World) -> None:
    found = shown(queue)
    full = "ALL/A-1 is full (2/2 seats taken)"
    assert [(r["place"], r["student"], r["may_sit"], r["rules"], r["message"]) for r in found] == [
        (1, "S3", "no", "course-full", full),
        (2, "S4", "no", "hold course-full", f"{BLOCKED}; {full}"),
        (3, "S5", "no", "course-full", full),
        (4, "S6", "no", "course-full", full),
    ]
    assert {row["since"] for row in found} == {TODAY}


def test_who_may_sit_when_time_has_passed_is_said_and_gets_the_seat(idle: World) -> None:
    assert [(row["may_sit"], row["rules"]) for row in shown(idle)] == [("no", "hold")]
    idle.now += DAY
    idle.one("enroll", "S3", "A")  # runs the queue, in which S2 is before
    assert idle.statuses()["S2", "ALL/A-1"] == "enrolled"


def test_a_free_seat_is_shown_to_the_first_who_may_have_it_alone(queue: World) -> None:
    queue.term("ALL", enroll_until=TODAY - DAY)
    queue.one("drop", "S1", "A", reason="late")
    assert [row["rules"] for row in shown(queue)][:2] == ["window-closed", "hold window-closed"]
    queue.term("ALL", enroll_until=TODAY)
    assert [row["student"] for row in shown(queue)] == ["S4", "S5", "S6"]


def test_an_override_beyond_the_capacity_lets_sit(queue: World) -> None:
    allow(queue, "S5", "A", "course-full")
    assert [row["may_sit"] for row in shown(queue)] == ["no", "no", "yes", "no"]
    done = offered(queue, "A")
    assert [promotion.student for promotion in done.promotions] == ["S5"]


def test_a_pending_swap_is_shown_with_the_course_that_it_gives_up(queue: World) -> None:
    queue.student("S7")
    queue.course("B")
    queue.one("enroll", "S7", "B")
    swap = Change("enroll", CourseWord("A"), instead_of=CourseWord("B"))
    queue.submit_request(Request("S7", [swap]))
    assert shown(queue)[-1]["instead_of"] == "ALL/B-1"
    assert shown(queue)[0]["instead_of"] is None


# ── simulate ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seats", "is_more", "wanted"),
    [
        (2, False, ["waiting", "waiting", "waiting", "waiting"]),
        (1, True, ["promoted", "waiting", "waiting", "waiting"]),
        (2, True, ["promoted", "passed-over", "promoted", "waiting"]),
        (5, False, ["promoted", "passed-over", "promoted", "promoted"]),
        (None, False, ["promoted", "passed-over", "promoted", "promoted"]),
    ],
)
def test_a_simulation_says_what_the_capacity_then_does_and_changes_nothing(
    queue: World, seats: int | None, is_more: bool, wanted: list[str]
) -> None:
    before = rows(queue)
    found = simulated(queue, seats, is_more=is_more)
    assert rows(queue) == before
    assert [row["result"] for row in found.rows] == wanted
    capacity = seats if not is_more else 2 + (seats or 0)
    done = queue.save(COURSE, course="A", term="ALL", capacity="-" if seats is None else capacity)
    promoted = [row["student"] for row in found.rows if row["result"] == "promoted"]
    assert [promotion.student for promotion in done.promotions] == promoted


def test_a_simulation_says_by_which_rule_somebody_is_passed_over(queue: World) -> None:
    rows = {row["student"]: row for row in simulated(queue, 3, is_more=False).rows}
    assert (rows["S5"]["rule"], rows["S5"]["message"]) == (
        "course-full", "ALL/A-1 is full (3/3 seats taken)",
    )  # fmt: skip
    assert (rows["S4"]["result"], rows["S4"]["rule"]) == ("waiting", "hold")
    rows = {row["student"]: row for row in simulated(queue, 5).rows}
    assert (rows["S4"]["rule"], rows["S4"]["message"]) == ("hold", BLOCKED)
    assert rows["S3"]["rule"] is rows["S3"]["message"] is None


def test_a_simulation_follows_the_swaps_into_other_courses(queue: World) -> None:
    queue.course("B", capacity=1, waitlist=1)
    queue.student("S7", "S8")
    queue.one("drop", "S4", "A")
    queue.one("enroll", "S7", "B")
    swap = Change("enroll", CourseWord("A"), instead_of=CourseWord("B"))
    queue.submit_request(Request("S7", [swap])).require()
    queue.one("enroll", "S8", "B")
    found = simulated(queue, 4, is_more=True)
    assert found.course["capacity"] == 6
    assert [row["result"] for row in found.rows] == ["promoted"] * 4
    assert [(p.student, p.course) for p in found.elsewhere] == [("S8", "ALL/B-1")]


def test_more_seats_for_a_course_without_limit_are_refused(queue: World) -> None:
    queue.course("A", capacity="-")
    with pytest.raises(errors.BadValue, match="has no limit"):
        simulated(queue, 5, is_more=True)


# ── run ──────────────────────────────────────────────────────────────────────────────────


def test_a_run_gives_the_seats_that_time_has_set_free(idle: World) -> None:
    assert offered(idle, "A").promotions == []
    idle.now += DAY
    before = idle.count("operations")
    foreseen = offered(idle, "A", dry_run=True)
    assert (idle.count("operations"), idle.statuses()["S2", "ALL/A-1"]) == (before, "waitlisted")
    done = offered(idle, "A")
    assert [(p.student, p.course) for p in done.promotions] == [("S2", "ALL/A-1")]
    assert replace(done, operation_id=None) == foreseen
    assert idle.count("operations") == before + 1
    assert idle.statuses()["S2", "ALL/A-1"] == "enrolled"
    with idle.database.session(writes=False) as session:
        assert check_database(session) == []
    assert offered(idle, "A").promotions == []


def test_whom_a_run_passes_over_is_told_with_the_rule_and_recorded(idle: World) -> None:
    before = len(idle.events()["ALL/A-1"])
    done = offered(idle, "A")
    assert done.passed_over == [
        {
            "student": "S2", "course": "ALL/A-1", "result": "passed-over", "rule": "hold",
            "message": f"S2 has a hold (bursar since {TODAY - DAY}: unpaid fees)",
        }
    ]  # fmt: skip
    assert [event[1] for event in idle.events()["ALL/A-1"][before:]] == ["pass-over"]


def test_a_run_of_all_takes_every_course_of_the_term_with_a_queue(idle: World) -> None:
    idle.term("T2")
    idle.course("B", capacity=0, waitlist=1, term="T2")
    idle.course("C")
    idle.one("enroll", "S3", "T2/B")
    idle.now += DAY
    of_term = offered(idle, term="T2")
    assert (of_term.courses, of_term.promotions, of_term.passed_over) == (1, [], [])
    done = offered(idle)
    assert (done.courses, [p.student for p in done.promotions]) == (2, ["S2"])
    with pytest.raises(errors.UnknownTerm):
        offered(idle, term="T9")


def test_a_run_of_an_unknown_course_runs_none(idle: World) -> None:
    idle.now += DAY
    with pytest.raises(errors.UnknownCourse):
        offered(idle, "A", "Z")
    assert idle.statuses()["S2", "ALL/A-1"] == "waitlisted"


# ── explain ──────────────────────────────────────────────────────────────────────────────


def test_the_story_of_a_place_goes_from_joining_to_what_blocks_it_now(queue: World) -> None:
    queue.one("drop", "S3", "A")
    queue.one("drop", "S1", "A")
    assert told(queue, "S4") == [
        ("joined", 2, "joined the waitlist"),
        ("moved-up", 1, "moved up: S3 left"),
        ("passed-over", 1, "passed over: hold"),
        ("now", 1, f"waits: {BLOCKED}; ALL/A-1 is full (2/2 seats taken)"),
    ]
    assert told(queue, "S6") == [
        ("joined", 4, "joined the waitlist"),
        ("moved-up", 3, "moved up: S3 left"),
        ("moved-up", 2, "moved up: S5 got a seat"),
        ("now", 2, "waits: ALL/A-1 is full (2/2 seats taken)"),
    ]
    passed = story(queue, "S4")[2]
    assert (passed["rule"], passed["on"], passed["actor"]) == ("hold", TODAY, "tester")
    assert passed["operation"] == queue.count("operations")


def test_a_story_ends_with_the_seat_or_with_leaving_and_may_begin_again(queue: World) -> None:
    queue.one("drop", "S3", "A")
    queue.one("enroll", "S3", "A")
    queue.course("A", capacity="-")
    assert told(queue, "S3") == [
        ("joined", 1, "joined the waitlist"),
        ("left", 1, "left the waitlist (dropped)"),
        ("joined", 4, "joined the waitlist"),
        ("moved-up", 2, "moved up: S5 got a seat, S6 got a seat"),
        ("promoted", 2, "got a seat"),
        ("now", None, "enrolled"),
    ]


def test_the_story_of_who_may_sit_says_so(idle: World) -> None:
    idle.now += DAY
    assert told(idle, "S2")[-1] == ("now", 1, "may sit down when the queue is run")


def test_who_never_waited_has_no_story_and_is_told_where_to_look(
    queue: World, command: Run
) -> None:
    queue.student("S9")
    for number, standing in (("S1", "enrolled"), ("S9", "not in the course")):
        done = command("waitlist", "explain", number, "A", database=queue)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.splitlines() == [
            f"error: {number} was never on the waitlist of ALL/A-1 ({standing}) [not-found]",
            f"hint: studentcli explain {number} ALL/A-1 says what adding it would meet",
        ]
    with pytest.raises(errors.UnknownStudent):
        story(queue, "S99")


# ── the commands ─────────────────────────────────────────────────────────────────────────

COLUMNS = {
    ("show", "A"): ["place", "student", "given_name", "family_name", "since", "instead_of",
                    "may_sit", "rules", "message"],
    ("explain", "S4", "A"): ["on", "operation", "actor", "event", "place", "rule", "message"],
    ("simulate", "A", "--capacity", "+2"): ["place", "student", "given_name", "family_name",
                                            "result", "rule", "message"],
    ("run", "A"): ["course", "student", "result", "rule", "message"],
}  # fmt: skip
WORDS = [*COLUMNS]


@pytest.fixture
def moving(queue: World) -> World:
    """Let a run both promote and pass over: an override beyond, and a free seat nobody may have."""
    allow(queue, "S6", "A", "course-full")
    return queue


@pytest.mark.parametrize("fmt", ["tsv", "csv", "json", "jsonl"])
@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_every_format_gives_the_same_rows(
    moving: World, command: Run, words: tuple[str, ...], fmt: str
) -> None:
    done = command("waitlist", *words, "--format", fmt, "-q", database=moving)
    assert (done.returncode, done.stderr) == (0, "")
    if words[0] == "run":
        assert done.stdout == ""
        assert moving.statuses()["S6", "ALL/A-1"] == "enrolled"
        return
    found = read_rows(done.stdout, fmt)
    assert found
    assert all(list(row) == COLUMNS[words] for row in found)


def test_a_run_prints_its_rows_and_one_line(moving: World, command: Run) -> None:
    ahead = command("waitlist", "run", "A", "-n", "--format", "json", database=moving)
    assert ahead.stderr == (
        "forecast, nothing was changed: 1 waitlist: 1 would move up, 0 passed over\n"
    )
    done = command("waitlist", "run", "A", "--format", "json", database=moving)
    assert done.stderr == "1 waitlist: 1 moved up, 0 passed over\n"
    (row,) = json.loads(done.stdout)
    assert list(row) == COLUMNS["run", "A"]
    assert (row["student"], row["result"]) == ("S6", "promoted")
    again = command("waitlist", "run", "--all", "--format", "table", database=moving)
    assert (again.returncode, again.stdout) == (0, "")


def test_a_run_says_in_sentences_who_moves_and_who_does_not(idle: World, command: Run) -> None:
    hold(idle, "S2", kind="library", from_on=TODAY)
    idle.course("B", capacity=0, waitlist=1)
    idle.one("enroll", "S3", "B")
    allow(idle, "S3", "B", "course-full")
    ahead = command("waitlist", "run", "--all", "-n", "--format", "table", database=idle)
    done = command("waitlist", "run", "--all", "--format", "table", database=idle)
    blocked = f"S2 has a hold (library since {TODAY}: unpaid fees)"
    assert sorted(ahead.stdout.splitlines()) == [
        f"= S2 would be passed over: {blocked}",
        "↑ S3 would move up from the waitlist into ALL/B-1",
    ]
    assert sorted(done.stdout.splitlines()) == [
        f"= S2 is passed over: {blocked}", "↑ S3 moved up from the waitlist into ALL/B-1",
    ]  # fmt: skip


def test_a_run_leaves_its_trail_in_the_history_and_the_audit_log(
    moving: World, command: Run, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    words = ("waitlist", "run", "A", "--reason", "nightly", "--log-file", str(log))
    assert command(*words, database=moving).returncode == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["course"]) for line in lines] == [
        ("enrollment_promoted", "ALL/A-1")
    ]
    shown = command("history", "--limit", "1", "--format", "json", database=moving)
    (operation,) = json.loads(shown.stdout)
    assert (operation["kind"], operation["reason"], operation["totals"]) == (
        "waitlist-run", "nightly", "1 promoted",
    )  # fmt: skip
    assert lines[0]["operation_id"] == operation["operation"]


@pytest.mark.parametrize("words", [("run",), ("run", "A", "--all")])
def test_a_run_wants_either_courses_or_all(queue: World, command: Run, words: Any) -> None:
    done = command("waitlist", *words, database=queue)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "hint: studentcli waitlist run --all"
    done = command("waitlist", *words, "--term", "2026FA", database=queue)
    assert done.stderr.splitlines()[-1] == "hint: studentcli waitlist run --all --term 2026FA"


@pytest.mark.parametrize("capacity", ["many", "+-1", "1.5", "", "9999999999", "+"])
def test_what_is_no_capacity_is_refused(queue: World, command: Run, capacity: str) -> None:
    done = command("waitlist", "simulate", "A", "--capacity", capacity, database=queue)
    assert (done.returncode, done.stdout) == (4, "")
    assert "[bad-value]" in done.stderr


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_a_course_that_is_not_there_is_not_found(
    queue: World, command: Run, words: tuple[str, ...]
) -> None:
    named = ["Z" if word == "A" else word for word in words]
    done = command("waitlist", *named, database=queue)
    assert (done.returncode, done.stdout) == (3, "")
    assert "[unknown-course]" in done.stderr


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", WORDS[:3], ids=lambda words: words[0])
def test_at_a_terminal_tables_fit_and_say_everything(
    queue: World, tmp_path: Path, words: tuple[str, ...], width: int
) -> None:
    queue.one("drop", "S1", "A")
    code, shown = at_terminal("waitlist", *words, database=queue.url, home=tmp_path, columns=width)
    shown = re.sub(OWN, "", shown)
    assert code == 0
    assert max(map(len, shown.splitlines())) <= width
    assert "S4" in shown
    assert "hold" in shown
    assert "forecast only: nothing was changed" in shown or words[0] != "simulate"

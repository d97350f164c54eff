"""db check as a doctor: what it finds, and what it leaves alone."""

import json
import random
import shlex
from datetime import date, timedelta
from itertools import combinations

import pytest

from studentcli import errors
from studentcli.meetings import overlap, parse
from tests.conftest import Run
from tests.doctor import TERM, WHY, busy_world, edit, find, grant, hold, told
from tests.world import TODAY, World

# ── over capacity ────────────────────────────────────────────────────────────────────────


def test_a_capacity_that_was_lowered_below_the_enrolled_is_told(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("CS101", capacity=3)
    for number in ("S1", "S2", "S3"):
        world.submit("enroll", number, "CS101").require()
    assert find(world) == []
    world.course("CS101", capacity=2)
    (found,) = find(world)
    assert (found.check, found.subject) == ("over-capacity", "ALL/CS101-1")
    assert (found.finding, found.severity) == ("3/2 seats taken", "attention")
    assert found.mend == "studentcli course edit ALL/CS101-1 --capacity 3"


def test_seats_beyond_the_capacity_by_an_override_are_not_told(world: World) -> None:
    world.student("S1", "S2")
    world.course("CS101", capacity=1)
    world.submit("enroll", "S1", "CS101").require()
    world.submit("enroll", "S2", "CS101", overrides=frozenset({"course-full"}), **WHY).require()
    assert find(world) == []
    world.course("CS101", capacity=0)
    assert told(world) == [
        ("over-capacity", "ALL/CS101-1",
         "2/0 seats taken, 1 of them by an override of course-full")
    ]  # fmt: skip


@pytest.mark.parametrize(("days", "count"), [(None, 0), (0, 0), (-1, 1)])
def test_a_seat_counts_as_allowed_as_long_as_its_override_does(
    days: int | None, count: int, world: World
) -> None:
    world.student("S1")
    world.course("CS101", capacity=1)
    world.submit("enroll", "S1", "CS101").require()
    world.course("CS101", capacity=0)
    grant(world, "S1", "CS101", "course-full", None if days is None else TODAY + timedelta(days))
    assert len(find(world)) == count
    edit(world, "UPDATE overrides SET revoked_by = 'dean', revoked_at = granted_at")
    assert len(find(world)) == 1


# ── idle seats ───────────────────────────────────────────────────────────────────────────


def waiting_behind_a_hold(world: World) -> None:
    """Let S2 wait in front of a free seat until a hold has ended; S3 waits too, but is inactive."""
    world.student("S1", "S2", "S3")
    world.course("CS101", capacity=1, waitlist=5)
    for number in ("S1", "S3", "S2"):
        world.submit("enroll", number, "CS101").require()
    hold(world, "S2", TODAY)
    world.student("S3", status="inactive")
    world.submit("drop", "S1", "CS101").require()
    assert world.statuses()["S2", "ALL/CS101-1"] == "waitlisted"


def test_a_seat_behind_which_an_eligible_student_waits_is_told_with_the_command(
    world: World,
) -> None:
    waiting_behind_a_hold(world)
    assert find(world) == []
    world.now += timedelta(days=1)
    (found,) = find(world)
    assert (found.check, found.subject) == ("idle-seat", "ALL/CS101-1")
    assert found.finding == "0/1 seats taken, and S2 could have one (2 in the queue)"
    assert found.severity == "attention"
    assert found.mend == "studentcli waitlist run ALL/CS101-1"


@pytest.mark.parametrize(
    "fields", [{"status": "closed"}, {"enroll_until": "2026-10-05"}, {"restricted": "honors"}]
)
def test_no_seat_is_idle_where_the_rules_let_nobody_in(
    fields: dict[str, str], world: World
) -> None:
    waiting_behind_a_hold(world)
    world.course("CS101", **fields)
    world.now += timedelta(days=1)
    assert find(world) == []


def test_a_seat_is_idle_when_it_is_reserved_no_longer(world: World) -> None:
    world.student("S1")
    world.course("CS101", capacity=1, waitlist=5, reserved=f"honors=1 until {TODAY}")
    world.submit("enroll", "S1", "CS101").require()
    assert find(world) == []
    world.now += timedelta(days=1)
    assert [one.check for one in find(world)] == ["idle-seat"]


def test_a_seat_is_idle_for_whom_an_override_of_the_full_course_was_granted(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("CS101", capacity=1, waitlist=5)
    for number in ("S1", "S2", "S3"):
        world.submit("enroll", number, "CS101").require()
    assert find(world) == []
    grant(world, "S3", "CS101", "course-full")
    assert told(world) == [
        ("idle-seat", "ALL/CS101-1", "1/1 seats taken, and S3 could have one (2 in the queue)")
    ]


# ── swaps that wait for one another ──────────────────────────────────────────────────────


def swap(world: World, number: str, new: str, old: str) -> None:
    assert world.one("enroll", number, new, instead_of=old).result == "waitlisted"


@pytest.mark.parametrize("count", [2, 3])
def test_swaps_that_wait_for_one_another_are_told_once_with_what_lets_them_go(
    count: int, world: World, command: Run
) -> None:
    codes = [f"C{n}" for n in range(count)]
    for n, code in enumerate(codes):
        world.student(f"S{n}")
        world.course(code, capacity=1, waitlist=5)
        world.submit("enroll", f"S{n}", code).require()
    for n, code in enumerate(codes[:-1]):
        swap(world, f"S{n}", codes[n + 1], code)
    assert find(world) == []  # the last one stays: everybody waits as everybody else does
    swap(world, f"S{count - 1}", codes[0], codes[-1])

    (found,) = find(world)
    assert (found.check, found.severity) == ("swap-circle", "attention")
    assert found.finding.count("waits for ALL/C") == count
    done = command(*shlex.split(found.mend)[1:], database=world)
    assert done.returncode == 0
    assert sorted(world.statuses().values()) == ["dropped"] * count + ["enrolled"] * count
    assert find(world) == []


def test_a_swap_that_something_else_blocks_is_no_circle(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", "B", capacity=1, waitlist=5)
    world.submit("enroll", "S1", "A").require()
    world.submit("enroll", "S2", "B").require()
    swap(world, "S1", "B", "A")
    swap(world, "S2", "A", "B")
    assert [one.check for one in find(world)] == ["swap-circle"]
    hold(world, "S2", TODAY)
    assert find(world) == []
    world.now += timedelta(days=1)
    assert [one.check for one in find(world)] == ["swap-circle"]
    assert find(world, "ALL") != []
    world.course("A", capacity=2)
    assert find(world) == []


def test_somebody_in_front_who_gives_nothing_up_makes_it_no_circle(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", "B", capacity=1, waitlist=5)
    world.submit("enroll", "S1", "A").require()
    world.submit("enroll", "S2", "B").require()
    world.submit("enroll", "S3", "A").require()
    swap(world, "S1", "B", "A")
    swap(world, "S2", "A", "B")
    assert find(world) == []


# ── sections, times, credit hours ────────────────────────────────────────────────────────


def test_schedules_that_overlap_since_a_meeting_was_moved_are_told_once(world: World) -> None:
    world.student("S1", "S2")
    world.course("CS101", meetings="MWF 10:00-10:50")
    world.course("MATH1", meetings="MWF 11:00-11:50")
    world.submit("enroll", "S1", "CS101", "MATH1").require()
    world.submit("enroll", "S2", "MATH1").require()
    assert find(world) == []
    world.course("CS101", meetings="MWF 10:30-11:20")
    (found,) = find(world)
    assert (found.check, found.subject) == ("time-conflict", "S1 in ALL/MATH1-1")
    assert found.finding == ("ALL/MATH1-1 MWF 11:00-11:50 overlaps ALL/CS101-1 (MWF 10:30-11:20)")
    assert found.mend == (
        "studentcli drop S1 ALL/MATH1-1; or"
        " studentcli override grant S1 ALL/MATH1-1 --rule time-conflict --reason TEXT"
    )


@pytest.mark.parametrize("first", ["CS101", "MATH1"])
def test_an_overlap_with_an_override_is_not_told_whichever_course_came_first(
    first: str, world: World
) -> None:
    world.student("S1")
    world.course("CS101", "MATH1", meetings="MWF 10:00-10:50")
    second = "MATH1" if first == "CS101" else "CS101"
    world.submit("enroll", "S1", first).require()
    world.submit("enroll", "S1", second, overrides=frozenset({"time-conflict"}), **WHY).require()
    assert find(world) == []
    edit(world, "UPDATE enrollment_events SET detail = NULL")
    assert [one.check for one in find(world)] == ["time-conflict"]
    grant(world, "S1", first, "time-conflict")
    assert find(world) == []


def test_a_load_over_the_limit_is_told_once_with_its_sum(world: World) -> None:
    world.term(TERM, max_credits=9)
    world.student("S1", "S2")
    world.course("CS101", "MATH1", "ART1", term=TERM, credits=3)
    world.submit("enroll", "S1", "CS101", "MATH1", "ART1", term=TERM).require()
    world.submit("enroll", "S2", "CS101", term=TERM).require()
    assert find(world) == []
    world.term(TERM, max_credits=5)
    (found,) = find(world)
    assert found.check == "credit-load"
    assert "would make 9 of at most 5 (2026FA)" in found.finding
    world.student("S1", max_credits=9)
    assert find(world) == []


def test_a_load_over_the_limit_by_an_override_is_not_told(world: World) -> None:
    world.student("S1", max_credits=3)
    world.course("CS101", "MATH1", credits=3)
    world.submit("enroll", "S1", "MATH1").require()
    world.submit("enroll", "S1", "CS101", overrides=frozenset({"credit-load"}), **WHY).require()
    assert find(world) == []


def test_two_sections_of_a_code_are_told_unless_overridden(world: World) -> None:
    world.student("S1")
    world.course("CS101", section="1")
    world.course("CS101", section="2")
    world.submit("enroll", "S1", "CS101-1").require()
    world.submit(
        "enroll", "S1", "CS101-2", overrides=frozenset({"duplicate-section"}), **WHY
    ).require()
    assert find(world) == []
    edit(world, "UPDATE enrollment_events SET detail = NULL")
    assert told(world) == [
        ("duplicate-section", "S1 in ALL/CS101-2", "S1 is enrolled in ALL/CS101-1 already")
    ]


def test_terms_that_are_over_are_looked_at_only_when_named(world: World) -> None:
    world.term(TERM, starts_on="2026-01-01", ends_on=TODAY, max_credits=9)
    world.student("S1")
    world.course("CS101", "MATH1", term=TERM, credits=3, capacity=5)
    world.submit("enroll", "S1", "CS101", "MATH1", term=TERM).require()
    world.term(TERM, max_credits=3)
    world.course("CS101", term=TERM, capacity=0)
    both = ["over-capacity", "credit-load"]
    assert [one.check for one in find(world)] == both
    world.now += timedelta(days=1)
    assert find(world) == []
    assert [one.check for one in find(world, TERM)] == both
    assert find(world, "ALL") == []


def test_the_quick_look_at_schedules_misses_no_overlap(sqlite_world: World) -> None:
    world, chance = sqlite_world, random.Random(8)
    world.term(TERM, starts_on="2026-09-01", ends_on="2026-12-18")
    meetings = {}
    for index in range(24):
        start = chance.randrange(8 * 60, 11 * 60)
        end = start + chance.randrange(1, 40)
        days = chance.choice(["M", "MW", "TR", "F", "S"])
        week = f"{days} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
        dates = chance.choice(["", " 2026-09-01..2026-10-01", " 2026-10-02..2026-12-18"])
        meetings[f"C{index}"] = week + dates
        world.course(f"C{index}", term=TERM, meetings=week + dates)
    taken = {f"S{n}": sorted(chance.sample(sorted(meetings), 4)) for n in range(30)}
    world.student(*taken)
    every = frozenset({"time-conflict"})
    for student, codes in taken.items():
        world.submit("enroll", student, *codes, term=TERM, overrides=every, **WHY).require()
    assert find(world) == []
    edit(world, "UPDATE enrollment_events SET detail = NULL")
    dates_of_term = (date(2026, 9, 1), date(2026, 12, 18))
    expected = {
        number
        for number, codes in taken.items()
        for one, other in combinations(codes, 2)
        if overlap(
            parse(meetings[one]), parse(meetings[other]),
            my_term=dates_of_term, their_term=dates_of_term, same_term=True,
        )
    }  # fmt: skip
    assert {one.subject.partition(" ")[0] for one in find(world)} == expected
    assert 0 < len(expected) < len(taken)


# ── prerequisites ────────────────────────────────────────────────────────────────────────


def test_prerequisites_are_judged_again_after_grades_when_a_term_is_named(world: World) -> None:
    world.term(TERM)
    world.student("S1", "S2", "S3")
    world.course("CS101")
    world.course("CS201", term=TERM, requires="CS101:C:in-progress")
    for number in ("S1", "S2", "S3"):
        world.submit("enroll", number, "ALL/CS101").require()
        world.submit("enroll", number, f"{TERM}/CS201").require()
    for number, grade in (("S1", "F"), ("S2", "B")):
        world.submit("complete", number, "ALL/CS101", grade=grade).require()
    assert find(world) == find(world, "ALL") == []
    (found,) = find(world, TERM)
    assert (found.check, found.subject) == ("prerequisite-missing", "S1 in 2026FA/CS201-1")
    assert found.finding == (
        "2026FA/CS201-1 requires CS101 with C or better (or in progress); S1 has ALL/CS101-1 with F"
    )
    assert found.severity == "attention"
    grant(world, "S1", "CS201", "prerequisite-missing")
    assert find(world, TERM) == []


def test_whom_an_override_let_in_without_the_prerequisite_is_not_told(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    world.course("CS201", requires="CS101")
    allowed = frozenset({"prerequisite-missing"})
    world.submit("enroll", "S1", "CS201", overrides=allowed, **WHY).require()
    assert find(world, "ALL") == []


def test_a_term_that_is_not_there_is_said_to_be_unknown(world: World, command: Run) -> None:
    done = command("db", "check", "--term", "2031FA", database=world)
    assert done.returncode == errors.ExitStatus.NOT_FOUND
    assert "[unknown-term]" in done.stderr


# ── the command ──────────────────────────────────────────────────────────────────────────


def test_attention_exits_4_and_damage_7_and_damage_wins(world: World, command: Run) -> None:
    world.student("S1")
    world.course("CS101", capacity=1)
    world.submit("enroll", "S1", "CS101").require()
    world.course("CS101", capacity=0)
    done = command("db", "check", "--format", "tsv", database=world)
    assert done.returncode == errors.ExitStatus.REFUSED
    assert done.stdout.splitlines() == [
        "check\tsubject\tfinding\tseverity\tmend",
        (
            "over-capacity\tALL/CS101-1\t1/0 seats taken\tattention\t"
            "studentcli course edit ALL/CS101-1 --capacity 1"
        ),
    ]
    assert "1 finding to attend to in" in done.stderr
    edit(world, "UPDATE student_courses SET grade = 'A'")
    done = command("db", "check", "--format", "jsonl", database=world)
    assert done.returncode == errors.ExitStatus.DATABASE
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["severity"] for one in found] == ["damage", "attention"]
    assert found[0]["mend"] == "studentcli db check --fix"
    assert "1 finding, 1 to attend to in" in done.stderr


def test_every_command_that_mends_makes_its_finding_go_away(world: World, command: Run) -> None:
    world.term(TERM)
    world.student("S1", "S2", given_name="Ada")
    world.course("CS101", "MATH1", term=TERM, meetings="M 10:00-11:00", capacity=5, credits=3)
    world.submit("enroll", "S2", "CS101", term=TERM).require()
    world.submit("enroll", "S1", "CS101", "MATH1", term=TERM,
                 overrides=frozenset({"time-conflict"}), **WHY).require()  # fmt: skip
    edit(world, "UPDATE enrollment_events SET detail = NULL")
    world.course("CS101", term=TERM, capacity=1)
    edit(world, "UPDATE students SET given_name = 'Eve', email = 'e@x.org' WHERE id = 1")
    edit(world, "UPDATE terms SET drop_until = '2026-12-01' WHERE code = '2026FA'")
    edit(world, "UPDATE courses SET title = 'X Y' WHERE code = 'CS101'")
    edit(world, "UPDATE student_courses SET grade = 'A' WHERE student_id = 2")
    mends = [one.mend.partition(";")[0] for one in find(world)]
    assert len(mends) == len(set(mends)) == 7
    for mend in mends:
        name, *words = shlex.split(mend)
        assert name == "studentcli"
        done = command(*words, database=world)
        assert done.returncode in {0, errors.ExitStatus.REFUSED, errors.ExitStatus.DATABASE}
    assert told(world) == []


def test_a_sound_database_says_nothing_with_quiet(world: World, command: Run) -> None:
    busy_world(world)
    done = command("db", "check", "-q", database=world)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

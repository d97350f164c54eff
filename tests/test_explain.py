"""`explain`: every rule with its evidence, and never another verdict than `enroll`'s."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from studentcli import errors
from studentcli.models import Hold, Override
from studentcli.requests import Change, CourseWord, Outcome, Policy, Request
from studentcli.rules.book import ADDING, OVERRIDABLE, SEATING
from studentcli.services.explaining import Explanation, explain
from studentcli.services.resolve import find_course, find_student
from tests.conftest import ENGINES, Run
from tests.desk import rows
from tests.door import Door
from tests.test_render import OWN, at_terminal, read_tsv
from tests.world import TODAY, World

DAY = timedelta(days=1)
CODES = {"already-withdrawn", "already-completed", *SEATING, *(rule.code for rule in ADDING)}


def hold(world: World, number: str, **fields: Any) -> None:
    """Place a hold."""
    given = {"kind": "bursar", "blocks": "add", "reason": "unpaid fees", "from_on": TODAY - DAY}
    given |= {"placed_by": "ada", "placed_at": world.now, **fields}

    def unit(session: Any) -> None:
        session.add(Hold(student_id=find_student(session, number).student_id, **given))
        session.flush()

    world.database.write(unit)


def allow(world: World, number: str, word: str, *rules: str) -> None:
    """Grant overrides."""
    by = {"reason": "as agreed", "granted_by": "ada", "granted_at": world.now}

    def unit(session: Any) -> None:
        course = find_course(session, word, Policy(world.now), None)
        ids = {
            "student_id": find_student(session, number).student_id,
            "course_id": course.course_id,
        }
        session.add_all(Override(**ids, **by, rule=rule) for rule in rules)
        session.flush()

    world.database.write(unit)


def explained(world: World, number: str, *words: str, **options: Any) -> list[Explanation]:
    return world.database.read(
        lambda session: explain(session, number, words, Policy(world.now), **options)
    )


def failed(explanation: Explanation) -> list[Any]:
    return [found.refusal for found in explanation.findings if found.result == "failed"]


def standing(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.course, outcome.result, outcome.status, outcome.position


# ── situations ───────────────────────────────────────────────────────────────────────────

Fill = Callable[[World], object]


def steps(*made: Fill) -> Fill:
    def fill(world: World) -> None:
        for step in made:
            step(world)

    return fill


def course(code: str = "A", **fields: Any) -> Fill:
    return lambda world: world.course(code, **fields)


def term(**fields: Any) -> Fill:
    return lambda world: world.term("ALL", **fields)


def does(action: str, number: str, *words: str, **more: Any) -> Fill:
    return lambda world: world.submit(action, number, *words, **more).require()


def granted(*rules: str, number: str = "S1", word: str = "A") -> Fill:
    return lambda world: allow(world, number, word, *rules)


def held(number: str = "S1", **fields: Any) -> Fill:
    return lambda world: hold(world, number, **fields)


def inactive(number: str) -> Fill:
    return lambda world: world.student(number, status="inactive")


FULL = steps(course(capacity=1, waitlist=2), does("enroll", "S2", "A"))
BLOCKED_QUEUE = steps(
    course(capacity=1, waitlist=2), does("enroll", "S2", "A"), does("enroll", "S3", "A"),
    inactive("S3"), does("drop", "S2", "A"),
)  # fmt: skip
SWAP = Request(
    "S1", [Change("enroll", CourseWord("A-2"), instead_of=CourseWord("A-1"), reason="why")]
)
CLASHING = steps(course("A", meetings="MW 10:00-11:00"), course("B", meetings="W 10:30-12:00"))

SITUATIONS: dict[str, tuple[Fill, tuple[str, ...], list[str]]] = {
    # name → what happened, the courses asked for, the results
    "a free seat": (course(), ("A",), ["enrolled"]),
    "a full course with a queue": (FULL, ("A",), ["waitlisted"]),
    "a full course with a full queue": (
        steps(FULL, does("enroll", "S3", "A"), does("enroll", "S4", "A")), ("A",), ["refused"],
    ),
    "a full queue that is overridden": (
        steps(FULL, does("enroll", "S3", "A"), does("enroll", "S4", "A"), granted("waitlist-full")),
        ("A",), ["waitlisted"],
    ),
    "a full course without a queue": (
        steps(course(capacity=0)), ("A",), ["refused"],
    ),
    "a full course that is overridden": (
        steps(course(capacity=0), granted("course-full")), ("A",), ["enrolled"],
    ),
    "a seat behind a blocked queue": (BLOCKED_QUEUE, ("A",), ["enrolled"]),
    "reserved seats": (
        course(capacity=2, reserved="honors=2"), ("A",), ["refused"],
    ),
    "reserved seats with a queue": (
        course(capacity=2, waitlist=1, reserved="honors=2"), ("A",), ["waitlisted"],
    ),
    "reserved seats that are overridden": (
        steps(course(capacity=2, reserved="honors=2"), granted("seat-reserved")), ("A",),
        ["enrolled"],
    ),
    "an inactive student": (steps(course(), inactive("S1")), ("A",), ["refused"]),
    "a closed course and a hold": (steps(course(status="closed"), held()), ("A",), ["refused"]),
    "a hold that is overridden": (steps(course(), held(), granted("hold")), ("A",), ["enrolled"]),
    "a hold that is over": (
        steps(course(), held(from_on=TODAY - 9 * DAY, until_on=TODAY - DAY)), ("A",), ["enrolled"],
    ),
    "a window that is over": (course(enroll_until=TODAY - DAY), ("A",), ["refused"]),
    "other tags": (course(restricted="level:senior"), ("A",), ["refused"]),
    "a prerequisite": (course(requires="CS100:B"), ("A",), ["refused"]),
    "a corequisite": (course(corequisites="B"), ("A",), ["refused"]),
    "a corequisite in the same request": (
        steps(course(corequisites="B"), course("B")), ("A", "B"), ["enrolled", "enrolled"],
    ),
    "a corequisite that is refused in the same request": (
        steps(course(corequisites="B"), course("B", capacity=0)), ("A", "B"),
        ["refused", "refused"],
    ),
    "corequisites of which one has a queue": (
        steps(course(corequisites="B"), course("B", capacity=0, waitlist=1)), ("A", "B"),
        ["refused", "waitlisted"],
    ),
    "a time conflict": (steps(CLASHING, does("enroll", "S1", "B")), ("A",), ["refused"]),
    "a time conflict in the same request": (CLASHING, ("B", "A"), ["enrolled", "refused"]),
    "a time conflict and a full course": (
        steps(CLASHING, does("enroll", "S1", "B"), course(capacity=0, waitlist=1)), ("A",),
        ["waitlisted"],
    ),
    "too many credits": (steps(course(credits=6), term(max_credits=5)), ("A",), ["refused"]),
    "too many credits in the same request": (
        steps(course(credits=3), course("B", credits=3), term(max_credits=5)), ("A", "B"),
        ["enrolled", "refused"],
    ),
    "too many waitlists": (
        steps(course(capacity=0, waitlist=2), course("B", capacity=0, waitlist=2),
              term(max_waitlists=1), does("enroll", "S1", "B")),
        ("A",), ["refused"],
    ),
    "another section": (
        steps(course(), course(section="2"), does("enroll", "S1", "A-1")), ("A-2",), ["refused"],
    ),
    "a repetition": (
        steps(course("A", repeats=0, section="2"), lambda w: w.term("T1"), course("A", term="T1"),
              does("enroll", "S1", "T1/A", term="T1"),
              does("complete", "S1", "T1/A", term="T1", grade="B")),
        ("ALL/A",), ["refused"],
    ),
    "already enrolled, and a hold": (
        steps(course(), does("enroll", "S1", "A"), held()), ("A",), ["unchanged"],
    ),
    "already waiting, and a hold": (
        steps(FULL, does("enroll", "S1", "A"), held()), ("A",), ["unchanged"],
    ),
    "waiting for a swap": (
        steps(course(section="1", drop_until=TODAY), course(section="2", capacity=0, waitlist=1),
              does("enroll", "S1", "A-1"),
              lambda w: w.submit_request(SWAP).require(),
              course(section="1", drop_until=TODAY - DAY)),
        ("A-2",), ["unchanged"],
    ),
    "dropped": (
        steps(course(), does("enroll", "S1", "A"), does("drop", "S1", "A")), ("A",), ["enrolled"],
    ),
    "withdrawn": (
        steps(course(), does("enroll", "S1", "A"), does("withdraw", "S1", "A")), ("A",),
        ["refused"],
    ),
    "withdrawn, and a full course": (
        steps(course(capacity=1), does("enroll", "S1", "A"), does("withdraw", "S1", "A"),
              does("enroll", "S2", "A")),
        ("A",), ["refused"],
    ),
    "withdrawn, and overridden": (
        steps(course(), does("enroll", "S1", "A"), does("withdraw", "S1", "A"),
              granted("already-withdrawn")),
        ("A",), ["enrolled"],
    ),
    "completed": (
        steps(course(), does("enroll", "S1", "A"), does("complete", "S1", "A", grade="B")), ("A",),
        ["refused"],
    ),
    "everything at once": (
        steps(course("A", status="closed", capacity=0, requires="X", corequisites="Y", credits=9,
                     restricted="level:senior", enroll_from=TODAY + DAY),
              term(max_credits=5), inactive("S1"), held()),
        ("A",), ["refused"],
    ),
}  # fmt: skip


@pytest.fixture
def school(world: World) -> World:
    world.student("S1", "S2", "S3", "S4")
    return world


@pytest.mark.parametrize("name", SITUATIONS)
def test_explain_says_what_enroll_then_does_with_the_same_sentences(
    school: World, name: str
) -> None:
    fill, words, wanted = SITUATIONS[name]
    fill(school)
    before = rows(school)
    found = explained(school, "S1", *words)
    assert rows(school) == before
    done = school.submit("enroll", "S1", *words)

    assert [each.outcome.result for each in found] == wanted
    assert [standing(each.outcome) for each in found] == [standing(o) for o in done.outcomes]
    for explanation, outcome in zip(found, done.outcomes, strict=True):
        assert failed(explanation) == list(outcome.refusals)
        assert {finding.code for finding in explanation.findings} >= CODES
        codes = [finding.code for finding in explanation.findings]
        assert len(codes) == len(set(codes))


@pytest.mark.parametrize("name", [name for name in SITUATIONS if "overridden" in name])
def test_what_an_override_clears_is_what_the_event_records(school: World, name: str) -> None:
    fill, words, _ = SITUATIONS[name]
    fill(school)
    (found,) = explained(school, "S1", *words)
    cleared = [finding for finding in found.findings if finding.result == "overridden"]
    assert all(finding.refusal and finding.refusal.message for finding in cleared)
    school.submit("enroll", "S1", *words)
    detail = json.loads(school.events()["ALL/A-1"][-1][-1])
    assert detail["overrides"] == sorted(finding.code for finding in cleared)


@pytest.mark.parametrize("name", [name for name in SITUATIONS if "refused" in SITUATIONS[name][2]])
def test_granting_every_override_that_is_named_clears_the_way(school: World, name: str) -> None:
    fill, words, _ = SITUATIONS[name]
    fill(school)
    for explanation in explained(school, "S1", *words):
        for row in explanation.rows():
            if row["result"] == "failed":
                assert (row["override"] is None) == (row["rule"] not in OVERRIDABLE)
            if row["override"] is not None:
                given = row["override"].split()
                assert given[:3] == ["studentcli", "override", "grant"]
                allow(school, given[3], given[4], given[6])
    results = {each.outcome.result for each in explained(school, "S1", *words)}
    assert results == ({"refused"} if name == "completed" else {"enrolled"})


def by_code(explanation: Explanation) -> dict[str, tuple[str, str | None]]:
    return {
        found.code: (found.result, found.refusal.message if found.refusal else None)
        for found in explanation.findings
    }


def test_what_counts_only_for_a_seat_is_told_to_who_would_wait(school: World) -> None:
    fill, words, _ = SITUATIONS["a time conflict and a full course"]
    fill(school)
    (found,) = explained(school, "S1", *words)
    said = by_code(found)
    conflict = "ALL/A-1 MW 10:00-11:00 overlaps ALL/B-1 (W 10:30-12:00)"
    assert said["time-conflict"] == ("not-asked", conflict)
    assert said["course-full"] == ("not-asked", "ALL/A-1 is full (0/0 seats taken)")
    assert said["waitlist-full"] == said["credit-load"] == ("passed", None)


def test_who_waits_is_told_what_a_promotion_meets(school: World) -> None:
    SITUATIONS["already waiting, and a hold"][0](school)
    does("enroll", "S3", "A")(school)
    (found,) = explained(school, "S1", "A")
    assert (found.status, found.position) == ("waitlisted", 1)
    said = by_code(found)
    assert said["hold"][0] == said["course-full"][0] == "blocks-promotion"
    assert said["waitlist-full"] == said["waitlist-limit"] == ("not-asked", None)
    assert said["hold"][1] == f"S1 has a hold (bursar since {TODAY - DAY}: unpaid fees)"
    course(capacity=2, waitlist=2)(school)
    assert school.statuses()["S3", "ALL/A-1"] == "enrolled"


def test_who_waits_for_a_swap_is_told_why_the_old_course_cannot_be_dropped(school: World) -> None:
    SITUATIONS["waiting for a swap"][0](school)
    said = by_code(explained(school, "S1", "A-2")[0])
    assert said["drop-deadline"] == (
        "blocks-promotion",
        f"the last day to drop ALL/A-1 was {TODAY - DAY}",
    )


def test_what_blocks_a_promotion_comes_with_what_clears_it(school: World, command: Run) -> None:
    steps(
        course(capacity=1, waitlist=3), does("enroll", "S2", "A"), does("enroll", "S1", "A"),
        lambda world: world.course("B", meetings="M 10:00-11:00"), does("enroll", "S1", "B"),
        course(meetings="M 10:30-11:30"), does("drop", "S2", "A"),
    )(school)  # fmt: skip
    done = command("explain", "S1", "A", "--format", "table", database=school)
    assert done.returncode == 0
    way = "studentcli override grant S1 ALL/A-1 --rule time-conflict --reason TEXT"
    told = done.stdout.splitlines()
    conflict = "ALL/A-1 M 10:30-11:30 overlaps ALL/B-1 (M 10:00-11:00)"
    assert told[1:3] == [
        f"  ✗ time-conflict (blocks the promotion): {conflict}",
        f"      override: {way}",
    ]
    assert command(*way.split()[1:], database=school).returncode == 0
    assert school.statuses()["S1", "ALL/A-1"] == "enrolled"


def test_who_waits_beside_another_section_is_told_to_drop_it_and_not_to_ask_again(
    school: World,
) -> None:
    steps(
        course(capacity=1, waitlist=3), does("enroll", "S2", "A-1"), does("enroll", "S1", "A-1"),
        lambda world: world.course("A", section="2"), does("enroll", "S1", "A-2"),
    )(school)  # fmt: skip
    (found,) = explained(school, "S1", "A-1")
    (blocks,) = [one for one in found.findings if one.code == "duplicate-section"]
    assert blocks.result == "blocks-promotion"
    assert blocks.refusal is not None
    assert blocks.refusal.hint == "studentcli drop S1 ALL/A-2"


def test_who_waits_without_the_company_is_told_to_add_only_that(school: World) -> None:
    steps(course(capacity=1, waitlist=3), does("enroll", "S2", "A"), does("enroll", "S1", "A"))(
        school
    )
    course(corequisites="B & C")(school)
    (found,) = explained(school, "S1", "A")
    hints = {one.code: one.refusal.hint for one in found.findings if one.refusal}
    assert hints["corequisite-missing"] == "studentcli enroll S1 B C"


def test_a_free_seat_that_belongs_to_the_queue_is_said_to(school: World) -> None:
    steps(course(capacity=1, waitlist=3), does("enroll", "S2", "A"), does("enroll", "S3", "A"))(
        school
    )
    school.term("ALL", enroll_until=TODAY - DAY)
    does("drop", "S2", "A")(school)
    said = by_code(explained(school, "S1", "A")[0])
    assert said["window-closed"][0] == "failed"
    assert said["course-full"] == (
        "not-asked", "the free seats of ALL/A-1 (0/1 seats taken) belong to its queue of 1",
    )  # fmt: skip


def test_two_words_for_one_course_are_explained_once(school: World) -> None:
    school.course("A")
    assert [e.outcome.result for e in explained(school, "S1", "A", "A-1")] == ["enrolled"]


@pytest.mark.parametrize(
    ("number", "word", "error", "hint"),
    [
        ("S9", "A", errors.UnknownStudent, "studentcli student list shows the students"),
        ("s1", "A", errors.UnknownStudent, "did you mean S1"),
        ("S1", "B", errors.UnknownCourse, "studentcli courses lists the courses"),
        ("S1", "a", errors.UnknownCourse, "did you mean ALL/A-1?"),
        ("S1", "T9/A", errors.UnknownCourse, "did you mean ALL/A-1?"),
    ],
)
def test_words_that_mean_nothing_are_not_found(
    school: World, number: str, word: str, error: type[errors.StudentcliError], hint: str
) -> None:
    school.course("A")
    with pytest.raises(error) as raised:
        explained(school, number, "A", word)
    assert hint in str(raised.value.hint)


def test_a_code_that_no_course_has_is_said_before_the_terms_are_listed(
    school: World, command: Run
) -> None:
    school.course("A")
    for term in ("ALL", "T2"):
        school.term(term, starts_on="2020-01-06", ends_on="2020-05-15")
    for word, code in (("NOPE", "unknown-course"), ("A", "unknown-term")):
        done = command("explain", "S1", word, database=school)
        assert done.returncode == 3
        assert f"[{code}]" in done.stderr


# ── random catalogues ────────────────────────────────────────────────────────────────────

WORDS = ("A-1", "A-2", "B", "C")
rule_texts = st.fixed_dictionaries(
    {
        "capacity": st.sampled_from(("-", "0", "1", "2")),
        "waitlist": st.sampled_from(("0", "1", "3")),
        "credits": st.sampled_from(("0", "3")),
        "requires": st.sampled_from(("-", "-", "C", "C:in-progress")),
        "corequisites": st.sampled_from(("-", "-", "B", "A|C")),
        "meetings": st.sampled_from(("-", "M 10:00-11:00", "M 10:30-12:00")),
        "reserved": st.sampled_from(("-", "-", "honors=1")),
    }
)
acts = st.lists(
    st.tuples(
        st.sampled_from(("enroll", "enroll", "enroll", "drop", "withdraw", "complete")),
        st.sampled_from(("S1", "S2", "S3")),
        st.sampled_from(WORDS),
    ),
    max_size=12,
)


@pytest.fixture(params=ENGINES, scope="module")
def lasting(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Any:
    """Give one world for all random examples on each engine."""
    world = World(new_database(request.param))
    yield world
    world.database.dispose()


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(
    catalogue=st.lists(rule_texts, min_size=4, max_size=4),
    done=acts,
    extra=st.frozensets(st.tuples(st.sampled_from(WORDS), st.sampled_from(sorted(OVERRIDABLE)))),
    is_held=st.booleans(),
    asked=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True),
)
def test_whatever_happened_explain_says_what_enroll_does(
    lasting: World,
    catalogue: list[dict[str, str]],
    done: list[tuple[str, str, str]],
    extra: frozenset[tuple[str, str]],
    is_held: bool,
    asked: list[str],
) -> None:
    world = lasting
    world.clear()
    world.student("S1", "S2", "S3")
    world.student("S3", tags="honors")
    world.term("ALL", max_credits="6", max_waitlists="2")
    for word, fields in zip(WORDS, catalogue, strict=True):
        code, _, section = word.partition("-")
        own = {name for name in ("requires", "corequisites") if code in fields[name]}
        world.course(code, section=section or "1", **{**fields, **dict.fromkeys(own, "-")})
    for action, number, word in done:
        given: dict[str, Any] = {"grade": "B"} if action == "complete" else {}
        world.submit(action, number, word, **given)
    for word, rule in sorted(extra):
        allow(world, "S1", word, rule)
    if is_held:
        hold(world, "S1")
    found = explained(world, "S1", *asked)
    outcomes = world.submit("enroll", "S1", *asked).outcomes
    assert [standing(each.outcome) for each in found] == [standing(o) for o in outcomes]
    assert [failed(each) for each in found] == [list(o.refusals) for o in outcomes]


# ── the command ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def crowded(school: World) -> World:
    steps(
        course("B", meetings="W 10:30-12:00"), does("enroll", "S1", "B"),
        course(meetings="MW 10:00-11:00", requires="CS100:B|CS099:B & MATH100:C+", capacity=0,
               waitlist=1),
        held(),
    )(school)  # fmt: skip
    return school


COLUMNS = ["course", "would", "place", "rule", "result", "message", "hint", "override"]


@pytest.mark.parametrize("fmt", ["tsv", "csv", "json", "jsonl"])
def test_every_format_has_a_row_for_every_rule(crowded: World, command: Run, fmt: str) -> None:
    done = command("explain", "S1", "A", "B", "--format", fmt, database=crowded)
    assert (done.returncode, done.stderr) == (4, "")
    found = read_rows(done.stdout, fmt)
    assert {row["course"] for row in found} == {"ALL/A-1", "ALL/B-1"}
    assert all(list(row) == COLUMNS for row in found)
    (held_back,) = [r for r in found if r["rule"] == "hold" and r["result"] == "failed"]
    assert held_back["override"] == (
        "studentcli override grant S1 ALL/A-1 --rule hold --reason TEXT"
    )


def read_rows(out: str, fmt: str) -> list[dict[str, Any]]:
    if fmt == "json":
        return list(json.loads(out))
    if fmt == "jsonl":
        return [json.loads(line) for line in out.splitlines()]
    if fmt == "csv":
        return list(csv.DictReader(io.StringIO(out)))
    return [dict(row) for row in read_tsv(out)]


def test_the_exit_code_tells_whether_every_enrollment_would_succeed(
    school: World, command: Run
) -> None:
    FULL(school)
    school.course("B")
    assert command("explain", "S1", "A", "B", database=school).returncode == 0
    assert command("explain", "S2", "A", database=school).returncode == 0
    school.course("B", status="closed")
    assert command("explain", "S1", "A", "B", database=school).returncode == 4
    done = command("explain", "S1", "A", "Z", database=school)
    assert (done.returncode, done.stdout) == (3, "")
    assert "[unknown-course]" in done.stderr


def test_a_plain_table_tells_what_stands_against_it_before_the_rest(
    crowded: World, command: Run
) -> None:
    shown = command("explain", "S1", "A", "--format", "table", database=crowded).stdout.splitlines()
    assert shown[0] == "✗ S1 would be refused in ALL/A-1"
    assert [line.split(":")[0] for line in shown if line.startswith("  ") and line[2] != " "] == [
        "  ✗ hold", "  ✗ prerequisite-missing", "  … time-conflict (not asked now)",
        "  … course-full (not asked now)", "  ✓ passed",
    ]  # fmt: skip
    assert "      override: studentcli override grant S1 ALL/A-1 --rule hold --reason TEXT" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_at_a_terminal_nothing_is_cut_and_no_line_is_too_long(
    crowded: World, tmp_path: Path, width: int
) -> None:
    words = ("explain", "S1", "A", "B")
    code, shown = at_terminal(*words, database=crowded.url, home=tmp_path, columns=width)
    shown = re.sub(OWN, "", shown)
    assert code == 4
    lines = shown.splitlines()
    commands = [line for line in lines if line.startswith(("      hint: ", "      override: "))]
    assert max(len(line) for line in lines if line not in commands) <= width
    flat = " ".join(shown.split())
    for each in explained(crowded, "S1", "A", "B"):
        for row in each.rows():
            assert row["rule"] in flat
            assert not row["message"] or row["message"] in flat
            assert row["result"] == "overridden" or not row["hint"] or row["hint"] in flat
            assert not row["override"] or f"      override: {row['override']}" in commands


# ── over HTTP ────────────────────────────────────────────────────────────────────────────


def test_http_gives_the_same_explanation(crowded: World, door: Door) -> None:
    ids = [door.course_id("ALL/A-1"), door.course_id("ALL/B-1")]
    query = "&".join(f"course_id={course_id}" for course_id in ids)
    answer = door.get(f"/students/{door.student_id('S1')}/explain?{query}")
    assert answer.status_code == 200
    body = answer.json()
    assert body["student_number"] == "S1"
    found = explained(crowded, "S1", "A", "B")
    for shown, each in zip(body["courses"], found, strict=True):
        assert (shown["course_ref"], shown["would"]) == (each.outcome.course, each.outcome.result)
        assert shown["status"] == each.status
        names = ("rule", "result", "message", "hint", "override")
        assert shown["rules"] == [{name: row[name] for name in names} for row in each.rows()]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("course_id=99", 404, "unknown-course"),
        ("", 422, "bad-value"),
        ("course_id=x", 422, "bad-value"),
        ("course=1", 422, "bad-value"),
        ("&".join(["course_id=1"] * 51), 422, "bad-value"),
    ],
)
def test_http_refuses_what_names_no_course(
    school: World, door: Door, query: str, status: int, code: str
) -> None:
    school.course("A")
    answer = door.get(f"/students/{door.student_id('S1')}/explain?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)

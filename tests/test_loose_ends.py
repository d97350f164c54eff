"""What courses say that does not fit: refused or taken, told when it is entered and by db check."""

import shlex
from pathlib import Path

import pytest

from studentcli.cli.context import SHOWN
from studentcli.records import COURSE, TERM
from studentcli.requests import Policy
from studentcli.services.checks import Finding, find_all
from tests.conftest import Run
from tests.world import World

INSIDE = "M 10:00-10:50 2026-09-07..2026-10-26"
WAY = "hint: leave its dates out for those of the term; studentcli term edit 2026FA moves it"
OUTSIDE = "M 10:00-10:50 2026-08-17..2026-10-26"


@pytest.fixture
def fall(world: World) -> World:
    world.term("2026FA", starts_on="2026-08-24", ends_on="2026-12-18")
    world.course("CS101", term="2026FA")
    return world


def find(world: World) -> list[Finding]:
    return world.database.read(lambda session: list(find_all(session, Policy(world.now))))


# ── meetings ─────────────────────────────────────────────────────────────────────────────


def test_a_meeting_outside_of_its_term_is_refused_through_every_door(
    fall: World, command: Run
) -> None:
    edited = command("course", "edit", "2026FA/CS101", "--meetings", OUTSIDE, database=fall)
    added = command("course", "add", "2026FA/CS102", "--meetings", OUTSIDE, database=fall)
    result, items = fall.import_csv(f"term,course,meetings\n2026FA,CS103,{OUTSIDE}\n")

    for done in (edited, added):
        assert done.returncode == 4
        assert done.stderr.splitlines() == [
            f"error: meetings: {OUTSIDE} is outside of 2026FA (2026-08-24..2026-12-18) [bad-value]",
            "hint: leave its dates out for those of the term; studentcli term edit 2026FA moves it",
        ]
    assert (result.refused, items[0].refusal.code) == (1, "bad-value")
    assert fall.count("courses") == 1


def test_a_term_without_dates_takes_a_meeting_on_any(fall: World) -> None:
    assert fall.course("ART", meetings=OUTSIDE).warnings == []
    assert find(fall) == []


def test_only_a_meeting_that_is_entered_is_looked_at(fall: World) -> None:
    fall.course("CS101", term="2026FA", meetings=INSIDE)
    fall.term("2026FA", starts_on="2026-09-14")
    assert fall.course("CS101", term="2026FA", capacity=5, meetings=INSIDE).warnings == []


def test_moving_a_term_away_from_its_meetings_is_told_then_and_until_it_is_mended(
    fall: World, command: Run
) -> None:
    fall.course("CS101", term="2026FA", meetings=f"{INSIDE}; F 10:00-10:50")
    said = f"2026FA/CS101-1 {INSIDE} is outside of 2026FA (2026-09-14..2026-12-18)"
    moving = ("term", "edit", "2026FA", "--starts-on", "2026-09-14")
    for line in ((*moving, "--dry-run"), moving):
        done = command(*line, database=fall)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, f"warning: {said}")

    (found,) = find(fall)
    assert (found.check, found.severity) == ("meeting-dates", "attention")
    assert f"{found.subject} {found.finding}" == said
    assert command("db", "check", database=fall).returncode == 4
    assert command(*shlex.split(found.mend)[1:], database=fall).returncode == 0
    assert find(fall) == []


def test_a_file_of_terms_that_leaves_meetings_outside_says_so(fall: World) -> None:
    fall.course("CS101", term="2026FA", meetings=INSIDE)
    result, _ = fall.import_csv("term,ends_on\n2026FA,2026-10-25\n")
    assert result.warnings == [
        f"2026FA/CS101-1 {INSIDE} is outside of 2026FA (2026-08-24..2026-10-25)"
    ]
    assert fall.save(TERM, term="2026FA", ends_on="2026-10-26").warnings == []


def test_undoing_the_dates_of_a_term_says_which_meetings_fall_outside(
    fall: World, command: Run
) -> None:
    fall.term("2026FA", starts_on="2026-08-17")
    number = fall.count("operations")
    assert command("course", "edit", "2026FA/CS101", "--meetings", OUTSIDE,
                   database=fall).returncode == 0  # fmt: skip
    said = f"warning: 2026FA/CS101-1 {OUTSIDE} is outside of 2026FA (2026-08-24..2026-12-18)"
    for options in (["--dry-run"], []):
        done = command("undo", str(number), *options, database=fall)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, said)
    again = command("undo", str(number + 2), database=fall)
    assert (again.returncode, "warning" in again.stderr) == (0, False)


def test_undoing_an_edit_of_a_course_says_what_no_longer_fits(fall: World, command: Run) -> None:
    fall.course("CS101", term="2026FA", capacity=3)
    fall.course("CS101", term="2026FA", capacity=9)
    number = fall.count("operations")
    fall.course("CS101", term="2026FA", reserved="major:CS=5")
    done = command("undo", str(number), database=fall)
    assert done.stderr.splitlines()[-1] == "warning: 2026FA/CS101-1 reserves 5 seats and has 3"


# ── codes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"requires": "MATH100"}, ["requires MATH100, which no course has"]),
        ({"requires": "CS0101"}, ["requires CS0101, which no course has (did you mean CS101?)"]),
        ({"requires": "CS101|cs 101 & CS101:B"},
         ["requires cs 101, which no course has (did you mean CS101?)"]),
        ({"requires": "OLD1 & CS101"}, []),  # taken in another term
        ({"corequisites": "CS101"}, []),
        ({"corequisites": "LAB|CS101"}, ["is taken together with LAB, which no course has"]),
        ({"corequisites": "OLD1"},
         ["is taken together with OLD1, which no course of 2026FA has"]),
        ({"requires": "LAB", "corequisites": "LAB"},
         ["requires LAB, which no course has", "is taken together with LAB, which no course has"]),
    ],
)  # fmt: skip
def test_a_code_that_no_course_has_is_taken_and_told(
    fall: World, fields: dict[str, str], said: list[str]
) -> None:
    fall.course("OLD1", term="ALL")
    saved = fall.save(COURSE, term="2026FA", course="CS201", **fields).require()
    assert saved.warnings == [f"2026FA/CS201-1 {text}" for text in said]
    assert [(one.check, one.severity, f"{one.subject} {one.finding}") for one in find(fall)] == [
        ("unknown-code", "attention", text) for text in saved.warnings
    ]


def test_the_warning_names_the_way_and_the_check_the_command(fall: World, command: Run) -> None:
    line = ("course", "edit", "2026FA/CS101", "--requires", "CS050")
    done = command(*line, database=fall)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == (
        "warning: 2026FA/CS101-1 requires CS050, which no course has"
    )
    assert command(*line[:3], "--requires", "CS051", "-q", database=fall).stderr == ""
    (found,) = find(fall)
    edit, add = found.mend.split("; or ")
    assert edit == "studentcli course edit 2026FA/CS101-1 --requires CODES"
    assert command(*shlex.split(add)[1:], database=fall).returncode == 0
    assert find(fall) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_within_a_file_only_what_it_does_not_bring_itself_is_told(
    fall: World, *, dry_run: bool
) -> None:
    rows = (
        "term,course,requires,corequisites\n"
        "2026FA,CS201,CS150 & CS160,LAB\n2026FA,CS150,CS101,-\n2026FA,LAB,-,-\n"
    )
    result, _ = fall.import_csv(rows, chunk=1, dry_run=dry_run)
    assert result.warnings == ["2026FA/CS201-1 requires CS160, which no course has"]


def test_more_warnings_than_can_be_read_are_counted(
    fall: World, command: Run, tmp_path: Path
) -> None:
    rows = "".join(f"2026FA,X{n},NO{n}\n" for n in range(SHOWN + 2))
    (tmp_path / "courses.csv").write_text(f"term,course,requires\n{rows}")
    done = command("import", "courses.csv", database=fall)
    assert done.returncode == 0
    *told, last = done.stderr.splitlines()
    assert sum(line.startswith("warning: ") for line in told) == SHOWN
    assert last == "… and 2 more warnings: studentcli db check"


def test_a_course_that_was_made_its_own_corequisite_by_hand_is_told(
    fall: World,
) -> None:
    with fall.database.connect(writes=True) as connection:
        connection.exec_driver_sql("UPDATE courses SET corequisites = 'CS101' WHERE code = 'CS101'")
        connection.commit()
    (found,) = [one for one in find(fall) if one.severity == "attention"]
    assert found.finding == "is taken together with CS101, which is the course itself"
    assert found.mend == "studentcli course edit 2026FA/CS101-1 --corequisites CODES"


# ── seats and windows ────────────────────────────────────────────────────────────────────


def test_more_seats_reserved_than_there_are_are_taken_told_and_found(
    fall: World, command: Run
) -> None:
    saved = fall.course("CS101", term="2026FA", capacity=3, reserved="honors=3; senior=2")
    assert saved.warnings == ["2026FA/CS101-1 reserves 5 seats and has 3"]
    assert fall.course("CS101", term="2026FA", title="Another").warnings == []
    (found,) = find(fall)
    assert (found.check, found.severity) == ("too-many-reserved", "attention")
    assert command(*shlex.split(found.mend)[1:], database=fall).returncode == 0
    assert find(fall) == []
    lowered = command("course", "edit", "2026FA/CS101", "--capacity", "4", "-n", database=fall)
    assert "2026FA/CS101-1 reserves 5 seats and has 4" in lowered.stderr


@pytest.mark.parametrize(
    ("option", "day", "said"),
    [
        ("--enroll-from", "2026-12-22",
         "the enroll_until 2026-11-30 of 2026FA is before enroll_from 2026-12-22"),
        ("--enroll-until", "2026-10-22",
         "enroll_until 2026-10-22 is before the enroll_from 2026-11-01 of 2026FA"),
    ],
)  # fmt: skip
def test_a_course_cannot_be_given_a_window_that_never_opens(
    fall: World, command: Run, option: str, day: str, said: str
) -> None:
    fall.term("2026FA", enroll_from="2026-11-01", enroll_until="2026-11-30")
    done = command("course", "edit", "2026FA/CS101", option, day, database=fall)
    assert (done.returncode, f"error: {said} [bad-value]" in done.stderr) == (4, True)
    fall.course("CS101", term="2026FA", title="Another")

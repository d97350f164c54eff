"""`courses STUDENT --week`: everything that a student's week holds, at any width and in a pipe."""

import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from studentcli import errors
from studentcli.meetings import DAYS, read
from studentcli.render import display_width, week
from studentcli.requests import Policy
from studentcli.services.timetable import Week, week_of_student
from tests.conftest import Run
from tests.test_render import ATTACKS, EXECUTED, OWN, Terminal, at_terminal, read_tsv
from tests.world import World

HEADER = "day\tstarts\tends\tcourse\ttitle\troom\tfirst\tlast\tstatus"


def meets(world: World, code: str, written: str, *, section: str = "1", term: str = "ALL") -> None:
    """Set the meetings of a course."""
    statement = text(
        "UPDATE courses SET meetings = :meetings WHERE code = :code AND section = :section"
        " AND term_id = (SELECT id FROM terms WHERE code = :term)"
    )
    with world.database.connect(writes=True) as connection:
        named = {"meetings": read(written), "code": code, "section": section, "term": term}
        assert connection.execute(statement, named).rowcount == 1
        connection.commit()


def week_of(world: World, number: str = "S1", term: str | None = None) -> Week:
    policy = Policy(world.now)
    return world.database.read(lambda session: week_of_student(session, number, policy, term=term))


def brief(found: Week) -> list[str]:
    """Give the rows of a week in one line each."""
    return [f"{row['day'][:3]} {row['starts']} {row['section']}" for row in found.rows]


def fill(world: World) -> World:
    """Give S1 a week of three courses, one without meetings, and one waited for."""
    world.term("2026FA", starts_on="2026-08-31", ends_on="2026-12-18")
    world.student("S0", "S1", given_name="Ada", family_name="King")
    world.course("MATH210", "THESIS", "CS101", term="2026FA", title="Some title")
    world.course("ART130", term="2026FA", capacity=1, waitlist=3)
    meets(world, "MATH210", "TR 09:00-10:15 2026-09-01..2026-10-15 @Hall 204", term="2026FA")
    meets(world, "CS101", "MWF 10:00-10:50 @B 12; F 08:00-09:00", term="2026FA")
    meets(world, "ART130", "M 10:00-10:50 @Studio", term="2026FA")
    world.submit("enroll", "S0", "ART130", term="2026FA").require()
    world.submit("enroll", "S1", "MATH210", "THESIS", "CS101", "ART130", term="2026FA").require()
    return world


@pytest.fixture
def filled(sqlite_world: World) -> World:
    return fill(sqlite_world)


# ── what is in a week ────────────────────────────────────────────────────────────────────


def test_a_week_is_in_the_order_of_days_and_times(world: World) -> None:
    found = week_of(fill(world))
    assert brief(found) == [
        "Mon 10:00 ART130-1", "Mon 10:00 CS101-1", "Tue 09:00 MATH210-1", "Wed 10:00 CS101-1",
        "Thu 09:00 MATH210-1", "Fri 08:00 CS101-1", "Fri 10:00 CS101-1",
    ]  # fmt: skip
    assert (found.term, found.elsewhere) == ("2026FA", [])
    assert [course["course"] for course in found.without] == ["2026FA/THESIS-1"]
    assert found.rows[0]["status"] == "waitlisted"
    assert found.rows[0]["position"] == 1


def test_a_meeting_without_dates_has_those_of_its_term(world: World) -> None:
    rows = week_of(fill(world)).rows
    dates = {r["section"]: (str(r["first"]), str(r["last"]), r["is_dated"]) for r in rows}
    assert dates["CS101-1"] == ("2026-08-31", "2026-12-18", False)
    assert dates["MATH210-1"] == ("2026-09-01", "2026-10-15", True)


def test_only_courses_enrolled_in_or_waited_for_are_in_a_week(world: World) -> None:
    fill(world)
    world.submit("drop", "S1", "MATH210").require()
    world.submit("withdraw", "S1", "THESIS").require()
    world.submit("complete", "S1", "CS101", grade="A").require()
    found = week_of(world)
    assert (brief(found), found.without) == (["Mon 10:00 ART130-1"], [])


@pytest.mark.parametrize(
    ("now", "term"),
    [
        (datetime(2026, 10, 5, tzinfo=UTC), "2026FA"),  # the term that runs
        (datetime(2026, 11, 20, tzinfo=UTC), "2027SP"),  # the one whose enroll window is open
        (datetime(2027, 2, 1, tzinfo=UTC), "2027SP"),
    ],
)
def test_of_several_terms_the_one_that_enrolling_means_is_shown(
    world: World, now: datetime, term: str
) -> None:
    fill(world)
    world.term("2027SP", starts_on="2027-01-11", ends_on="2027-05-07", enroll_from="2026-11-01",
               enroll_until="2026-11-30")  # fmt: skip
    world.now = datetime(2026, 11, 20, tzinfo=UTC)
    world.course("MATH211", term="2027SP")
    world.submit("enroll", "S1", "MATH211", term="2027SP").require()
    world.now = now
    found = week_of(world)
    assert (found.term, *found.elsewhere) == (term, *({"2026FA", "2027SP"} - {term}))
    assert week_of(world, term="2026FA").term == "2026FA"
    assert week_of(world, term="2026FA").elsewhere == []


def test_where_no_term_is_meant_the_students_own_are_listed(filled: World) -> None:
    filled.term("2027SP", starts_on="2027-01-11", ends_on="2027-05-07")
    filled.term("2028SP", starts_on="2028-01-11", ends_on="2028-05-07")
    filled.course("MATH211", term="2027SP")
    filled.submit("enroll", "S1", "MATH211", term="2027SP").require()
    filled.now = datetime(2026, 12, 31, tzinfo=UTC)
    with pytest.raises(errors.UnknownTerm, match=r"there are 2026FA, 2027SP$"):
        week_of(filled)
    with pytest.raises(errors.UnknownTerm, match="there is no term 2029SP"):
        week_of(filled, term="2029SP")


def test_the_only_term_of_a_student_is_never_asked_for(filled: World) -> None:
    filled.term("2027SP", starts_on="2027-01-11", ends_on="2027-05-07")
    filled.now = datetime(2027, 2, 1, tzinfo=UTC)
    assert week_of(filled).term == "2026FA"


def test_a_week_of_nobody_is_an_error_and_of_somebody_without_courses_empty(world: World) -> None:
    world.student("S1")
    found = week_of(world)
    assert (found.term, found.rows, found.without, found.elsewhere) == (None, [], [], [])
    with pytest.raises(errors.UnknownStudent):
        week_of(world, "S2")


# ── at a terminal ────────────────────────────────────────────────────────────────────────

SAID = (
    "S1  Ada King  2026FA",
    "… place: on the waitlist, not enrolled",
    "without meetings: THESIS-1 Some title",
)


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_a_week_fits_its_terminal_and_loses_no_letter(
    filled: World, tmp_path: Path, columns: int
) -> None:
    meets(filled, "CS101", "MWF 10:00-10:50 @" + "Laboratory" * 4, term="2026FA")
    code, shown = at_terminal(
        "courses", "S1", "--week", database=filled.url, home=tmp_path, columns=columns
    )
    plain = OWN.sub("", shown)
    assert code == 0
    assert max(map(display_width, plain.splitlines())) <= columns
    wanted = "MondayTuesdayWednesdayThursdayFriday" + "CS101-1" * 3 + "Laboratory" * 12
    wanted += "MATH210-1Hall20409-01to10-15" * 2 + "ART130-1Studio…place1" + "".join(SAID)
    assert not Counter(wanted.replace(" ", "")) - Counter(plain)
    assert [plain.count(section) for section in ("CS101-1", "MATH210-1", "ART130-1")] == [3, 2, 1]
    if columns >= 80:
        assert all(line in plain.splitlines() for line in SAID)


@pytest.mark.parametrize("columns", [80, 120])
def test_days_stand_side_by_side_and_times_below_each_other(
    filled: World, tmp_path: Path, columns: int
) -> None:
    shown = at_terminal(
        "courses", "S1", "--week", database=filled.url, home=tmp_path, columns=columns
    )[1]
    lines = OWN.sub("", shown).splitlines()
    days = "Monday Tuesday Wednesday Thursday Friday"
    assert lines[1].replace("│", "").split() == days.split()
    assert [line[:6] for line in lines if ":" in line[:5]] == [
        "08:00-", "09:00 ", "09:00-", "10:15 ", "10:00-", "10:50 ",
    ]  # fmt: skip
    at = {day: lines[1].index(day) for day in days.split()}
    (ten,) = [line for line in lines if line.startswith("10:00-")]
    assert ten.index("ART130-1") == at["Monday"]
    assert ten.index("CS101-1") == at["Wednesday"]
    assert ten.rindex("CS101-1") == at["Friday"]


def drawn(rows: list[dict[str, object]], columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Draw rows as a terminal gets them, without the colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    week.week(week.layout(rows), "S1", [], out)
    return OWN.sub("", out.getvalue())


def row(day: str, section: str = "CS101-001", **more: object) -> dict[str, object]:
    return {"day": day, "starts": "10:00", "ends": "10:50", "section": section, "room": None,
            "first": None, "last": None, "is_dated": False, "status": "enrolled",
            "position": None, **more}  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
def test_seven_days_with_usual_course_codes_stand_side_by_side(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    lines = drawn([row(day) for day in DAYS], columns, monkeypatch).splitlines()
    assert [day for day in DAYS if day in lines[1]] == list(DAYS)
    assert lines[3].count("CS101-001") == 7


def test_a_weekend_is_shown_only_when_something_meets_then(monkeypatch: pytest.MonkeyPatch) -> None:
    heading = drawn([row("Sunday")], 80, monkeypatch).splitlines()[1]
    assert "Sunday" in heading
    assert "Saturday" not in heading
    assert "Sunday" not in drawn([row("Friday")], 80, monkeypatch)


def test_a_course_is_never_broken_where_day_by_day_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "ENGINEERING-2026-EVENING"
    shown = drawn([row("Monday", long, room="B 12"), row("Friday", long)], 80, monkeypatch)
    assert shown == (f"S1\nMonday\n10:00-10:50 {long}, B 12\nFriday\n10:00-10:50 {long}\n")


def test_two_courses_at_one_time_stand_in_one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn([row("Monday"), row("Monday", "李小龍-1")], 80, monkeypatch).splitlines()
    cells = [line.split("│")[1].strip() for line in lines[3:]]
    assert cells == ["CS101-001", "", "李小龍-1"]


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_week_without_colour_still_tells_who_waits(
    filled: World, tmp_path: Path, env: dict[str, str]
) -> None:
    coloured = at_terminal("courses", "S1", "--week", database=filled.url, home=tmp_path)[1]
    shown = at_terminal("courses", "S1", "--week", database=filled.url, home=tmp_path, env=env)[1]
    assert "\x1b[33m" in coloured  # the one waited for, yellow
    assert "\x1b[3" not in shown
    assert "… place 1" in shown


def test_a_week_executes_nothing_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for attack in (*ATTACKS.values(), "[red]x[/red]", "[link=http://x]x[/link]"):
        for columns in (30, 120):
            shown = drawn([row("Monday", attack, room=attack)], columns, monkeypatch)
            assert EXECUTED.findall(shown) == []
            assert "10:00" in shown
    assert "[red]" in drawn([row("Monday", "[red]x")], 120, monkeypatch)


# ── in a pipe ────────────────────────────────────────────────────────────────────────────


def test_a_pipe_gets_a_row_per_day_and_meeting(filled: World, run: Run) -> None:
    done = run("courses", "S1", "--week", database=filled.url)
    header, *lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, header) == (0, "", HEADER)
    assert [line.split("\t")[0] for line in lines] == [
        "Monday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Friday",
    ]  # fmt: skip
    assert lines[2].split("\t") == [
        "Tuesday", "09:00", "10:15", "2026FA/MATH210-1", "Some title", "Hall 204",
        "2026-09-01", "2026-10-15", "enrolled",
    ]  # fmt: skip
    assert lines[0].split("\t")[-3:] == ["2026-08-31", "2026-12-18", "waitlisted"]


def test_every_format_holds_the_same_week(filled: World, command: Run) -> None:
    def shown(fmt: str) -> str:
        done = command("courses", "S1", "--week", "--format", fmt, database=filled)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    rows = json.loads(shown("json"))
    assert [json.loads(line) for line in shown("jsonl").splitlines()] == rows
    assert list(rows[0]) == HEADER.split("\t")
    assert [{k: v or "" for k, v in row.items()} for row in rows] == read_tsv(shown("tsv"))
    assert shown("csv").splitlines()[0] == HEADER.replace("\t", ",")


def test_a_piped_table_is_the_grid_as_wide_as_it_needs(filled: World, command: Run) -> None:
    meets(filled, "CS101", "F 08:00-09:00 @" + "x" * 200, term="2026FA")
    done = command("courses", "S1", "--week", "--format", "table", database=filled)
    assert done.stdout == (
        "S1  Ada King  2026FA\n"
        "Time         Monday     Tuesday         Wednesday  Thursday        Friday\n"
        f"08:00-09:00{' ' * 56}CS101-1\n"
        f"{' ' * 67}{'x' * 200}\n"
        "09:00-10:15             MATH210-1                  MATH210-1\n"
        "                        Hall 204                   Hall 204\n"
        "                        09-01 to 10-15             09-01 to 10-15\n"
        "10:00-10:50  ART130-1\n"
        "             Studio\n"
        "             … place 1\n"
        "… place: on the waitlist, not enrolled\n"
        "without meetings: THESIS-1 Some title\n"
    )


def test_what_the_grid_cannot_show_is_named_below_it(filled: World, command: Run) -> None:
    filled.term("2027SP", starts_on="2027-01-11", ends_on="2027-05-07")
    filled.course("SEMINAR", term="2027SP", capacity=0, waitlist=1, title="Late")
    filled.submit("enroll", "S1", "SEMINAR", term="2027SP").require()
    shown = command(
        "courses", "S1", "--week", "--term", "2027SP", "--format", "table", database=filled
    ).stdout
    assert shown == "S1  Ada King  2027SP\nwithout meetings: SEMINAR-1 Late (waitlisted)\n"
    notes = week.notes([], [], ["2027SP", "2028FA"])
    assert notes == ["no courses", "not shown: courses in 2027SP, 2028FA (--term)"]


def test_a_week_without_courses_says_so(sqlite_world: World, command: Run) -> None:
    sqlite_world.student("S1")
    done = command("courses", "S1", "--week", database=sqlite_world)
    assert (done.returncode, done.stdout) == (0, f"{HEADER}\n")
    done = command("courses", "S1", "--week", "--format", "table", database=sqlite_world)
    assert done.stdout == "S1  \nno courses\n"


def test_a_day_of_one_date_is_said_as_such() -> None:
    day = datetime(2026, 10, 12, tzinfo=UTC).date()
    out = io.StringIO()
    grid = week.layout([row("Monday", room="B 12", first=day, last=day, is_dated=True)])
    week.week(grid, "S1", [], out)
    assert "B 12\n             on 10-12\n" in out.getvalue()


def test_a_week_needs_a_student(sqlite_world: World, command: Run) -> None:
    done = command("courses", "--week", database=sqlite_world)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: --week shows the week of a student, and none is named [usage]\n"
        "hint: studentcli courses STUDENT --week\n"
    )

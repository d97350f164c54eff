"""Each rule holds through the command line, a file and HTTP, with one code, on both engines."""

from pathlib import Path

import pytest

from studentcli import errors
from studentcli.rules import OVERRIDABLE, TRANSITIONS, book
from tests.conftest import Run
from tests.door import Door
from tests.situations import COURSE, SITUATIONS, STUDENT, Situation, grant
from tests.world import World

GRADE = {"complete": "A"}
OVER_HTTP = {"enroll", "drop"}
"""What HTTP offers; `test_the_table_knows_every_way_to_change_an_enrollment` holds it."""

by_name = pytest.mark.parametrize("situation", SITUATIONS, ids=str)


@pytest.fixture
def site(situation: Situation, door: Door) -> Door:
    """Fill a world so that the situation is there."""
    door.world.student(STUDENT)
    situation.fill(door.world)
    return door


class Doors:
    """The three doors of one world, through which S1 asks for the same thing."""

    def __init__(self, door: Door, command: Run, folder: Path, action: str) -> None:
        self.door, self.command, self.folder, self.action = door, command, folder, action

    def by_command(self, *options: str) -> tuple[int, str]:
        """Type it; gives exit code and stderr."""
        grade = ["--grade", GRADE[self.action]] if self.action in GRADE else []
        done = self.command(
            self.action, STUDENT, COURSE, *grade, *options, database=self.door.world
        )
        return done.returncode, done.stderr

    def by_file(self, *options: str) -> tuple[int, str]:
        """Import it; gives exit code and stderr."""
        term, _, course = COURSE.partition("/")
        cells = [self.action, STUDENT, term, *course.split("-"), GRADE.get(self.action, "")]
        header = "action,student,term,course,section,grade"
        path = self.folder / "one.csv"
        path.write_text(f"{header}\n{','.join(cells)}\n", encoding="utf-8")
        done = self.command(
            "import", str(path), "--on-error", "skip", *options, database=self.door.world
        )
        return done.returncode, done.stderr

    def by_http(self) -> tuple[int, list[str]]:
        """Send it; gives the status and the codes of the refusals."""
        call = {"enroll": self.door.enroll, "drop": self.door.drop}[self.action]
        answer = call(STUDENT, COURSE)
        refusals = answer.json().get("refusals", [])
        return answer.status_code, [refusal["code"] for refusal in refusals]


@pytest.fixture
def doors(site: Door, command: Run, tmp_path: Path, situation: Situation) -> Doors:
    """Give the doors of the filled world."""
    return Doors(site, command, tmp_path, situation.action)


def refusals(world: World) -> list[tuple[str, object]]:
    """Give code and detail of every refusal that was recorded."""
    recorded = [event for events in world.events().values() for event in events]
    return [(code, detail) for *_, code, _, detail in recorded if code is not None]


# ── the table is whole ──


def test_every_rule_of_the_book_and_every_state_has_a_situation() -> None:
    rules = {
        "enroll": [rule.code for rule in book.ADDING] + list(book.SEATING),
        **{action: [rule.code for rule in rows] for action, rows in book.LEAVING.items()},
    }
    wanted = {(code, action) for action, codes in rules.items() for code in codes}
    wanted |= {
        (verdict, action)
        for (_, action), verdict in TRANSITIONS.items()
        if verdict in errors.BY_CODE
    }
    assert {(one.code, one.action) for one in SITUATIONS} == wanted
    assert {code for code, _ in wanted} >= OVERRIDABLE


def test_the_table_knows_every_way_to_change_an_enrollment(door: Door) -> None:
    operations = {
        (method.upper(), path)
        for path, methods in door.app.openapi()["paths"].items()
        for method in methods
        if method != "get"
    }
    assert operations == {
        ("POST", "/students/{student_id}/enroll"),
        ("DELETE", "/students/{student_id}/courses/{course_id}"),
    }
    assert {one.action for one in SITUATIONS} == {"enroll", "drop", "withdraw", "complete"}


# ── the doors ──


@by_name
def test_a_rule_holds_through_every_door_with_the_same_code(
    doors: Doors, situation: Situation
) -> None:
    world, code = doors.door.world, situation.code
    error, before = errors.BY_CODE[code], world.statuses()
    already = refusals(world)

    for forecast in (["--dry-run"], []):
        for by_door, wanted in ((doors.by_command, error.exit_status), (doors.by_file, 6)):
            exit_code, stderr = by_door(*forecast)
            assert (exit_code, stderr.count(f"[{code}]")) == (wanted, 1), stderr
    asked = 2  # a forecast records nothing
    if situation.action in OVER_HTTP:
        assert doors.by_http() == (error.http_status, [code])
        asked = 3

    assert world.statuses() == before
    told = refusals(world)[len(already) :]
    assert told == [(code, told[0][1])] * asked  # in the same words
    assert '"message": ' in str(told[0][1])


@pytest.mark.parametrize(
    "situation", [one for one in SITUATIONS if one.code in OVERRIDABLE], ids=str
)
def test_a_granted_override_lets_it_through_every_door(doors: Doors, situation: Situation) -> None:
    world = doors.door.world
    grant(world, situation.code)
    assert doors.by_command("--dry-run")[0] == 0
    assert doors.by_file("--dry-run")[0] == 0
    if situation.action in OVER_HTTP:
        assert doors.by_http()[0] in {200, 201}
    else:
        assert doors.by_command()[0] == 0
    last = world.events()[COURSE][-1]
    assert (last[1], last[6]) == (situation.action, None)
    assert f'"overrides": ["{situation.code}"]' in last[8]
    assert '"granted": [1]' in last[8]


@pytest.mark.parametrize(
    "situation", [one for one in SITUATIONS if one.code not in OVERRIDABLE], ids=str
)
def test_what_is_no_rule_cannot_be_overridden(doors: Doors, situation: Situation) -> None:
    grant(doors.door.world, situation.code)
    assert doors.by_command()[0] == errors.BY_CODE[situation.code].exit_status
    if situation.action in OVER_HTTP:
        assert doors.by_http()[1] == [situation.code]

"""What nobody can read in a SQLite file that was edited by hand is told, whatever asks for it."""

import pytest

from tests.conftest import Run
from tests.world import World


@pytest.fixture
def edited(sqlite_world: World, request: pytest.FixtureRequest) -> World:
    """A term with one enrollment, and one value in it that somebody has edited."""
    sqlite_world.term("FA", starts_on="2026-09-01")
    sqlite_world.student("S1")
    sqlite_world.course("A", term="FA", credits="3")
    sqlite_world.import_csv("student,course,term\nS1,A,FA\n")
    with sqlite_world.database.connect(writes=True) as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = 1")
        connection.exec_driver_sql(f"UPDATE {request.param}")
        connection.commit()
    return sqlite_world


DATE = "student_courses SET enrolled_on = '2026-13-45'"
TIME = "operations SET started_at = 'yesterday'"
TERM = "terms SET starts_on = 'spring'"
HOURS = "courses SET credit_hours = 'three'"


@pytest.mark.parametrize(
    ("edited", "words", "what"),
    [
        (DATE, ["courses", "S1"], "'2026-13-45' stands where a date should"),
        (DATE, ["roster", "FA/A"], "'2026-13-45' stands where a date should"),
        (DATE, ["export", "enrollments"], "'2026-13-45' stands where a date should"),
        (DATE, ["enroll", "S1", "FA/A"], "the enrollments of S1 cannot be read"),
        (TIME, ["batch", "list"], "'yesterday' stands where a time should"),
        (TERM, ["term", "list"], "'spring' stands where a date should"),
        (TERM, ["enroll", "S1", "FA/A"], "'spring' stands where a date should"),
        (HOURS, ["courses"], "'three' stands where a number should"),
    ],
    indirect=["edited"],
)  # fmt: skip
def test_a_value_that_nobody_can_read_is_damage_and_no_traceback(
    edited: World, command: Run, words: list[str], what: str
) -> None:
    done = command(*words, database=edited)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (7, [])
    error, hint = done.stderr.splitlines()
    assert error == f"error: {what} [database-damaged]"
    assert hint.startswith("hint: studentcli db check says ")


@pytest.mark.parametrize("edited", [DATE, TERM, HOURS], indirect=True)
def test_the_check_that_the_hint_names_finds_it(edited: World, command: Run) -> None:
    done = command("db", "check", "--format", "csv", database=edited)
    assert done.returncode == 7
    assert "cannot be read: " in done.stdout
    assert " stands where a " in done.stdout

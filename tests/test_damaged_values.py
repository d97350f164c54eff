"""What nobody can read in a SQLite file that was edited by hand is told, whatever asks for it."""

import pytest

from studentcli import errors
from tests.conftest import Run
from tests.world import World


@pytest.fixture
def edited(sqlite_world: World, request: pytest.FixtureRequest) -> World:
    """A term with an enrollment, a hold and an override, and a value that somebody has edited."""
    sqlite_world.term("FA", starts_on="2026-09-01")
    sqlite_world.student("S1")
    sqlite_world.course("A", term="FA", credits="3")
    sqlite_world.import_csv("student,course,term\nS1,A,FA\n")
    sqlite_world.hold("S1")
    sqlite_world.override("S1", "FA/A", "hold")
    with sqlite_world.database.connect(writes=True) as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = 1")
        connection.exec_driver_sql(f"UPDATE {request.param}")
        connection.commit()
    return sqlite_world


DATE = "student_courses SET enrolled_on = '2026-13-45'"
TIME = "operations SET started_at = 'yesterday'"
TERM = "terms SET starts_on = 'spring'"
HOURS = "courses SET credit_hours = 'three'"
NO_NUMBER = "courses SET credit_hours = 'nan'"
SEATS = "courses SET capacity = 'many'"
HOLD = "holds SET from_on = 'soon'"
OVERRIDE = "overrides SET until_on = 'ever'"
BYTES = "student_courses SET status_since = X'ff'"
REPEATS = "courses SET repeats = 'often'"


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
        (NO_NUMBER, ["enroll", "S1", "FA/A"], "'nan' stands where a number should"),
        (SEATS, ["enroll", "S1", "FA/A"], "'many' stands where a whole number should"),
        (REPEATS, ["explain", "S1", "FA/A"], "'often' stands where a whole number should"),
        (HOLD, ["drop", "S1", "FA/A"], "the holds of S1 cannot be read"),
        (OVERRIDE, ["enroll", "S1", "FA/A"], "the overrides of S1 cannot be read"),
        (BYTES, ["explain", "S1", "FA/A"], "a text in {} is no UTF-8"),
    ],
    indirect=["edited"],
)
def test_a_value_that_nobody_can_read_is_damage_and_no_traceback(
    edited: World, command: Run, words: list[str], what: str
) -> None:
    done = command(*words, database=edited)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (7, [])
    error, hint = done.stderr.splitlines()
    assert error == f"error: {what.format(edited.database)} [database-damaged]"
    assert hint == f"hint: {errors.DatabaseDamaged.default_hint}"


@pytest.mark.parametrize(
    "edited",
    [DATE, TIME, TERM, HOURS, NO_NUMBER, SEATS, REPEATS, HOLD, OVERRIDE],
    indirect=True,
)
def test_the_check_finds_it_and_names_the_table(
    edited: World, command: Run, request: pytest.FixtureRequest
) -> None:
    done = command("db", "check", "--format", "csv", database=edited)
    assert done.returncode == 7
    _, found, attention = done.stdout.splitlines()
    table = request.node.callspec.params["edited"].split()[0].replace("student_courses", "enrol")
    assert found.startswith(f"value,{table}")
    assert " stands where a " in found
    assert attention.startswith("rules,database,")

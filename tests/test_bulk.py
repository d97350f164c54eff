"""A load that dominates its table: the indexes are made after the rows, and nobody can tell."""

from sqlalchemy import text

from studentcli.services.bulk import WORTH_IT
from studentcli.services.checks import check_database
from tests.world import World

STUDENTS = 100


def big_file(*more: str) -> str:
    """Write more rows than the threshold: every student in every course, then the rows given."""
    courses = WORTH_IT // STUDENTS + 1
    pairs = (f"enroll,S{s},C{c},ALL,2026-09-01" for s in range(STUDENTS) for c in range(courses))
    return "\n".join(("action,student,course,term,effective_on", *pairs, *more, ""))


def fill(world: World) -> None:
    world.import_csv("student\n" + "".join(f"S{n}\n" for n in range(STUDENTS)))
    courses = range(WORTH_IT // STUDENTS + 1)
    world.import_csv("term,course\n" + "".join(f"ALL,C{n}\n" for n in courses))


def indexes(world: World) -> set[str]:
    query = "SELECT name || sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    with world.database.connect(writes=False) as connection:
        return set(connection.execute(text(query)).scalars())


def test_a_first_load_leaves_every_index_as_the_migrations_made_it(sqlite_world: World) -> None:
    fill(sqlite_world)
    before = indexes(sqlite_world)
    result, _ = sqlite_world.import_csv(big_file())
    assert result.totals["enrolled"] > WORTH_IT
    assert indexes(sqlite_world) == before
    assert sqlite_world.database.read(check_database) == []


def test_an_aborted_first_load_leaves_every_index_too(sqlite_world: World) -> None:
    fill(sqlite_world)
    before = indexes(sqlite_world)
    result, _ = sqlite_world.import_csv(big_file("enroll,nobody,C1,ALL,2026-09-01"))
    assert result.aborted
    assert indexes(sqlite_world) == before
    assert sqlite_world.count("student_courses") == 0


def test_a_first_load_that_needs_its_own_history_finds_it(world: World) -> None:
    fill(world)
    again = (
        "drop,S1,C1,ALL,2026-09-01",
        "enroll,S1,C1,ALL,2026-09-01",
        "drop,S2,C2,ALL,2026-08-01",
    )
    result, _ = world.import_csv(big_file(*again), chunk=WORTH_IT)
    assert result.totals["dropped"] == 1
    assert result.totals["unchanged"] == 1
    assert result.totals["superseded"] == 1

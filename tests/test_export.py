"""Exporting and importing into an empty database gives the same states."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.world import World

KINDS = ("terms", "courses", "students", "enrollments")


def fill(world: World) -> None:
    world.term("2026FA", starts_on="2026-09-01", ends_on="2026-12-18", time_zone="Europe/Berlin")
    world.student(*(f"S{n}" for n in range(9)), family_name='O"Brien, née Ö', email="a@b.org")
    world.student("00731", "=HYPERLINK(1)", max_credits="18.5")
    world.course("CS101", term="2026FA", section="002", capacity=2, waitlist=5, credits="1.5")
    world.course("ART", term="2026FA")
    for number in range(6):
        world.submit("enroll", f"S{number}", "2026FA/CS101", "2026FA/ART")
    world.submit("complete", "S0", "2026FA/ART", grade="B+")
    world.submit("withdraw", "S1", "2026FA/ART")
    world.submit("drop", "S2", "2026FA/ART")
    world.submit("drop", "S1", "2026FA/CS101")
    world.student("S3", status="inactive")
    world.course("ART", term="2026FA", status="closed")
    world.course("CS101", term="2026FA", section="002", capacity=1, waitlist=1)


def fill_rule_book(world: World) -> None:
    """Let the catalogue ask what today's enrollments do not meet."""
    fill(world)
    world.student("S7", tags="level:senior major:CS")
    world.course("CS101", term="2026FA", section="001", capacity=4, waitlist=2)
    world.submit("enroll", "S7", "2026FA/CS101-001").require()
    world.course("CS101", term="2026FA", section="002", waitlist=9)
    world.submit("enroll", "S7", "2026FA/CS101-002", instead_of="2026FA/CS101-001").require()
    asked = {
        "requires": "MATH:B|LOGIC:in-progress", "corequisites": "LAB", "repeats": 0,
        "meetings": "MWF 10:00-10:50 @B 12", "restricted": "level:senior & !guest",
        "reserved": "honors=1 until 2026-12-01", "enroll_from": "2026-08-01",
        "enroll_until": "2026-08-02", "drop_until": "2026-08-03", "withdraw_until": "2026-08-04",
    }  # fmt: skip
    for code, section in (("ART", "1"), ("CS101", "001"), ("CS101", "002")):
        world.course(code, term="2026FA", section=section, **asked)
    world.term("2026FA", enroll_until="2026-09-02", max_credits=1, max_waitlists=0,
               grades="A B+ B | F")  # fmt: skip


def states(world: World) -> dict[tuple[str, str], tuple[object, ...]]:
    """Status, date of the add and grade; the order of the queue instead of its places."""
    found = world.enrollments()
    queue = sorted((k for k, s in found.items() if s[0] == "waitlisted"), key=lambda k: found[k][3])
    return {
        key: (state[0], state[1], state[4], queue.index(key) if key in queue else None)
        for key, state in found.items()
    }


@pytest.mark.parametrize("filling", [fill, fill_rule_book])
def test_exporting_and_importing_gives_the_same_states(
    world: World, engine: str, new_database: Callable[..., str], run: Run, tmp_path: Path,
    filling: Callable[[World], None],
) -> None:  # fmt: skip
    filling(world)
    copy = World(new_database(engine))
    for kind in KINDS:
        path = tmp_path / f"{kind}.csv"
        done = run("export", kind, "-o", str(path), database=world.url)
        assert done.returncode == 0, done.stderr
        assert path.stat().st_mode & 0o777 == 0o600
        done = run("import", str(path), database=copy.url)
        assert done.returncode == 0, done.stderr

    assert states(copy) == states(world)
    for kind in KINDS:
        exported = [run("export", kind, database=url).stdout for url in (world.url, copy.url)]
        assert exported[0] == exported[1]


def test_a_pipe_gets_the_same_csv(world: World, run: Run) -> None:
    fill(world)
    done = run("export", "students", database=world.url)
    assert (
        done.stdout.splitlines()[0]
        == "student,given_name,family_name,email,status,max_credits,tags"
    )
    assert '"O""Brien, née Ö"' in done.stdout
    neutral = run("export", "students", "--excel", database=world.url)
    assert "\n'=HYPERLINK(1)," in neutral.stdout

"""The guards of a sync: what they let through, what they stop, and that nothing is changed then."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from studentcli import errors
from studentcli.services.syncing import Limits, read_limits, read_scope
from studentcli.services.syncing.guards import (
    CourseFigures,
    Earlier,
    Figures,
    require_drops_allowed,
    require_newer,
)
from tests.desk import rows
from tests.syncing import sync
from tests.test_undoing import undo
from tests.world import World

YESTERDAY = datetime(2026, 10, 4, 3, tzinfo=UTC)
LAST = Earlier(9, "last", YESTERDAY)


def figures(*courses: tuple[int, int]) -> Figures:
    """Make figures of (live, drops) of each course."""
    found = [CourseFigures(f"C{at}", live, drops, 0) for at, (live, drops) in enumerate(courses)]
    whole = [sum(course[at] for course in courses) for at in (0, 1)]
    return Figures(CourseFigures("term=FA", whole[0], whole[1], 0), found)


@pytest.mark.parametrize(
    ("limits", "courses", "stops"),
    [
        # a share counts in the scope, and in each course
        (["5%"], [(1000, 50)], False),
        (["5%"], [(1000, 51)], True),
        (["5%"], [(10_000, 0), (100, 6)], True),
        (["5%"], [(10_000, 0), (100, 5)], False),
        (["5%"], [(100, 6), (100, 6), (100, 6)], True),
        (["2.5%"], [(1000, 25)], False),
        (["2.5%"], [(1000, 26)], True),
        # a few are no disaster, everybody is
        (["5%"], [(10, 5)], False),
        (["5%"], [(10, 6)], True),
        (["5%"], [(10_000, 0), (10, 5)], False),
        (["20%"], [(10_000, 0), (10, 5)], False),
        # a share below the usual one is meant as it is
        (["0%"], [(10, 5)], True),
        (["0%"], [(10, 1)], True),
        (["0%"], [(10, 0)], False),
        (["4%"], [(1000, 0), (10, 1)], True),
        (["5%"], [(10_000, 0), (4, 4)], True),
        (["5%"], [(10_000, 0), (2, 2)], True),
        (["5%"], [(10_000, 0), (1, 1)], False),
        (["99%"], [(10_000, 0), (40, 40)], True),
        (["100%"], [(40, 40)], False),
        # a number counts in the scope, and the usual share beside it
        (["200"], [(200, 200)], True),
        (["200"], [(10_000, 0), (40, 40)], True),
        (["200"], [(10_000, 200)], False),
        (["200"], [(10_000, 201)], True),
        (["100%", "200"], [(200, 200)], False),
        (["200", "100%"], [(150, 100), (150, 101)], True),
        (["0"], [(100, 0)], False),
        (["0"], [(100, 1)], True),
        # both hold
        (["5%", "200"], [(10_000, 201)], True),
        (["5%", "200"], [(10_000, 200)], False),
        (["200", "5%"], [(1000, 100)], True),
        # 5% is on without being asked for
        ([], [(1000, 50)], False),
        ([], [(1000, 51)], True),
        ([], [(0, 0)], False),
    ],
)
def test_the_guard_of_the_drops(
    limits: list[str], courses: list[tuple[int, int]], *, stops: bool
) -> None:
    found = figures(*courses)
    if not stops:
        require_drops_allowed(found, read_limits(limits))
        return
    with pytest.raises(errors.TooManyDrops) as stopped:
        require_drops_allowed(found, read_limits(limits))
    error = stopped.value
    assert error.hint is not None
    named, _, replaced = error.hint.partition(" in place of ")
    require_drops_allowed(found, read_limits(re.findall(r"--max-drops (\S+)", named)))
    typed = set(re.findall(r"--max-drops ([^ ,]+)", replaced))
    assert set(limits) - {"5%"} <= typed <= {*limits, "5%"}
    assert any(row["over"] for row in error.figures)


@pytest.mark.parametrize(
    "text", ["", "%", "5 %", "-1", "-5%", "101%", "1.5", "1e3", "5%%", "٥", "lots", "5percent"]
)
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(errors.Usage, match="no share and no number"):
        read_limits([text])


def test_a_limit_of_a_kind_is_given_once() -> None:
    for twice in (["5%", "6%"], ["5", "6"]):
        with pytest.raises(errors.Usage, match="twice"):
            read_limits(twice)
    assert read_limits(["5%", "6"]) == Limits(share=read_limits(["5%"]).share, number=6)


@pytest.mark.parametrize(
    "text",
    [None, "", "2026FA", "term=", "course=CS*", "term=FA,term=SP", "term=FA,section=1", "term=FA,"],
)
def test_a_scope_that_cannot_be_read_is_refused(text: str | None) -> None:
    with pytest.raises(errors.Usage):
        read_scope(text)


@pytest.mark.parametrize(
    ("sha256", "written_at", "earlier", "stops"),
    [
        ("new", YESTERDAY, [], False),
        ("new", YESTERDAY, [LAST], False),
        ("new", YESTERDAY + timedelta(1), [LAST], False),
        ("new", YESTERDAY - timedelta(minutes=1), [LAST], True),
        ("new", None, [LAST], False),
        # a copy of the last file that has lost its time says nothing new about it
        ("new", YESTERDAY - timedelta(1), [LAST._replace(written_at=None), LAST], True),
        (
            "new",
            YESTERDAY - timedelta(1),
            [LAST._replace(sha256="own", written_at=None), LAST],
            False,
        ),
        ("new", YESTERDAY - timedelta(1), [LAST._replace(written_at=None)], False),
        # the last file again, also when its time was lost: there is nothing to do
        ("last", YESTERDAY - timedelta(1), [LAST], False),
        # a second is as fine as times are compared
        (
            "new",
            YESTERDAY,
            [LAST._replace(written_at=YESTERDAY + timedelta(milliseconds=9))],
            False,
        ),
        ("new", YESTERDAY, [LAST._replace(written_at=YESTERDAY + timedelta(seconds=1))], True),
        # what was written after the last file is newer, also when it says what an earlier one said
        ("first", YESTERDAY + timedelta(1), [LAST, Earlier(5, "first", None)], False),
        ("first", YESTERDAY + timedelta(1), [LAST, LAST._replace(sha256="first")], False),
        # a file that another one came after, when no time says more
        ("first", YESTERDAY, [LAST, Earlier(5, "first", None)], True),
        ("first", YESTERDAY + timedelta(milliseconds=9), [LAST, Earlier(5, "first", None)], True),
        (
            "first",
            YESTERDAY + timedelta(1),
            [LAST._replace(written_at=None), Earlier(5, "first", YESTERDAY)],
            True,
        ),
        ("first", None, [LAST, Earlier(7, "second", None), Earlier(5, "first", None)], True),
        ("last", None, [LAST, Earlier(5, "last", None)], False),
    ],
)
def test_the_guard_of_the_older_file(
    sha256: str, written_at: datetime | None, earlier: list[Earlier], *, stops: bool
) -> None:
    if not stops:
        require_newer("f.csv", sha256, written_at, earlier)
        return
    with pytest.raises(errors.OlderFile, match=r"f\.csv .* batch 9"):
        require_newer("f.csv", sha256, written_at, earlier)


@pytest.fixture
def term(world: World) -> World:
    """Give a course with ten students, and one with two."""
    world.student(*(f"S{n}" for n in range(10)))
    world.course("ART", "BIO")
    both = [f"S{n},ART\n" for n in range(10)] + ["S1,BIO\n", "S2,BIO\n"]
    world.import_csv("student,course\n" + "".join(both))
    return world


def listed(*numbers: int, bio: str = "S1,BIO\nS2,BIO\n") -> str:
    return "student,course\n" + "".join(f"S{n},ART\n" for n in numbers) + bio


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (listed(0, 1, 2, 3), errors.TooManyDrops),
        (listed(*range(10), bio=""), errors.TooManyDrops),
        (listed(bio=""), errors.EmptyFile),
    ],
)
def test_a_guard_that_stops_changes_nothing(
    term: World, content: str, error: type[errors.StudentcliError], *, dry_run: bool
) -> None:
    before = rows(term)
    with pytest.raises(error, match="nothing was changed"):
        sync(term, content, max_drops=(), allow=(), dry_run=dry_run)
    assert rows(term) == before


def test_what_a_guard_names_lets_the_file_through(term: World) -> None:
    assert sync(term, listed(0, 1, 2, 3), max_drops=["60%"], allow=())[0].totals["dropped"] == 6
    with pytest.raises(errors.TooManyDrops):
        sync(term, listed(bio=""), max_drops=(), allow=["empty-file"])
    everybody, _ = sync(term, listed(bio=""), max_drops=["100%"], allow=["empty-file"])
    assert everybody.totals["dropped"] == 6


def test_no_guard_of_drops_where_nobody_is_dropped(term: World) -> None:
    result, _ = sync(term, listed(0), max_drops=(), allow=(), absent="keep")
    assert dict(result.totals) == {"unchanged": 3, "kept": 9}


def test_a_file_that_another_came_after_is_older(term: World) -> None:
    monday, tuesday = listed(*range(10)), listed(*range(9))
    sync(term, monday, allow=())
    sync(term, tuesday, allow=())
    with pytest.raises(errors.OlderFile):
        sync(term, monday, allow=["empty-file"])
    sync(term, tuesday, allow=())
    assert sync(term, monday, allow=["older-file"])[0].totals["enrolled"] == 1


def test_a_file_that_one_of_a_wider_or_narrower_scope_came_after_is_older(term: World) -> None:
    art = "student,course\n" + "".join(f"S{n},ART\n" for n in range(10))
    early, noon, late = (YESTERDAY + timedelta(hours=hours) for hours in range(3))
    sync(term, listed(*range(10)), written_at=noon)
    with pytest.raises(errors.OlderFile, match="before the file of batch"):
        sync(term, art, "term=ALL,course=ART", written_at=early, allow=())
    sync(term, art, "term=ALL,course=A*", written_at=late, allow=())
    with pytest.raises(errors.OlderFile, match="before the file of batch"):
        sync(term, listed(*range(10)), written_at=noon + timedelta(minutes=1), allow=())
    bio = "student,course\nS1,BIO\nS2,BIO\n"
    sync(term, bio, "term=ALL,course=B*", written_at=noon + timedelta(minutes=1), allow=())


def test_a_narrower_sync_since_hides_no_newer_file_of_the_scope(term: World) -> None:
    old, new, bio = listed(*range(10)), listed(*range(9)), "student,course\nS1,BIO\nS2,BIO\n"
    sync(term, old, allow=())
    sync(term, new, written_at=YESTERDAY, allow=())
    sync(term, bio, "term=ALL,course=BIO", allow=())
    with pytest.raises(errors.OlderFile):
        sync(term, old, written_at=YESTERDAY - timedelta(hours=2), allow=())
    sync(term, old, "term=ALL,course=BIO", allow=["older-file"], on_error="skip")
    with pytest.raises(errors.OlderFile):
        sync(term, old, allow=())


def test_the_file_of_another_scope_is_not_older(term: World) -> None:
    art = "student,course\n" + "".join(f"S{n},ART\n" for n in range(10))
    sync(term, art, "term=ALL,course=ART", allow=())
    sync(term, art, "term=ALL,course=?RT", allow=())
    sync(term, art, "term=ALL,course=ART", allow=())


def test_an_undone_sync_is_not_the_last_file(term: World) -> None:
    sync(term, listed(*range(10)))
    last, _ = sync(term, listed(*range(9)), allow=())
    assert last.operation_id is not None
    undo(term, last.operation_id)
    assert sync(term, listed(*range(10)), allow=())[0].totals == {"unchanged": 12}


def test_a_file_written_before_the_last_one_is_older(term: World) -> None:
    sync(term, listed(*range(10)), written_at=YESTERDAY)
    with pytest.raises(errors.OlderFile, match="before the file of batch"):
        sync(term, listed(*range(9)), written_at=YESTERDAY - timedelta(hours=1), allow=())
    sync(term, listed(*range(9)), written_at=YESTERDAY + timedelta(hours=1), allow=())


def test_a_newer_file_may_say_what_an_earlier_one_said(term: World) -> None:
    for day, numbers in enumerate((range(10), range(9), range(10))):
        sync(term, listed(*numbers), written_at=YESTERDAY + timedelta(day), allow=())
    assert len(term.statuses()) == 12


def test_an_aborted_sync_is_not_the_last_file(term: World) -> None:
    sync(term, listed(*range(10)), written_at=YESTERDAY)
    broken, _ = sync(term, listed(*range(9), 77), written_at=YESTERDAY + timedelta(hours=2))
    assert broken.aborted
    sync(term, listed(*range(9)), written_at=YESTERDAY + timedelta(hours=1), allow=())

"""What the commands say: where somebody stands, what would be, what follows, and the exit code."""

import pytest

from tests.conftest import Run
from tests.world import World


@pytest.fixture
def desk(sqlite_world: World) -> World:
    """Give three students and a course with one seat and a queue."""
    sqlite_world.student("S1", "S2", "S3", given_name="Ada", family_name="King")
    sqlite_world.course("CS101", capacity=1, waitlist=5, credits="3", title="Computing")
    sqlite_world.course("MATH200")
    return sqlite_world


# ── the exit code of a command refused in part ───────────────────────────────────────────


@pytest.mark.parametrize("again", [False, True], ids=["applied", "already-so"])
def test_a_command_of_which_a_part_holds_is_refused_and_not_said_to_be_not_found(
    desk: World, run: Run, *, again: bool
) -> None:
    if again:
        desk.submit("enroll", "S1", "MATH200").require()
    done = run("enroll", "S1", "MATH200", "NOPE", database=desk.url)
    assert (done.returncode, "[unknown-course]" in done.stderr) == (4, True)
    assert desk.statuses() == {("S1", "ALL/MATH200-1"): "enrolled"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("enroll S1 NOPE NADA", 3),
        ("enroll S9 CS101", 3),
        ("drop S1 NOPE MATH200", 4),
        ("enroll S1 MATH200 NOPE --all-or-none", 4),
    ],
)
def test_not_found_is_said_only_when_nothing_else_is_wrong(
    desk: World, run: Run, line: str, code: int
) -> None:
    assert run(*line.split(), database=desk.url).returncode == code
    assert desk.statuses() == {}


# ── a place in the queue ─────────────────────────────────────────────────────────────────


def test_who_waits_already_is_told_the_place(desk: World, run: Run) -> None:
    for number in ("S1", "S2", "S3"):
        desk.submit("enroll", number, "CS101").require()
    again = run("enroll", "S3", "CS101", "--format", "csv", database=desk.url)
    assert again.stdout.splitlines()[1] == (
        "S3,ALL/CS101-1,enroll,unchanged,waitlisted,2,,"
        '"S3 is already waitlisted in ALL/CS101-1, place 2"'
    )


# ── the same letters, however they are typed ─────────────────────────────────────────────

COMPOSED, DECOMPOSED = "\u00d6-1", "O\u0308-1"


def test_a_word_means_the_same_composed_and_decomposed(world: World, run: Run) -> None:
    world.term(COMPOSED)
    world.student(COMPOSED)
    world.course(COMPOSED, term=COMPOSED, section="1")
    world.submit("enroll", COMPOSED, f"{COMPOSED}/{COMPOSED}").require()
    for line in (
        ("courses", "--term", DECOMPOSED),
        ("history", "--student", DECOMPOSED),
        ("history", "--course", f"{DECOMPOSED}/{DECOMPOSED}-1"),
        ("history", "--term", f" {DECOMPOSED} "),
        ("student", "list", "--search", DECOMPOSED),
    ):
        done = run(*line, "--format", "tsv", database=world.url)
        assert (line, done.returncode, COMPOSED in done.stdout) == (line, 0, True)
    named = run("courses", database=world.url, env={"STUDENTCLI_TERM": DECOMPOSED})
    assert (named.returncode, COMPOSED in named.stdout) == (0, True)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ömer", "Ömer"),
        ("O\u0308MER", "Ömer"),
        ("mer", "Ömer"),
        ("STRASSE", "Straße"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("50%_", "50%_\\"),
        ("@EXAMPLE", "Ada"),
    ],
)
def test_a_search_finds_a_name_in_any_case_and_script(
    world: World, run: Run, search: str, found: str
) -> None:
    for number, name in enumerate(("Ömer", "Straße", "ΣΊΣΥΦΟΣ", "50%_\\", "50x")):
        world.student(f"S{number}", family_name=name)
    world.student("S9", family_name="Ada", email="ada@example.org")
    done = run("student", "list", "--search", search, "--format", "csv", database=world.url)
    assert [line.split(",")[2] for line in done.stdout.splitlines()[1:]] == [found]

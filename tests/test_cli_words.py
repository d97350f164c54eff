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
    desk: World, command: Run, *, again: bool
) -> None:
    if again:
        desk.submit("enroll", "S1", "MATH200").require()
    done = command("enroll", "S1", "MATH200", "NOPE", database=desk.url)
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
    desk: World, command: Run, line: str, code: int
) -> None:
    assert command(*line.split(), database=desk.url).returncode == code
    assert desk.statuses() == {}


# ── a place in the queue ─────────────────────────────────────────────────────────────────


def test_who_waits_already_is_told_the_place(desk: World, command: Run) -> None:
    for number in ("S1", "S2", "S3"):
        desk.submit("enroll", number, "CS101").require()
    again = command("enroll", "S3", "CS101", "--format", "csv", database=desk.url)
    assert again.stdout.splitlines()[1] == (
        "S3,ALL/CS101-1,enroll,unchanged,waitlisted,2,,"
        '"S3 is already waitlisted in ALL/CS101-1, place 2"'
    )


# ── the same letters, however they are typed ─────────────────────────────────────────────

COMPOSED, DECOMPOSED = "\u00d6-1", "O\u0308-1"


def test_a_word_means_the_same_composed_and_decomposed(
    world: World, command: Run, run: Run
) -> None:
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
        done = command(*line, "--format", "tsv", database=world.url)
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
    world: World, command: Run, search: str, found: str
) -> None:
    for number, name in enumerate(("Ömer", "Straße", "ΣΊΣΥΦΟΣ", "50%_\\", "50x")):
        world.student(f"S{number}", family_name=name)
    world.student("S9", family_name="Ada", email="ada@example.org")
    done = command("student", "list", "--search", search, "--format", "csv", database=world.url)
    assert [line.split(",")[2] for line in done.stdout.splitlines()[1:]] == [found]


# ── forecasts say would ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "forecast", "done"),
    [
        ("student add S4", "student S4 would be added", "student S4 added"),
        (
            "course edit MATH200 --title Algebra",
            "course ALL/MATH200-1 would be changed: title",
            "course ALL/MATH200-1 changed: title",
        ),
        ("term add 2026FA", "term 2026FA would be added", "term 2026FA added"),
        ("student renumber S3 S30", "student S3 would be S30", "student S3 is now S30"),
        ("student renumber S3 S3", "student S3 is so already", "student S3 is so already"),
        (
            "course cancel MATH200 --reason quake",
            "ALL/MATH200-1 would be cancelled, 0 students dropped",
            "ALL/MATH200-1 is cancelled, 0 students dropped",
        ),
    ],
)
def test_a_forecast_of_the_catalogue_says_would(
    desk: World, command: Run, line: str, forecast: str, done: str
) -> None:
    before = desk.count("operations")
    told = command(*line.split(), "-n", database=desk.url)
    assert (told.returncode, told.stderr) == (0, f"forecast, nothing was changed: {forecast}\n")
    assert desk.count("operations") == before
    assert command(*line.split(), database=desk.url).stderr == f"{done}\n"


# ── what follows from a change ───────────────────────────────────────────────────────────


def test_lowering_a_capacity_shows_the_seats_and_that_nobody_is_removed(
    desk: World, command: Run
) -> None:
    desk.submit("enroll", "S1", "MATH200").require()
    desk.submit("enroll", "S2", "MATH200").require()
    course = "course ALL/MATH200-1"
    forecast = command("course", "edit", "MATH200", "--capacity", "0", "-n", database=desk.url)
    assert forecast.stderr.splitlines() == [
        f"forecast, nothing was changed: {course} would be changed: capacity (2/0 seats taken)",
        "warning: ALL/MATH200-1 would have 2/0 seats taken; nobody would be removed",
    ]
    done = command("course", "edit", "MATH200", "--capacity", "0", database=desk.url)
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [
            f"{course} changed: capacity (2/0 seats taken)",
            "warning: ALL/MATH200-1 has 2/0 seats taken; nobody is removed",
        ],
    )
    assert set(desk.statuses().values()) == {"enrolled"}


def test_the_seats_after_a_raised_capacity_count_who_moved_up(desk: World, command: Run) -> None:
    for number in ("S1", "S2", "S3"):
        desk.submit("enroll", number, "CS101").require()
    forecast = command("course", "edit", "CS101", "--capacity", "2", "-n", database=desk.url)
    done = command("course", "edit", "CS101", "--capacity", "2", database=desk.url)
    assert "capacity (2/2 seats taken)" in forecast.stderr
    assert "capacity (2/2 seats taken)" in done.stderr
    assert "warning" not in forecast.stderr + done.stderr
    free = command("course", "edit", "CS101", "--capacity=-", database=desk.url)
    assert "capacity (3 seats taken)" in free.stderr


# ── the name of a new course ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["CS101-002", "ALL/CS101-002", "PRE-CALC-1"])
def test_a_new_course_whose_word_is_two_things_is_refused_with_both_ways_to_say_it(
    desk: World, command: Run, word: str
) -> None:
    head, _, tail = word.rpartition("-")
    code = word.rpartition("/")[2]
    done = command("course", "add", word, database=desk.url)
    assert (done.returncode, "[usage]" in done.stderr) == (2, True)
    assert done.stderr.splitlines()[1] == (
        f"hint: studentcli course add {head} --section {tail};"
        f" for the code {code}: studentcli course add {word} --section 1"
    )
    assert desk.count("courses") == 2


def test_a_code_may_hold_a_hyphen_once_its_section_is_named(desk: World, command: Run) -> None:
    done = command("course", "add", "PRE-CALC", "--section", "002", database=desk.url)
    assert (done.returncode, done.stderr) == (0, "course ALL/PRE-CALC-002 added\n")


def test_what_stands_before_a_slash_is_a_term_only_if_there_is_one(
    desk: World, command: Run, run: Run
) -> None:
    desk.term("T1")
    for line, made in (
        (("X/Y", "--term", "T1"), "T1/X/Y-1"),
        (("T1/X", "--term", "ALL"), "T1/X-1"),
        (("T1/A/B",), "T1/A/B-1"),
    ):
        assert command("course", "add", *line, database=desk.url).stderr == f"course {made} added\n"
    mistyped = run("course", "add", "T2/X", database=desk.url, env={"STUDENTCLI_TERM": "T1"})
    assert (mistyped.returncode, "[unknown-term]" in mistyped.stderr) == (3, True)
    assert "--term" in mistyped.stderr

"""What Tab offers: in real shells, from the database in use, silent and without a trace."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from studentcli.cli.app import build_app
from studentcli.cli.shells import SHELLS, answer
from studentcli.database import normalize_url
from studentcli.rules import OVERRIDABLE
from studentcli.settings import FORMATS
from tests.conftest import Run
from tests.terminal import Terminal, environment
from tests.world import World

Offers = Callable[..., list[str]]


@pytest.fixture
def offers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Offers:
    """Complete a line as bash asks for it: `offers("enroll S10", database=…)`."""

    def ask(line: str, *, database: str = "", cursor: int | None = None) -> list[str]:
        words = ["studentcli", *line.split(" ")]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("_STUDENTCLI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(cursor or len(words) - 1))
        monkeypatch.setenv("STUDENTCLI_DATABASE_URL", database)
        assert answer(get_command(build_app([]))) == 0  # type: ignore[arg-type]
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.split()

    return ask


@pytest.fixture
def filled(world: World) -> World:
    world.term("2026FA")
    world.term("2027SP")
    world.student("S1042", "S1043", "00731", "A_1", "AB1", "Žofie")
    world.course("CS101", term="2026FA", section="001")
    world.course("CS101", term="2027SP", section="001")
    world.course("PHYS150", term="2026FA", section="001")
    world.course("PHYS150", term="2026FA", section="002")
    return world


@pytest.fixture
def small(sqlite_world: World) -> World:
    sqlite_world.term("2026FA")
    sqlite_world.student("S1042", "00731")
    sqlite_world.course("CS101", "MATH200", term="2026FA", section="001")
    sqlite_world.course("PHYS150", term="2026FA", section="001")
    sqlite_world.course("PHYS150", term="2026FA", section="002")
    sqlite_world.database.dispose()
    return sqlite_world


# ── what is offered ──────────────────────────────────────────────────────────────────────


def test_student_numbers_courses_and_terms_of_the_database_are_offered(
    filled: World, offers: Offers
) -> None:
    cases = {
        "enroll ": ["00731", "AB1", "A_1", "S1042", "S1043", "Žofie"],
        "enroll S10": ["S1042", "S1043"],
        "enroll s10": [],
        "enroll A_": ["A_1"],
        "enroll A%": [],
        "enroll \\\\A": [],
        "history --student 0": ["00731"],
        "enroll S1042 ": ["CS101", "PHYS150-001", "PHYS150-002"],
        "enroll S1042 CS101 PHYS": ["PHYS150-001", "PHYS150-002"],
        "roster CS101-": ["CS101-001"],
        "roster 2026FA/": ["2026FA/CS101-001", "2026FA/PHYS150-001", "2026FA/PHYS150-002"],
        "roster 2027SP/CS101-0": ["2027SP/CS101-001"],
        "roster --term 2027SP ": ["CS101"],
        "courses --term 202": ["2026FA", "2027SP"],
        "--term 2027": ["2027SP"],
        "term show ": ["2026FA", "2027SP", "ALL"],
    }
    assert {line: offers(line, database=filled.url) for line in cases} == cases


def test_at_most_50_words_are_offered_and_sorted(filled: World, offers: Offers) -> None:
    filled.student(*(f"T{number:03}" for number in range(70, 0, -1)))
    found = offers("enroll T", database=filled.url)
    assert found == [f"T{number:03}" for number in range(1, 51)]


def test_what_a_shell_would_not_take_for_a_word_is_not_offered(
    filled: World, offers: Offers
) -> None:
    odd = ["X y", "X'y", 'X"y', "X$(y)", "X`y`", "X:y", "X;y", "X*", "X\\y", "X(y)", "X|y", "X~y"]
    filled.student(*odd, "X-y/1.0+", "-Xy", "~Xy")
    assert offers("enroll X", database=filled.url) == ["X-y/1.0+"]
    assert {word[0] for word in offers("enroll ", database=filled.url)}.isdisjoint("-~")


def test_fixed_words_are_offered(offers: Offers) -> None:
    cases = {
        "courses --format ": sorted(FORMATS),
        "import --on-error ": ["abort", "skip"],
        "export e": ["enrollments"],
        "enroll S1 C1 --override ": sorted(OVERRIDABLE),
        "student list --status ": ["active", "inactive"],
        "course edit CS101 --status c": ["cancelled", "closed"],
        "help c": ["codes", "complete", "course", "courses", "cron"],
        "--install-completion ": sorted(SHELLS),
        "enr": ["enroll"],
        "student ren": ["renumber"],
    }
    assert {line: offers(line) for line in cases} == cases


def test_the_database_is_the_one_that_the_command_would_use(
    small: World, offers: Offers, tmp_path: Path
) -> None:
    elsewhere = str(tmp_path / "elsewhere.db")
    assert offers(f"--database {small.url} enroll S", database=elsewhere) == ["S1042"]
    assert offers(f"enroll --database {small.url} S", database=elsewhere) == ["S1042"]
    assert offers("enroll S", database=small.url) == ["S1042"]
    (tmp_path / "studentcli.toml").write_text(f'database = "{small.url}"\n')
    assert offers("enroll S") == ["S1042"]


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}?timeout=3"])
def test_a_sqlite_database_is_found_however_it_is_written(
    small: World, offers: Offers, tmp_path: Path, form: str
) -> None:
    shutil.copy(small.url, tmp_path / "near.db")
    for path in (small.url, "near.db"):
        named = form.format(path)
        assert Path(str(normalize_url(named).database)).name == Path(path).name
        assert offers("enroll S", database=named) == ["S1042"]


def test_bash_takes_a_line_apart_and_it_is_put_together_again(small: World, offers: Offers) -> None:
    # as bash hands them over: separated also at = and :
    assert offers("courses --term = 2026", database=small.url) == ["2026FA"]
    assert offers("courses --term =", database=small.url) == ["2026FA", "ALL"]
    assert offers(f"--database sqlite : ///{small.url} enroll S") == ["S1042"]
    assert offers("--format = json enroll S", database=small.url) == ["S1042"]


def test_words_behind_the_cursor_do_not_count(small: World, offers: Offers) -> None:
    assert offers("enroll  CS101", database=small.url, cursor=2) == ["00731", "S1042"]


# ── silent, read-only, quick ─────────────────────────────────────────────────────────────


def ask(run: Run, line: str, **env: str) -> "subprocess.CompletedProcess[str]":
    words = ["studentcli", *line.split(" ")]
    return run(
        env={
            "_STUDENTCLI_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
            **env,
        }
    )


@pytest.mark.parametrize(
    "env",
    [
        {"STUDENTCLI_DATABASE_URL": "missing.db"},
        {"STUDENTCLI_DATABASE_URL": "/"},
        {"STUDENTCLI_DATABASE_URL": "garbage.db"},
        {"STUDENTCLI_DATABASE_URL": "sqlite://"},
        {"STUDENTCLI_DATABASE_URL": "legacy.db"},
        {"STUDENTCLI_DATABASE_URL": "mysql://localhost/school"},
        {"STUDENTCLI_DATABASE_URL": "postgresql://127.0.0.1:1/school"},
        {"STUDENTCLI_DATABASE_URL": "postgresql://nowhere.invalid/school"},
        {"STUDENTCLI_DATABASE_URL": "postgresql://[/school"},
        {"STUDENTCLI_WAIT": "garbage"},
        {},
    ],
    ids=str,
)
def test_a_failure_is_an_empty_answer(run: Run, tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1000)
    with sqlite3.connect(tmp_path / "legacy.db") as legacy:
        legacy.execute("CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
    legacy.close()
    before = sorted(tmp_path.rglob("*"))
    done = ask(run, "enroll S", **env)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("asked", ["garbage", "complete_tcsh", "complete_bash", "fly_bash"])
def test_a_question_that_makes_no_sense_is_answered_with_nothing(run: Run, asked: str) -> None:
    done = run(env={"_STUDENTCLI_COMPLETE": asked})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_settings_that_cannot_be_read_are_no_matter_for_tab(run: Run, tmp_path: Path) -> None:
    (tmp_path / "studentcli.toml").write_text("database = [")
    done = ask(run, "enroll S")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert ask(run, "enr").stdout == "enroll\n"


def test_a_server_that_does_not_answer_costs_a_moment(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://127.0.0.1:{deaf.getsockname()[1]}/school"
        ask(run, "enroll S")  # what starting alone takes, the files then being in memory
        begin = time.monotonic()
        ask(run, "enroll S")
        alone = time.monotonic() - begin
        done = ask(run, "enroll S", STUDENTCLI_DATABASE_URL=url)
        took = time.monotonic() - begin - alone
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert took < alone + 2  # psycopg itself would wait two seconds at the least, then the import


def test_a_table_that_somebody_holds_costs_a_moment(
    new_database: Callable[..., str], run: Run
) -> None:
    import psycopg

    url = new_database("postgresql")
    begin = time.monotonic()
    ask(run, "enroll S", STUDENTCLI_DATABASE_URL=url)
    free = time.monotonic() - begin
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE students IN ACCESS EXCLUSIVE MODE")
        begin = time.monotonic()
        done = ask(run, "enroll S", STUDENTCLI_DATABASE_URL=url)
        took = time.monotonic() - begin
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert took < free + 3


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


def test_a_database_that_nobody_uses_is_left_as_it_was(small: World, offers: Offers) -> None:
    with sqlite3.connect(small.url) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    before = state_of(Path(small.url).parent)
    assert offers("enroll S", database=small.url) == ["S1042"]
    assert state_of(Path(small.url).parent) == before
    assert set(before) == {Path(small.url).name}


def test_a_database_in_use_is_read_as_it_is_now(small: World, offers: Offers) -> None:
    writer = sqlite3.connect(small.url, isolation_level=None)
    try:
        copy = "INSERT INTO students (student_number, given_name, family_name, status, created_at)"
        values = "SELECT ?, '', '', 'active', created_at FROM students LIMIT 1"
        writer.execute(f"{copy} {values}", ("S2000",))
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(f"{copy} {values}", ("S3000",))
        before = sorted(Path(small.url).parent.iterdir())
        assert offers("enroll S", database=small.url) == ["S1042", "S2000"]
        assert sorted(Path(small.url).parent.iterdir()) == before
        writer.execute("COMMIT")
        assert offers("enroll S", database=small.url) == ["S1042", "S2000", "S3000"]
    finally:
        writer.close()
    assert [p.name for p in Path(small.url).parent.iterdir()] == [Path(small.url).name]


# ── real shells ──────────────────────────────────────────────────────────────────────────


def install(shell: str, home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "studentcli", "--install-completion", shell],
        env=environment(home), capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_installs_itself_and_completes_in_a_real_shell(
    small: World, shell: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert shutil.which("studentcli", path=environment(tmp_path)["PATH"])
    small.student("S9$(touch ~/ran)", "S8`touch ~/ran`", "S7'; touch ~/ran; '")
    small.database.dispose()
    assert install(shell, tmp_path).returncode == 0
    cases = {
        "studentcli enr": "studentcli enroll ",
        "studentcli enroll S10": "studentcli enroll S1042 ",
        "studentcli enroll S1042 MA": "studentcli enroll S1042 MATH200 ",
        "studentcli enroll 007": "studentcli enroll 00731 ",
        "studentcli roster 2026FA/C": "studentcli roster 2026FA/CS101-001 ",
        "studentcli roster 2026FA/PHYS150-": "studentcli roster 2026FA/PHYS150-00",
        "studentcli roster PHYS150-001": "studentcli roster PHYS150-001 ",
        "studentcli courses --term 2026": "studentcli courses --term 2026FA ",
        "studentcli courses --term=2026": "studentcli courses --term=2026FA ",
        f"studentcli --database sqlite:///{small.url} courses 007": (
            f"studentcli --database sqlite:///{small.url} courses 00731 "
        ),
        "studentcli enroll S9": "studentcli enroll S9",
        "studentcli export en": "studentcli export enrollments ",
        "studentcli import here": "studentcli import here.csv ",
    }
    (tmp_path / "here.csv").touch()
    with Terminal(shell, tmp_path, STUDENTCLI_DATABASE_URL=small.url) as terminal:
        assert {keys: terminal.line_after(f"{keys}\t") for keys in cases} == cases
    assert not (tmp_path / "ran").exists()


# ── installing ───────────────────────────────────────────────────────────────────────────

FILES = {
    "bash": (".bashrc", ".bash_completions/studentcli.sh"),
    "zsh": (".zshrc", ".zfunc/_studentcli"),
    "fish": (".config/fish/config.fish", ".config/fish/completions/studentcli.fish"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_keeps_what_is_there_and_can_be_repeated(shell: str, tmp_path: Path) -> None:
    rc, script = (tmp_path / name for name in FILES[shell])
    rc.parent.mkdir(parents=True, exist_ok=True)
    rc.write_text("# mine\n")
    for _ in range(2):
        done = install(shell, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert str(script) in done.stdout
        first = script.read_text(), rc.read_text().split()
    assert (script.read_text(), rc.read_text().split()) == first
    assert rc.read_text().startswith("# mine\n")
    assert rc.read_text().count("completion") <= 3


def test_a_shell_that_cannot_complete_is_a_usage_error(tmp_path: Path) -> None:
    done = install("tcsh", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: one of bash, zsh, fish" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_a_shell_that_cannot_be_told_is_asked_for(run: Run, option: str) -> None:
    # typer's own switch for what happens under cron or an editor, whose shell nobody knows
    done = run(option, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"hint: studentcli {option} bash" in done.stderr


def test_the_shell_that_runs_studentcli_is_found(run: Run, tmp_path: Path) -> None:
    line = f"{sys.executable} -m studentcli --install-completion; exit $?"
    done = subprocess.run(
        ["bash", "-c", line], env=environment(tmp_path), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".bash_completions/studentcli.sh").exists()
    shown = run("--show-completion", "bash").stdout
    assert shown.strip() == (tmp_path / ".bash_completions/studentcli.sh").read_text().strip()


def test_a_home_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()  # a file: also root cannot write below it
    done = subprocess.run(
        [sys.executable, "-m", "studentcli", "--install-completion", "bash"],
        env=environment(home), capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "[output-failed]" in done.stderr
    assert "--show-completion" in done.stderr

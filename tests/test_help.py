"""No command, option, code or setting without a word about it, and no word that is not so."""

import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from studentcli import settings
from studentcli.cli.app import FILES, build_app
from studentcli.cli.boundary import run as run_line
from studentcli.cli.framework import COMMON, PANELS
from studentcli.cli.topics import TOPICS
from studentcli.errors import ExitStatus, StudentcliError, all_errors
from studentcli.formats.native import ENROLLMENT_COLUMNS
from studentcli.records import KINDS
from tests.conftest import Run
from tests.world import World

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
UNTIL_STOPPED = frozenset({"serve"})
"""Commands that run until somebody stops them: their own tests run their examples."""


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


TREE = dict(walk(get_command(build_app([]))))
LEAVES = {path: command for path, command in TREE.items() if not hasattr(command, "commands")}


def named(path: tuple[str, ...]) -> str:
    return " ".join(path) or "studentcli"


def examples(command: Any) -> list[str]:
    return re.findall(r"^Example: (.+)$", command.help or "", re.MULTILINE)


EXAMPLES = [
    (path, line)
    for path, command in TREE.items()
    if UNTIL_STOPPED.isdisjoint(path)
    for line in examples(command)
]


def cells(*headings: str) -> list[list[str]]:
    """Give the cells of the README's table with these headings, without backticks."""
    table = README.partition(f"\n| {' | '.join(headings)} |\n")[2].partition("\n\n")[0]
    return [
        [cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in table.splitlines()[1:]
    ]


# ── every command, option and argument ───────────────────────────────────────────────────


@pytest.mark.parametrize("path", TREE, ids=named)
def test_every_help_shows_an_example_on_one_line(path: tuple[str, ...], run: Run) -> None:
    found = examples(TREE[path])
    assert found
    shown = run(*path, "--help", env={"COLUMNS": "80"}).stdout
    for line in found:
        assert shlex.split(line)[: len(path) + 1] == ["studentcli", *path]
        assert f"  Example: {line}\n" in shown


@pytest.mark.parametrize("path", TREE, ids=named)
def test_every_option_and_argument_says_what_it_is_and_takes(path: tuple[str, ...]) -> None:
    command = TREE[path]
    for param in command.get_params(typer.Context(command, info_name=named(path))):
        assert param.help, param.name
        is_value = not getattr(param, "is_flag", False)
        assert not is_value or param.metavar or param.hidden, param.name


def test_commands_are_listed_by_task_and_in_full(run: Run) -> None:
    shown = run("--help").stdout
    headings = re.findall(r"^([A-Z][a-z ]+):$", shown, re.MULTILINE)
    assert headings == ["Options", *PANELS]
    assert "..." not in shown.partition("Enrollment:")[2]
    for names in FILES.values():
        for name in names:
            assert re.search(rf"^  {name} +\S", shown, re.MULTILINE)


@pytest.mark.parametrize("path", LEAVES, ids=named)
def test_every_command_is_in_the_readme(path: tuple[str, ...]) -> None:
    for documented, _ in cells("command", "what it does"):
        group, *names = re.findall(r"[a-z]+", documented)
        if path == (group,) or (path[0] == group and path[-1] in names):
            return
        if len(path) == 1 and path[0] in documented.split("--")[0].replace(",", " ").split():
            return
    pytest.fail(f"{named(path)} is in no row of the README's table of commands")


# ── codes, exit codes, settings, columns ─────────────────────────────────────────────────


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def topic_texts() -> dict[str, str]:
    return {name: flat(topic.text()) for name, topic in TOPICS.items()}


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_code_is_explained_in_help_and_readme(
    error: type[StudentcliError], topic_texts: dict[str, str]
) -> None:
    number, meaning = int(error.exit_status), flat(error.__doc__ or "").replace("`", "")
    assert f" {error.code} {number} {meaning}" in topic_texts["codes"].replace("`", "")
    assert [error.code, str(number), meaning] in cells("code", "exit", "meaning")


@pytest.mark.parametrize("status", ExitStatus, ids=int)
def test_every_exit_code_is_explained_in_help_and_readme(
    status: ExitStatus, topic_texts: dict[str, str]
) -> None:
    assert f" {int(status)} {status.meaning}" in topic_texts["exit-codes"]
    assert [str(int(status)), status.meaning] in cells("code", "meaning")


@pytest.mark.parametrize("setting", settings.NAMES)
def test_every_setting_is_explained_in_help_and_readme(
    setting: str, topic_texts: dict[str, str]
) -> None:
    variable, option = settings.ENVIRONMENT[setting], COMMON[setting][0].__metadata__[0]
    assert f" {variable} {option.help}" in topic_texts["environment"]
    assert [setting, variable] in [
        [row[0], row[2]] for row in cells("setting", "option", "environment")
    ]
    assert f"--{setting.replace('_', '-')}" in {
        name for param in TREE[()].params for name in param.opts
    }


def test_every_column_of_every_file_is_explained(topic_texts: dict[str, str]) -> None:
    text = topic_texts["formats"]
    for kind in KINDS.values():
        assert f" {kind.plural} " in text
        for field in kind.fields:
            assert f" {field.name} {field.metavar}: {field.help}" in text
    for column in ENROLLMENT_COLUMNS:
        assert re.search(rf" {column} [a-z]", text)
    for fmt in settings.FORMATS:
        assert fmt in text


# ── help itself ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("topic", [None, *TOPICS])
def test_a_topic_is_plain_text_even_where_settings_are_broken(run: Run, topic: str | None) -> None:
    words = [topic] if topic else []
    done = run("help", *words, env={"STUDENTCLI_FORMAT": "garbage", "STUDENTCLI_WAIT": "x"})
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"[\x1b─│╭]", done.stdout) is None
    narrow = run("help", *words, env={"COLUMNS": "50"}).stdout
    assert flat(narrow) == flat(done.stdout)
    if topic is None:
        assert all(re.search(rf"^  {name} +\S", done.stdout, re.MULTILINE) for name in TOPICS)


def test_topics_and_commands_have_different_names() -> None:
    assert set(TOPICS).isdisjoint(TREE[()].commands)


@pytest.mark.parametrize("words", [("enroll",), ("student",), ("course", "add"), ("help",)])
def test_help_of_a_command_is_what_the_command_shows_itself(
    run: Run, words: tuple[str, ...]
) -> None:
    shown = run("help", *words)
    assert shown.returncode == 0
    assert shown.stdout == run(*words, "--help").stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("crn", "did you mean studentcli help cron?"),
        ("exit-code", "did you mean studentcli help exit-codes?"),
        ("enrol", "did you mean studentcli help enroll?"),
        ("student ad", "did you mean studentcli help student add?"),
        ("zzz", "studentcli help lists the topics, studentcli --help the commands"),
        ("enroll zzz", "studentcli help lists the topics, studentcli --help the commands"),
    ],
)
def test_an_unknown_word_is_not_found_and_a_near_one_is_suggested(
    run: Run, words: str, hint: str
) -> None:
    done = run("help", *words.split())
    assert (done.returncode, done.stdout) == (ExitStatus.NOT_FOUND, "")
    assert done.stderr == f"error: there is no help on {words!r} [not-found]\nhint: {hint}\n"


# ── examples ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory, new_database: Any) -> Path:
    """Give a folder with the small world in which every example makes sense."""
    folder = tmp_path_factory.mktemp("school")
    world = World(new_database("sqlite"))
    world.now = datetime.now(UTC)
    day = timedelta(days=1)
    world.term("2026FA", enroll_from=date.today() - day, enroll_until=date.today() + day)  # noqa: DTZ011
    world.student("S1042", given_name="Ada", family_name="King")
    world.course("CS101", "MATH200", term="2026FA", section="001", capacity=30)
    world.one("enroll", "S1042", "2026FA/CS101")
    world.student("S1041")
    world.hold("S1041")
    world.override("S1041", "2026FA/CS101", "credit-load")
    world.import_csv("student\nS1041\nS1050\n")
    world.database.dispose()
    shutil.copy(world.url, folder / "school.db")
    with sqlite3.connect(folder / "before.db") as old:
        old.execute("CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")
        old.execute("CREATE TABLE courses (id INTEGER PRIMARY KEY, title TEXT)")
    old.close()
    (folder / "fall.csv").write_text("student,course\nS1042,MATH200\n")
    (folder / "class.csv").write_text("student\nS1042\nS1050\n")
    planning = ["plan", "make", str(folder / "fall.csv"), "--out", str(folder / "plan.jsonl")]
    planning += ["--database", str(folder / "school.db")]
    assert run_line(build_app(planning), planning) == 0
    return folder


@pytest.fixture
def in_school(
    school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Work in a copy of that folder, and leave the process's signals as they are."""
    shutil.copytree(school, tmp_path / "school")
    monkeypatch.chdir(tmp_path / "school")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STUDENTCLI_DATABASE_URL", "school.db")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield monkeypatch
    for number, handler in before.items():
        signal.signal(number, handler)


FIRST: dict[tuple[str, ...], list[str]] = {
    ("waitlist", "explain"): [
        "course edit CS101 --capacity 0 --waitlist 5", "drop S1042 CS101", "enroll S1042 CS101",
    ],
}  # fmt: skip
"""What has to be done in the small world before an example makes sense."""


@pytest.mark.parametrize(("path", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_works(
    path: tuple[str, ...],
    line: str,
    in_school: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if path == ("db", "adopt"):
        in_school.setenv("STUDENTCLI_DATABASE_URL", "before.db")
    for first in FIRST.get(path, ()):
        assert run_line(build_app(first.split()), first.split()) == 0
    capsys.readouterr()
    arguments = shlex.split(line)[1:]
    code = run_line(build_app(arguments), arguments)
    said = capsys.readouterr()
    assert code == 0, said.err
    assert said.out or said.err or "-o" in arguments


# ── cron ─────────────────────────────────────────────────────────────────────────────────

JOB = re.compile(r"([\d*/,-]+ +){5}(?P<command>\S.*)")


class Crontab:
    """The crontab of `help cron`, its folder put elsewhere, run as cron would."""

    def __init__(self, text: str, folder: Path) -> None:
        lines = text.replace("/srv/registrar", str(folder)).splitlines()
        self.variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
        matches = filter(None, map(JOB.fullmatch, lines))
        self.commands = [match["command"] for match in matches]
        self.folder = folder

    def run(self, word: str) -> "subprocess.CompletedProcess[str]":
        """Run the job that holds a word; gives its exit code and what would be mailed."""
        (command,) = [command for command in self.commands if word in command]
        assert not re.search(r"(?<!\\)%", command), "cron ends a command at a bare percent sign"
        given = [f"{n}={v}" for n, v in self.variables.items() if n != "MAILTO"]
        return subprocess.run(
            ["env", "-i", f"HOME={self.folder}", "LOGNAME=registrar", "SHELL=/bin/sh", *given,
             "/bin/sh", "-c", command.replace("\\%", "%")],
            capture_output=True, text=True, check=False, cwd=self.folder, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def crontab(school: Path, tmp_path: Path, run: Run) -> Crontab:
    folder = tmp_path / "registrar"
    shutil.copytree(school, folder)
    shutil.copy(folder / "fall.csv", folder / "changes.csv")
    (folder / "students.csv").write_text("student,family_name\nS1043,Hopper\n")
    return Crontab(run("help", "cron").stdout, folder)


def silent_success(done: "subprocess.CompletedProcess[str]") -> bool:
    return (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_crontab_works_and_says_nothing_when_all_is_well(crontab: Crontab) -> None:
    assert set(crontab.variables) == {"MAILTO", "PATH", "STUDENTCLI_DATABASE_URL"}
    assert len(crontab.commands) == 6
    for word in ("changes.csv", "students.csv", "export", "waitlist", "backup", "check"):
        assert silent_success(crontab.run(word)), word
    folder = crontab.folder
    assert (folder / "import.log").read_text() == ""
    exported = (folder / "enrollments.csv").read_text()
    assert exported.count("S1042") == 2
    assert len(list(folder.glob(f"school-{date.today():%Y-%m-}*.db"))) == 1  # noqa: DTZ011


def test_what_the_crontab_meets_is_mailed_logged_and_kept(crontab: Crontab) -> None:
    folder = crontab.folder
    (folder / "changes.csv").write_text("student,course\nS1042,MATH200\nS9999,MATH200\n")
    (folder / "students.csv").write_text("student,status\nS1043,active\nS1044,asleep\n")
    mailed = crontab.run("changes.csv")
    assert mailed.stdout == "import ended with exit code 6, see import.log\n"
    assert "S9999" in (folder / "rejects.csv").read_text()
    assert "line 3: " in (folder / "import.log").read_text()
    whole = crontab.run("students.csv")
    assert whole.returncode == ExitStatus.BATCH_REFUSED
    assert "nothing was applied" in whole.stderr
    with sqlite3.connect(folder / "school.db") as tampering:
        tampering.execute("UPDATE student_courses SET status = 'dropped'")
    tampering.close()
    assert crontab.run("check").returncode == ExitStatus.DATABASE


def test_without_a_database_every_job_of_the_crontab_says_so(crontab: Crontab) -> None:
    (crontab.folder / "school.db").unlink()
    assert crontab.run("changes.csv").stdout.startswith("import ended with exit code 7")
    for word in ("students.csv", "export", "backup", "check"):
        done = crontab.run(word)
        assert done.returncode == ExitStatus.DATABASE
        assert "[database-missing]" in done.stderr

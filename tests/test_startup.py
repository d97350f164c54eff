"""What a command loads: help and completion no database library, a pipe no rich."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import World

HEAVY = ("sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "psycopg", "pydantic", "rich")
PROBE = """
import sys
sys.argv = ["studentcli", *sys.argv[1:]]
from studentcli.cli import main
try:
    main()
except SystemExit:
    pass
heavy = {name.partition(".")[0] for name in sys.modules} & set(HEAVY)
print("LOADED", *sorted(heavy), file=sys.stderr)
""".replace("set(HEAVY)", repr(set(HEAVY)))


def loaded(*arguments: str, database: str | None = None, **environment: str) -> set[str]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    if database:
        env["STUDENTCLI_DATABASE_URL"] = database
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], env=env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    line = next(text for text in done.stderr.splitlines() if text.startswith("LOADED"))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("enroll", "--help"),
        ("course", "add", "--help"),
        (),
        ("help",),
        ("help", "codes"),
        ("help", "formats"),
        ("help", "environment"),
        ("help", "cron"),
        ("help", "course", "add"),
        ("serve", "--help"),
    ],
)
def test_help_and_version_load_no_heavy_module(arguments: tuple[str, ...]) -> None:
    assert loaded(*arguments) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("line", ["enroll S", "enroll S1 ", "courses --term ", "--format "])
def test_completion_loads_no_heavy_module(sqlite_world: World, shell: str, line: str) -> None:
    assert loaded(**_question(shell, line), database=sqlite_world.url) == set()


def test_completion_of_commands_loads_rich_only_for_the_help_beside_them() -> None:
    assert loaded(**_question("bash", "cou")) == set()
    assert loaded(**_question("zsh", "cou")) == {"rich"}  # typer takes rich's marks out of it


def test_completion_from_postgresql_loads_its_driver_alone(new_database: object) -> None:
    url = new_database("postgresql")  # type: ignore[operator]
    assert loaded(**_question("bash", "enroll S"), database=url) == {"psycopg"}


def _question(shell: str, line: str) -> dict[str, str]:
    """Give the environment in which a shell asks what goes on after a line."""
    words = f"studentcli {line}".split(" ")
    return {
        "_STUDENTCLI_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": f"studentcli {line}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("courses",),
        ("courses", "S1"),
        ("enroll", "S1", "CS101"),
        ("roster", "CS101"),
        ("history",),
        ("student", "list", "--format", "table"),
    ],
)
def test_a_piped_command_on_sqlite_loads_sqlalchemy_alone(
    sqlite_world: World, arguments: tuple[str, ...]
) -> None:
    sqlite_world.student("S1")
    sqlite_world.course("CS101")
    assert loaded(*arguments, database=sqlite_world.url) == {"sqlalchemy"}


def test_an_import_loads_no_alembic_and_no_rich(sqlite_world: World, tmp_path: Path) -> None:
    path = tmp_path / "students.csv"
    path.write_text("student\nS1\n")
    assert loaded("import", str(path), database=sqlite_world.url) == {"sqlalchemy"}


def test_only_db_commands_load_alembic(tmp_path: Path) -> None:
    assert "alembic" in loaded("db", "init", database=str(tmp_path / "new.db"))


def test_a_postgresql_command_loads_psycopg_and_nothing_else(new_database: object) -> None:
    url = new_database("postgresql")  # type: ignore[operator]
    assert loaded("courses", database=url) == {"sqlalchemy", "psycopg"}


def test_every_command_is_found_in_its_file() -> None:
    from typer.main import get_command

    from studentcli.cli.app import FILES, build_app

    everything = get_command(build_app([]))
    declared = list(everything.commands)  # type: ignore[attr-defined]
    assert sorted(declared) == sorted(name for commands in FILES.values() for name in commands)
    for commands in FILES.values():
        alone = get_command(build_app([commands[0]]))
        assert tuple(alone.commands) == commands  # type: ignore[attr-defined]

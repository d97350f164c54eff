"""Where a setting comes from, which database is used, and what studentcli makes unasked."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli import errors, settings
from studentcli.database import Database, normalize_url
from tests.conftest import Run
from tests.test_render import at_terminal
from tests.world import World

LAYERS = ("option", "environment", "here", "user", "site")
VALUES: dict[str, list[Any]] = {
    "database": [f"/{layer}.db" for layer in LAYERS],
    "term": [f"term-{layer}" for layer in LAYERS],
    "format": ["json", "jsonl", "csv", "tsv", "table"],
    "actor": [f"actor-{layer}" for layer in LAYERS],
    "wait": [1.0, 2.0, 3.0, 4.0, 5.0],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine without any settings; the working folder is `here`."""
    for name in [n for n in os.environ if n.startswith(("STUDENTCLI_", "XDG_"))]:
        monkeypatch.delenv(name)
    for folder in ("here", "user/studentcli", "site/studentcli"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


FILES = {
    "here": "here/studentcli.toml",
    "user": "user/studentcli/studentcli.toml",
    "site": "site/studentcli/studentcli.toml",
}


# ── precedence ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strongest", range(len(LAYERS)))
@pytest.mark.parametrize("name", VALUES)
def test_option_beats_environment_beats_folder_beats_user_beats_site(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, strongest: int
) -> None:
    options = {}
    for layer, value in list(zip(LAYERS, VALUES[name], strict=True))[strongest:]:
        if layer == "option":
            options[name] = value
        elif layer == "environment":
            monkeypatch.setenv(settings.ENVIRONMENT[name], str(value))
        else:
            shown = value if name == "wait" else f'"{value}"'
            (place / FILES[layer]).write_text(f"{name} = {shown}\n")
    assert getattr(settings.load_settings(options), name) == VALUES[name][strongest]


def test_without_any_setting_the_defaults_hold(place: Path) -> None:
    found = settings.load_settings({})
    assert found.database == str(place / "data" / "studentcli" / "studentcli.db")
    assert found.database_source == "default"
    assert (found.term, found.format, found.actor, found.wait) == (None, None, None, None)


def test_an_empty_variable_is_no_setting(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / FILES["here"]).write_text('term = "2026FA"\nwait = 7\n')
    for variable in settings.ENVIRONMENT.values():
        monkeypatch.setenv(variable, "")
    found = settings.load_settings({})
    assert (found.term, found.wait, found.database_source) == ("2026FA", 7.0, "default")


@pytest.mark.usefixtures("place")
def test_wait_zero_is_a_setting_and_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDENTCLI_WAIT", "9")
    assert settings.load_settings({"wait": 0.0}).wait == 0


@pytest.mark.parametrize("front", [["--wait", "0"], ["--wait", "0.1"]])
def test_an_option_in_front_of_the_command_counts_also_when_it_is_zero(
    sqlite_world: World, run: Run, front: list[str]
) -> None:
    with sqlite_world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE terms SET name = name"))
        done = run(*front, "student", "add", "S1", database=sqlite_world.url,
                   env={"STUDENTCLI_WAIT": "0.2"})  # fmt: skip
    assert done.returncode == 5
    assert f"waited {front[1]} s for another writer" in done.stderr


def test_an_option_after_the_command_beats_the_one_in_front_of_it(
    sqlite_world: World, run: Run
) -> None:
    done = run("--format", "csv", "term", "list", "--format", "jsonl", database=sqlite_world.url,
               env={"STUDENTCLI_FORMAT": "tsv"})  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.startswith('{"term": "ALL"')


def test_a_file_in_the_working_folder_names_database_and_format(
    sqlite_world: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "studentcli.toml").write_text(
        f'database = "{sqlite_world.url}"\nformat = "csv"\nactor = "registrar"\n'
    )
    added = run("student", "add", "S1")
    assert added.returncode == 0
    assert sqlite_world.count("students") == 1
    listed = run("history")
    assert listed.stdout.splitlines()[0].startswith("operation,started_at,kind,actor")
    assert ",student-add,registrar,cli,done," in listed.stdout


# ── settings that cannot be read ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("layer", FILES)
@pytest.mark.parametrize(
    "content",
    [b"database = ", b"databse = 'x.db'\n", b"[database]\nurl = 'x'\n", b"term = 'M\xfcnchen'\n",
     "term = 'x'\n".encode("utf-16"), b"wait = 'soon'\n", b"wait = -1\n", b"wait = nan\n",
     b"wait = 1e9\n", b"wait = true\n"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(place: Path, layer: str, content: bytes) -> None:
    (place / FILES[layer]).write_bytes(content)
    with pytest.raises(errors.Usage) as caught:
        settings.load_settings({})
    assert caught.value.exit_status == 2
    assert "studentcli.toml" in caught.value.message


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", "86401", "1,5"])
@pytest.mark.usefixtures("place")
def test_a_wait_that_is_no_number_of_seconds_names_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    monkeypatch.setenv("STUDENTCLI_WAIT", wait)
    with pytest.raises(errors.Usage, match="environment"):
        settings.load_settings({})


def test_a_broken_file_stops_the_command_before_it_does_anything(
    sqlite_world: World, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "studentcli.toml").write_text("databse = 'x.db'\n")
    done = run("student", "add", "S1", database=sqlite_world.url)
    assert done.returncode == 2
    assert "studentcli.toml sets 'databse', which is no setting [usage]" in done.stderr
    assert "Traceback" not in done.stderr
    assert sqlite_world.count("students") == 0


# ── passwords ────────────────────────────────────────────────────────────────────────────

WITH_PASSWORD = (
    "postgresql://ada:geheim@host/db", "postgres://ada:geheim@host:5432/db?sslmode=require",
    "postgresql+psycopg://:geheim@/db", "postgresql://ada:ge/heim@host/db",
    "postgresql://ada:gehe@im@host/db", "postgresql://host/db?user=ada&password=geheim",
    "postgresql://ada@/db?host=/run&password=geheim",
)  # fmt: skip


@pytest.mark.parametrize("url", WITH_PASSWORD)
@pytest.mark.usefixtures("place")
def test_a_password_on_the_command_line_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(errors.Usage) as caught:
        settings.load_settings({"database": url})
    assert caught.value.exit_status == 2
    assert "STUDENTCLI_DATABASE_URL" in str(caught.value.hint)
    assert "heim" not in caught.value.message + str(caught.value.hint)
    monkeypatch.setenv("STUDENTCLI_DATABASE_URL", url)
    assert settings.load_settings({}).database == url


@pytest.mark.parametrize(
    "url", ["postgresql://ada@host/db", "postgresql://host:5432/db", "postgresql:///db?host=/run",
            "sqlite:////a:b@c.db", "/a:b@c.db"],
)  # fmt: skip
@pytest.mark.usefixtures("place")
def test_a_name_without_a_password_is_taken_from_the_command_line(url: str) -> None:
    assert settings.load_settings({"database": url}).database == url


def test_a_refused_password_is_not_repeated(run: Run) -> None:
    done = run("--database", "postgresql://ada:geheim@127.0.0.1:1/db", "courses")
    assert done.returncode == 2
    assert "error: a password on the command line" in done.stderr
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_the_name_of_a_database_that_people_see_holds_no_password(url: str) -> None:
    shown = str(Database(normalize_url(url)))
    assert "heim" not in shown
    assert "db" in shown


# ── which database, and what is made unasked ─────────────────────────────────────────────


@pytest.mark.parametrize(
    ("layer", "line"),
    [("option", "courses"), ("environment", "student add S1"), ("here", "import in.csv")],
)
def test_a_path_that_somebody_named_is_never_made_by_the_way(
    run: Run, tmp_path: Path, layer: str, line: str
) -> None:
    path = tmp_path / "mistyped.db"
    (tmp_path / "in.csv").write_text("student\nS1\n")
    option = ["--database", str(path)] if layer == "option" else []
    if layer == "here":
        (tmp_path / "studentcli.toml").write_text(f'database = "{path}"\n')
    done = run(*line.split(), *option, database=str(path) if layer == "environment" else None)
    assert done.returncode == 7
    assert f"error: there is no database at {path} [database-missing]" in done.stderr
    assert "studentcli db init" in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.exists()


def files(folder: Path) -> list[str]:
    """List every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


DEFAULT = ".local/share/studentcli/studentcli.db"


def test_the_default_database_is_made_at_a_terminal_which_is_told(tmp_path: Path) -> None:
    code, shown = at_terminal("student", "add", "S1", home=tmp_path)
    assert code == 0
    assert f"note: made a new, empty database at {tmp_path / DEFAULT}" in shown
    assert files(tmp_path) == [DEFAULT]
    assert stat.S_IMODE((tmp_path / DEFAULT).stat().st_mode) == 0o600


def test_a_named_database_is_not_made_at_a_terminal_either(tmp_path: Path) -> None:
    code, shown = at_terminal("student", "add", "S1", database="mistyped.db", home=tmp_path)
    assert code == 7
    assert "[database-missing]" in shown
    assert files(tmp_path) == []


@pytest.mark.parametrize("line", ["student add S1", "enroll S1 CS101 --dry-run"])
def test_a_cron_job_never_makes_the_default_database(run: Run, tmp_path: Path, line: str) -> None:
    done = run(*line.split())
    assert done.returncode == 7
    assert "[database-missing]" in done.stderr
    assert "studentcli db init" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == []


def test_the_default_database_is_not_made_when_the_output_goes_elsewhere(tmp_path: Path) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        code, shown = at_terminal("courses", home=tmp_path, stdout=nowhere.fileno())
    assert code == 7
    assert "[database-missing]" in shown
    assert files(tmp_path) == []


# ── modes ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let new files be readable by everybody, unless the program says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_every_file_that_is_made_is_for_its_owner_only(run: Run, tmp_path: Path) -> None:
    url = str(tmp_path / "new" / "s.db")
    (tmp_path / "in.csv").write_text("student\nS1\n\x07\n")
    for name in ("export.csv", "rejects.csv"):
        (tmp_path / name).write_text("an old one that everybody can read")
    for line, code in (
        ("db init", 0),
        ("import in.csv --on-error skip --rejects rejects.csv", 6),
        ("export students --output export.csv", 0),
        ("db backup backup.db", 0),
    ):
        assert (line, run(*line.split(), database=url).returncode) == (line, code)
    made = {name for name in files(tmp_path) if name != "in.csv"}
    assert {"new/s.db", "rejects.csv", "export.csv", "backup.db"} <= made
    modes = {name: oct(stat.S_IMODE((tmp_path / name).stat().st_mode)) for name in made}
    assert modes == dict.fromkeys(made, "0o600")

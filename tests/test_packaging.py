"""What is shipped works: wheel, source archive, editable install and checkout, each on its own."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import sqlalchemy

from studentcli.database import REVISION
from tests.world import World

CHECKOUT = Path(__file__).parent.parent
SOURCES = ("studentcli", "migrations", "tests", "pyproject.toml", "README.md", "LICENSE")
LIBRARIES = Path(sqlalchemy.__file__).parent.parent

START = """
import site, sys
site.addsitedir(sys.argv[1])
sys.path.append(sys.argv[2])
"""
"""Work from one folder, as a site-packages; from this environment come the libraries only."""


def python(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python without what this environment tells it about paths and databases."""
    dropped = ("PYTHON", "STUDENTCLI")
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(dropped)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources, so that no build touches the checkout that is tested."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(CHECKOUT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the folder of the build backend, fetched where it is not installed."""
    packages = ("hatchling", "editables")
    if all(importlib.util.find_spec(package) for package in packages):
        return ""
    folder = tmp_path_factory.mktemp("backend")
    done = python("-m", "pip", "install", "-q", "--target", folder, *packages)
    if done.returncode:
        pytest.skip(f"the build backend cannot be had: {done.stderr.strip()[-200:]}")
    return str(folder)


def build_wheel(source: Path, folder: Path, backend: str) -> Path:
    done = python(
        "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source,
        PYTHONPATH=backend,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return next(folder.glob("studentcli-*.whl"))


def call_hook(hook: str, source: Path, folder: Path, backend: str) -> Path:
    """Call the build backend as pip does; gives the file it makes."""
    code = f"import os, hatchling.build as b; os.chdir({str(source)!r}); b.{hook}({str(folder)!r})"
    done = python("-c", code, PYTHONPATH=backend)
    assert done.returncode == 0, done.stderr
    return next(folder.iterdir())


def install(wheel: Path, folder: Path) -> Path:
    done = python("-m", "pip", "install", "-q", "--no-deps", "--target", folder, wheel)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, backend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    return build_wheel(checkout, tmp_path_factory.mktemp("wheel"), backend)


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_ships_every_migration_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {name for name in names if name.startswith("studentcli/_migrations/")}
    expected = {f"studentcli/_migrations/{name}" for name in files_of(CHECKOUT / "migrations")}
    assert shipped == expected
    assert {f"studentcli/{name}" for name in files_of(CHECKOUT / "studentcli")} <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"studentcli"}
    assert [name for name in names if name.endswith(".pyc")] == []


def test_the_source_archive_builds_the_same_wheel(
    wheel: Path, checkout: Path, backend: str, tmp_path: Path
) -> None:
    for name in ("sdist", "source", "wheel"):
        (tmp_path / name).mkdir()
    archive = call_hook("build_sdist", checkout, tmp_path / "sdist", backend)
    with tarfile.open(archive) as content:
        content.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = build_wheel(source, tmp_path / "wheel", backend)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {n: one.read(n) for n in one.namelist() if "dist-info" not in n} == {
            n: other.read(n) for n in other.namelist() if "dist-info" not in n
        }


@pytest.fixture(params=["wheel", "editable install", "checkout"])
def place(request: pytest.FixtureRequest, checkout: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Give a folder to start from, and where its migrations must come from."""
    folder = tmp_path / "site-packages"
    if request.param == "checkout":
        return checkout, checkout / "migrations"
    if request.param == "wheel":
        install(request.getfixturevalue("wheel"), folder)
        return folder, folder / "studentcli" / "_migrations"
    (tmp_path / "wheel").mkdir()
    backend = request.getfixturevalue("backend")
    editable = call_hook("build_editable", checkout, tmp_path / "wheel", backend)
    return install(editable, folder), checkout / "migrations"


def test_db_init_and_the_demo_work_from_each_way_to_install_it(
    place: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, migrations = place
    code = START + "from studentcli import schema; print(schema.migrations_folder())"
    found = python("-P", "-S", "-c", code, folder, LIBRARIES)
    assert (found.stdout.strip(), found.stderr) == (str(migrations), "")
    code = START + "sys.argv[1:3] = []; from studentcli.cli import main; main()"
    path = tmp_path / "school.db"
    done = python("-P", "-S", "-c", code, folder, LIBRARIES, "db", "init", "--database", path)
    assert done.returncode == 0, done.stderr
    assert f"is ready (schema {REVISION})" in done.stderr
    assert World(str(path)).count("terms") == 1
    shown = python("-P", "-S", "-c", code, folder, LIBRARIES, "-q", "demo", tmp_path / "demo")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")

"""The arrows between the modules point one way, and the sizes stay readable."""

import ast
from pathlib import Path

import pytest

import studentcli

PACKAGE = Path(studentcli.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_migrations" not in path.parts)

FORBIDDEN = {
    # who → must not import (at any depth of the name)
    "cli": ("sqlalchemy", "alembic", "studentcli.models"),
    "api": ("sqlalchemy", "alembic", "typer", "rich", "studentcli.models", "studentcli.cli",
            "studentcli.formats", "studentcli.render", "studentcli.rules", "studentcli.facts",
            "studentcli.settings"),
    "formats": ("sqlalchemy", "alembic", "typer", "rich", "studentcli.services",
                "studentcli.cli", "studentcli.database"),
    "services": ("alembic", "typer", "rich", "studentcli.cli", "studentcli.formats",
                 "studentcli.render", "studentcli.settings", "studentcli.api"),
    "demo": ("sqlalchemy", "alembic", "typer", "rich", "studentcli.services", "studentcli.models",
             "studentcli.database", "studentcli.schema", "studentcli.cli"),  # no second door
    "rules": ("sqlalchemy", "alembic", "typer", "rich", "datetime.datetime",
                 "studentcli.services", "studentcli.database", "studentcli.cli"),
    "facts": ("sqlalchemy", "typer", "rich", "studentcli.services", "studentcli.database"),
    "requests.py": ("sqlalchemy", "typer", "rich", "studentcli.services", "studentcli.models"),
    "audit.py": ("sqlalchemy", "typer", "rich", "studentcli.services", "studentcli.models",
                 "studentcli.database", "studentcli.cli"),
    "meetings.py": ("sqlalchemy", "typer", "rich", "studentcli.services", "studentcli.models",
                    "studentcli.facts", "studentcli.database", "studentcli.cli"),
    "models.py": ("typer", "rich", "studentcli.services", "studentcli.database"),
    "errors": ("sqlalchemy", "typer", "rich", "studentcli.requests", "studentcli.models",
               "studentcli.services", "studentcli.database", "studentcli.cli"),
    "render": ("sqlalchemy", "typer", "studentcli.services", "studentcli.cli",
                  "studentcli.database"),
    "database.py": ("alembic", "typer", "rich", "studentcli.cli", "studentcli.services"),
    "engines.py": ("alembic", "typer", "rich", "studentcli.cli", "studentcli.services",
                   "studentcli.models", "studentcli.database"),
    "settings.py": ("sqlalchemy", "typer", "rich", "studentcli.services", "studentcli.cli"),
}  # fmt: skip


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0]
    wrong = {
        name
        for name in imports_of(path)
        for forbidden in FORBIDDEN.get(layer, ())
        if name == forbidden or name.startswith(f"{forbidden}.")
    }
    assert wrong == set()


def test_only_the_schema_package_imports_alembic() -> None:
    users = {p for p in MODULES if any(n.split(".")[0] == "alembic" for n in imports_of(p))}
    assert users
    assert {path.relative_to(PACKAGE).parts[0] for path in users} == {"schema"}


@pytest.mark.parametrize("library", ["fastapi", "starlette", "pydantic", "uvicorn"])
def test_only_the_api_package_imports_the_libraries_of_its_extra(library: str) -> None:
    users = {p for p in MODULES if any(n.split(".")[0] == library for n in imports_of(p))}
    assert users
    assert {path.relative_to(PACKAGE).parts[0] for path in users} == {"api"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_is_over_50_lines_and_no_module_over_400(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and not _declares_commands(node):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, node.name


def _declares_commands(node: ast.FunctionDef) -> bool:
    """A function that only declares the commands of a file is a table, not a procedure."""
    return all(isinstance(step, ast.FunctionDef | ast.Expr | ast.Assign) for step in node.body)

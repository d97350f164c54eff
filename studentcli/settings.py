"""Where a setting comes from: option, environment, studentcli.toml here, the user's, the site's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from studentcli import errors

NAMES: Final = ("database", "term", "format", "actor", "wait", "log_file", "log_level")
ENVIRONMENT: Final = {
    "database": "STUDENTCLI_DATABASE_URL",
    "term": "STUDENTCLI_TERM",
    "format": "STUDENTCLI_FORMAT",
    "actor": "STUDENTCLI_ACTOR",
    "wait": "STUDENTCLI_WAIT",
    "log_file": "STUDENTCLI_LOG_FILE",
    "log_level": "STUDENTCLI_LOG_LEVEL",
}
FORMATS: Final = ("table", "tsv", "csv", "json", "jsonl")
WAIT_AT_TERMINAL: Final = 5.0
WAIT_WITHOUT: Final = 60.0


@dataclass(frozen=True)
class Settings:
    """The settings of one call.

    `database_source` says where the database's name comes from; `default` is the only place in
    which studentcli makes a database unasked.
    """

    database: str
    database_source: str
    term: str | None
    format: str | None
    actor: str | None
    wait: float | None
    log_file: str | None
    log_level: str | None


def default_database() -> Path:
    """Give the path of the embedded database, used when nobody names another one."""
    import platformdirs

    return platformdirs.user_data_path("studentcli") / "studentcli.db"


def setting_files() -> list[Path]:
    """List the files that can hold settings, strongest first."""
    import platformdirs

    site = platformdirs.site_config_dir("studentcli", multipath=True).split(os.pathsep)
    return [
        Path("studentcli.toml"),
        platformdirs.user_config_path("studentcli") / "studentcli.toml",
        *(Path(folder) / "studentcli.toml" for folder in site),
    ]


def load_settings(options: Mapping[str, Any]) -> Settings:
    """Put the settings together.

    Args:
        options: what the command line gave, by NAMES; none where it gave nothing.

    Raises:
        errors.Usage: for a setting that cannot be read, naming where it stands.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("option", options),
        (
            "environment",
            {name: os.environ.get(variable) or None for name, variable in ENVIRONMENT.items()},
        ),
    ]
    layers += [(str(path), _read_file(path)) for path in setting_files() if path.is_file()]
    for name, value in layers[1][1].items():
        if value is not None and not str(value).isprintable():
            raise errors.Usage(f"{ENVIRONMENT[name]} holds what is no text")
    found: dict[str, tuple[str, Any]] = {}
    for place, layer in layers:
        for name in NAMES:
            if layer.get(name) is not None:
                found.setdefault(name, (place, layer[name]))
    source, database = found.get("database", ("default", str(default_database())))
    if source == "option" and "://" in str(database) and _has_password(str(database)):
        raise errors.Usage(
            "a password on the command line can be read by everybody on this machine",
            hint="put the URL into STUDENTCLI_DATABASE_URL, or the password into PGPASSFILE",
        )
    return Settings(
        str(database),
        source,
        term=_text(found.get("term")),
        format=_text(found.get("format")),
        actor=_text(found.get("actor")),
        wait=_seconds(found.get("wait")),
        log_file=_text(found.get("log_file")),
        log_level=_text(found.get("log_level")),
    )


def _has_password(url: str) -> bool:
    backend, _, rest = url.partition("://")
    if backend.startswith("sqlite"):
        return False
    return ":" in rest.rpartition("@")[0] or "password=" in rest.partition("?")[2]


def _text(found: tuple[str, Any] | None) -> str | None:
    return None if found is None else str(found[1])


def _seconds(found: tuple[str, Any] | None) -> float | None:
    if found is None:
        return None
    try:
        seconds = float(found[1])
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise errors.Usage(f"wait ({found[0]}) must be seconds from 0 to 86400, not {found[1]!r}")
    return seconds


def _read_file(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise errors.Usage(f"the settings in {path} cannot be read: {error}") from error
    unknown = sorted(set(content) - set(NAMES))
    if unknown:
        raise errors.Usage(
            f"{path} sets {unknown[0]!r}, which is no setting",
            hint=f"settings are {', '.join(NAMES)}",
        )
    for name, value in content.items():
        wanted = (int, float) if name == "wait" else str
        if isinstance(value, bool) or not isinstance(value, wanted):
            kind = "a number" if name == "wait" else "text in quotes"
            raise errors.Usage(f"{path}: {name} must be {kind}")
    return content

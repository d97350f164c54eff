"""Words that a shell completes: course codes, terms and student numbers of the database in use.

A shell asks at every press of Tab, so nothing here may be slow, write, or complain: the database
is read by its plain driver (no SQLAlchemy), for a moment at most, and every failure is an empty
answer.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from studentcli.settings import FORMATS, Settings, load_settings

if TYPE_CHECKING:
    import sqlite3

MOST: Final = 50
"""Words that are offered: more than anybody reads."""
READ: Final = 1000
"""Rows that are read for them: several can give one word, and some words are not offered."""
CONNECT_SECONDS: Final = 0.3
ANSWER_SECONDS: Final = 0.5

SAFE: Final = re.compile(r"\w[\w./+-]*")
"""What no shell takes for anything but a word. bash and zsh would split, expand or run others."""

NUMBERS: Final = "SELECT student_number FROM students WHERE {student_number} ORDER BY 1"
TERMS: Final = "SELECT code FROM terms WHERE {code} ORDER BY 1"
COURSES: Final = (
    "SELECT t.code, c.code, c.section FROM courses c JOIN terms t ON t.id = c.term_id"
    " WHERE ({c.code || '-' || c.section} OR {t.code || '/' || c.code || '-' || c.section})"
    " ORDER BY 2, 3, 1"
)

Result = TypeVar("Result")
Rows = Sequence[tuple[Any, ...]]


# ── what parameters offer ────────────────────────────────────────────────────────────────


def students(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer student numbers."""
    return _offered(incomplete, [row[0] for row in _ask(_settings(ctx), NUMBERS, incomplete)])


def terms(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer codes of terms."""
    return _offered(incomplete, [row[0] for row in _ask(_settings(ctx), TERMS, incomplete)])


def courses(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer courses: the code, with its section where there are several, with the term on demand.

    `CS101` for the only section of its term, `CS101-002` otherwise and once the code is written
    out, `2026FA/CS101-002` once its beginning is. A term that is set narrows the choice.
    """
    settings = _settings(ctx)
    rows = _ask(settings, COURSES, incomplete)
    chosen = settings.term if settings is not None else None
    in_scope = [row for row in rows if chosen is None or row[0] == chosen]
    sections = Counter((term, code) for term, code, _ in in_scope)
    words = [f"{term}/{code}-{section}" for term, code, section in rows if incomplete]
    for term, code, section in in_scope:
        is_only = sections[term, code] == 1 and not incomplete.startswith(f"{code}-")
        words.append(code if is_only else f"{code}-{section}")
    return _offered(incomplete, words)


def formats(incomplete: str) -> list[str]:
    """Offer the output formats."""
    return _offered(incomplete, FORMATS)


def overridable(incomplete: str) -> list[str]:
    """Offer the rules that may be broken."""
    from studentcli.rules import OVERRIDABLE

    return _offered(incomplete, OVERRIDABLE)


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Make a completion of fixed words."""

    def offer(incomplete: str) -> list[str]:
        return _offered(incomplete, words)

    return offer


def _offered(incomplete: str, words: Any) -> list[str]:
    fitting = {word for word in words if word.startswith(incomplete) and SAFE.fullmatch(word)}
    return sorted(fitting)[:MOST]


# ── the database in use ──────────────────────────────────────────────────────────────────


def _settings(ctx: typer.Context) -> Settings | None:
    """Put the settings together from the line as far as it is typed; none if they are no good."""
    named: dict[str, Any] = {}
    place: Any = ctx
    while place is not None:
        for name in ("database", "term"):
            if named.get(name) is None:
                named[name] = place.params.get(name)
        place = place.parent
    with suppress(Exception):  # whatever is wrong, the command itself will say it
        return load_settings(named)
    return None


def _ask(settings: Settings | None, query: str, incomplete: str) -> Rows:
    """Read the rows of a query whose conditions in braces begin with `incomplete`."""
    if settings is None:
        return ()
    with suppress(Exception):  # no database, no driver, no time: nothing to offer
        scheme, is_url, rest = settings.database.partition("://")
        backend = scheme.partition("+")[0]
        if not is_url:
            return _ask_sqlite(settings.database, query, incomplete)
        if backend == "sqlite":
            path = rest.partition("?")[0].removeprefix("/")
            return _ask_sqlite(path, query, incomplete) if path else ()
        if backend in {"postgres", "postgresql"}:
            return _ask_postgres(f"postgresql://{rest}", query, incomplete)
    return ()


def _ask_sqlite(database: str, query: str, incomplete: str) -> Rows:
    # A range, not LIKE, which folds case and cannot use the index.
    condition = r"(\1 >= :first AND \1 < :beyond)"
    sql = f"{re.sub('{(.*?)}', condition, query)} LIMIT {READ}"
    values = {"first": incomplete, "beyond": incomplete + chr(0x10FFFF)}

    def read(connection: "sqlite3.Connection") -> Rows:
        with closing(connection):
            return connection.execute(sql, values).fetchall()

    path = Path(database).expanduser().absolute()
    connection = _within(CONNECT_SECONDS, partial(_open_sqlite, path))
    return _within(ANSWER_SECONDS, partial(read, connection))


def _open_sqlite(path: Path) -> "sqlite3.Connection":
    """Open a SQLite file so that nothing is written, made or left behind.

    A reader of a file in WAL mode makes `-wal` and `-shm` files where there are none, and as a
    reader it may not take them away. Where there are none nobody is writing: the file is then read
    as one that cannot change, which needs neither.
    """
    import sqlite3

    is_used = any(Path(f"{path}{end}").exists() for end in ("-wal", "-journal"))
    mode = "mode=ro" if is_used else "mode=ro&immutable=1"
    return sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=CONNECT_SECONDS, check_same_thread=False
    )


def _ask_postgres(url: str, query: str, incomplete: str) -> Rows:
    import psycopg

    condition = r"\1 LIKE %(pattern)s"
    sql = f"{re.sub('{(.*?)}', condition, query)} LIMIT {READ}"
    pattern = re.sub(r"([\\%_])", r"\\\1", incomplete) + "%"

    def read(connection: "psycopg.Connection[Any]") -> Rows:
        with closing(connection), connection.transaction():
            # Not `options` in the URL: a transaction pooler refuses them.
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = {ANSWER_SECONDS * 1000:.0f}")
            return connection.execute(sql, {"pattern": pattern}).fetchall()

    connect = partial(
        psycopg.connect, url, application_name="studentcli completion", prepare_threshold=None
    )
    return _within(ANSWER_SECONDS, partial(read, _within(CONNECT_SECONDS, connect)))


def _within(seconds: float, job: Callable[[], Result]) -> Result:
    """Give the result of a job, or raise when it fails or takes too long.

    A thread, because neither a name that does not resolve nor a file server that does not answer
    can be interrupted otherwise; it is a daemon, so that the process ends without it.
    """
    from queue import SimpleQueue
    from threading import Thread

    results: SimpleQueue[tuple[Result, ...]] = SimpleQueue()

    def work() -> None:
        try:
            results.put((job(),))
        except BaseException:  # noqa: BLE001  (told as no result; a thread has nobody else to tell)
            results.put(())

    Thread(target=work, daemon=True).start()
    (result,) = results.get(timeout=seconds)
    return result

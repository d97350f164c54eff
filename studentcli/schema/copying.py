"""Copying a whole database into one file while others go on working."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from studentcli import errors
from studentcli.database import Database


def backup(database: Database, target: Path) -> None:
    """Copy the whole database into one file (mode 0600) while others go on working.

    Args:
        database: SQLite is copied page by page; PostgreSQL by `pg_dump` in its custom format.
        target: a file that does not exist yet.

    Raises:
        errors.Usage: when the file exists, or `pg_dump` is not installed.
        errors.DatabaseUnavailable: when the copy fails; the partial file is removed.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise errors.Usage(f"{target} exists already", hint="name a new file") from None
    except OSError as error:
        raise errors.Usage(f"{target} cannot be written: {error.strerror}") from error
    try:
        if database.is_sqlite:
            _copy_sqlite(database, target)
        else:
            _dump_postgres(database, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy_sqlite(database: Database, target: Path) -> None:
    path = Path(str(database.url.database))
    if not path.exists():
        raise errors.DatabaseMissing(f"there is no database at {path}")
    try:
        with (
            closing(
                sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=database.wait)
            ) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except sqlite3.Error as error:
        raise errors.DatabaseUnavailable(f"the backup failed: {error}") from error


def _dump_postgres(database: Database, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise errors.Usage(
            "pg_dump is not installed here", hint="install the PostgreSQL client programs"
        )
    url, password = _without_password(database.url)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(  # noqa: S603  (a fixed program, no shell)
        [program, "--format=custom", f"--file={target}", url],
        env=environment,
        stdin=subprocess.DEVNULL,  # it must not ask for a password
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = "; ".join(done.stderr.strip().splitlines()[:2]) or "pg_dump failed"
        raise errors.DatabaseUnavailable(f"the backup failed: {reason}")


def _without_password(url: URL) -> tuple[str, str | None]:
    """Split a URL into one that everybody may see in the list of processes, and its password."""
    query = dict(url.query)
    asked = query.pop("password", None)
    password = url.password or (asked if isinstance(asked, str) else None)
    public = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    return public.render_as_string(), None if password is None else str(password)

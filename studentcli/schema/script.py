"""The SQL of `db upgrade --sql`: what stands around the migrations when they are run by hand."""

import re
from typing import Final

ADVISORY_LOCK: Final = 0x5C11
MIGRATION_LOCK_TIMEOUT: Final = 2.0
"""Seconds an ALTER may queue in front of readers before it steps back and tries again."""

_BEGIN: Final = {
    "sqlite": (
        "-- Copy the file first. A failure anywhere rolls everything back.",
        "PRAGMA foreign_keys = OFF;",
        "PRAGMA legacy_alter_table = ON;",
        "BEGIN IMMEDIATE;",
    ),
    "postgresql": (
        "-- A failure anywhere rolls everything back. After a lock timeout run it again.",
        "BEGIN;",
        f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK});",
        f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_TIMEOUT:g}s';",
    ),
}
_END: Final = {
    "sqlite": (
        "-- Fails when a row points to nothing.",
        "CREATE TEMP TABLE broken_rows (number INTEGER CHECK (number = 0));",
        "INSERT INTO broken_rows SELECT count(*) FROM pragma_foreign_key_check;",
        "DROP TABLE broken_rows;",
        "COMMIT;",
    ),
    "postgresql": ("COMMIT;",),
}


def begin_script(dialect: str) -> str:
    """Give what comes before the migrations: the transaction, the turn, the limits."""
    return "\n\n".join(_BEGIN[dialect])


def end_script(dialect: str) -> str:
    """Give what comes after the migrations: the checks and COMMIT."""
    return "\n\n".join(_END[dialect])


def one_piece(sql: str) -> str:
    """Join the statements of a script for SQLite, so that its shell stops at the first failure.

    The sqlite3 shell goes on after an error: run on the wrong schema, the rest of a migration
    would destroy rows. What it reads up to a line that ends a statement it runs as one piece, and
    stops within a piece. A comment left open over the line's end makes the script one piece, and
    is a comment to everybody else.
    """
    return re.sub(r";\n(\s*(?:--[^\n]*\n\s*)*)(?=\S)", r"; /*\n\1*/ ", sql)

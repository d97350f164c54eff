"""Taking over `students` and `courses` tables from before studentcli, with every row as it is."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Inspector, Integer, String, inspect, text

from studentcli import errors
from studentcli.database import REVISION, Database, current_revision
from studentcli.models import Base
from studentcli.schema.migrating import (
    OnBackup,
    forecast,
    in_turn,
    keep_copy,
    keep_write_ahead_log,
    reading,
    run_alembic,
    upgrade,
)

PLAIN_REVISION: Final = "0001"
PLAIN_TABLES: Final[dict[str, dict[str, str]]] = {
    "students": {"id": "integer", "name": "text", "email": "text"},
    "courses": {"id": "integer", "title": "text"},
}
"""Revision 1 as people may have it from before studentcli: table → column → kind of type."""
FILLED: Final = (("students", "name"), ("courses", "title"))
"""The columns of revision 1, besides the keys, in which every row holds something."""


def adopt(database: Database, *, on_backup: OnBackup | None = None) -> str:
    """Take over tables from before studentcli: stamp them as revision 1, then upgrade them.

    Args:
        database: whose `students` and `courses` match revision 1; other tables stay as they are.
        on_backup: is told where the copy of a SQLite file lies.

    Returns:
        The revision that the database has now; one that has a revision already is upgraded.

    Raises:
        errors.SchemaMismatch: listing every difference to revision 1; nothing is changed.
        errors.Busy: when somebody kept the tables for too long.
    """

    def change(connection: Connection) -> None:
        if current_revision(connection) is not None:
            return  # another process has adopted them meanwhile
        _require_plain(connection)
        keep_copy(database, "plain", on_backup)
        if not database.is_sqlite:
            _align(connection)
        run_alembic(connection, "stamp", PLAIN_REVISION)
        run_alembic(connection, "upgrade", REVISION)

    if _is_plain(database):
        in_turn(database, change)
        keep_write_ahead_log(database)
    return upgrade(database, on_backup=on_backup)


def forecast_adoption(database: Database) -> str:
    """Say what `adopt` would do; raises what it would raise, reads only."""
    if not _is_plain(database):
        return forecast(database)
    return f"the tables students and courses of {database} would be adopted (schema {REVISION})"


def _is_plain(database: Database) -> bool:
    """Tell whether there are tables to adopt, or a revision already; refuse any other tables."""
    with reading(database) as connection:
        if current_revision(connection) is not None:
            return False
        _require_plain(connection)
    return True


def _require_plain(connection: Connection) -> None:
    differences = plain_differences(connection)
    if differences:
        raise errors.SchemaMismatch(
            "these tables are not the plain schema: " + "; ".join(differences),
            hint="make them students(id, name, email) and courses(id, title), then run"
            " studentcli db adopt again",
        )


# ── what differs ─────────────────────────────────────────────────────────────────────────


def plain_differences(connection: Connection) -> list[str]:
    """List in which ways `students` and `courses` differ from revision 1, in table order."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    found: list[str] = []
    for table, expected in PLAIN_TABLES.items():
        if table in present:
            found += _column_differences(inspector, table, expected)
            found += _extras(inspector, connection, table)
        else:
            found.append(f"there is no table {table}")
    if not found:
        found += _empty_cells(connection)
    ours = [table.name for table in Base.metadata.sorted_tables if table.name not in PLAIN_TABLES]
    return found + [f"there is already a table {name}" for name in ours if name in present]


def _column_differences(
    inspector: Inspector, table: str, expected: dict[str, str]
) -> Iterator[str]:
    columns = {column["name"]: column["type"] for column in inspector.get_columns(table)}
    for name, kind in expected.items():
        if name not in columns:
            yield f"{table} has no column {name}"
        elif not isinstance(columns[name], Integer if kind == "integer" else String):
            yield f"{table}.{name} is {columns[name]}, not {kind}"
    for name in columns:
        if name not in expected:
            yield f"{table} has another column, {name}"
    if inspector.get_pk_constraint(table)["constrained_columns"] != ["id"]:
        yield f"the primary key of {table} is not id"


def _extras(inspector: Inspector, connection: Connection, table: str) -> Iterator[str]:
    """Find what making the table anew would lose, and what could refuse a new row."""
    for unique in inspector.get_unique_constraints(table):
        yield f"{table} has a unique constraint on {', '.join(unique['column_names'])}"
    for index in inspector.get_indexes(table):
        if not index.get("duplicates_constraint"):
            yield f"{table} has an index {index['name']}"
    for check in inspector.get_check_constraints(table):
        yield f"{table} has a check constraint {check['sqltext']}"
    for key in inspector.get_foreign_keys(table):
        yield f"{table} has a foreign key to {key['referred_table']}"
    triggers = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY name"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name)"
        " AND NOT tgisinternal ORDER BY tgname"
    )
    for trigger in connection.scalars(text(triggers), {"name": table}):
        yield f"{table} has a trigger {trigger}"


def _empty_cells(connection: Connection) -> Iterator[str]:
    for table, column in FILLED:
        query = f"SELECT count(*) FROM {table} WHERE {column} IS NULL"
        count = connection.exec_driver_sql(query).scalar_one()
        if count:
            yield f"{count} rows of {table} have no {column}"


# ── PostgreSQL: the exact types of revision 1 ────────────────────────────────────────────


def _align(connection: Connection) -> None:
    """Give the columns the types, defaults and names of revision 1; the rows keep their values.

    SQLite needs none of this: there the upgrade makes both tables anew.
    """
    inspector = inspect(connection)
    for table, expected in PLAIN_TABLES.items():
        columns = {column["name"]: column for column in inspector.get_columns(table)}
        for name in expected:
            for change in _column_changes(columns[name], is_filled=(table, name) in FILLED):
                connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN {name} {change}")
        _align_key(connection, table, columns["id"], inspector.get_pk_constraint(table)["name"])


def _column_changes(column: Any, *, is_filled: bool) -> Iterator[str]:
    if column["name"] == "id":
        return
    yield "TYPE TEXT"
    yield "DROP DEFAULT"
    yield "SET NOT NULL" if is_filled else "DROP NOT NULL"


def _align_key(connection: Connection, table: str, column: Any, constraint: str | None) -> None:
    """Make the id a bigint identity; the upgrade lets it go on behind the highest id."""
    alter = f"ALTER TABLE {table} ALTER COLUMN id"
    if column.get("identity"):
        connection.exec_driver_sql(f"{alter} SET GENERATED BY DEFAULT")
        connection.exec_driver_sql(f"{alter} TYPE BIGINT")
    else:
        own = f"SELECT pg_get_serial_sequence('{table}', 'id')"
        sequence = connection.exec_driver_sql(own).scalar()
        connection.exec_driver_sql(f"{alter} DROP DEFAULT")
        if sequence is not None:
            connection.exec_driver_sql(f"DROP SEQUENCE {sequence}")
        connection.exec_driver_sql(f"{alter} TYPE BIGINT")
        connection.exec_driver_sql(f"{alter} ADD GENERATED BY DEFAULT AS IDENTITY")
    if constraint != f"pk_{table}":
        connection.exec_driver_sql(
            f'ALTER TABLE {table} RENAME CONSTRAINT "{constraint}" TO pk_{table}'
        )

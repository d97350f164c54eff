"""What tests of the schema compare: every row, and the whole shape of every table."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from studentcli.database import Database, normalize_url

Rows = dict[str, list[tuple[Any, ...]]]

PLAIN_STUDENTS = [
    (1, "Ada King", "ada@example.org"),
    (2, "O'Brien; DROP TABLE students; --", None),
    (7, "", ""),
    (1000, "نگار\u200cجان 李 José", "x"),
    (2**40, " spaces  kept ", None),
]
PLAIN_COURSES = [(1, "Calculus"), (3, ""), (2**40, "50% \\ of :everything")]


def plain_rows(connection: Connection) -> None:
    """Fill a database of revision 1."""
    for row in PLAIN_STUDENTS:
        named = dict(zip(("id", "name", "email"), row, strict=True))
        connection.execute(text("INSERT INTO students VALUES (:id, :name, :email)"), named)
    for number, title in PLAIN_COURSES:
        named = {"id": number, "title": title}
        connection.execute(text("INSERT INTO courses VALUES (:id, :title)"), named)


def enrolled_rows(connection: Connection) -> None:
    """Fill a database of revision 2 with something in every table."""
    for statement in ENROLLED_ROWS.split(";\n"):
        connection.exec_driver_sql(statement)


ENROLLED_ROWS = """\
INSERT INTO terms (code, name, drop_until, time_zone)
    VALUES ('2026FA', 'Fall', '2026-10-30', 'Europe/Berlin');
INSERT INTO students (student_number, given_name, family_name, status, max_credit_hours, created_at)
    VALUES ('S1', 'Ada', 'King', 'active', 18.5, '2026-10-05 09:30:00'),
           ('00731', '', 'ε & <b>', 'inactive', NULL, '2026-10-05 09:30:00');
INSERT INTO courses (title, term_id, code, section, credit_hours, capacity, waitlist_capacity,
    status)
    SELECT 'Logic -- <b>', id, 'CS101', '1', 3, 1, 5, 'open' FROM terms WHERE code = '2026FA';
INSERT INTO student_courses
    SELECT s.id, c.id, 'waitlisted', '2026-09-01', '2026-09-01', 7, NULL
    FROM students s, courses c WHERE student_number = 'S1';
INSERT INTO student_courses
    SELECT s.id, c.id, 'completed', '2026-09-01', '2026-10-01', NULL, 'B+'
    FROM students s, courses c WHERE student_number = '00731';
INSERT INTO operations (kind, channel, actor, outcome, started_at, finished_at, totals)
    VALUES ('enroll', 'cli', 'ada', 'done', '2026-10-05 09:30:00', '2026-10-05 09:30:00', '{}');
INSERT INTO enrollment_events
    (operation_id, student_id, course_id, action, to_status, effective_on, recorded_at)
    VALUES (1, 1, 1, 'enroll', 'enrolled', '2026-09-01', '2026-10-05 09:30:00');
INSERT INTO catalog_events (operation_id, kind, record_id, action, changes, recorded_at)
    VALUES (1, 'course', 1, 'created', '{}', '2026-10-05 09:30:00')"""


def open_database(url: str, *, wait: float = 30.0) -> Database:
    """Open a database; an empty file for a SQLite one that is not there."""
    database = Database(normalize_url(url), wait=wait)
    if database.is_sqlite:
        Path(str(database.url.database)).touch(0o600)
    return database


def rows_of(database: Database) -> Rows:
    """Read every row of every table, in the order of its columns."""
    with database.connect(writes=False) as connection:
        tables = set(inspect(connection).get_table_names())
        return {
            table: sorted(
                map(tuple, connection.execute(text(f'SELECT * FROM "{table}"'))), key=repr
            )
            for table in tables
        }


def shape_of(database: Database) -> dict[str, Any]:
    """Describe every table: columns, defaults, keys, checks, indexes, with their names."""
    with database.connect(writes=False) as connection:
        inspector = inspect(connection)
        return {
            table: {
                "columns": [
                    (column["name"], str(column["type"]), column["nullable"], column["default"],
                     column.get("identity"))
                    for column in sorted(
                        inspector.get_columns(table), key=lambda column: column["name"]
                    )
                ],
                "key": inspector.get_pk_constraint(table),
                "foreign": sorted(map(repr, inspector.get_foreign_keys(table))),
                "unique": sorted(map(repr, inspector.get_unique_constraints(table))),
                "checks": sorted(map(repr, inspector.get_check_constraints(table))),
                "indexes": sorted(
                    (index["name"], index["column_names"], bool(index["unique"]),
                     {name: str(value) for name, value in index["dialect_options"].items()})
                    for index in inspector.get_indexes(table)
                ),
            }
            for table in inspector.get_table_names()
        }  # fmt: skip


def old_columns(database: Database) -> Rows:
    """Read the columns of revision 1."""
    with database.connect(writes=False) as connection:
        students = connection.execute(text("SELECT id, name, email FROM students ORDER BY id"))
        courses = connection.execute(text("SELECT id, title FROM courses ORDER BY id"))
        return {"students": [*map(tuple, students)], "courses": [*map(tuple, courses)]}


def execute(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def copies_of(database: Database) -> list[Path]:
    if not database.is_sqlite:
        return []
    path = Path(str(database.url.database))
    return sorted(path.parent.glob(f"{path.name}.*.backup"))

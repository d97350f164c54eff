"""Every migration keeps every row, in its turn, whole or not at all; the model matches."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Text, text

from studentcli import errors, schema
from studentcli.database import REVISION, Database, init_database
from studentcli.models import Base, complete_metadata
from tests.conftest import Run
from tests.tables import (
    PLAIN_COURSES,
    PLAIN_STUDENTS,
    Rows,
    copies_of,
    enrolled_rows,
    execute,
    old_columns,
    open_database,
    plain_rows,
    rows_of,
    shape_of,
)
from tests.world import World

CHECKOUT = Path(__file__).parent.parent
NewDatabase = Callable[..., str]


def nothing(connection: Connection) -> None:
    """Leave a database without tables as it is."""
    del connection


FILLINGS: dict[str, Callable[[Connection], None]] = {
    "0001": nothing,
    "0002": plain_rows,
    "0003": enrolled_rows,
}
"""Revision → what fills the database of the revision before it. A new migration needs one."""


def revisions() -> list[tuple[str, str]]:
    """List the migrations as (revision before, revision), oldest first."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_folder()))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return [(str(script.down_revision or "base"), script.revision) for script in scripts][::-1]


@pytest.fixture
def plain(engine: str, new_database: NewDatabase) -> Iterator[Database]:
    """Give a filled database of revision 1 on each engine."""
    database = open_database(new_database(engine, empty=True))
    schema.upgrade(database, create=True, revision="0001")
    with database.engine.begin() as connection:
        plain_rows(connection)
    yield database
    database.dispose()


# ── up and down ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("before", "revision"), revisions(), ids=str)
def test_every_migration_goes_up_and_down_again_and_leaves_all_as_it_was(
    before: str, revision: str, engine: str, new_database: NewDatabase
) -> None:
    database = open_database(new_database(engine, empty=True))
    if before != "base":
        schema.upgrade(database, create=True, revision=before)
    with database.connect(writes=True) as connection:
        FILLINGS[revision](connection)
        connection.commit()
    rows, shape = rows_of(database), shape_of(database)
    schema.upgrade(database, create=True, revision=revision)
    assert shape_of(database) != shape
    schema.downgrade(database, before)
    after = rows_of(database)
    if before == "base":
        assert after.pop("alembic_version") == []
        shape["alembic_version"] = shape_of(database)["alembic_version"]
    assert after == rows
    assert shape_of(database) == shape


def test_the_upgrade_keeps_what_the_old_columns_hold(plain: Database) -> None:
    schema.upgrade(plain)
    assert old_columns(plain) == {"students": PLAIN_STUDENTS, "courses": PLAIN_COURSES}


def test_the_upgrade_fills_the_new_columns_from_the_old(plain: Database) -> None:
    schema.upgrade(plain)
    with plain.connect(writes=False) as connection:
        students = connection.execute(
            text(
                "SELECT id, student_number, given_name, family_name, status, max_credit_hours"
                " FROM students ORDER BY id"
            )
        ).all()
        courses = connection.execute(
            text(
                "SELECT c.id, t.code, c.code, section, credit_hours, capacity, waitlist_capacity,"
                " status FROM courses c JOIN terms t ON t.id = term_id ORDER BY c.id"
            )
        ).all()
    assert [*map(tuple, students)] == [
        (number, str(number), "", name, "active", None) for number, name, _ in PLAIN_STUDENTS
    ]
    assert [*map(tuple, courses)] == [
        (number, "ALL", str(number), "1", Decimal(0), None, 0, "open")
        for number, _ in PLAIN_COURSES
    ]


def test_the_upgrade_dates_the_students_and_makes_one_undated_term(plain: Database) -> None:
    schema.upgrade(plain)
    students, terms = Base.metadata.tables["students"], Base.metadata.tables["terms"]
    with plain.connect(writes=False) as connection:
        created = connection.execute(students.select()).all()
        term = connection.execute(terms.select()).one()
    now = datetime.now(UTC)
    assert all(now - timedelta(minutes=5) < row.created_at <= now for row in created)
    given = {name: value for name, value in term._mapping.items() if value is not None}
    assert given == {"id": 1, "code": "ALL", "name": "All courses", "time_zone": "UTC"}


def test_an_upgraded_database_takes_enrollments_and_new_students(plain: Database) -> None:
    schema.upgrade(plain)
    world = World(plain.url.render_as_string(hide_password=False))
    world.student("S1")
    world.course("CS101")
    assert world.one("enroll", "1000", "3").result == "enrolled"
    assert world.one("enroll", "S1", "CS101").result == "enrolled"


def test_a_downgrade_keeps_students_and_courses_that_came_later(plain: Database) -> None:
    schema.upgrade(plain)
    world = World(plain.url.render_as_string(hide_password=False))
    world.student("S1", given_name="Grace", family_name="Hopper")
    world.course("CS101", title="Compilers")
    world.submit("enroll", "S1", "CS101")
    schema.downgrade(plain, "0001")
    found = old_columns(plain)
    new_student, new_course = (
        next(row for row in found[table] if row not in old)
        for table, old in (("students", PLAIN_STUDENTS), ("courses", PLAIN_COURSES))
    )
    assert (new_student[1:], new_course[1:]) == (("Grace Hopper", None), ("Compilers",))
    assert len(found["students"]) == len(PLAIN_STUDENTS) + 1
    schema.upgrade(plain)
    assert world.one("enroll", "1", "3").result == "enrolled"


def test_ids_go_on_behind_the_highest_one(plain: Database) -> None:
    schema.upgrade(plain)
    world = World(plain.url.render_as_string(hide_password=False))
    world.student("A", "B", "C")
    world.course("D")
    found = old_columns(plain)
    highest = 2**40
    assert [row[0] - highest for row in found["students"][-3:]] == [1, 2, 3]
    assert found["courses"][-1][0] == highest + 1


# ── the model is what the migrations make ────────────────────────────────────────────────


def test_the_code_works_with_the_newest_revision() -> None:
    assert revisions()[-1][1] == schema.newest_revision() == REVISION


def test_alembic_finds_no_difference_between_the_model_and_the_tables(url: str) -> None:
    with open_database(url).connect(writes=False) as connection:
        # SQLite has no identities: Alembic would take each of ours for a change.
        options = {"compare_server_default": connection.dialect.name != "sqlite"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, complete_metadata()) == []


def test_the_migrations_make_the_same_tables_as_the_model(
    url: str, engine: str, new_database: NewDatabase
) -> None:
    by_model = open_database(new_database(engine, empty=True))
    with by_model.engine.begin() as connection:
        complete_metadata().create_all(connection)
    migrated = shape_of(open_database(url))
    del migrated["alembic_version"]
    assert migrated == shape_of(by_model)


def test_the_plain_alembic_command_checks_and_migrates_too(plain: Database) -> None:
    url = plain.url.set(drivername=plain.url.get_backend_name())
    environment = {**os.environ, "STUDENTCLI_DATABASE_URL": url.render_as_string(False)}  # noqa: FBT003
    for words in (["upgrade", "head"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "No new upgrade operations" in done.stdout
    assert schema.status(plain).is_current


# ── in turn ──────────────────────────────────────────────────────────────────────────────


def test_upgrades_at_the_same_moment_all_succeed(plain: Database, run: Run) -> None:
    url = plain.url.render_as_string(hide_password=False)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(run, "db", "upgrade", database=url) for _ in range(4)]
        done = [call.result() for call in calls]
    assert [(one.returncode, one.stderr[-200:]) for one in done if one.returncode] == []
    assert old_columns(plain) == {"students": PLAIN_STUDENTS, "courses": PLAIN_COURSES}
    assert len(copies_of(plain)) == plain.is_sqlite


def test_creating_one_database_at_the_same_moment_succeeds_for_all(
    engine: str, new_database: NewDatabase
) -> None:
    url = new_database(engine, empty=True)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(init_database, [url] * 6)) == {REVISION}
    assert World(url).count("terms") == 1


@contextmanager
def idle_reader(database: Database) -> Iterator[Connection]:
    """Hold a transaction open that has read the tables, as a forgotten session does."""
    with database.connect(writes=False) as connection:
        connection.execute(text("SELECT count(*) FROM students, courses")).scalar_one()
        yield connection


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_an_upgrade_behind_an_idle_reader_gives_up_and_names_it(plain: Database) -> None:
    before = rows_of(plain)
    hurried = Database(plain.url, wait=0.5)
    with idle_reader(plain), pytest.raises(errors.Busy) as caught:
        schema.upgrade(hurried)
    assert f"studentcli:{os.getpid()}" in caught.value.message
    assert rows_of(plain) == before
    assert schema.upgrade(hurried) == REVISION


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_an_upgrade_steps_back_from_a_reader_and_succeeds_when_it_has_gone(
    plain: Database,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with idle_reader(plain):
            upgrading = pool.submit(schema.upgrade, plain)
            longest = 0.0
            until = time.monotonic() + 3.5
            while time.monotonic() < until:
                start = time.monotonic()
                rows_of(plain)
                longest = max(longest, time.monotonic() - start)
            assert not upgrading.done()
        assert upgrading.result(60) == REVISION
    assert longest < 10  # other readers never queue for longer than the lock timeout


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_migrator_waits_for_its_turn_however_short_its_patience(plain: Database) -> None:
    hurried = Database(plain.url, wait=0.1)
    inside, leave = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        inside.set()
        leave.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(schema.in_turn, plain, hold)
        assert inside.wait(30)
        second = pool.submit(schema.upgrade, hurried)
        time.sleep(0.7)
        assert not second.done()
        leave.set()
        first.result(30)
        assert second.result(30) == REVISION


def test_an_upgrade_behind_a_writer_of_the_same_file_says_busy(
    new_database: NewDatabase,
) -> None:
    url = new_database("sqlite", empty=True)
    schema.upgrade(open_database(url), create=True, revision="0001")
    with closing(sqlite3.connect(url, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.Busy):
            schema.upgrade(open_database(url, wait=0.2))
    assert schema.upgrade(open_database(url)) == REVISION


# ── whole or not at all ──────────────────────────────────────────────────────────────────


def test_an_error_in_the_middle_of_a_migration_rolls_all_of_it_back(plain: Database) -> None:
    execute(plain, "CREATE TABLE operations (mine TEXT)", "INSERT INTO operations VALUES ('x')")
    rows, shape = rows_of(plain), shape_of(plain)
    with pytest.raises(errors.SchemaMismatch, match=r"rolled back: .*operations.* already exists"):
        schema.upgrade(plain)
    assert rows_of(plain) == rows
    assert shape_of(plain) == shape


def test_a_migration_that_loses_rows_is_rolled_back(world: World) -> None:
    world.student("S1", "S2")
    before = rows_of(world.database)
    with pytest.raises(errors.DatabaseDamaged, match="students had 2 rows"):
        schema.in_turn(
            world.database,
            lambda connection: connection.exec_driver_sql(
                "DELETE FROM students WHERE student_number = 'S2'"
            ).close(),
        )
    assert rows_of(world.database) == before


def test_a_migration_that_leaves_rows_pointing_to_nothing_is_rolled_back(
    sqlite_world: World,
) -> None:
    sqlite_world.course("CS101")
    before = rows_of(sqlite_world.database)
    with pytest.raises(errors.DatabaseDamaged, match="1 rows would point to nothing"):
        schema.in_turn(
            sqlite_world.database,
            lambda connection: connection.exec_driver_sql(
                "UPDATE courses SET term_id = 99"
            ).close(),
        )
    assert rows_of(sqlite_world.database) == before


def test_making_a_table_anew_keeps_the_rows_that_point_to_it(world: World) -> None:
    world.student("S1", "S2")
    world.course("CS101")
    world.submit("enroll", "S1", "CS101")
    before = world.enrollments()

    def make_anew(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("students", recreate="auto") as students:
            students.add_column(Column("nickname", Text, nullable=False, server_default="-"))
            students.alter_column("email", existing_type=Text(), nullable=True)

    schema.in_turn(world.database, make_anew)
    assert world.enrollments() == before != {}


def test_a_view_that_somebody_made_survives_the_upgrade(plain: Database) -> None:
    execute(plain, "CREATE VIEW names AS SELECT id, name FROM students")
    schema.upgrade(plain)
    with plain.connect(writes=False) as connection:
        seen = connection.execute(text("SELECT id, name FROM names ORDER BY id")).all()
    assert [*map(tuple, seen)] == [row[:2] for row in PLAIN_STUDENTS]


# ── the copy that comes first ────────────────────────────────────────────────────────────


def test_a_sqlite_file_is_copied_before_it_is_upgraded(new_database: NewDatabase) -> None:
    database = open_database(new_database("sqlite", empty=True))
    schema.upgrade(database, create=True, revision="0001")
    execute(database, "INSERT INTO students (name) VALUES ('Ada')")
    before, told = rows_of(database), list[Path]()
    schema.upgrade(database, on_backup=told.append)
    assert told == copies_of(database)
    assert len(told) == 1
    assert rows_of(open_database(str(told[0]))) == before
    assert told[0].stat().st_mode & 0o777 == 0o600


def test_a_database_that_needs_no_upgrade_is_not_copied(sqlite_world: World) -> None:
    schema.upgrade(sqlite_world.database, create=True)
    assert copies_of(sqlite_world.database) == []


def test_an_upgrade_that_is_not_needed_waits_for_nobody(world: World) -> None:
    hurried = Database(world.database.url, wait=0.1)
    with world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE terms SET name = name"))
        assert schema.upgrade(hurried) == REVISION


# ── by hand ──────────────────────────────────────────────────────────────────────────────


def run_by_hand(database: Database, sql: str, *, in_shell: bool = False) -> bool:
    """Run a script as an administrator does; gives whether it went through."""
    if not database.is_sqlite:
        import psycopg

        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with closing(psycopg.connect(url, autocommit=True)) as session:
            try:
                session.execute(sql)
            except psycopg.Error:
                return False
        return True
    path = str(database.url.database)
    if in_shell:
        done = subprocess.run(
            ["sqlite3", path], input=sql, text=True, capture_output=True, check=False
        )
        return done.returncode == 0
    with closing(sqlite3.connect(path)) as driver:
        try:
            driver.executescript(sql)
        except sqlite3.Error:
            return False
    return True


def without_times(rows: Rows) -> Rows:
    """Leave the minute of the upgrade out."""
    return {
        table: [
            tuple(value for value in row if not str(value).startswith(str(datetime.now(UTC).year)))
            for row in of_table
        ]
        for table, of_table in rows.items()
    }


def test_the_printed_sql_does_by_hand_what_the_upgrade_does(
    plain: Database, engine: str, new_database: NewDatabase
) -> None:
    other = open_database(new_database(engine, empty=True))
    schema.upgrade(other, create=True, revision="0001")
    with other.engine.begin() as connection:
        plain_rows(connection)
    before = rows_of(plain)
    script = schema.upgrade_sql(plain)
    assert rows_of(plain) == before
    assert run_by_hand(plain, script)
    schema.upgrade(other)
    assert without_times(rows_of(plain)) == without_times(rows_of(other))
    assert shape_of(plain) == shape_of(other)


def test_the_printed_sql_run_a_second_time_fails_and_changes_nothing(plain: Database) -> None:
    script = schema.upgrade_sql(plain)
    assert run_by_hand(plain, script)
    World(plain.url.render_as_string(hide_password=False)).student("S1", family_name="King")
    rows, shape = rows_of(plain), shape_of(plain)
    assert not run_by_hand(plain, script)
    assert rows_of(plain) == rows
    assert shape_of(plain) == shape


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the sqlite3 shell is not here")
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_sqlite_shell_stops_at_the_first_failure_of_the_printed_sql(plain: Database) -> None:
    script = schema.upgrade_sql(plain)
    assert run_by_hand(plain, script, in_shell=True)
    assert old_columns(plain) == {"students": PLAIN_STUDENTS, "courses": PLAIN_COURSES}
    World(str(plain.url.database)).student("S1", family_name="King")
    rows, shape = rows_of(plain), shape_of(plain)
    assert not run_by_hand(plain, script, in_shell=True)
    assert rows_of(plain) == rows
    assert shape_of(plain) == shape


def test_the_printed_sql_makes_a_database_from_nothing(
    url: str, engine: str, new_database: NewDatabase
) -> None:
    database = open_database(new_database(engine, empty=True))
    assert run_by_hand(database, schema.upgrade_sql(database))
    assert shape_of(database) == shape_of(open_database(url))
    assert schema.status(database).is_current


def test_the_printed_sql_for_a_current_database_changes_nothing(url: str) -> None:
    database = open_database(url)
    script = schema.upgrade_sql(database)
    assert script.startswith("-- ")
    assert script.count("\n") == 1

"""db init, upgrade, adopt, status, check, backup: what they promise, and what they leave alone."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from studentcli import errors, schema
from studentcli.database import REVISION, Database
from studentcli.services.cancelling import cancel_course
from studentcli.services.checks import check_database
from studentcli.services.renumbering import renumber_student
from tests.conftest import ENGINES, Run
from tests.postgres import binary_folders
from tests.tables import (
    PLAIN_COURSES,
    PLAIN_STUDENTS,
    copies_of,
    execute,
    old_columns,
    open_database,
    plain_rows,
    rows_of,
    shape_of,
)
from tests.world import World

NewDatabase = Callable[..., str]


@pytest.fixture
def plain_url(engine: str, new_database: NewDatabase) -> str:
    """Give a filled database of revision 1 on each engine."""
    url = new_database(engine, empty=True)
    database = open_database(url)
    schema.upgrade(database, create=True, revision="0001")
    with database.engine.begin() as connection:
        plain_rows(connection)
    return url


def state_of(url: str) -> Any:
    """Describe all that a command could touch: rows, shape, and a file's bytes and neighbours."""
    database = open_database(url)
    if not database.is_sqlite:
        return rows_of(database), shape_of(database)
    path = Path(url)
    return path.read_bytes(), sorted(p.name for p in path.parent.glob(f"{path.name}*.backup"))


# ── init ─────────────────────────────────────────────────────────────────────────────────


def test_init_makes_a_database_and_a_second_time_finds_it_ready(
    engine: str, new_database: NewDatabase, command: Run
) -> None:
    url = new_database(engine, empty=True)
    for _ in range(2):
        done = command("db", "init", database=url)
        assert (done.returncode, done.stdout) == (0, "")
        assert f"is ready (schema {REVISION})" in done.stderr
    assert World(url).count("terms") == 1


def test_init_makes_the_file_for_its_owner_only_and_the_folders_above_it(
    tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "new" / "folder" / "school.db"
    done = run("db", "init", "-q", database=str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_forecast_of_init_makes_nothing(
    engine: str, new_database: NewDatabase, command: Run
) -> None:
    url = new_database(engine, empty=True)
    done = command("db", "init", "--dry-run", database=url)
    assert done.returncode == 0
    assert "would be created" in done.stderr
    assert command("db", "status", database=url).returncode == errors.ExitStatus.DATABASE


def test_init_leaves_tables_of_somebody_else_alone(
    engine: str, new_database: NewDatabase, command: Run
) -> None:
    url = new_database(engine, empty=True)
    execute(open_database(url), "CREATE TABLE payroll (id INTEGER)")
    before = state_of(url)
    for words in (["init"], ["upgrade"], ["upgrade", "--sql"], ["init", "-n"]):
        done = command("db", *words, database=url)
        assert done.returncode == errors.ExitStatus.DATABASE
        assert "payroll" in done.stderr
        assert "studentcli db adopt" in done.stderr
    assert state_of(url) == before


# ── status and the start-up check ────────────────────────────────────────────────────────


def test_status_of_a_database_that_fits_is_exit_0(url: str, command: Run) -> None:
    done = command("db", "status", "--format", "json", database=url)
    assert done.returncode == 0
    (found,) = json.loads(done.stdout)
    assert (found["revision"], found["expected"], found["is_current"]) == (
        REVISION,
        REVISION,
        "yes",
    )


def test_an_older_schema_stops_every_command_and_nothing_is_touched(
    plain_url: str, command: Run
) -> None:
    before = state_of(plain_url)
    for words in (["courses"], ["student", "add", "S9"], ["db", "status"], ["db", "check"]):
        done = command(*words, database=plain_url)
        assert done.returncode == errors.ExitStatus.DATABASE, words
    assert "studentcli db upgrade" in done.stderr
    assert state_of(plain_url) == before


def test_a_newer_schema_stops_every_command_and_nothing_is_touched(url: str, command: Run) -> None:
    execute(open_database(url), "UPDATE alembic_version SET version_num = '9999'")
    before = state_of(url)
    for words in (["enroll", "S1", "C1"], ["db", "init"], ["db", "upgrade"], ["db", "adopt"],
                  ["db", "upgrade", "--sql"], ["db", "adopt", "-n"]):  # fmt: skip
        done = command(*words, database=url)
        assert (done.returncode, done.stdout) == (errors.ExitStatus.DATABASE, ""), words
        assert "newer than this studentcli" in done.stderr
    assert state_of(url) == before


@pytest.mark.parametrize("verb", ["status", "upgrade", "check", "adopt", "backup"])
def test_a_mistyped_path_creates_nothing(verb: str, tmp_path: Path, command: Run) -> None:
    more = ["copy.db"] if verb == "backup" else []
    done = command("db", verb, *more, database=str(tmp_path / "mistyped.db"))
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "there is no database at" in done.stderr
    assert [*tmp_path.glob("*.db")] == []


@pytest.mark.parametrize("verb", ["init", "status", "upgrade", "check", "adopt", "backup"])
def test_a_file_that_is_no_database_stays_as_it_is(verb: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear registrar, " * 1000)
    more = ["copy.db"] if verb == "backup" else []
    done = run("db", verb, *more, database=str(path))
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "Traceback" not in done.stderr
    assert path.read_text() == "Dear registrar, " * 1000
    assert [*tmp_path.glob("*.db")] == []


def test_a_server_that_is_not_there_is_exit_7(tmp_path: Path, command: Run) -> None:
    url = f"postgresql://registrar:s3cret@/school?host={tmp_path}"
    for words in (["init"], ["upgrade"], ["status"], ["adopt"], ["check"], ["upgrade", "--sql"]):
        done = command("db", *words, database=url)
        assert done.returncode == errors.ExitStatus.DATABASE, words
        assert "s3cret" not in done.stderr


# ── upgrade ──────────────────────────────────────────────────────────────────────────────


def test_upgrade_brings_a_filled_database_up_to_date_and_tells_of_the_copy(
    plain_url: str, command: Run
) -> None:
    done = command("db", "upgrade", database=plain_url)
    assert done.returncode == 0
    database = open_database(plain_url)
    assert old_columns(database) == {"students": PLAIN_STUDENTS, "courses": PLAIN_COURSES}
    assert all(f"is copied to {copy}" in done.stderr for copy in copies_of(database))
    assert command("db", "status", "-q", database=plain_url).returncode == 0


def test_a_forecast_of_upgrade_changes_nothing(plain_url: str, command: Run) -> None:
    before = state_of(plain_url)
    done = command("db", "upgrade", "-n", database=plain_url)
    assert done.returncode == 0
    assert f"would be upgraded from schema 0001 to {REVISION}" in done.stderr
    assert state_of(plain_url) == before


def test_upgrade_sql_prints_sql_and_nothing_else(plain_url: str, run: Run) -> None:
    before = state_of(plain_url)
    done = run("db", "upgrade", "--sql", database=plain_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-- ")
    assert done.stdout.rstrip().endswith("COMMIT;")
    assert state_of(plain_url) == before


# ── adopt ────────────────────────────────────────────────────────────────────────────────

LEGACY = {
    "sqlite-as-we-make-them": (
        "CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT)",
        "CREATE TABLE courses (id INTEGER PRIMARY KEY, title TEXT NOT NULL)",
    ),
    "sqlite-of-an-orm": (
        "CREATE TABLE courses (id INTEGER NOT NULL, title VARCHAR(200), PRIMARY KEY (id))",
        (
            "CREATE TABLE students (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(80),"
            " email VARCHAR(120) NOT NULL DEFAULT '')"
        ),
    ),
    "postgresql-as-we-make-them": (
        (
            "CREATE TABLE students (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
            " name TEXT NOT NULL, email TEXT)"
        ),
        "CREATE TABLE courses (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title TEXT)",
    ),
    "postgresql-of-an-orm": (
        (
            "CREATE TABLE students (id SERIAL PRIMARY KEY, name VARCHAR(80) NOT NULL,"
            " email VARCHAR(120) NOT NULL DEFAULT '')"
        ),
        "CREATE TABLE courses (id INTEGER CONSTRAINT course_key PRIMARY KEY, title VARCHAR(200))",
    ),
}


def make_legacy(url: str, name: str) -> Database:
    """Make tables as people have them from before studentcli, without a version table."""
    database = open_database(url)
    values = "(7, 'Ada King', 'ada@x'), (3, '李 O''Brien', ''), (2000000000, '', 'x')"
    override = "" if database.is_sqlite else "OVERRIDING SYSTEM VALUE"
    execute(
        database,
        *LEGACY[name],
        f"INSERT INTO students (id, name, email) {override} VALUES {values}",
        f"INSERT INTO courses (id, title) {override} VALUES (5, 'Calculus'), (6, '')",
    )
    return database


@pytest.fixture(params=LEGACY)
def legacy(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Database]:
    """Give filled tables from before studentcli, in the forms that people have them in."""
    name = str(request.param)
    database = make_legacy(new_database(name.partition("-")[0], empty=True), name)
    yield database
    database.dispose()


def test_adopting_keeps_every_row_and_makes_the_same_tables_as_the_migrations(
    legacy: Database, new_database: NewDatabase
) -> None:
    before = old_columns(legacy)
    assert schema.adopt(legacy) == REVISION
    assert old_columns(legacy) == before
    fresh = open_database(new_database(legacy.url.get_backend_name()))
    assert shape_of(legacy) == shape_of(fresh)


def test_adopting_fills_the_new_columns_and_work_goes_on(legacy: Database) -> None:
    schema.adopt(legacy)
    with legacy.connect(writes=False) as connection:
        students = connection.execute(
            text("SELECT student_number, family_name, status FROM students ORDER BY id")
        ).all()
        dated = connection.execute(text("SELECT count(created_at) FROM students")).scalar_one()
    assert [*map(tuple, students)] == [
        ("3", "李 O'Brien", "active"), ("7", "Ada King", "active"), ("2000000000", "", "active")
    ]  # fmt: skip
    assert dated == len(students)
    world = World(legacy.url.render_as_string(hide_password=False))
    world.student("S1")
    world.course("CS101")
    assert world.one("enroll", "7", "5").result == "enrolled"
    assert world.one("enroll", "S1", "ALL/CS101-1").result == "enrolled"
    assert world.database.read(check_database) == []


def test_adopt_says_so_and_copies_a_sqlite_file_first(legacy: Database, command: Run) -> None:
    before = rows_of(legacy)
    url = legacy.url.set(drivername=legacy.url.get_backend_name())
    name = str(url.database) if legacy.is_sqlite else url.render_as_string(hide_password=False)
    done = command("db", "adopt", database=name)
    assert done.returncode == 0
    assert f"is adopted (schema {REVISION})" in done.stderr
    for copy in copies_of(legacy):
        assert f"is copied to {copy}" in done.stderr
        assert rows_of(open_database(str(copy))) == before
    assert len(copies_of(legacy)) == legacy.is_sqlite
    assert command("db", "adopt", "-q", database=name).returncode == 0


def test_a_forecast_of_adopt_changes_nothing(legacy: Database) -> None:
    rows, shape = rows_of(legacy), shape_of(legacy)
    assert "would be adopted" in schema.forecast_adoption(legacy)
    assert (rows_of(legacy), shape_of(legacy)) == (rows, shape)


def test_tables_that_do_not_match_are_listed_with_every_difference_and_left_alone(
    engine: str, new_database: NewDatabase, command: Run
) -> None:
    url = new_database(engine, empty=True)
    execute(
        open_database(url),
        "CREATE TABLE students (id TEXT PRIMARY KEY, given TEXT, name INTEGER)",
        "CREATE TABLE terms (id INTEGER)",
    )
    before = state_of(url)
    for words in (["adopt"], ["adopt", "--dry-run"]):
        done = command("db", *words, database=url)
        assert done.returncode == errors.ExitStatus.DATABASE
        for difference in ("students.id is TEXT, not integer", "students has no column email",
                           "students.name is INTEGER, not text", "there is no table courses",
                           "students has another column, given",
                           "there is already a table terms"):  # fmt: skip
            assert difference in done.stderr
    assert state_of(url) == before


DIFFERENCES = {
    "ALTER TABLE students ADD COLUMN phone TEXT": "students has another column, phone",
    "CREATE UNIQUE INDEX by_email ON students (email)": "students has an index by_email",
    "CREATE INDEX by_title ON courses (title)": "courses has an index by_title",
    "UPDATE courses SET title = NULL WHERE id = 6": "1 rows of courses have no title",
    "ALTER TABLE students DROP COLUMN email": "students has no column email",
    "CREATE TABLE operations (id INTEGER)": "there is already a table operations",
    "DROP TABLE courses": "there is no table courses",
    "ALTER TABLE courses ADD COLUMN boss INTEGER REFERENCES students (id)":
        "courses has a foreign key to students",
    "ALTER TABLE students ADD COLUMN age INTEGER CHECK (age > 0)":
        "students has a check constraint",
}  # fmt: skip


@pytest.mark.parametrize("name", ["sqlite-of-an-orm", "postgresql-of-an-orm"])
@pytest.mark.parametrize("statement", DIFFERENCES)
def test_each_difference_stops_the_adoption(
    statement: str, name: str, new_database: NewDatabase
) -> None:
    url = new_database(name.partition("-")[0], empty=True)
    database = make_legacy(url, name)
    execute(database, statement)
    before = state_of(url)
    with pytest.raises(errors.SchemaMismatch) as caught:
        schema.adopt(database)
    assert DIFFERENCES[statement] in caught.value.message
    assert state_of(url) == before


def test_a_trigger_and_a_unique_column_stop_the_adoption_of_a_sqlite_file(
    new_database: NewDatabase,
) -> None:
    database = open_database(new_database("sqlite", empty=True))
    execute(
        database,
        "CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE)",
        "CREATE TABLE courses (id INTEGER PRIMARY KEY, title)",
        "CREATE TRIGGER audit AFTER DELETE ON students BEGIN SELECT 1; END",
    )
    with pytest.raises(errors.SchemaMismatch) as caught:
        schema.adopt(database)
    for difference in ("students has a unique constraint on email", "courses.title is",
                       "students has a trigger audit"):  # fmt: skip
        assert difference in caught.value.message


def test_adopting_an_empty_database_is_refused(engine: str, new_database: NewDatabase) -> None:
    database = open_database(new_database(engine, empty=True))
    with pytest.raises(errors.SchemaMismatch, match="there is no table students; there is no"):
        schema.adopt(database)
    assert rows_of(database) == {}


# ── backup ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def postgres_programs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put pg_dump and pg_restore of the tests' own server in front of PATH."""
    for folder in binary_folders():
        if (folder / "pg_dump").exists() and (folder / "pg_restore").exists():
            monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
            return folder
    pytest.skip("pg_dump and pg_restore are not here")


def fill(world: World) -> None:
    """Do some ordinary work, with a queue."""
    world.student("S1", "S2", "00731", family_name="Ünlü")
    world.course("CS101", capacity=1, waitlist=5)
    for student in ("S1", "S2", "00731"):
        world.submit("enroll", student, "ALL/CS101")
    world.submit("drop", "S1", "ALL/CS101")


def test_a_backup_of_sqlite_is_the_whole_database_while_somebody_writes(
    sqlite_world: World, tmp_path: Path, command: Run
) -> None:
    fill(sqlite_world)
    before, copy = rows_of(sqlite_world.database), tmp_path / "monday.db"
    with sqlite_world.database.connect(writes=True) as connection:
        connection.execute(text("DELETE FROM student_courses"))
        done = command("db", "backup", str(copy), database=sqlite_world.url)
    assert (done.returncode, done.stdout) == (0, "")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.glob("monday.db*")] == ["monday.db"]
    restored = World(str(copy))
    assert rows_of(restored.database) == before
    assert restored.one("drop", "S2", "CS101").result == "dropped"


def test_a_restored_backup_lets_readers_and_a_writer_work_side_by_side_after_upgrade(
    sqlite_world: World, tmp_path: Path
) -> None:
    schema.backup(sqlite_world.database, tmp_path / "monday.db")
    restored = open_database(str(tmp_path / "monday.db"))
    schema.upgrade(restored)
    with closing(sqlite3.connect(tmp_path / "monday.db")) as driver:
        assert driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_backup_of_postgresql_restores_every_row(
    new_database: NewDatabase, tmp_path: Path, postgres_programs: Path
) -> None:
    world, copy = World(new_database("postgresql")), tmp_path / "monday.dump"
    fill(world)
    schema.backup(world.database, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    target = new_database("postgresql", empty=True)
    program = str(postgres_programs / "pg_restore")
    restoring = [program, "--exit-on-error", "-d", target, str(copy)]
    subprocess.run(restoring, check=True, capture_output=True)
    restored = World(target)
    assert rows_of(restored.database) == rows_of(world.database)
    assert shape_of(restored.database) == shape_of(world.database)
    assert restored.one("drop", "S2", "CS101").result == "dropped"


def test_a_backup_never_replaces_a_file(url: str, tmp_path: Path, command: Run) -> None:
    target = tmp_path / "thesis.txt"
    target.write_text("years of work")
    done = command("db", "backup", str(target), database=url)
    assert done.returncode == errors.ExitStatus.USAGE
    assert "exists already" in done.stderr
    assert target.read_text() == "years of work"


def test_a_backup_that_fails_leaves_no_file(
    tmp_path: Path, command: Run, postgres_programs: Path
) -> None:
    assert postgres_programs.is_dir()
    url = f"postgresql://registrar:s3cret@/school?host={tmp_path}"
    done = command("db", "backup", "monday.dump", database=url)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "the backup failed" in done.stderr
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "monday.dump").exists()


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cret@db/school", "postgres://me@db/school?password=s3cret"]
)
def test_the_password_goes_to_pg_dump_through_the_environment_only(
    url: str, tmp_path: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" > arguments\necho "$PGPASSWORD" > secret\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    done = command("db", "backup", "monday.dump", database=url)
    assert done.returncode == 0
    assert "s3cret" not in (tmp_path / "arguments").read_text()
    assert "me@db/school" in (tmp_path / "arguments").read_text()
    assert (tmp_path / "secret").read_text() == "s3cret\n"


def test_a_backup_without_pg_dump_says_what_to_install(
    tmp_path: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = command("db", "backup", "a.dump", database="postgresql://db/x")
    assert done.returncode == errors.ExitStatus.USAGE
    assert "pg_dump is not installed" in done.stderr
    assert not (tmp_path / "a.dump").exists()


# ── check ────────────────────────────────────────────────────────────────────────────────


def work(world: World) -> None:
    """Do every kind of ordinary work once."""
    fill(world)
    world.term("2026FA", starts_on="2026-09-01", enroll_until="2026-12-01")
    world.course("MATH1", credits="1.5", capacity=3)
    world.course("MATH1", capacity="-", title="Analysis")
    world.student("S3", "S4", email="s3@example.org", max_credits="12")
    world.student("S4", status="inactive", email="-")
    world.submit("enroll", "S1", "ALL/MATH1", "ALL/CS101", effective_on=world.now.date())
    world.submit("enroll", "S3", "ALL/MATH1")
    world.submit("complete", "S1", "ALL/MATH1", grade="A")
    world.submit("complete", "S1", "ALL/MATH1", grade="B+")
    world.submit("withdraw", "S3", "ALL/MATH1")
    world.submit("enroll", "S4", "ALL/MATH1")
    world.import_csv("action,student,course\nenroll,S3,ALL/CS101\ndrop,S3,ALL/CS101\n")
    world.database.write(lambda session: renumber_student(session, "S3", "S33", world.act()))
    world.database.write(lambda session: cancel_course(session, "ALL/CS101", world.act()))


def test_check_finds_nothing_after_ordinary_work(world: World, command: Run) -> None:
    work(world)
    assert {*world.statuses().values()} == {"completed", "dropped", "withdrawn"}
    assert world.statuses()["S33", "ALL/CS101-1"] == "dropped"  # the file was applied
    assert world.database.read(check_database) == []
    done = command("db", "check", database=world.url)
    assert done.returncode == 0
    assert "is sound" in done.stderr


EDITS = {
    "UPDATE student_courses SET grade = 'A+' WHERE grade = 'B+'":
        "S1 in ALL/MATH1-1: grade is A+, its events say B+",
    "UPDATE student_courses SET status = 'enrolled' WHERE status = 'withdrawn'":
        "S33 in ALL/MATH1-1: status is enrolled, its events say withdrawn",
    "UPDATE student_courses SET enrolled_on = '2020-01-01' WHERE grade = 'B+'":
        "S1 in ALL/MATH1-1: enrolled on is 2020-01-01, its events say 2026-10-05",
    "DELETE FROM student_courses WHERE grade = 'B+'":
        "S1 in ALL/MATH1-1: has events, but no enrollment",
    "INSERT INTO student_courses SELECT s.id, c.id, 'enrolled', '2026-10-05', '2026-10-05', NULL,"
    " NULL, NULL FROM students s, courses c WHERE student_number = 'S2' AND code = 'MATH1'":
        "S2 in ALL/MATH1-1: is there, but no event says so",
    "DELETE FROM enrollment_events WHERE grade = 'B+'":
        "S1 in ALL/MATH1-1: grade is B+, its events say A",
    "UPDATE courses SET capacity = 999 WHERE code = 'MATH1'":
        "course id 2: capacity is 999, its events say nothing",
    "UPDATE courses SET credit_hours = 2 WHERE code = 'MATH1'":
        "course id 2: credits is 2.00, its events say 1.50",
    "UPDATE students SET status = 'active' WHERE student_number = 'S4'":
        "student id 5: status is active, its events say inactive",
    "UPDATE students SET student_number = 'S3' WHERE student_number = 'S33'":
        "student id 4: student is S3, its events say S33",
    "UPDATE terms SET ends_on = '2027-01-01' WHERE code = '2026FA'":
        "term id 2: ends_on is 2027-01-01, its events say nothing",
    "DELETE FROM terms WHERE code = '2026FA'":
        "term id 2: has events, but no record",
    "DELETE FROM operations WHERE id = (SELECT max(operation_id) FROM catalog_events)":
        "is named in catalog_events.operation_id but does not exist",
}  # fmt: skip


@pytest.fixture(scope="module", params=ENGINES)
def worked(request: pytest.FixtureRequest, new_database: NewDatabase) -> World:
    """Give a database after ordinary work, for tests that leave it as it is."""
    world = World(new_database(request.param))
    work(world)
    return world


@pytest.mark.parametrize("statement", EDITS)
def test_check_reports_what_was_edited_by_hand(statement: str, worked: World) -> None:
    with worked.database.session(writes=True) as session:
        session.execute(text(statement))
        found = check_database(session)
    told = [f"{finding.subject}: {finding.finding}" for finding in found]
    assert any(EDITS[statement] in line for line in told), told


def test_check_prints_its_findings_as_data_and_exits_7(world: World, command: Run) -> None:
    work(world)
    execute(world.database, "UPDATE student_courses SET grade = 'A+' WHERE grade = 'B+'")
    done = command("db", "check", "--format", "jsonl", database=world.url)
    assert done.returncode == errors.ExitStatus.DATABASE
    (finding,) = map(json.loads, done.stdout.splitlines())
    assert finding["subject"] == "S1 in ALL/MATH1-1"
    assert "1 finding in" in done.stderr


def edit_unguarded(path: str, statement: str) -> None:
    """Edit a file as somebody does who has switched SQLite's guards off."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA ignore_check_constraints = ON")
        driver.execute(statement)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM students WHERE id = 1", "students 1: is named in student_courses.student_id"),
        ("UPDATE courses SET term_id = 9", "terms 9: is named in courses.term_id"),
        ("UPDATE courses SET status = 'opened'", "CHECK constraint failed in courses"),
    ],
)
def test_check_reports_rows_that_the_constraints_forbid(
    statement: str, finding: str, sqlite_world: World
) -> None:
    work(sqlite_world)
    edit_unguarded(sqlite_world.url, statement)
    found = sqlite_world.database.read(check_database)
    assert any(finding in f"{one.subject}: {one.finding}" for one in found), found


def test_check_reports_a_damaged_file(sqlite_world: World, run: Run) -> None:
    work(sqlite_world)
    path = Path(sqlite_world.url)
    content = bytearray(path.read_bytes())
    content[8 * 4096 : -4096] = b"\x55" * (len(content) - 9 * 4096)
    path.write_bytes(content)
    done = run("db", "check", database=sqlite_world.url)
    assert done.returncode == errors.ExitStatus.DATABASE
    assert "Traceback" not in done.stderr

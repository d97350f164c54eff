"""The words in which tests speak: fill a catalogue, submit changes, look at the tables."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Date, bindparam, select, text

from studentcli import services
from studentcli.database import Database, normalize_url
from studentcli.formats.native import reader_of
from studentcli.formats.source import CsvSource
from studentcli.models import Course, EnrollmentEvent, Student, StudentCourses, Term
from studentcli.records import COURSE, STUDENT, TERM, RecordKind, read_row
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Request
from studentcli.services import batches, catalog
from studentcli.services.operations import Act

NOW = datetime(2026, 10, 5, 9, 30, tzinfo=UTC)
TODAY = date(2026, 10, 5)


class World:
    """A database and the time in it, which stands still at NOW unless a test moves it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(normalize_url(url))
        self.now = NOW

    def act(self, kind: str = "test") -> Act:
        """Give a fresh operation at this world's time."""
        return Act(kind, "test", "tester", now=self.now)

    # ── filling ──

    def save(self, kind: RecordKind, mode: str = "upsert", **cells: Any) -> catalog.Saved:
        """Save one record from text cells."""
        row = read_row(kind, {name: str(value) for name, value in cells.items()})
        return self.database.write(
            lambda session: catalog.save_record(session, kind, row, self.act(), mode=mode)  # type: ignore[arg-type]
        )

    def student(self, *numbers: str, **fields: Any) -> None:
        """Add or change students."""
        for number in numbers:
            self.save(STUDENT, student=number, **fields).require()

    def course(self, *codes: str, **fields: Any) -> catalog.Saved:
        """Add or change courses, in term ALL unless a `term` is given."""
        for code in codes:
            saved = self.save(COURSE, course=code, **{"term": "ALL", **fields}).require()
        return saved

    def term(self, code: str, **fields: Any) -> None:
        """Add or change a term."""
        self.save(TERM, term=code, **fields).require()

    # ── changing ──

    def submit(
        self, action: Any, student: str, *courses: str, dry_run: bool = False, **more: Any
    ) -> Decision:
        """Submit one request; `instead_of` is written as a course word."""
        fields = {"effective_on", "grade", "reason", "overrides", "instead_of"}
        given = {name: more.pop(name) for name in fields & set(more)}
        if "instead_of" in given:
            given["instead_of"] = CourseWord(given["instead_of"])
        changes = [Change(action, CourseWord(word), **given) for word in courses]
        return self.submit_request(Request(student, changes), dry_run=dry_run, **more)

    def submit_request(
        self, request: Request, *, dry_run: bool = False, term: str | None = None, **policy: Any
    ) -> Decision:
        """Submit a request as it stands."""
        act = self.act()
        return self.database.write(
            lambda session: services.submit(
                session, request, act, policy=Policy(self.now, **policy), term=term
            ),
            dry_run=dry_run,
        )

    def one(self, action: Any, student: str, course: str, **more: Any) -> Outcome:
        """Submit one change; gives its outcome."""
        return self.submit(action, student, course, **more).outcomes[0]

    def import_csv(
        self, content: str | bytes, *, dry_run: bool = False, **options: Any
    ) -> tuple[batches.BatchResult, list[Any]]:
        """Import a file from its content; gives the result and what came of every item."""
        data = content.encode() if isinstance(content, str) else content
        with TemporaryDirectory() as folder:
            path = Path(folder) / "file.csv"
            path.write_bytes(BytesIO(data).read())
            return self.import_file(path, dry_run=dry_run, **options)

    def import_file(
        self, path: Path, *, dry_run: bool = False, **options: Any
    ) -> tuple[batches.BatchResult, list[Any]]:
        """Import a file."""
        source = CsvSource(str(path))
        reader = reader_of(source)
        kind = reader.kind.plural if reader.kind else "enrollments"
        chosen = batches.BatchOptions(**options)
        act = Act(f"import-{kind}", "test", "tester", source="file.csv",
                  source_sha256=source.sha256, now=self.now)  # fmt: skip
        taken: list[Any] = []

        def sink_for() -> batches.Sink:
            taken.clear()
            return lambda results, _cells: taken.extend(results)

        try:
            batch = batches.Batch(
                reader, reader.survey(), act, chosen, sink_for, source.require_unchanged
            )
            result = batch.run(self.database, dry_run=dry_run)
        finally:
            source.close()
        return result, taken

    # ── looking ──

    def enrollments(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """Give `student_courses` by natural key: (number, ref) → the whole state."""
        ref = Term.code + "/" + Course.code + "-" + Course.section
        query = (
            select(
                Student.student_number,
                ref,
                StudentCourses.status,
                StudentCourses.enrolled_on,
                StudentCourses.status_since,
                StudentCourses.queue_place,
                StudentCourses.grade,
            )
            .join(Student, Student.id == StudentCourses.student_id)
            .join(Course, Course.id == StudentCourses.course_id)
            .join(Term, Term.id == Course.term_id)
        )
        with self.database.session(writes=False) as session:
            return {(row[0], row[1]): tuple(row[2:]) for row in session.execute(query)}

    def statuses(self) -> dict[tuple[str, str], str]:
        """Give the statuses by (number, ref)."""
        return {key: state[0] for key, state in self.enrollments().items()}

    def events(self) -> dict[str | None, list[tuple[Any, ...]]]:
        """Give the event sequence of every course, ids, operations and lines aside."""
        ref = Term.code + "/" + Course.code + "-" + Course.section
        event = EnrollmentEvent
        query = (
            select(
                ref,
                Student.student_number,
                event.action,
                event.from_status,
                event.to_status,
                event.queue_place,
                event.grade,
                event.code,
                event.effective_on,
                event.detail,
            )
            .outerjoin(Student, Student.id == event.student_id)
            .outerjoin(Course, Course.id == event.course_id)
            .outerjoin(Term, Term.id == Course.term_id)
            .order_by(event.id)
        )
        found: dict[Any, list[tuple[Any, ...]]] = {}
        with self.database.session(writes=False) as session:
            for row in session.execute(query):
                found.setdefault(row[0], []).append(tuple(row[1:]))
        return found

    def idle_seats(self) -> list[str]:
        """List the courses that have a free seat although an active student waits for one."""
        query = text(
            "SELECT t.code || '/' || c.code || '-' || c.section FROM courses c"
            " JOIN terms t ON t.id = c.term_id WHERE c.status = 'open'"
            " AND (t.enroll_until IS NULL OR t.enroll_until >= :today)"
            " AND (c.capacity IS NULL OR c.capacity > (SELECT count(*) FROM student_courses e"
            " WHERE e.course_id = c.id AND e.status IN ('enrolled', 'completed')))"
            " AND EXISTS (SELECT 1 FROM student_courses e JOIN students s ON s.id = e.student_id"
            " WHERE e.course_id = c.id AND e.status = 'waitlisted' AND s.status = 'active')"
        ).bindparams(bindparam("today", self.now.date(), type_=Date))
        with self.database.session(writes=False) as session:
            return list(session.scalars(query))

    def count(self, table: str) -> int:
        """Count the rows of a table."""
        with self.database.session(writes=False) as session:
            return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def clear(self) -> None:
        """Empty every table but the terms made by the migration (between hypothesis examples)."""
        tables = ("enrollment_events", "catalog_events", "student_courses", "operations",
                  "courses", "students")  # fmt: skip
        with self.database.connect(writes=True) as connection:
            for table in tables:
                connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text("DELETE FROM terms WHERE code <> 'ALL'"))
            connection.commit()


def results(decisions: Iterable[Any]) -> list[Any]:
    """Give what came of every change: (line aside) result, status, codes."""
    return [
        [
            (o.result, o.status, o.position, o.grade, tuple(r.code for r in o.refusals))
            for o in decision.outcomes
        ]
        for decision in decisions
        if isinstance(decision, Decision)
    ]

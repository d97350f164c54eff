"""The words in which tests speak: fill a catalogue, submit changes, look at the tables."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text

from studentcli import services
from studentcli.database import Database, normalize_url
from studentcli.facts import CourseFact, Facts, Move
from studentcli.formats.native import reader_of
from studentcli.formats.source import CsvSource
from studentcli.models import Course, EnrollmentEvent, Student, StudentCourses, Term
from studentcli.records import COURSE, STUDENT, TERM, RecordKind, read_row
from studentcli.requests import Change, CourseWord, Decision, Outcome, Policy, Request
from studentcli.rules import one_by_one
from studentcli.rules.queue import Asked, judge_promotion, promotion_case
from studentcli.rules.seats import Seats
from studentcli.services import batches, catalog, holds, overrides
from studentcli.services.loading import Deciding
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

    def hold(self, student: str, *, dry_run: bool = False, **more: Any) -> holds.Holds:
        """Place a hold."""
        said = {"kind": "library", "blocks": "add", "reason": "two books", **more}
        act = self.act("hold-place")
        return self.database.write(
            lambda session: holds.place_hold(session, student, act, **said), dry_run=dry_run
        )

    def lift(self, *hold_ids: int, dry_run: bool = False) -> holds.Holds:
        """Lift holds."""
        act = self.act("hold-lift")
        return self.database.write(
            lambda session: holds.lift_holds(session, hold_ids, act), dry_run=dry_run
        )

    def override(
        self, student: str, course: str, rule: str, *, dry_run: bool = False, **more: Any
    ) -> overrides.Overrides:
        """Grant an override."""
        said = {"reason": "dean agreed", **more}
        act = self.act("override-grant")
        return self.database.write(
            lambda session: overrides.grant_override(
                session, student, course, act, rule=rule, **said
            ),
            dry_run=dry_run,
        )

    def revoke(self, *override_ids: int, dry_run: bool = False) -> overrides.Overrides:
        """Revoke overrides."""
        act = self.act("override-revoke")
        return self.database.write(
            lambda session: overrides.revoke_overrides(session, override_ids, act),
            dry_run=dry_run,
        )

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
        self, path: Path, *, dry_run: bool = False, keeps_cells: bool = True, **options: Any
    ) -> tuple[batches.BatchResult, list[Any]]:
        """Import a file; only with rejects the command keeps the cells of every row."""
        source = CsvSource(str(path))
        reader = reader_of(source)
        reader.keeps_cells = keeps_cells
        kind = reader.kind.plural if reader.kind else "enrollments"
        chosen = batches.BatchOptions(**options)
        act = Act(f"import-{kind}", "test", "tester", source="file.csv",
                  source_sha256=source.sha256, now=self.now)  # fmt: skip
        taken: list[Any] = []

        def sink_for() -> batches.Sink:
            taken.clear()
            return lambda results, _cells: taken.extend(one_by_one(results))

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
        """List who could sit down by all the rules, and waits in a queue all the same.

        Tried out, and not asked of what runs the queues: every student, in every order of up to
        three of the courses that they wait for, each judged as if the rest were given too.
        """
        found: list[str] = []
        with self.database.session(writes=False) as session:
            deciding = Deciding(session, Policy(self.now))
            waiting = select(StudentCourses.course_id).where(StudentCourses.status == "waitlisted")
            course_ids = set(session.scalars(waiting))
            deciding.lock_courses(course_ids)
            deciding.let_move(course_ids)
            deciding.lock_students((), ())
            facts, policy = deciding.facts, deciding.policy
            waits: dict[int, list[CourseFact]] = {}
            for course in facts.locked():
                for student_id in course.queue:
                    waits.setdefault(student_id, []).append(course)
            for student_id, courses in waits.items():
                orders = [order for size in (1, 2, 3) for order in permutations(courses, size)]
                found += [
                    f"{facts.students[student_id].number} in {' and '.join(c.ref for c in order)}"
                    for order in orders
                    if _could_be_given(student_id, order, facts, policy)
                ]
        return found

    def count(self, table: str) -> int:
        """Count the rows of a table."""
        with self.database.session(writes=False) as session:
            return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def clear(self) -> None:
        """Empty every table but the terms made by the migration (between hypothesis examples)."""
        tables = ("enrollment_events", "catalog_events", "student_courses", "holds", "overrides",
                  "operations", "courses", "students")  # fmt: skip
        with self.database.connect(writes=True) as connection:
            for table in tables:
                connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text("DELETE FROM terms WHERE code <> 'ALL'"))
            connection.execute(
                text(
                    "UPDATE terms SET enroll_from = NULL, enroll_until = NULL, drop_until = NULL,"
                    " withdraw_until = NULL, max_credits = NULL, max_waitlists = NULL,"
                    " grades = NULL"
                )
            )
            connection.commit()


def _could_be_given(
    student_id: int, order: Sequence[CourseFact], facts: Facts, policy: Policy
) -> bool:
    """Give a student seats in the mind, one after the other."""
    with facts.journaling() as start:
        for course in order:
            together = {other.course_id: "seat" for other in order if other is not course}
            asked = Asked(student_id, {}, together)
            case = promotion_case(student_id, course, facts, policy, asked)
            seats = Seats(course, case.today)
            if judge_promotion(case, seats).refusals:
                break
            facts.move(case.student, course, Move("promote", "enrolled", case.today))
        else:
            facts.rewind(start)
            return True
        facts.rewind(start)
    return False


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

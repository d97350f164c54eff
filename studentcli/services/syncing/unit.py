"""A sync inside its transaction: drops of the absent, the file's adds, then the queues, once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from sqlalchemy.orm import Session

from studentcli.database import StartAgain
from studentcli.facts import CourseFact, StudentFact
from studentcli.requests import (
    Adds,
    Agreed,
    Change,
    CourseWord,
    Refusal,
    Request,
    Survey,
    Wanted,
)
from studentcli.rules import one_by_one, run_queues, touched_queues
from studentcli.services.about import Asker
from studentcli.services.batches import BatchOptions, BatchResult, EnrollmentUnit, Reader
from studentcli.services.bulk import Load
from studentcli.services.loading import Decided
from studentcli.services.operations import Act
from studentcli.services.resolve import is_sqlite
from studentcli.services.syncing import guards
from studentcli.services.syncing.comparing import Comparison
from studentcli.services.syncing.earlier import earlier_files
from studentcli.services.syncing.options import SyncOptions
from studentcli.services.syncing.scope import find_courses

FindStudent = Callable[[str], int | None]
FindCourse = Callable[[CourseWord], int | None]


class SyncFile(Reader, Protocol):
    """The file of a sync: told what is live before its rows are decided."""

    def name_all(
        self, comparison: Comparison, find_student: FindStudent, find_course: FindCourse
    ) -> None:
        """Tell which enrollments the rows name, by the ids that are found for it."""

    def compare_with(self, comparison: Comparison, *, last_wins: bool) -> None:
        """Leave rows out that say what is so, and find those that disagree."""


@dataclass
class Absentees:
    """A chunk of drops that no row of the file asks for."""

    items: list[Any]
    cells: dict[int, list[str]] = field(default_factory=dict)
    rows: int = 0


class SyncUnit(EnrollmentUnit):
    """The enrollments of a scope, made what a file says.

    Args:
        session: the transaction.
        survey: what the first pass found.
        act: the operation.
        options: how to import, with `sync`.
        load: where its rows go; none for a forecast.
        sync: the same options of the sync.
    """

    def __init__(
        self,
        session: Session,
        survey: Survey,
        act: Act,
        options: BatchOptions,
        load: Load | None,
        *,
        sync: SyncOptions,
    ) -> None:
        self.sync = sync
        self.rows = survey.rows
        course_ids = find_courses(session, sync.scope)
        self.comparison = Comparison(course_ids)
        self.comparison.read_live(session)
        self._touched: dict[int, None] = {}
        wanted = Wanted(
            students=survey.wanted.students,
            student_ids=self.comparison.students(),
            changes=dict(survey.wanted.changes),
        )
        for course_id in course_ids:
            wanted.take(Change("enroll", course_id))
        super().__init__(session, replace(survey, wanted=wanted), act, options, load)

    @property
    def unasked(self) -> int:
        """How many drops of the absent are decided."""
        return 0 if self.sync.absent == "keep" else sum(self.comparison.drops.values())

    # ── before anything is decided ──

    def chunks(self, reader: Any, size: int) -> Iterator[Any]:
        """Give the drops of the absent, then what the file says anew."""
        file: SyncFile = reader
        self._compare(file)
        self._require_guards()
        file.compare_with(self.comparison, last_wins=self.sync.last_wins)
        if self.sync.absent != "keep":
            yield from self._absentees(size)
            self._move_up_where_full()
        yield from self.looking_ahead(file.chunks(size))

    def _compare(self, file: SyncFile) -> None:
        comparison = self.comparison
        file.name_all(comparison, self._find_student, self._find_course)
        if not is_sqlite(self.session):  # which has one writer, and was read under its lock
            comparison.read_live(self.session)
        comparison.compare()
        self.deciding.policy.kept = frozenset(comparison.kept)

    def _find_student(self, number: str) -> int | None:
        student = self.deciding.numbers.get(number)
        return None if student is None else student.student_id

    def _find_course(self, word: CourseWord) -> int | None:
        course = self.deciding.index.find(word)
        return course.course_id if isinstance(course, CourseFact) else None

    def _require_guards(self) -> None:
        sync, act, figures = self.sync, self.act, self._figures()
        drops_count = sync.absent != "keep"
        known = self.deciding.facts.courses
        courses = [(known[course_id].code, known[course_id].section)
                   for course_id in self.comparison.course_ids]  # fmt: skip
        earlier = earlier_files(self.session, sync.scope, courses)
        if guards.EMPTY not in sync.allowed:
            guards.require_rows(self.rows, act.source, str(sync.scope))
        for files in earlier if guards.OLDER not in sync.allowed else ():
            guards.require_newer(act.source, act.source_sha256, sync.written_at, files)
        if drops_count:
            guards.require_drops_allowed(figures, sync.limits)
        self.kept["sync"] = {
            "scope": str(sync.scope),
            "absent_are": sync.absent,
            "written_at": sync.written_at.isoformat() if sync.written_at else None,
            **guards.kept_figures(figures, sync.limits if drops_count else None),
        }

    def _figures(self) -> guards.Figures:
        comparison, courses = self.comparison, self.deciding.facts.courses
        live, others = comparison.live, comparison.others
        found = [
            guards.CourseFigures(courses[course_id].ref, live(course_id), drops, others[course_id])
            for course_id, drops in comparison.drops.items()
        ]
        scope = guards.CourseFigures(
            str(self.sync.scope),
            sum(course.live for course in found),
            sum(course.drops for course in found),
            sum(course.others for course in found),
        )
        return guards.Figures(scope, found, comparison.held)

    # ── deciding ──

    def _absentees(self, size: int) -> Iterator[Absentees]:
        comparison, facts = self.comparison, self.deciding.facts
        leaving = [course_id for course_id, drops in comparison.drops.items() if drops]
        if not leaving:
            return
        self.deciding.let_move_now(leaving)
        absent = comparison.absent()
        while part := list(islice(absent, size)):
            late = {student_id for student_id, _ in part} - facts.students.keys()
            if late:  # enrolled after the students were listed to be locked
                raise StartAgain(students=late)
            yield Absentees([self._request(student_id, left) for student_id, left in part])

    def _request(self, student_id: int, course_ids: list[int]) -> Request:
        return Request(student_id, [self._leave(student_id, course_id) for course_id in course_ids])

    def _move_up_where_full(self) -> None:
        """Run the queues that are full beside a free seat: a newcomer's place is about to be free.

        All other queues wait for the adds: what those take and leave counts.
        """
        facts = self.deciding.facts
        touched = [facts.courses[course_id] for course_id in self._touched]
        full = [
            course
            for course in touched
            if course.has_free_seat and len(course.queue) >= course.waitlist_capacity
        ]
        self.promotions += run_queues(full, facts, self.deciding.policy)

    def _leave(self, student_id: int, course_id: int) -> Change:
        is_waiting = student_id in self.deciding.facts.courses[course_id].queue
        withdraws = self.sync.absent == "withdraw" and not is_waiting
        return Change("withdraw" if withdraws else "drop", course_id, reason="not in the file")

    def decide(self, asked: Request | Adds, by: Asker) -> Sequence[Decided]:
        """Decide a request, and note which queues are to be run in the end."""
        if isinstance(asked, Request) and isinstance(by, StudentFact):
            self._undate(asked, by)
        decided = super().decide(asked, by)
        for decision in one_by_one(decided) if isinstance(by, StudentFact) else ():
            touched, _ = touched_queues(decision, by, self.deciding.facts)
            self._touched.update((course.course_id, None) for course in touched)
        return decided

    def _undate(self, request: Request, student: StudentFact) -> None:
        """Let an add count from today where the enrollment was dropped since: the file is right.

        Its date is the first one; by it the drop would be the later truth.
        """
        for change in request.changes:
            if change.effective_on is None:
                continue
            course = self.deciding.index.find_for(change, student)
            if isinstance(course, Refusal):
                continue
            known = student.enrollments.get(course.course_id)
            today = self.deciding.policy.today(course.term.time_zone)
            if known is not None and known.status == "dropped" and change.effective_on <= today:
                change.effective_on = None

    def count(self, results: list[Any], totals: Counter[str]) -> None:
        """Count outcomes, and the rows that nothing was decided about."""
        agreed = [result for result in results if isinstance(result, Agreed)]
        super().count([result for result in results if not isinstance(result, Agreed)], totals)
        for found in agreed:
            for name, rows in (("unchanged", found.rows), ("overruled", found.overruled)):
                if rows:
                    totals[name] += rows

    def finish(self, result: BatchResult) -> None:
        """Run the queues that moved, write what is left, and the totals."""
        facts = self.deciding.facts
        touched: Iterable[CourseFact] = [facts.courses[course_id] for course_id in self._touched]
        self.promotions += run_queues(touched, facts, self.deciding.policy)
        self.write()
        comparison = self.comparison
        left = sum(comparison.drops.values()) if self.sync.absent == "keep" else 0
        for name, count in (("promoted", len(self.promotions)), ("kept", comparison.held + left)):
            if count:
                result.totals[name] += count
        super().finish(result)

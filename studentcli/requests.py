"""What is asked for and what came of it: plain data, the same for a command, a CSV row and HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from studentcli import errors
from studentcli.columns import Column
from studentcli.records import RecordKind

Action = Literal["enroll", "drop", "withdraw", "complete"]
ACTIONS: Final[tuple[Action, ...]] = ("enroll", "drop", "withdraw", "complete")

OUTCOMES: Final = (
    "enrolled",
    "waitlisted",
    "dropped",
    "withdrawn",
    "completed",
    "unchanged",
    "superseded",
    "refused",
)


class CourseWord(NamedTuple):
    """A course as somebody wrote it; the services find out which one is meant.

    Args:
        text: `CS101`, `CS101-002` or `2026FA/CS101-002`.
        term: a term code that was given apart from the text.
        section: a section that was given apart from the text; the text is then the code alone.
    """

    text: str
    term: str | None = None
    section: str | None = None

    def may_be(self, other: "CourseWord | int") -> bool:
        """Tell whether two words can mean one course: `CS101` and `CS101-002` can."""
        if self == other or isinstance(other, int):
            return self == other
        return any(
            code == other_code and (section == other_section or None in {section, other_section})
            for code, section in self.readings()
            for other_code, other_section in other.readings()
        )

    def readings(self) -> set[tuple[str, str | None]]:
        """List what the word can mean as (code, section), whatever its term is."""
        texts = {self.text, self.text.partition("/")[2]} - {""}
        if self.section is not None:
            return {(text, self.section) for text in texts}
        split = {text.rpartition("-")[::2] for text in texts if "-" in text}
        return {(text, None) for text in texts} | split

    def __str__(self) -> str:
        """Write the course as one word."""
        term = f"{self.term}/" if self.term else ""
        section = f"-{self.section}" if self.section else ""
        return f"{term}{self.text}{section}"


@dataclass(slots=True)
class Change:
    """One thing to do with one course.

    Args:
        action: what to do.
        course: the course as written, or its database id.
        effective_on: the date it counts from; today in the term's zone when left out.
        grade: only for `complete`.
        reason: why; recorded with the change.
        overrides: codes of the rules that may be broken for this change.
        line: the line of the file it was read from.
        instead_of: the course to be given up for it, as written or its database id.
    """

    action: Action
    course: CourseWord | int
    effective_on: date | None = None
    grade: str | None = None
    reason: str | None = None
    overrides: frozenset[str] = frozenset()
    line: int | None = None
    instead_of: CourseWord | int | None = None


@dataclass(slots=True)
class Request:
    """One student and the changes asked for together; judged as a whole.

    Args:
        student: the student number, or the database id.
        changes: in the order they were asked for.
    """

    student: str | int
    changes: list[Change]


@dataclass(slots=True)
class Adds:
    """Rows of a file that are each a request to add one course and no more, column by column.

    Most rows are such, and a million objects for what they say would be made for nothing.

    Args:
        lines: of the file, in their order.
        students: student numbers.
        courses: as written.
        days: the dates they count from; none is today.
    """

    lines: Sequence[int]
    students: Column
    courses: Column
    days: Column

    def __len__(self) -> int:
        """How many rows."""
        return len(self.lines)

    def change(self, at: int) -> Change:
        """Write out what one row asks for."""
        return Change("enroll", self.courses[at], self.days[at], line=self.lines[at])

    def request(self, at: int) -> Request:
        """Write out the request of one row."""
        return Request(self.students[at], [self.change(at)])

    def requests(self) -> list[Request]:
        """Write out the requests of all rows."""
        return list(map(self.request, range(len(self))))

    def cut(self, start: int, stop: int | None = None) -> "Adds":
        """Give some of the rows."""
        some = slice(start, stop)
        columns = self.students, self.courses, self.days
        return Adds(self.lines[some], *(Column(c.table, c.at[some]) for c in columns))


@dataclass
class Wanted:
    """Everything that requests name: collected before the first lock.

    `changes` holds one change per distinct (is it an add, course): enough to find the courses.
    """

    students: set[str] = field(default_factory=set)
    student_ids: set[int] = field(default_factory=set)
    changes: dict[tuple[bool, CourseWord | int], Change] = field(default_factory=dict)

    def add(self, request: Request | Adds) -> None:
        """Take a request, or the rows of many, in."""
        if isinstance(request, Adds):
            self.students.update(request.students)
            for word in set(request.courses):
                self.take(Change("enroll", word))
            return
        if isinstance(request.student, int):
            self.student_ids.add(request.student)
        else:
            self.students.add(request.student)
        for change in request.changes:
            self.take(change)

    def take(self, change: Change) -> None:
        """Take a change in, and the drop that a swap brings with it."""
        self.changes.setdefault((change.action == "enroll", change.course), change)
        if change.instead_of is not None:
            self.take(Change("drop", change.instead_of))


@dataclass
class Survey:
    """What the first pass over a file found, before any lock.

    Args:
        rows: how many rows it has.
        wanted: what an enrollments file names.
        kind: which kind of record another file holds.
        keys: the keys of its records.
    """

    rows: int = 0
    wanted: Wanted = field(default_factory=Wanted)
    kind: RecordKind | None = None
    keys: set[tuple[str, ...]] = field(default_factory=set)


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why a change is not made.

    Args:
        code: stable, one of `errors.BY_CODE`.
        message: one sentence for people.
        hint: the next thing to try.
    """

    code: str
    message: str
    hint: str | None = None

    def error(self) -> errors.StudentcliError:
        """Make the exception of this code."""
        return errors.BY_CODE[self.code](self.message, hint=self.hint)


@dataclass(slots=True)
class Outcome:
    """What came of one change.

    `result` is one of OUTCOMES; `status` and `position` (1 = next in the queue) say how the
    enrollment stands afterwards; `refusals` holds every rule that forbids a refused change;
    `instead_of` the course that a swap gives up, `freed` its id once it was; `warning` what
    somebody should know about it; `at_once` of a place in the queue that it leads to a seat when
    the queue is run.
    """

    change: Change
    student: str
    course: str
    result: str = "refused"
    status: str | None = None
    position: int | None = None
    grade: str | None = None
    effective_on: date | None = None
    refusals: tuple[Refusal, ...] = ()
    note: str | None = None
    warning: str | None = None
    instead_of: str | None = None
    student_id: int | None = None
    course_id: int | None = None
    freed: int | None = None
    at_once: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether a rule forbade it."""
        return self.result == "refused"


@dataclass(slots=True, frozen=True)
class Promotion:
    """A student whom the waitlist gave a seat.

    `instead_of` and `freed` name the course of a swap that was given up for it, and its id.
    """

    student: str
    course: str
    student_id: int
    course_id: int
    instead_of: str | None = None
    freed: int | None = None


@dataclass(slots=True)
class Decision:
    """What came of one request: an outcome per change, in the order asked, and who moved up."""

    request: Request
    outcomes: list[Outcome]
    promotions: list[Promotion] = field(default_factory=list)
    operation_id: int | None = None

    @property
    def refused(self) -> list[Outcome]:
        """The changes that were refused, in the order asked."""
        return [outcome for outcome in self.outcomes if outcome.is_refused]

    def require(self) -> "Decision":
        """Give the decision back when nothing was refused, else raise the first refusal's error."""
        for outcome in self.refused:
            raise outcome.refusals[0].error()
        return self


@dataclass(slots=True, frozen=True)
class Agreed:
    """Rows of a sync that nothing is decided about.

    Args:
        rows: they say what is so already.
        overruled: a later row of their enrollment counts instead.
    """

    rows: int = 0
    overruled: int = 0


@dataclass(kw_only=True)
class Consequences:
    """What an operation that is no enrollment request did to enrollments.

    `decisions` holds the changes that it made itself, such as the drops of a cancelled course;
    `promotions` whom the waitlists gave a seat beside those.
    """

    operation_id: int | None = None
    decisions: list[Decision] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)


@dataclass(slots=True)
class Policy:
    """How an operation wants its requests judged, and the one clock reading it goes by.

    Args:
        now: aware; every date of the operation is derived from it.
        allow_waitlist: whether a full course may put a student into its queue.
        all_or_none: apply a request only when nothing in it is refused.
        strict: refuse superseded changes instead of passing over them, and leaving a course that
            another one is taken together with instead of warning.
        planned_at: aware; when a plan was made that is now applied: it dates undated changes.
        is_sync: what is completed or withdrawn stays as it is when an add asks for it, unless
            strict; and whoever decides runs the queues, once everything is decided.
        kept: student and course by id, of what a swap that is pending does not give up: the file
            of a sync names it beside the course that the student waits for.
    """

    now: datetime
    allow_waitlist: bool = True
    all_or_none: bool = False
    strict: bool = False
    planned_at: datetime | None = None
    is_sync: bool = False
    kept: frozenset[tuple[int, int]] = frozenset()
    _todays: dict[str, date] = field(default_factory=dict)

    def today(self, time_zone: str) -> date:
        """Give today's date in an IANA time zone.

        Raises:
            errors.DatabaseDamaged: when it is none: terms were edited by hand.
        """
        today = self._todays.get(time_zone)
        if today is None:
            try:
                zone = ZoneInfo(time_zone)
            except (KeyError, ValueError, OSError):
                raise errors.DatabaseDamaged(
                    f"{time_zone!r}, the time zone of a term, is none",
                    hint="studentcli db check says how to mend it",
                ) from None
            today = self._todays[time_zone] = self.now.astimezone(zone).date()
        return today

    def undated(self, time_zone: str) -> date:
        """Give the date of a change that names none: today, or the day on which it was planned.

        Raises:
            errors.DatabaseDamaged: as `today`.
        """
        today = self.today(time_zone)
        return self.planned_at.astimezone(ZoneInfo(time_zone)).date() if self.planned_at else today

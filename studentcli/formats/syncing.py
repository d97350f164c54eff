"""The file of a sync: a list of enrollments, of which most are what is live already.

Such a row is compared by the ids of what it names, and nothing is made of it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, Protocol

from studentcli import errors, values
from studentcli.formats.gathering import Chunk
from studentcli.formats.native import EnrollmentReader, Named
from studentcli.formats.selection import Selection
from studentcli.formats.source import CsvSource, Row
from studentcli.requests import Agreed, Change, CourseWord, Survey

FORBIDDEN: Final = ("action", "grade", "instead_of")
"""Columns that say of a change what a list of enrollments cannot say."""

UNDOING: Final = "already-withdrawn"
"""The rule that a sync does not break: it would break it again each time the file comes."""

SAYING: Final = ("effective_on", "override", "reason")
"""Columns in which two rows of one enrollment can disagree."""

Ids = tuple[int | None, int | None]


class Compared(Protocol):
    """What the rows are compared with; see the services."""

    doubled: set[tuple[int, int]]

    def name(self, student_id: int | None, course_id: int | None) -> None:
        """Take in what a row names."""

    def covers(self, course_id: int) -> bool:
        """Tell whether a course belongs to the scope."""

    def agrees(self, student_id: int, course_id: int) -> bool:
        """Tell whether an enrollment is live."""


class _Found(dict[Any, int | None]):
    """The ids of what cells name, each looked up once."""

    def __init__(self, find: Callable[[Any], int | None]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, cells: Any) -> int | None:
        try:
            found = self._find(cells)
        except errors.BadValue:
            found = None
        self[cells] = found
        return found


@dataclass
class ScopeSelection(Selection):
    """Leaves the rows of other terms out, and no row that may belong to the scope.

    Whoever is left out is dropped: a row without a term has the term of the scope, and one with a
    term that there is not may be mistyped.

    Args:
        others: the codes of the terms that are known and not the scope's.
    """

    others: frozenset[str] = frozenset()
    _known: dict[tuple[str, str], bool] = field(default_factory=dict)

    def picks(self, line: int, cells: list[str], header: list[str]) -> bool:
        """Tell whether a row is meant: unless all that it says of a term is another one."""
        del line
        if len(cells) != len(header):
            return True
        key = cells[header.index("term")], cells[header.index("course")]
        picked = self._known.get(key)
        if picked is None:
            picked = self._known[key] = not self._is_of_another_term(*map(values.normal, key))
        return picked

    def _is_of_another_term(self, term: str, course: str) -> bool:
        head, slash, _ = course.partition("/")
        if not term:
            return bool(slash) and head in self.others
        # A course of the scope in the row of another term is a contradiction: it is refused.
        return term in self.others and not (slash and head not in self.others)


class SyncReader(EnrollmentReader):
    """Reads the file of a sync; `chunks` leaves out what is live already.

    Args:
        source: the file.
        scope: of the sync, in words.
        term: of the scope.
        terms: the codes of all terms: only rows of another one of these can be left out.
        now: aware; the clock of the operation.
        every_row: give every row, also one that says what is so.

    Raises:
        errors.FileUnreadable: for a file of changes.
        errors.Usage: when rows are left out that may belong to the scope.
    """

    def __init__(
        self,
        source: CsvSource,
        scope: str,
        term: str,
        *,
        terms: Collection[str] = (),
        now: datetime,
        every_row: bool,
    ) -> None:
        super().__init__(source)
        self._scope = scope
        self._past = now.astimezone(UTC).date() - timedelta(days=1)
        """A date that is not in the future anywhere on earth."""
        self._every_row = every_row
        self._compared: Compared
        self._require_list(term)
        if source.selection.where:
            others = frozenset(terms) - {term}
            source.selection = ScopeSelection(where=source.selection.where, others=others)
        self._others = itemgetter(*(self._places[name] for name in ("override", "reason")))

    def _require_list(self, term: str) -> None:
        source = self.source
        for name in FORBIDDEN:
            if name in source.header:
                raise errors.FileUnreadable(
                    f"{source.name} has a column {name!r}: a sync takes a list of enrollments,"
                    " not of changes",
                    hint="leave the column out, or put an underscore in front of its name",
                )
        where = source.selection.where
        if source.selection.lines or (where and where != {"term": {term}}):
            raise errors.Usage(
                "a sync reads the whole file: what is left out would be dropped",
                hint=f"--where term={term} may leave out the rows of other terms",
            )

    def survey(self) -> Survey:
        """Read the file for what it names; what is to be decided is found out later."""
        named = Named(self)
        for _, rows in self.source.blocks():
            named.take(rows)
        return named.survey()

    def bind(
        self,
        find_student: Callable[[str], int | None],
        find_course: Callable[[CourseWord], int | None],
    ) -> None:
        """Say how the ids of what a row names are found."""
        self._students = _Found(lambda cell: find_student(self.number(cell)))
        self._courses = _Found(lambda cells: find_course(self.word(*cells)))
        self._disagreeing: dict[tuple[int, int], int] = {}

    def name_all(self, compared: Compared) -> None:
        """Tell which enrollments the rows name, before they are read for what they say."""
        student, course, term, section = (
            self._places[name] for name in ("student", "course", "term", "section")
        )
        students, courses, name, width = self._students, self._courses, compared.name, self._width
        for _, rows in self.source.blocks():
            for cells in rows:
                if len(cells) != width:
                    name(None, None)
                    continue
                cells.append("")
                name(students[cells[student]], courses[cells[course], cells[term], cells[section]])

    def compare_with(self, compared: Compared, *, last_wins: bool) -> None:
        """Leave rows out that say what is so, and find those that disagree.

        Args:
            compared: knows what is live.
            last_wins: of rows that disagree the last one counts.
        """
        self._compared = compared
        self._last_wins = last_wins
        self._is_plain: dict[str, bool] = {"": True}
        said: dict[tuple[int, int], set[tuple[str, ...]]] = {}
        last: dict[tuple[int, int], int] = {}
        if not compared.doubled:
            return
        pick = itemgetter(*(self._places[name] for name in SAYING))
        for line, cells in self.source.rows():
            key = self._ids(cells)
            if key in compared.doubled:
                said.setdefault(key, set()).add(tuple(map(str.strip, pick((*cells, "")))))
                last[key] = line
        self._disagreeing = {key: last[key] for key, texts in said.items() if len(texts) > 1}

    def _ids(self, cells: list[str]) -> Any:
        """Find the ids of what a row names; none is what it does not name."""
        if len(cells) != self._width:
            return None, None
        places, cells = self._places, [*cells, ""]
        course = (cells[places["course"]], cells[places["term"]], cells[places["section"]])
        return self._students[cells[places["student"]]], self._courses[course]

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Read the file anew, in chunks of about `size` rows; what is so already is counted.

        Of `size` such rows a chunk of their own tells: most files hold hardly any others.
        """
        self._size = size
        self._agreed = self._overruled = 0
        for chunk in super().chunks(size):
            yield self._with_agreed(chunk)
        yield self._with_agreed(Chunk([], {}))

    def _with_agreed(self, chunk: Chunk) -> Chunk:
        if self._agreed or self._overruled:
            chunk.items.append(Agreed(self._agreed, self._overruled))
            self._agreed = self._overruled = 0
        return chunk

    def _pieces(self) -> Iterator[Row]:
        """Give the rows that something is to be decided about, one by one."""
        compared = self._compared
        for line, cells in self.source.rows():
            student_id, course_id = key = self._ids(cells)
            last = self._disagreeing.get(key)
            if last is not None:
                if self._last_wins and line != last:
                    self._overruled += 1
                    yield from self._pause(line)
                    continue
            elif (
                not self._every_row
                and student_id is not None
                and course_id is not None
                and compared.covers(course_id)
                and compared.agrees(student_id, course_id)
                and self._says_no_more(cells)
            ):
                self._agreed += 1
                yield from self._pause(line)
                continue
            yield line, cells

    def _pause(self, line: int) -> Iterator[Row]:
        if self._agreed + self._overruled >= self._size:
            yield line, []

    def _says_no_more(self, cells: list[str]) -> bool:
        """Tell whether a row says nothing that is to be read: at most a date that is past."""
        cells = [*cells, ""]
        if any(self._others(cells)):
            return False
        on = cells[self._places["effective_on"]]
        known = self._is_plain.get(on)
        if known is None:
            known = self._is_plain[on] = self._is_past(on)
        return known

    def _is_past(self, cell: str) -> bool:
        """Tell whether a cell is a date that is past everywhere; else it is to be read."""
        try:
            return values.iso_date(cell) <= self._past
        except errors.BadValue:
            return False

    def _read(self, line: int, cells: list[str]) -> tuple[str, Change, str]:
        """Read a row.

        Raises:
            errors.OutsideScope, errors.RowsDisagree: for one that a sync cannot take.
            errors.BadValue: also for one that takes back what is over.
        """
        read = super()._read(line, cells)
        if UNDOING in read[1].overrides:
            raise errors.BadValue(
                f"override: a sync does not break {UNDOING}: what is over stays as it is",
                hint=f"studentcli enroll --override {UNDOING} --reason TEXT enrolls once",
            )
        key = self._ids(cells)
        course_id = key[1]
        if course_id is not None and not self._compared.covers(course_id):
            raise errors.OutsideScope(
                f"{read[1].course} is not in the scope {self._scope}",
                hint="widen the scope, or take the row out",
            )
        if key in self._disagreeing and not self._last_wins:
            raise errors.RowsDisagree(
                f"{read[0]} in {read[1].course} stands in several rows that disagree, the last"
                f" of them in line {self._disagreeing[key]}"
            )
        return read

"""The file of a sync: a list of enrollments, of which most are what is live already.

Such a row is compared by the ids of what it names, and nothing is made of it. The first reading
leaves nine bytes of each row: the numbers of its student and its course, and whether it says more.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import gt, itemgetter
from typing import Any, Final, Protocol

from studentcli import errors, values
from studentcli.formats.digest import Known
from studentcli.formats.gathering import Chunk
from studentcli.formats.native import NAMING, EnrollmentReader
from studentcli.formats.selection import Selection
from studentcli.formats.source import CsvSource, Row
from studentcli.requests import Agreed, Change, CourseWord, Survey

FORBIDDEN: Final = ("action", "grade", "instead_of")
"""Columns that say of a change what a list of enrollments cannot say."""

UNDOING: Final = "already-withdrawn"
"""The rule that a sync does not break: it would break it again each time the file comes."""

SAYING: Final = ("effective_on", "override", "reason")
"""Columns in which two rows of one enrollment can disagree."""

NOTHING: Final = -1
"""Stands for the number of what cannot be read."""

FindStudent = Callable[[str], int | None]
FindCourse = Callable[[CourseWord], int | None]
Id = int | None


class Compared(Protocol):
    """What the rows are compared with; see the services."""

    doubled: set[tuple[int, int]]

    def name(self, students: Iterable[Id], courses: Iterable[Id]) -> None:
        """Take in what rows name."""

    def covers(self, course_id: int) -> bool:
        """Tell whether a course belongs to the scope."""

    def agrees(self, student_id: Id, course_id: Id) -> bool:
        """Tell whether an enrollment that was named is live, in a course of the scope."""


class _SaysMore(dict[str, bool]):
    """Whether a date has to be read, by its cell: unless it is past everywhere on earth."""

    def __init__(self, now: datetime) -> None:
        super().__init__({"": False})
        self._past = now.astimezone(UTC).date() - timedelta(days=1)

    def __missing__(self, cell: str) -> bool:
        says_more = self[cell] = not self._is_past(cell)
        return says_more

    def _is_past(self, cell: str) -> bool:
        try:
            return values.iso_date(cell) <= self._past
        except errors.BadValue:
            return False


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
        self._says_more = _SaysMore(now)
        self._every_row = every_row
        self._compared: Compared
        self._require_list(term)
        if source.selection.where:
            others = frozenset(terms) - {term}
            source.selection = ScopeSelection(where=source.selection.where, others=others)

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
        self._students, self._words, self._more = array("i"), array("i"), bytearray()
        for _, rows in self.source.blocks():
            try:
                self._take(rows)
            except errors.BadValue:  # row by row it is found out where
                for cells in rows:
                    self._take_alone(cells)
        survey = Survey(rows=len(self._more))
        survey.wanted.students.update(self.numbers.values)
        for word in self.words.values:
            survey.wanted.take(Change("enroll", word))
        return survey

    def _take(self, rows: list[list[str]]) -> None:
        """Keep a block in numbers; raises `errors.BadValue` when a row cannot be read."""
        columns = self.columns_of(rows)
        students, words = self.numbers_of(columns)
        self._students.extend(students)
        self._words.extend(words)
        self._more += self._more_of(columns)

    def _take_alone(self, cells: list[str]) -> None:
        student, word = self._numbers(cells)
        self._students.append(student)
        self._words.append(word)
        is_even = len(cells) == self._width
        self._more += self._more_of(self.columns_of([cells])) if is_even else b"\1"

    def _more_of(self, columns: list[Sequence[str]]) -> bytes:
        """Tell of each row whether it says more than whom it names."""
        on, *others = (columns[self._places[name]] for name in SAYING)
        more = bytes(map(self._says_more.__getitem__, on))
        for column in others:
            if any(column):
                more = bytes(map(max, more, map(bool, map(str.strip, column))))
        return more

    def _numbers(self, cells: list[str]) -> tuple[int, int]:
        """Give the numbers of the student and the course of a row; `NOTHING` for what is none."""
        if len(cells) != self._width:
            return NOTHING, NOTHING
        row = (*cells, "")
        student, *course = (row[self._places[name]] for name in NAMING)
        return _number(self.numbers, student), _number(self.words, tuple(course))

    def name_all(
        self, compared: Compared, find_student: FindStudent, find_course: FindCourse
    ) -> None:
        """Tell which enrollments the rows name, before they are read for what they say."""
        # The last one is found for NOTHING.
        self._student_ids: list[Id] = [*map(find_student, self.numbers.values), None]
        self._course_ids: list[Id] = [*map(find_course, self.words.values), None]
        compared.name(*self._ids_of_all())

    def _ids_of_all(self) -> tuple[Iterable[Id], Iterable[Id]]:
        """Give the ids of the students and of the courses of all rows."""
        return (
            map(self._student_ids.__getitem__, self._students),
            map(self._course_ids.__getitem__, self._words),
        )

    def compare_with(self, compared: Compared, *, last_wins: bool) -> None:
        """Leave rows out that say what is so, and find those that disagree.

        Args:
            compared: knows what is live.
            last_wins: of rows that disagree the last one counts.
        """
        self._compared = compared
        self._last_wins = last_wins
        self._disagreeing = self._find_disagreeing(compared.doubled)
        if self._every_row:
            self._settled = bytes(len(self._more))
            return
        agreeing = map(compared.agrees, *self._ids_of_all())
        self._settled = bytes(map(gt, agreeing, self._more))
        if self._disagreeing:
            keys = zip(*self._ids_of_all(), strict=True)
            told = map(self._disagreeing.__contains__, keys)
            self._settled = bytes(map(gt, self._settled, told))

    def _find_disagreeing(self, doubled: set[tuple[int, int]]) -> dict[Any, int]:
        """Find the enrollments of which rows say different things, with the last line of each."""
        if not doubled:
            return {}
        said: dict[Any, set[tuple[str, ...]]] = {}
        last: dict[Any, int] = {}
        pick = itemgetter(*(self._places[name] for name in SAYING))
        for line, cells in self.source.rows():
            key = self._ids(cells)
            if key in doubled:
                said.setdefault(key, set()).add(tuple(map(str.strip, pick((*cells, "")))))
                last[key] = line
        return {key: last[key] for key, texts in said.items() if len(texts) > 1}

    def _ids(self, cells: list[str]) -> tuple[Id, Id]:
        """Find the ids of what a row names; none is what it does not name."""
        student, word = self._numbers(cells)
        return _id(self._student_ids, student), _id(self._course_ids, word)

    def chunks(self, size: int, *, first: int | None = None) -> Iterator[Chunk]:
        """Read the file anew, in chunks of about `size` rows; what is so already is counted.

        Of `size` such rows a chunk of their own tells: most files hold hardly any others.
        """
        self._size = size
        self._agreed = self._overruled = 0
        for chunk in super().chunks(size, first=first):
            yield self._with_agreed(chunk)
        yield self._with_agreed(Chunk([], {}))

    def _with_agreed(self, chunk: Chunk) -> Chunk:
        if self._agreed or self._overruled:
            chunk.items.append(Agreed(self._agreed, self._overruled))
            self._agreed = self._overruled = 0
        return chunk

    def _pieces(self) -> Iterator[Row]:
        """Give the rows that something is to be decided about, one by one."""
        begin = 0
        for lines, rows in self.source.blocks():
            # A file that has grown meanwhile is refused in the end, when it is looked at again.
            settled = self._settled[begin : begin + len(rows)].ljust(len(rows), b"\0")
            begin += len(rows)
            if 0 in settled:
                yield from self._rows_to_decide(lines, rows, settled)
            else:
                self._agreed += len(rows)
            yield from self._pause(lines[-1])

    def _rows_to_decide(
        self, lines: Sequence[int], rows: list[list[str]], settled: bytes
    ) -> Iterator[Row]:
        self._agreed += sum(settled)
        for line, cells, is_settled in zip(lines, rows, settled, strict=True):
            if is_settled:
                continue
            last = self._disagreeing.get(self._ids(cells)) if self._disagreeing else None
            if last is not None and self._last_wins and line != last:
                self._overruled += 1
            else:
                yield line, cells

    def _pause(self, line: int) -> Iterator[Row]:
        if self._agreed + self._overruled >= self._size:
            yield line, []

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


def _id(ids: list[Id], number: int) -> Id:
    """Give the id of what was read under a number; none for `NOTHING` and for what is new since."""
    return ids[number] if number < len(ids) else None


def _number(known: Known, cell: Any) -> int:
    with suppress(errors.BadValue):
        return known.number(cell)
    return NOTHING

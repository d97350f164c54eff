"""The native CSV: which kind of file a header makes, and its rows as requests and records.

One kind of thing per file: student + course = enrollments; student = students; course = courses;
term alone = terms. Columns that begin with `_` are passed over.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise
from operator import eq, itemgetter
from typing import Any, Final

from studentcli import errors, values
from studentcli.formats.digest import Digest, Known
from studentcli.formats.gathering import Chunk, Gathering, Plain, Unreadable, growing
from studentcli.formats.source import CsvSource, Row
from studentcli.records import COURSE, KINDS, STUDENT, TERM, RecordKind, RecordRow, read_row
from studentcli.render import plain
from studentcli.requests import ACTIONS, Action, Change, CourseWord, Refusal, Survey
from studentcli.rules import require_overridable

ENROLLMENT_MEANINGS: Final = {
    "action": f"{', '.join(ACTIONS)}; every row enrolls where the column is missing",
    "student": "student number",
    "course": "code of the course, or the whole word: 2026FA/CS101-002",
    "term": "term of the course",
    "section": "section of the course",
    "effective_on": "date the change counts from, YYYY-MM-DD",
    "grade": "grade, of a complete",
    "instead_of": "course to be given up for it, once there is a seat",
    "override": "rules to break; needs a reason",
    "reason": "why",
    "request": "equal adjacent cells of a student are one request",
}
ENROLLMENT_COLUMNS: Final = tuple(ENROLLMENT_MEANINGS)


NAMING: Final = ("student", "course", "term", "section")
"""Columns that name an enrollment."""
_USUAL: Final = ("action", *NAMING, "effective_on")
_EXTRAS: Final = ("grade", "instead_of", "override", "reason", "request")
_PLACE: Final = ("action", "course", "term", "section", "instead_of")
_ACTION: Final = values.one_of(*ACTIONS)


def kind_of(header: list[str], name: str) -> str:
    """Recognise a file by its header: `enrollments`, `students`, `courses` or `terms`.

    Raises:
        errors.FileUnreadable: for a header of no kind, or with unknown columns.
    """
    columns = set(header)
    if {"student", "course"} <= columns:
        kind, known = "enrollments", set(ENROLLMENT_COLUMNS)
    else:
        found = next((k for k in (STUDENT, COURSE, TERM) if k.name in columns), None)
        if found is None:
            raise errors.FileUnreadable(
                f"{name} names no column student, course or term in its first line",
                hint=f"an enrollment file begins with: {','.join(ENROLLMENT_COLUMNS[:6])}",
            )
        kind, known = found.plural, set(found.columns)
    unknown = [column for column in header if column not in known and not column.startswith("_")]
    if unknown:
        raise errors.FileUnreadable(
            f"{name} has a column {unknown[0]!r}, which {kind} files do not have",
            hint=f"{kind} files have {', '.join(sorted(known))};"
            " begin others with an underscore, or say what they are with --map",
        )
    return kind


def reader_of(source: CsvSource) -> "EnrollmentReader | RecordReader":
    """Give the reader of a file.

    Raises:
        errors.FileUnreadable: as `kind_of`.
    """
    kind = kind_of(source.header, source.name)
    return EnrollmentReader(source) if kind == "enrollments" else RecordReader(source, KINDS[kind])


class EnrollmentReader:
    """Reads an enrollments file as requests.

    Consecutive rows with the same student, term and date form one request, and so do adjacent
    rows of one student with an equal `request` cell; a course named again, or a row that cannot
    be read, ends it. Chunks end where a request ends.
    """

    kind = None
    """No kind of record."""

    def __init__(self, source: CsvSource) -> None:
        self.source = source
        self._width = len(source.header)
        self._without_action = "action" not in source.header
        # A column that the file does not have is read from an empty cell behind the last one.
        header = {name: index for index, name in enumerate(source.header)}
        self._places = {name: header.get(name, self._width) for name in ENROLLMENT_COLUMNS}
        self._pick = itemgetter(*(self._places[name] for name in _USUAL))
        self._pick_extras = itemgetter(*(self._places[name] for name in _EXTRAS))
        self._extra_places = [header[name] for name in _EXTRAS if name in header]
        self.numbers = Known(lambda cell: _cell("student", values.identifier, cell))
        self.words = Known(lambda cells: _word(*map(str.strip, cells)))
        self._dates = Known(_date)
        self._actions: dict[str, Action] = {action: action for action in ACTIONS}
        if self._without_action:
            self._actions[""] = "enroll"
        self.keeps_cells = True
        """Whether the cells of every row are wanted; else chunks have those of some only."""
        self._digest: Digest | None = None

    def chunks(self, size: int, *, first: int | None = None) -> Iterator[Chunk]:
        """Read the file anew, in chunks of about `size` rows that begin with `first`."""
        gathering = Gathering(self._read, size, first)
        for piece in self._pieces():
            yield from gathering.take(piece)
        if gathering.chunk.items:
            yield gathering.chunk

    def _pieces(self) -> Iterator[Row | Plain]:
        """Give the rows in their order, those that are plainly adds together.

        One without cells is none, and lets whoever waits see how far it is.
        """
        if self._digest is None:
            self.survey()
        return self._digest.pieces() if self._digest else iter(())

    def survey(self) -> Survey:
        """Read the file for what it names, before any lock; it is not parsed a second time."""
        columns = self.numbers, self.words, self._dates
        found = Named(self)
        with self.source.put_aside() as aside:
            digest = Digest(aside, columns, keeps_cells=self.keeps_cells)
            for lines, rows in self.source.blocks():
                try:
                    numbers, others = self._in_columns(rows)
                except errors.BadValue:  # row by row it is found out where
                    found.take(rows)
                    digest.put_rows(lines, rows)
                    continue
                found.take([rows[at] for at in others])
                found.take_adds(numbers[1], others)
                digest.put(lines, numbers, others, rows)
        self._digest = digest
        return found.survey()

    def _in_columns(self, rows: list[list[str]]) -> tuple[list[list[int]], list[int]]:
        """Read a block in columns; gives their numbers, and which rows are no plain adds.

        Raises:
            errors.BadValue: when a row cannot be read.
        """
        columns = self.columns_of(rows)
        students, words = self.numbers_of(columns)
        dates = self._dates.numbers(columns[self._places["effective_on"]])
        others = self._others_than_adds(columns, columns[self._places["action"]], students)
        return [students, words, dates], others

    def columns_of(self, rows: list[list[str]]) -> list[Sequence[str]]:
        """Give rows column by column, behind the last one an empty one for those that are missing.

        Raises:
            errors.BadValue: when they have not all the width of the header.
        """
        width = self._width
        for cells in rows if len({width, *map(len, rows)}) > 1 else ():
            _require_width(cells, width)
        return [*zip(*rows, strict=True), [""] * len(rows)]

    def numbers_of(self, columns: list[Sequence[str]]) -> tuple[list[int], list[int]]:
        """Give the numbers of the students and of the courses that rows name.

        Raises:
            errors.BadValue: when a cell cannot be read.
        """
        student, *course = (columns[self._places[name]] for name in NAMING)
        words = list(zip(*course, strict=True))
        return self.numbers.numbers(student), self.words.numbers(words)

    def _others_than_adds(
        self, columns: list[Any], actions: Sequence[str], students: list[int]
    ) -> list[int]:
        """List the rows of a block that are more than an add, or not surely a request alone."""
        last = len(students) - 1
        found = {0, last}  # the rows before and after them are not known
        if any(map(eq, students, students[1:])):
            pairs = enumerate(pairwise(students))
            found.update(at + nth for at, (one, other) in pairs if one == other for nth in (0, 1))
        others = {cell for cell in set(actions) if self._actions.get(cell) != "enroll"}
        if others:
            found.update(at for at, cell in enumerate(actions) if cell in others)
        for place in self._extra_places:
            if any(columns[place]):
                found.update(at for at, cell in enumerate(columns[place]) if cell.strip())
        return sorted(found)

    def _read(self, line: int, cells: list[str]) -> tuple[str, Change, str]:
        """Read a row; cells that were met before are looked up, not read again."""
        if len(cells) != self._width:
            _require_width(cells, self._width)
        row = (*cells, "")
        cell, student, course, term, section, on = self._pick(row)
        action = self._actions.get(cell) or self._action(cell)
        number = self.numbers.value(student)
        word = self.words.value((course, term, section))
        change = Change(action, word, self._dates.value(on), line=line)
        request = ""
        if self._extra_places:
            grade, old, override, reason, request = map(str.strip, self._pick_extras(row))
            if old:
                change.instead_of = self._given_up(change, old)
            if grade or override or reason:
                _read_extras(change, grade, override, reason)
        return number, change, request

    def _action(self, cell: str) -> Action:
        action: Action = _cell("action", _ACTION, cell)
        self._actions[cell] = action
        return action

    def _given_up(self, change: Change, cell: str) -> CourseWord:
        """Read the course of a swap: the whole word, found among what the student is in."""
        if change.action != "enroll":
            raise errors.BadValue(f"instead_of: {change.action} gives nothing up")
        return self.word(cell, "", "")

    def named_in(self, rows: list[list[str]]) -> tuple[Iterable[str], Iterable[tuple[str, ...]]]:
        """Give the students that rows name, and the actions with the courses."""
        even = [row for row in rows if len(row) == self._width]
        if not even:
            return (), ()
        columns = [*zip(*even, strict=True), [""] * len(even)]
        places = zip(*(columns[self._places[name]] for name in _PLACE), strict=True)
        return columns[self._places["student"]], places

    def is_add(self, action: str) -> bool:
        """Tell whether a row with this cell enrolls."""
        return self._without_action or action.strip() == "enroll"

    def number(self, cell: str) -> str:
        """Read a student number; raises `errors.BadValue`."""
        number: str = self.numbers.value(cell)
        return number

    def word(self, *cells: str) -> CourseWord:
        """Read the cells of course, term and section; raises `errors.BadValue`."""
        word: CourseWord = self.words.value(cells)
        return word


class Named:
    """What the rows of a file name, as far as it can be read.

    Args:
        reader: of the file.
    """

    def __init__(self, reader: EnrollmentReader) -> None:
        self._reader = reader
        self._rows = 0
        self._students: set[str] = set()
        self._places: set[tuple[str, ...]] = set()
        self._adds: set[int] = set()

    def take(self, rows: list[list[str]]) -> None:
        """Take rows in."""
        self._rows += len(rows)
        student, places = self._reader.named_in(rows)
        self._students.update(student)
        self._places.update(places)

    def take_adds(self, words: list[int], others: list[int]) -> None:
        """Take in the rows of a block that are plainly adds; their students are known.

        Args:
            words: the numbers of the courses of all rows.
            others: which rows are no such.
        """
        plain = set(range(len(words))).difference(others)
        self._rows += len(plain)
        self._adds.update(words[at] for at in plain)

    def survey(self) -> Survey:
        """Say what was named."""
        reader, survey = self._reader, Survey(rows=self._rows)
        wanted = survey.wanted
        for cell in self._students:
            with suppress(errors.BadValue):
                reader.number(cell)
        wanted.students.update(reader.numbers.values)
        for at in self._adds:
            wanted.take(Change("enroll", reader.words.values[at]))
        for action, course, term, section, old in self._places:
            is_add = reader.is_add(action)
            with suppress(errors.BadValue):
                change = Change("enroll" if is_add else "drop", reader.word(course, term, section))
                if is_add and old.strip():
                    change.instead_of = reader.word(old, "", "")
                wanted.take(change)
        return survey


def _date(cell: str) -> date | None:
    day: date | None = None
    if cell.strip():
        day = _cell("effective_on", values.iso_date, cell)
    return day


def _require_width(cells: list[str], width: int) -> None:
    if len(cells) != width:
        raise errors.BadValue(f"{len(cells)} cells, the header has {width}")


def _cell(column: str, reader: Any, text: str) -> Any:
    try:
        return reader(text)
    except errors.BadValue as error:
        raise type(error)(f"{column}: {error.message}") from None


def _word(course: str, term: str, section: str) -> CourseWord:
    return CourseWord(
        _cell("course", values.identifier, course),
        _cell("term", values.identifier, term) if term else None,
        _cell("section", values.identifier, section) if section else None,
    )


def _read_extras(change: Change, grade: str, override: str, reason: str) -> None:
    if grade:
        change.grade = _cell("grade", values.grade, grade)
        if change.action != "complete":
            raise errors.BadValue(f"grade: {change.action} takes no grade")
    change.reason = _cell("reason", values.plain, reason) if reason else None
    if override:
        change.overrides = read_overrides(override.replace(",", " ").split(), change.reason)


def read_overrides(codes: list[str], reason: str | None) -> frozenset[str]:
    """Read the codes of rules that may be broken, which takes a reason.

    Raises:
        errors.BadValue: for a rule that cannot be overridden, or a missing reason.
    """
    for code in codes:
        require_overridable(code)
    if codes and not reason:
        raise errors.BadValue(
            "an override needs a reason", hint="add --reason TEXT; in a file, the column reason"
        )
    return frozenset(codes)


class RecordReader:
    """Reads a students, terms or courses file as records."""

    keeps_cells = True
    """As the other reader has it; there are few of these, and all cells are kept."""

    def __init__(self, source: CsvSource, kind: RecordKind) -> None:
        self.source = source
        self.kind = kind

    def chunks(self, size: int, *, first: int | None = None) -> Iterator[Chunk]:
        """Read the file anew, in chunks of at most `size` rows that begin with `first`."""
        rows, sizes = self.source.rows(), growing(size, first)
        while block := dict(itertools.islice(rows, next(sizes))):
            yield Chunk([self._read(row) for row in block.items()], block, len(block))

    def survey(self) -> Survey:
        """Read the file for its keys: the first pass, before any lock."""
        survey = Survey(kind=self.kind)
        for row in self.source.rows():
            survey.rows += 1
            item = self._read(row)
            if isinstance(item, RecordRow):
                survey.keys.add(item.key)
        return survey

    def _read(self, row: Row) -> RecordRow | Unreadable:
        line, cells = row
        header = self.source.header
        try:
            _require_width(cells, len(header))
            return read_row(self.kind, dict(zip(header, cells, strict=True)), line)
        except errors.BadValue as error:
            return Unreadable(line, Refusal(error.code, error.message, error.hint))


def neutral(value: Any) -> str:
    """Write a cell so that a spreadsheet takes it for text, not for a formula."""
    text = plain(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text

"""Which course, term or student a word means. A word that could mean two things means none."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import conditions, errors
from studentcli.columns import Column, Lookup
from studentcli.database import listed_in
from studentcli.facts import CourseFact, StudentFact, TermFact
from studentcli.grades import scale
from studentcli.meetings import parse as parse_meetings
from studentcli.models import Course, Student
from studentcli.requests import Change, CourseWord, Policy, Refusal
from studentcli.services import statements
from studentcli.services.near import suggest_course, suggest_student
from studentcli.vocabulary import LIVE_STATUSES


def is_sqlite(session: Session) -> bool:
    """Tell which engine a session talks to."""
    return session.get_bind().dialect.name == "sqlite"


def load_terms(session: Session) -> list[TermFact]:
    """Load every term, by code.

    Raises:
        errors.DatabaseDamaged: for a grade scale that no command can have written.
    """
    terms = [TermFact(*row) for row in session.connection().execute(statements.terms())]
    for term in terms:
        if term.grades is not None:
            read_text(scale, term.grades, f"grades of term {term.code}")
    return terms


def current_term(terms: Iterable[TermFact], policy: Policy) -> TermFact | Refusal:
    """Find the term that enrolling means when none is named (SEMANTICS 6).

    The only term there is, else the one whose enroll window contains today, else the one that
    runs today.
    """
    terms = list(terms)
    if len(terms) == 1:
        return terms[0]

    def contains(term: TermFact, first: date | None, last: date | None) -> bool:
        today = policy.today(term.time_zone)
        return (
            bool(first or last)
            and (first is None or first <= today)
            and (last is None or today <= last)
        )

    enrolling = [term for term in terms if contains(term, term.enroll_from, term.enroll_until)]
    running = [term for term in terms if contains(term, term.starts_on, term.ends_on)]
    for candidates in (enrolling, running):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            codes = ", ".join(term.code for term in candidates)
            return Refusal("unknown-term", f"today belongs to several terms: {codes}")
    codes = ", ".join(term.code for term in terms)
    return Refusal("unknown-term", f"today belongs to no term; there are {codes}")


class CourseIndex:
    """Answers which course a word means, over the courses whose codes were loaded.

    Args:
        terms: every term.
        courses: every course that a word of the operation could mean.
        policy: for today's date.
        default_term: the term named for the whole operation.
    """

    def __init__(
        self,
        terms: list[TermFact],
        courses: Iterable[CourseFact],
        policy: Policy,
        default_term: str | None,
    ) -> None:
        self.terms = {term.code: term for term in terms}
        self.policy = policy
        self.default_term = default_term
        self.term_by_id = {term.term_id: term for term in terms}
        self.by_id: dict[int, CourseFact] = {}
        self.codes: set[str] = set()
        """The codes that were found in any term, also where the courses were not needed."""
        self._by_code: dict[str, list[CourseFact]] = {}
        self._one: dict[CourseWord, CourseFact | Refusal] = {}
        self._found: dict[CourseWord, tuple[str | Refusal, list[CourseFact]]] = {}
        self._of_adds = Lookup()
        for course in courses:
            self.add(course)

    def add(self, course: CourseFact) -> None:
        """Take a course in that a word could mean."""
        self.by_id[course.course_id] = course
        self.codes.add(course.code)
        self._by_code.setdefault(course.code, []).append(course)
        self._one.clear()
        self._found.clear()
        self._of_adds.forget()

    def split(self, word: CourseWord) -> tuple[str | None, str]:
        """Split a word into the term it names, or none, and the rest."""
        if word.term:
            return word.term, word.text
        head, slash, rest = word.text.partition("/")
        return (head, rest) if slash and head in self.terms else (None, word.text)

    def readings(self, word: CourseWord) -> list[CourseFact]:
        """List the courses that a word can mean, in every term unless it names one."""
        term, rest = self.split(word)
        if word.section:
            found = [c for c in self._by_code.get(rest, ()) if c.section == word.section]
        else:
            found = list(self._by_code.get(rest, ()))
            code, dash, section = rest.rpartition("-")
            if dash:
                found += [c for c in self._by_code.get(code, ()) if c.section == section]
        return found if term is None else [c for c in found if c.term.code == term]

    def find(self, word: CourseWord) -> CourseFact | Refusal:
        """Find the course of a word in the term it names, else in the operation's term."""
        found = self._one.get(word)
        if found is None:
            found = self._one[word] = self._find(word)
        return found

    def _find(self, word: CourseWord) -> CourseFact | Refusal:
        term, found = self._candidates(word)
        if isinstance(term, Refusal):
            named = self.split(word)[0] or self.default_term
            if named is None and self.codes.isdisjoint(possible_codes([word])):
                return Refusal("unknown-course", f"there is no course {word} in any term")
            return term
        if len(found) == 1:
            return found[0]
        if not found:
            return Refusal("unknown-course", f"there is no course {word} in term {term}")
        return _ambiguous(word, found)

    def _candidates(self, word: CourseWord) -> tuple[str | Refusal, list[CourseFact]]:
        """Give the term that a word means, or why none, and its courses in that term."""
        known = self._found.get(word)
        if known is None:
            term = self.term_of(word)
            readings = [] if isinstance(term, Refusal) else self.readings(word)
            known = self._found[word] = term, [c for c in readings if c.term.code == term]
        return known

    def term_of(self, word: CourseWord) -> str | Refusal:
        """Give the code of the term that a word means when it is an add, or why none."""
        term = self.split(word)[0] or self.default_term
        if term is None:
            current = current_term(self.terms.values(), self.policy)
            return current if isinstance(current, Refusal) else current.code
        if term not in self.terms:
            return Refusal(
                "unknown-term", f"there is no term {term}; there are {', '.join(self.terms)}"
            )
        return term

    def find_for(self, change: Change, student: StudentFact) -> CourseFact | Refusal:
        """Find the course of a change; what is not an add looks among the student's own first."""
        word = change.course
        if isinstance(word, int):
            return self.by_id.get(word) or Refusal("unknown-course", f"there is no course {word}")
        if change.action == "enroll" or word.term or self.default_term or self.split(word)[0]:
            return self.find(word)
        own = [
            (course, enrollment.status)
            for course in self.readings(word)
            if (enrollment := student.enrollments.get(course.course_id)) is not None
        ]
        live = [course for course, status in own if status in LIVE_STATUSES]
        if len(live) > 1:
            return _ambiguous(word, live)
        if live:
            return live[0]
        return own[0][0] if len(own) == 1 else self.find(word)

    def possible(self, change: Change) -> list[CourseFact]:
        """List the courses that a change can turn out to mean, for any student."""
        word = change.course
        if isinstance(word, int):
            return [self.by_id[word]] if word in self.by_id else []
        if change.action == "enroll" or word.term or self.default_term or self.split(word)[0]:
            return self._candidates(word)[1]
        return self.readings(word)

    def possible_adds(self, words: Column) -> list[list[CourseFact]]:
        """List, for each row, the courses that an add can turn out to mean."""
        return self._of_adds.of(words, lambda word: self._candidates(word)[1])

    def named(self, change: Change) -> list[CourseFact]:
        """List the courses that a change can be about: the one that it gives up, too."""
        if change.instead_of is None:
            return self.possible(change)
        return self.possible(change) + self.possible(Change("drop", change.instead_of))


def _ambiguous(word: CourseWord, found: list[CourseFact]) -> Refusal:
    refs = ", ".join(sorted({course.ref for course in found}))
    return Refusal("ambiguous-course", f"{word} could be {refs}")


def possible_codes(words: Iterable[CourseWord]) -> set[str]:
    """List the course codes that words can mean."""
    codes: set[str] = set()
    for word in words:
        for text in {word.text, word.text.partition("/")[2]}:
            codes.add(text)
            codes.add(text.rpartition("-")[0])
    codes.discard("")
    return codes


def load_courses(
    session: Session, terms: list[TermFact], query: Any, parameters: dict[str, Any] | None = None
) -> list[CourseFact]:
    """Load courses by id, without seats or queue: what a query of `statements` selects.

    Raises:
        errors.DatabaseDamaged: for the text of a rule that no command can have written.
    """
    by_id = {term.term_id: term for term in terms}
    found = session.connection().execute(query, parameters or {})
    return [_course_fact(by_id[row[1]], row) for row in found if row[1] in by_id]


def load_names(session: Session, terms: list[TermFact], condition: Any) -> list[CourseFact]:
    """Load which courses there are, by id, and nothing of what the rules read about them."""
    by_id = {term.term_id: term for term in terms}
    columns = select(Course.id, Course.term_id, Course.code, Course.section).where(condition)
    found = session.connection().execute(columns.order_by(Course.id))
    return [
        CourseFact(course_id, by_id[term_id], code, section)
        for course_id, term_id, code, section in found
        if term_id in by_id
    ]


READERS: Final[dict[str, Callable[[str | None], Any]]] = {
    "requires": conditions.parse_requirements,
    "corequisites": conditions.parse_corequisites,
    "meetings": parse_meetings,
    "restricted": conditions.parse_restriction,
    "reserved": conditions.parse_reservations,
    "tags": conditions.parse_tags,
}
"""How the texts of records become what the rules look at, by the name of the fact."""


def read_text(read: Callable[[str | None], Any], text: str | None, what: str) -> Any:
    """Read the stored text of a rule; `what` names it.

    Raises:
        errors.DatabaseDamaged: for a text that no command can have written.
    """
    try:
        return read(text)
    except errors.BadValue as error:
        raise errors.DatabaseDamaged(
            f"{what} cannot be read: {error.message}",
            hint="studentcli db check says how to mend it",
        ) from None


def _course_fact(term: TermFact, row: Any) -> CourseFact:
    (
        course_id, _, code, section, status, capacity, waitlist, credit_hours, repeats, requires,
        corequisites, meetings, restricted, reserved, *calendar, has_sections,
    ) = row  # fmt: skip
    enroll_from, enroll_until, drop_until, withdraw_until = calendar
    ref = f"{term.code}/{code}-{section}"

    def read(name: str, text: str | None) -> Any:
        return () if text is None else read_text(READERS[name], text, f"{name} of {ref}")

    return CourseFact(
        course_id, term, code, section, status, capacity, waitlist,
        credit_hours=credit_hours,
        repeats=repeats,
        requires=read("requires", requires),
        corequisites=read("corequisites", corequisites),
        meetings=read("meetings", meetings),
        restricted=read("restricted", restricted),
        reserved=read("reserved", reserved),
        enroll_from=enroll_from,
        enroll_until=enroll_until,
        drop_until=drop_until,
        withdraw_until=withdraw_until,
        has_sections=has_sections,
    )  # fmt: skip


def find_course(session: Session, word: str | int, policy: Policy, term: str | None) -> CourseFact:
    """Find the one course that a word means, or that has a database id: which one it is alone.

    What its rules say is not read, so that a course can be found and mended whatever they say.

    Raises:
        errors.UnknownCourse: with near names.
        errors.AmbiguousCourse: with the courses it could be.
        errors.UnknownTerm: when no term is meant.
    """
    terms = load_terms(session)
    if isinstance(word, int):
        for course in load_names(session, terms, Course.id == word):
            return course
        raise Refusal("unknown-course", f"there is no course {word}").error()
    asked = CourseWord(word)
    condition = listed_in(Course.code, possible_codes([asked]), is_sqlite=is_sqlite(session))
    index = CourseIndex(terms, load_names(session, terms, condition), policy, term)
    readings = index.readings(asked)
    if term is None and len(readings) == 1:
        return readings[0]
    found = index.find(asked)
    if isinstance(found, Refusal):
        if found.code == "unknown-term" and term is None and readings:
            found = _ambiguous(asked, readings)
        raise suggest_course(session, found, asked, index.term_of(asked)).error()
    return found


def find_student(session: Session, student: str | int) -> StudentFact:
    """Find a student by number, or by database id.

    Raises:
        errors.UnknownStudent: with near numbers.
    """
    key = Student.id if isinstance(student, int) else Student.student_number
    columns = select(Student.id, Student.student_number, Student.status)
    row = session.execute(columns.where(key == student)).first()
    if row is not None:
        return StudentFact(*row)
    unknown = Refusal("unknown-student", f"there is no student {student}")
    if isinstance(student, str):
        unknown = suggest_student(session, unknown, student)
    raise unknown.error()

"""What courses say that does not fit what is around them: taken as written, told, mended later.

A catalogue is entered in any order, and a term can be moved after its courses: so these are no
refusals. Whoever saves such a record is told at once, and `db check` tells them until they are
mended.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.conditions import parse_corequisites, parse_requirements, parse_reservations
from studentcli.database import listed_in
from studentcli.meetings import outside, parse, within
from studentcli.models import Course, Term
from studentcli.records import COURSE, TERM, RecordKind
from studentcli.services.near import near_codes
from studentcli.services.resolve import is_sqlite

ASKING: Final = ("requires", "corequisites")
"""The fields that name the codes of other courses."""


class LooseEnd(NamedTuple):
    """Something that a course says and that does not fit.

    Args:
        check: `meeting-dates`, `unknown-code` or `too-many-reserved`.
        course: as TERM/CODE-SECTION.
        said: one sentence, without the course.
        mend: the command that mends it.
    """

    check: str
    course: str
    said: str
    mend: str


class Dates(NamedTuple):
    """A term's code with its first and last day; none where nobody said."""

    term: str
    first: date | None
    last: date | None


class Asking(NamedTuple):
    """A course with what it asks for: its key, and the texts of ASKING."""

    term: str
    code: str
    section: str
    requires: str | None = None
    corequisites: str | None = None

    @property
    def ref(self) -> str:
        """The course as TERM/CODE-SECTION."""
        return f"{self.term}/{self.code}-{self.section}"


# ── meetings ─────────────────────────────────────────────────────────────────────────────


def meetings_outside(session: Session, terms: Mapping[int, Dates]) -> Iterator[LooseEnd]:
    """Find the courses with a meeting on dates outside of their term, by id.

    Args:
        session: any.
        terms: the terms to look at, by id.
    """
    query = select(Course.term_id, Course.code, Course.section, Course.meetings).where(
        listed_in(Course.term_id, sorted(terms), is_sqlite=is_sqlite(session)),
        Course.meetings.like("%..%"),
    )
    for term_id, code, section, meetings in session.execute(query.order_by(Course.id)):
        term, first, last = terms[term_id]
        found = outside(parse(meetings), first, last)
        if found is not None:
            ref = f"{term}/{code}-{section}"
            mended = "; ".join(map(str, within(parse(meetings), first, last)))
            yield LooseEnd(
                "meeting-dates",
                ref,
                f"{found} is outside of {term} ({spelled(first, last)})",
                shlex.join(["studentcli", "course", "edit", ref, "--meetings", mended]),
            )


def spelled(first: date | None, last: date | None) -> str:
    """Write the dates of a term: `2026-08-24..2026-12-18`, with nothing for what is open."""
    return f"{first or ''}..{last or ''}"


# ── codes ────────────────────────────────────────────────────────────────────────────────


def unknown_codes(
    session: Session, asking: Iterable[Asking], also: Collection[tuple[str, str]] = ()
) -> Iterator[LooseEnd]:
    """Find the codes that no course has, or no course of the term that they are to be taken in.

    Args:
        session: any.
        asking: courses with what they ask for.
        also: what a forecast would add: term and code.
    """
    asking = list(asking)
    named = {code for course in asking for _, code in _codes(course)}
    offered = _offered(session, named).union(also)
    anywhere = {code for _, code in offered}
    near = near_codes(session, named - anywhere)
    for course in asking:
        for field, code in _codes(course):
            term = course.term if field == "corequisites" else None
            if code == course.code and field == "corequisites":
                yield _loose(course, field, code, "which is the course itself")
            elif code not in anywhere:
                hint = f" (did you mean {' or '.join(near[code])}?)" if code in near else ""
                yield _loose(course, field, code, f"which no course has{hint}")
            elif term is not None and (term, code) not in offered:
                yield _loose(course, field, code, f"which no course of {term} has")


def _codes(course: Asking) -> Iterator[tuple[str, str]]:
    """Give the codes that a course names, each once for every field: field and code."""
    required = (item.code for group in parse_requirements(course.requires) for item in group)
    for code in dict.fromkeys(required):
        yield "requires", code
    together = (code for group in parse_corequisites(course.corequisites) for code in group)
    for code in dict.fromkeys(together):
        yield "corequisites", code


def _offered(session: Session, codes: Collection[str]) -> set[tuple[str, str]]:
    """Find the terms in which codes are offered: term and code."""
    if not codes:
        return set()
    listed = listed_in(Course.code, sorted(codes), is_sqlite=is_sqlite(session))
    query = select(Term.code, Course.code).join(Course.term).where(listed).distinct()
    return {(term, code) for term, code in session.execute(query)}


def _loose(course: Asking, field: str, code: str, why: str) -> LooseEnd:
    verb = {"requires": "requires", "corequisites": "is taken together with"}[field]
    mend = f"studentcli course edit {shlex.quote(course.ref)} --{field} CODES"
    if code != course.code:
        mend += f"; or studentcli course add {shlex.quote(f'{course.term}/{code}')}"
    return LooseEnd("unknown-code", course.ref, f"{verb} {code}, {why}", mend)


def asking_courses(session: Session, term_ids: Collection[int]) -> Iterator[Asking]:
    """Give the courses of terms that name other codes, by id."""
    query = (
        select(Term.code, Course.code, Course.section, Course.requires, Course.corequisites)
        .join(Course.term)
        .where(
            listed_in(Course.term_id, sorted(term_ids), is_sqlite=is_sqlite(session)),
            Course.requires.is_not(None) | Course.corequisites.is_not(None),
        )
        .order_by(Course.id)
    )
    return (Asking(*row) for row in session.execute(query))


# ── reservations ─────────────────────────────────────────────────────────────────────────


def too_many_reserved(session: Session, term_ids: Collection[int]) -> Iterator[LooseEnd]:
    """Find the courses of terms that reserve more seats than they have, by id."""
    query = (
        select(Term.code, Course.code, Course.section, Course.capacity, Course.reserved)
        .join(Course.term)
        .where(
            listed_in(Course.term_id, sorted(term_ids), is_sqlite=is_sqlite(session)),
            Course.capacity.is_not(None),
            Course.reserved.is_not(None),
        )
        .order_by(Course.id)
    )
    for *key, capacity, reserved in session.execute(query):
        yield from reserved_beyond("{}/{}-{}".format(*key), capacity, reserved)


def reserved_beyond(ref: str, capacity: int | None, reserved: str | None) -> Iterator[LooseEnd]:
    """Say of one course that it reserves more seats than it has: nobody else ever gets one."""
    seats = sum(reservation.seats for reservation in parse_reservations(reserved))
    if capacity is not None and seats > capacity:
        yield LooseEnd(
            "too-many-reserved",
            ref,
            f"reserves {seats} seats and has {capacity}",
            f"studentcli course edit {shlex.quote(ref)} --capacity {seats}",
        )


# ── while records are saved ──────────────────────────────────────────────────────────────


class LooseEnds:
    """Takes in the records that an operation saves, and tells at its end what does not fit.

    Args:
        session: in the operation's transaction, or of a forecast, which writes none of them.
        kind: which kind of record.
    """

    def __init__(self, session: Session, kind: RecordKind) -> None:
        self.session = session
        self.kind = kind
        self._terms: dict[int, Dates] = {}
        self._asking: dict[tuple[str, ...], Asking] = {}
        self._new: set[tuple[str, str]] = set()
        self._reserved: dict[tuple[str, ...], LooseEnd | None] = {}

    def see(
        self, key: tuple[str, ...], record_id: int | None, before: Any, changes: dict[str, Any]
    ) -> None:
        """Take a record in that is created or changed.

        Args:
            key: the record's.
            record_id: none for a new one.
            before: the row as it is, or none.
            changes: field name → [before, after].
        """
        new = {name: after for name, (_, after) in changes.items()}
        if self.kind is TERM and record_id is not None and new.keys() & {"starts_on", "ends_on"}:
            dates = (new.get(name, before[name]) for name in ("starts_on", "ends_on"))
            self._terms[record_id] = Dates(key[0], *dates)
        if self.kind is not COURSE:
            return
        if record_id is None:
            self._new.add((key[0], key[1]))
        if new.keys() & {"capacity", "reserved"}:
            seats = {name: (before or {}).get(name) for name in ("capacity", "reserved")} | new
            ends = reserved_beyond(Asking(*key).ref, seats["capacity"], seats["reserved"])
            self._reserved[key] = next(ends, None)
        if any(name in new for name in ASKING):
            asked = self._asking.get(key, Asking(*key))
            given = {name: new[name] for name in ASKING if name in new}
            self._asking[key] = asked._replace(**given)

    def tell(self) -> list[str]:
        """Say what does not fit, a sentence for each; none when all does."""
        found = [end for end in self._reserved.values() if end is not None]
        if self._terms:
            found += meetings_outside(self.session, self._terms)
        asking = [course for course in self._asking.values() if any(course[3:])]
        if asking:
            found += unknown_codes(self.session, asking, also=self._new)
        return [f"{end.course} {end.said}" for end in found]

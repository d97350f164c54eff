"""What a record must not say: checks over one record and those around it, before it is saved."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.conditions import find_cycle, parse_corequisites, parse_requirements
from studentcli.facts import TermFact
from studentcli.grades import scale
from studentcli.meetings import outside, parse
from studentcli.models import Course, StudentCourses, Term
from studentcli.records import COURSE, STUDENT, RecordKind
from studentcli.requests import Refusal
from studentcli.services.loose_ends import spelled
from studentcli.vocabulary import LIVE_STATUSES

FORWARD: Final = (("starts_on", "ends_on"), ("enroll_from", "enroll_until"))
"""Dates of which the second is not before the first."""

CourseKey = tuple[str, ...]


class Consistency:
    """Checks records of one kind, as they are saved one after the other.

    Args:
        session: in the operation's transaction.
        kind: which kind of record.
        terms: by code.
    """

    def __init__(self, session: Session, kind: RecordKind, terms: Mapping[str, TermFact]) -> None:
        self.session = session
        self.kind = kind
        self.terms = terms
        self._required: dict[str, dict[CourseKey, frozenset[str]]] | None = None

    def refuse(
        self, key: CourseKey, record_id: int | None, before: Any, changes: dict[str, list[Any]]
    ) -> Refusal | None:
        """Say why a record cannot be saved as it is, or nothing.

        Args:
            key: the record's.
            record_id: none for a new one.
            before: the row as it is, or none.
            changes: field name → [before, after].
        """
        new = {name: after for name, (_, after) in changes.items()}
        is_cancelled = self.kind is COURSE and new.get("status") == "cancelled"
        if is_cancelled and record_id is not None:
            refusal = self._refuse_silent_cancel(key, record_id)
            if refusal is not None:
                return refusal
        return self.contradiction(key, before, new)

    def contradiction(self, key: CourseKey, before: Any, new: dict[str, Any]) -> Refusal | None:
        """Say what of a record contradicts itself or what is around it, or nothing.

        Args:
            key: the record's.
            before: the row as it is, or none.
            new: field name → what it is to be.
        """
        if self.kind is STUDENT:
            return None
        refusal = self._runs_backward(key, before, new)
        if refusal is None and self.kind is COURSE:
            refusal = self._refuse_course(key, new)
        return refusal

    def expect(self, requirements: Mapping[CourseKey, str | None]) -> None:
        """Take in what courses will require that are saved together, before they are asked for."""
        required = self._load_required()
        for key, text in requirements.items():
            codes = frozenset(item.code for item in _items(text))
            required.setdefault(key[1], {})[key] = codes

    def _runs_backward(self, key: CourseKey, before: Any, new: dict[str, Any]) -> Refusal | None:
        """Refuse two dates in the wrong order; where a course has none, its term's counts."""

        def value(name: str) -> tuple[Any, str]:
            own = new[name] if name in new else None if before is None else before.get(name)
            if own is not None or self.kind is not COURSE:
                return own, f"{name} {own}"
            usual = getattr(self.terms[key[0]], name, None)
            return usual, f"the {name} {usual} of {key[0]}"

        for first, last in FORWARD:
            (begins, from_when), (ends, until_when) = value(first), value(last)
            if begins and ends and ends < begins and (first in new or last in new):
                return Refusal("bad-value", f"{until_when} is before {from_when}")
        return None

    def _refuse_course(self, key: CourseKey, new: dict[str, Any]) -> Refusal | None:
        refusal = _refuse_own_company(key, new.get("corequisites"))
        if refusal is None:
            refusal = self._refuse_dates(key, new.get("meetings"))
        if refusal is None and "requires" in new:
            refusal = self._refuse_grade(key, new["requires"]) or self._refuse_cycle(
                key, new["requires"]
            )
        return refusal

    def _refuse_dates(self, key: CourseKey, meetings: str | None) -> Refusal | None:
        """Refuse a meeting on dates outside of the term."""
        term = self.terms[key[0]]
        found = outside(parse(meetings), term.starts_on, term.ends_on)
        if found is None:
            return None
        dates = spelled(term.starts_on, term.ends_on)
        return Refusal(
            "bad-value",
            f"meetings: {found} is outside of {key[0]} ({dates})",
            f"leave its dates out for those of the term; studentcli term edit {key[0]} moves it",
        )

    def _refuse_silent_cancel(self, key: CourseKey, record_id: int) -> Refusal | None:
        """Leave dropping everybody to `course cancel`, which does it as one operation."""
        live = select(StudentCourses.student_id).where(
            StudentCourses.course_id == record_id,
            StudentCourses.status.in_(LIVE_STATUSES),
        )
        if self.session.scalar(live.limit(1)) is None:
            return None
        name = _name(key)
        return Refusal(
            "in-use",
            f"course {name} has students",
            f"studentcli course cancel {name} --reason TEXT drops them",
        )

    def _refuse_grade(self, key: CourseKey, requires: str | None) -> Refusal | None:
        """Refuse a minimum grade that the term's scale does not have."""
        grades = scale(self.terms[key[0]].grades)
        for item in _items(requires):
            if item.min_grade is not None and not grades.knows(item.min_grade):
                return Refusal(
                    "unknown-grade",
                    f"requires: {item.min_grade} is no grade of {key[0]};"
                    f" there are {', '.join(grades.grades)}",
                )
        return None

    def _refuse_cycle(self, key: CourseKey, requires: str | None) -> Refusal | None:
        """Refuse prerequisites that lead back to the course itself."""
        required = self._load_required()
        mine = required.setdefault(key[1], {})
        before = mine.get(key)
        mine[key] = frozenset(item.code for item in _items(requires))
        cycle = find_cycle(_reachable(key[1], required))
        if cycle is None:
            return None
        if before is None:
            del mine[key]
        else:
            mine[key] = before
        return Refusal("bad-value", f"requires: {' requires '.join(cycle)}, which nobody can meet")

    def _load_required(self) -> dict[str, dict[CourseKey, frozenset[str]]]:
        """Load what every course requires, once: code → offering → codes.

        What nobody can read asks for nothing here: the database check names it.
        """
        if self._required is None:
            self._required = {}
            query = (
                select(Term.code, Course.code, Course.section, Course.requires)
                .join(Course.term)
                .where(Course.requires.is_not(None))
            )
            for term, code, section, requires in self.session.execute(query):
                with suppress(errors.BadValue):
                    codes = frozenset(item.code for item in _items(requires))
                    self._required.setdefault(code, {})[term, code, section] = codes
        return self._required


def _refuse_own_company(key: CourseKey, corequisites: str | None) -> Refusal | None:
    """Refuse a course that is to be taken together with itself: that says nothing, or too much."""
    if not any(key[1] in group for group in parse_corequisites(corequisites)):
        return None
    return Refusal(
        "bad-value",
        f"corequisites: {key[1]} cannot be taken together with itself",
        "name the other courses alone; - clears what is there",
    )


def _items(requires: str | None) -> Iterable[Any]:
    return (item for group in parse_requirements(requires) for item in group)


def _reachable(
    code: str, required: Mapping[str, Mapping[CourseKey, frozenset[str]]]
) -> dict[str, set[str]]:
    """Give the part of the requirements that a code leads to: code → codes."""
    found: dict[str, set[str]] = {}
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = set().union(*required.get(one, {}).values())
            waiting += found[one]
    return found


def _name(key: CourseKey) -> str:
    return f"{key[0]}/{key[1]}-{key[2]}"

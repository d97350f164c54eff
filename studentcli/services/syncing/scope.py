"""What a sync is about: a term, or some of its courses."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.models import Course, Term
from studentcli.values import identifier

EXAMPLE = "such as --scope term=2026FA, or --scope 'term=2026FA,course=CS*'"


@dataclass(frozen=True)
class Scope:
    """A term, and which of its courses.

    Args:
        term: its code.
        course: a pattern for the code, or for CODE-SECTION: `*` is any text, `?` any character; all
            courses of the term when left out.
    """

    term: str
    course: str | None = None

    def __str__(self) -> str:
        """Write the scope as it is typed."""
        course = f",course={self.course}" if self.course else ""
        return f"term={self.term}{course}"

    def covers(self, code: str, section: str) -> bool:
        """Tell whether a course of the term belongs to it."""
        if self.course is None:
            return True
        parts = re.split(r"([*?])", self.course)
        pattern = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
        return any(
            re.fullmatch(pattern, text, re.DOTALL) is not None
            for text in (code, f"{code}-{section}")
        )


def read_scope(text: str | None) -> Scope:
    """Read a scope as it is typed: `term=2026FA`, `term=2026FA,course=CS*`.

    Raises:
        errors.Usage: for what is written otherwise.
        errors.MalformedId: for a code that none can have.
    """
    if text is None:
        raise errors.Usage("a sync needs the scope for which the file is the truth", hint=EXAMPLE)
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in {"term", "course"} or not (equals and value) or name in given:
            raise errors.Usage(f"--scope {text!r} cannot be read at {part!r}", hint=EXAMPLE)
        given[name] = identifier(value)
    if "term" not in given:
        raise errors.Usage(f"--scope {text!r} names no term", hint=EXAMPLE)
    return Scope(given["term"], given.get("course"))


def term_codes(session: Session) -> set[str]:
    """List the codes of all terms."""
    return set(session.scalars(select(Term.code)))


def find_courses(session: Session, scope: Scope) -> list[int]:
    """Find the ids of the courses of a scope, by id.

    Raises:
        errors.UnknownTerm: when there is no such term.
        errors.UnknownCourse: when it covers no course.
    """
    term_id = session.scalar(select(Term.id).where(Term.code == scope.term))
    if term_id is None:
        raise errors.UnknownTerm(f"there is no term {scope.term}")
    query = select(Course.id, Course.code, Course.section).where(Course.term_id == term_id)
    found = [
        course_id
        for course_id, code, section in session.execute(query.order_by(Course.id))
        if scope.covers(code, section)
    ]
    if not found:
        raise errors.UnknownCourse(
            f"there is no course in {scope}", hint=f"studentcli courses --term {scope.term}"
        )
    return found

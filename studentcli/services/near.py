"""Names that differ from what a file says in zeros, case or spaces only: told, never taken."""

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Text, func, select
from sqlalchemy.orm import Session

from studentcli.models import Course, Student, Term
from studentcli.requests import CourseWord
from studentcli.values import folded

SHOWN: Final = 3
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])", re.ASCII)


def find_near(
    session: Session, words: Iterable[str | CourseWord]
) -> dict[str | CourseWord, list[str]]:
    """Find what words that were not found may have been before a spreadsheet had them.

    Args:
        session: any.
        words: student numbers as text, courses as words; those that are told, some dozens.

    Returns:
        The near names of each word that has any: numbers, or courses as TERM/CODE-SECTION. Two
        queries in all, whatever the number of words.
    """
    words = set(words)
    numbers = [word for word in words if isinstance(word, str)]
    courses = [word for word in words if isinstance(word, CourseWord)]
    known: dict[str, list[str]] = {}
    if numbers:
        known = _student_numbers(session, numbers)
    near: dict[str | CourseWord, list[str]] = {
        number: [found for found in known.get(_bare(number), ()) if found != number][:SHOWN]
        for number in numbers
    }
    if courses:
        refs = _course_refs(session)
        for word in courses:
            section = f"-{word.section}" if word.section else ""
            text = word.text.rpartition("/")[2]
            near[word] = refs.get(_bare(f"{text}{section}"), [])[:SHOWN]
    return {word: names for word, names in near.items() if names}


def _bare(name: str) -> str:
    """Give a name without what gets lost on the way: zeros in front, case, spaces."""
    return _ZEROS.sub("", folded("".join(name.split())))


def _student_numbers(session: Session, numbers: list[str]) -> dict[str, list[str]]:
    """List student numbers by what is left of them, for those that can be near."""
    column = Student.student_number
    without_zeros = func.replace(column, "0", "", type_=Text())
    rough = func.lower(func.replace(without_zeros, " ", "", type_=Text()), type_=Text())
    wanted = {_bare(number).replace("0", "") for number in numbers}
    query = select(column).where(rough.in_(sorted(wanted))).order_by(func.length(column), column)
    found: dict[str, list[str]] = {}
    for number in session.scalars(query):
        found.setdefault(_bare(number), []).append(number)
    return found


def _course_refs(session: Session) -> dict[str, list[str]]:
    """List courses by what is left of their code, alone and with the section."""
    query = (
        select(Term.code, Course.code, Course.section)
        .join(Course.term)
        .order_by(Term.code.desc(), Course.code, Course.section)
    )
    found: dict[str, list[str]] = {}
    for term, code, section in session.execute(query):
        for name in (code, f"{code}-{section}"):
            found.setdefault(_bare(name), []).append(f"{term}/{code}-{section}")
    return found

"""Names near to what somebody wrote that is not there: told, never taken.

Those that differ in zeros in front of a number, in case or in spaces only come first.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Text, func, or_, select
from sqlalchemy.orm import Session

from studentcli.models import Course, Student, Term
from studentcli.requests import CourseWord, Refusal
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
            head, _, text = word.text.rpartition("/")
            found = refs.get(_bare(f"{text}{section}"), [])
            named = f"{word.term or head}/"
            near[word] = sorted(found, key=lambda ref: not ref.startswith(named))[:SHOWN]
    return {word: names for word, names in near.items() if names}


def _bare(name: str) -> str:
    """Give a name without what gets lost on the way: zeros in front of a number, case, spaces."""
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


def near_codes(session: Session, codes: Iterable[str]) -> dict[str, list[str]]:
    """Find the codes of courses that differ from others in zeros, case or spaces only."""
    wanted = {code: _bare(code) for code in codes}
    if not wanted:
        return {}
    known: dict[str, list[str]] = {}
    for code in session.scalars(select(Course.code).distinct().order_by(Course.code)):
        known.setdefault(_bare(code), []).append(code)
    return {code: known[bare][:SHOWN] for code, bare in wanted.items() if bare in known}


# ── one word that somebody typed ─────────────────────────────────────────────────────────


def nearest(word: str, names: Iterable[str]) -> list[str]:
    """Order names by likeness, the nearest first; those that are quite another are left out."""
    names = list(dict.fromkeys(names))
    same = _same(word, names)
    return [*same, *_alike(word, (name for name in names if name not in same))][:SHOWN]


def _same(word: str, names: Iterable[str]) -> list[str]:
    bare = _bare(word)
    return [name for name in names if _bare(name) == bare]


def _alike(word: str, names: Iterable[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(word, list(names), n=SHOWN, cutoff=0.7)


def suggest_student(session: Session, refusal: Refusal, number: str) -> Refusal:
    """Add near student numbers to a refusal; nothing is ever picked."""
    column = Student.student_number
    bare = "".join(number.split()).lstrip("0") or number
    escaped = bare.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = (
        select(column)
        .where(
            or_(
                func.lower(func.replace(column, "0", "")) == bare.lower().replace("0", ""),
                column.like(f"%{escaped[:3]}%", escape="\\"),
                column.like(f"%{escaped[-3:]}", escape="\\"),
            )
        )
        .limit(2000)
    )
    return _suggest(refusal, nearest(number, session.scalars(query)))


def suggest_course(
    session: Session, refusal: Refusal, word: CourseWord, term: str | Refusal | None = None
) -> Refusal:
    """Add near course names, those of the term first, and the same code in other terms.

    Args:
        session: any.
        refusal: returned as it is unless it says `unknown-course`.
        word: what was not found.
        term: the term in which it was looked for; with none, or a refusal of it, any is as good.
    """
    if refusal.code != "unknown-course":
        return refusal
    text = word.text.rpartition("/")[2]
    here: dict[str, list[str]] = {}
    elsewhere: dict[str, list[str]] = {}
    query = select(Term.code, Course.code, Course.section).join(Course.term)
    query = query.order_by(Term.code.desc(), Course.code, Course.section)
    for its_term, code, section in session.execute(query):
        names = here if its_term == term else elsewhere
        for name in (code, f"{code}-{section}"):
            names.setdefault(name, []).append(f"{its_term}/{code}-{section}")
    return _suggest(
        refusal,
        [
            *_refs(here, _same(text, here)),
            *_refs(elsewhere, _same(text, elsewhere)),
            *_refs(here, _alike(text, here)),
            *_refs(elsewhere, _alike(text, elsewhere)),
        ],
    )


def _refs(names: Mapping[str, list[str]], found: Iterable[str]) -> Iterable[str]:
    """Give a course for each name: of several sections, the first."""
    return (names[name][0] for name in found)


def _suggest(refusal: Refusal, names: Iterable[str]) -> Refusal:
    told = list(dict.fromkeys(names))[:SHOWN]
    if not told:
        return refusal
    return Refusal(refusal.code, refusal.message, f"did you mean {' or '.join(told)}?")

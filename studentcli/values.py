"""Reading single values from text: strict, never a default, never a guess.

Every function gives the value or raises `errors.BadValue` with a sentence that names what was
written and what is expected.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from studentcli import errors
from studentcli.letters import has_hidden, safe_text

MAX_IDENTIFIER: Final = 64
MAX_TEXT: Final = 1000

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_HOURS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,2})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_GRADE = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9+\-.]{1,8}", re.ASCII)
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[Ee]\+[0-9]+", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def normal(text: str) -> str:
    """Bring text into NFC without surrounding spaces, so that equal-looking text is equal."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Bring text into the form in which upper and lower case compare equal, in any script."""
    text = normal(text)
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())


def has_control(text: str) -> bool:
    """Tell whether text holds a control, format or surrogate character that no name needs."""
    if text.isascii():
        return not text.isprintable()
    return any(
        unicodedata.category(letter) in {"Cc", "Cs", "Co", "Cn"} or letter in "\u2028\u2029"
        for letter in text
    )


def identifier(text: str) -> str:
    """Read a student number, or the code of a course, term or section.

    Raises:
        errors.MalformedId: when it is empty, too long, holds characters that nobody sees, or is
            what a spreadsheet made of a long number.
    """
    value = normal(text)
    if not value:
        raise errors.MalformedId("a number or code is empty")
    if len(value) > MAX_IDENTIFIER:
        raise errors.MalformedId(f"{value[:20]!r}… is longer than {MAX_IDENTIFIER} characters")
    if has_control(value) or has_hidden(value):
        # Two numbers that look alike would be two students.
        raise errors.MalformedId(
            f"'{safe_text(value)}' holds a control or invisible character",
            hint="type it anew: such characters come along when text is copied",
        )
    if "+" in value and _SCIENTIFIC.fullmatch(value):
        # The digits behind those shown are lost: it could be any of many numbers.
        raise errors.MalformedId(
            f"{value} is a number that a spreadsheet has shortened",
            hint="format the column as text, and export it anew from where it came",
        )
    return value


def plain(text: str) -> str:
    """Read a name, title or reason."""
    value = normal(text)
    if len(value) > MAX_TEXT:
        raise errors.BadValue(f"{value[:20]!r}… is longer than {MAX_TEXT} characters")
    if has_control(value):
        raise errors.BadValue(f"{value!r} holds a control character")
    return value


def reason(text: str) -> str:
    """Read a reason: it says something.

    Raises:
        errors.BadValue: when it is empty, as a script's unset variable makes it.
    """
    value = plain(text)
    if not value:
        raise errors.BadValue("the reason is empty", hint="say why: --reason TEXT")
    return value


def email(text: str) -> str:
    """Read an e-mail address."""
    value = plain(text)
    if not _EMAIL.fullmatch(value):
        raise errors.BadValue(f"{value!r} is no e-mail address")
    return value


def integer(text: str) -> int:
    """Read a number of seats: 0 to 999999999, ASCII digits only."""
    if not _INTEGER.fullmatch(text.strip()):
        raise errors.BadValue(f"{text.strip()!r} is no number (expected digits, such as 30)")
    return int(text)


def hours(text: str) -> Decimal:
    """Read credit hours: digits, with up to two decimals after a point."""
    if not _HOURS.fullmatch(text.strip()):
        raise errors.BadValue(f"{text.strip()!r} is no credit value (expected 3 or 1.5)")
    return Decimal(text.strip()).quantize(Decimal("0.01"))


@lru_cache(maxsize=4096)
def iso_date(text: str) -> date:
    """Read a date, YYYY-MM-DD."""
    value = text.strip()
    if _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise errors.BadValue(f"{value!r} is no date (expected YYYY-MM-DD)")


def grade(text: str) -> str:
    """Read a grade: up to eight letters, digits, plus, minus, point; not of signs alone.

    A lone `-` clears a value wherever one can be cleared: it cannot be a grade as well.
    """
    value = text.strip()
    if not _GRADE.fullmatch(value):
        raise errors.UnknownGrade(f"{value!r} is no grade (expected such as B+ or 1.7)")
    return value


def time_zone(text: str) -> str:
    """Read an IANA time zone such as Europe/Berlin."""
    value = text.strip()
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise errors.BadValue(f"{value!r} is no IANA time zone (such as Europe/Berlin)") from None
    return value


@dataclass(frozen=True)
class OneOf:
    """Reads one of a few words."""

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Read the word."""
        value = text.strip()
        if value not in self.choices:
            raise errors.BadValue(f"{value!r} is none of {', '.join(self.choices)}")
        return value


def one_of(*choices: str) -> OneOf:
    """Make a reader of one of a few words."""
    return OneOf(choices)

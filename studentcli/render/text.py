"""Values as text, and text made safe for a terminal."""

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from studentcli.letters import safe_text

__all__ = ["Seats", "display_width", "is_terminal", "jsonable", "plain", "safe_text"]


@dataclass(frozen=True)
class Seats:
    """Seats taken of a capacity; none = unlimited."""

    taken: int
    capacity: int | None

    def __str__(self) -> str:
        """Write 23/30, or 23 when there is no limit."""
        return f"{self.taken}" if self.capacity is None else f"{self.taken}/{self.capacity}"


def is_terminal(stream: IO[str]) -> bool:
    """Tell whether somebody looks at a stream."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def counted(number: int, noun: str) -> str:
    """Write a number of things: `1 course`, `2 courses`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def plain(value: Any) -> str:
    """Write a value as data: ISO dates, plain decimals, nothing for none."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return str(_number(value))
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def jsonable(value: Any) -> Any:
    """Give a value as JSON has it."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, date | Seats):
        return plain(value)
    return value


def display_width(text: str) -> int:
    """Count the terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )

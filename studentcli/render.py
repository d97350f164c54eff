"""What the terminal and the pipe get to see. rich is loaded only for a terminal.

stdout is data, stderr is everything else. Text from the database is data: `safe_text` makes its
control characters visible before a terminal sees them, and markup is never interpreted in it.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any, Final, Literal

from studentcli import errors
from studentcli.requests import Decision, Outcome, Promotion, Refusal

Kind = Literal["text", "number", "status", "seats", "date", "hours"]
JOINERS: Final = "\u200c\u200d"
STATUS_STYLE: Final = {
    "enrolled": "green",
    "completed": "blue",
    "waitlisted": "yellow",
    "dropped": "dim",
    "withdrawn": "magenta",
    "open": "green",
    "closed": "yellow",
    "cancelled": "red",
    "active": "green",
    "inactive": "dim",
    "refused": "red",
    "aborted": "red",
    "done": "green",
}


@dataclass(frozen=True)
class Column:
    """One column: its name in data, its heading for people, and what it holds."""

    name: str
    heading: str
    kind: Kind = "text"


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


def safe_text(text: str) -> str:
    """Make control, bidi and zero-width characters visible; joiners between letters stay."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for index, letter in enumerate(text):
        category = unicodedata.category(letter)
        is_control = category in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        if letter in JOINERS and 0 < index < len(text) - 1:
            is_control = not (text[index - 1].isalpha() or unicodedata.combining(text[index - 1]))
        shown.append(f"\\u{ord(letter):04x}" if is_control else letter)
    return "".join(shown)


# ── data ─────────────────────────────────────────────────────────────────────────────────


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


def _tsv_cell(value: Any) -> str:
    text = plain(value)
    if text.isprintable() and "\\" not in text:
        return text
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return "".join(escapes.get(letter, letter) for letter in text)


def listing(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[Column],
    fmt: str,
    *,
    title: str | None = None,
    footer: str | None = None,
    stream: IO[str] | None = None,
) -> None:
    """Print rows in a format.

    Args:
        rows: by column name; more keys than columns are passed over.
        columns: in order.
        fmt: `table`, `tsv`, `csv`, `json`, `jsonl`.
        title: above a table only.
        footer: below a table only, such as a total.
        stream: standard output unless given.
    """
    out = stream or sys.stdout
    if fmt == "table":
        _table(list(rows), columns, title, footer, out)
    elif fmt in {"json", "jsonl"}:
        _json(rows, columns, fmt, out)
    elif fmt == "csv":
        import csv

        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        writer.writerows([plain(row.get(column.name)) for column in columns] for row in rows)
    else:
        out.write("\t".join(column.name for column in columns) + "\n")
        for row in rows:
            out.write("\t".join(_tsv_cell(row.get(column.name)) for column in columns) + "\n")


def _json(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], fmt: str, out: IO[str]
) -> None:
    objects = ({c.name: jsonable(row.get(c.name)) for c in columns} for row in rows)
    lines = (json.dumps(item, ensure_ascii=False) for item in objects)
    if fmt == "jsonl":
        out.writelines(f"{line}\n" for line in lines)
        return
    out.write("[")
    separator = "\n"
    for line in lines:
        out.write(f"{separator}  {line}")
        separator = ",\n"
    out.write("\n]\n")


# ── tables ───────────────────────────────────────────────────────────────────────────────


def _table(
    rows: list[Mapping[str, Any]],
    columns: Sequence[Column],
    title: str | None,
    footer: str | None,
    out: IO[str],
) -> None:
    if is_terminal(out):
        _rich_table(rows, columns, title, footer, out)
        return
    # Off a terminal a table is as wide as it needs: a cut cell would be lost data.
    cells = [[column.heading for column in columns]]
    cells += [[safe_text(plain(row.get(column.name))) for column in columns] for row in rows]
    widths = [max(display_width(line[at]) for line in cells) for at in range(len(columns))]
    if title:
        out.write(f"{safe_text(title)}\n")
    for line in cells:
        padded = [
            _pad(text, width, right=column.kind in {"number", "hours"})
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        out.write("  ".join(padded).rstrip() + "\n")
    if footer:
        out.write(f"{safe_text(footer)}\n")


def _pad(text: str, width: int, *, right: bool) -> str:
    gap = " " * (width - display_width(text))
    return gap + text if right else text + gap


def display_width(text: str) -> int:
    """Count the terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _rich_table(
    rows: list[Mapping[str, Any]],
    columns: Sequence[Column],
    title: str | None,
    footer: str | None,
    out: IO[str],
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    table = Table(box=box.SIMPLE_HEAD, title=None, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="right" if column.kind in {"number", "hours"} else "left",
            no_wrap=column.kind in {"number", "hours", "date", "status", "seats"},
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_rich_cell(row.get(c.name), c.kind, console.width) for c in columns))
    if title:
        console.print(Text(safe_text(title), style="bold"))
    if rows:
        console.print(table)
    if footer:
        console.print(Text(safe_text(footer), style="dim"))


def _rich_cell(value: Any, kind: Kind, width: int) -> Any:
    from rich.text import Text

    if isinstance(value, Seats):
        return _seats(value, with_bar=width >= 70)
    text = safe_text(plain(value))
    if kind == "status":
        return Text(text, style=STATUS_STYLE.get(text.partition(" ")[0], ""))
    return Text(text)


def _seats(seats: Seats, *, with_bar: bool) -> Any:
    from rich.text import Text

    if seats.capacity is None:
        return Text(f"{seats.taken} (no limit)")
    full = seats.taken >= seats.capacity
    style = "red" if full else "yellow" if seats.taken >= 0.9 * seats.capacity else "green"
    shown = Text(f"{seats!s:>7}")
    if with_bar:
        share = 1.0 if not seats.capacity else min(1.0, seats.taken / seats.capacity)
        filled = round(share * 8)
        shown.append(" ")
        shown.append("█" * filled, style=style)
        shown.append("░" * (8 - filled), style="dim")
    return shown


def record(row: Mapping[str, Any], columns: Sequence[Column], fmt: str) -> None:
    """Print one record: as a list of its fields on a terminal, as one row elsewhere."""
    if fmt != "table":
        listing([row], columns, fmt)
        return
    width = max(len(column.heading) for column in columns)
    for column in columns:
        text = safe_text(plain(row.get(column.name))) or "–"
        sys.stdout.write(f"{column.heading:<{width}}  {text}\n")


# ── decisions ────────────────────────────────────────────────────────────────────────────

DECISION_COLUMNS: Final = (
    Column("student", "Student"),
    Column("course", "Course"),
    Column("action", "Action"),
    Column("result", "Result", "status"),
    Column("status", "Status", "status"),
    Column("position", "Place", "number"),
    Column("code", "Code"),
    Column("message", "Message"),
)
MARKS: Final = {"unchanged": "=", "superseded": "=", "waitlisted": "…", "refused": "✗"}


def sentence(outcome: Outcome, *, forecast: bool) -> str:
    """Say in words what came, or would come, of a change."""
    if outcome.refusals:
        return outcome.refusals[0].message
    student, course, grade = outcome.student, outcome.course, outcome.grade
    with_grade = f" with {grade}" if grade else ""
    be = "would be" if forecast else "is"
    words = {
        "unchanged": f"{student} is already {outcome.status} in {course}{with_grade}",
        "superseded": f"{outcome.note}: left as it is",
        "waitlisted": f"{student} {be} waitlisted in {course}, place {outcome.position}",
        "completed": f"{student} {'would complete' if forecast else 'has completed'} {course}"
        f"{with_grade}",
        "enrolled": f"{student} {be} enrolled in {course}",
        "dropped": f"{student} {be} dropped from {course}",
        "withdrawn": f"{student} {be} withdrawn from {course}",
    }
    return words[outcome.result]


def outcome_row(outcome: Outcome, *, forecast: bool) -> dict[str, Any]:
    """Give an outcome as a row of DECISION_COLUMNS."""
    return {
        "student": outcome.student,
        "course": outcome.course,
        "action": outcome.change.action,
        "result": outcome.result,
        "status": outcome.status,
        "position": outcome.position,
        "code": outcome.refusals[0].code if outcome.refusals else None,
        "message": sentence(outcome, forecast=forecast),
    }


def promotion_row(promotion: Promotion, *, forecast: bool) -> dict[str, Any]:
    """Give a promotion as a row of DECISION_COLUMNS."""
    return {
        "student": promotion.student,
        "course": promotion.course,
        "action": "promote",
        "result": "enrolled",
        "status": "enrolled",
        "message": promotion_sentence(promotion, forecast=forecast),
    }


def promotion_sentence(promotion: Promotion, *, forecast: bool) -> str:
    """Say in words whom the waitlist gave a seat."""
    verb = "would move" if forecast else "moved"
    return f"{promotion.student} {verb} up from the waitlist into {promotion.course}"


def decisions(
    made: Sequence[Decision], fmt: str, *, forecast: bool = False, quiet: bool = False
) -> None:
    """Print decisions: sentences for people, rows for programs; refusals also as errors."""
    if not quiet:
        rows = [outcome_row(outcome, forecast=forecast) for d in made for outcome in d.outcomes] + [
            promotion_row(p, forecast=forecast) for d in made for p in d.promotions
        ]
        if fmt != "table":
            listing(rows, DECISION_COLUMNS, fmt)
        else:
            _sentences([row for row in rows if row["result"] != "refused"], forecast=forecast)
    for decision in made:
        for outcome in decision.refused:
            for refusal in outcome.refusals:
                refused(refusal, fmt)


def _sentences(rows: list[dict[str, Any]], *, forecast: bool) -> None:
    for row in rows:
        mark = "↑" if row["action"] == "promote" else MARKS.get(row["result"], "✓")
        sys.stdout.write(f"{mark} {safe_text(row['message'])}\n")
    if forecast:
        note("forecast only: nothing was changed")


# ── stderr ───────────────────────────────────────────────────────────────────────────────


def note(text: str) -> None:
    """Say something that is not data."""
    sys.stderr.write(f"{safe_text(text)}\n")


def refused(refusal: Refusal, fmt: str) -> None:
    """Print a refusal in the one error form."""
    error(refusal.error(), fmt)


def error(problem: errors.StudentcliError, fmt: str | None) -> None:
    """Print an error on stderr: what is wrong, its code, and what to do next."""
    if fmt in {"json", "jsonl"}:
        content = {
            "error": {"code": problem.code, "message": problem.message, "hint": problem.hint}
        }
        sys.stderr.write(json.dumps(content, ensure_ascii=False) + "\n")
        return
    sys.stderr.write(f"error: {safe_text(problem.message)} [{problem.code}]\n")
    if problem.hint:
        sys.stderr.write(f"hint: {safe_text(problem.hint)}\n")

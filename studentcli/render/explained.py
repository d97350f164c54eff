"""Explanations for people: a heading per course, then what stands against it, then the rest."""

import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final, NamedTuple

from studentcli.render.decisions import MARKS, sentence
from studentcli.render.text import is_terminal, safe_text
from studentcli.requests import Outcome

Row = Mapping[str, Any]
TOLD: Final = (
    ("failed", MARKS["refused"]),
    ("blocks-promotion", MARKS["refused"]),
    ("overridden", "✓"),
    ("not-asked", MARKS["waitlisted"]),
)
"""The results that are told one by one, those that people look for first, and their marks."""


SAID: Final = {
    "failed": "",
    "blocks-promotion": " (blocks the promotion)",
    "overridden": " (overridden)",
}
STYLES: Final = {"failed": "red", "blocks-promotion": "red", "overridden": "green"}


class Line(NamedTuple):
    """One line: how deep it stands, its text, how it looks, and whether it may be broken.

    A command is not broken, so that it can be copied: a terminal goes on in its next row by itself.
    """

    indent: int
    text: str
    style: str = ""
    is_whole: bool = False


def explanations(explained: Sequence[tuple[Outcome, Sequence[Row]]]) -> None:
    """Print explanations for people.

    Args:
        explained: what would come of each course, and a row per rule: `rule`, `result`,
            `message`, `hint`, `override`.
    """
    lines: list[Line] = []
    for outcome, rows in explained:
        lines += [Line(0, "")] if lines else []
        lines += _lines(outcome, rows)
    write_lines(lines, sys.stdout)


def _lines(outcome: Outcome, rows: Sequence[Row]) -> list[Line]:
    lines = [_heading(outcome)]
    for result, mark in TOLD:
        for row in rows:
            if row["result"] == result and row["message"]:
                lines += _told(row, mark, outcome)
    for result, heading in (("passed", "✓ passed"), ("not-asked", "– not asked")):
        codes = [row["rule"] for row in rows if row["result"] == result and not row["message"]]
        if codes:
            lines.append(Line(2, f"{heading}: {', '.join(codes)}", "dim"))
    return lines


def _heading(outcome: Outcome) -> Line:
    if outcome.is_refused:
        text = f"{outcome.student} would be refused in {outcome.course}"
    else:
        text = sentence(outcome, forecast=True)
    return Line(0, f"{MARKS.get(outcome.result, '✓')} {text}", "bold")


def _told(row: Row, mark: str, outcome: Outcome) -> list[Line]:
    said = SAID.get(row["result"])
    if said is None:
        said = " (counts for a seat)" if outcome.status == "waitlisted" else " (not asked now)"
    style = STYLES.get(row["result"], "yellow")
    lines = [Line(2, f"{mark} {row['rule']}{said}: {row['message']}", style)]
    if row["result"] == "overridden":
        return lines
    lines += [
        Line(6, f"{name}: {row[name]}", is_whole=True) for name in ("hint", "override") if row[name]
    ]
    return lines


def write_lines(lines: Sequence[Line], out: IO[str]) -> None:
    """Write lines: broken to the width of a terminal, elsewhere as they are."""
    if is_terminal(out):
        from studentcli.render.tables import draw_lines

        draw_lines(lines, out)
        return
    out.writelines(f"{' ' * line.indent}{safe_text(line.text)}\n" for line in lines)

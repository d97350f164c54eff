"""The week of a student as a grid: days side by side, times below each other."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Any, Final

from studentcli.meetings import DAYS
from studentcli.render.decisions import MARKS
from studentcli.render.listings import pad
from studentcli.render.text import display_width, is_terminal, plain, safe_text

WORKDAYS: Final = DAYS[:5]
"""Always shown: a free day is worth seeing. Saturday and Sunday only when something meets then."""
GAP: Final = "  "

Slot = tuple[str, str]


@dataclass(frozen=True)
class Meets:
    """One course in one cell; all its texts are safe for a terminal.

    Args:
        section: code and section, without the term that the whole week is of.
        status: enrolled or waitlisted.
        details: room, dates, place in the queue: as far as there is something to say.
    """

    section: str
    status: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A week laid out.

    Args:
        days: the days shown, in order.
        slots: the times at which something starts and ends, in order.
        cells: what meets on a day in a slot; a cell that is not there is empty.
    """

    days: tuple[str, ...]
    slots: tuple[Slot, ...]
    cells: Mapping[tuple[str, Slot], Sequence[Meets]]

    def cell(self, day: str, starts: str, ends: str) -> Sequence[Meets]:
        """List what meets on a day from `starts` to `ends`."""
        return self.cells.get((day, (starts, ends)), ())

    @property
    def least_width(self) -> int:
        """The width of a day below which its name or a course would have to be broken."""
        sections = [meets.section for cell in self.cells.values() for meets in cell]
        return max(map(display_width, (*self.days, *sections)))


def layout(rows: Sequence[Mapping[str, Any]]) -> Grid:
    """Lay out the rows of a week.

    Args:
        rows: `day`, `starts`, `ends`, `section`, `room`, `first`, `last`, `is_dated`, `status`,
            `position`; in the order in which courses of one cell are to stand.
    """
    cells: dict[tuple[str, Slot], list[Meets]] = {}
    for row in rows:
        slot = (row["starts"], row["ends"])
        cells.setdefault((row["day"], slot), []).append(_meets(row))
    met = {day for day, _ in cells}
    days = tuple(day for day in DAYS if day in WORKDAYS or day in met)
    return Grid(days, tuple(sorted({slot for _, slot in cells})), cells)


def _meets(row: Mapping[str, Any]) -> Meets:
    details = [
        plain(row["room"]),
        _dates(row["first"], row["last"]) if row["is_dated"] else "",
        f"{MARKS['waitlisted']} place {row['position']}" if row["status"] == "waitlisted" else "",
    ]
    return Meets(
        safe_text(row["section"]),
        row["status"],
        tuple(safe_text(detail) for detail in details if detail),
    )


def _dates(first: date, last: date) -> str:
    """Say the days without their year: that is the term's, and a column is narrow."""
    return f"on {first:%m-%d}" if first == last else f"{first:%m-%d} to {last:%m-%d}"


def notes(
    rows: Sequence[Mapping[str, Any]],
    without: Sequence[Mapping[str, Any]],
    elsewhere: Sequence[str],
) -> list[str]:
    """Say what the grid cannot show, so that nobody takes it for lost.

    Args:
        rows: as for `layout`.
        without: courses without meetings: `section`, `title`, `status`.
        elsewhere: codes of other terms with courses.
    """
    said = []
    if any(row["status"] == "waitlisted" for row in rows):
        said.append(f"{MARKS['waitlisted']} place: on the waitlist, not enrolled")
    if without:
        said.append(f"without meetings: {', '.join(map(_unscheduled, without))}")
    if not rows and not without:
        said.append("no courses")
    if elsewhere:
        said.append(f"not shown: courses in {', '.join(elsewhere)} (--term)")
    return said


def _unscheduled(course: Mapping[str, Any]) -> str:
    waits = " (waitlisted)" if course["status"] == "waitlisted" else ""
    return f"{course['section']} {course['title']}{waits}"


def week(grid: Grid, title: str, said: Sequence[str], stream: IO[str] | None = None) -> None:
    """Print a week for people: drawn at a terminal, elsewhere as wide as it needs.

    Args:
        grid: from `layout`.
        title: above it.
        said: below it, a line each.
        stream: standard output unless given.
    """
    out = stream or sys.stdout
    if is_terminal(out):
        from studentcli.render.tables import draw_week

        draw_week(grid, title, said, out)
        return
    out.write(f"{safe_text(title)}\n")
    if grid.slots:
        _write_plain(grid, out)
    out.writelines(f"{safe_text(line)}\n" for line in said)


def _write_plain(grid: Grid, out: IO[str]) -> None:
    lines = [["Time", *grid.days]]
    for starts, ends in grid.slots:
        columns = [[f"{starts}-{ends}"]]
        columns += [_cell_lines(grid.cell(day, starts, ends)) for day in grid.days]
        height = max(map(len, columns))
        lines += [[column[at] if at < len(column) else "" for column in columns]
                  for at in range(height)]  # fmt: skip
    widths = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [pad(text, width) for text, width in zip(line, widths, strict=True)]
        out.write(f"{GAP.join(cells).rstrip()}\n")


def _cell_lines(cell: Sequence[Meets]) -> list[str]:
    return [line for meets in cell for line in (meets.section, *meets.details)]

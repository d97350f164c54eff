"""Tables on a terminal, drawn by rich: the only module that loads it for data."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from studentcli.render.listings import Column, Kind
from studentcli.render.text import Seats, plain, safe_text
from studentcli.render.week import Grid, Meets

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


UNBROKEN: Final = frozenset({"key", "number", "hours", "date", "time", "status", "seats"})
BAR: Final = 8
GAP: Final = 3
"""Columns between two columns."""
BROKEN_TO: Final = 10
"""How narrow a column that may be broken can become before a table is no longer readable."""


def draw(
    rows: list[Mapping[str, Any]],
    columns: Sequence[Column],
    title: str | None,
    footer: str | None,
    out: IO[str],
) -> None:
    """Draw a table; on a terminal too narrow for it, one block a row. Nothing is ever cut."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if title:
        console.print(Text(safe_text(title), style="bold"))
    if _least_width(rows, columns) <= console.width:
        _draw_table(console, rows, columns)
    else:
        for row in rows:
            for column in columns:
                console.print(Text(f"{column.heading}: "), _cell(row.get(column.name), column.kind))
            console.print()
    if footer:
        console.print(Text(safe_text(footer), style="dim"))


def _least_width(rows: list[Mapping[str, Any]], columns: Sequence[Column]) -> int:
    """Compute the width below which a key, a date or a number would have to be broken."""
    total = GAP * (len(columns) - 1)
    for column in columns:
        cells = [len(column.heading)]
        cells += [_cell(row.get(column.name), column.kind).cell_len for row in rows]
        widest = max(cells)
        total += widest if column.kind in UNBROKEN else min(widest, BROKEN_TO)
    return total


def _draw_table(console: Console, rows: list[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="right" if column.kind in {"number", "hours"} else "left",
            no_wrap=column.kind in UNBROKEN,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(row.get(c.name), c.kind) for c in columns))
    if rows:
        console.print(table)


def _cell(value: Any, kind: Kind) -> Text:
    if isinstance(value, Seats):
        return _seats(value)
    if isinstance(value, datetime):
        return Text(value.strftime("%Y-%m-%d %H:%M"))
    text = safe_text(plain(value))
    style = STATUS_STYLE.get(text.partition(",")[0], "") if kind == "status" else ""
    return Text(text, style=style)


def _seats(seats: Seats) -> Text:
    if seats.capacity is None:
        return Text(f"{seats.taken} (no limit)")
    full = seats.taken >= seats.capacity
    style = "red" if full else "yellow" if seats.taken >= 0.9 * seats.capacity else "green"
    shown = Text(f"{seats!s:>7}")
    share = 1.0 if not seats.capacity else min(1.0, seats.taken / seats.capacity)
    filled = round(share * BAR)
    shown.append(" ")
    shown.append("█" * filled, style=style)
    shown.append("░" * (BAR - filled), style="dim")
    return shown


def draw_lines(lines: Sequence[tuple[int, str, str, bool]], out: IO[str]) -> None:
    """Draw lines (indent, text, style, is it whole), broken at words unless they are whole.

    What follows a break stands two columns deeper.
    """
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    for indent, text, style, is_whole in lines:
        shown = Text(safe_text(text), style=style)
        width = max(BROKEN_TO, console.width - indent - 2)
        parts = [shown] if is_whole else shown.wrap(console, width, overflow="fold")
        for at, part in enumerate(parts):
            part.rstrip()
            console.print(Text(" " * (indent + 2 * bool(at))) + part, soft_wrap=True)


# ── the week ─────────────────────────────────────────────────────────────────────────────

TIME: Final = len("10:00-")
"""The column of times: start above end."""
DAY_MOST: Final = 24
"""How wide a day can become before the eye loses the line."""


def draw_week(grid: Grid, title: str, notes: Sequence[str], out: IO[str]) -> None:
    """Draw a week, days side by side; where a course would have to be broken, day by day."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    console.print(Text(safe_text(title), style="bold"))
    width = (console.width - TIME) // len(grid.days) - 1
    if grid.slots and width >= grid.least_width:
        console.print(_grid_table(grid, min(width, DAY_MOST)))
    else:
        for day in grid.days if grid.slots else ():
            _draw_day(console, day, grid)
    for note in notes:
        console.print(Text(safe_text(note), style="dim"))


def _grid_table(grid: Grid, width: int) -> Table:
    space = int(width > grid.least_width)
    table = Table(
        box=box.MINIMAL, show_edge=False, pad_edge=False, show_lines=True, padding=(0, 0, 0, space)
    )
    table.add_column("", width=TIME)
    for day in grid.days:
        table.add_column(Text(day), width=width - space, overflow="fold")
    for starts, ends in grid.slots:
        cells = [grid.cell(day, starts, ends) for day in grid.days]
        table.add_row(Text(f"{starts}-\n{ends}", style="dim"), *map(_week_cell, cells))
    return table


def _week_cell(cell: Sequence[Meets]) -> Text:
    return Text("\n\n").join(
        Text("\n").join([_section(meets), *map(Text, meets.details)]) for meets in cell
    )


def _section(meets: Meets) -> Text:
    return Text(meets.section, style=STATUS_STYLE.get(meets.status, ""))


def _draw_day(console: Console, day: str, grid: Grid) -> None:
    slots = [(slot, meets) for slot in grid.slots for meets in grid.cell(day, *slot)]
    if not slots:
        return
    console.print(Text(day, style="bold"))
    for (starts, ends), meets in slots:
        details = Text("".join(f", {detail}" for detail in meets.details))
        console.print(Text(f"{starts}-{ends} "), _section(meets), details, sep="", overflow="fold")

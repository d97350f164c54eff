"""Rows in a format: a table for people, TSV, CSV, JSON or JSON Lines for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from studentcli.render.text import display_width, is_terminal, jsonable, plain, safe_text

Kind = Literal["text", "key", "number", "status", "seats", "date", "time", "hours"]


@dataclass(frozen=True)
class Column:
    """One column: its name in data, its heading for people, and what it holds.

    A `key` is what people type again, such as a course or a student number: it is never broken.
    """

    name: str
    heading: str
    kind: Kind = "text"


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
        write_row = csv_writer(out)
        write_row([column.name for column in columns])
        cell = _shown if is_terminal(out) else plain
        for row in rows:
            write_row([cell(row.get(column.name)) for column in columns])
    else:
        shown = safe_text if is_terminal(out) else str
        out.write("\t".join(column.name for column in columns) + "\n")
        for row in rows:
            line = "\t".join(shown(_tsv_cell(row.get(column.name))) for column in columns)
            out.write(f"{line}\n")


def csv_writer(out: IO[str]) -> Callable[[Sequence[str]], object]:
    """Give a function that writes one CSV row, ended by a line feed.

    Python's writer leaves a lone carriage return unquoted, and readers take it for a line end:
    such a row gets all its cells quoted.
    """
    import csv

    plainly = csv.writer(out, lineterminator="\n").writerow
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
    return lambda cells: (quoted if any("\r" in cell for cell in cells) else plainly)(cells)


def _shown(value: Any) -> str:
    return safe_text(plain(value))


def _json(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], fmt: str, out: IO[str]
) -> None:
    objects = ({c.name: jsonable(row.get(c.name)) for c in columns} for row in rows)
    # A terminal must not run what a name holds; a program wants the name as it is.
    lines = (json.dumps(item, ensure_ascii=is_terminal(out)) for item in objects)
    if fmt == "jsonl":
        out.writelines(f"{line}\n" for line in lines)
        return
    out.write("[")
    separator = "\n"
    for line in lines:
        out.write(f"{separator}  {line}")
        separator = ",\n"
    out.write("\n]\n")


def _table(
    rows: list[Mapping[str, Any]],
    columns: Sequence[Column],
    title: str | None,
    footer: str | None,
    out: IO[str],
) -> None:
    if is_terminal(out):
        from studentcli.render.tables import draw

        draw(rows, columns, title, footer, out)
        return
    # Off a terminal a table is as wide as it needs: a cut cell would be lost data.
    cells = [[column.heading for column in columns]]
    cells += [[safe_text(plain(row.get(column.name))) for column in columns] for row in rows]
    widths = [max(display_width(line[at]) for line in cells) for at in range(len(columns))]
    if title:
        out.write(f"{safe_text(title)}\n")
    for line in cells:
        padded = [
            pad(text, width, right=column.kind in {"number", "hours"})
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        out.write("  ".join(padded).rstrip() + "\n")
    if footer:
        out.write(f"{safe_text(footer)}\n")


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill text with spaces up to a number of terminal columns; `right` puts them in front."""
    gap = " " * (width - display_width(text))
    return gap + text if right else text + gap


def record(row: Mapping[str, Any], columns: Sequence[Column], fmt: str) -> None:
    """Print one record: as a list of its fields on a terminal, as one row elsewhere."""
    if fmt != "table":
        listing([row], columns, fmt)
        return
    width = max(len(column.heading) for column in columns)
    for column in columns:
        text = safe_text(plain(row.get(column.name))) or "–"
        sys.stdout.write(f"{column.heading:<{width}}  {text}\n")

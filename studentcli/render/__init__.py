"""What the terminal and the pipe get to see. rich is loaded only for a terminal.

stdout is data, stderr is everything else. Text from the database is data: `safe_text` makes its
control characters visible before a terminal sees them, and markup is never interpreted in it.
"""

from studentcli.render.decisions import (
    DECISION_COLUMNS,
    decisions,
    offers,
    outcome_row,
    promotion_row,
    promotion_sentence,
)
from studentcli.render.explained import explanations
from studentcli.render.listings import Column, csv_writer, listing, record
from studentcli.render.messages import error, note, refused
from studentcli.render.records import (
    crowding_sentence,
    keeping_sentences,
    record_sentence,
    renumbering_sentence,
)
from studentcli.render.text import (
    Seats,
    counted,
    display_width,
    is_terminal,
    jsonable,
    plain,
    safe_text,
)

__all__ = [
    "DECISION_COLUMNS",
    "Column",
    "Seats",
    "counted",
    "crowding_sentence",
    "csv_writer",
    "decisions",
    "display_width",
    "error",
    "explanations",
    "is_terminal",
    "jsonable",
    "keeping_sentences",
    "listing",
    "note",
    "offers",
    "outcome_row",
    "plain",
    "promotion_row",
    "promotion_sentence",
    "record",
    "record_sentence",
    "refused",
    "renumbering_sentence",
    "safe_text",
]

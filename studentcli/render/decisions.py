"""Decisions in words for people, and as rows for programs."""

import sys
from collections.abc import Sequence
from typing import Any, Final

from studentcli.render.listings import Column, listing
from studentcli.render.messages import note, refused
from studentcli.render.text import safe_text
from studentcli.requests import Decision, Outcome, Promotion

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
    place = f", place {outcome.position}" if outcome.position else ""
    swap = f" instead of {outcome.instead_of}" if outcome.instead_of else ""
    if swap and outcome.result == "waitlisted":
        swap = f"; {outcome.instead_of} is kept until there is a seat"
    words = {
        "unchanged": f"{student} is already {outcome.status} in {course}{with_grade}{place}",
        "superseded": f"{outcome.note}: left as it is",
        "waitlisted": f"{student} {be} waitlisted in {course}{place}{swap}",
        "completed": f"{student} {'would complete' if forecast else 'has completed'} {course}"
        f"{with_grade}",
        "enrolled": f"{student} {be} enrolled in {course}{swap}",
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
    swap = f" instead of {promotion.instead_of}" if promotion.instead_of else ""
    return f"{promotion.student} {verb} up from the waitlist into {promotion.course}{swap}"


def offers(rows: Sequence[dict[str, Any]], *, forecast: bool) -> None:
    """Print what came of offering free seats: who moved up, and who was passed over.

    Args:
        rows: `course`, `student`, `result` (promoted or passed-over), `message`.
        forecast: say that nothing was changed.
    """
    for row in rows:
        if row["result"] == "promoted":
            line = f"↑ {row['message']}"
        else:
            be = "would be" if forecast else "is"
            line = f"= {row['student']} {be} passed over: {row['message']}"
        sys.stdout.write(f"{safe_text(line)}\n")


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
        for outcome in decision.outcomes:
            if outcome.warning and not quiet:
                note(f"warning: {outcome.warning}")
        for outcome in decision.refused:
            for refusal in outcome.refusals:
                refused(refusal, fmt)


def _sentences(rows: list[dict[str, Any]], *, forecast: bool) -> None:
    for row in rows:
        mark = "↑" if row["action"] == "promote" else MARKS.get(row["result"], "✓")
        sys.stdout.write(f"{mark} {safe_text(row['message'])}\n")
    if forecast:
        note("forecast only: nothing was changed")

"""Every student of a list in every course of a list: one operation, a request per student."""

import sys
from typing import TYPE_CHECKING, Final

from studentcli import errors
from studentcli.cli.context import SHOWN, Cli, state, status_of
from studentcli.render import (
    DECISION_COLUMNS,
    counted,
    listing,
    note,
    outcome_row,
    promotion_row,
    safe_text,
)

if TYPE_CHECKING:
    from studentcli.requests import Decision, Policy, Request
    from studentcli.services.operations import Act


EXAMPLES: Final = {"student": "S1042,S1043", "course": "CS101,MATH200"}


def read_list(word: str | None, text: str | None, column: str) -> list[str]:
    """Read who or what is meant: the argument, or the option in its stead.

    Args:
        word: the argument.
        text: the option's list.
        column: `student` or `course`.

    Raises:
        errors.Usage: when both or none are given; and as `read_words`.
    """
    from studentcli import values
    from studentcli.formats.words import read_words

    if (word is None) == (text is None):
        given = "is missing" if word is None else "is named twice"
        raise errors.Usage(
            f"{column.upper()} {given}",
            hint="write it behind the command, or list many with"
            f" --{column}s: {EXAMPLES[column]} or @FILE",
        )
    return read_words(text, column) if text is not None else [values.identifier(str(word))]


def carry_out(cli: Cli, requests: "list[Request]", act: "Act", policy: "Policy") -> None:
    """Carry the requests of a cohort out, and tell a row per outcome and a summary."""
    from studentcli import services

    made = services.carry_out_all(
        cli.database, requests, act, policy=policy, term=cli.term, dry_run=cli.dry_run
    )
    state.recorded = not cli.dry_run
    outcomes = [outcome for decision in made for outcome in decision.outcomes]
    if not cli.quiet:
        rows = [outcome_row(outcome, forecast=cli.dry_run) for outcome in outcomes]
        rows += [promotion_row(p, forecast=cli.dry_run) for d in made for p in d.promotions]
        listing(rows, DECISION_COLUMNS, cli.fmt)
    _tell_refused(made)
    if any(outcome.is_refused for outcome in outcomes):
        cli.exit_status = status_of(outcomes)
    if not cli.quiet or cli.exit_status:
        note(_summary(cli, made))


def _tell_refused(made: "list[Decision]") -> None:
    refused = [(outcome, outcome.refusals[0]) for d in made for outcome in d.refused]
    for outcome, refusal in refused[:SHOWN]:
        hint = f" ({refusal.hint})" if refusal.hint else ""
        told = f"{outcome.student}, {outcome.course}: {refusal.message}{hint}"
        sys.stderr.write(f"{safe_text(told)} [{refusal.code}]\n")
    if len(refused) > SHOWN:
        note(f"… and {len(refused) - SHOWN} more refused")


def _summary(cli: Cli, made: "list[Decision]") -> str:
    from studentcli.services.operations import count_outcomes

    counts = ", ".join(f"{count} {name}" for name, count in count_outcomes(made).items())
    courses = max(len(decision.outcomes) for decision in made)
    verb = "forecast, nothing was changed: would be " if cli.dry_run else ""
    number = f", operation {made[0].operation_id}" if made[0].operation_id else ""
    size = f"{counted(len(made), 'student')}, {counted(courses, 'course')}"
    return f"{size}: {verb}{counts}{number}"

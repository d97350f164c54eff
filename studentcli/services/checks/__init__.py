"""The doctor: what the tables hold against what the events and the rules say.

`find_all` only reads. `fix_enrollments` repairs what is derived from the events, and nothing else.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.orm import Session

from studentcli import errors
from studentcli.records import KINDS
from studentcli.requests import Policy
from studentcli.services.checks.catalogue import check_loose_ends, check_records
from studentcli.services.checks.finding import Finding, attention
from studentcli.services.checks.fixing import KIND as FIX
from studentcli.services.checks.fixing import Fixed, fix_enrollments
from studentcli.services.checks.registrations import check_prerequisites, check_registrations
from studentcli.services.checks.replay import check_enrollments, replay_events
from studentcli.services.checks.scope import Scope
from studentcli.services.checks.seats import check_capacities, check_queues
from studentcli.services.checks.storage import (
    check_file,
    check_references,
    check_rule_texts,
    check_values,
)
from studentcli.services.checks.swaps import check_swaps
from studentcli.services.views import require_term

__all__ = [
    "FIX",
    "Finding",
    "Fixed",
    "check_database",
    "find_all",
    "fix_enrollments",
    "replay_events",
]

UNREADABLE: Final = "value"
JUDGES: Final = (
    check_capacities,
    check_queues,
    check_swaps,
    check_registrations,
    check_prerequisites,
    check_loose_ends,
)
"""What asks the rules, and so needs a database that they can read."""


def check_database(
    session: Session, policy: Policy | None = None, *, term: str | None = None
) -> list[Finding]:
    """Check the whole database; as `find_all`, but all at once.

    Returns:
        What was found, most basic first; an empty list for a sound database.
    """
    return list(find_all(session, policy, term=term))


def find_all(
    session: Session, policy: Policy | None = None, *, term: str | None = None
) -> Iterator[Finding]:
    """Check the whole database, in a memory that grows with the catalogue but not with the rest.

    Args:
        session: any; nothing is written and nothing locked.
        policy: for today's date; the clock's when left out.
        term: the code of a term. What the rules say is told of its courses alone, and
            prerequisites are judged again. When left out: of every term that is not over.

    Returns:
        What is found, most basic first. The rules are not asked about a database that they
        cannot read.

    Raises:
        errors.UnknownTerm: listing the terms.
    """
    is_readable = True
    for finding in check_file(session):
        is_readable = False
        yield finding
    if not is_readable:
        return
    for check in (check_references, check_rule_texts):
        for finding in _read_safely("tables", check(session)):
            is_readable = False
            yield finding
    if is_readable:
        require_term(session, term)
    told = {"enrollments": check_enrollments(session)}
    told.update((kind.plural, check_records(session, kind)) for kind in KINDS.values())
    told.update(
        (table, check_values(session, table)) for table in ("holds", "overrides", "operations")
    )
    for subject, findings in told.items():
        for finding in _read_safely(subject, findings):
            is_readable &= finding.check != UNREADABLE
            yield finding
    if not is_readable:
        yield attention(
            "rules", "database", "the rules were not asked: they cannot read what is damaged",
            "mend the damage, then studentcli db check",
        )  # fmt: skip
        return
    scope = Scope.of(session, policy or Policy(datetime.now(UTC)), term)
    for judge in JUDGES:
        yield from judge(session, scope)


def _read_safely(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Make a finding of a stored value of which the driver cannot make a date or a number."""
    try:
        yield from findings
    except (ValueError, ArithmeticError, errors.DatabaseDamaged) as error:
        said = "" if isinstance(error, ArithmeticError) else f": {error}"
        finding = f"a date, number or JSON in them or their events cannot be read{said}"
        yield Finding(UNREADABLE, subject, finding)

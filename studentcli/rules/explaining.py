"""Every rule of an add with what it says: the same functions in the same order, nothing left out.

`judge` keeps only what stands against a change; a registrar who asks why also wants to see what
was met, what an override cleared, and what will count once the queue gives a seat.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from studentcli.facts import Facts
from studentcli.requests import Refusal
from studentcli.rules.book import ADDING, CLEAR, DROPPING, OVERRIDABLE, SEATING
from studentcli.rules.case import Case
from studentcli.rules.deciding import judge_add, with_way
from studentcli.rules.placing import Place
from studentcli.rules.queue import Asked, given_up_case, promotion_case, turn_of
from studentcli.rules.seats import Seats, full_sentence
from studentcli.rules.transitions import DECIDE, UNCHANGED, state_refusal, verdict_of

Result = Literal["passed", "failed", "overridden", "blocks-promotion", "not-asked"]
STATES: Final = ("already-withdrawn", "already-completed")
WEIGHT: Final[dict[tuple[Result, bool], int]] = {
    ("not-asked", False): 0,
    ("passed", False): 1,
    ("not-asked", True): 2,
    ("overridden", True): 3,
    ("blocks-promotion", True): 4,
    ("failed", True): 5,
}
"""Which of two findings of one code says more: (result, has it a refusal) → weight."""


class Finding(NamedTuple):
    """What one rule says about an add.

    `failed`: it forbids the add. `overridden`: it would, and an override clears it. `passed`: it
    has nothing against it. `blocks-promotion`: the student waits already, and it keeps the queue
    from giving the seat. `not-asked`: it does not count for where the add leads; with a refusal
    when it would forbid a seat, which is what who would wait meets when promoted.
    """

    code: str
    result: Result
    refusal: Refusal | None = None
    course: str | None = None
    """Where an override clears it, when that is another course: the one that a swap gives up."""

    @property
    def is_overridable(self) -> bool:
        """Whether an override of the rule would help."""
        is_blocking = self.result in {"failed", "blocks-promotion", "not-asked"}
        return is_blocking and self.refusal is not None and self.code in OVERRIDABLE


def findings(case: Case, facts: Facts) -> list[Finding]:
    """Say of every rule of the book what it says about an add.

    Args:
        case: the add, as `decide_change` is about to judge it.
        facts: with the students of a queue that can move.

    Returns:
        One finding per code, in the order in which a refusal lists them. The failed ones are the
        refusals of `decide_change`, none when it makes the add or there is nothing to do.
    """
    found: dict[str, Finding] = {}
    for finding in _all(case, facts):
        known = found.setdefault(finding.code, finding)
        if _weight(finding) > _weight(known):
            found[finding.code] = finding
    return [_as_refused(finding) for finding in found.values()]


def _as_refused(finding: Finding) -> Finding:
    """Give what forbids the add the hint that a refusal of it has."""
    if finding.result != "failed" or finding.refusal is None or finding.refusal.hint:
        return finding
    return finding._replace(refusal=with_way(finding.refusal))


def _weight(finding: Finding) -> int:
    return WEIGHT[finding.result, finding.refusal is not None]


def _all(case: Case, facts: Facts) -> Iterator[Finding]:
    verdict = verdict_of(case)
    yield from _states(case, verdict)
    is_waiting = verdict == UNCHANGED and case.is_waiting
    if is_waiting:
        asked_for = Asked(
            case.student.student_id, {case.course.course_id: case.change}, case.together
        )
        case = promotion_case(asked_for.student_id, case.course, facts, case.policy, asked_for)
    is_asked = verdict == DECIDE
    is_possible = is_asked or verdict == "already-withdrawn"
    place = judge_add(case, facts)[0] if is_possible else None
    counting = _counting(place) if is_asked else set()
    asked: Result = "failed" if is_asked else "not-asked"
    if is_waiting:
        counting, asked = {"always", "seat"}, "blocks-promotion"
    for rule in ADDING:
        counts = rule.counts in counting
        if counts or rule.counts != "place":
            against = asked if counts else "not-asked"
            yield _finding(rule.code, rule.judge(case), case, against)
        else:
            yield Finding(rule.code, "not-asked")
    old = given_up_case(case)
    for rule in DROPPING if old is not None else ():
        case_of_drop = old or case
        found = _finding(rule.code, rule.judge(case_of_drop), case_of_drop, asked)
        yield found._replace(course=case_of_drop.course.ref)
    for finding in _seating(case, place) if place else _seating_of_known(case, facts):
        is_failed = finding.result == "failed" and not is_asked
        yield finding._replace(result="not-asked") if is_failed else finding


def _states(case: Case, verdict: str) -> Iterator[Finding]:
    """Say whether the student has left the course in a way that no add changes."""
    status = None if case.enrollment is None else case.enrollment.status
    for code in STATES:
        if code != f"already-{status}":
            yield Finding(code, "passed")
        else:
            result: Result = "failed" if verdict == code else "overridden"
            yield Finding(code, result, state_refusal(code, case))


def _counting(place: Place | None) -> set[str]:
    """Name for what the rules count that are asked: as `judge_add` takes them together."""
    if place is not None and place.status == "waitlisted" and not place.at_once:
        return {"always", "place"}
    return {"always", "seat"}


def _finding(code: str, refusal: Refusal | None, case: Case, against: Result) -> Finding:
    """Say what a rule says; `against` names what its refusal means for the add."""
    if refusal is None:
        return Finding(code, "passed")
    if code in case.allowed:
        return Finding(code, "overridden", refusal)
    return Finding(code, against, refusal)


def _seating(case: Case, place: Place) -> Iterator[Finding]:
    """Say of an add whether there is a seat, and a place in the queue."""
    is_seated = place.status == "enrolled" or place.at_once
    missing = None
    if not is_seated:
        # In front of a queue a free seat is none either: the sentence says whom it belongs to.
        missing = Seats(case.course, case.today).refuse(case.student)
        missing = missing or ("course-full" if case.course.queue else None)
    for code in SEATING:
        if place.refusal is not None and place.refusal.code == code:
            yield Finding(code, "failed", place.refusal)
        elif place.beyond == code:
            yield Finding(code, "overridden", Refusal(code, full_sentence(case, code)))
        elif code == missing:
            yield Finding(code, "not-asked", Refusal(code, full_sentence(case, code)))
        elif code == "waitlist-full" and (is_seated or place.status is None):
            yield Finding(code, "not-asked")
        else:
            yield Finding(code, "passed")


def _seating_of_known(case: Case, facts: Facts) -> Iterator[Finding]:
    """Say whether there is a seat for who waits already; whoever is enrolled has one."""
    status = None if case.enrollment is None else case.enrollment.status
    turn = turn_of(case, facts) if status == "waitlisted" else CLEAR
    standing = {refusal.code: refusal for refusal in turn.refusals}
    for code in SEATING:
        if code in turn.cleared:
            yield Finding(code, "overridden", Refusal(code, full_sentence(case, code)))
        elif code in standing:
            yield Finding(code, "blocks-promotion", standing[code])
        elif code == "waitlist-full" or status not in {"waitlisted", "enrolled"}:
            yield Finding(code, "not-asked")
        else:
            yield Finding(code, "passed")

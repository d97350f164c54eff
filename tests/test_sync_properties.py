"""Whatever stands there and whatever is in the file: a sync makes the file the truth."""

import os
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import given

from studentcli.requests import Decision
from tests.desk import rows as rows_of
from tests.strategies import (
    COURSES,
    REFS,
    STUDENTS,
    Catalogue,
    catalogue,
    days,
    drawn,
    on_a_database,
    some,
)
from tests.syncing import live, outcomes, sync
from tests.test_undoing import is_told, undo
from tests.world import World

EXAMPLES = int(os.environ.get("STUDENTCLI_TEST_EXAMPLES", "15"))
SCOPES = ("term=ALL", "term=ALL", "term=T2", "term=ALL,course=A", "term=ALL,course=?-1")


@dataclass(frozen=True)
class Case:
    """What stands there, and a file of (number, ref, date) for a scope."""

    stands: Catalogue
    scope: str
    listed: tuple[tuple[str, str, str], ...]
    absent: str
    chunk: int

    @property
    def content(self) -> str:
        lines = [f"{number},{ref},{on}\n" for number, ref, on in self.listed]
        return "student,course,effective_on\n" + "".join(lines)

    @property
    def refs(self) -> set[str]:
        """The courses of the scope."""
        term, _, pattern = self.scope.removeprefix("term=").partition(",course=")
        return {
            ref
            for ref, (of, code, section) in zip(REFS, COURSES, strict=True)
            if of == term and pattern in {"", code, f"?-{section}"}
        }


def case(rng: Random) -> Case:
    """Draw mostly what stands there, some of it left out, and some more."""
    stands = catalogue(rng)
    scope = rng.choice(SCOPES)
    case = Case(stands, scope, (), rng.choice(("drop", "drop", "withdraw", "keep")), 1)
    there = [(number, ref) for number, ref in stands.enrolled if ref in case.refs]
    kept = [pair for pair in there if rng.random() < 0.7]
    more = [(number, ref) for number in STUDENTS for ref in case.refs]
    pairs = [*kept, *some(rng, more, 0, 6)]
    rng.shuffle(pairs)
    listed = tuple((n, r, rng.choice(("", "", "", *days(-1, 0)))) for n, r in pairs)
    return Case(stands, scope, listed, case.absent, rng.choice((1, 2, 20_000)))


def said(taken: list[Any]) -> dict[tuple[str, str], set[str]]:
    """Give everything that came of an enrollment; its rows can disagree."""
    found: dict[tuple[str, str], set[str]] = {}
    for decision in taken:
        for outcome in decision.outcomes if isinstance(decision, Decision) else ():
            found.setdefault((outcome.student, outcome.course), set()).add(outcome.result)
    return found


@on_a_database(EXAMPLES)
@given(case=drawn(case))
def test_after_a_sync_the_live_enrollments_of_the_scope_are_the_files(
    stage: World, case: Case
) -> None:
    case.stands.fill(stage)
    options: dict[str, Any] = {"absent": case.absent, "on_error": "skip", "last_wins": True}
    before, table = stage.statuses(), rows_of(stage, "student_courses")
    was_live, was_idle = live(stage), stage.idle_seats()
    forecast, would = sync(stage, case.content, case.scope, dry_run=True, **options)
    result, taken = sync(stage, case.content, case.scope, chunk=case.chunk, **options)
    assert (forecast.totals, forecast.promotions) == (result.totals, result.promotions)
    assert outcomes(would) == outcomes(taken)
    named = {(number, ref) for number, ref, _ in case.listed}
    came_of = said(taken)
    left_out = {key for key, came in came_of.items() if came & {"refused", "superseded"}}
    inside = {key for key in live(stage) if key[1] in case.refs}
    expected = named - {key for key in left_out if key not in was_live}
    stayed = {
        key
        for key in was_live - named
        if key[1] in case.refs and (case.absent == "keep" or key in left_out)
    }
    given_up = {(p.student, p.instead_of) for p in result.promotions if p.instead_of}
    assert not given_up & named
    assert inside == (expected | stayed) - given_up
    promoted = {(p.student, p.course) for p in result.promotions}
    moved = {key for key, status in stage.statuses().items() if before.get(key) != status}
    assert {key for key in moved if key[1] not in case.refs} <= promoted | given_up
    if not was_idle:
        assert stage.idle_seats() == []
    assert is_told(stage)
    after = rows_of(stage, "student_courses")
    again, _ = sync(stage, case.content, case.scope, **options)
    if not result.refused:
        assert set(again.totals) <= {"unchanged", "superseded", "overruled", "kept"}
        assert rows_of(stage, "student_courses") == after
    for done in (again, result):
        assert done.operation_id is not None
        undone = undo(stage, done.operation_id)
        assert undone.result in {"undone", "unchanged"}, undone.blocked
    assert rows_of(stage, "student_courses") == table

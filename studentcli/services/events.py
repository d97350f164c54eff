"""What the events of one enrollment add up to, those left out that were undone.

An undo leaves an event `undo` for every enrollment that it takes back, which names the operation;
nothing that was recorded before is touched. Undoing an undo is one more such event.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from studentcli.models import EnrollmentEvent

UNDO: Final = "undo"
"""The action of an event that takes back what another operation did to an enrollment."""
REPAIR: Final = "repair"
"""The action of an event that tells what `db check --fix` found in the place of an enrollment."""

State = tuple[str, Any, Any, Any, Any, Any]
"""Status, enrolled on, status since, queue place, grade, id of the course to be given up."""


class Step(NamedTuple):
    """One change of an enrollment, in the column order of `steps`."""

    student_id: int
    course_id: int
    event_id: int
    operation_id: int
    action: str
    to_status: str | None
    on: Any
    place: int | None
    grade: str | None
    detail: str | None


def steps() -> Any:
    """Select every change, undone or not, by student id, course id and order of recording."""
    event = EnrollmentEvent
    return (
        select(
            event.student_id,
            event.course_id,
            event.id,
            event.operation_id,
            event.action,
            event.to_status,
            event.effective_on,
            event.queue_place,
            event.grade,
            event.detail,
        )
        .where(
            event.code.is_(None), event.student_id.is_not(None), event.course_id.is_not(None)
        )
        .order_by(event.student_id, event.course_id, event.id)
    )  # fmt: skip


def undoing(operation_id: int) -> str:
    """Write the detail of an event that takes an operation back."""
    return json.dumps({"undoes": operation_id})


def still_count(
    recorded: Iterable[tuple[int, str, str | None]], but: Collection[int] = ()
) -> list[int]:
    """Find which events of one enrollment were not undone.

    Args:
        recorded: operation, action and detail of every change of it, in their order.
        but: operations to be left out, as if they had been undone.

    Returns:
        Their places in the order; an undo itself is no change.
    """
    undone = set(but)
    found: list[int] = []
    for index, (operation_id, action, detail) in reversed(list(enumerate(recorded))):
        if operation_id in undone:
            continue
        if action == UNDO:
            undone.add(read_detail(detail).get("undoes"))  # type: ignore[arg-type]
        else:
            found.append(index)
    return found[::-1]


def counting(taken: Iterable[Step], but: Collection[int] = ()) -> list[Step]:
    """Leave out of the steps of one enrollment what was undone, and the undoing."""
    taken = list(taken)
    places = still_count(((s.operation_id, s.action, s.detail) for s in taken), but)
    return [taken[place] for place in places]


def add_up(counted: Iterable[Step]) -> State | None:
    """Give the state to which steps lead; none when there are none."""
    state: State | None = None
    enrolled_on: Any = None
    for step in counted:
        enrolled_on = step.on if state is None or step.action == "enroll" else enrolled_on
        is_swap = step.action == "enroll" and step.to_status == "waitlisted"
        old = read_detail(step.detail).get("instead_of") if is_swap and step.detail else None
        state = (step.to_status or "", enrolled_on, step.on, step.place, step.grade, old)
    return state


def read_detail(detail: str | None) -> dict[str, Any]:
    """Read what an event keeps beside its columns; nothing from what is no JSON object."""
    if detail is None:
        return {}
    try:
        found = json.loads(detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""Holds and overrides of the property tests: written under lock, then the queues are run."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from studentcli.models import Course, Hold, Override, Student, Term
from studentcli.services.operations import Act, Recorder
from studentcli.services.queues import QueueRun, lock_queues
from tests.world import World


def place_hold(world: World, student: str, blocks: str, from_on: str, until_on: str | None) -> None:
    def write(session: Session, student_id: int, act: Act) -> None:
        values = {
            "student_id": student_id, "kind": "fees", "blocks": blocks, "reason": "unpaid",
            "from_on": date.fromisoformat(from_on),
            "until_on": until_on and date.fromisoformat(until_on),
            "placed_by": act.actor, "placed_at": act.now,
        }  # fmt: skip
        session.execute(insert(Hold), values)

    _change(world, student, write)


def lift_holds(world: World, student: str) -> None:
    def write(session: Session, student_id: int, act: Act) -> None:
        mine = Hold.student_id == student_id, Hold.lifted_at.is_(None)
        session.execute(update(Hold).where(*mine).values(lifted_by=act.actor, lifted_at=act.now))

    _change(world, student, write)


def grant(world: World, student: str, ref: str, rule: str, until_on: str | None) -> None:
    def write(session: Session, student_id: int, act: Act) -> None:
        values = {
            "student_id": student_id, "course_id": _course_id(session, ref), "rule": rule,
            "reason": "because", "until_on": until_on and date.fromisoformat(until_on),
            "granted_by": act.actor, "granted_at": act.now,
        }  # fmt: skip
        session.execute(insert(Override), values)

    _change(world, student, write)


def revoke_overrides(world: World, student: str) -> None:
    def write(session: Session, student_id: int, act: Act) -> None:
        mine = Override.student_id == student_id, Override.revoked_at.is_(None)
        session.execute(
            update(Override).where(*mine).values(revoked_by=act.actor, revoked_at=act.now)
        )

    _change(world, student, write)


def _course_id(session: Session, ref: str) -> Any:
    full = Term.code + "/" + Course.code + "-" + Course.section
    return session.scalar(select(Course.id).join(Course.term).where(full == ref))


def _change(world: World, number: str, write: Callable[[Session, int, Act], None]) -> None:
    def unit(session: Session) -> None:
        act = world.act("ledger")
        student_id = session.scalars(
            select(Student.id).where(Student.student_number == number)
        ).one()
        run = lock_queues(session, act, set(), {student_id})
        write(session, student_id, act)
        _read_again(run, student_id)
        run.touch_waits([student_id])
        run.finish(Recorder(session, act).operation_id())

    world.database.write(unit)


def _read_again(run: QueueRun, student_id: int) -> None:
    """Let the queues see the student's holds and overrides as they are now."""
    student = run.student(student_id)
    assert student is not None
    student.is_loaded = False
    run.deciding.read_records([student_id])

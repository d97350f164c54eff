"""Holds and overrides in the words of the property tests."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from studentcli.models import Hold, Override, Student
from studentcli.services import holds, overrides
from tests.world import World


def place_hold(world: World, student: str, blocks: str, from_on: str, until_on: str | None) -> None:
    first, last = date.fromisoformat(from_on), until_on and date.fromisoformat(until_on)
    world.database.write(
        lambda session: holds.place_hold(
            session, student, world.act("hold-place"), kind="fees", blocks=blocks, reason="unpaid",
            from_on=first, until_on=last or None,
        )
    )  # fmt: skip


def lift_holds(world: World, student: str) -> None:
    """Lift every hold of a student."""

    def unit(session: Session) -> None:
        mine = select(Hold.id).join(Student, Student.id == Hold.student_id)
        mine = mine.where(Student.student_number == student, Hold.lifted_at.is_(None))
        holds.lift_holds(session, list(session.scalars(mine)), world.act("hold-lift"))

    world.database.write(unit)


def grant(world: World, student: str, ref: str, rule: str, until_on: str | None) -> None:
    last = date.fromisoformat(until_on) if until_on else None
    world.database.write(
        lambda session: overrides.grant_override(
            session, student, ref, world.act("override-grant"), rule=rule, reason="because",
            until_on=last,
        )
    )  # fmt: skip


def revoke_overrides(world: World, student: str) -> None:
    """Revoke every override of a student."""

    def unit(session: Session) -> None:
        mine = select(Override.id).join(Student, Student.id == Override.student_id)
        mine = mine.where(Student.student_number == student, Override.revoked_at.is_(None))
        overrides.revoke_overrides(session, list(session.scalars(mine)), world.act("override"))

    world.database.write(unit)

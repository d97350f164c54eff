"""Undo: an operation is taken back exactly, or not at all."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from studentcli import errors
from studentcli.models import Operation
from studentcli.services.cancelling import cancel_course
from studentcli.services.checks import check_database, replay_events
from studentcli.services.renumbering import renumber_student
from studentcli.services.undoing import Undone, undo_operation
from tests import desk
from tests.world import World


def undo(world: World, operation_id: int | None, *, dry_run: bool = False, **more: Any) -> Undone:
    assert operation_id is not None
    act = world.act("undo")
    return world.database.write(
        lambda session: undo_operation(session, operation_id, act, **more), dry_run=dry_run
    )


def undone_by(world: World, operation_id: int | None) -> int | None:
    with world.database.session(writes=False) as session:
        query = select(Operation.undone_by).where(Operation.id == operation_id)
        return session.scalars(query).one()


def is_told(world: World) -> bool:
    """Tell whether the events add up to the table."""
    with world.database.session(writes=False) as session:
        return len(replay_events(session)) == world.count("student_courses")


@pytest.fixture
def full(world: World) -> World:
    """Give a course of one seat that S1 has, and for which S2 and S3 wait."""
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1, waitlist=5)
    world.course("B", capacity=5)
    for number in ("S1", "S2", "S3"):
        world.one("enroll", number, "A")
    return world


def test_undoing_a_first_enrollment_removes_its_row(world: World) -> None:
    world.student("S1")
    world.course("A")
    done = world.submit("enroll", "S1", "A")
    undone = undo(world, done.operation_id)
    assert undone.result == "undone"
    assert world.enrollments() == {}
    assert undone_by(world, done.operation_id) == undone.operation_id
    assert is_told(world)


def test_undoing_a_drop_takes_the_promotion_back_to_its_place(full: World) -> None:
    before = full.enrollments()
    done = full.submit("drop", "S1", "A")
    assert full.statuses()["S2", "ALL/A-1"] == "enrolled"
    undone = undo(full, done.operation_id)
    assert full.enrollments() == before
    assert undone.promotions == []
    assert is_told(full)


def test_undoing_a_swap_restores_the_wish_and_the_old_seat(full: World) -> None:
    full.one("enroll", "S2", "B")
    full.one("drop", "S2", "A")
    full.one("enroll", "S2", "A", instead_of="B")
    before, wishes = full.enrollments(), desk.rows(full, "student_courses")
    done = full.submit("drop", "S3", "A")
    moved = full.submit("drop", "S1", "A")
    assert full.statuses()["S2", "ALL/B-1"] == "dropped"
    undo(full, moved.operation_id)
    undo(full, done.operation_id)
    assert full.enrollments() == before
    assert desk.rows(full, "student_courses") == wishes


def test_a_seat_that_undo_frees_goes_to_the_queue(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", capacity=1, waitlist=5)
    first = world.submit("enroll", "S1", "A")
    world.one("enroll", "S2", "A")
    undone = undo(world, first.operation_id)
    assert [promotion.student for promotion in undone.promotions] == ["S2"]
    assert world.statuses() == {("S2", "ALL/A-1"): "enrolled"}


def test_an_enrollment_changed_since_stops_it(world: World) -> None:
    world.student("S1", "S2")
    world.course("A")
    result, _ = world.import_csv("student,course\nS1,A\nS2,A\n")
    world.one("withdraw", "S1", "A")
    before = desk.rows(world)
    undone = undo(world, result.operation_id)
    assert undone.result == "refused"
    assert [(row["student"], row["code"]) for row in undone.blocked] == [("S1", "changed-since")]
    assert desk.rows(world) == before


def test_what_was_changed_since_can_be_left_out_and_undone_later(world: World) -> None:
    world.student("S1", "S2")
    world.course("A")
    result, _ = world.import_csv("student,course\nS1,A\nS2,A\n")
    later = world.submit("withdraw", "S1", "A")
    undo(world, result.operation_id, skip_changed=True)
    assert world.statuses() == {("S1", "ALL/A-1"): "withdrawn"}
    assert undone_by(world, result.operation_id) is None
    assert is_told(world)
    undo(world, later.operation_id)
    undone = undo(world, result.operation_id)
    assert world.enrollments() == {}
    assert undone_by(world, result.operation_id) == undone.operation_id


def test_a_seat_that_somebody_has_taken_stops_it(world: World) -> None:
    world.student("S1", "S2")
    world.course("A", capacity=1)
    world.one("enroll", "S1", "A")
    dropped = world.submit("drop", "S1", "A")
    world.one("enroll", "S2", "A")
    undone = undo(world, dropped.operation_id)
    assert undone.result == "refused"
    assert [(row["student"], row["code"]) for row in undone.blocked] == [("S1", "course-full")]


def test_a_seat_beyond_the_capacity_comes_back_when_nobody_took_one(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", capacity=3)
    for number in ("S1", "S2", "S3"):
        world.one("enroll", number, "A")
    world.course("A", capacity=1)
    before = world.enrollments()
    dropped = world.submit("drop", "S3", "A")
    assert undo(world, dropped.operation_id).result == "undone"
    assert world.enrollments() == before


def test_undoing_twice_changes_nothing(full: World) -> None:
    done = full.submit("drop", "S1", "A")
    undo(full, done.operation_id)
    before = desk.rows(full)
    assert undo(full, done.operation_id).result == "unchanged"
    assert desk.rows(full) == before


def test_undoing_an_undo_restores_and_so_on(full: World) -> None:
    start = full.enrollments()
    done = full.submit("drop", "S1", "A")
    after = full.enrollments()
    last = done.operation_id
    for expected in (start, after, start, after):
        last = undo(full, last).operation_id
        assert full.enrollments() == expected
        assert is_told(full)
    assert undone_by(full, done.operation_id) is None
    assert undo(full, done.operation_id).result == "undone"
    assert full.enrollments() == start


def test_a_forecast_tells_the_same_and_writes_nothing(full: World) -> None:
    done = full.submit("drop", "S1", "A")
    before = desk.rows(full)
    told = undo(full, done.operation_id, dry_run=True)
    assert desk.rows(full) == before
    made = undo(full, done.operation_id)
    assert (told.taken_back, told.promotions) == (made.taken_back, made.promotions)


def test_a_dated_row_that_was_undone_is_no_longer_recorded(world: World) -> None:
    world.student("S1")
    world.course("A")
    world.one("enroll", "S1", "A", effective_on=date(2026, 9, 1))
    content = "action,student,course,effective_on\ndrop,S1,A,2026-09-05\n"
    result, _ = world.import_csv(content)
    undo(world, result.operation_id)
    again, _ = world.import_csv(content)
    assert dict(again.totals) == {"dropped": 1}
    assert again.same_as is None


def test_an_operation_that_is_not_there_is_said_so(world: World) -> None:
    with pytest.raises(errors.UnknownOperation):
        undo(world, 99)


def test_the_command_says_what_went_back(full: World, command: Callable[..., Any]) -> None:
    done = full.submit("drop", "S1", "A")
    number = str(done.operation_id)
    told = command("undo", number, "-n", database=full)
    assert told.returncode == 0
    assert f"operation {number} would be undone: 2 changes would go back" in told.stderr
    made = command("undo", number, "--reason", "mistake", database=full)
    assert (made.returncode, made.stdout.splitlines()[1:]) == (
        0,
        [
            "enrollment\tS1\tALL/A-1\tdropped\tenrolled",
            "enrollment\tS2\tALL/A-1\tenrolled\twaitlisted",
        ],
    )
    again = command("batch", "undo", number, database=full)
    assert again.returncode == 0
    assert f"operation {number} is already undone, by operation" in again.stderr


def test_the_command_lists_what_stops_it_and_exits_with_4(
    full: World, command: Callable[..., Any]
) -> None:
    done = full.submit("drop", "S1", "A")
    full.one("drop", "S2", "A")
    stopped = command("undo", str(done.operation_id), database=full)
    assert stopped.returncode == 4
    assert "[changed-since]" in stopped.stderr
    assert f"hint: studentcli undo {newest(full)} first\n" in stopped.stderr
    assert (
        "enrollment\tS2\tALL/A-1\t\t\tchanged-since\tchanged since by operation" in stopped.stdout
    )


def test_the_command_says_how_what_stops_it_is_got_out_of_the_way(
    world: World, command: Callable[..., Any]
) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1)
    world.course("B")
    world.one("enroll", "S1", "A")
    world.one("enroll", "S2", "B")
    result, _ = world.import_csv("action,student,course\ndrop,S1,A\ndrop,S2,B\n")
    world.one("enroll", "S3", "A")
    stopped = command("undo", str(result.operation_id), database=world)
    assert (
        "hint: studentcli course edit COURSE --capacity N makes room;"
        " --skip-changed takes the other 1 change back\n"
    ) in stopped.stderr


# ── records ──────────────────────────────────────────────────────────────────────────────


def newest(world: World) -> int:
    with world.database.session(writes=False) as session:
        return session.scalars(select(Operation.id).order_by(Operation.id.desc())).first() or 0


def tables(world: World) -> dict[str, list[str]]:
    return desk.rows(world, *desk.STATE, "holds", "overrides")


CHANGES: dict[str, Callable[[World], Any]] = {
    "student added": lambda w: w.student("S9", given_name="Ada", max_credits=12),
    "student edited": lambda w: w.student("S1", email="a@example.org", tags="senior"),
    "course added": lambda w: w.course("C", credits=3, capacity=2, meetings="M 10:00-11:00"),
    "more seats": lambda w: w.course("A", capacity=2),
    "no limit": lambda w: w.course("A", capacity="-"),
    "term added": lambda w: w.term("2026FA", starts_on="2026-09-01"),
    "term edited": lambda w: w.term("ALL", max_credits=30, drop_until="2026-12-01"),
    "hold placed": lambda w: w.hold("S3"),
    "hold lifted": lambda w: w.lift(1),
    "override granted": lambda w: w.override("S3", "A", "course-full"),
    "override revoked": lambda w: w.revoke(1),
    "students by file": lambda w: w.import_csv("student,email\nS1,x@y.org\nS7,\nS8,\n"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_records_go_back_with_what_followed_from_them_and_come_again(
    full: World, name: str
) -> None:
    full.hold("S2")
    full.override("S1", "B", "credit-load")
    before = tables(full)
    CHANGES[name](full)
    after = tables(full)
    assert after != before
    undone = undo(full, newest(full))
    assert undone.result == "undone", undone.blocked
    assert tables(full) == before
    assert undo(full, undone.operation_id).result == "undone"
    assert tables(full) == after
    assert is_told(full)
    with full.database.session(writes=False) as session:
        assert [f for f in check_database(session) if f.check == "events"] == []


def test_a_cancelled_course_opens_again_with_everybody_in_place(full: World) -> None:
    before = tables(full)
    act = full.act("course-cancel")
    full.database.write(lambda session: cancel_course(session, "A", act))
    undo(full, newest(full))
    assert tables(full) == before


def test_a_record_that_others_need_since_stays(full: World) -> None:
    full.student("S9")
    added = newest(full)
    full.one("enroll", "S9", "B")
    undone = undo(full, added)
    assert undone.result == "refused"
    assert [row["message"] for row in undone.blocked] == ["has enrollments"]


def test_a_record_changed_since_stays(full: World) -> None:
    full.course("A", title="One")
    renamed = newest(full)
    full.course("A", title="Two")
    assert undo(full, renamed).result == "refused"


def test_a_new_number_goes_back_unless_somebody_else_has_the_old_one(full: World) -> None:
    before = tables(full)
    full.database.write(lambda s: renumber_student(s, "S1", "S5", full.act("renumber")))
    renumbered = newest(full)
    undo(full, undo(full, undo(full, renumbered).operation_id).operation_id)
    assert tables(full) == before
    full.database.write(lambda s: renumber_student(s, "S1", "S5", full.act("renumber")))
    renumbered = newest(full)
    full.student("S1")
    assert undo(full, renumbered).result == "refused"

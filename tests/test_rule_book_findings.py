"""What the property tests have found, each as the smallest story that shows it."""

from datetime import timedelta

import pytest

from studentcli.services.cancelling import cancel_course
from tests import ledger
from tests.conftest import Run
from tests.world import TODAY, World

EARLIER = (TODAY - timedelta(days=3)).isoformat()
LAST_WEEK = (TODAY - timedelta(days=7)).isoformat()


def enroll(world: World, course: str, *students: str) -> None:
    for student in students:
        assert not world.one("enroll", student, course).is_refused


def test_a_granted_seat_of_a_full_course_is_given_though_others_wait_in_front(
    world: World,
) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1, waitlist=5)
    world.course("B", meetings="M 10:00-11:00")
    enroll(world, "A", "S1", "S2", "S3")
    enroll(world, "B", "S3")
    world.course("A", meetings="M 10:30-11:30")
    ledger.grant(world, "S3", "ALL/A-1", "course-full", None)
    assert world.statuses()["S3", "ALL/A-1"] == "waitlisted"

    dropped = world.submit("drop", "S3", "B")

    assert [(p.student, p.course) for p in dropped.promotions] == [("S3", "ALL/A-1")]
    assert world.statuses()["S2", "ALL/A-1"] == "waitlisted"


def test_a_granted_seat_does_not_let_a_newcomer_look_at_students_who_are_not_loaded(
    world: World,
) -> None:
    world.student("S1", "S2", "S3", "S4")
    world.course("A", capacity=1, waitlist=5)
    world.course("B", meetings="M 10:00-11:00")
    enroll(world, "A", "S1", "S2", "S3")
    enroll(world, "B", "S3")
    world.course("A", meetings="M 10:30-11:30")
    ledger.grant(world, "S3", "ALL/A-1", "course-full", None)

    _, items = world.import_csv("student,course\nS3,B\nS4,A\n", on_error="skip")

    assert [item.outcomes[0].result for item in items] == ["unchanged", "waitlisted"]


def test_a_backdated_swap_leaves_the_old_course_no_earlier_than_it_was_taken(
    world: World,
) -> None:
    world.student("S1")
    world.course("A", "B")
    enroll(world, "A", "S1")
    rows = (
        "action,student,course,effective_on,instead_of,reason\n"
        f"enroll,S1,B,{EARLIER},A,late paper\nwithdraw,S1,A,{EARLIER},,\n"
    )

    _, foreseen = world.import_csv(rows, on_error="skip", dry_run=True)
    _, items = world.import_csv(rows, on_error="skip")

    for decisions in (foreseen, items):
        results = [outcome.result for item in decisions for outcome in item.outcomes]
        assert results == ["enrolled", "superseded"]
    assert world.enrollments()["S1", "ALL/A-1"][:3] == ("dropped", TODAY, TODAY)


def test_a_place_that_somebody_leaves_can_be_given_again_in_the_same_file(world: World) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", capacity=1, waitlist=1)
    enroll(world, "A", "S3", "S1")
    world.one("drop", "S1", "A")
    enroll(world, "A", "S2")

    rows = "action,student,course\ndrop,S2,A\nenroll,S1,A\n"
    result, _ = world.import_csv(rows)

    assert dict(result.totals) == {"dropped": 1, "waitlisted": 1}
    assert world.enrollments()["S1", "ALL/A-1"][3] == 1


def test_cancelling_a_course_drops_also_whom_a_hold_or_the_deadline_keeps_in(
    world: World,
) -> None:
    world.student("S1", "S2")
    world.course("A")
    enroll(world, "A", "S1", "S2")
    ledger.place_hold(world, "S1", "add-drop", EARLIER, None)
    world.course("A", drop_until=LAST_WEEK)

    world.database.write(lambda session: cancel_course(session, "A", world.act("course-cancel")))

    assert set(world.statuses().values()) == {"dropped"}


def test_a_promotion_unblocks_the_queue_of_a_course_that_asks_for_being_in_it(
    world: World,
) -> None:
    world.student("S1", "S2", "S3")
    world.course("A", "B", capacity=1, waitlist=5)
    enroll(world, "A", "S1", "S2")
    enroll(world, "B", "S3", "S2")
    world.course("B", requires="A:in-progress")
    world.one("drop", "S3", "B")
    assert world.statuses()["S2", "ALL/B-1"] == "waitlisted"

    dropped = world.submit("drop", "S1", "A")

    assert [p.course for p in dropped.promotions] == ["ALL/A-1", "ALL/B-1"]
    assert world.idle_seats() == []


def test_a_student_of_two_reservations_frees_a_seat_for_whoever_waits_in_front(
    world: World,
) -> None:
    world.student("S1")
    world.student("S2", tags="honors senior")
    world.course("A", capacity=2, waitlist=5, reserved="honors=1; senior=1")
    enroll(world, "A", "S1")
    assert world.statuses()["S1", "ALL/A-1"] == "waitlisted"

    enroll(world, "A", "S2")

    assert set(world.statuses().values()) == {"enrolled"}
    assert world.idle_seats() == []


def test_an_override_that_fills_two_reservations_runs_the_queue(world: World) -> None:
    world.student("S1")
    world.student("S2", tags="honors senior")
    world.course("A", capacity=2, waitlist=5, reserved="honors=1; senior=1")
    enroll(world, "A", "S1")

    world.one("enroll", "S2", "A", overrides=frozenset({"course-full"}), reason="dean")

    assert world.idle_seats() == []


def test_a_course_in_progress_of_a_later_term_is_no_prerequisite_through_any_load(
    world: World,
) -> None:
    world.term("2026FA", starts_on="2026-08-24", ends_on="2026-12-18")
    world.term("2027SP", starts_on="2027-01-11")
    world.student("S1")
    world.course("CS101", term="2027SP")
    world.course("CS201", term="2026FA", requires="CS101:in-progress")
    enroll(world, "2027SP/CS101", "S1")

    asked = world.one("enroll", "S1", "2026FA/CS201")
    _, items = world.import_csv("student,course,term\nS1,CS201,2026FA\n", on_error="skip")

    for outcome in (asked, items[0].outcomes[0]):
        assert [refusal.code for refusal in outcome.refusals] == ["prerequisite-missing"]
        assert "2027SP/CS101-1 only later, from 2027-01-11" in outcome.refusals[0].message


def test_moving_the_term_runs_the_queue_that_waits_for_what_is_in_progress(world: World) -> None:
    world.term("2026FA", starts_on="2026-08-24")
    world.term("2027SP", starts_on="2027-01-11")
    world.student("S1", "S2")
    world.course("CS101", term="2026FA")
    world.course("CS201", term="2027SP", requires="CS101:in-progress", capacity=1, waitlist=5)
    enroll(world, "2026FA/CS101", "S1", "S2")
    enroll(world, "2027SP/CS201", "S2", "S1")
    world.term("2027SP", starts_on="2026-01-11")
    world.one("drop", "S2", "2027SP/CS201")
    assert world.statuses()["S1", "2027SP/CS201-1"] == "waitlisted"

    world.term("2027SP", starts_on="2027-01-11")

    assert world.statuses()["S1", "2027SP/CS201-1"] == "enrolled"
    assert world.idle_seats() == []


@pytest.mark.parametrize("said", ["CS101", "LAB|CS101", "LAB & CS101"])
def test_no_course_can_be_entered_as_its_own_corequisite(
    world: World, command: Run, said: str
) -> None:
    world.course("CS101", "LAB")

    edited = command("course", "edit", "CS101", "--corequisites", said, database=world)
    added = command("course", "add", "CS101", "--section", "2", "--corequisites", said,
                    database=world)  # fmt: skip
    result, items = world.import_csv(f"course,corequisites\nCS101,{said}\n")

    for done in (edited, added):
        assert done.returncode == 4
        assert "CS101 cannot be taken together with itself [bad-value]" in done.stderr
    assert (result.refused, items[0].refusal.code) == (1, "bad-value")


def test_who_waits_by_an_override_of_one_step_is_warned_with_the_command_that_makes_it_last(
    world: World, command: Run
) -> None:
    world.student("S1", "S2")
    world.course("A", meetings="M 10:00-11:00")
    world.course("B", meetings="M 10:30-11:30", capacity=1, waitlist=5)
    enroll(world, "A", "S1")
    enroll(world, "B", "S2")
    line = ("enroll", "S1", "B", "--override", "time-conflict", "--reason", "dean")

    done = command(*line, database=world)
    quiet = command(*line, "-q", database=world)
    world.one("drop", "S2", "B")

    assert (done.returncode, quiet.stderr) == (0, "")
    assert world.statuses()["S1", "ALL/B-1"] == "waitlisted"
    way = done.stderr.splitlines()[-1].partition(": studentcli ")[2]
    assert command(*way.split(), database=world).returncode == 0
    assert world.statuses()["S1", "ALL/B-1"] == "enrolled"

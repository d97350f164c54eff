"""The rules as pure functions: the transition table, dates, seats and the queue."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from studentcli.facts import (
    FIRST_SEAT,
    CourseFact,
    Courses,
    EnrollmentFact,
    Facts,
    StudentFact,
    TermFact,
)
from studentcli.requests import Change, CourseWord, Decision, Policy, Request
from studentcli.rules import OVERRIDABLE, TRANSITIONS, decide, run_queue

TODAY = date(2026, 10, 5)
NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
TERM = TermFact(1, "2026FA")


def ada(status: str = "active") -> StudentFact:
    return StudentFact(1, "S1", status)


def course(**fields: Any) -> CourseFact:
    return CourseFact(7, TERM, "CS101", "1", is_locked=True, **fields)


def state(status: str, **fields: Any) -> EnrollmentFact:
    day = TODAY - timedelta(days=30)
    place = 1 if status == "waitlisted" else None
    grade = "B" if status == "completed" else None
    return replace(
        EnrollmentFact(status, day, day, changed_on=day, place=place, grade=grade), **fields
    )


def facts_with(where: CourseFact, enrollment: EnrollmentFact | None = None) -> Facts:
    facts = Facts(students={1: ada()}, courses=Courses({where.course_id: where}))
    if enrollment is not None:
        where.put(facts.students[1], enrollment)
    return facts


def put(facts: Facts, student: StudentFact, enrollment: EnrollmentFact) -> None:
    """Let a student stand in the only course."""
    facts.students[student.student_id] = student
    next(iter(facts.courses.values())).put(student, enrollment)


def judge(
    facts: Facts, *changes: Change, student: StudentFact | None = None, **policy: Any
) -> Decision:
    student = student or facts.students[1]
    where = next(iter(facts.courses.values()))
    request = Request(student.number, list(changes))
    return decide(request, student, lambda _c, _s: where, facts, Policy(NOW, **policy))


def change(action: Any, **fields: Any) -> Change:
    return Change(action, CourseWord("CS101"), **fields)


EXPECTED = {
    # now: enroll, drop, withdraw, complete
    None: ("enrolled", "not-enrolled", "not-enrolled", "not-enrolled"),
    "enrolled": ("unchanged", "dropped", "withdrawn", "completed"),
    "waitlisted": ("unchanged", "dropped", "not-enrolled", "not-enrolled"),
    "dropped": ("enrolled", "unchanged", "not-enrolled", "not-enrolled"),
    "withdrawn": ("already-withdrawn", "already-withdrawn", "unchanged", "not-enrolled"),
    "completed": ("already-completed", "already-completed", "already-completed", "completed"),
}
CASES = [
    (now, action, wanted)
    for now, row in EXPECTED.items()
    for action, wanted in zip(("enroll", "drop", "withdraw", "complete"), row, strict=True)
]


@pytest.mark.parametrize(("now", "action", "wanted"), CASES)
def test_every_action_on_every_state_does_what_the_table_says(
    now: str | None, action: str, wanted: str
) -> None:
    facts = facts_with(course(), None if now is None else state(now))

    outcome = judge(facts, change(action, grade="A" if action == "complete" else None)).outcomes[0]

    code = outcome.refusals[0].code if outcome.refusals else None
    assert (code or outcome.result) == wanted
    assert (outcome.result == "refused") == (code is not None)
    changed = outcome.result not in {"unchanged", "refused"}
    seated = [event for event in facts.told() if event[3:6] == FIRST_SEAT]
    assert bool(facts.changed or seated) == changed
    assert len(facts.told()) == (0 if outcome.result == "unchanged" else 1)


def test_the_transition_table_is_complete() -> None:
    assert set(TRANSITIONS) == {(now, action) for now, action, _ in CASES}


def test_the_same_grade_again_is_unchanged_and_another_one_is_recorded() -> None:
    facts = facts_with(course(), state("completed"))
    assert judge(facts, change("complete", grade="B")).outcomes[0].result == "unchanged"
    assert judge(facts, change("complete", grade="A")).outcomes[0].result == "completed"
    assert facts.told()[0].from_status == facts.told()[0].to_status == "completed"
    assert facts.told()[0].grade == "A"


def test_completing_without_a_grade_is_refused() -> None:
    outcome = judge(facts_with(course(), state("enrolled")), change("complete")).outcomes[0]
    assert outcome.refusals[0].code == "unknown-grade"


def test_a_completed_student_keeps_the_seat_and_nobody_is_promoted() -> None:
    full = course(capacity=1, waitlist_capacity=5)
    facts = facts_with(full, state("enrolled"))
    put(facts, StudentFact(2, "S2", "active"), state("waitlisted"))
    decision = judge(facts, change("complete", grade="A"))
    assert decision.promotions == []
    assert (full.taken, list(full.queue)) == (1, [2])


# ── admission ──


@pytest.mark.parametrize(
    ("student_status", "course_status", "codes"),
    [
        ("active", "open", ()),
        ("inactive", "open", ("student-inactive",)),
        ("active", "closed", ("course-closed",)),
        ("active", "cancelled", ("course-closed",)),
        ("inactive", "closed", ("student-inactive", "course-closed")),
    ],
)
def test_all_rules_of_admission_are_evaluated(
    student_status: str, course_status: str, codes: tuple[str, ...]
) -> None:
    facts = facts_with(course(status=course_status))
    facts.students[1].status = student_status
    outcome = judge(facts, change("enroll")).outcomes[0]
    assert tuple(refusal.code for refusal in outcome.refusals) == codes


@pytest.mark.parametrize("code", sorted(OVERRIDABLE))
def test_an_override_breaks_its_own_rule_and_says_so_in_the_event(code: str) -> None:
    where = course(capacity=0, status="closed")
    facts = facts_with(where, state("withdrawn"))
    facts.students[1].status = "inactive"
    one = change("enroll", overrides=frozenset({code}), reason="dean")
    left = {refusal.code for refusal in judge(facts, one).outcomes[0].refusals}
    assert code not in left
    everything = change("enroll", overrides=OVERRIDABLE, reason="dean")
    outcome = judge(facts, everything).outcomes[0]
    assert (outcome.result, where.taken) == ("enrolled", 1)
    assert '"reason": "dean"' in str(facts.told()[-1].detail)


# ── seats and the queue ──


@pytest.mark.parametrize(
    ("capacity", "taken", "places", "queued", "allow", "wanted"),
    [
        (None, 500, 0, 0, True, "enrolled"),
        (3, 2, 0, 0, True, "enrolled"),
        (3, 3, 0, 0, True, "course-full"),
        (3, 3, 2, 1, True, "waitlisted"),
        (3, 3, 2, 2, True, "waitlist-full"),
        (3, 3, 2, 1, False, "course-full"),
        (0, 0, 0, 0, True, "course-full"),
        (2, 5, 0, 0, True, "course-full"),
    ],
)
def test_a_newcomer_gets_a_seat_a_place_or_a_reason(
    capacity: int | None, taken: int, places: int, queued: int, allow: bool, wanted: str
) -> None:
    where = course(capacity=capacity, waitlist_capacity=places, taken=taken)
    facts = facts_with(where)
    for number in range(queued):
        waiting = StudentFact(10 + number, f"Q{number}", "active")
        put(facts, waiting, state("waitlisted", place=number + 1))
    outcome = judge(facts, change("enroll"), allow_waitlist=allow).outcomes[0]
    assert (outcome.refusals[0].code if outcome.refusals else outcome.result) == wanted


def queue_of(*statuses: str, **fields: Any) -> tuple[CourseFact, Facts]:
    where = course(**{"capacity": 1, "waitlist_capacity": 9, **fields})
    facts = Facts(courses=Courses({7: where}))
    for number, status in enumerate(statuses, start=10):
        put(facts, StudentFact(number, f"Q{number}", status), state("waitlisted", place=number))
    return where, facts


def test_the_queue_moves_first_come_first_served_and_passes_over_the_blocked() -> None:
    where, facts = queue_of("inactive", "active", "active")
    promoted = run_queue(where, facts, Policy(NOW))
    assert [promotion.student for promotion in promoted] == ["Q11"]
    assert [(e.action, e.student_id, e.code) for e in facts.told()] == [
        ("pass-over", 10, "student-inactive"),
        ("promote", 11, None),
    ]
    assert list(where.queue) == [10, 12]


def test_a_newcomer_behind_blocked_students_gets_the_free_seat_through_the_queue() -> None:
    where, facts = queue_of("inactive", waitlist_capacity=1)
    facts.students[1] = ada()
    outcome = judge(facts, change("enroll")).outcomes[0]
    assert (outcome.result, outcome.position) == ("enrolled", None)
    assert [e.action for e in facts.told()] == ["enroll", "pass-over", "promote"]
    assert list(where.queue) == [10]


@pytest.mark.parametrize("status", ["closed", "cancelled"])
def test_nobody_is_promoted_into_a_course_that_takes_nobody(status: str) -> None:
    where, facts = queue_of("active", status=status)
    assert run_queue(where, facts, Policy(NOW)) == []


@pytest.mark.parametrize(("days", "promoted"), [(-1, 0), (0, 1), (1, 1)])
def test_nobody_is_promoted_after_the_enroll_window(days: int, promoted: int) -> None:
    where, facts = queue_of("active")
    where.term = replace(TERM, enroll_until=TODAY + timedelta(days=days))
    assert len(run_queue(where, facts, Policy(NOW))) == promoted


def test_dropping_frees_the_seat_for_the_queue_in_the_same_request() -> None:
    where, facts = queue_of("active")
    facts.students[1] = ada()
    where.put(facts.students[1], state("enrolled"))
    decision = judge(facts, change("drop"))
    assert [promotion.student for promotion in decision.promotions] == ["Q10"]
    assert where.taken == 1


# ── dates ──


def dated(action: str, days: int, **fields: Any) -> Change:
    return change(action, effective_on=TODAY - timedelta(days=days), **fields)


def test_a_later_date_than_today_is_a_bad_value() -> None:
    outcome = judge(facts_with(course()), dated("enroll", -1)).outcomes[0]
    assert outcome.refusals[0].code == "bad-value"


def test_today_is_the_terms_own_date() -> None:
    where = course()
    where.term = replace(TERM, time_zone="Pacific/Kiritimati")
    late = datetime(2026, 10, 5, 23, tzinfo=UTC)
    facts = facts_with(where)
    request = Request("S1", [change("enroll")])
    decide(request, facts.students[1], lambda _c, _s: where, facts, Policy(late))
    assert facts.told()[0].effective_on == date(2026, 10, 6)


@pytest.mark.parametrize(("strict", "wanted"), [(False, "superseded"), (True, "refused")])
def test_a_dated_change_older_than_the_last_one_is_superseded(strict: bool, wanted: str) -> None:
    facts = facts_with(course(), state("enrolled"))
    outcome = judge(facts, dated("drop", 31), strict=strict).outcomes[0]
    assert outcome.result == wanted
    assert facts.changed == {}


@pytest.mark.parametrize("days", [30, 29, 0])
def test_a_dated_change_on_or_after_the_last_one_is_applied(days: int) -> None:
    facts = facts_with(course(), state("enrolled"))
    assert judge(facts, dated("drop", days)).outcomes[0].result == "dropped"


def test_a_dated_change_that_was_recorded_is_unchanged_though_the_state_moved_on() -> None:
    recorded = (("enroll", TODAY - timedelta(days=40), None),)
    facts = facts_with(course(), state("withdrawn", recorded=recorded))
    assert judge(facts, dated("enroll", 40)).outcomes[0].result == "unchanged"
    assert judge(facts, dated("enroll", 41)).outcomes[0].result == "superseded"


def test_a_drop_dated_before_a_promotion_is_applied() -> None:
    where, facts = queue_of("active")
    run_queue(where, facts, Policy(NOW))
    student = facts.students[10]
    outcome = judge(facts, dated("drop", 10), student=student).outcomes[0]
    assert outcome.result == "dropped"


def test_an_undated_change_is_compared_with_the_state_alone() -> None:
    recorded = (("enroll", TODAY, None), ("drop", TODAY, None))
    facts = facts_with(course(), state("dropped", recorded=recorded, changed_on=TODAY))
    assert judge(facts, change("enroll")).outcomes[0].result == "enrolled"


# ── requests ──


def test_an_all_or_none_request_leaves_everything_as_it_was_when_one_change_is_refused() -> None:
    where, facts = queue_of("active", capacity=1)
    facts.students[1] = ada()
    where.put(facts.students[1], state("enrolled"))
    before = (where.taken, dict(where.queue))
    decision = judge(facts, change("drop"), change("complete", grade="A"), all_or_none=True)
    codes = [outcome.refusals[0].code for outcome in decision.outcomes]
    assert codes == ["not-applied", "not-enrolled"]
    assert (where.taken, dict(where.queue)) == before
    assert facts.changed == {}
    assert [event.code for event in facts.told()] == ["not-applied", "not-enrolled"]


def test_require_raises_the_error_of_the_first_refusal() -> None:
    from studentcli import errors

    with pytest.raises(errors.NotEnrolled, match="not enrolled"):
        judge(facts_with(course()), change("drop")).require()

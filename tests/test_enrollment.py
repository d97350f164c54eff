"""The services on a real database: the main job, words and terms, queues after catalogue edits."""

from datetime import timedelta
from typing import Any

import pytest

from studentcli import errors, services
from studentcli.requests import Policy
from studentcli.services import cancelling, renumbering, views
from studentcli.services.checks import check_database
from studentcli.services.history import list_events
from tests.world import TODAY, World


@pytest.fixture
def fall(world: World) -> World:
    world.term("2026FA", starts_on="2026-09-01", ends_on="2026-12-18")
    world.term("2027SP", starts_on="2027-01-10", ends_on="2027-05-20")
    world.student("S1", "S2", "S3", "S4")
    world.course("CS101", term="2026FA", section="001", capacity=1, waitlist=2)
    return world


def test_enrolling_into_a_full_course_joins_the_waitlist(fall: World) -> None:
    outcomes = [fall.one("enroll", number, "CS101") for number in ("S1", "S2", "S3", "S4")]
    assert [(o.result, o.position) for o in outcomes] == [
        ("enrolled", None), ("waitlisted", 1), ("waitlisted", 2), ("refused", None),
    ]  # fmt: skip
    assert outcomes[3].refusals[0].code == "waitlist-full"


def test_enrolling_twice_is_unchanged_and_leaves_no_second_event(fall: World) -> None:
    fall.one("enroll", "S1", "CS101")
    again = fall.one("enroll", "S1", "CS101")
    assert (again.result, again.status) == ("unchanged", "enrolled")
    assert fall.count("enrollment_events") == 1
    assert fall.count("operations") == fall_operations_of_filling() + 2


def fall_operations_of_filling() -> int:
    return 2 + 4 + 1


def test_a_drop_promotes_the_first_of_the_queue(fall: World) -> None:
    for number in ("S1", "S2", "S3"):
        fall.one("enroll", number, "CS101")
    decision = fall.submit("drop", "S1", "CS101")
    assert [p.student for p in decision.promotions] == ["S2"]
    assert fall.statuses() == {
        ("S1", "2026FA/CS101-001"): "dropped",
        ("S2", "2026FA/CS101-001"): "enrolled",
        ("S3", "2026FA/CS101-001"): "waitlisted",
    }


def test_a_dropped_student_comes_back_at_the_end_of_the_queue(fall: World) -> None:
    for number in ("S1", "S2", "S3"):
        fall.one("enroll", number, "CS101")
    fall.one("drop", "S2", "CS101")
    assert fall.one("enroll", "S2", "CS101").position == 2


def test_by_ids_the_seed_functions_enroll_and_retrieve(fall: World) -> None:
    def unit(session: Any) -> tuple[Any, Any]:
        student = views.show_student(session, "S1")["student_id"]
        course = views.show_course(session, "CS101", Policy(fall.now))["course_id"]
        decision = services.enroll_student_in_course(
            session,
            student,
            course,
            act=fall.act(),
        ).require()
        return decision, services.retrieve_courses_for_student(session, student)

    decision, courses = fall.database.write(unit)
    assert decision.outcomes[0].result == "enrolled"
    assert [(c.ref, c.status, c.enrolled_on) for c in courses] == [
        ("2026FA/CS101-001", "enrolled", TODAY)
    ]


@pytest.mark.parametrize(("student_id", "course_id", "code"),
                         [(10**9, 1, "unknown-student"), (1, 2**62, "unknown-course")])  # fmt: skip
def test_ids_that_nobody_has_are_refused_by_name(
    fall: World, student_id: int, course_id: int, code: str
) -> None:
    decision = fall.database.write(
        lambda session: services.enroll_student_in_course(session, student_id, course_id)
    )
    assert decision.outcomes[0].refusals[0].code == code
    with pytest.raises(errors.BY_CODE[code]):
        decision.require()


def test_a_dry_run_decides_the_same_and_writes_nothing(fall: World) -> None:
    before = {table: fall.count(table) for table in ("operations", "enrollment_events")}
    forecast = fall.one("enroll", "S1", "CS101", dry_run=True)
    assert forecast.result == "enrolled"
    assert {table: fall.count(table) for table in before} == before
    assert fall.enrollments() == {}
    assert fall.one("enroll", "S1", "CS101").result == "enrolled"


# ── words ──


@pytest.mark.parametrize("word", ["CS101", "CS101-001", "2026FA/CS101", "2026FA/CS101-001"])
def test_every_way_to_write_a_course_means_the_same(fall: World, word: str) -> None:
    assert fall.one("enroll", "S1", word).course == "2026FA/CS101-001"


@pytest.mark.parametrize(
    ("word", "code", "hint"),
    [
        ("CS102", "unknown-course", "did you mean 2026FA/CS101-001?"),
        ("cs101", "unknown-course", "did you mean 2026FA/CS101-001?"),
        ("CS101-002", "unknown-course", "did you mean 2026FA/CS101-001?"),
        ("2027SP/CS101", "unknown-course", "did you mean 2026FA/CS101-001?"),
    ],
)
def test_a_miss_suggests_near_names_and_never_picks_one(
    fall: World, word: str, code: str, hint: str
) -> None:
    refusal = fall.one("enroll", "S1", word).refusals[0]
    assert (refusal.code, refusal.hint) == (code, hint)
    assert fall.enrollments() == {}


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("2026FA/CS0101", "2026FA/CS101-001"),  # the term named, not the newest
        ("CS0101", "2026FA/CS101-001 or 2027SP/CS101-1"),  # the term meant, then the others
        ("2027SP/CS0101", "2027SP/CS101-1 or 2026FA/CS101-001"),
        ("2027SP/CS0101-001", "2027SP/CS101-1 or 2026FA/CS101-001"),
        ("2027SP/CS1001X", "2027SP/CS1001-1"),  # a zero inside a number is none that gets lost
        ("2027SP/CS011", "2027SP/CS11-1"),
    ],
)
def test_a_miss_suggests_first_what_differs_in_zeros_and_is_in_the_term(
    fall: World, word: str, hint: str
) -> None:
    fall.term("2027SP", starts_on="2027-01-11", ends_on="2027-05-14")
    fall.course("CS101", "CS11", "CS1001", "CS110", term="2027SP")
    refusal = fall.one("enroll", "S1", word).refusals[0]
    assert refusal.code == "unknown-course"
    assert str(refusal.hint).startswith(f"did you mean {hint}")


def test_a_code_that_no_course_has_is_said_before_which_term_was_meant(fall: World) -> None:
    fall.term("2026FA", starts_on="2020-01-06", ends_on="2020-05-15", enroll_from="-",
              enroll_until="-")  # fmt: skip
    fall.term("ALL", starts_on="2020-01-06", ends_on="2020-05-15")
    unknown, known = fall.submit("enroll", "S1", "NOPE", "CS101").refused
    assert (unknown.refusals[0].code, known.refusals[0].code) == ("unknown-course", "unknown-term")
    assert unknown.refusals[0].message == "there is no course NOPE in any term"


@pytest.mark.parametrize(("number", "near"), [("s1", "S1"), ("S 1", "S1"), ("S01", "S1")])
def test_a_missed_student_number_suggests_near_ones(fall: World, number: str, near: str) -> None:
    refusal = fall.one("enroll", number, "CS101").refusals[0]
    assert refusal.code == "unknown-student"
    assert near in str(refusal.hint)


def test_a_word_that_could_mean_two_courses_lists_them_and_does_nothing(fall: World) -> None:
    fall.course("CS101", term="2026FA", section="002")
    refusal = fall.one("enroll", "S1", "CS101").refusals[0]
    assert refusal.code == "ambiguous-course"
    assert "2026FA/CS101-001, 2026FA/CS101-002" in refusal.message
    assert fall.enrollments() == {}


def test_a_code_with_a_dash_and_a_section_that_read_the_same_are_ambiguous(fall: World) -> None:
    fall.course("CS101-001", term="2026FA", section="9")
    assert fall.one("enroll", "S1", "CS101-001").refusals[0].code == "ambiguous-course"
    assert fall.one("enroll", "S1", "CS101-001-9").result == "enrolled"


def test_a_drop_looks_among_the_students_own_courses_first(fall: World) -> None:
    fall.course("CS101", term="2027SP", section="001")
    fall.one("enroll", "S1", "2027SP/CS101")
    assert fall.one("drop", "S1", "CS101").course == "2027SP/CS101-001"
    assert fall.one("drop", "S1", "CS101").result == "unchanged"


# ── terms ──


def test_the_only_term_is_never_asked_for(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    assert world.one("enroll", "S1", "CS101").course == "ALL/CS101-1"


def test_the_enroll_window_decides_before_the_running_term(fall: World) -> None:
    fall.course("CS101", term="2027SP")
    fall.term("2027SP", enroll_from="2026-10-01", enroll_until="2026-10-20")
    assert fall.one("enroll", "S1", "CS101").course == "2027SP/CS101-1"


def test_a_term_that_has_begun_and_has_no_end_runs(world: World) -> None:
    world.student("S1")
    world.term("NOW", starts_on=TODAY)
    world.course("CS101", term="NOW")
    assert world.one("enroll", "S1", "CS101").course == "NOW/CS101-1"


def test_when_no_term_is_open_the_terms_are_listed_and_none_is_taken(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    world.term("LATER", starts_on=TODAY + timedelta(days=90))
    refusal = world.one("enroll", "S1", "CS101").refusals[0]
    assert refusal.code == "unknown-term"
    assert "ALL, LATER" in refusal.message


def test_the_only_term_is_taken_whatever_its_dates_say(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    world.term("ALL", starts_on=TODAY + timedelta(days=1))
    assert world.one("enroll", "S1", "CS101").status == "enrolled"


def test_two_running_terms_are_listed_and_none_is_taken(fall: World) -> None:
    fall.term("2026XX", starts_on="2026-10-01", ends_on="2026-10-30")
    refusal = fall.one("enroll", "S1", "CS101").refusals[0]
    assert refusal.code == "unknown-term"
    assert "2026FA, 2026XX" in refusal.message
    assert fall.one("enroll", "S1", "CS101", term="2026FA").result == "enrolled"


# ── the catalogue moves the queue ──


@pytest.fixture
def queued(fall: World) -> World:
    for number in ("S1", "S2", "S3"):
        fall.one("enroll", number, "CS101")
    return fall


def test_raising_the_capacity_promotes_and_says_whom(queued: World) -> None:
    saved = queued.course("CS101", term="2026FA", section="001", capacity=2)
    assert [p.student for p in saved.promotions] == ["S2"]


def test_lowering_the_capacity_removes_nobody(queued: World) -> None:
    queued.course("CS101", term="2026FA", section="001", capacity=0)
    assert queued.statuses()["S1", "2026FA/CS101-001"] == "enrolled"
    shown = queued.database.read(
        lambda session: views.show_course(session, "2026FA/CS101", Policy(queued.now))
    )
    assert (shown["taken"], shown["capacity"]) == (1, 0)


def test_reopening_a_course_runs_its_queue(queued: World) -> None:
    queued.course("CS101", term="2026FA", section="001", status="closed")
    assert queued.submit("drop", "S1", "CS101").promotions == []
    saved = queued.course("CS101", term="2026FA", section="001", status="open")
    assert [p.student for p in saved.promotions] == ["S2"]


def test_a_student_who_becomes_active_again_gets_the_free_seat(queued: World) -> None:
    queued.student("S2", "S3", status="inactive")
    assert queued.submit("drop", "S1", "CS101").promotions == []
    queued.student("S3", status="active")
    assert queued.statuses()["S3", "2026FA/CS101-001"] == "enrolled"
    passed = [e for e in queued.events()["2026FA/CS101-001"] if e[1] == "pass-over"]
    assert passed
    assert {event[6] for event in passed} == {"student-inactive"}


def test_extending_the_enroll_window_runs_the_queues_of_the_term(queued: World) -> None:
    queued.term("2026FA", enroll_from="2026-08-01", enroll_until="2026-10-01")
    assert queued.submit("drop", "S1", "CS101").promotions == []
    queued.term("2026FA", enroll_until="2026-10-31")
    assert queued.statuses()["S2", "2026FA/CS101-001"] == "enrolled"


def test_a_capacity_in_a_file_promotes_too(queued: World) -> None:
    result, _ = queued.import_csv("term,course,section,capacity\n2026FA,CS101,001,3\n")
    assert dict(result.totals) == {"changed": 1, "promoted": 2}


def test_cancelling_a_course_drops_everybody_as_one_operation(queued: World) -> None:
    act = queued.act("course-cancel")
    before = queued.count("operations")
    cancelled = queued.database.write(
        lambda session: cancelling.cancel_course(session, "CS101", act)
    )
    assert cancelled.course == "2026FA/CS101-001"
    assert len(cancelled.decisions) == 3
    assert set(queued.statuses().values()) == {"dropped"}
    assert queued.count("operations") == before + 1
    assert queued.one("enroll", "S4", "CS101").refusals[0].code == "course-closed"


def test_renumbering_keeps_the_enrollments(queued: World) -> None:
    act = queued.act("student-renumber")
    queued.database.write(lambda session: renumbering.renumber_student(session, "S1", "S1042", act))
    assert queued.statuses()["S1042", "2026FA/CS101-001"] == "enrolled"
    with pytest.raises(errors.AlreadyExists):
        queued.database.write(
            lambda session: renumbering.renumber_student(session, "S1042", "S2", queued.act())
        )


# ── dates ──


def test_a_past_drop_frees_the_seat_today(queued: World) -> None:
    queued.one("drop", "S1", "CS101", effective_on=TODAY)
    state = queued.enrollments()["S2", "2026FA/CS101-001"]
    assert state[:3] == ("enrolled", TODAY, TODAY)


def test_a_drop_dated_before_the_promotion_is_applied(fall: World) -> None:
    day = TODAY - timedelta(days=10)
    for number in ("S1", "S2"):
        fall.one("enroll", number, "CS101", effective_on=day)
    fall.one("drop", "S1", "CS101", effective_on=day)
    assert fall.one("drop", "S2", "CS101", effective_on=day + timedelta(days=1)).result == "dropped"


def test_the_history_tells_every_step(queued: World) -> None:
    queued.submit("drop", "S1", "CS101", reason="moved away")
    rows = queued.database.read(
        lambda session: list_events(session, Policy(queued.now), course="CS101", limit=50)
    )
    assert [(row["student"], row["action"], row["to_status"]) for row in rows] == [
        (None, "created", None),
        ("S1", "enroll", "enrolled"),
        ("S2", "enroll", "waitlisted"),
        ("S3", "enroll", "waitlisted"),
        ("S1", "drop", "dropped"),
        ("S2", "promote", "enrolled"),
    ]
    assert "moved away" in rows[4]["detail"]
    assert {row["actor"] for row in rows} == {"tester"}


def test_the_tables_equal_what_the_events_say(queued: World) -> None:
    queued.submit("withdraw", "S1", "CS101")
    queued.submit("complete", "S2", "CS101", grade="A")
    with queued.database.session(writes=False) as session:
        assert check_database(session) == []

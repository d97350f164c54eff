"""The HTTP door: every address, every answer."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.door import CALLER, Door, require_problem

TODAY = str(datetime.now(UTC).date())
HUGE = 2**63 - 1


@pytest.fixture
def campus(door: Door) -> Door:
    """Give three students, a course of one seat with a waitlist of one, and an open one."""
    door.world.term("2026FA")
    door.world.student("S1", "S2", "S3", family_name="Quillfeather", email="quill@example.org")
    door.world.course("CS101", term="2026FA", section="001", capacity=1, waitlist=1)
    door.world.course("ART", term="2026FA", section="002", credits="1.5", title="Drawing")
    return door


# ── enrolling ────────────────────────────────────────────────────────────────────────────


def test_enrolling_answers_201_with_the_enrollment(campus: Door) -> None:
    answer = campus.enroll("S1", "CS101")
    assert answer.status_code == 201
    assert answer.json() == {
        "student_id": campus.student_id("S1"),
        "student_number": "S1",
        "course_id": campus.course_id("CS101"),
        "course_ref": "2026FA/CS101-001",
        "status": "enrolled",
        "position": None,
        "enrolled_on": TODAY,
        "status_since": TODAY,
        "promoted": [],
    }
    assert campus.world.statuses() == {("S1", "2026FA/CS101-001"): "enrolled"}


def test_enrolling_again_answers_200_with_the_same_and_records_nothing(campus: Door) -> None:
    first = campus.enroll("S1", "CS101")
    again = campus.enroll("S1", "CS101")
    assert again.status_code == 200
    assert again.json() == first.json()
    assert campus.world.count("enrollment_events") == 1


def test_a_full_course_waitlists_and_tells_the_place_also_when_asked_again(campus: Door) -> None:
    campus.world.course("CS101", term="2026FA", section="001", waitlist=2)
    campus.enroll("S1", "CS101")
    campus.enroll("S2", "CS101")
    first = campus.enroll("S3", "CS101")
    again = campus.enroll("S3", "CS101")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["status"], first.json()["position"]) == ("waitlisted", 2)


def test_a_course_that_was_dropped_is_enrolled_in_anew(campus: Door) -> None:
    campus.world.one("enroll", "S1", "2026FA/CS101-001", effective_on=date(2026, 9, 1))
    campus.world.one("drop", "S1", "2026FA/CS101-001")
    answer = campus.enroll("S1", "CS101")
    assert answer.status_code == 201
    assert answer.json()["enrolled_on"] == TODAY


def test_an_older_enrollment_keeps_its_dates_in_the_answer(campus: Door) -> None:
    campus.world.one("enroll", "S1", "2026FA/CS101-001", effective_on=date(2026, 9, 1))
    answer = campus.enroll("S1", "CS101")
    assert answer.status_code == 200
    assert (answer.json()["enrolled_on"], answer.json()["status_since"]) == ("2026-09-01",) * 2


def test_a_full_course_without_room_in_its_waitlist_is_409(campus: Door) -> None:
    campus.enroll("S1", "CS101")
    campus.enroll("S2", "CS101")
    answer = campus.enroll("S3", "CS101")
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "urn:studentcli:waitlist-full"
    assert problem["code"] == "waitlist-full"
    assert problem["detail"].startswith("2026FA/CS101-001 is full (1/1 seats taken)")
    assert problem["hint"]


def test_a_refusal_lists_every_rule_that_forbids_it_and_is_recorded(campus: Door) -> None:
    campus.world.student("S1", status="inactive")
    campus.world.course("CS101", term="2026FA", section="001", status="closed", capacity=0,
                        waitlist=0)  # fmt: skip
    answer = campus.enroll("S1", "CS101")
    assert answer.status_code == 409
    problem = answer.json()
    codes = [refusal["code"] for refusal in problem["refusals"]]
    assert codes == ["student-inactive", "course-closed", "course-full"]
    assert problem["code"] == codes[0]
    assert all(refusal["detail"] for refusal in problem["refusals"])
    recorded = campus.world.events()["2026FA/CS101-001"]
    assert [event[6] for event in recorded] == ["student-inactive"]


def test_what_is_done_is_recorded_with_its_door_and_the_callers_address(campus: Door) -> None:
    campus.enroll("S1", "ART")
    campus.drop("S1", "ART")
    with campus.world.database.session(writes=False) as session:
        rows = session.execute(
            text("SELECT kind, channel, actor FROM operations WHERE channel = 'http' ORDER BY id")
        ).all()
    assert [tuple(row) for row in rows] == [
        ("enroll", "http", f"http:{CALLER}"),
        ("drop", "http", f"http:{CALLER}"),
    ]


def test_a_proxys_header_does_not_choose_whom_an_act_is_recorded_under(campus: Door) -> None:
    path = f"/students/{campus.student_id('S1')}/enroll"
    body = {"course_id": campus.course_id("ART")}
    campus.call("POST", path, json=body, headers={"X-Forwarded-For": "198.51.100.1"})
    with campus.world.database.session(writes=False) as session:
        actors = session.execute(text("SELECT actor FROM operations WHERE kind = 'enroll'"))
        assert actors.scalars().all() == [f"http:{CALLER}"]


# ── dropping ─────────────────────────────────────────────────────────────────────────────


def test_dropping_answers_200_and_again_200_without_a_second_event(campus: Door) -> None:
    campus.enroll("S1", "ART")
    first, again = campus.drop("S1", "ART"), campus.drop("S1", "ART")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["status"] == "dropped"
    assert (first.json()["student_number"], first.json()["course_ref"]) == ("S1", "2026FA/ART-002")
    assert campus.world.count("enrollment_events") == 2


def test_dropping_keeps_the_day_of_the_enrollment_in_the_answer(campus: Door) -> None:
    campus.world.one("enroll", "S1", "2026FA/ART-002", effective_on=date(2026, 9, 1))
    answer = campus.drop("S1", "ART").json()
    assert (answer["enrolled_on"], answer["status_since"]) == ("2026-09-01", TODAY)


def test_dropping_what_was_never_enrolled_is_404(campus: Door) -> None:
    answer = campus.drop("S1", "ART")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-enrolled"


def test_a_seat_that_is_dropped_goes_to_the_waitlist_which_is_told_by_number(campus: Door) -> None:
    campus.enroll("S1", "CS101")
    campus.enroll("S2", "CS101")
    answer = campus.drop("S1", "CS101")
    assert answer.json()["promoted"] == ["S2"]
    assert "Quillfeather" not in answer.text
    assert campus.world.statuses()["S2", "2026FA/CS101-001"] == "enrolled"


def test_dropping_a_waitlisted_course_leaves_the_queue(campus: Door) -> None:
    campus.enroll("S1", "CS101")
    campus.enroll("S2", "CS101")
    answer = campus.drop("S2", "CS101").json()
    assert (answer["status"], answer["position"], answer["promoted"]) == ("dropped", None, [])


@pytest.mark.parametrize(
    ("action", "more", "code"),
    [("withdraw", {}, "already-withdrawn"), ("complete", {"grade": "A"}, "already-completed")],
)
def test_dropping_what_has_ended_is_409(
    campus: Door, action: str, more: dict[str, Any], code: str
) -> None:
    campus.world.one("enroll", "S1", "2026FA/ART-002")
    campus.world.one(action, "S1", "2026FA/ART-002", **more)
    answer = campus.drop("S1", "ART")
    assert answer.status_code == 409
    assert answer.json()["code"] == code


# ── looking up ───────────────────────────────────────────────────────────────────────────


def test_a_students_courses_are_listed_in_every_state(campus: Door) -> None:
    campus.world.term("2027SP")
    campus.world.course("BIO", term="2027SP")
    campus.world.one("enroll", "S2", "2026FA/CS101-001")
    campus.world.one("enroll", "S1", "2026FA/CS101-001")
    campus.world.one("enroll", "S1", "2026FA/ART-002")
    campus.world.one("complete", "S1", "2026FA/ART-002", grade="B+")
    campus.world.one("enroll", "S1", "2027SP/BIO")
    campus.world.one("drop", "S1", "2027SP/BIO")
    answer = campus.get(f"/students/{campus.student_id('S1')}/courses")
    assert answer.status_code == 200
    listed = answer.json()
    assert listed["student_number"] == "S1"
    assert [
        (c["course_ref"], c["status"], c["position"], c["grade"], c["credits"])
        for c in listed["courses"]
    ] == [
        ("2026FA/ART-002", "completed", None, "B+", 1.5),
        ("2026FA/CS101-001", "waitlisted", 1, None, 0),
        ("2027SP/BIO-1", "dropped", None, None, 0),
    ]
    assert listed["courses"][0]["course_id"] == campus.course_id("ART")
    only = campus.get(f"/students/{listed['student_id']}/courses?term=2027SP").json()
    assert [course["course_ref"] for course in only["courses"]] == ["2027SP/BIO-1"]


def test_a_student_without_courses_has_an_empty_list(campus: Door) -> None:
    answer = campus.get(f"/students/{campus.student_id('S3')}/courses")
    assert (answer.status_code, answer.json()["courses"]) == (200, [])


def test_a_student_is_found_by_number_with_zeros_and_without_a_name(campus: Door) -> None:
    campus.world.student("00731", status="inactive", family_name="Quillfeather")
    answer = campus.client.get("/students", params={"student_number": "00731"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"student_id", "student_number", "status"}
    assert answer.json()["student_number"] == "00731"
    assert answer.json()["status"] == "inactive"


def test_a_number_that_is_written_in_another_form_of_unicode_is_found(campus: Door) -> None:
    campus.world.student("É1")
    answer = campus.client.get("/students", params={"student_number": "E\u03011"})
    assert (answer.status_code, answer.json()["student_number"]) == (200, "É1")


def test_a_course_is_found_by_its_reference_or_less_with_its_seats(campus: Door) -> None:
    campus.enroll("S1", "CS101")
    campus.enroll("S2", "CS101")
    answers = [campus.get(f"/courses?ref={ref}").json() for ref in ("2026FA/CS101-001", "CS101")]
    assert answers[0] == answers[1]
    assert answers[0] == {
        "course_id": answers[0]["course_id"], "course_ref": "2026FA/CS101-001", "term": "2026FA",
        "code": "CS101", "section": "001", "title": "CS101", "credits": 0, "status": "open",
        "capacity": 1, "taken": 1, "waitlist_capacity": 1, "waiting": 1,
    }  # fmt: skip


def test_a_word_that_could_mean_two_courses_is_409_and_lists_them(campus: Door) -> None:
    campus.world.course("CS101", term="2026FA", section="002")
    answer = campus.get("/courses?ref=CS101")
    assert answer.status_code == 409
    assert answer.json()["code"] == "ambiguous-course"
    assert "2026FA/CS101-001, 2026FA/CS101-002" in answer.json()["detail"]


def test_near_names_are_suggested_and_never_taken(campus: Door) -> None:
    student, course = (
        campus.get("/students?student_number=s1"),
        campus.get("/courses?ref=2026FA/cs101"),
    )
    assert (student.status_code, course.status_code) == (404, 404)
    assert student.json()["hint"] == "did you mean S1?"
    assert course.json()["hint"] == "did you mean 2026FA/CS101-001?"


def test_a_roster_lists_the_seated_then_the_queue_by_place_without_names(campus: Door) -> None:
    campus.world.course("CS101", term="2026FA", section="001", waitlist=5)
    for number in ("S3", "S2", "S1"):
        campus.enroll(number, "CS101")
    campus.world.student("S4")
    campus.enroll("S4", "ART")
    answer = campus.get(f"/courses/{campus.course_id('CS101')}/roster")
    assert answer.status_code == 200
    roster = answer.json()
    assert (roster["course_ref"], roster["taken"], roster["waiting"]) == ("2026FA/CS101-001", 1, 2)
    assert [(s["student_number"], s["status"], s["position"]) for s in roster["students"]] == [
        ("S3", "enrolled", None),
        ("S2", "waitlisted", 1),
        ("S1", "waitlisted", 2),
    ]
    assert roster["students"][0]["student_id"] == campus.student_id("S3")
    assert "Quillfeather" not in answer.text


@pytest.mark.parametrize("unknown", [99_999, HUGE])
def test_an_id_that_nobody_has_is_404_at_every_address(campus: Door, unknown: int) -> None:
    student, course = campus.student_id("S1"), campus.course_id("ART")
    asked = [
        ("POST", f"/students/{unknown}/enroll", {"json": {"course_id": course}}, "student"),
        ("POST", f"/students/{student}/enroll", {"json": {"course_id": unknown}}, "course"),
        ("DELETE", f"/students/{unknown}/courses/{course}", {}, "student"),
        ("DELETE", f"/students/{student}/courses/{unknown}", {}, "course"),
        ("GET", f"/students/{unknown}/courses", {}, "student"),
        ("GET", f"/courses/{unknown}/roster", {}, "course"),
    ]
    for method, path, more, what in asked:
        problem = require_problem(campus.call(method, path, **more))
        assert (problem["status"], problem["code"]) == (404, f"unknown-{what}"), path
        assert str(unknown) in problem["detail"]
        assert problem["hint"].startswith(f"GET /{what}s?")


def test_an_unknown_term_is_404_and_lists_the_terms(campus: Door) -> None:
    answer = campus.get(f"/students/{campus.student_id('S1')}/courses?term=1999")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-term")
    assert "2026FA" in answer.json()["detail"]


def test_health_is_ok_on_a_database_of_this_version(door: Door) -> None:
    answer = door.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"

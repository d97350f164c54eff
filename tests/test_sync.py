"""Sync: after it the live enrollments of the scope are what the file says."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy.orm import Session

from studentcli import errors, services
from studentcli.facts import StudentFact
from studentcli.formats.syncing import SyncReader
from studentcli.requests import Agreed, Change, CourseWord, Request, Survey
from studentcli.services.cancelling import cancel_course
from studentcli.services.syncing import read_scope
from studentcli.services.transcripts import Transcripts
from tests.desk import codes, rows
from tests.syncing import live, outcomes, sync
from tests.test_undoing import undo
from tests.threads import HELD
from tests.world import TODAY, World

HEADER = "student,course\n"


@pytest.fixture
def term(world: World) -> World:
    """Give a term with two courses without a limit and a full one with a queue, and another."""
    world.student("S1", "S2", "S3", "S4", "S5")
    world.term("FA")
    world.term("SP")
    world.course("ART", "BIO", term="FA")
    world.course("MIN", term="FA", capacity=1, waitlist=3)
    world.course("ART", term="SP")
    world.import_csv("student,course,term\nS1,ART,FA\nS2,ART,FA\nS3,MIN,FA\nS4,MIN,FA\nS1,ART,SP\n")
    return world


def refs(*pairs: str) -> set[tuple[str, str]]:
    return {(number, f"{course}-1") for number, _, course in (p.partition(" ") for p in pairs)}


# ── what it does ──


def test_the_absent_are_dropped_the_new_enrolled_and_the_rest_left_alone(term: World) -> None:
    result, taken = sync(term, "student,course\nS1,ART\nS5,BIO\nS3,MIN\nS4,MIN\n", "term=FA")
    assert live(term) == refs("S1 FA/ART", "S5 FA/BIO", "S3 FA/MIN", "S4 FA/MIN", "S1 SP/ART")
    assert outcomes(taken) == {("S2", "FA/ART-1"): "dropped", ("S5", "FA/BIO-1"): "enrolled"}
    assert dict(result.totals) == {"dropped": 1, "unchanged": 3, "enrolled": 1}


def test_a_cancelled_course_takes_nobody_and_stops_nobody_else(term: World) -> None:
    term.database.write(lambda session: cancel_course(session, "FA/BIO-1", term.act("cancel")))
    file = "student,course\nS1,ART\nS2,ART\nS5,BIO\nS3,MIN\nS4,MIN\nS5,ART\n"
    aborted, _ = sync(term, file, "term=FA")
    assert aborted.aborted
    result, taken = sync(term, file, "term=FA", on_error="skip")
    assert dict(result.totals) == {"unchanged": 4, "refused": 1, "enrolled": 1}
    assert codes(taken) == {4: "course-closed"}
    assert ("S5", "FA/ART-1") in live(term)


def test_a_sync_of_some_courses_leaves_the_others_of_the_term_alone(term: World) -> None:
    result, _ = sync(term, "student,course\nS1,ART\n", "term=FA,course=A?T")
    assert dict(result.totals) == {"dropped": 1, "unchanged": 1}
    assert ("S2", "FA/ART-1") not in live(term)
    assert ("S3", "FA/MIN-1") in live(term)


@pytest.mark.parametrize(
    ("pattern", "met"),
    [("CS*", {"CS1-1", "CS1-2"}), ("CS1-2", {"CS1-2"}), ("CS1", {"CS1-1", "CS1-2"}),
     ("*", {"CS1-1", "CS1-2", "XCS1-1", "C.1-1"}), ("C.1", {"C.1-1"}), ("?CS1", {"XCS1-1"})],
)  # fmt: skip
def test_a_pattern_is_met_by_the_code_or_by_the_whole_name_of_a_course(
    pattern: str, met: set[str]
) -> None:
    scope = read_scope(f"term=FA,course={pattern}")
    names = [("CS1", "1"), ("CS1", "2"), ("XCS1", "1"), ("C.1", "1")]
    assert {f"{code}-{section}" for code, section in names if scope.covers(code, section)} == met


def test_a_row_outside_the_scope_is_refused(term: World) -> None:
    content = "student,course,term\nS1,ART,FA\nS2,ART,SP\nS3,MIN,FA\n"
    result, taken = sync(term, content, "term=FA,course=ART", on_error="skip", absent="keep")
    assert codes(taken) == {3: "outside-scope", 4: "outside-scope"}
    assert dict(result.totals) == {"refused": 2, "unchanged": 1, "kept": 1}


def test_the_absent_can_be_kept_or_withdrawn_and_who_waits_is_dropped(term: World) -> None:
    before = rows(term, "student_courses")
    result, _ = sync(term, HEADER, "term=FA", absent="keep")
    assert (dict(result.totals), rows(term, "student_courses")) == ({"kept": 4}, before)
    sync(term, HEADER, "term=FA", absent="withdraw")
    assert term.statuses() == {
        ("S1", "FA/ART-1"): "withdrawn", ("S2", "FA/ART-1"): "withdrawn",
        ("S3", "FA/MIN-1"): "withdrawn", ("S4", "FA/MIN-1"): "dropped",
        ("S1", "SP/ART-1"): "enrolled",
    }  # fmt: skip


@pytest.mark.parametrize("absent", ["drop", "withdraw"])
def test_the_absent_past_the_deadline_are_refused_and_listed(term: World, absent: str) -> None:
    day = str(TODAY - timedelta(days=1))
    term.term("FA", drop_until=day, withdraw_until=day)
    before = rows(term, "student_courses")
    content = "student,course\nS1,ART\nS3,MIN\nS4,MIN\nS5,BIO\n"
    aborted, taken = sync(term, content, "term=FA", absent=absent)
    assert aborted.aborted
    assert outcomes(taken)["S2", "FA/ART-1"] == f"refused: {absent}-deadline"
    assert rows(term, "student_courses") == before
    result, _ = sync(term, content, "term=FA", absent=absent, on_error="skip")
    assert dict(result.totals) == {"refused": 1, "unchanged": 3, "enrolled": 1}
    assert {("S2", "FA/ART-1"), ("S5", "FA/BIO-1")} <= live(term)


def test_past_the_drop_deadline_the_absent_can_still_be_withdrawn(term: World) -> None:
    term.term("FA", drop_until=str(TODAY - timedelta(days=1)))
    result, _ = sync(term, "student,course\nS1,ART\nS3,MIN\nS4,MIN\n", "term=FA", absent="withdraw")
    assert not result.aborted
    assert term.statuses()["S2", "FA/ART-1"] == "withdrawn"


# ── order ──


def test_a_dropped_students_seat_is_free_for_a_row_of_the_file(term: World) -> None:
    sync(term, "student,course\nS5,MIN\n", "term=FA,course=MIN")
    assert term.statuses()["S5", "FA/MIN-1"] == "enrolled"


def test_a_queue_that_the_file_keeps_gets_the_seat_before_a_newcomer(term: World) -> None:
    result, _ = sync(term, "student,course\nS5,MIN\nS4,MIN\n", "term=FA,course=MIN")
    assert [p.student for p in result.promotions] == ["S4"]
    assert term.statuses()["S4", "FA/MIN-1"] == "enrolled"
    assert term.statuses()["S5", "FA/MIN-1"] == "waitlisted"


def test_who_is_absent_from_a_queue_gets_no_seat_on_the_way(term: World) -> None:
    sync(term, HEADER, "term=FA,course=MIN")
    events = [event[1] for event in term.events()["FA/MIN-1"]]
    assert "promote" not in events


def test_a_newcomer_is_not_refused_for_a_full_queue_beside_a_free_seat(term: World) -> None:
    term.course("MIN", term="FA", waitlist=1)
    sync(term, "student,course\nS4,MIN\nS5,MIN\n", "term=FA,course=MIN")
    assert term.statuses()["S4", "FA/MIN-1"] == "enrolled"
    assert term.statuses()["S5", "FA/MIN-1"] == "waitlisted"


def test_a_promotion_outside_the_scope_follows_from_a_drop_inside(term: World) -> None:
    term.course("ART", "TWO", term="FA", meetings="M 10:00-11:00")
    term.course("TWO", term="FA", capacity=1, waitlist=3)
    term.submit("enroll", "S5", "TWO", term="FA").require()
    term.submit("enroll", "S2", "TWO", term="FA").require()
    term.submit("drop", "S5", "TWO", term="FA").require()
    assert term.statuses()["S2", "FA/TWO-1"] == "waitlisted"
    result, _ = sync(term, "student,course\nS1,ART\n", "term=FA,course=ART")
    assert [(p.student, p.course) for p in result.promotions] == [("S2", "FA/TWO-1")]
    assert term.idle_seats() == []


# ── rows that say the same, or not ──


def test_rows_that_disagree_are_refused_and_their_enrollment_stays(term: World) -> None:
    content = (
        f"student,course,effective_on\nS1,ART,\nS2,ART,{TODAY}\nS2,ART,{TODAY - timedelta(3)}\n"
    )
    result, taken = sync(term, content, "term=FA,course=ART", on_error="skip")
    assert codes(taken) == {3: "rows-disagree", 4: "rows-disagree"}
    assert dict(result.totals) == {"unchanged": 1, "refused": 2}
    assert ("S2", "FA/ART-1") in live(term)


def test_the_last_of_rows_that_disagree_counts_when_asked(term: World) -> None:
    first, last = TODAY - timedelta(3), TODAY - timedelta(5)
    content = f"student,course,effective_on\nS5,BIO,{first}\nS1,ART,\nS5,BIO-1,{last}\n"
    result, _ = sync(term, content, "term=FA,course=BIO", last_wins=True, on_error="skip")
    assert dict(result.totals) == {"refused": 1, "enrolled": 1, "overruled": 1}
    assert term.enrollments()["S5", "FA/BIO-1"][1] == last


def test_rows_that_say_the_same_twice_are_one(term: World) -> None:
    content = "student,course\nS1,ART\nS2,ART\nS1,ART-1\nS5,ART\nS5,ART\n"
    result, _ = sync(term, content, "term=FA,course=ART")
    assert dict(result.totals) == {"enrolled": 1, "unchanged": 4}


def test_a_dated_row_that_is_recorded_says_nothing_new_of_what_is_over(term: World) -> None:
    content = f"student,course,effective_on\nS5,BIO,{TODAY - timedelta(9)}\n"
    sync(term, content, "term=FA,course=BIO")
    term.submit("withdraw", "S5", "FA/BIO").require()
    result, _ = sync(term, content, "term=FA,course=BIO")
    assert dict(result.totals) == {"unchanged": 1}
    assert term.statuses()["S5", "FA/BIO-1"] == "withdrawn"


@pytest.mark.parametrize("grade", [None, "A"])
def test_what_is_over_is_not_touched_named_or_not(term: World, grade: str | None) -> None:
    action = "complete" if grade else "withdraw"
    term.submit(action, "S1", "FA/ART", grade=grade).require()
    before = term.enrollments()["S1", "FA/ART-1"]
    for content in ("student,course\nS1,ART\nS2,ART\n", "student,course\nS2,ART\n"):
        result, _ = sync(term, content, "term=FA,course=ART")
        assert result.refused == 0
        assert term.enrollments()["S1", "FA/ART-1"] == before
    result, taken = sync(term, "student,course\nS1,ART\nS2,ART\n", "term=FA,course=ART",
                         strict=True, on_error="skip")  # fmt: skip
    assert codes(taken) == {2: "already-completed" if grade else "already-withdrawn"}


def test_no_override_of_a_row_takes_a_withdrawal_back(term: World) -> None:
    term.submit("withdraw", "S1", "ART", term="FA").require()
    listed = "S1,ART,already-withdrawn,dean\nS2,ART,already-withdrawn,dean\nS5,BIO,course-full,d\n"
    content = f"student,course,override,reason\n{listed}S3,MIN,,\nS4,MIN,,\n"
    result, taken = sync(term, content, "term=FA", on_error="skip")
    refused = [item.refusal for item in taken if hasattr(item, "refusal")]
    assert [(refusal.code, "already-withdrawn" in refusal.message) for refusal in refused] == [
        ("bad-value", True), ("bad-value", True)
    ]  # fmt: skip
    assert term.statuses()["S1", "FA/ART-1"] == "withdrawn"
    assert {("S2", "FA/ART-1"), ("S5", "FA/BIO-1")} <= live(term)
    assert result.totals["dropped"] == 0


@pytest.mark.parametrize(
    ("listed", "scope", "ends"),
    [
        # both are named: the seat, and the course that was to be given up for it
        ("S4,MIN\nS4,BIO\n", "term=FA", {"MIN": "enrolled", "BIO": "enrolled"}),
        # a row that says no course may mean the old one
        ("S4,MIN\nS4,NONE\n", "term=FA", {"MIN": "enrolled", "BIO": "enrolled"}),
        # only the new one is named
        ("S4,MIN\n", "term=FA", {"MIN": "enrolled", "BIO": "dropped"}),
        # the old one is not in the scope: the swap is made
        ("S4,MIN\n", "term=FA,course=MIN", {"MIN": "enrolled", "BIO": "dropped"}),
    ],
)
def test_a_pending_swap_does_not_give_up_what_the_file_names(
    term: World, listed: str, scope: str, ends: dict[str, str]
) -> None:
    term.submit("drop", "S4", "MIN", term="FA").require()
    term.submit("enroll", "S4", "BIO", term="FA").require()
    term.submit("enroll", "S4", "MIN", term="FA", instead_of="FA/BIO").require()
    before = rows(term, "student_courses")
    result, _ = sync(term, f"student,course\n{listed}", scope, on_error="skip")
    statuses = term.statuses()
    assert {code: statuses["S4", f"FA/{code}-1"] for code in ends} == ends
    given_up = [p.instead_of for p in result.promotions if p.instead_of]
    assert given_up == (["FA/BIO-1"] if scope == "term=FA,course=MIN" else [])
    assert result.totals["promoted"] == (ends["MIN"] == "enrolled")
    assert result.operation_id is not None
    undo(term, result.operation_id)
    assert rows(term, "student_courses") == before


def test_a_dated_file_is_the_truth_also_about_who_was_dropped_since(term: World) -> None:
    content = f"student,course,effective_on\nS5,BIO,{TODAY - timedelta(9)}\n"
    sync(term, content, "term=FA,course=BIO")
    assert term.enrollments()["S5", "FA/BIO-1"][1] == TODAY - timedelta(9)
    sync(term, HEADER, "term=FA,course=BIO")
    sync(term, content, "term=FA,course=BIO")
    assert term.enrollments()["S5", "FA/BIO-1"][:2] == ("enrolled", TODAY)


@pytest.mark.parametrize(
    "row", ["S1,ART,2999-01-01", "S1,ART,tomorrow", "S1,ART", "S1,ART,,,", "S1,ART, 2026-13-01"]
)
def test_a_row_that_cannot_be_right_is_refused_although_its_enrollment_is_live(
    term: World, row: str
) -> None:
    content = f"student,course,effective_on\n{row}\nS2,ART,\n"
    result, _ = sync(term, content, "term=FA,course=ART", on_error="skip")
    assert result.refused == 1
    assert ("S1", "FA/ART-1") in live(term)


@pytest.mark.parametrize(
    ("row", "kept"),
    [("S9,ART", {"S1 FA/ART", "S2 FA/ART"}), ("S3,NONE", {"S3 FA/MIN"}),
     ("S9,NONE", {"S1 FA/ART", "S2 FA/ART", "S3 FA/MIN", "S4 FA/MIN"}),
     ("S9", {"S1 FA/ART", "S2 FA/ART", "S3 FA/MIN", "S4 FA/MIN"}), ("S9,ART,SP", set()),
     ("S1,ART,SP", set())],
)  # fmt: skip
def test_nobody_is_dropped_whom_a_broken_row_may_have_meant(
    term: World, row: str, kept: set[str]
) -> None:
    content = f"student,course,term\n{row + ',FA' if row.count(',') == 1 else row}\n"
    sync(term, content, "term=FA", on_error="skip")
    assert live(term) == refs(*kept, "S1 SP/ART")


def test_every_row_is_given_when_somebody_looks(term: World) -> None:
    content = "student,course\nS1,ART\nS2,ART\nS3,MIN\nS4,MIN\n"
    brief, few = sync(term, content, "term=FA", dry_run=True)
    whole, every = sync(term, content, "term=FA", dry_run=True, every_row=True)
    assert few == [Agreed(4)]
    assert set(outcomes(every).values()) == {"unchanged"}
    assert (len(every), brief.totals) == (4, whole.totals)


def test_what_is_so_is_told_while_the_file_is_read(
    term: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "student,course\nS1,ART\nS2,ART\nS5,BIO\nS5,ART\nS3,MIN\nS4,MIN\nS1,ART\n"
    monkeypatch.setattr("studentcli.formats.source.ROWS", 1)
    for chunk in (1, 2, 3, 9):
        result, taken = sync(term, content, "term=FA", chunk=chunk, dry_run=True)
        agreed = [one.rows for one in taken if isinstance(one, Agreed)]
        assert (sum(agreed), max(agreed)) == (5, min(chunk, 5))
        assert dict(result.totals) == {"unchanged": 5, "enrolled": 2}
        [request] = [one for one in taken if not isinstance(one, Agreed)]
        assert len(request.outcomes) == 2, "a request that was open when it was told stays whole"


def test_a_few_newcomers_among_many_are_enrolled(term: World) -> None:
    """Of a course in which most rows are so the others are remembered, of another one searched."""
    many = [f"M{number}" for number in range(30)]
    term.student(*many)
    term.import_csv("student,course,term\n" + "".join(f"{one},BIO,FA\n" for one in many[:25]))
    content = HEADER + "S1,ART\nS2,ART\nS5,ART\nM1,ART\nS3,MIN\nS4,MIN\n"
    result, taken = sync(term, content + "".join(f"{one},BIO\n" for one in many[1:27]), "term=FA")
    assert dict(result.totals) == {"unchanged": 28, "enrolled": 4, "dropped": 1}
    assert outcomes(taken) == {
        ("M0", "FA/BIO-1"): "dropped", ("S5", "FA/ART-1"): "enrolled",
        **dict.fromkeys([("M1", "FA/ART-1"), *((one, "FA/BIO-1") for one in many[25:27])],
                        "enrolled"),
    }  # fmt: skip


@pytest.mark.parametrize("every_row", [False, True])
@pytest.mark.parametrize("grown", ["S4,ART\n", "S7,ART\nS8,ART\nS9,ART\n", "S7,NEW\nS8,OLD\n"])
def test_a_file_that_grows_while_it_is_read_is_refused(
    term: World, monkeypatch: pytest.MonkeyPatch, grown: str, *, every_row: bool
) -> None:
    before, survey = rows(term), SyncReader.survey

    def survey_and_grow(reader: SyncReader) -> Survey:
        found = survey(reader)
        with Path(reader.source.name).open("a") as file:
            file.write(grown)
        return found

    monkeypatch.setattr(SyncReader, "survey", survey_and_grow)
    for known in ("S1,ART\nS5,ART\n", "S1,ART\nS2,ART\nS3,MIN\nS4,MIN\n"):
        with pytest.raises(errors.FileUnreadable, match="changed while it was read"):
            sync(term, HEADER + known, "term=FA", every_row=every_row)
    assert rows(term) == before


def test_a_queue_that_can_move_is_no_reason_to_read_everybodys_record(
    term: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    term.hold("S4")
    term.submit("drop", "S3", "MIN", term="FA")  # a seat is free, and S4 may not have it
    read = Transcripts.read
    records: list[str] = []

    def read_and_note(self: Transcripts, students: list[StudentFact], pairs: Any = ()) -> None:
        records.extend(student.number for student in students)
        read(self, students, pairs)

    monkeypatch.setattr(Transcripts, "read", read_and_note)
    result, _ = sync(term, HEADER + "S1,ART\nS2,ART\nS4,MIN\n", "term=FA")
    assert dict(result.totals) == {"unchanged": 3}
    assert set(records) == {"S4"}


# ── the rest of a batch ──


def test_a_forecast_decides_what_the_sync_does(term: World) -> None:
    content = "student,course\nS1,ART\nS5,BIO\nS5,MIN\nS4,MIN\n"
    before = rows(term)
    forecast, would = sync(term, content, "term=FA", dry_run=True)
    assert rows(term) == before
    done, did = sync(term, content, "term=FA", chunk=1)
    assert (forecast.totals, forecast.promotions) == (done.totals, done.promotions)
    assert outcomes(would) == outcomes(did)


def test_an_undone_sync_was_never_done(term: World) -> None:
    before = rows(term, "student_courses")
    result, _ = sync(term, "student,course\nS5,MIN\nS5,ART\n", "term=FA")
    assert rows(term, "student_courses") != before
    assert result.operation_id is not None
    assert undo(term, result.operation_id).result == "undone"
    assert rows(term, "student_courses") == before


def test_who_gets_in_while_a_sync_waits_for_the_course_is_absent_too(term: World) -> None:
    done = Event()

    def enroll(session: Session) -> None:
        request = Request("S5", [Change("enroll", CourseWord("FA/ART"))])
        services.submit(session, request, term.act()).require()
        done.set()
        time.sleep(HELD)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(term.database.write, enroll)
        assert done.wait(20)
        result, _ = sync(term, "student,course\nS1,ART\nS2,ART\n", "term=FA,course=ART")
        running.result(30)
    assert dict(result.totals) == {"dropped": 1, "unchanged": 2}
    assert ("S5", "FA/ART-1") not in live(term)


@pytest.mark.parametrize(
    ("scope", "error"),
    [("term=XX", errors.UnknownTerm), ("term=FA,course=Z*", errors.UnknownCourse)],
)
def test_a_scope_that_is_not_there_is_not_found(
    term: World, scope: str, error: type[errors.StudentcliError]
) -> None:
    with pytest.raises(error):
        sync(term, HEADER, scope)

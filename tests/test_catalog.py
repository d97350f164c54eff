"""Students, terms and courses: adding, editing, importing and exporting records."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from studentcli import errors
from studentcli.records import COURSE, STUDENT, TERM
from studentcli.requests import Policy
from studentcli.services import renumbering
from studentcli.services.checks import check_database
from tests.world import World


def one(world: World, content: str, **options: Any) -> dict[str, int]:
    result, _ = world.import_csv(content, **options)
    return dict(result.totals)


def test_importing_reports_created_changed_and_unchanged(world: World) -> None:
    content = "student,family_name,email\n00731,King,ada@example.org\nS2,Hopper,\n"
    assert one(world, content) == {"created": 2}
    assert one(world, content) == {"unchanged": 2}
    assert one(world, "student,family_name\n00731,Lovelace\n") == {"changed": 1}
    assert one(world, "student,email\n00731,\n") == {"unchanged": 1}
    assert one(world, "student,email\n00731,-\n") == {"changed": 1}


def test_leading_zeros_stay(world: World) -> None:
    one(world, "student\n00731\n731\n")
    assert world.count("students") == 2


def test_a_key_that_comes_twice_sees_what_its_first_row_did(world: World) -> None:
    content = "student,given_name\nS1,Ada\nS2,Grace\nS1,Augusta\nS1,Augusta\n"
    assert one(world, content) == {"created": 2, "changed": 1, "unchanged": 1}


def test_every_bad_row_is_told_and_nothing_is_applied(world: World) -> None:
    content = "student,status\nS1,active\nS2,gone\n,active\nS3\n"
    result, items = world.import_csv(content)
    assert result.aborted
    assert result.refused == 3
    assert [getattr(item, "line", None) for item in items[1:]] == [3, 4, 5]
    assert world.count("students") == 0
    assert world.count("operations") == 1


def test_skipping_applies_the_good_rows(world: World) -> None:
    result, _ = world.import_csv("student,status\nS1,active\nS2,gone\n", on_error="skip")
    assert dict(result.totals) == {"created": 1, "refused": 1}
    assert world.count("students") == 1


@pytest.mark.parametrize(
    ("content", "created"),
    [
        ("term,name,starts_on,ends_on\n2026FA,Fall,2026-09-01,2026-12-18\n", {"created": 1}),
        ("term,starts_on,ends_on\n2026FA,2026-12-18,2026-09-01\n", {"refused": 1}),
        ("term,time_zone\n2026FA,Mars/Base\n", {"refused": 1}),
        ("term,starts_on\n2026FA,2026-02-30\n", {"refused": 1}),
        ("term,course,capacity\n,CS101,\n", {"created": 1}),
        ("term,course,capacity\nNOPE,CS101,3\n", {"refused": 1}),
        ("course,capacity\nCS101,-\n", {"created": 1}),
        ("course,capacity\nCS101,-1\n", {"refused": 1}),
        ("course,capacity\nCS101,1_000\n", {"refused": 1}),
        ("course,capacity\nCS101,٣\n", {"refused": 1}),
        ("course,credits\nCS101,1.25\n", {"created": 1}),
        ("course,credits\nCS101,1.255\n", {"refused": 1}),
    ],
)
def test_a_value_is_read_exactly_or_refused(
    world: World, content: str, created: dict[str, int]
) -> None:
    assert one(world, content) == created


def test_adding_what_exists_with_other_values_is_refused_and_the_same_is_not(world: World) -> None:
    world.save(STUDENT, "add", student="S1", given_name="Ada").require()
    assert world.save(STUDENT, "add", student="S1", given_name="Ada").outcomes[0].result == (
        "unchanged"
    )
    refusal = world.save(STUDENT, "add", student="S1", given_name="Bob").outcomes[0].refusal
    assert refusal is not None
    assert refusal.code == "already-exists"


@pytest.mark.parametrize(
    ("kind", "cells", "code"),
    [
        (STUDENT, {"student": "S9"}, "unknown-student"),
        (TERM, {"term": "2030FA"}, "unknown-term"),
        (COURSE, {"term": "ALL", "course": "X"}, "unknown-course"),
    ],
)
def test_editing_what_is_not_there_is_refused(
    world: World, kind: object, cells: dict[str, str], code: str
) -> None:
    refusal = world.save(kind, "edit", **cells).outcomes[0].refusal  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.code == code


def test_a_course_with_students_is_cancelled_only_by_cancelling_it(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    world.one("enroll", "S1", "CS101")
    refusal = world.save(COURSE, term="ALL", course="CS101", status="cancelled").outcomes[0].refusal
    assert refusal is not None
    assert (refusal.code, refusal.hint) == (
        "in-use",
        "studentcli course cancel ALL/CS101-1 --reason TEXT drops them",
    )
    assert world.statuses() == {("S1", "ALL/CS101-1"): "enrolled"}


def test_two_who_add_the_same_students_at_once_both_finish(world: World) -> None:
    content = "student,given_name\n" + "".join(f"S{n},Ada\n" for n in range(300))
    others = [World(world.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda other: other.import_csv(content)[0].totals, others))
    assert sum(totals["created"] for totals in found) == 300
    assert sum(totals["unchanged"] for totals in found) == 900
    assert world.count("students") == 300
    for other in others:
        other.database.dispose()


def test_every_edit_is_an_operation_that_says_what_changed(world: World) -> None:
    from studentcli.services.history import list_events

    world.course("CS101", capacity=20)
    world.course("CS101", capacity=30)
    policy = Policy(world.now)
    rows = world.database.read(partial(list_events, policy=policy, operation=2, limit=9))
    assert [(row["action"], row["changes"]) for row in rows] == [("changed", "capacity: 20 → 30")]


def test_one_course_named_with_and_without_its_term_is_one_course(world: World) -> None:
    content = "term,course,section,title\nALL,X,1,One\n,X,,Two\n"
    forecast, _ = world.import_csv(content, dry_run=True)
    assert one(world, content) == {"created": 1, "changed": 1}
    assert dict(forecast.totals) == {"created": 1, "changed": 1}


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_forecast_of_records_says_what_the_run_does(world: World, chunk: int) -> None:
    content = "student,given_name\nS1,Ann\nS1,Bea\nS1,Bea\n"
    forecast, _ = world.import_csv(content, dry_run=True, chunk=chunk)
    assert world.count("students") == 0
    assert dict(forecast.totals) == one(world, content, chunk=chunk)


def test_of_two_who_renumber_one_student_at_once_one_is_told_so(world: World) -> None:
    world.student("S1")

    def renumber(new: str) -> str:
        try:
            world.database.write(
                lambda session: renumbering.renumber_student(session, "S1", new, world.act())
            )
        except errors.UnknownStudent:
            return "too late"
        return new

    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(renumber, ("AA", "BB")))
    assert told.count("too late") == 1
    assert world.database.read(check_database) == []


def test_of_two_who_turn_a_calendar_around_at_once_one_is_refused(world: World) -> None:
    world.term("T")

    def edit(field: str, value: str) -> bool:
        saved = world.save(TERM, term="T", **{field: value})
        return saved.outcomes[0].refusal is None

    with ThreadPoolExecutor(2) as threads:
        done = list(
            threads.map(edit, ("enroll_from", "enroll_until"), ("2026-12-01", "2026-06-01"))
        )
    assert sorted(done) == [False, True]

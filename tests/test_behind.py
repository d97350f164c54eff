"""Rows that are written behind the deciding: one user of the connection at a time."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from studentcli.services import batches, bulk, writer
from studentcli.services.batches import EnrollmentUnit
from studentcli.services.behind import TURN, WriteBehind, short_turns
from studentcli.services.checks import check_database
from studentcli.services.parts import PartedBatch
from studentcli.services.transcripts import Question
from studentcli.services.writer import Rows, Stamp
from tests.world import World


class SlowLoad:
    """A load that takes its time, and says in which order things were done."""

    went_online: str | None = None
    tells_all = False

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.done: list[str] = []

    def prepare(self, rows: Rows) -> None:
        """Say that nobody had to be waited for."""
        if self.tells_all:
            self.done.append(f"prepared {rows.stamp.operation_id}")

    def write(self, rows: Rows) -> None:
        """Wait until somebody lets it go on, then use the connection."""
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        if not rows.events:
            raise ZeroDivisionError
        self.connection.exec_driver_sql("SELECT 1")
        self.done.append(f"wrote {rows.stamp.operation_id}")

    def show_events(self) -> None: ...

    def end(self) -> None: ...


def rows_of(number: int) -> Rows:
    return Rows([], [], [(None,) * 11], Stamp(number, ""))


def carry(world: World, work: Callable[[WriteBehind, SlowLoad, Session], None]) -> SlowLoad:
    """Do something in a writing transaction with a slow load."""
    loads = []

    def inside(session: Session) -> None:
        loads.append(SlowLoad(session.connection()))
        work(WriteBehind(session, loads[-1]), loads[-1], session)

    world.database.write(inside)
    return loads[-1]


def later(load: SlowLoad) -> None:
    threading.Timer(0.2, load.may_go_on.set).start()


def test_a_question_waits_for_the_chunk_under_way(world: World) -> None:
    def work(behind: WriteBehind, load: SlowLoad, session: Session) -> None:
        behind.put(rows_of(1))
        behind.go()
        assert load.done == []
        later(load)
        session.execute(text("SELECT 1"))
        load.done.append("asked")

    assert carry(world, work).done == ["wrote 1", "asked"]


def test_chunks_are_written_at_once_only_where_no_question_is_to_be_expected(
    world: World,
) -> None:
    def work(behind: WriteBehind, load: SlowLoad, session: Session) -> None:
        load.may_go_on.set()
        behind.put(rows_of(1))  # waits: the chunk before may have been decided with questions
        session.execute(text("SELECT 1"))
        load.done.append("asked")
        behind.put(rows_of(2))  # waits too: there was a question
        behind.put(rows_of(3))  # goes: there was none
        session.execute(text("SELECT 1"))
        load.done.append("asked")

    done = carry(world, work).done
    assert done == ["asked", "wrote 1", "wrote 2", "wrote 3", "asked"]


def test_a_chunk_is_prepared_before_the_wait_for_the_one_under_way(world: World) -> None:
    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        load.tells_all = True
        behind.put(rows_of(1))
        behind.go()
        later(load)
        behind.put(rows_of(2))

    assert carry(world, work).done == ["prepared 1", "prepared 2", "wrote 1", "wrote 2"]


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_file_is_prepared_where_it_is_decided_from_a_small_chunk_on(
    world: World, *, exclusive: bool
) -> None:
    """The thread that writes has only to send: the database waits for it."""
    prepared: list[tuple[bool, int]] = []
    blocks = writer._blocks

    def note(events: list[Any], *rest: Any) -> Any:
        is_beside = threading.current_thread() is not threading.main_thread()
        prepared.append((is_beside, len(events)))
        return blocks(events, *rest)

    world.student(*(f"S{n}" for n in range(9)))
    world.course("A")
    rows = "".join(f"S{n},A\n" for n in range(9))
    with (
        patch.object(writer, "_blocks", note),
        patch.object(bulk, "WORTH_IT", 0),
        patch.object(batches, "FIRST", 2),
    ):
        world.import_csv(f"student,course\n{rows}", chunk=4, exclusive=exclusive)
    assert prepared == [(False, 2), (False, 4), (False, 3)]
    assert world.count("enrollment_events") == 9


def test_the_commit_waits_for_the_chunk_under_way(world: World) -> None:
    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        behind.put(rows_of(1))
        behind.go()
        later(load)

    assert carry(world, work).done == ["wrote 1"]


def test_no_thread_starts_with_a_chunk_in_hand(world: World) -> None:
    """Ctrl-C while it starts would hide it from the wait for it, and close what it uses."""

    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        load.may_go_on.set()
        with patch.object(threading.Thread, "start", side_effect=KeyboardInterrupt):
            behind.put(rows_of(1))
            behind.go()

    assert carry(world, work).done == ["wrote 1"]


def test_the_parts_of_an_import_leave_no_threads_behind(world: World) -> None:
    """Each has a thread of its own, and the collector of cycles is off meanwhile."""
    world.student(*(f"S{n}" for n in range(30)))
    world.course("A")
    before, during = threading.active_count(), list[int]()
    commit = PartedBatch._commit

    def count(*arguments: Any) -> Any:
        during.append(threading.active_count())
        return commit(*arguments)

    rows = "".join(f"S{n},A\n" for n in range(30))
    with patch.object(PartedBatch, "_commit", count):
        world.import_csv("student,course\n" + rows, commit_every=2, chunk=2, on_error="skip")
    assert len(during) == 15
    assert max(during) <= before + 2


def test_what_stops_the_writing_stops_the_operation(world: World) -> None:
    before = world.count("terms")

    def work(behind: WriteBehind, load: SlowLoad, session: Session) -> None:
        session.execute(text("INSERT INTO terms (code, name, time_zone) VALUES ('A', 'A', 'UTC')"))
        behind.put(Rows([], [], [], Stamp(0, "")))
        behind.go()
        later(load)
        behind.end()

    with pytest.raises(ZeroDivisionError):
        carry(world, work)
    assert world.count("terms") == before


def test_a_question_is_answered_between_chunks_and_other_statements_wait_for_it(
    world: World,
) -> None:
    def work(behind: WriteBehind, load: SlowLoad, session: Session) -> None:
        def question() -> int:
            time.sleep(0.2)
            load.done.append("asked")
            return int(load.connection.exec_driver_sql("SELECT 7").scalar_one())

        behind.put(rows_of(1))
        behind.go()
        behind.ask(question)
        later(load)
        session.execute(text("SELECT 1"))
        load.done.append("went on")
        load.done.append(str(behind.answer()))

    assert carry(world, work).done == ["wrote 1", "asked", "went on", "7"]


def test_what_stops_the_writing_is_told_in_place_of_the_answer(world: World) -> None:
    """PostgreSQL answers nothing more in a transaction that is broken."""

    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        behind.put(Rows([], [], [], Stamp(0, "")))
        behind.go()
        behind.ask(lambda: load.connection.exec_driver_sql("SELECT nothing"))
        load.may_go_on.set()
        behind.answer()

    with pytest.raises(ZeroDivisionError):
        carry(world, work)


def test_a_question_that_fails_is_told_and_not_what_follows_of_it(world: World) -> None:
    """In a broken transaction of PostgreSQL the chunk behind it cannot be written either."""

    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        load.may_go_on.set()
        behind.ask(lambda: load.connection.exec_driver_sql("SELECT nothing"))
        behind.put(rows_of(1))
        behind.go()
        time.sleep(0.2)
        behind.answer()

    with pytest.raises(DBAPIError, match="SELECT nothing"):
        carry(world, work)


def test_there_is_no_answer_to_what_was_not_asked(sqlite_world: World) -> None:
    with pytest.raises(RuntimeError, match="nothing was asked"):
        carry(sqlite_world, lambda behind, *_: behind.answer())


def test_a_question_that_fails_stops_the_operation(world: World) -> None:
    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        behind.ask(lambda: load.connection.exec_driver_sql("SELECT nothing"))
        behind.answer()

    with pytest.raises(DBAPIError, match="SELECT nothing"):
        carry(world, work)


def test_what_the_next_chunk_needs_is_read_before_this_one_is_decided(world: World) -> None:
    """Whoever is decided here is known, and not read again; also a queue that moves."""
    world.student("S1", "S2", "S3", "S4")
    world.course("A", capacity=1, waitlist=9)
    world.course("B")
    world.import_csv("student,course\nS1,A\nS2,A\nS3,A\nS4,B\n")
    done: list[str] = []

    def put(question: Question) -> Any:
        is_beside = threading.current_thread() is not threading.main_thread()
        done.append("read beside" if is_beside else "read")
        return ask(question)

    def process(unit: EnrollmentUnit, items: list[Any]) -> list[Any]:
        results = go_on(unit, items)
        done.append("decided")
        return results

    ask, go_on = Question.put, EnrollmentUnit.process
    file = "action,student,course\ndrop,S1,A\nenroll,S2,A\ndrop,S2,A\nenroll,S4,B\nenroll,S4,A\n"
    with patch.object(Question, "put", put), patch.object(EnrollmentUnit, "process", process):
        _, items = world.import_csv(file, chunk=1)
    results = [outcome.result for decision in items for outcome in decision.outcomes]
    assert results == ["dropped", "unchanged", "dropped", "unchanged", "waitlisted"]
    assert world.statuses()["S3", "ALL/A-1"] == "enrolled"
    # The queue of A was read with its lock.
    assert done[0] == "read"
    assert sorted(done[1:]) == ["decided"] * 4 + ["read beside"]
    assert world.database.read(check_database) == []


def test_reading_ahead_takes_no_hold_from_who_is_decided_now(world: World) -> None:
    """In a simple catalogue only pairs that are asked for are read, with the holds each time."""
    world.student("S1")
    world.course("A", "B")
    world.hold("S1")
    rows = "S1,A,2026-08-24\nS1,B,2026-08-25\n"
    result, _ = world.import_csv(f"student,course,effective_on\n{rows}", chunk=1, on_error="skip")
    assert result.totals == {"refused": 2}


def test_what_is_read_ahead_may_hold_bytes_in_the_place_of_a_text(sqlite_world: World) -> None:
    """As what is read at once may: somebody edited the file."""
    sqlite_world.student("S1", "S2")
    sqlite_world.course("A", waitlist=1)
    sqlite_world.hold("S2")
    with sqlite_world.database.connect(writes=True) as connection:
        connection.execute(text("UPDATE holds SET reason = X'6f6e65'"))
        connection.commit()
    rows = "S1,A,2026-08-24\nS2,A,2026-08-25\n"
    result, items = sqlite_world.import_csv(
        f"student,course,effective_on\n{rows}", chunk=1, on_error="skip"
    )
    assert result.totals == {"enrolled": 1, "refused": 1}
    assert "one" in items[1].refused[0].refusals[0].message


def stop_in_a_chunk(world: World, loads: list[SlowLoad]) -> None:
    """Be interrupted while a chunk is written and there is more; gives the load in the list."""

    def work(behind: WriteBehind, load: SlowLoad, _: Session) -> None:
        loads.append(load)
        behind.put(rows_of(1))
        behind.go()
        behind.ask(lambda: load.done.append("asked"))
        assert load.has_begun.wait(10)
        later(load)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry(world, work)


def test_who_is_stopped_waits_for_what_is_under_way_before_everything_is_rolled_back(
    world: World,
) -> None:
    loads: list[SlowLoad] = []
    stop_in_a_chunk(world, loads)
    assert loads[0].done == ["wrote 1"]


def test_not_even_a_second_interruption_rolls_back_under_a_chunk_that_is_written(
    world: World,
) -> None:
    """The connection would be closed while it is in use."""
    loads: list[SlowLoad] = []
    shutdown = ThreadPoolExecutor.shutdown

    def interrupted(pool: ThreadPoolExecutor, **options: Any) -> None:
        if options["wait"] and not interruptions:
            interruptions.append(list(loads[0].done))
            raise KeyboardInterrupt
        shutdown(pool, **options)

    interruptions: list[Any] = []
    with patch.object(ThreadPoolExecutor, "shutdown", interrupted):
        stop_in_a_chunk(world, loads)
    assert interruptions == [[]]
    assert loads[0].done == ["wrote 1"]


def test_turns_are_short_only_while_a_file_is_carried_through(sqlite_world: World) -> None:
    before = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN)
    with pytest.raises(ZeroDivisionError), short_turns():
        raise ZeroDivisionError
    with patch.object(batches, "short_turns", wraps=short_turns) as turns:
        sqlite_world.import_csv("student\nS1\n")
    assert turns.called
    assert sys.getswitchinterval() == before

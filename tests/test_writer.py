"""What the bulk writer sends arrives as it was, in its order, whichever way it goes."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from studentcli.facts import Event, written_out
from studentcli.services.writer import COPY_FROM, EVENT_COLUMNS, add_events, finished_rows
from tests.world import World

NOW = datetime(2026, 9, 1, 12, 30, tzinfo=UTC)
TODAY = date(2026, 9, 1)
ODD = 'a\\b\tc\nd\re \\N "%s" é 😀'


def told(world: World, events: list[Any], table: str = "told") -> list[tuple[Any, ...]]:
    """Send events to a table like that of the events; gives what arrived, in its order."""
    with world.database.session(writes=True) as session:
        connection = session.connection()
        columns = ", ".join(EVENT_COLUMNS)
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE told AS SELECT {columns} FROM enrollment_events LIMIT 0"
        )
        add_events(connection, table, finished_rows(connection, {}, events, 7, NOW))
        rows = connection.execute(text("SELECT * FROM told"))
        return [tuple(map(str, row)) for row in rows]


def test_events_arrive_in_their_order_with_every_column(world: World) -> None:
    def other(line: int) -> Event:
        return Event(
            line, 1, 2, "complete", "waitlisted", "completed", 3, "1.0", "hold", TODAY, ODD
        )  # fmt: skip

    runs = (1, 12, 0, 100, COPY_FROM)
    events: list[Any] = []
    for length in runs:
        events += [(len(events) + n, 1, 2, TODAY.isoformat()) for n in range(length)]
        events.append(other(len(events)))

    found = told(world, events)

    assert [int(row[2]) for row in found] == list(range(len(events)))
    long = [row[5:] for row in found if row[12] == ODD]
    of_long = ("complete", "waitlisted", "completed", "3", "1.0", "hold", str(TODAY), ODD)
    assert long == [of_long for event in events if isinstance(event, Event)]
    assert found == told(world, list(map(written_out, events)))


def test_an_error_of_the_driver_comes_as_that_of_every_statement(world: World) -> None:
    with pytest.raises(DBAPIError):
        told(world, [(1, 1, 2, TODAY.isoformat())], table="nowhere")

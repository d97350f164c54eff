"""Two units of work at the same time, in an order that does not depend on luck."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from sqlalchemy.orm import Session

from tests.world import World

Unit = Callable[[Session], Any]
HELD = 0.4
"""Seconds for which the first keeps its transaction open: long enough for the second to run."""


def one_inside_the_other(world: World, first: Unit, second: Unit) -> tuple[Any, Any]:
    """Run `second` from beginning to end while `first` has done its work and not committed it.

    Returns:
        What they gave. Without a common lock the second has read what was before the first.
    """
    done = Event()

    def slow(session: Session) -> Any:
        result = first(session)
        done.set()
        time.sleep(HELD)
        return result

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(world.database.write, slow)
        assert done.wait(20)
        waiting = pool.submit(world.database.write, second)
        return running.result(30), waiting.result(30)

"""Beside the deciding: a chunk is written meanwhile, and what the next one needs is read.

The work is the database's, and Python is free for the next rows meanwhile. The connection has
one user at a time: whoever else runs a statement on it waits for what is under way. What runs here
has the connection alone, and never the session: that is no thing for threads.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Session

from studentcli.services.bulk import Load
from studentcli.services.writer import Rows

TURN: Final = 0.0005
"""Seconds after which Python lets another thread go on that wants to; 0.005 by itself."""


@contextmanager
def short_turns() -> Iterator[None]:
    """Let the threads of this process take turns more often.

    The one that writes needs a moment of Python's time after every piece that it sends. Measured
    at 1,000,000 rows on PostgreSQL: 23 seconds instead of 26.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class WriteBehind:
    """Takes finished rows chunk by chunk and hands them to a load, one chunk after the other.

    Between two chunks it has questions answered.

    Args:
        session: in the operation's writing transaction.
        load: where the rows go.
    """

    def __init__(self, session: Session, load: Load) -> None:
        self._load = load
        self._ready: Rows | None = None
        self._writing: Future[None] | None = None
        self._asking: Future[Any] | None = None
        self._stopped: BaseException | None = None
        self._asks = True
        """Whether the chunk before was decided with questions to the database."""
        self._owner = threading.get_ident()
        self._thread = ThreadPoolExecutor(1)
        # The thread starts before there is anything to do. If Ctrl-C came while it starts with a
        # chunk in hand, nobody would know of it, and the connection would be closed under it.
        self._thread.submit(int)
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", self._give_way)
        event.listen(connection, "commit", self._give_way)
        event.listen(connection, "rollback", self._leave_off)

    def put(self, rows: Rows) -> None:
        """Take the rows of a chunk and write them at once, or after the next questions (`go`)."""
        self.go()
        self._load.prepare(rows)
        self._ready = rows
        if not self._asks:
            self.go()
        self._asks = False

    def go(self) -> None:
        """Begin to write the rows that were taken: no question is expected for a while."""
        rows, self._ready = self._ready, None
        if rows is not None:
            self._require_written()
            self._writing = self._submit(self._load.write, rows)

    def ask(self, question: Callable[[], Any]) -> None:
        """Have a question answered once what is under way is done; one at a time (`answer`)."""
        self._asking = self._submit(question)

    def answer(self) -> Any:
        """Give the answer to the question, once it is there; what stopped it is raised here."""
        if self._asking is None:
            raise RuntimeError("nothing was asked")
        answer = self._asking.result()
        self._asking = None
        return answer

    def _submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        return self._thread.submit(self._unless_stopped, work, *given)

    def _unless_stopped(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do some work, unless something before it failed: that is told, not what follows of it."""
        if self._stopped is not None:
            raise self._stopped
        try:
            return work(*given)
        except BaseException as error:
            self._stopped = error
            raise

    def end(self) -> str | None:
        """Write everything, and let the tables hold it; nothing is taken after that.

        Returns:
            Why a load that was to have the tables for itself did not get them.
        """
        self.go()
        self._require_written()
        self._thread.shutdown(wait=False)
        self._load.end()
        return self._load.went_online

    def _require_written(self) -> None:
        """Wait for the chunk under way; what stopped it is raised here."""
        if self._writing is not None:
            self._writing.result()

    def _give_way(self, *_: object) -> None:
        if threading.get_ident() == self._owner:
            self._asks = True
            if self._asking is not None:
                self._asking.result()
            self._require_written()

    def _leave_off(self, *_: object) -> None:
        """Wait for what is under way before all is rolled back: something failed, and is raised.

        Nothing cuts that short, not even a second Ctrl-C: the connection is still in use.
        """
        leave_off = partial(self._thread.shutdown, wait=True, cancel_futures=True)
        with suppress(KeyboardInterrupt):
            leave_off()
        leave_off()

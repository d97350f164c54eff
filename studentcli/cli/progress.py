"""How far a file is: a bar at a terminal, lines in the log, and the place where it was stopped."""

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from studentcli import audit
from studentcli.cli.context import state

if TYPE_CHECKING:
    from studentcli.services.operations import Act

PATIENCE: Final = 1.0
"""Seconds until a bar is worth showing."""
LOG_INTERVAL: Final = 5.0
"""Seconds between two lines of the log."""


class Progress:
    """Rows done, rate and time left.

    On stderr only at a terminal and after a second; with --log-file a JSON line per interval. The
    boundary reads from `state` how far it was when it is interrupted.

    Args:
        total: how many rows there are.
        act: the operation, for the log; None for a forecast, of which nothing is logged.
        shown: whether somebody sits there.
        interval: seconds between two lines of the log.
    """

    def __init__(
        self, total: int, act: "Act | None", *, shown: bool, interval: float = LOG_INTERVAL
    ) -> None:
        self.total = total
        self.act = act
        self.shown = shown
        self.interval = interval
        self.restart()
        self._bar: Any = None
        self._task: Any = None

    def restart(self) -> None:
        """Begin at the first row again."""
        self.done = 0
        self.started = self._logged = time.monotonic()
        state.place = (0, self.total)

    def advance(self, rows: int) -> None:
        """Count rows that are done."""
        self.done += rows
        state.place = (self.done, self.total)
        now = time.monotonic()
        if self.act is not None and now - self._logged >= self.interval:
            self._logged = now
            self._log(self.act, now)
        if self.shown and now - self.started >= PATIENCE:
            self._show(now)

    def _rate(self, now: float) -> float:
        """Give rows per second."""
        return self.done / max(now - self.started, 0.001)

    def _log(self, act: "Act", now: float) -> None:
        rate = self._rate(now)
        audit.progressed(
            act.channel,
            act.actor,
            act.request_key,
            rows=self.done,
            total=self.total,
            rows_per_second=round(rate),
            seconds_left=round((self.total - self.done) / rate) if rate else None,
        )

    def _show(self, now: float) -> None:
        if self._bar is None:
            self._bar = self._make_bar()
            self._task = self._bar.add_task("importing", total=self.total, rate="")
            self._bar.start()
        self._bar.update(
            self._task, total=self.total, completed=self.done, rate=f"{self._rate(now):,.0f} rows/s"
        )

    def _make_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        return Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

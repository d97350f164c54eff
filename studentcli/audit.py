"""The audit log: one JSON line per enrollment request and one per outcome, from every door.

What other operations do to enrollments is logged as well: whom they drop, whom they promote.

Lines hold ids, codes and who acted, never a person's name, number, e-mail or grade. They are
about what was recorded: outcomes are written after the commit, and a request whose operation
fails ends in one line that says so. Event names are constants that people search for.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from studentcli import errors
from studentcli.requests import Consequences, Decision, Outcome, Promotion, Request

LOGGER: Final = logging.getLogger("studentcli.audit")
LOGGER.propagate = False
LOGGER.setLevel(logging.CRITICAL + 1)  # nobody reads it until `open_log` is called
LEVELS: Final = ("debug", "info", "warning", "error")

REQUESTED: Final = "enrollment_requested"
DECIDED: Final = "enrollment_decided"
REFUSED: Final = "enrollment_refused"
PROMOTED: Final = "enrollment_promoted"
FAILED: Final = "operation_failed"
PROGRESS: Final = "batch_progress"

IN_MEMORY: Final = 1024 * 1024
"""Bytes of lines that wait in memory for the commit; a batch's wait in a temporary file."""


def open_log(target: str, level: str) -> None:
    """Begin to write the audit log of this process.

    Args:
        target: the path of a file, to which lines are added; `-` is standard error. The file is
            made with mode 0600, and opened anew when logrotate has moved it away.
        level: one of LEVELS; `warning` writes refusals and failures alone.

    Raises:
        errors.Usage: when it cannot be written there, or the level is none.
    """
    from logging.handlers import WatchedFileHandler

    from pythonjsonlogger.json import JsonFormatter

    if level not in LEVELS:
        raise errors.Usage(f"{level!r} is no log level", hint=f"one of {', '.join(LEVELS)}")
    handler: logging.Handler
    if target == "-":
        handler = logging.StreamHandler(sys.stderr)
    else:
        try:
            os.close(os.open(target, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            handler = WatchedFileHandler(Path(target), encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "the path cannot be read"
            raise errors.Usage(
                f"the log file {target} cannot be written: {reason}",
                hint="check the path and its permissions, or leave out --log-file",
            ) from error
    handler.setFormatter(
        JsonFormatter(
            ["message", "levelname"],
            rename_fields={"message": "event", "levelname": "level"},
            timestamp="time",
        )
    )
    handler.handleError = _tell_failure  # type: ignore[method-assign]
    close_log()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level.upper())


def close_log() -> None:
    """Write no further line."""
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.setLevel(logging.CRITICAL + 1)


def _tell_failure(record: logging.LogRecord) -> None:
    """Say that a line is lost; what it is about is recorded in the database all the same."""
    sys.stderr.write(
        f"warning: the audit log cannot be written: {sys.exc_info()[1]} [{record.getMessage()}]\n"
    )


def is_on() -> bool:
    """Tell whether anybody reads the lines that tell how a request went."""
    return LOGGER.isEnabledFor(logging.WARNING)


def progressed(channel: str, actor: str, request_key: str, **counts: int | None) -> None:
    """Log how far a batch is, at once: a line that promises nothing about its outcome."""
    common = {"channel": channel, "actor": actor, "request_key": request_key}
    LOGGER.info(PROGRESS, extra={**common, **counts})


class Trail:
    """The lines of one operation; those that tell an outcome wait until its fate is known.

    Args:
        channel: the door.
        actor: who acts.
        request_key: tells the operation's lines apart before it has a number.
    """

    def __init__(self, channel: str, actor: str, request_key: str) -> None:
        self._common = {"channel": channel, "actor": actor, "request_key": request_key}
        self._begun = time.monotonic()
        self._waiting: IO[str] | None = None
        self.operation_id: int | None = None

    def asked(self, request: Request) -> None:
        """Log what a request asks for, before anything is done about it."""
        LOGGER.info(REQUESTED, extra=self._common | _asked(request))

    def asked_and_decided(self, decision: Decision) -> None:
        """Keep the lines of one request of a batch."""
        if LOGGER.isEnabledFor(logging.INFO):
            self._keep(logging.INFO, REQUESTED, _asked(decision.request))
        self.decided(decision)

    def decided(self, decision: Decision) -> None:
        """Keep a line per outcome of a request, and per promotion that it led to."""
        for outcome in decision.outcomes:
            level = logging.WARNING if outcome.is_refused else logging.INFO
            if LOGGER.isEnabledFor(level):
                self._keep(level, REFUSED if outcome.is_refused else DECIDED, _fields(outcome))
        self.promoted(decision.promotions)

    def promoted(self, promotions: Iterable[Promotion]) -> None:
        """Keep a line per student whom a waitlist gave a seat."""
        if LOGGER.isEnabledFor(logging.INFO):
            for promotion in promotions:
                fields = {"student_id": promotion.student_id, "course": promotion.course}
                self._keep(logging.INFO, PROMOTED, fields)

    def followed(self, by: Consequences) -> None:
        """Keep the lines of what an operation that is no request did to enrollments."""
        self.operation_id = by.operation_id
        for decision in by.decisions:
            self.decided(decision)
        self.promoted(by.promotions)

    def restart(self) -> None:
        """Forget what waits: the operation is run again."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def recorded(self) -> None:
        """Write what waited: the operation is over."""
        common = self._common | {"operation_id": self.operation_id, "duration_ms": self._duration()}
        for level, event, fields in self._kept():
            LOGGER.log(level, event, extra=common | fields)

    def failed(self, error: errors.StudentcliError) -> None:
        """Write that nothing came of the operation."""
        if LOGGER.isEnabledFor(logging.ERROR):
            fields = {"code": error.code, "duration_ms": self._duration()}
            LOGGER.error(FAILED, extra=self._common | fields)

    def _duration(self) -> int:
        return round((time.monotonic() - self._begun) * 1000)

    def _keep(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._waiting is None:
            self._waiting = tempfile.SpooledTemporaryFile(  # noqa: SIM115  (`restart` closes it)
                IN_MEMORY, "w+", encoding="utf-8"
            )
        self._waiting.write(json.dumps([level, event, fields]) + "\n")

    def _kept(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        if self._waiting is None:
            return
        with self._waiting as lines:
            lines.seek(0)
            for line in lines:
                yield json.loads(line)
        self._waiting = None


@contextmanager
def following(channel: str, actor: str, request_key: str) -> Iterator[Trail]:
    """Follow an operation to its end: its lines are written when it is committed.

    Args:
        channel: the door.
        actor: who acts.
        request_key: tells the operation's lines apart before it has a number.
    """
    trail = Trail(channel, actor, request_key)
    try:
        yield trail
    except errors.StudentcliError as error:
        trail.failed(error)
        raise
    else:
        trail.recorded()
    finally:
        trail.restart()


def _asked(request: Request) -> dict[str, Any]:
    """Give the fields of a request's line; a student's number is no matter for a log."""
    first = request.changes[0]
    fields: dict[str, Any] = {"actions": [change.action for change in request.changes]}
    if isinstance(request.student, int):
        fields["student_id"] = request.student
    if isinstance(first.course, int):
        fields["course_ids"] = [change.course for change in request.changes]
    else:
        fields["courses"] = [str(change.course) for change in request.changes]
    return fields if first.line is None else fields | {"line": first.line}


def _fields(outcome: Outcome) -> dict[str, Any]:
    """Give the fields of an outcome's line."""
    found = {
        "student_id": outcome.student_id,
        "course_id": outcome.course_id,
        "course": outcome.course,
        "action": outcome.change.action,
        "result": outcome.result,
        "status": outcome.status,
        "position": outcome.position,
        "line": outcome.change.line,
        "code": outcome.refusals[0].code if outcome.refusals else None,
    }
    return {name: value for name, value in found.items() if value is not None}

"""The edge of HTTP: the only place that turns what happened into a problem document (RFC 9457)."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from studentcli import errors
from studentcli.requests import Outcome, Refusal

MEDIA_TYPE: Final = "application/problem+json"
MOST_ERRORS: Final = 20
MOST_NAME: Final = 64

logger = logging.getLogger("studentcli.api")


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    location: str = Field(description="path, query or body.", examples=["body"])
    field: str | None = Field(default=None, examples=["course_id"])
    detail: str


class RefusalDetail(BaseModel):
    """One rule that forbids the change."""

    code: str = Field(examples=["course-full"])
    detail: str
    hint: str | None = None


class Problem(BaseModel):
    """Why a request was not carried out; nothing was changed."""

    type: str = Field(
        description="`urn:studentcli:` and the code; `about:blank` for what HTTP itself defines.",
        examples=["urn:studentcli:course-full"],
    )
    title: str = Field(description="The kind of problem in one sentence, the same for its code.")
    status: int
    detail: str = Field(examples=["2026FA/CS101-001 is full (30/30 seats taken)"])
    code: str = Field(description="Stable; the code of the command line.", examples=["course-full"])
    hint: str | None = Field(default=None, description="What to do next.")
    refusals: list[RefusalDetail] | None = Field(
        default=None, description="Every rule that forbids the change, the first one first."
    )
    errors: list[FieldError] | None = Field(
        default=None, description="What is wrong with the request, field by field."
    )


HTTP_PROBLEMS: Final[Mapping[int, tuple[str, str, str, str | None]]] = {
    400: ("bad-request", "Bad request", "the body cannot be read", "send JSON in UTF-8"),
    404: ("not-found", "Not found", "there is nothing at this address", "GET /docs lists them all"),
    405: ("method-not-allowed", "Method not allowed", "this address has no such method",
          "the Allow header names its methods"),
    413: ("body-too-large", "Body too large", "the body is longer than any request needs", None),
    415: ("not-json", "Body is no JSON", "the body is no JSON by its Content-Type",
          "send it as application/json"),
    500: ("internal-error", "Internal error", "this is a fault of the server, which has logged it",
          None),
}  # fmt: skip
"""What HTTP itself defines: status → code, title, detail, hint."""

HINTS: Final[Mapping[str, str]] = {
    "unknown-student": "GET /students?student_number=S1042 finds the id of a student",
    "unknown-course": "GET /courses?ref=2026FA/CS101-001 finds the id of a course",
    "unknown-term": "write the term as it is listed, in front of the course or as term=",
    "busy": "send the request again after the seconds in Retry-After",
}
"""What to do over HTTP where the command line's own default hint names a command or option."""

_RANGE: Final = "is out of range: expected 1 to 9223372036854775807"
MALFORMED: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not expected here",
    "int_type": "is no integer",
    "greater_than_equal": _RANGE,
    "less_than_equal": _RANGE,
    "string_too_short": "is empty",
    "string_too_long": "is longer than 64 characters",
    "string_unicode": "is no UTF-8",
    "too_long": "is given too often",
    "string_pattern_mismatch": "holds a control character",
    "model_attributes_type": "is no JSON object",
    "model_type": "is no JSON object",
}
"""What is wrong with a value, in our words instead of the library's: its kind → a sentence."""

RETRY_AFTER: Final[Mapping[str, int]] = {"busy": 1}
RETRY_AFTER_OUTAGE: Final = 10

DOCUMENTED: Final[Mapping[int, str]] = {
    400: "The body cannot be read.",
    404: "There is no such student, course, term or enrollment.",
    409: "A rule forbids it, or the word could mean several courses.",
    413: "The body is too long.",
    415: "The body is no JSON by its Content-Type.",
    422: "An id, a parameter or the body is malformed.",
    500: "A fault of the server.",
    503: "Busy, or the database cannot be used: try again after Retry-After seconds.",
}


class RequestRefused(Exception):
    """A rule forbids the change. The refusal itself is recorded by then."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(refusals[0].message)
        self.refusals = refusals


def require_granted(outcome: Outcome) -> Outcome:
    """Give an outcome back unless it is refused.

    Raises:
        RequestRefused: with all its refusals.
    """
    if outcome.is_refused:
        raise RequestRefused(outcome.refusals)
    return outcome


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe problem answers for OpenAPI: those named, and those that every address can give."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": DOCUMENTED[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({*statuses, 413, 422, 500, 503})
    }
    responses[503]["headers"] = {
        "Retry-After": {
            "description": "Seconds to wait.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    }
    return responses


def _respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    # ASCII: a name that somebody sent may hold halves of characters, which UTF-8 has no bytes for.
    content = json.dumps(problem.model_dump(exclude_none=True))
    return Response(content, problem.status, headers, MEDIA_TYPE)


def http_problem(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a problem that HTTP itself defines."""
    code, title, detail, hint = HTTP_PROBLEMS[status]
    return _respond(
        Problem(type="about:blank", title=title, status=status, detail=detail, code=code,
                hint=hint),
        headers,
    )  # fmt: skip


def _hint(error: errors.StudentcliError) -> str | None:
    return HINTS.get(error.code, error.hint) if error.hint == error.default_hint else error.hint


def _problem_of(error: errors.StudentcliError, **more: Any) -> Problem:
    return Problem(
        type=f"urn:studentcli:{error.code}",
        title=(error.__doc__ or error.code).rstrip("."),
        status=error.http_status,
        detail=error.message,
        code=error.code,
        hint=_hint(error),
        **more,
    )


async def _on_studentcli_error(_request: Request, raised: Exception) -> Response:
    error = cast("errors.StudentcliError", raised)
    problem = _problem_of(error)
    if problem.status < 500:
        return _respond(problem)
    # Where the database is, and whom it waits for, is for the log.
    logger.error("%s: %s", error.code, error.message)
    problem.detail = f"{problem.title[0].lower()}{problem.title[1:]}"
    seconds = RETRY_AFTER.get(error.code, RETRY_AFTER_OUTAGE)
    return _respond(problem, {"Retry-After": str(seconds)} if problem.status == 503 else None)


async def _on_refusal(_request: Request, raised: Exception) -> Response:
    found = [refusal.error() for refusal in cast("RequestRefused", raised).refusals]
    listed = [RefusalDetail(code=e.code, detail=e.message, hint=_hint(e)) for e in found]
    return _respond(_problem_of(found[0], refusals=listed))


async def _on_malformed(_request: Request, raised: Exception) -> Response:
    found = cast("RequestValidationError", raised).errors()
    wrong = [_field_error(item) for item in found[:MOST_ERRORS]]
    kind = errors.MalformedId if any(e.location == "path" for e in wrong) else errors.BadValue
    first = wrong[0]
    message = f"{first.field or first.location}: {first.detail}"
    return _respond(_problem_of(kind(message, hint="GET /docs describes the request"),
                                errors=wrong))  # fmt: skip


def _field_error(item: Mapping[str, Any]) -> FieldError:
    """Say what is wrong and where; never the value, which may be anything."""
    location, *names = item["loc"]
    kind = item.get("type")
    if kind == "json_invalid":
        detail = f"is no JSON: {item['ctx']['error']} at character {names[0]}"
        return FieldError(location="body", detail=detail)
    name = ".".join(map(str, names))[:MOST_NAME] or None
    detail = MALFORMED.get(str(kind)) or str(item["msg"])
    return FieldError(location=str(location), field=name, detail=detail)


async def _on_http(_request: Request, raised: Exception) -> Response:
    error = cast("HTTPException", raised)
    return http_problem(error.status_code, error.headers)


async def _on_bug(_request: Request, _error: Exception) -> Response:
    return http_problem(500)  # the server logs the traceback


def add_problem_handlers(app: FastAPI) -> None:
    """Let every answer that is no success be a problem document."""
    app.add_exception_handler(errors.StudentcliError, _on_studentcli_error)
    app.add_exception_handler(RequestRefused, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)

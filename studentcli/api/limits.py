"""What a request may be: a bounded body of JSON, and no query parameter that nothing reads."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studentcli.api.problems import http_problem


class BodyLimit:
    """Refuses a body that is too long before anything is done, and without reading it to its end.

    FastAPI's own limit lets a route that takes no body run first, and answers in plain text.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless its declared length is too long; count what comes in chunks."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > self.max_body:
            await http_problem(413)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_counted, send)


async def require_json(request: Request) -> None:
    """Refuse a body of another kind: a form that a strange web page sends is no JSON either."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if not is_json and await request.body():
        raise HTTPException(415)


def only_query(
    *names: str, lists: str | None = None
) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """Make a check that a request has no other query parameters than these, and each once.

    A mistyped filter would otherwise answer with everything.

    Args:
        names: the parameters.
        lists: one more, which may come several times.
    """
    known = (*names, *([lists] if lists else ()))

    async def check(request: Request) -> None:
        counts = Counter(name for name, _ in request.query_params.multi_items())
        wrong = [
            {"loc": ("query", name), "msg": "is given more than once" if name in known
             else f"is no parameter of this address; it has {' and '.join(known) or 'none'}"}
            for name, count in counts.items()
            if name not in known or (count > 1 and name != lists)
        ]  # fmt: skip
        if wrong:
            raise RequestValidationError(wrong)

    return check

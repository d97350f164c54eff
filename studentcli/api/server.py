"""Running the application until a signal stops it."""

import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()


def run(
    app: FastAPI, listener: socket.socket, *, patience: float, ready: Callable[[], None]
) -> None:
    """Answer requests until SIGINT or SIGTERM; those under way are finished first.

    Args:
        app: the application.
        listener: a TCP socket, bound to the address to listen on; it is closed at the end.
        patience: seconds for which requests under way may go on after the signal.
        ready: called once, when the first request can be answered.
    """
    config = uvicorn.Config(
        app,
        log_config=None,  # the process's own logging, on stderr
        access_log=False,
        lifespan="off",
        ws="none",
        # An X-Forwarded-For would let every caller choose the name it is recorded under.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(patience)),
    )
    # asyncio sets TCP_NODELAY only where the socket says TCP, which `socket.create_server` leaves
    # out: without it every answer waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(
        listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach()
    )
    # uvicorn raises the signal again when it is done, for whoever handled it before.
    with suppress(KeyboardInterrupt):
        _Server(config, ready).run(sockets=[listener])

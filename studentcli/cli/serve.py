"""serve: the HTTP door."""

import socket
from typing import TYPE_CHECKING, Annotated

import typer

from studentcli import errors
from studentcli.cli.context import Cli
from studentcli.cli.framework import command
from studentcli.settings import WAIT_AT_TERMINAL

if TYPE_CHECKING:
    from studentcli.database import Database

POOL_SIZE = 8
"""Connections to the database. A rush of requests waits here, where it can be told to try again."""


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise errors.Usage(
            f"serve needs {' and '.join(missing)}, which this installation lacks",
            hint="pip install 'studentcli[api]'",
        )


def _listen(host: str, port: int) -> socket.socket:
    """Take the address, so that a wrong one is told before anything else is begun."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise errors.Usage(
            f"cannot listen on {host} port {port}: {reason}",
            hint="--port names another port, --port 0 takes a free one",
        ) from error


def _is_loopback(listener: socket.socket) -> bool:
    from ipaddress import ip_address

    return ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _for_threads(cli: Cli) -> "Database":
    """Give the database in use with a pool; what it cannot do is told now and not by requests."""
    from studentcli.database import Database

    wait = WAIT_AT_TERMINAL if cli.settings.wait is None else cli.settings.wait
    database = Database(cli.database.url, wait=wait, pool_size=POOL_SIZE)
    database.read(lambda _session: None)
    return database


def add_to(app: typer.Typer) -> None:
    """Declare the command."""

    @command(app, panel="Service")
    def serve(
        cli: Cli,
        *,
        host: Annotated[
            str, typer.Option("--host", metavar="HOST", help="The address to listen on.")
        ] = "127.0.0.1",
        port: Annotated[
            int,
            typer.Option(
                "--port", metavar="PORT", min=0, max=65_535, help="The port; 0 takes a free one."
            ),
        ] = 8000,
    ) -> None:
        """Answer HTTP requests until Ctrl-C stops it.

        Example: studentcli serve --port 8000
        """
        _require_extra()
        import logging

        from studentcli import render
        from studentcli.api import create_app, server

        database = _for_threads(cli)
        listener = _listen(host, port)
        if not _is_loopback(listener):
            render.note(
                f"warning: {host} can be reached from other machines, and there is no"
                " authentication: whoever reaches it can enroll and drop"
            )
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        place = _url_of(listener)

        def ready() -> None:
            cli.done(f"listening on {place}, database {database}; Ctrl-C stops it")

        try:
            server.run(create_app(database), listener, patience=database.wait + 5, ready=ready)
        finally:
            database.dispose()
        cli.done("stopped")

"""`studentcli serve` as people start it: a process of its own on the loopback interface."""

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.conftest import Run
from tests.world import World

HIDE = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name == "uvicorn" else real(name, package)
)
sys.argv = ["studentcli", "serve"]
from studentcli.cli import main
main()
"""


class Server:
    """A running `studentcli serve`.

    Args:
        process: the process.
        said: its first line on stderr, without warnings.
    """

    def __init__(self, process: "subprocess.Popen[str]", said: list[str]) -> None:
        self.process = process
        self.said = said
        found = re.search(r"http://(\S+):([0-9]+)", said[-1])
        assert found, said
        self.host, self.port = found[1].strip("[]"), int(found[2])

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request over a connection of its own."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=30)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        line.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = line.getresponse()
        content = json.loads(answer.read())
        line.close()
        return answer.status, content

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; gives the exit code and what was still said."""
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr


@contextmanager
def serving(world: World, *arguments: str) -> Iterator[Server]:
    """Serve a world's database on a free port until the test is over."""
    process = subprocess.Popen(
        [sys.executable, "-m", "studentcli", "serve", "--port", "0", *arguments],
        env={
            "PATH": os.environ["PATH"], "HOME": "/nonexistent",
            "STUDENTCLI_DATABASE_URL": world.url,
        },
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said: list[str] = []
        while not said or "listening" not in said[-1]:
            ready, _, _ = select.select([process.stderr], [], [], 30)
            line = process.stderr.readline() if ready else ""
            assert line, (said, process.poll())
            said.append(line)
        yield Server(process, said)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_serve_says_where_it_listens_and_answers(world: World) -> None:
    world.student("S1")
    world.course("CS101")
    with serving(world) as server:
        assert server.host == "127.0.0.1"
        shown = str(world.database)
        assert server.said == [
            f"listening on http://127.0.0.1:{server.port}, database {shown}; Ctrl-C stops it\n"
        ]
        assert server.call("GET", "/health")[0] == 200
        status, enrollment = server.call("POST", "/students/1/enroll", {"course_id": 1})
        assert (status, enrollment["student_number"]) == (201, "S1")
        code, stderr = server.stop()
    assert (code, stderr) == (0, "stopped\n")
    assert world.statuses() == {("S1", "ALL/CS101-1"): "enrolled"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_with_exit_0_by_either_signal(sqlite_world: World, number: int) -> None:
    with serving(sqlite_world) as server:
        assert server.stop(number) == (0, "stopped\n")


def test_a_request_under_way_is_finished_before_serve_ends(sqlite_world: World) -> None:
    sqlite_world.student("S1")
    sqlite_world.course("CS101")
    answers: list[Any] = []
    with serving(sqlite_world) as server:
        with sqlite_world.database.connect(writes=True) as connection:
            asking = threading.Thread(
                target=lambda: answers.append(
                    server.call("POST", "/students/1/enroll", {"course_id": 1})
                )
            )
            asking.start()
            time.sleep(0.7)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.execute(text("SELECT 1"))
        asking.join(30)
        _, stderr = server.process.communicate(timeout=30)
        assert (server.process.returncode, stderr) == (0, "stopped\n")
    assert answers[0][0] == 201
    assert sqlite_world.count("student_courses") == 1


def test_serve_says_nothing_with_quiet_but_warns_where_others_can_reach_it(
    sqlite_world: World,
) -> None:
    with serving(sqlite_world, "--host", "0.0.0.0") as server:  # noqa: S104  (that is the test)
        assert server.said[0].startswith("warning: 0.0.0.0 can be reached from other machines")
        assert "no authentication" in server.said[0]
        server.host = "127.0.0.1"
        assert server.call("GET", "/health")[0] == 200


def test_a_port_that_is_taken_is_told_before_anything_is_served(
    sqlite_world: World, run: Run
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, database=sqlite_world.url)
    assert done.returncode == 2
    assert f"error: cannot listen on 127.0.0.1 port {port}: " in done.stderr
    assert "hint: --port names another port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "300.1.1.1", "a b", "x" * 300, "198.51.100.1"]
)
def test_a_host_that_cannot_be_listened_on_is_told(
    sqlite_world: World, run: Run, host: str
) -> None:
    done = run("serve", "--host", host, "--port", "0", database=sqlite_world.url)
    assert done.returncode == 2
    assert "error: cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http", "١"])
def test_a_port_that_is_none_is_a_usage_error(sqlite_world: World, run: Run, port: str) -> None:
    done = run("serve", "--port", port, database=sqlite_world.url)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_database_that_is_missing_or_not_migrated_is_exit_7(
    run: Run, tmp_path: Path, new_database: Any, engine: str
) -> None:
    missing = run("serve", "--port", "0", database=str(tmp_path / "none.db"))
    empty = run("serve", "--port", "0", database=new_database(engine, empty=True)
                if engine == "postgresql" else empty_file(tmp_path))  # fmt: skip
    assert (missing.returncode, empty.returncode) == (7, 7)
    assert "studentcli db init" in missing.stderr
    assert "[schema-mismatch]" in empty.stderr


def empty_file(folder: Path) -> str:
    path = folder / "empty.db"
    path.touch()
    return str(path)


def test_without_its_extra_serve_says_what_to_install(sqlite_world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDE],
        env={"PATH": os.environ["PATH"], "STUDENTCLI_DATABASE_URL": sqlite_world.url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: serve needs uvicorn" in done.stderr
    assert "hint: pip install 'studentcli[api]'" in done.stderr


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(sqlite_world: World) -> None:
    times = []
    with serving(sqlite_world) as server:
        line = http.client.HTTPConnection(server.host, server.port, timeout=30)
        for _ in range(40):
            begun = time.perf_counter()
            line.request("GET", "/health")
            line.getresponse().read()
            times.append(time.perf_counter() - begun)
        line.close()
    # Linux delays an acknowledgement by 40 ms; without TCP_NODELAY most answers took that long.
    assert sorted(times)[len(times) // 2] < 0.035


def test_a_huge_body_is_refused_while_it_is_still_being_sent(sqlite_world: World) -> None:
    with serving(sqlite_world) as server:
        for head in (f"Content-Length: {100 * 2**20}", "Transfer-Encoding: chunked"):
            with socket.create_connection((server.host, server.port), 30) as line:
                line.sendall(
                    f"POST /students/1/enroll HTTP/1.1\r\nHost: x\r\n{head}\r\n"
                    "Content-Type: application/json\r\n\r\n".encode()
                )
                if "chunked" in head:
                    line.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
                assert line.recv(65_536).startswith(b"HTTP/1.1 413 ")
        assert server.call("GET", "/health")[0] == 200

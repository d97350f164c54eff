"""The words in which tests speak HTTP: students and courses by the names that people know."""

from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.testclient import TestClient

from studentcli.api import create_app
from studentcli.database import Database
from tests.world import World

CALLER = "192.0.2.7"


class Door:
    """The application on a world's database, called without a network.

    Args:
        world: the world.
        wait: seconds to wait for others' locks.
        pool_size: connections to the database.
    """

    def __init__(self, world: World, *, wait: float = 30.0, pool_size: int = 8) -> None:
        self.world = world
        self.database = Database(world.database.url, wait=wait, pool_size=pool_size)
        self.app: FastAPI = create_app(self.database)
        self.client = TestClient(
            self.app, raise_server_exceptions=False, client=(CALLER, 50_000), follow_redirects=False
        )

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()
        self.database.dispose()

    def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Send a request; every answer that is no success must be a whole problem document."""
        answer: httpx2.Response = self.client.request(method, path, **more)
        if not answer.is_success:
            require_problem(answer)
        return answer

    def get(self, path: str) -> httpx2.Response:
        """Send a GET."""
        return self.call("GET", path)

    def student_id(self, number: str) -> int:
        """Find the id of a student."""
        found = self.client.get("/students", params={"student_number": number})
        return int(found.json()["student_id"])

    def course_id(self, ref: str) -> int:
        """Find the id of a course."""
        return int(self.client.get("/courses", params={"ref": ref}).json()["course_id"])

    def enroll(self, number: str, ref: str) -> httpx2.Response:
        """Enroll a student in a course."""
        body = {"course_id": self.course_id(ref)}
        return self.call("POST", f"/students/{self.student_id(number)}/enroll", json=body)

    def drop(self, number: str, ref: str) -> httpx2.Response:
        """Drop a course of a student."""
        path = f"/students/{self.student_id(number)}/courses/{self.course_id(ref)}"
        return self.call("DELETE", path)


def require_problem(answer: httpx2.Response) -> dict[str, Any]:
    """Give a problem document; fail when the answer is anything else."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert {"type", "title", "detail", "code"} <= set(problem)
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
    return problem

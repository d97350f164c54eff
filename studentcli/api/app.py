"""The application: routes, the boundary of problems, the bound on bodies, the OpenAPI document."""

from typing import Any, Final

from fastapi import FastAPI

from studentcli import __version__
from studentcli.api.limits import BodyLimit
from studentcli.api.problems import Problem, add_problem_handlers
from studentcli.api.routes import router
from studentcli.api.schemas import EnrollRequest
from studentcli.database import Database

DESCRIPTION: Final = """\
Student enrollment over HTTP: the same services and the same rules as the `studentcli` command line.

Ids are the database's own: `GET /students` and `GET /courses` find them by student number and by
course reference. Every refusal and every error is an `application/problem+json` document
(RFC 9457) whose `code` is the code that the command line prints.

There is no authentication: whoever reaches this port can enroll and drop.
"""


class Api(FastAPI):
    """FastAPI, with an OpenAPI document that also has the models below."""

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document, made at the first call."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            schemas = document["components"]["schemas"]
            # Problem, because FastAPI knows no other media type for the model of an answer;
            # EnrollRequest, because it writes a body's bounds as floats, and 2^63-1 is none.
            for model in (Problem, EnrollRequest):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
        return document


def create_app(database: Database, *, max_body: int = 16_384) -> FastAPI:
    """Make the application on a database.

    Args:
        database: with a `pool_size`, so that requests share connections; the caller disposes it.
        max_body: the most bytes that a request body may have.
    """
    app = Api(
        title="studentcli",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        redirect_slashes=False,  # one thing has one address
        generate_unique_id_function=lambda route: route.name.replace("_", "-"),
    )
    app.state.database = database
    app.add_middleware(BodyLimit, max_body=max_body)
    add_problem_handlers(app)
    app.include_router(router)
    return app

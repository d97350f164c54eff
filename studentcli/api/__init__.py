"""The HTTP door: routes parse, call one service function, answer. The only package with FastAPI."""

from studentcli.api.app import create_app

__all__ = ["create_app"]

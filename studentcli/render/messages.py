"""stderr: notes, refusals and errors in their one form."""

import json
import sys

from studentcli import errors
from studentcli.render.text import safe_text
from studentcli.requests import Refusal


def note(text: str) -> None:
    """Say something that is not data."""
    sys.stderr.write(f"{safe_text(text)}\n")


def refused(refusal: Refusal, fmt: str) -> None:
    """Print a refusal in the one error form."""
    error(refusal.error(), fmt)


def error(problem: errors.StudentcliError, fmt: str | None) -> None:
    """Print an error on stderr: what is wrong, its code, and what to do next."""
    if fmt in {"json", "jsonl"}:
        content = {
            "error": {"code": problem.code, "message": problem.message, "hint": problem.hint}
        }
        sys.stderr.write(json.dumps(content) + "\n")
        return
    sys.stderr.write(f"error: {safe_text(problem.message)} [{problem.code}]\n")
    if problem.hint:
        sys.stderr.write(f"hint: {safe_text(problem.hint)}\n")

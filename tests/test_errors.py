"""Codes and exit codes are what people script against."""

import re
from pathlib import Path

import pytest

from studentcli import errors, rules
from studentcli.errors import BY_CODE, ExitStatus, all_errors

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_code_is_unique_and_kebab_case() -> None:
    codes = [error.code for error in all_errors()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_code_is_documented_with_its_exit_status(error: type[errors.StudentcliError]) -> None:
    assert re.search(rf"^\| `{error.code}` \| {int(error.exit_status)} \|", README, re.MULTILINE)
    assert error.__doc__
    assert 400 <= error.http_status < 600


@pytest.mark.parametrize("status", ExitStatus)
def test_every_exit_status_is_documented(status: ExitStatus) -> None:
    assert re.search(rf"^\| {int(status)} \|", README, re.MULTILINE)


def test_every_code_of_the_rules_is_an_error() -> None:
    verdicts = set(rules.TRANSITIONS.values())
    codes = {verdict for verdict in verdicts if "-" in verdict}
    assert codes <= set(BY_CODE)
    assert set(BY_CODE) >= rules.OVERRIDABLE

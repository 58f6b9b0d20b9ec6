"""Standard streams of the builder: closed ones, and those that nobody reads, stop no command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stand_ins.streams import CLOSED, LEFT, check_quiet, ended, ended_without_reader

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams are closed as a shell does it")

COMMANDS = [
    ("report dataset --output PAGE", 0),
    ("plan --help", 0),
    ("plan --sweep none --gpu h200", 2),
    ("frobnicate", 2),
]


def asked(command: str, page: Path) -> list[str]:
    return ["-m", "builder", *(str(page) if word == "PAGE" else word for word in command.split())]


@pytest.mark.parametrize(("command", "code"), COMMANDS)
@pytest.mark.parametrize("how", CLOSED)
def test_closed_streams_are_no_error(command: str, code: int, how: str, tmp_path: Path) -> None:
    check_quiet(ended(asked(command, tmp_path / "page.md"), how), code)
    assert (tmp_path / "page.md").exists() == ("PAGE" in command)


@pytest.mark.parametrize(("command", "code"), COMMANDS)
@pytest.mark.parametrize("names", LEFT)
def test_a_reader_that_has_left_is_no_error(
    command: str, code: int, names: tuple[str, ...], tmp_path: Path
) -> None:
    """The work that was asked for is done to its end all the same."""
    page = tmp_path / "page.md"
    check_quiet(ended_without_reader(["-u", *asked(command, page)], names), code)
    assert page.exists() == ("PAGE" in command)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_what_could_not_be_kept_is_an_error_of_one_line(tmp_path: Path) -> None:
    found = ended(asked("report dataset --output PAGE", tmp_path / "page.md"), ">/dev/full")
    assert found == (2, "error: No space left on device\n")

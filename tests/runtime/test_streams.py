"""Standard streams: no command breaks where they are closed, or nobody reads them any more."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.streams import CLOSED, LEFT, ROOT, check_quiet, ended, ended_without_reader

from gpperf_lite._cli import main
from gpperf_lite._streams import mend_streams

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams are closed as a shell does it")

RUN = ["-m", "gpperf_lite"]
COMMANDS = [
    ("predict 1:3000 64 64 --json", 0),  # more than a pipe holds
    ("--help", 0),
    ("predict 64", 2),
    ("frobnicate", 2),
]


@pytest.mark.parametrize(("command", "code"), COMMANDS)
@pytest.mark.parametrize("how", CLOSED)
def test_closed_streams_are_no_error(command: str, code: int, how: str) -> None:
    check_quiet(ended([*RUN, *command.split()], how), code)


@pytest.mark.parametrize(("command", "code"), COMMANDS)
@pytest.mark.parametrize("names", LEFT)
@pytest.mark.parametrize("options", [[], ["-u"]])
def test_a_reader_that_has_left_is_no_error(
    command: str, code: int, names: tuple[str, ...], options: list[str]
) -> None:
    """`... | head -1` ends quietly; the exit code is that of what was asked."""
    check_quiet(ended_without_reader([*options, *RUN, *command.split()], names), code)


def test_a_table_is_written_where_nothing_can_be_printed(tmp_path: Path) -> None:
    """The file does not get the number of the closed stream, nor what would be printed there."""
    path = tmp_path / "x.csv"
    command = [*RUN, "predict", "64,128", "64", "64", "--csv", str(path)]
    assert ended(command, "<&- >&- 2>&-")[0] == 0
    assert path.read_text().count("\n") == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_what_could_not_be_kept_is_an_error_of_one_line() -> None:
    """A full disk is told, once, and without a traceback."""
    found = ended([*RUN, "models"], ">/dev/full")
    assert found == (2, "gpperf: error: No space left on device\n")


def test_the_streams_of_others_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    before = sys.stdout, sys.stderr
    mend_streams()
    assert (sys.stdout, sys.stderr) == before


def test_a_name_that_a_terminal_cannot_print_is_told_in_other_letters(tmp_path: Path) -> None:
    missing = tmp_path / "größe.safetensors"
    command = [*RUN, "card", str(missing)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"gr\\xf6\\xdfe.safetensors" in done.stderr


def test_a_command_called_with_arguments_leaves_the_streams(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout
    assert main(["models"]) == 0
    assert sys.stdout is before
    assert "h200_sxm" in capsys.readouterr().out

"""Commands whose standard streams are closed, or read by nobody, as a shell leaves them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CLOSED = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
"""Streams that a shell closes."""

LEFT = [("stdout",), ("stderr",), ("stdout", "stderr")]
"""Streams whose reader has left."""


def ended(command: list[str], how: str = "", **streams: int) -> tuple[int, str]:
    """Return the exit code of Python with arguments, started by a shell, and all that it printed.

    how: redirections, as a shell has them; streams: descriptors in place of pipes.
    """
    shell = ["sh", "-c", f'"$@" {how}', "sh", sys.executable, *command]
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    with subprocess.Popen(shell, cwd=ROOT, text=True, **usual) as process:  # type: ignore[call-overload]
        out, err = process.communicate()
    return process.returncode, f"{out or ''}{err or ''}"


def ended_without_reader(command: list[str], names: tuple[str, ...]) -> tuple[int, str]:
    """Return the same where nobody reads what is written to the streams of these names."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return ended(command, **dict.fromkeys(names, writing))
    finally:
        os.close(writing)


def check_quiet(found: tuple[int, str], code: int) -> None:
    """Check that a command ended with a code, and that Python complained of nothing."""
    assert found[0] == code
    assert "Traceback" not in found[1]
    assert "Exception ignored" not in found[1]

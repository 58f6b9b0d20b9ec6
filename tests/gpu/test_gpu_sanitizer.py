"""compute-sanitizer over our own kernels: no address and no barrier is wrong.

Runs where the tool is on PATH; it says that it is not where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.device.cuda import Card

HERE = Path(__file__).parent


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck"])
def test_the_sanitizer_finds_nothing_in_our_own_kernels(card: Card, tool: str) -> None:
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not on PATH")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable]
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, str(HERE / "gpu_exercise.py"), card.uuid],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=400,
    )
    text = done.stdout[-4000:] + done.stderr[-2000:]
    if "Device not supported" in text:
        pytest.skip("compute-sanitizer does not support this device here")
    assert done.returncode == 0, text
    assert "done" in done.stdout, text

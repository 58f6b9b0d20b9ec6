"""Tasks in processes: they end with what started them, however that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.parallel import Task, run_tasks

pytestmark = pytest.mark.slow

SENDER = """
import sys
from pathlib import Path
from builder.parallel import Task, run_tasks
from test_parallel import announced

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run_tasks([Task(name, announced, (folder / name,)) for name in ("one", "two")], 2, "tasks")
"""


def announced(path: Path) -> None:
    """Write the number of this process into a file, and work for longer than any test waits."""
    beside = path.with_suffix(".part")
    beside.write_text(str(os.getpid()))
    beside.rename(path)
    time.sleep(600.0)


def until(is_so: Callable[[], bool], limit_s: float = 60.0) -> bool:
    """Wait until a call says so; False where it did not in time."""
    end_s = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.05)
    return True


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One that has ended, and that nobody has asked about, is a zombie.
    return state != "Z"


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "sender.py"
    program.write_text(SENDER)
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    parent = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    files = [tmp_path / "one", tmp_path / "two"]
    try:
        assert until(lambda: all(one.exists() for one in files))
        workers = [int(one.read_text()) for one in files]
        assert all(map(is_alive, workers))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert until(lambda: not any(map(is_alive, workers))), workers


def test_results_are_in_the_order_of_the_tasks() -> None:
    tasks = [Task(str(one), divmod, (one, 3)) for one in range(5)]
    assert run_tasks(tasks, 2, "tasks") == [divmod(one, 3) for one in range(5)]

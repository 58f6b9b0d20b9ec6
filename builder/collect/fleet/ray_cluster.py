"""A cluster of Ray, for collecting on the GPUs of many machines.

Ray is optional (`pip install '.[ray]'`) and is imported when a cluster is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...kernels import SOURCES
from .fleet import Cluster, FleetError, StopFlag

LOCAL = "local"
"""The address of a cluster that is started on this machine, for this collection alone."""

_INSTALL = "pip install '.[ray]'"
_POLL_S = 1.0

_NOT_SENT = [
    *(".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *("cache", "dist", "docs", "tests", "benchmarks", "**/*.parquet", "**/*.jsonl"),
]
"""Of the checkout, for its size: patterns as in .gitignore."""


class RayCluster(Cluster):
    """A cluster of Ray; to be closed.

    Raises FleetError where Ray is not installed or cannot be reached.
    """

    def __init__(self, address: str = LOCAL, **started: Any) -> None:
        """Join the cluster at an address ("auto", "ray://..."), or start one on this machine.

        started: of one that is started here, and not used of others: num_cpus, num_gpus.
        """
        try:
            import ray
        except ImportError as error:
            raise FleetError(f"Ray must be installed to use a cluster: {_INSTALL}") from error
        # Other machines are given this checkout, so that all run the same code.
        environment = {"working_dir": str(SOURCES.parent), "excludes": _NOT_SENT}
        options = started if address == LOCAL else {"runtime_env": environment}
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise FleetError(f"cannot join the cluster {address}: {error}") from error
        self._ray = ray
        self.n_gpus = int(ray.cluster_resources().get("GPU", 0))
        self.flag = _RayFlag(ray.remote(num_cpus=0)(_Switch).remote())

    def run(
        self,
        task: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        poll: Callable[[], None],
        on_gpu: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Run a task once for each tuple of arguments; see `Cluster`."""
        ray = self._ray
        needs = {"num_gpus": 1, "max_retries": 0} if on_gpu else {"num_cpus": 1}
        remote = ray.remote(**needs)(task)
        # Arguments that several calls share are sent once.
        sent = {id(one): ray.put(one) for call in calls for one in call}
        waiting = {
            remote.remote(*(sent[id(one)] for one in call)): number
            for number, call in enumerate(calls)
        }
        try:
            while waiting:
                done, _ = ray.wait(list(waiting), timeout=_POLL_S)
                poll()
                for ref in done:
                    yield waiting.pop(ref), _result(ray, ref)
        finally:
            for ref in waiting:
                ray.cancel(ref, force=True)

    def close(self) -> None:
        """Leave the cluster; one that was started here is ended."""
        self._ray.shutdown()


def _result(ray: Any, ref: Any) -> Any:
    try:
        return ray.get(ref)
    except Exception as error:  # of the task, or of Ray: whatever it is, the others go on
        return error


class _Switch:
    """Holds one bit for a whole cluster."""

    def __init__(self) -> None:
        self._is_on = False

    def turn_on(self) -> None:
        """Set it."""
        self._is_on = True

    def is_on(self) -> bool:
        """Return it."""
        return self._is_on


class _RayFlag(StopFlag):
    """A flag that lives in an actor, which is gone once the collection that started it is."""

    def __init__(self, switch: Any) -> None:
        self._switch = switch

    def set(self) -> None:
        """Ask all tasks to stop."""
        import ray

        ray.get(self._switch.turn_on.remote())

    def is_set(self) -> bool:
        """Return True once the tasks were asked to stop, or the actor is gone."""
        import ray

        try:
            return bool(ray.get(self._switch.is_on.remote()))
        except ray.exceptions.RayError:
            return True

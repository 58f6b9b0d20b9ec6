"""What a worker is given, and what it and its supervisor tell each other; plain data, pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...compile import FOLDER
from ...device import Device
from ...measure import Protocol
from ...plan import Plan

CUDA, SIMULATED = "cuda", "simulated"
"""Kinds of GPUs."""

STOP = "stop"
"""The supervisor's only word: finish or abandon the point, and end."""

COMPLETE, STOPPED, FAILING = "complete", "stopped", "failing"
RESTART, CRASHED, ERROR = "restart", "crashed", "error"
"""How a worker ends: all is measured; it was asked to; too much fails. The context is lost, and a
new process must go on; so must it where this one has a mistake. Something is wrong that a new
process would not mend."""


@dataclass(frozen=True)
class DeviceSpec:
    """A GPU that another process is to open.

    kind: `cuda` or `simulated`; uuid: of a real GPU; seed, faults: of a simulated one, the faults
    as a JSON object.
    """

    kind: str
    uuid: str = ""
    seed: int = 0
    faults: str = "{}"

    def open(self, cubins: Path = FOLDER) -> Device:
        """Open the GPU; raises BuilderError where that fails.

        cubins: the cache of compiled kernels.
        """
        if self.kind == CUDA:
            from ...compile import support_cubin
            from ...device.cuda import CudaOptions, open_gpu

            return open_gpu(self.uuid, CudaOptions(partial(support_cubin, cache=cubins)))
        from ...device.simulated import Faults, SimulatedDevice

        return SimulatedDevice(self.seed, Faults.from_json(json.loads(self.faults)))


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    journal: its file, which it alone writes; cubins: the cache of compiled kernels; keys: of those
    that the plan needs, by kernel.
    stop_at_s: on `time.monotonic`, which all processes of a machine share; None for no deadline.
    restart: whether a worker before it was lost; allow_changed: whether the journal of another
    GPU, driver, protocol or plan may go on.
    """

    journal: Path
    plan: Plan
    protocol: Protocol = Protocol()  # noqa: RUF009 - frozen
    cubins: Path = FOLDER
    keys: Mapping[str, str] = field(default_factory=dict)
    stop_at_s: float | None = None
    restart: bool = False
    allow_changed: bool = False


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life: what the worker is at, how long that should take, and what it has done.

    points, power: of the plan's timings and powers, how many are done; failed: of both.
    """

    what: str
    expected_s: float
    points: int = 0
    power: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Note:
    """Something that a person should read."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The last message of a worker: how it ended, and why."""

    how: str
    text: str = ""

"""Messages between a supervisor and its workers: a job, heartbeats, notes, the end. Pickled."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...compile import FOLDER
from ...device import Device
from ...measure import Protocol
from ...plan import Plan

CUDA, SIMULATED = "cuda", "simulated"
"""Kinds of GPUs."""

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a collection: from a terminal, a batch system, a terminal that closes.

They reach supervisor and workers at once; the supervisor alone answers them.
"""

STOP = "stop"
"""The only message from the supervisor: finish or abandon the point, and end."""

COMPLETE, STOPPED, FAILING = "complete", "stopped", "failing"
RESTART, CRASHED, ERROR = "restart", "crashed", "error"
"""Ends of a worker.

complete: all is measured. stopped: it was asked to stop, or its time is up. failing: too many
points fail. restart: the context is lost. crashed: the builder has a mistake. error: something is
wrong that a new process would not mend. After `restart` and `crashed` a new process goes on.
"""


@dataclass(frozen=True)
class DeviceSpec:
    """A GPU for another process to open.

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
    """The work of a worker.

    journal: its file, which it alone writes; cubins: the cache of compiled kernels.
    stop_at_s: on `time.monotonic`, which all processes of a machine share; None for no deadline.
    restart: whether a worker before it was lost; allow_changed: whether the journal of another
    GPU, driver, protocol or plan may go on.
    """

    journal: Path
    plan: Plan
    protocol: Protocol = Protocol()  # noqa: RUF009 - frozen
    cubins: Path = FOLDER
    stop_at_s: float | None = None
    restart: bool = False
    allow_changed: bool = False


@dataclass(frozen=True)
class Standing:
    """The progress of a journal, and the GPU as its latest rows have it. None is not known.

    points, power: numbers of the plan's timings and powers that are done; failed: of both.
    errors: points and builds that failed; error: the latest, "" before the first.
    power_w: of the latest measurement of power; sm_clock_hz: the latest that a row holds.
    has_power: whether power can be measured at all.
    """

    points: int = 0
    power: int = 0
    failed: int = 0
    errors: int = 0
    error: str = ""
    power_w: float | None = None
    sm_clock_hz: float | None = None
    has_power: bool = True


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life: the present step and its expected duration, before it is begun.

    standing: None where the journal is not open.
    """

    what: str
    expected_s: float
    standing: Standing | None = None


@dataclass(frozen=True)
class Note:
    """A text for people."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The last message of a worker; how: one of its ends; text: the reason."""

    how: str
    text: str = ""

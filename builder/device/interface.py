"""The seam between measuring and hardware: one GPU, its clock, its programs and its sensors.

Measuring sees these classes alone. `device.cuda` implements them with cuda-python and NVML,
`device.simulated` with a GPU that is computed. Work is queued and runs in order, as on one CUDA
stream; only `wait`, `compare` and copies to the host wait for it.

Every call may raise DeviceError; every reading of a Sensor may raise SensorError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Gpu, Kernel

from ..errors import BuilderError

STICKY_FAULTS = frozenset({214, 220, 226, 700, 702, 709, 710, *range(714, 720), 721, 999})
"""CUresult codes after which a context is lost and the process must be replaced.

The faults of kernels (700 to 721), an ECC error (214), NVLink (220), an error that the driver has
contained (226), a context that is destroyed (709), and the unknown one (999): `cuda.h`.
"""


class DeviceError(BuilderError):
    """A call of the driver or of a library failed.

    code: its CUresult, or 0 where the failure is of another library; call: what failed.
    """

    def __init__(self, code: int, call: str, text: str) -> None:
        super().__init__(f"{call} failed: {text} ({code})")
        self.code = code
        self.call = call

    @property
    def is_sticky(self) -> bool:
        """Whether the context is lost: nothing more can be done in this process."""
        return self.code in STICKY_FAULTS


class SensorError(BuilderError):
    """A reading is not available: not supported, not permitted, or no value."""


@dataclass(frozen=True)
class Identity:
    """The identity of a GPU, and the releases of its driver and of CUDA; pci: its bus id."""

    uuid: str
    name: str
    pci: str
    driver: str
    cuda: str


@dataclass(frozen=True)
class Comparison:
    """Some entries of a result beside float64 sums of the same operands.

    got, wanted: float64 arrays of shape (n_entries,); non_finite: entries of the whole result that
    are NaN or infinite. The result was filled with NaN before the launch.
    """

    got: NDArray[np.float64]
    wanted: NDArray[np.float64]
    non_finite: int


_T = TypeVar("_T", bound="Owner")


class Owner(ABC):
    """An owner of a resource, as a context manager; `close` may be called twice."""

    @abstractmethod
    def close(self) -> None:
        """Free the resource."""

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class Graph(Owner):
    """A fixed number of launches that are queued at once."""

    launches: int

    @abstractmethod
    def replay(self) -> None:
        """Queue all launches."""


class Bound(Owner):
    """A program bound to the operands of one GEMM.

    gemm: the problem; copies: of the operands, through which launches go in turn; bytes_per_copy:
    of A, B and C together; algorithm: a library's description of its choice, None for a kernel.
    """

    gemm: Gemm
    copies: int
    bytes_per_copy: int
    algorithm: dict[str, Any] | None

    @abstractmethod
    def launch(self) -> None:
        """Queue one launch, on the next copy."""

    @abstractmethod
    def graph(self, launches: int) -> Graph:
        """Return a graph of that many launches, which rotate over the copies."""

    @abstractmethod
    def compare(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Comparison:
        """Fill D with NaN, launch once, and return entries (rows[i], columns[i]) of it.

        rows, columns: int64 arrays of shape (n_entries,). Of a batch, the last GEMM is compared.
        """


class Program(Owner):
    """A kernel that is loaded."""

    kernel: Kernel

    @abstractmethod
    def bind(self, gemm: Gemm, copies: int) -> Bound:
        """Return the program bound to a GEMM, with up to `copies` copies of the operands.

        Operands are views of pools that were filled once with seeded N(0, 1). Where the pools do
        not hold the copies that are asked for, they are halved until they do.
        """


def halved_to_fit(copies: int, most: int) -> int:
    """Return a number of copies, halved until it is at most another; 0 where that is below 1."""
    while copies > most:
        copies //= 2
    return copies


class Mark:
    """A place in the queue of work, with the time at which it is reached."""


class Sensor(ABC):
    """The sensors of one GPU, read now. Each reading may raise SensorError."""

    @abstractmethod
    def total_energy_j(self) -> float:
        """Return the energy counter; it moves in steps of about 0.1 s."""

    @abstractmethod
    def instant_power_w(self) -> float:
        """Return the latest sample of board power."""

    @abstractmethod
    def average_power_w(self) -> float:
        """Return the average over the last second; on some GPUs, the latest sample."""

    @abstractmethod
    def power_limit_w(self) -> float:
        """Return the enforced limit."""

    @abstractmethod
    def sm_clock_hz(self) -> float:
        """Return the SM clock."""

    @abstractmethod
    def memory_clock_hz(self) -> float:
        """Return the memory clock."""

    @abstractmethod
    def temperature_c(self) -> float:
        """Return the GPU's temperature."""

    @abstractmethod
    def throttle_reasons(self) -> frozenset[str]:
        """Return the reasons why clocks are held down: POWER_CAP, THERMAL, HARDWARE and others."""

    @abstractmethod
    def utilisation(self) -> float:
        """Return the share of the last sampling period in which a kernel ran, 0 to 1."""

    @abstractmethod
    def other_processes(self) -> int:
        """Return the number of other processes that hold a context on this GPU."""

    @abstractmethod
    def mig_is_on(self) -> bool:
        """Return True where the GPU is partitioned; its power is then not ours to read."""


POWER_CAP, THERMAL, HARDWARE = "power_cap", "thermal", "hardware"
"""Reasons of throttling that the rules of measuring tell apart."""


class Device(Owner):
    """One GPU that is open.

    identity: its UUID, name and releases; gpu: its facts, as the artefact will hold them; sensor:
    its sensors; provenance: the sources of its facts, by their names, empty for a simulated GPU.
    """

    identity: Identity
    gpu: Gpu
    sensor: Sensor
    provenance: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def now_s(self) -> float:
        """Return the host's monotonic clock; a simulated GPU has a clock of its own."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let the host wait, while queued work goes on."""

    @abstractmethod
    def load(self, kernel: Kernel, cubin: bytes | None) -> Program:
        """Load a compiled kernel; `cubin` is None for `library`."""

    @abstractmethod
    def empty(self) -> Bound:
        """Return a kernel that does nothing, to be timed like any other."""

    @abstractmethod
    def spin(self, seconds: float) -> None:
        """Queue a GEMM that keeps every SM busy for about this long."""

    @abstractmethod
    def mark(self) -> Mark:
        """Queue a time stamp."""

    @abstractmethod
    def reached(self, mark: Mark) -> bool:
        """Return True where the GPU has come to a mark; this does not wait."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until all queued work is done."""

    @abstractmethod
    def elapsed_s(self, first: Mark, last: Mark) -> float:
        """Return the GPU's time between two marks that were reached; ticks are 32 ns."""

    @abstractmethod
    def stamp(self) -> Mark:
        """Queue a reading of the SM clock's counter and of the global timer."""

    @abstractmethod
    def clock_hz(self, first: Mark, last: Mark) -> float:
        """Return the mean SM clock between two stamps that were reached."""

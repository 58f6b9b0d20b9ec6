"""Faults of a simulated GPU, as data that a spawned process can be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from gpperf_lite import Gemm

from ...errors import BuilderError
from ..interface import HARDWARE, THERMAL

EFFECTS = ("error", "hang", "exit", "kill")


class FaultError(BuilderError, ValueError):
    """A fault asks for something that the simulated GPU cannot do."""


@dataclass(frozen=True)
class LaunchFault:
    """A fault at one launch of a kernel.

    kernel: a glob of names. nth: at which launch of such a kernel in this process, counted from 1
    over `bound.launch`, `graph.replay` (as many as the graph holds) and `bound.compare`; every
    later one does the same. shape: (m, n, k) of the only GEMM that is meant; None means all.
    effect: "error" is a DeviceError with `code`, at once or, where it is sticky, when the host
    next waits; "hang" blocks for ever where the host next waits; "exit" ends the process with
    status 1, "kill" with SIGKILL.
    """

    kernel: str
    effect: str = "error"
    nth: int = 1
    code: int = 2
    shape: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            raise FaultError(f"effect must be one of {' '.join(EFFECTS)} (got {self.effect!r})")

    def is_meant(self, kernel: str, gemm: Gemm) -> bool:
        """Return True where a launch of this kernel on this GEMM counts."""
        shape = (gemm.m, gemm.n, gemm.k)
        return fnmatchcase(kernel, self.kernel) and self.shape in (None, shape)


@dataclass(frozen=True)
class Throttling:
    """A time during which clocks are held down to a share of the highest.

    start_s, end_s: on the device's own clock, which starts at 0; reason: THERMAL or HARDWARE.
    """

    start_s: float
    end_s: float
    reason: str = THERMAL
    clock_share: float = 0.7

    def __post_init__(self) -> None:
        if self.reason not in (THERMAL, HARDWARE):
            raise FaultError(f"reason must be {THERMAL} or {HARDWARE} (got {self.reason!r})")


@dataclass(frozen=True)
class Faults:
    """The faults of a simulated GPU; none by default.

    unsupported, not_permitted: names of methods of Sensor that fail at each call; failing_share:
    the share of all other readings that fails at random, which `seed` decides.
    counter_is_stuck: the energy counter never moves; counter_factor: it grows by so much of the
    energy. memory_rise_s: of work within half a second, before which the memory's clock is low.
    throttling: when clocks are held down.
    other_processes: contexts of others; other_load: for how much of the time they keep it busy.
    mig_is_on: the GPU is partitioned. wrong, non_finite: globs of kernels whose results are wrong,
    or hold NaN. launches: faults at single launches.
    """

    unsupported: tuple[str, ...] = ()
    not_permitted: tuple[str, ...] = ()
    failing_share: float = 0.0
    seed: int = 0
    counter_is_stuck: bool = False
    counter_factor: float = 1.0
    memory_rise_s: float = 0.0
    throttling: tuple[Throttling, ...] = ()
    other_processes: int = 0
    other_load: float = 0.0
    mig_is_on: bool = False
    wrong: tuple[str, ...] = ()
    non_finite: tuple[str, ...] = ()
    launches: tuple[LaunchFault, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the faults as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Faults:
        """Return the faults that `to_json` wrote; what is left out is none.

        Raises FaultError for a name that is no fault.
        """
        unknown = sorted(set(values) - {one.name for one in fields(cls)})
        if unknown:
            raise FaultError(f"no fault of a simulated GPU is called {unknown[0]!r}")
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        plain["throttling"] = tuple(Throttling(**one) for one in values.get("throttling", ()))
        plain["launches"] = tuple(_launch_fault(one) for one in values.get("launches", ()))
        return cls(**plain)


def _launch_fault(values: Mapping[str, Any]) -> LaunchFault:
    shape = values.get("shape")
    return LaunchFault(**{**values, "shape": None if shape is None else tuple(shape)})

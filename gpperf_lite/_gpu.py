"""The GPU: its facts, as a data sheet or a driver states them, each within its limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ._errors import InputError, as_float, shown
from ._gemm import DTYPES, usual_dtype

L2_BYTES_PER_CLOCK_PER_SM = 64.0
"""Width of the port between one SM and L2, from Volta to Blackwell: an upper bound."""


LIMITS = {
    "sm_count": (1.0, 1e6),
    "clock_hz": (1e3, 1e12),
    "memory_bytes": (1.0, 1e18),
    "l2_bytes": (1.0, 1e15),
    "dram_bytes_per_s": (1e3, 1e18),
    "peak_flops": (1e3, 1e21),
    "power_limit_w": (1e-3, 1e6),
    "idle_power_w": (1e-3, 1e6),
}
"""Least and largest of each fact: any GPU fits between them, and nothing overflows."""

_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Gpu:
    """Facts of one GPU, as its data sheet or its driver states them.

    name: as NVML calls it ("NVIDIA H200"); compute_capability: (major, minor).
    sm_count: streaming multiprocessors; clock_hz: highest SM clock.
    memory_bytes, l2_bytes: sizes; dram_bytes_per_s: peak memory bandwidth.
    peak_flops: dense peak in FLOP/s (or OP/s) by dtype, at the highest clock.
    power_limit_w, idle_power_w: board power at the default limit, and with an open context
        but no work; None where not known.

    Numbers of any type become int (sm_count) and float, dtypes their canonical names. Raises
    InputError where a fact is not a number within its LIMITS.
    """

    name: str
    compute_capability: tuple[int, int]
    sm_count: int
    clock_hz: float
    memory_bytes: float
    l2_bytes: float
    dram_bytes_per_s: float
    peak_flops: Mapping[str, float] = field(hash=False)
    power_limit_w: float | None = None
    idle_power_w: float | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        name = self.name
        if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= _LONGEST:
            allowed = f"a text of 1 to {_LONGEST} printable characters"
            raise InputError(f"name must be {allowed} (got {shown(name)})")
        put(self, "compute_capability", _checked_capability(self.compute_capability))
        put(self, "sm_count", _checked_count("sm_count", self.sm_count))
        for name in ("clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s"):
            put(self, name, _checked_fact(name, getattr(self, name)))
        if not isinstance(self.peak_flops, Mapping):
            raise InputError(f"peak_flops must be a mapping (got {self.peak_flops!r:.60})")
        peaks = {
            usual_dtype(dtype): _checked_fact("peak_flops", peak, f"[{shown(dtype, 20)}]")
            for dtype, peak in self.peak_flops.items()
        }
        if len(peaks) < len(self.peak_flops):
            got = " ".join(str(dtype) for dtype in self.peak_flops)
            raise InputError(f"peak_flops must name each dtype once (got {shown(got)})")
        put(self, "peak_flops", peaks)
        for name in ("power_limit_w", "idle_power_w"):
            if getattr(self, name) is not None:
                put(self, name, _checked_fact(name, getattr(self, name)))
        if self.power_limit_w and self.idle_power_w and self.idle_power_w >= self.power_limit_w:
            raise InputError(
                f"idle_power_w must be below power_limit_w (got {self.idle_power_w} and "
                f"{self.power_limit_w})"
            )

    @property
    def l2_bytes_per_s(self) -> float:
        """Peak bandwidth between L2 and all SMs together."""
        return L2_BYTES_PER_CLOCK_PER_SM * self.sm_count * self.clock_hz

    def peak_of(self, dtype: str) -> float | None:
        """Dense peak of a dtype in FLOP/s (or OP/s); None where it is not known.

        Where none is stated, it is that of the dtype whose instructions multiply it: fp8 for
        `fp8_static` and `fp8_block`, s8 for `int8_sq`, f16 or else bf16 for `int8_wo` and
        `int4_wo`.
        """
        name = usual_dtype(dtype)
        others = DTYPES[name].peak_of if name in DTYPES else ()
        stated = (one for one in (name, *others) if one in self.peak_flops)
        return next((self.peak_flops[one] for one in stated), None)


def _checked_capability(value: object) -> tuple[int, int]:
    """Return a compute capability, such as (9, 0), or raise InputError."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        major, minor = value
        if type(major) is type(minor) is int and 0 <= major < 1000 and 0 <= minor < 1000:
            return major, minor
    raise InputError(f"compute_capability must be like (9, 0) (got {value!r:.60})")


def _checked_count(name: str, value: object) -> int:
    """Return a whole number above 0 as an int, or raise InputError naming `name`."""
    number = _checked_fact(name, value)
    if not number.is_integer():
        raise InputError(f"{name} must be a whole number (got {number!r})")
    return int(number)


def _checked_fact(name: str, value: object, which: str = "") -> float:
    """Return a number within its LIMITS as a float, or raise InputError naming it."""
    number = as_float(value)
    low, high = LIMITS[name]
    if not low <= number <= high:
        got = value if math.isnan(number) else number
        allowed = f"a number from {low:g} to {high:g}"
        raise InputError(f"{name}{which} must be {allowed} (got {shown(got)})")
    return number

"""The machine: facts of a GPU, and the names that people call it by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ._errors import InputError

L2_BYTES_PER_CLOCK_PER_SM = 64.0
"""Width of the port between one SM and L2, from Volta to Blackwell: an upper bound."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """Facts of one GPU, as its data sheet or its driver states them.

    name: as NVML calls it ("NVIDIA H200"); compute_capability: (major, minor).
    sm_count: streaming multiprocessors; clock_hz: highest SM clock.
    memory_bytes, l2_bytes: sizes; dram_bytes_per_s: peak memory bandwidth.
    peak_flops: dense peak in FLOP/s (or OP/s) by dtype, at the highest clock.
    power_limit_w, idle_power_w: board power at the default limit, and with an open context
        but no work; None where nobody knows.

    Raises InputError where a fact is not a positive finite number.
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
        for name in ("sm_count", "clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s"):
            _check_positive(name, getattr(self, name))
        for dtype, peak in self.peak_flops.items():
            _check_positive(f"peak_flops[{dtype!r}]", peak)
        for name in ("power_limit_w", "idle_power_w"):
            if getattr(self, name) is not None:
                _check_positive(name, getattr(self, name))
        if self.power_limit_w and self.idle_power_w and self.idle_power_w >= self.power_limit_w:
            raise InputError("idle_power_w must be below power_limit_w")
        object.__setattr__(self, "peak_flops", dict(self.peak_flops))

    @property
    def l2_bytes_per_s(self) -> float:
        """Peak bandwidth between L2 and all SMs together."""
        return L2_BYTES_PER_CLOCK_PER_SM * self.sm_count * self.clock_hz


def _check_positive(name: str, value: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise InputError(f"{name} must be a positive finite number (got {value!r})")

"""Known readings: how NVML's readings of power behave on each generation, as others measured them.

The sensor check measures how often a reading moves and how soon it follows a load. What it cannot
see is which part of the time a reading averages: on GA100 and Hopper instant power is that of a
quarter of the time. Nor can it see a step that drowns in noise.

From Z. Yang, K. Adamek and W. Armour, arXiv:2312.02741, whose table is GPU_Power_Benchmark (see
NOTICE): medians over its boards, with drivers 515 to 535. It has no newer generations, and nothing
on the counter of energy.
"""

from __future__ import annotations

from typing import NamedTuple


class KnownReading(NamedTuple):
    """A reading of power as others found it.

    period_s: between two of its updates. window_s: the time before each that it averages. rise_s:
    after a step of load, until the reading has followed it, rise time and delay together.
    """

    period_s: float
    window_s: float
    rise_s: float


_INSTANT = {
    (6, 0): KnownReading(0.02, 0.01, 0.06),
    (6, 1): KnownReading(0.02, 0.01, 0.06),
    (7, 0): KnownReading(0.02, 0.01, 0.1),
    # On a Quadro RTX 8000 it averages 20 ms alone.
    (7, 5): KnownReading(0.1, 0.1, 0.48),
    (8, 0): KnownReading(0.1, 0.025, 0.1),
    (8, 6): KnownReading(0.1, 0.1, 0.4),
    (8, 9): KnownReading(0.1, 0.1, 0.34),
    (9, 0): KnownReading(0.1, 0.025, 0.15),
}
"""NVML's field 186 by compute capability."""

_AVERAGE = KnownReading(0.1, 1.0, 1.5)
_AVERAGED = frozenset({(8, 6), (8, 9), (9, 0)})
"""Capabilities on which `nvmlDeviceGetPowerUsage` is an average over a second: Ampere and newer,
but for GA100. Elsewhere it is what instant power is. (With driver 530 alone it was so everywhere.)
"""


def known_reading(source: str, capability: tuple[int, int]) -> KnownReading | None:
    """Return the reading that a source of power is on a compute capability; None if not known."""
    if source == "average_power" and capability in _AVERAGED:
        return _AVERAGE
    return _INSTANT.get(capability) if source in ("instant_power", "average_power") else None

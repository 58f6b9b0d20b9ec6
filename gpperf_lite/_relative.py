"""Relative constants and features: those of the generic model, over the data sheet of a GPU.

A fitted time of one GPU says little of another; over what the data sheet promises, it says much
more. So the generic model holds constants as multiples of the hardware's own units (a multiply-add
at the peak, a byte at the peak of DRAM or of L2, the size of L2), and its forests look at features
over facts of the GPU. Both are multiplied out once, when a GPU is given.

A column of the generic model is a text: a feature ("m"), a feature over a fact of the GPU
("footprint/l2_bytes"), or a fact alone ("gpu.clock_hz"), which is the same in every row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ._features import FEATURES
from ._forest import Forest
from ._gpu import Gpu
from ._physics import CONSTANTS, peak_flops_of

FACTS: dict[str, Callable[[Gpu, str], float]] = {
    "sm_count": lambda gpu, dtype: float(gpu.sm_count),
    "clock_hz": lambda gpu, dtype: gpu.clock_hz,
    "l2_bytes": lambda gpu, dtype: gpu.l2_bytes,
    "dram_bytes_per_s": lambda gpu, dtype: gpu.dram_bytes_per_s,
    "macs_per_s": lambda gpu, dtype: peak_flops_of(gpu, dtype) / 2.0,
    "macs_per_dram_byte": lambda gpu, dtype: peak_flops_of(gpu, dtype) / 2.0 / gpu.dram_bytes_per_s,
    "macs_per_sm_clock": lambda gpu, dtype: (
        peak_flops_of(gpu, dtype) / 2.0 / (gpu.sm_count * gpu.clock_hz)
    ),
    "dram_bytes_per_sm_clock": lambda gpu, dtype: (
        gpu.dram_bytes_per_s / (gpu.sm_count * gpu.clock_hz)
    ),
}
"""Facts of a GPU at a dtype, by name."""

OF_GPU = ("sm_count", "clock_hz", "l2_bytes", "dram_bytes_per_s")
OF_DTYPE = ("macs_per_s", "macs_per_dram_byte")
"""Facts that are worth a word where they are beyond those of all measured GPUs: those of the GPU
alone, and those that differ from dtype to dtype."""

COLUMNS = (
    *FEATURES,
    *(f"{name}/sm_count" for name in FEATURES if name.startswith("fill_")),
    "footprint/l2_bytes",
    "bytes/l2_bytes",
    "mnk/macs_per_s",
    "bytes/dram_bytes_per_s",
    "intensity/macs_per_dram_byte",
    "gpu.macs_per_sm_clock",
    "gpu.macs_per_dram_byte",
    "gpu.sm_count",
    "gpu.l2_bytes",
    "gpu.clock_hz",
)
"""The columns that the forests of a generic model are trained on today."""

LARGEST_CONSTANT = 1e30
"""The largest relative constant that a file may hold."""

_DIGITS = 6
_TILE = re.compile(r"tile_(\d+)x(\d+)_s_per_k")
_FACT = "gpu."
_WEIGHTS = (
    ("macs_per_sm_clock", 1.0),
    ("dram_bytes_per_sm_clock", 1.0),
    ("macs_per_dram_byte", 0.3),
)
_LARGEST = np.finfo(np.float32).max


def beyond(gpu: Gpu, measured: Sequence[Gpu], dtype: str, facts: Sequence[str]) -> list[str]:
    """Return a text on each of some facts of a GPU that is beyond those of measured ones."""
    texts = []
    for fact in facts:
        ours, theirs = FACTS[fact](gpu, dtype), [FACTS[fact](one, dtype) for one in measured]
        name = f"{fact} of {dtype}" if fact in OF_DTYPE else fact
        if ours < min(theirs):
            texts.append(f"{name} is below {min(theirs):.4g}, the least measured")
        if ours > max(theirs):
            texts.append(f"{name} is above {max(theirs):.4g}, the most measured")
    return texts


def scale_of(constant: str, gpu: Gpu, dtype: str) -> float:
    """Return the scale of a physical constant on a GPU, its unit there; 1.0 if it is absolute."""
    mac_s = 2.0 / peak_flops_of(gpu, dtype)
    tile = _TILE.fullmatch(constant)
    if tile:
        return int(tile[1]) * int(tile[2]) * gpu.sm_count * mac_s
    units = {
        "s_per_mac": mac_s,
        "sm_s_per_mac": gpu.sm_count * mac_s,
        "sm_s_per_k": gpu.sm_count * mac_s,
        "sm_s_per_byte": gpu.sm_count / gpu.l2_bytes_per_s,
        "sm_s_per_spilled_byte": gpu.sm_count / gpu.l2_bytes_per_s,
        "s_per_l2_byte": 1.0 / gpu.l2_bytes_per_s,
        "s_per_dram_byte": 1.0 / gpu.dram_bytes_per_s,
        "s_per_written_byte": 1.0 / gpu.dram_bytes_per_s,
        "split_s_per_element": 1.0 / gpu.dram_bytes_per_s,
        "resident_bytes": gpu.l2_bytes,
    }
    return units.get(constant, 1.0)


def absolute(constants: Mapping[str, float], form: str, gpu: Gpu, dtype: str) -> dict[str, float]:
    """Return relative constants of one form of physics in the units of a GPU, within their limits.

    Rounded, so that the last bits of a machine's exponential do not matter.
    """
    found = {}
    for name, low, high in CONSTANTS[form]:
        value = constants[name] * scale_of(name, gpu, dtype)
        found[name] = min(max(float(f"{value:.{_DIGITS}g}"), low), high)
    return found


def mixed(
    constants: tuple[Mapping[str, float], ...], weights: list[float], gpu: Gpu, dtype: str
) -> dict[str, float]:
    """Return absolute constants: the weighted geometric mean, in the GPU's units."""
    means = {}
    for name, _, _ in CONSTANTS["library"]:
        logs = [math.log(max(one[name], 1e-300)) for one in constants]
        mean = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True))
        means[name] = math.exp(mean)
    return absolute(means, "library", gpu, dtype)


def distance(one: Gpu, other: Gpu, dtype: str) -> float:
    """Return the distance between two GPUs, in octaves; 0 where their balance is the same.

    It is Euclidean, over the logs of the multiply-adds and the bytes of DRAM that a multiprocessor
    has in one clock, and of their ratio: these set generations and kinds of memory apart.
    """
    steps = [
        weight * math.log2(FACTS[fact](one, dtype) / FACTS[fact](other, dtype))
        for fact, weight in _WEIGHTS
    ]
    return math.hypot(*steps)


def is_column(text: str) -> bool:
    """True for a text that names a column: one that can be multiplied out."""
    if text.startswith(_FACT):
        return text.removeprefix(_FACT) in FACTS
    feature, over, fact = text.partition("/")
    return feature in FEATURES and (not over or fact in FACTS)


def column_of(
    text: str, features: dict[str, np.ndarray], gpu: Gpu, dtype: str, n_rows: int
) -> np.ndarray:
    """Return one column, float32 array of shape (n_rows,), from features of that shape."""
    if text.startswith(_FACT):
        return np.full(n_rows, FACTS[text.removeprefix(_FACT)](gpu, dtype), np.float32)
    feature, over, fact = text.partition("/")
    values = features[feature]
    return (values / FACTS[fact](gpu, dtype)).astype(np.float32) if over else values


def multiplied_out(forest: Forest, columns: tuple[str, ...], gpu: Gpu, dtype: str) -> Forest:
    """Return a forest over FEATURES with the sums that a forest over `columns` has on one GPU.

    A question about a feature over a fact becomes one about the feature. One about a fact alone is
    answered now: it becomes one about the first feature, of a threshold that has only that answer.
    """
    feature, threshold = forest.feature.copy(), forest.threshold.copy()
    index = {name: number for number, name in enumerate(FEATURES)}
    for number, text in enumerate(columns):
        asked = forest.feature == number
        if text.startswith(_FACT):
            value = np.float32(FACTS[text.removeprefix(_FACT)](gpu, dtype))
            feature[asked] = 0
            threshold[asked] = np.where(value > forest.threshold[asked], -_LARGEST, _LARGEST)
            continue
        name, over, fact = text.partition("/")
        feature[asked] = index[name]
        if over:
            scaled = forest.threshold[asked].astype(np.float64) * FACTS[fact](gpu, dtype)
            threshold[asked] = np.clip(scaled, -_LARGEST, _LARGEST)
    return Forest(feature, threshold, forest.leaves, forest.bias)

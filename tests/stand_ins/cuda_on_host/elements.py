"""Element types and random numbers once more, in numpy: what the device code must agree with."""

from __future__ import annotations

import re

import numpy as np
from stand_ins.cuda_on_host.host import CUDA

STORAGE = {
    "f64": np.float64,
    "f32": np.float32,
    "tf32": np.float32,
    "f16": np.uint16,
    "bf16": np.uint16,
    "e4m3": np.uint8,
    "e5m2": np.uint8,
    "s8": np.int8,
    "s32": np.int32,
}
"""What numpy keeps elements in; types that numpy does not know, as their bits."""

SMALL = ("f16", "bf16", "e4m3", "e5m2")

INTEGER_RANGES = {"s8": (-128, 127), "s32": (-(2**31), 2**31 - 1)}


def type_codes() -> dict[str, int]:
    """Return the codes of ElementType in `support.h`, by name."""
    found = re.findall(r"TYPE_([A-Z0-9]+) = (\d+)", (CUDA / "support.h").read_text())
    return {name.lower(): int(code) for name, code in found}


def values_of(stored: np.ndarray, name: str) -> np.ndarray:
    """Return elements as float64."""
    if name == "f16":
        return stored.view(np.float16).astype(float)
    if name == "bf16":
        with np.errstate(invalid="ignore"):  # a signalling NaN says so
            return (stored.astype(np.uint32) << 16).view(np.float32).astype(float)
    if name == "e5m2":  # the upper half of an f16
        return (stored.astype(np.uint16) << 8).view(np.float16).astype(float)
    if name == "e4m3":
        return _E4M3[stored]
    return stored.astype(float)


def _e4m3(bits: int) -> float:
    """Micikevicius and others, "FP8 Formats for Deep Learning", 2022, table 1."""
    exponent, mantissa = bits >> 3 & 15, bits & 7
    if bits & 127 == 127:
        return np.nan
    size = (1 + mantissa / 8) * 2.0 ** (exponent - 7) if exponent else mantissa / 8 * 2.0**-6
    return -size if bits & 128 else size


_E4M3 = np.array([_e4m3(bits) for bits in range(256)])


def every_element(name: str) -> np.ndarray:
    """Return all bit patterns of a small type, in order."""
    storage = STORAGE[name]
    return np.arange(np.iinfo(storage).max + 1).astype(storage)


def rounded(values: np.ndarray, name: str) -> np.ndarray:
    """Return float32 values as elements: to nearest, ties to even; not beyond the largest."""
    if name == "tf32":
        significand, exponent = np.frexp(values.astype(float))
        nearest = np.ldexp(np.rint(significand * 2**11), exponent - 11)
        largest = (2 - 2.0**-10) * 2.0**127
        return np.clip(nearest, -largest, largest).astype(np.float32)
    if name in INTEGER_RANGES:
        return np.clip(np.rint(values), -127, 127).astype(STORAGE[name])
    if name not in SMALL:
        return values.astype(STORAGE[name])
    patterns = every_element(name)
    positive = values_of(patterns, name)[: len(patterns) // 2]
    positive = positive[np.isfinite(positive)]
    sizes = np.minimum(np.abs(values.astype(float)), positive[-1])
    above = np.searchsorted(positive, sizes)
    below = np.maximum(above - 1, 0)
    distance = (positive[above] - sizes) - (sizes - positive[below])
    is_up = (distance < 0) | ((distance == 0) & (above % 2 == 0))
    sign = np.where(np.signbit(values), len(patterns) // 2, 0)
    return (np.where(is_up, above, below) + sign).astype(STORAGE[name])


def philox(counters: np.ndarray, seed: int) -> np.ndarray:
    """Return Philox4x32-10 of (counter, 0) under a 64-bit key: uint32, shape (n_counters, 4)."""
    mask, low = np.uint64(0xFFFFFFFF), np.uint64(32)
    counters = counters.astype(np.uint64)
    words = [counters & mask, counters >> low, np.zeros_like(counters), np.zeros_like(counters)]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * words[0], np.uint64(0xCD9E8D57) * words[2]
        first = (right >> low) ^ words[1] ^ np.uint64(keys[0])
        third = (left >> low) ^ words[3] ^ np.uint64(keys[1])
        words = [first, right & mask, third, left & mask]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(words, 1).astype(np.uint32)


def normals(count: int, seed: int) -> np.ndarray:
    """Return what `fill_normal` makes of f32 before rounding, but for its last bits: float64."""
    words = philox(np.arange(-(-count // 4)), seed).astype(np.float32).reshape(-1, 2)
    uniform = (words[:, 0] + np.float32(0.5)) * np.float32(2**-32)
    radius = np.sqrt(-2 * np.log(uniform.astype(float)))
    angle = 2 * np.pi * words[:, 1].astype(float) * 2**-32
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return pairs.reshape(-1)[:count]


def normals_of_f64(count: int, seed: int) -> np.ndarray:
    """Return what `fill_normal` makes of f64, but for its last bits."""
    words = philox(np.arange(-(-count // 2)), seed).astype(np.uint64)
    whole = words[:, ::2] << np.uint64(32) | words[:, 1::2]
    uniform = ((whole[:, 0] >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    angle = 2 * np.pi * (whole[:, 1] >> np.uint64(11)).astype(float) * 2.0**-53
    radius = np.sqrt(-2 * np.log(uniform))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]

"""Rates of GPUs: operations per SM and clock, by which the peaks of data sheets are checked.

They are those of NVIDIA's white papers for whole chips, and the shares of them that some boards
have: a GeForce sums in f32 at half the rate of sums in f16, and some boards for data centres have
tensor cores that were slowed down.
"""

from __future__ import annotations

from gpperf_lite import Gpu

_TENSOR = ("tf32", "f16", "bf16", "s8", "fp8", "nvfp4")
_DTYPES = ("f64", "f32", *_TENSOR)

# A multiply-add is two operations. 0: no unit, or none that the sheets count.
_RATES = {
    (6, 0): (64, 128, 0, 0, 0, 0, 0, 0),
    (6, 1): (0, 256, 0, 0, 0, 0, 0, 0),
    (7, 0): (64, 128, 0, 1024, 0, 0, 0, 0),
    (7, 5): (0, 128, 0, 1024, 0, 2048, 0, 0),
    (8, 0): (128, 128, 1024, 2048, 2048, 4096, 0, 0),
    (8, 6): (0, 256, 512, 1024, 1024, 2048, 0, 0),
    (8, 7): (0, 256, 1024, 2048, 2048, 4096, 0, 0),
    (8, 9): (0, 256, 512, 1024, 1024, 2048, 2048, 0),
    (9, 0): (256, 256, 2048, 4096, 4096, 8192, 8192, 0),
    (10, 0): (0, 256, 4096, 8192, 8192, 16384, 16384, 32768),
    (10, 3): (0, 256, 4096, 8192, 8192, 0, 16384, 49152),
    (11, 0): (0, 256, 4096, 8192, 8192, 16384, 16384, 32768),
    (12, 0): (0, 256, 512, 1024, 1024, 2048, 2048, 4096),
    (12, 1): (0, 256, 512, 1024, 1024, 2048, 2048, 4096),
}

_SUMS_IN_F32 = dict.fromkeys(("tf32", "f16", "bf16", "fp8"), 0.5)
"""What a GeForce keeps of each rate where it sums in f32; integers and fp4 it does not halve."""

_SHARES = {
    # Its row is older than the rule, and its model was trained with the rates of sums in f16.
    "NVIDIA GeForce RTX 4070": {},
    "NVIDIA A10G": dict.fromkeys(_TENSOR, 0.5),
    "NVIDIA L40": dict.fromkeys(_TENSOR, 0.5),
    "NVIDIA H20": {**dict.fromkeys(_TENSOR, 0.25), "f64": 1 / 39},
    "NVIDIA H800": {"f64": 1 / 67},
}


def rate_of(gpu: Gpu, dtype: str) -> float:
    """Return the operations per SM and clock of a GPU in a dtype; 0 where there are none."""
    rates = dict(zip(_DTYPES, _RATES[gpu.compute_capability], strict=True))
    return rates[dtype] * share_of(gpu, dtype)


def share_of(gpu: Gpu, dtype: str) -> float:
    """Return what a board keeps of its generation's rate in a dtype: 1.0 for the whole of it."""
    usual = _SUMS_IN_F32 if "GeForce" in gpu.name else {}
    return _SHARES.get(gpu.name, usual).get(dtype, 1.0)

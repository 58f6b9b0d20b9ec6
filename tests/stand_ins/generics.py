"""Small generic models, made in memory from seeded dice: equal arguments give equal models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpperf_lite._generic import Generic, GenericEstimator
from gpperf_lite._gpu import Gpu
from gpperf_lite._interval import Interval
from gpperf_lite._physics import CONSTANTS
from gpperf_lite._relative import COLUMNS, scale_of
from stand_ins.artefacts import constants, domain, forest, interval


def gpu_like(name: str = "NVIDIA Test 128", **facts: object) -> Gpu:
    """Return a GPU whose facts are powers of two, so that ratios of them are exact."""
    usual = {
        "compute_capability": (9, 0),
        "sm_count": 128,
        "clock_hz": 2.0**30,
        "memory_bytes": 2.0**36,
        "l2_bytes": 2.0**25,
        "dram_bytes_per_s": 2.0**41,
        "peak_flops": {"f16": 2.0**49, "bf16": 2.0**49, "fp8": 2.0**50},
    }
    return Gpu(name, **{**usual, **facts})  # type: ignore[arg-type]


SLOW = gpu_like("NVIDIA Test 32", sm_count=32, dram_bytes_per_s=2.0**38,
                peak_flops={"bf16": 2.0**45, "fp8": 2.0**46})  # fmt: skip
FAST = gpu_like("NVIDIA Test 128")


def generic_model(seed: int = 3, n_trees: int = 6, depth: int = 4) -> Generic:
    """Return a generic model of two GPUs in bf16 and fp8; f16 is answered as bf16 is."""
    dice = np.random.default_rng(seed)
    gpus = (SLOW, FAST)
    wide = Interval((1e-4,), (0.5, 0.9), ((2000, 6000), (1500, 5000)))
    estimators = tuple(
        GenericEstimator(
            dtype,
            (0, 1),
            tuple(relative(gpu, dtype, 1.0 + index) for index, gpu in enumerate(gpus)),
            tuple(forest(dice, n_trees, depth, n_features=len(COLUMNS)) for _ in gpus),
            (0, 1),
            domain(),
            interval(),
            wide,
            {"split": "gpu", "mean_ape": 0.1},
            timed,
            notes,
        )
        for dtype, timed, notes in (("bf16", "", ()), ("fp8", "quantise+gemm", ("with scales",)))
    )
    return Generic(
        "generic", "1", gpus, COLUMNS, 0.35, 0.6, estimators, {"f16": "bf16"}, {"seed": seed}
    )


def relative(gpu: Gpu, dtype: str, factor: float) -> dict[str, float]:
    """Return usual constants of a GPU, times a factor, over its units."""
    usual = constants("library")
    return {
        name: usual[name] * factor / scale_of(name, gpu, dtype)
        for name, _, _ in CONSTANTS["library"]
    }


def renamed(generic: Generic, columns: tuple[str, ...]) -> Generic:
    """Return a model that calls its columns so."""
    return replace(generic, columns=columns)

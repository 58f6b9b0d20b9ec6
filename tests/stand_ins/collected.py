"""Collections for the tests of the builder: what several who measured the same sizes would say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from builder.dataset import Dataset, Floats

from .tables import GRID, dataset_of, gemm_ms

TRUTH_S = np.array([gemm_ms(*size) / 1e3 for size in GRID])
"""Plausible times in s of GRID."""


def collection(
    software: str,
    version: str = "1",
    *,
    runtime_s: Floats = TRUTH_S,
    sizes: Sequence[tuple[int, int, int]] = GRID,
    **columns: object,
) -> Dataset:
    """Return the rows of one collection, of the kernel that its software calls library."""
    m, n, k = (list(axis) for axis in zip(*sizes, strict=True))
    known = {"software": software, "source_version": version, "m": m, "n": n, "k": k}
    return dataset_of(len(sizes), runtime_s=runtime_s.tolist(), **{**known, **columns})


def odd_times(
    seed: int, factor: float = 1.0, noise: float = 0.05, truth_s: Floats = TRUTH_S
) -> Floats:
    """Return the times of a collection: a factor of its own, and noise on each size, in octaves."""
    random = np.random.default_rng(seed)
    odd: Floats = factor * truth_s * np.exp2(random.normal(0, noise, len(truth_s)))
    return odd

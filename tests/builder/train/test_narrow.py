"""Narrow ranges of (n, k): outside of them an interval is as wide as the generic model's."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from stand_ins.collected import collection
from stand_ins.tables import QUICK_TRAINING

import gpperf_lite as gp
from builder.dataset import Points, joined, points_of
from builder.train.intervals import CONFIDENCES
from builder.train.narrow import is_narrow, pairs_of, with_doubt_outside
from builder.train.training import train
from gpperf_lite._builtin import GENERIC, built_in_path
from gpperf_lite._generic import read
from gpperf_lite._interval import Interval

NARROW = Interval((1e-4,), CONFIDENCES, ((10,) * len(CONFIDENCES), (5,) * len(CONFIDENCES)))
SIDES = (128, 512, 1024, 2048, 4096)


def points_at(ns: tuple[int, ...], ks: tuple[int, ...]) -> Points:
    """Return points at each m of 2, n and k."""
    m, n, k = np.array(list(product((8, 64), ns, ks)), float).T
    example = points_of(collection("vllm"))
    several = joined([example] * len(m))
    return replace(several.where(np.arange(len(several)) < len(m)), m=m, n=n, k=k)


@pytest.mark.parametrize(
    ("ns", "ks", "narrow"),
    [
        (SIDES, SIDES, False),
        (SIDES[:4], (*SIDES, 8192), True),
        ((*SIDES, 8192), SIDES[:4], True),
        (SIDES, SIDES[2:], True),  # 15 pairs
        ((*SIDES, 8192, 16384), SIDES[2:], False),  # 21 pairs
    ],
)
def test_a_range_is_narrow_of_few_pairs_or_of_small_ones(
    ns: tuple[int, ...], ks: tuple[int, ...], narrow: bool
) -> None:
    points = points_at(ns, ks)
    assert pairs_of(points) == len(ns) * len(ks)
    assert is_narrow(points) is narrow


@pytest.mark.parametrize("dtype", ["bf16", "int8_wo"])
def test_outside_of_a_narrow_range_an_interval_is_as_wide_as_the_generic_models(
    dtype: str,
) -> None:
    """A dtype that the generic model does not know has the widest of those that it knows."""
    narrow = with_doubt_outside(NARROW, points_at(SIDES[:4], SIDES), dtype)
    generic = read(built_in_path(GENERIC)).estimators
    far = [one.interval_far for one in generic if one.dtype == dtype or dtype == "int8_wo"]
    for confidence in (0.5, 0.9, 0.99):
        low, high = narrow.factors_at(1e-3, confidence, 1.001)
        widest = max(
            one.factors_at(edge, confidence, 1.0)[1]
            for one in far
            for edge in (0.0, *one.runtime_edges_s)
        )
        assert (low, high) == (1.0 / widest, widest)
    assert narrow.factors_at(1e-3, 0.9, 1.0) == NARROW.factors_at(1e-3, 0.9, 1.0)
    assert with_doubt_outside(NARROW, points_at(SIDES, SIDES), dtype) is NARROW


def test_a_model_of_a_narrow_table_says_so_by_its_intervals_and_its_card() -> None:
    artefact = train([collection("vllm")], [], QUICK_TRAINING, 1)
    (estimator,) = artefact.estimators
    points = points_of(collection("vllm"))
    assert estimator.accuracy["pairs"] == pairs_of(points)
    assert bool(estimator.interval.outside) is is_narrow(points)
    model = gp.Model(artefact)
    far = model.predict(gp.Gemm(4096, 65536, 65536, estimator.dtype))
    _, high = far.runtime_interval_s
    assert high / far.runtime_s > 1.3

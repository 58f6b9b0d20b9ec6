"""Calibration by many points of few layers: those as measured, others as the generic model says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.generics import FAST, generic_model

from builder.calibrate.coordinates import time_shares
from builder.calibrate.many_points import ManyOptions, calibrate_by_many
from builder.dataset import Floats, Points
from builder.errors import DatasetError
from builder.train import (
    KERNELS,
    LearnerOptions,
    RuntimeFit,
    describe_points,
    errors_of,
    points_at,
)
from gpperf_lite._estimator import Estimator
from gpperf_lite._interval import Interval

pytestmark = pytest.mark.slow

GPU = replace(FAST, name="NVIDIA New")
SHEET = {one.dtype: one for one in generic_model().artefact_for(GPU).estimators}["bf16"]
PAIRS = [(4096.0, 2048.0), (2048.0, 4096.0), (8192.0, 4096.0)]
QUICK = ManyOptions(40, 300, LearnerOptions(n_trees=64, depth=5, teacher=None))


def labelled(sizes: Floats) -> Points:
    """Return points as if arithmetic took 1.5 times as long as the sheet says, memory 1.2 times."""
    points = points_at(sizes, "bf16")
    described = describe_points(points, GPU, KERNELS, SHEET.constants)
    factor = time_shares(described) @ np.log2([1.5, 1.2, 1.0])
    return replace(points, runtime_s=described.base_s * np.exp2(factor))


MEASURED = labelled(np.array([(m, n, k) for n, k in PAIRS for m in range(1, 1000, 12)], float))


def error(fit: RuntimeFit | Estimator, points: Points) -> float:
    fit = RuntimeFit.of(fit) if isinstance(fit, Estimator) else fit
    predicted_s, _ = fit.predict(points, GPU, KERNELS)
    return errors_of(predicted_s, points.runtime_s).mean_ape


@pytest.fixture(scope="module")
def many() -> Estimator:
    return calibrate_by_many(SHEET, MEASURED, GPU, QUICK)


def test_the_layers_are_answered_as_measured_and_others_as_calibrated(many: Estimator) -> None:
    """Also far smaller ones, of which the sheet alone is wrong."""
    others = labelled(np.exp2(np.random.default_rng(5).uniform(6, 9, (200, 3))).round())
    assert error(SHEET, MEASURED) > 0.2
    assert error(many, MEASURED) < 0.03
    assert error(many, others) < 0.1 < error(SHEET, others)
    assert many.domain == SHEET.domain


def test_errors_are_those_of_pairs_held_out(many: Estimator) -> None:
    accuracy = many.accuracy
    assert (accuracy["split"], accuracy["n"]) == ("pair", len(MEASURED))
    assert accuracy["mean_ape"] > error(many, MEASURED)
    assert accuracy["generic"] == SHEET.accuracy
    assert accuracy["coverage_90_least"] <= accuracy["coverage_90"]


@pytest.mark.parametrize("units", [10, 8192])
def test_an_interval_holds_pairs_held_out_and_is_never_narrower_than_the_generic_models(
    units: int,
) -> None:
    sheet = SHEET._replace(interval=Interval((), (0.9,), ((units,),)))
    estimator = calibrate_by_many(sheet, MEASURED, GPU, QUICK)
    assert estimator.accuracy["coverage_90"] >= 0.89
    if units == 10:
        assert estimator.interval.half_widths[0][0] > 10
    else:
        assert estimator.interval == sheet.interval


def test_a_note_says_what_was_measured(many: Estimator) -> None:
    assert many.notes[-1] == (
        "measured at 3 (n, k), from 2048 x 2048 to 8192 x 4096; elsewhere the generic model, "
        "calibrated"
    )


def test_points_of_one_layer_cannot_be_judged() -> None:
    points = MEASURED.where(MEASURED.n == 8192.0)
    with pytest.raises(DatasetError, match=r"of one \(n, k\), \[\(8192.0, 4096.0\)\], cannot be"):
        calibrate_by_many(SHEET, points, GPU, QUICK)

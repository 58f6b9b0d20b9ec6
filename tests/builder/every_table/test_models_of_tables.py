"""A model of some rows of a real table: trained, written, loaded and asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from table_limits import Stated, stated_tables
from table_trial import LEARNER, OPTIONS, sampled, strata_in

import gpperf_lite as gp
from builder.dataset import Dataset, concatenate, points_of
from builder.evaluate import evaluate_model
from builder.train.training import train
from gpperf_lite._artefact import write

pytestmark = pytest.mark.slow

FIRST = [stated_tables(name)[0] for name in ("aiconfigurator", "cutlass-profiler", "neusight")]
"""Of several back ends, with power; of known kernels; of one library."""

N_POINTS, N_KERNELS = 100, 9
"""Of each stratum: kernels enough for what is learned of those that were not measured, too."""

MOST = {"median_ape": 0.02, "mean_ape": 0.04}
"""The errors on the very rows that were learned from: there is nothing to foresee."""


@pytest.mark.parametrize("stated", FIRST, ids=str)
def test_a_model_that_was_written_and_loaded_answers_as_its_table_says(
    stated: Stated, shared_data: Path, tmp_path: Path
) -> None:
    dataset = _some_rows(stated.imported(shared_data))
    options = replace(OPTIONS, split=stated.way.split, n_folds=5, n_held_out=2, learner=LEARNER)
    write(train([dataset], [dataset], options), tmp_path / "trial.safetensors")
    model = gp.load(tmp_path / "trial.safetensors")
    scores = [score for score in evaluate_model(model, dataset) if score.target == "runtime"]
    assert sum(score.errors.n for score in scores) == len(points_of(dataset))
    for score in scores:
        errors = score.errors.to_json()
        assert {name: errors[name] for name in MOST if errors[name] > MOST[name]} == {}


def _some_rows(dataset: Dataset) -> Dataset:
    """Return the rows of some shapes and some kernels of each stratum."""
    parts = []
    for rows in strata_in(dataset).values():
        kernels = rows.column("kernel").astype(str)
        names = sorted(set(kernels))
        some = names[:: -(-len(names) // N_KERNELS)]
        parts.append(sampled(rows.where(np.isin(kernels, some)), N_POINTS))
    return concatenate(parts)

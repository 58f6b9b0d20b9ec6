"""Evaluation: methods are held out honestly, a model is judged as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stand_ins.tables import GPU, GRID, LARGE_GRID, aiconfigurator, dataset_of, write_parquet

import gpperf_lite as gp
from builder.dataset import Dataset, points_of, write
from builder.errors import DatasetError
from builder.evaluate import evaluate_methods, evaluate_model, read_datasets, score_lines
from builder.evaluate.baselines import roofline, study_features
from builder.evaluate.evaluation import METHODS
from builder.importers import import_table
from gpperf_lite._artefact import Artefact

FEW = ["study", "roofline"]


def test_a_method_is_scored_on_every_row_once_for_each_gpu_and_dtype(
    small_dataset: Dataset, tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "a.parquet", aiconfigurator(GRID, gemm_dtype=["fp8"] * 48))
    other, _ = import_table(path, "aiconfigurator")
    write(small_dataset, tmp_path / "bf16.parquet")
    write(other, tmp_path / "fp8.parquet")
    both = read_datasets([tmp_path / "bf16.parquet", tmp_path / "fp8.parquet"])
    scores = evaluate_methods(both, ["roofline"], "pair")
    assert [(s.method, s.target, s.gpu, s.dtype, s.held_out, s.errors.n) for s in scores] == [
        ("roofline", "runtime", "h200_sxm", "bf16", "pair", 48),
        ("roofline", "runtime", "h200_sxm", "fp8", "pair", 48),
    ]
    assert sum(part.n for part in scores[0].slices.values()) == 48


@pytest.mark.slow
def test_our_method_beats_the_baselines_on_unseen_layers(small_dataset: Dataset) -> None:
    ours, study, light = evaluate_methods(small_dataset, ["ours", "study", "roofline"], "pair")
    assert ours.errors.median_ape < min(light.errors.median_ape, study.errors.median_ape)


def test_extrapolation_is_scored_on_the_rows_that_are_held_out(small_dataset: Dataset) -> None:
    (score,) = evaluate_methods(small_dataset, ["roofline"], "extrapolate")
    assert 0 < score.errors.n <= 5


@pytest.mark.parametrize("split", ["kernel", "gpu"])
def test_what_cannot_be_held_out_is_refused(small_dataset: Dataset, split: str) -> None:
    with pytest.raises(DatasetError, match=f"cannot hold out by {split}"):
        evaluate_methods(small_dataset, FEW, split)


def test_every_method_predicts_the_rows_held_out_from_the_others(small_dataset: Dataset) -> None:
    """What is held out may hold any runtime: a method does not look."""
    points = points_of(small_dataset)
    kernels = {"library": small_dataset.kernel("library")}
    out = points.n == 7168
    times = np.where(out, 1.0, points.runtime_s)
    blind = points_of(dataset_of(48, **small_dataset.table.to_pydict() | {"runtime_s": times}))
    for method in METHODS.values():
        first = method(points, out, GPU, kernels)
        assert first.shape == (8,)
        assert (first > 0).all()
        # The study's forest adds its trees up in whatever order their threads finish.
        assert method(blind, out, GPU, kernels) == pytest.approx(first, rel=1e-12)


def test_a_model_is_scored_as_given(small_artefact: Artefact, small_dataset: Dataset) -> None:
    model = gp.Model(small_artefact)
    (score,) = evaluate_model(model, small_dataset)
    assert (score.method, score.target, score.dtype, score.held_out) == (
        "small",
        "runtime",
        "bf16",
        "as given",
    )
    points = points_of(small_dataset)
    predicted = model.predict_batch(points.m, points.n, points.k, "bf16").runtime_s
    assert score.errors.mean_ape == np.mean(np.abs(predicted / points.runtime_s - 1.0))


def test_rows_of_several_layouts_and_betas_are_each_predicted_as_they_are(
    small_artefact: Artefact,
) -> None:
    model = gp.Model(small_artefact)
    layouts, betas, sizes = ["tn", "nn"] * 3, [0.0, 0.0, 1.0] * 2, [64, 100, 256, 64, 100, 256]
    answers = [
        model.predict(gp.Gemm(m, 1024, 4096, "bf16", layout, beta=beta)).runtime_s
        for m, layout, beta in zip(sizes, layouts, betas, strict=True)
    ]
    dataset = dataset_of(6, m=sizes, n=1024, k=4096, layout=layouts, beta=betas, runtime_s=answers)
    (score,) = evaluate_model(model, dataset)
    assert (score.errors.n, score.errors.mean_ape) == (6, 0.0)


def test_rows_of_a_dtype_that_a_model_does_not_know_are_left_out(
    small_artefact: Artefact,
) -> None:
    model = gp.Model(small_artefact)
    mixed = dataset_of(3, m=[64, 65, 66], dtype=["bf16", "fp8", "bf16"])
    (score,) = evaluate_model(model, mixed)
    assert (score.dtype, score.errors.n) == ("bf16", 2)


def test_a_kernel_that_a_model_does_not_know_is_our_error(small_artefact: Artefact) -> None:
    dataset = dataset_of(2, m=[64, 65], kernel="tiled_sgemm_16")
    with pytest.raises(gp.UnknownKernelError, match="tiled_sgemm_16"):
        evaluate_model(gp.Model(small_artefact), dataset)


def test_scores_are_shown_as_aligned_lines(small_dataset: Dataset) -> None:
    scores = evaluate_methods(small_dataset, FEW, "shape")
    lines = score_lines(scores)
    assert len(lines) == 1 + sum(1 + len(score.slices) for score in scores)
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith("study         runtime    h200_sxm")


def test_the_study_has_nine_features() -> None:
    m, n, k = (np.array([size]) for size in (2.0, 3.0, 5.0))
    (row,) = study_features(m, n, k, np.array([[16.0, 32.0, 8.0]]))
    moved = (2 * 5 + 5 * 3 + 2 * 3) * 4.0
    assert row.tolist() == [2, 3, 5, 16, 32, 8, 60 / moved, moved, 60]


def test_the_roofline_is_no_slower_than_light_plus_a_launch() -> None:
    points = points_of(dataset_of(2, m=[LARGE_GRID[0][0], 1], n=8192, k=8192))
    kernels = {"library": gp.Kernel.from_name("library")}
    time_s = roofline(points, GPU, kernels, 5e-6)
    flops_s = 2.0 * 2048 * 8192 * 8192 / GPU.peak_flops["bf16"]
    assert time_s[0] == pytest.approx(flops_s + 5e-6, rel=1e-12)
    bytes_s = 2.0 * (8192 + 8192 * 8192 + 8192) / GPU.dram_bytes_per_s
    assert time_s[1] == pytest.approx(bytes_s + 5e-6, rel=1e-12)

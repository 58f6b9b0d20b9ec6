"""Calibration: from a generic model and few points to a model of their GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.generics import FAST, generic_model
from stand_ins.tables import dataset_of

import gpperf_lite as gp
from builder.__main__ import main
from builder.calibrate import calibrate_generic
from builder.calibrate.calibration import added
from builder.calibrate.coordinates import time_shares
from builder.calibrate.gaussian_process import Assumed, _likeness, fit_process
from builder.dataset import Dataset, Floats, Points, points_of
from builder.dataset import write as write_dataset
from builder.errors import DatasetError
from builder.train import KERNELS, describe_points, errors_of, points_at
from gpperf_lite._artefact import Artefact, encode, write
from gpperf_lite._generic import write as write_generic

GENERIC = generic_model()
GPU = replace(FAST, name="NVIDIA New", peak_flops={"f16": 2.0**49, "bf16": 2.0**49})
SHEET = GENERIC.artefact_for(GPU).estimators[0]


def sizes_of(n_points: int, seed: int) -> Floats:
    return np.exp2(np.random.default_rng(seed).uniform(5, 14, (n_points, 3))).round()


def truth_s(points: Points) -> Floats:
    """Return times as if arithmetic took 1.5 times as long as the sheet says, memory 0.9 times."""
    described = describe_points(points, GPU, KERNELS, SHEET.constants)
    factor = time_shares(described) @ np.log2([1.5, 0.9, 1.0])
    noise = np.random.default_rng(8).normal(0.0, 0.01, len(points))
    return described.base_s * np.exp2(factor + noise)


def measured(n_points: int, seed: int = 1, **columns: object) -> Dataset:
    """Return a dataset of points of the new GPU."""
    points = points_at(sizes_of(n_points, seed), "bf16")
    m, n, k = (getattr(points, name).astype(int).tolist() for name in "mnk")
    runtime_s = truth_s(points).tolist()
    values = {"gpu": "new", "m": m, "n": n, "k": k, "runtime_s": runtime_s, **columns}
    return replace(dataset_of(n_points, **values), gpus={"new": GPU})


@pytest.fixture(scope="module")
def calibrated() -> Artefact:
    return calibrate_generic(GENERIC, measured(80), "new", "1")


def test_few_points_find_the_factors_of_the_new_gpu(calibrated: Artefact) -> None:
    """On shapes that were not among them."""
    asked = points_at(sizes_of(400, 5), "bf16")
    sheet = gp.Model(GENERIC.artefact_for(GPU))
    model = gp.Model(calibrated)

    def error(one: gp.Model) -> float:
        batch = one.predict_batch(asked.m, asked.n, asked.k, "bf16", "tn")
        return errors_of(batch.runtime_s, truth_s(asked)).mean_ape

    assert error(sheet) > 0.1
    assert error(model) < 0.03


def test_the_model_is_an_ordinary_artefact_of_the_gpu(calibrated: Artefact, tmp_path: Path) -> None:
    write(calibrated, tmp_path / "new.safetensors")
    model = gp.load(tmp_path / "new.safetensors")
    prediction = model.predict(gp.Gemm(512, 1024, 1024, "bf16"))
    assert model.gpu == GPU
    assert model.dtypes == ("bf16", "f16")
    assert prediction.in_domain
    assert model.card["provenance"]["calibrated_from"] == {"name": "generic", "version": "1"}


@pytest.mark.slow
def test_the_same_points_make_the_same_bytes(calibrated: Artefact) -> None:
    assert encode(calibrate_generic(GENERIC, measured(80), "new", "1")) == encode(calibrated)


def test_intervals_are_as_wide_as_the_points_are_uncertain(calibrated: Artefact) -> None:
    """Nearly noiseless points, well explained: narrower than from the data sheet."""
    points, sheet = (
        one.interval.factors_at(1e-4, 0.9, 1.0)[1] for one in (calibrated.estimators[0], SHEET)
    )
    assert points < sheet


def test_two_forests_added_say_the_sum() -> None:
    one, other = generic_model(1, 3, 2), generic_model(2, 4, 5)
    a, b = one.estimators[0].forests[0], other.estimators[0].forests[0]
    columns = np.random.default_rng(4).uniform(0, 1000, (256, 50)).astype(np.float32)
    assert (added(a, b).sums_of(columns) == a.sums_of(columns) + b.sums_of(columns)).all()


def test_a_point_left_out_is_predicted_as_without_it() -> None:
    """The shortcut over all points says what leaving one out by hand does."""
    dice = np.random.default_rng(6)
    at, share = dice.normal(size=(12, 3)), dice.uniform(size=(12, 2))
    values = dice.normal(0.0, 0.2, 12)
    process = fit_process(at, share, values)
    rest = np.arange(12) != 4
    assumed: Assumed = process.assumed
    likeness = _likeness(at[rest], share[rest], at[rest], share[rest], assumed)
    noise = np.diag((assumed.noise * process.noisier[rest]) ** 2)
    weights = np.linalg.solve(likeness + noise, values[rest])
    by_hand = _likeness(at[4:5], share[4:5], at[rest], share[rest], assumed) @ weights
    assert process.left_out[4] == pytest.approx(by_hand[0], rel=1e-6, abs=1e-9)


def test_points_of_two_gpus_or_of_one_that_is_unknown_are_refused() -> None:
    two = replace(measured(10, gpu=["new"] * 5 + ["other"] * 5), gpus={"new": GPU, "other": GPU})
    with pytest.raises(DatasetError, match=r"of one GPU whose facts are known \(got \['new', 'oth"):
        calibrate_generic(GENERIC, two, "new", "1")
    with pytest.raises(DatasetError, match="whose facts are known"):
        calibrate_generic(GENERIC, replace(measured(10), gpus={}), "new", "1")


def test_too_few_points_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"at least 8 points .* \(got \{'bf16': 5\}\)"):
        calibrate_generic(GENERIC, measured(5), "new", "1")


def test_a_dtype_that_another_answers_for_is_calibrated_and_then_answers_for_that() -> None:
    """Its note, that it was not measured, is gone: with and without a peak of the other."""
    for peaks in ({"f16": 2.0**49, "bf16": 2.0**49}, {"f16": 2.0**49}):
        gpu = replace(GPU, peak_flops=peaks)
        dataset = replace(measured(20, dtype="f16"), gpus={"new": gpu})
        artefact = calibrate_generic(GENERIC, dataset, "new", "1")
        assert [(one.dtype, one.notes) for one in artefact.estimators] == [("f16", ())]
        assert artefact.stand_ins == ({"bf16": "f16"} if "bf16" in peaks else {})


def test_a_gpu_beyond_all_that_were_measured_is_so_no_longer() -> None:
    """Notes on its arithmetic from the data sheet are gone; those of the generic model stay."""
    gpu = replace(GPU, peak_flops={"bf16": 2.0**46})
    noted = tuple(replace(one, notes=("of all GPUs",)) for one in GENERIC.estimators)
    generic = replace(GENERIC, estimators=noted)
    (sheet,) = generic.artefact_for(gpu).estimators
    assert any("the least measured" in note for note in sheet.notes)
    artefact = calibrate_generic(generic, replace(measured(20), gpus={"new": gpu}), "new", "1")
    assert [one.notes for one in artefact.estimators] == [("of all GPUs",)]
    assert artefact.remarks == ()


def test_repeats_of_a_point_count_once() -> None:
    points = points_of(measured(20))
    assert len(points) == 20


@pytest.mark.slow
def test_the_command_makes_a_model_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_generic(GENERIC, tmp_path / "base.safetensors")
    write_dataset(measured(20), tmp_path / "few.dataset.parquet")
    arguments = ["--base", str(tmp_path / "base.safetensors"), "--name", "my_gpu"]
    arguments += ["--measured", str(tmp_path / "few.dataset.parquet")]
    output = tmp_path / "my_gpu.safetensors"
    assert main(["calibrate", *arguments, "--output", str(output)]) == 0
    assert "bf16       20 points, mean" in capsys.readouterr().out
    assert gp.load(output).name == "my_gpu"
    assert main(["calibrate", *arguments, "--output", str(tmp_path)]) == 2
    assert "output must be a file" in capsys.readouterr().err


def test_one_strange_point_says_little_of_its_neighbours() -> None:
    dice = np.random.default_rng(7)
    at, share = dice.normal(size=(60, 2)), np.zeros((60, 1))
    values = 0.1 * at[:, 0] + dice.normal(0.0, 0.01, 60)
    strange = values + 1.4 * (np.arange(60) == 3)
    asked = at + 0.05
    plain = fit_process(at, share, values).predict(asked, share)
    pulled = fit_process(at, share, strange).predict(asked, share)
    assert np.abs(pulled - plain).max() < 0.1

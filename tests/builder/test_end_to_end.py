"""From a sweep to a prediction, on a simulated GPU: every command, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gpperf_lite as gp
from builder.__main__ import main
from builder.dataset import points_of, read
from builder.device.simulated import SimulatedDevice
from builder.errors import DatasetError

pytestmark = pytest.mark.slow

SEED = 4

SWEEP = """
seed = 3
points = 900
power_share = 0.9

[shapes.any]
log2_m = [0, 12]
log2_n = [5, 12]
log2_k = [5, 12]

[[kernels]]
names = ["tiled_sgemm_8", "tiled_sgemm_16", "tiled_sgemm_32"]
shapes = "any"
layouts = ["nn"]

[[kernels]]
names = ["cutlass_simt_sgemm_*_8x2_nn_align1"]
weight = 2
shapes = "any"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep, the dataset collected of it, and the model trained on that."""
    folder = tmp_path_factory.mktemp("collected")
    (folder / "small.toml").write_text(SWEEP)
    sweep, dataset = str(folder / "small.toml"), str(folder / "small.parquet")
    cubins = str(folder / "cubins")
    collect = ["collect", "--sweep", sweep, "--output", dataset, "--simulate", str(SEED)]
    assert main([*collect, "--cubins", cubins, "--quiet"]) == 0
    train = ["train", dataset, "--simulated", "--split", "shape", "--folds", "2"]
    model = ["--name", "simulated_gpu", "--output", str(folder / "small.safetensors")]
    assert main([*train, *model, "--workers", "1"]) == 0
    return folder


def test_the_plan_names_what_collect_measures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["plan", "--sweep", str(folder / "small.toml"), "--gpu", "h200", "--json"]
    assert main([*arguments, "--cubins", str(folder / "cubins")]) == 0
    plan = json.loads(capsys.readouterr().out)
    measured = read(folder / "small.parquet")
    burst = measured.where(measured.column("regime") == "burst")
    assert {key.split()[0] for key in plan["points"]} == set(burst.column("kernel"))
    assert len(plan["points"]) == 900


def test_simulated_rows_are_marked_and_not_trained_on_by_accident(folder: Path) -> None:
    dataset = read(folder / "small.parquet")
    assert len(dataset.usable()) == 0
    assert len(dataset.simulated().usable()) > 0.95 * len(dataset)
    with pytest.raises(DatasetError, match="no usable row"):
        points_of(dataset)
    card = gp.load(folder / "small.safetensors").card
    assert card["provenance"]["simulated"] is True
    assert "(simulated)" in card["gpu"]["name"]


def test_predictions_match_the_simulators_truth(folder: Path) -> None:
    """On GEMMs that were never measured: within its noise of half a percent at the median, and in
    the interval as often as that states."""
    model = gp.load(folder / "small.safetensors")
    device = SimulatedDevice(SEED)
    dice = np.random.default_rng(11)
    ratios, inside = [], []
    for _ in range(400):
        m, n, k = (8 * int(2.0**size) for size in dice.uniform([0, 4, 4], [8.5, 8.5, 8.5]))
        kernel = model.kernels[int(dice.integers(len(model.kernels)))]
        gemm = gp.Gemm(m, n, k, "f32", "nn")
        truth_s = device.truth_runtime_s(kernel, gemm)
        p = model.predict(gemm, kernel)
        low_s, high_s = p.runtime_interval_s
        inside.append(low_s <= truth_s <= high_s)
        ratios.append(p.runtime_s / truth_s)
    assert np.median(np.abs(np.array(ratios) - 1.0)) < 0.01
    assert np.mean(inside) > 0.88


def test_the_predicted_best_kernel_is_close_to_the_true_best(folder: Path) -> None:
    model = gp.load(folder / "small.safetensors")
    device = SimulatedDevice(SEED)
    efficiency = []
    for size in (200, 512, 777, 1024, 1500, 2048):
        gemm = gp.Gemm(size, size, size, "f32", "nn")
        truth_s = {one.name: device.truth_runtime_s(one, gemm) for one in model.kernels}
        efficiency.append(min(truth_s.values()) / truth_s[model.best(gemm).kernel.name])
    assert np.mean(efficiency) > 0.9


def test_power_and_energy_follow_the_simulators(folder: Path) -> None:
    model = gp.load(folder / "small.safetensors")
    device = SimulatedDevice(SEED)
    misses = []
    for size in (512, 1000, 2048, 4096):
        gemm = gp.Gemm(size, size, size, "f32", "nn")
        p = model.predict(gemm, model.kernels[-1])
        assert p.power_w is not None
        misses.append(abs(p.power_w / device.truth_power_w(p.kernel, gemm) - 1.0))
        assert p.energy_j == p.power_w * p.sustained_runtime_s
    assert np.median(misses) < 0.1


def test_what_was_collected_is_merged_evaluated_and_tabled(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = str(folder / "small.parquet")
    again = str(folder / "again.parquet")
    assert main(["merge", dataset, "--output", again]) == 0
    assert read(Path(again)).table.equals(read(Path(dataset)).table)
    model = ["--artefact", str(folder / "small.safetensors")]
    for part, more in (("model", model), ("tiles", ["--dtype", "f32"])):
        assert main(["evaluate", part, again, "--simulated", *more]) == 0
        assert "they say nothing of any GPU" in (printed := capsys.readouterr().out)
    assert "32x32" in printed
    assert main(["merge", dataset, dataset, "--output", again]) == 2
    assert "give it once" in capsys.readouterr().err

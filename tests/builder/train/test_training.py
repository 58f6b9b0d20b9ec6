"""Training: from tables to an artefact that predicts them, the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.tables import (
    CUTLASS_COLUMNS,
    CUTLASS_KERNEL,
    GPU,
    GRID,
    LARGE_GRID,
    QUICK_TRAINING,
    aiconfigurator,
    cutlass_row,
    dataset_of,
    gemm_ms,
    write_csv,
    write_parquet,
)

import gpperf_lite as gp
from builder.dataset import Dataset, concatenate
from builder.errors import DatasetError
from builder.importers import import_table
from builder.train import LearnerOptions
from builder.train.learner import Teacher
from builder.train.power_fit import POWER_WINDOW_S
from builder.train.training import train
from gpperf_lite._artefact import Artefact, encode, read, write

SHORT = [size for size in GRID if size[0] <= 256]


def power_at(m: int, n: int, k: int) -> float:
    """Return a power in W that rises with the intensity of a long kernel."""
    return 260.0 + 380.0 * min(m, n, k) / 16384


@pytest.fixture(scope="module")
def power_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Long kernels with their power, and short ones that read idle."""
    power = [power_at(*size) for size in LARGE_GRID] + [130.0] * len(SHORT)
    columns = aiconfigurator([*LARGE_GRID, *SHORT], power=True) | {"power": power}
    path = write_parquet(tmp_path_factory.mktemp("power") / "power.parquet", columns)
    return import_table(path, "aiconfigurator")[0]


@pytest.fixture(scope="module")
def power_artefact(small_dataset: Dataset, power_dataset: Dataset) -> Artefact:
    return train(
        [small_dataset, power_dataset],
        [power_dataset],
        replace(QUICK_TRAINING, name="warm", version="2"),
    )


def loaded(artefact: Artefact, folder: Path) -> gp.Model:
    write(artefact, folder / "a.safetensors")
    return gp.load(folder / "a.safetensors")


def test_a_model_predicts_what_it_was_trained_on(small_artefact: Artefact, tmp_path: Path) -> None:
    model = loaded(small_artefact, tmp_path)
    assert (model.name, model.dtypes, model.gpu) == ("small", ("bf16",), GPU)
    m, n, k = (list(axis) for axis in zip(*GRID, strict=True))
    batch = model.predict_batch(m, n, k, "bf16")
    measured = np.array([gemm_ms(*size) / 1e3 for size in GRID])
    error = np.abs(batch.runtime_s / measured - 1.0)
    assert np.median(error) < 0.1
    assert error.max() < 0.5
    assert batch.in_domain.all()
    assert batch.power_w is None
    one = model.predict(gp.Gemm(*GRID[5], dtype="bf16"))
    assert one.runtime_s == batch.runtime_s[5]


def test_what_is_written_is_what_was_trained(small_artefact: Artefact, tmp_path: Path) -> None:
    write(small_artefact, tmp_path / "a.safetensors")
    assert encode(read(tmp_path / "a.safetensors")) == encode(small_artefact)


def test_a_card_says_where_it_comes_from_and_how_good_it_is(
    small_artefact: Artefact, small_dataset: Dataset, tmp_path: Path
) -> None:
    card = loaded(small_artefact, tmp_path).card
    assert card["provenance"]["runtime"] == list(small_dataset.provenance)
    assert card["provenance"]["power"] == []
    assert card["provenance"]["power_window_s"] is None
    assert (card["provenance"]["split"], card["provenance"]["folds"]) == ("pair", 2)
    assert {"gpperf-lite", "catboost", "numpy"} <= set(card["provenance"]["trained_with"])
    (estimator,) = card["estimators"]
    assert estimator["domain"]["m"] == (1, 4096)
    assert estimator["domain"]["layouts"] == ("tn",)
    assert estimator["domain"]["beta"] == "zero"
    accuracy = estimator["accuracy"]
    assert accuracy["n"] == sum(part["n"] for part in accuracy["slices"].values()) == len(GRID)
    assert 0.0 <= accuracy["coverage_90"] <= 1.0


def test_accuracy_is_of_rows_that_were_held_out(small_dataset: Dataset) -> None:
    """A pair that is three times slower than the rest is not foreseen where it is held out."""
    columns = small_dataset.table.to_pydict()
    slow = [n == 7168 for n in columns["n"]]
    columns["runtime_s"] = [
        time_s * (3.0 if odd else 1.0)
        for time_s, odd in zip(columns["runtime_s"], slow, strict=True)
    ]
    odd = dataset_of(len(GRID), **columns)
    options = replace(QUICK_TRAINING, learner=LearnerOptions(n_trees=64, depth=4, teacher=None))
    artefact = train([odd], [], replace(options, name="odd"))
    model = gp.Model(artefact)
    m, n, k = (list(axis) for axis in zip(*GRID, strict=True))
    known = model.predict_batch(m, n, k, "bf16").runtime_s / odd.column("runtime_s") - 1.0
    held_out = artefact.estimators[0].accuracy["mean_ape"]
    assert held_out > 2.0 * np.abs(known).mean()


@pytest.mark.slow
def test_training_again_gives_the_same_bytes_in_one_process_or_in_two(
    small_dataset: Dataset, small_artefact: Artefact
) -> None:
    for n_workers in (1, 2):
        again = train(
            [small_dataset], [], replace(QUICK_TRAINING, name="small"), n_workers=n_workers
        )
        assert encode(again) == encode(small_artefact)


@pytest.mark.slow
def test_the_teacher_is_as_repeatable_as_its_student(small_dataset: Dataset) -> None:
    options = replace(
        QUICK_TRAINING, learner=LearnerOptions(n_trees=8, depth=3, teacher=Teacher(16, n_random=4))
    )
    few = small_dataset.where(small_dataset.column("m") >= 256)
    first, second = (encode(train([few], [], replace(options, name="taught"))) for _ in range(2))
    assert first == second


def test_small_tables_get_a_small_forest(small_dataset: Dataset) -> None:
    artefact = train([small_dataset], [], replace(QUICK_TRAINING, name="usual", learner=None))
    assert artefact.estimators[0].forest.feature.shape == (64, 4)


def test_power_is_learnt_from_long_windows_alone(power_artefact: Artefact, tmp_path: Path) -> None:
    model = loaded(power_artefact, tmp_path)
    runtime, power = model.card["estimators"]
    assert (runtime["target"], power["target"]) == ("runtime", "power")
    assert runtime["accuracy"]["n"] == len(GRID) + len(LARGE_GRID)
    assert power["accuracy"]["n"] == len(LARGE_GRID)
    assert model.card["provenance"]["power_window_s"] == POWER_WINDOW_S
    assert power["domain"]["runtime_s"][0] > 1e-4
    m, n, k = (list(axis) for axis in zip(*LARGE_GRID, strict=True))
    measured = np.array([power_at(*size) for size in LARGE_GRID])
    predicted = model.predict_batch(m, n, k, "bf16").power_w
    assert np.median(np.abs(predicted / measured - 1.0)) < 0.1


def test_power_of_short_kernels_is_said_to_be_unmeasured(
    power_artefact: Artefact, tmp_path: Path
) -> None:
    model = loaded(power_artefact, tmp_path)
    short = model.predict(gp.Gemm(8, 1024, 4096, dtype="bf16"))
    assert any("power of kernels under" in note for note in short.notes)
    low_w, high_w = short.power_interval_w
    assert GPU.idle_power_w <= low_w <= short.power_w <= high_w <= GPU.power_limit_w
    assert short.energy_j == short.power_w * short.sustained_runtime_s


def test_the_runtime_under_load_is_learnt_where_enough_points_were_measured_both_ways(
    small_dataset: Dataset,
) -> None:
    """All points a tenth slower under load; the same with nineteen of them alone; and not timed."""
    columns = small_dataset.table.to_pydict()
    columns |= {"regime": "sustained", "runtime_s": 1.1 * small_dataset.column("runtime_s")}
    lasting = dataset_of(len(GRID), **columns)
    few = lasting.where(np.arange(len(GRID)) < 19)
    untimed = dataset_of(len(GRID), **{**columns, "m": 2})
    targets = {}
    for name, more in (("all", lasting), ("few", few), ("untimed", untimed)):
        artefact = train([small_dataset, more], [], replace(QUICK_TRAINING, name=name))
        targets[name] = [estimator.target for estimator in artefact.estimators]
    assert targets == {"all": ["runtime", "sustained"], "few": ["runtime"], "untimed": ["runtime"]}


def test_one_group_cannot_be_held_out(small_dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="nothing can be held out"):
        train([small_dataset], [], replace(QUICK_TRAINING, name="x", split="gpu"))


def test_a_dtype_without_a_peak_is_refused() -> None:
    rows = dataset_of(3, m=[1, 2, 3], dtype="nvfp4")
    with pytest.raises(DatasetError, match="no peak for nvfp4"):
        train([rows], [], replace(QUICK_TRAINING, name="x"))


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "a\nb"])
def test_a_name_that_could_not_be_a_file_is_refused(name: str, small_dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="name must be"):
        train([small_dataset], [], replace(QUICK_TRAINING, name=name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ({"f16": "bf16"}, {"f16": "bf16"}),
        ({"f16": "fp8"}, {}),
        ({"bf16": "bf16"}, {}),
        ({}, {}),
    ],
)
def test_stand_ins_answer_for_what_was_not_measured(
    small_dataset: Dataset, asked: dict[str, str], used: dict[str, str]
) -> None:
    options = replace(QUICK_TRAINING, stand_ins=asked)
    artefact = train([small_dataset], [], replace(options, name="small"))
    assert artefact.stand_ins == used
    model = gp.Model(artefact)
    if not used:
        with pytest.raises(gp.InputError, match="dtype"):
            model.predict(gp.Gemm(64, 1024, 4096, dtype="f16"))
        return
    prediction = model.predict(gp.Gemm(64, 1024, 4096, dtype="f16"))
    measured = model.predict(gp.Gemm(64, 1024, 4096, dtype="bf16"))
    assert prediction.runtime_s == measured.runtime_s
    assert prediction.notes == ("f16 was not measured: predicted as bf16",)
    assert not prediction.in_domain


@pytest.mark.slow
def test_each_dtype_and_form_of_physics_gets_its_own_estimator(tmp_path: Path) -> None:
    """Two dtypes of a library, and two kernels of one dtype that share an estimator."""
    other = CUTLASS_KERNEL.replace("_nn_", "_tn_")
    sizes = [(m, n, n) for m in (128, 256, 512, 1024) for n in (256, 512, 1024)]
    rows = [
        cutlass_row(
            m=str(m), n=str(n), k=str(k), Operation=kernel, A=a, Runtime=str(gemm_ms(m, n, k))
        )
        for m, n, k in sizes
        for kernel, a in ((CUTLASS_KERNEL, "f32:column"), (other, "f32:row"))
    ]
    path = write_csv(tmp_path / "a.csv", CUTLASS_COLUMNS, rows)
    cutlass, _ = import_table(path, "cutlass-profiler", "h200_sxm")
    dtypes = ["bfloat16"] * len(GRID) + ["fp8"] * len(GRID)
    table = write_parquet(tmp_path / "a.parquet", aiconfigurator(GRID * 2, gemm_dtype=dtypes))
    library, _ = import_table(table, "aiconfigurator")
    artefact = train([library, cutlass], [], replace(QUICK_TRAINING, name="mixed", split="shape"))
    model = loaded(artefact, tmp_path)
    assert model.dtypes == ("bf16", "f32", "fp8")
    found = {one["dtype"]: one["kernels"] for one in model.card["estimators"]}
    assert found == {
        "bf16": ["library", "vllm"], "fp8": ["vllm", "library"], "f32": [CUTLASS_KERNEL, other],
    }  # fmt: skip
    gemm = gp.Gemm(256, 512, 512, dtype="f32", layout="nn")
    ranked = model.rank(gemm)
    assert [prediction.kernel.name for prediction in ranked] == [CUTLASS_KERNEL]


def test_a_table_with_a_slice_of_one_row_can_be_written(
    small_dataset: Dataset, tmp_path: Path
) -> None:
    """R2 is not defined there, and JSON has no NaN."""
    m = small_dataset.column("m")
    single = (m >= 64) | ((m == 1) & (small_dataset.column("n") == 512))
    artefact = train([small_dataset.where(single)], [], replace(QUICK_TRAINING, name="one"))
    write(artefact, tmp_path / "a.safetensors")
    part = read(tmp_path / "a.safetensors").estimators[0].accuracy["slices"]["m from 1 to 16"]
    assert (part["n"], part["r2"]) == (1, None)
    json.dumps(part, allow_nan=False)


@pytest.mark.parametrize("flag", ["failed", "other_processes", "utilised", "drift"])
def test_rows_with_unusable_flags_play_no_part(
    small_dataset: Dataset, small_artefact: Artefact, flag: str
) -> None:
    bad = dataset_of(4, m=[1, 2, 3, 4], runtime_s=1.0, flags=[[flag, "coarse"]] * 4)
    artefact = train([small_dataset, bad], [], replace(QUICK_TRAINING, name="small"))
    assert artefact.estimators[0].forest == small_artefact.estimators[0].forest
    assert artefact.estimators[0].accuracy == small_artefact.estimators[0].accuracy


def test_rows_of_two_gpus_are_refused(small_dataset: Dataset) -> None:
    other = dataset_of(2, gpu="l40s", m=[1, 2])
    with pytest.raises(DatasetError, match="of one GPU; these rows are of h200_sxm, l40s"):
        train([small_dataset, other], [], replace(QUICK_TRAINING, name="two"))


def test_power_of_another_gpu_is_refused(small_dataset: Dataset) -> None:
    other = dataset_of(2, gpu="l40s", m=[1, 2], power_w=300.0, power_window_s=1.0)
    with pytest.raises(DatasetError, match="power was measured on another GPU"):
        train([small_dataset], [other], replace(QUICK_TRAINING, name="two"))


def test_a_gpu_without_facts_is_refused(small_dataset: Dataset) -> None:
    unknown = replace(small_dataset, gpus={})
    with pytest.raises(DatasetError, match="does not hold the facts of its GPU 'h200_sxm'"):
        train([unknown], [], replace(QUICK_TRAINING, name="unknown"))


def test_no_usable_row_is_refused(small_dataset: Dataset) -> None:
    flagged = dataset_of(3, flags=[["simulated"]] * 3)
    for datasets in ([flagged], [dataset_of(0)]):
        with pytest.raises(DatasetError, match="no usable row"):
            train(datasets, [], replace(QUICK_TRAINING, name="none"))
    with pytest.raises(DatasetError, match="name at least one file"):
        train([], [], replace(QUICK_TRAINING, name="none"))


def test_where_all_rows_are_kept_out_the_error_names_flags_counts_and_what_to_do() -> None:
    flags = [["other_processes"], ["other_processes", "drift"], ["other_processes"]]
    with pytest.raises(DatasetError) as caught:
        train([dataset_of(3, flags=flags)], [], replace(QUICK_TRAINING, name="none"))
    text = str(caught.value)
    assert "no usable row: flags keep out all of its 3 (docs/dataset.md)" in text
    assert "other_processes on 3 (" in text
    assert "end it and collect again), drift on 1 (" in text
    assert "\n" not in text


def test_rows_that_are_all_simulated_or_none_of_them_are_called_so() -> None:
    """Where they are not asked for, and where they are."""
    simulated = dataset_of(3, flags=[["simulated"], ["simulated", "drift"], ["simulated"]])
    with pytest.raises(DatasetError, match="all of its 3 rows are simulated: add --simulated"):
        train([simulated], [], replace(QUICK_TRAINING, name="none"))
    options = replace(QUICK_TRAINING, name="none", simulated=True)
    with pytest.raises(DatasetError, match="none of the 3 rows is simulated: leave --simulated"):
        train([dataset_of(2), dataset_of(1)], [], options)


def test_a_split_without_folds_is_refused(small_dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="split must be one of"):
        train([small_dataset], [], replace(QUICK_TRAINING, name="large", split="extrapolate"))


def test_the_order_of_datasets_that_say_the_same_is_kept_in_the_provenance(
    small_dataset: Dataset,
) -> None:
    more = replace(small_dataset, provenance=({"source": "more.csv"},))
    artefact = train([small_dataset, more], [], replace(QUICK_TRAINING, name="small"))
    assert artefact.provenance["runtime"] == list(concatenate([small_dataset, more]).provenance)

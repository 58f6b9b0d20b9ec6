"""The generic model's training, and its accuracy on GPUs held out: on tables made from formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from stand_ins.tables import dataset_of

import gpperf_lite as gp
from builder.dataset import Dataset, Floats, points_of
from builder.errors import DatasetError, RecipeError
from builder.evaluate.unseen_gpus import curves_of
from builder.report.unseen import page_of
from builder.train import (
    GenericOptions,
    GpuTable,
    KeptFits,
    LearnerOptions,
    hold_out_gpus,
    points_at,
    read_recipe,
    tables_of,
)
from builder.train.generic import train_generic
from builder.train.generic_fit import kinds_of
from builder.train.relative import fit_forest
from gpperf_lite._generic import Generic, GenericEstimator, decode, encode, read, write
from gpperf_lite._gpu_facts import known_gpus

GPUS = {name: known_gpus()[name] for name in ("h100_sxm", "h200_sxm", "l40s")}
SMALL = LearnerOptions(n_trees=20, depth=4, teacher=None)
QUICK_GENERIC = GenericOptions(SMALL, 200, 100, {"f16": "bf16", "s8": "fp8"})


def formula_s(sizes: Floats, gpu: gp.Gpu, dtype: str = "bf16") -> Floats:
    """Return a launch, and the longer of arithmetic and memory, at a share of the peaks."""
    m, n, k = sizes.T
    compute_s = 2.0 * m * n * k / (0.8 * gpu.peak_flops[dtype])
    memory_s = 2.0 * (m * k + n * k + m * n) / (0.9 * gpu.dram_bytes_per_s)
    return 3e-6 + np.maximum(compute_s, memory_s)


def dataset(gpus: Mapping[str, gp.Gpu] = GPUS, dtypes: Sequence[str] = ("bf16",)) -> Dataset:
    names = ("gpu", "dtype", "m", "n", "k", "runtime_s")
    rows: dict[str, list[object]] = {name: [] for name in names}
    for number, (name, dtype) in enumerate(product(gpus, dtypes)):
        sizes = np.exp2(np.random.default_rng(number).uniform(6, 14, (520, 3))).round()
        rows["gpu"] += [name] * len(sizes)
        rows["dtype"] += [dtype] * len(sizes)
        for axis, column in enumerate("mnk"):
            rows[column] += sizes[:, axis].astype(int).tolist()
        rows["runtime_s"] += formula_s(sizes, gpus[name], dtype).tolist()
    whole = dataset_of(len(rows["m"]), **rows)
    return replace(whole, gpus=dict(gpus))


@pytest.fixture(scope="module")
def generic() -> Generic:
    return train_generic([dataset()], "generic", "1", QUICK_GENERIC, 1)


def test_kept_fits_make_the_same_generic_model_bit_for_bit(
    generic: Generic, tmp_path: Path
) -> None:
    """The constants of three GPUs, the forest of each kind, and one for each GPU held out."""
    kept = KeptFits(tmp_path)
    n_kinds = len(generic.estimators[0].forests)
    for n_found, n_new in ((0, 6 + n_kinds), (6 + n_kinds, 0)):
        again = train_generic([dataset()], "generic", "1", QUICK_GENERIC, 1, kept)
        assert encode(again) == encode(generic)
        assert kept.take_tally().endswith(f"{n_found} of them found, {n_new} new")


def trained_on(whole: Dataset, estimator: GenericEstimator) -> list[GpuTable]:
    """Return the tables of an estimator as its training had them."""
    mine = whole.of_dtypes([estimator.dtype])
    return [
        GpuTable(name, gpu, points_of(mine.where(mine.column("gpu") == name)), constants)
        for (name, gpu), constants in zip(whole.gpus.items(), estimator.constants, strict=True)
    ]


@pytest.fixture(scope="module")
def tables(generic: Generic) -> list[GpuTable]:
    return trained_on(dataset(), generic.estimators[0])


def test_a_gpu_that_was_not_measured_is_predicted_from_its_data_sheet(
    generic: Generic, tmp_path: Path
) -> None:
    """One that the formula holds for as well: half of an H200."""
    h200 = known_gpus()["h200_sxm"]
    half = replace(
        h200,
        name="NVIDIA Half",
        sm_count=66,
        dram_bytes_per_s=2.4e12,
        peak_flops={"bf16": h200.peak_flops["bf16"] / 2.0},
    )
    write(generic, tmp_path / "generic.safetensors")
    model = gp.load(tmp_path / "generic.safetensors", gpu=half)
    sizes = np.exp2(np.random.default_rng(9).uniform(8, 13, (200, 3))).round()
    batch = model.predict_batch(*sizes.T, dtype="bf16", layout="tn")
    assert np.abs(batch.runtime_s / formula_s(sizes, half) - 1.0).mean() < 0.15


def test_gpus_within_an_octave_of_each_other_are_of_one_kind(tables: list[GpuTable]) -> None:
    """Also by way of others, in whatever order they come."""
    h100, h200, l40s = tables
    assert kinds_of(tables) == (0, 0, 1)
    assert kinds_of([l40s, h200, h100]) == (0, 1, 1)
    assert kinds_of([h200]) == (0,)

    def faster(factor: float) -> GpuTable:
        """An H200 with so many more multiply-adds in a clock, so many octaves away."""
        peaks = {"bf16": h200.gpu.peak_flops["bf16"] * factor}
        return replace(h200, gpu=replace(h200.gpu, peak_flops=peaks))

    ends = [h200, faster(3.0)]
    assert kinds_of(ends) == (0, 1)
    assert kinds_of([*ends, faster(1.7)]) == (0, 0, 0)


def test_a_gpu_held_out_is_asked_of_the_forest_that_a_model_of_the_others_would_choose(
    tables: list[GpuTable],
) -> None:
    """The H200's kind is the H100's: all of the former, and some of the L40S."""
    case, generic, _ = hold_out_gpus(tables, {}, QUICK_GENERIC, 1)[0]
    assert case.names == ("h100_sxm",)
    assert {gpu.name for gpu in generic.gpus} == {"NVIDIA H200", "NVIDIA L40S"}
    _, h200, l40s = tables
    assert generic.estimators[0].forests == (
        fit_forest([h200, l40s.sample(QUICK_GENERIC.other_rows)], SMALL),
    )


@pytest.mark.slow
def test_every_kind_of_every_dtype_gets_its_own_forest() -> None:
    """One GPU is of a kind of its own in bf16, but not in fp8."""
    h200 = known_gpus()["h200_sxm"]
    odd = {**h200.peak_flops, "bf16": 4.0 * h200.peak_flops["bf16"]}
    peaks = {"a": h200.peak_flops, "b": odd, "c": h200.peak_flops}
    gpus = {name: replace(h200, name=name, peak_flops=peaks[name]) for name in peaks}
    several = dataset(gpus, ("bf16", "fp8"))
    bf16, fp8 = train_generic([several], "generic", "1", QUICK_GENERIC, 1).estimators
    assert (bf16.kinds, fp8.kinds) == ((0, 1, 0), (0, 0, 0))
    a, b, c = trained_on(several, bf16)
    some_a, some_b, some_c = (table.sample(QUICK_GENERIC.other_rows) for table in (a, b, c))
    assert bf16.forests == (
        fit_forest([a, some_b, c], SMALL),
        fit_forest([some_a, b, some_c], SMALL),
    )
    assert fp8.forests == (fit_forest(trained_on(several, fp8), SMALL),)


def test_the_file_says_what_gpus_held_out_are_worth(generic: Generic) -> None:
    (estimator,) = decode(encode(generic)).estimators
    assert set(estimator.accuracy["gpus"]) == set(GPUS)
    assert 0.0 < estimator.accuracy["mean_ape"] < 0.3
    assert generic.stand_ins == {"f16": "bf16"}


@pytest.mark.slow
def test_errors_fall_with_points_and_the_page_shows_them(tables: list[GpuTable]) -> None:
    found = curves_of(hold_out_gpus(tables, {}, QUICK_GENERIC, 1)[:2], 1, (40,))
    first = found[0]
    assert first.errors[40].mean_ape < first.errors[0].mean_ape
    assert 0.0 <= first.coverage[40] <= 1.0
    page = page_of(found)
    assert f"| {first.gpu} | bf16 | {first.distance:.2f} |" in page
    assert f"{first.errors[40].mean_ape:.1%}" in page


def test_dtypes_measured_on_few_gpus_or_left_out_by_the_recipe_are_not_trained_on() -> None:
    with pytest.raises(DatasetError, match="measured on three GPUs or more"):
        tables_of(dataset(), {"h100_sxm": ["bf16"], "h200_sxm": ["bf16"]}, 1)
    unknown = replace(dataset(), gpus={})
    with pytest.raises(DatasetError, match="does not hold the facts of 'h100_sxm'"):
        tables_of(unknown, {}, 1)


def test_the_recipe_of_the_generic_model_says_its_scope(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[3] / "builder" / "models.toml"
    (generic,) = (model for model in read_recipe(recipe) if model.scope == "generic")
    assert generic.name == "generic"
    assert generic.without == {}
    text = recipe.read_text()
    (tmp_path / "less.toml").write_text(f'{text}without = {{ gb200 = ["fp8_block"] }}\n')
    assert read_recipe(tmp_path / "less.toml")[-1].without == {"gb200": ["fp8_block"]}
    (tmp_path / "bad.toml").write_text(f"{text}without = 3\n")
    with pytest.raises(RecipeError, match="without must be a table of lists of dtypes"):
        read_recipe(tmp_path / "bad.toml")


def test_points_at_have_no_label() -> None:
    assert np.isnan(points_at(np.ones((2, 3)), "bf16").runtime_s).all()


def test_the_written_model_reads_again(generic: Generic, tmp_path: Path) -> None:
    write(generic, tmp_path / "generic.safetensors")
    assert read(tmp_path / "generic.safetensors") == generic

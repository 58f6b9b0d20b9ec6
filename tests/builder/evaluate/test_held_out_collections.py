"""Collections held out: the figures that training judges by, from the very fits of a build."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from stand_ins.tables import GRID, aiconfigurator, gemm_ms, write_parquet

import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import RecipeError
from builder.evaluate import ModelWorth, evaluate_collections
from builder.report import collection_lines, collections_page, summary_lines
from builder.train import KeptFits, build_from_recipe

COLLECTIONS = {"VLLM 0.24.0": 1.0, "SGLang 0.5.14": 1.1, "TRTLLM 1.3.0": 0.8}
"""Who measured, and the factor that each lies from the first."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of three collections in bf16, and in fp8 for two, with a recipe and its build."""
    folder = tmp_path_factory.mktemp("sources")
    random = np.random.default_rng(0)
    for number, (who, factor) in enumerate(COLLECTIONS.items()):
        framework, version = who.split()
        noise = np.exp(random.normal(0.0, 0.03, 2 * len(GRID)))
        latency = factor * noise * np.array([gemm_ms(*size) for size in GRID * 2])
        dtypes = ["bfloat16"] * len(GRID) + ["fp8" if number < 2 else "bfloat16"] * len(GRID)
        rows = slice(None) if number < 2 else slice(len(GRID))
        columns = aiconfigurator(
            GRID * 2,
            framework=[framework] * 2 * len(GRID),
            version=[version] * 2 * len(GRID),
            gemm_dtype=dtypes,
            latency=latency.tolist(),
        )
        part = {name: values[rows] for name, values in columns.items()}
        write_parquet(folder / f"{number}.parquet", part)
    (folder / "recipe.toml").write_text(
        '[defaults]\nversion = "1"\nformat = "aiconfigurator"\nsplit = "pair"\nfolds = 2\n'
        '[small]\nruntime = ["0.parquet", "1.parquet", "2.parquet"]\n'
        '[lost]\nruntime = ["none.parquet"]\n'
        '[generic]\nscope = "generic"\nruntime = ["0.parquet"]\n'
    )
    kept = KeptFits(folder / "fits")
    build_from_recipe(folder / "recipe.toml", folder, folder / "models", ["small"], 1, kept)
    return folder


@pytest.fixture(scope="module")
def worth(sources: Path) -> ModelWorth:
    kept = KeptFits(sources / "fits")
    (found,) = evaluate_collections(sources / "recipe.toml", sources, ["small"], 1, kept)
    n_fits = len(list((sources / "fits").glob("*.fit")))
    assert kept.take_tally() == f"{n_fits} fits, {n_fits} of them found, 0 new"
    return found


def test_after_a_build_nothing_is_fitted_again(worth: ModelWorth, sources: Path) -> None:
    """bf16: all, two folds, three collections in each of these; fp8: all and two folds, of two."""
    assert worth.model == "small"
    assert len(list((sources / "fits").glob("*.fit"))) == (1 + 2 + 3 * 2) + 2 * (1 + 2)


def test_the_figures_are_those_of_the_card(worth: ModelWorth, sources: Path) -> None:
    card = gp.load(sources / "models" / "small.safetensors").card
    told = {(one["dtype"], one["kernels"][0]): one["accuracy"] for one in card["estimators"]}
    assert {(one.dtype, one.unit) for one in worth.strata} == set(told)
    for one in worth.strata:
        accuracy = told[one.dtype, one.unit]
        for name in ("n", "mean_ape", "median_ape", "p90_ape"):
            assert getattr(one.errors, name) == pytest.approx(accuracy[name], rel=1e-3)
        assert one.n_collections == len(accuracy["collections"])
        if one.intervals is not None:
            assert one.intervals.inside == pytest.approx(accuracy["coverage_90"], abs=1e-4)
            assert one.intervals.least == pytest.approx(accuracy["coverage_90_least"], abs=1e-4)
            assert one.intervals.half_width > 0
    assert [one.intervals is None for one in worth.strata] == [False, True, True]


def test_collections_lie_apart_by_their_factors_and_by_noise_alone_once_aligned(
    worth: ModelWorth,
) -> None:
    factors = list(COLLECTIONS.values())
    between = [abs(a / b - 1.0) for a in factors for b in factors if a != b]
    bf16, *alone = (one.repeatability for one in worth.strata)
    assert bf16.apart == pytest.approx(np.mean(between), abs=0.02)
    assert 0.02 < bf16.aligned < 0.06
    assert bf16.aligned > bf16.repeat > 0.01
    assert all(np.isnan([one.apart, one.aligned, one.repeat]).all() for one in alone)


def test_the_collection_that_is_covered_least_is_named_with_its_distance_from_the_others(
    worth: ModelWorth,
) -> None:
    bf16, *alone = worth.strata
    assert bf16.intervals is not None
    assert bf16.least is not None
    factors = {name.lower(): factor for name, factor in COLLECTIONS.items()}
    own = factors.pop(bf16.intervals.least_of)
    assert bf16.least.factor == pytest.approx(own / np.sqrt(np.prod([*factors.values()])), rel=0.05)
    assert 0.01 < bf16.least.distance < 0.06
    assert [one.least for one in alone] == [None, None]


def test_intervals_stand_beside_those_without_a_model(worth: ModelWorth) -> None:
    """That knows the very points, and misses by factors and noise alone."""
    bf16, *alone = worth.strata
    assert bf16.intervals is not None
    assert bf16.by_others is not None
    assert bf16.by_others.n_collections == bf16.intervals.n_collections == 3
    assert 0.0 < bf16.by_others.half_width < bf16.intervals.half_width
    assert bf16.by_others.score < bf16.intervals.score
    assert [one.by_others for one in alone] == [None, None]


def test_back_ends_of_one_dtype_are_chosen_from(worth: ModelWorth) -> None:
    (choice,) = worth.choices
    assert (choice.dtype, choice.back_ends) == ("fp8", ("sglang", "vllm"))
    assert choice.n_shapes == worth.strata[1].errors.n
    assert worth.device_time is None


def test_the_command_prints_what_the_page_says(
    worth: ModelWorth, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--recipe", str(sources / "recipe.toml"), "--sources", str(sources), "--workers", "1"]
    asked += ["--fits", str(sources / "fits"), "--only", "small"]
    assert main(["evaluate", "collections", *asked]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"small: (\d+) fits, \1 of them found, 0 new", shown[0])
    tables = [line for line in shown if line.startswith("|")]
    lines = [*collection_lines([worth]), *summary_lines([worth])]
    assert tables == [line for line in lines if line.startswith("|")]
    assert sum(line.startswith("| small |") for line in tables) == 3 + 1 + 1 + 1


def test_models_that_are_no_model_of_one_gpu_are_refused(sources: Path) -> None:
    for name in ("generic", "third"):
        with pytest.raises(RecipeError, match=f"no model of one GPU called {name}"):
            next(evaluate_collections(sources / "recipe.toml", sources, ["small", name]))


def test_a_page_of_all_models_leaves_the_generic_one_out(
    worth: ModelWorth, sources: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    text = (sources / "recipe.toml").read_text()
    recipe.write_text(text.replace('[lost]\nruntime = ["none.parquet"]\n', ""))
    page = collections_page(recipe, sources, 1, KeptFits(sources / "fits"))
    assert all(line in page.splitlines() for line in collection_lines([worth]) if "|" in line)
    assert "generic" not in page

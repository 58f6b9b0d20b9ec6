"""The generated pages: what stands in `docs/` is what the code writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.tables import TILES, write_tiles

from builder.dataset import N_FOLDS, Dataset
from builder.errors import DatasetError, RecipeError, SourceError
from builder.evaluate import (
    BackEndChoice,
    DeviceTime,
    FromOthers,
    IntervalScore,
    ModelWorth,
    Repeatability,
    StratumWorth,
    floors,
)
from builder.report import (
    accuracy,
    accuracy_page,
    collections,
    collections_page,
    kernels,
    kernels_page,
    noise,
    noise_page,
    tiles,
    tiles_page,
    unseen,
    unseen_page,
)
from builder.train import Errors

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "builder" / "models.toml"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("accuracy", accuracy.HEAD),
        ("collections", collections.HEAD),
        ("unseen", unseen.HEAD.format(rows=unseen.TEST_ROWS)),
        ("noise", noise.HEAD.format(n_folds=N_FOLDS)),
        ("kernels", kernels.HEAD),
    ],
)
def test_a_page_whose_figures_take_long_begins_as_the_code_says(name: str, head: str) -> None:
    """And says which command writes it; the figures themselves are checked when they are made."""
    assert (ROOT / "docs" / f"{name}.md").read_text().startswith(head)
    assert f"Written by `python -m builder report {name} --sources FOLDER`; do not edit." in head


def test_the_page_of_noise_has_a_line_for_each_floor(small_dataset: Dataset) -> None:
    found = floors(small_dataset)
    page = noise.page_of(found)
    assert page.endswith("|\n")
    lines = [line for line in page.splitlines() if line.startswith("| h200_sxm |")]
    assert [line.split(" | ")[2] for line in lines] == [floor.what for floor in found]


def test_the_page_of_tiles_begins_as_the_code_says_and_has_each_claim(tmp_path: Path) -> None:
    page = tiles_page(write_tiles(tmp_path))
    assert page.startswith(tiles.HEAD)
    assert (ROOT / "docs" / "tiles.md").read_text().startswith(tiles.HEAD)
    lines = page.splitlines()
    for line in (
        "- cold launches, at most 1.62 TFLOP/s (5.6% of the data sheet's peak)",
        "Tiles beside 1x1:",
        "| 16x16 | 256 | - | - | 6 | 100% | 2 | 80.00 | 80.00 | 2 | 0.72 | - |",
        "| 8x8 | 2 | 2.90 | 4.00 | 9000x9000x1000 | 16x16 | -16.7% | -18.3% | -20.0% | 0 |",
        "Tiles beside 8x8:",
        "| 16x16 | 256 | - | - | 6 | 100% | 4 | 1.38 | 4.00 | 2 | 0.92 | - |",
    ):
        assert lines.count(line) == 1, line
    assert sum(line.startswith("| 16x16 is best |") for line in lines) == 2


def test_the_page_of_tiles_needs_two_tiles_that_outweigh_their_loading(tmp_path: Path) -> None:
    short = [f"{key},{ms}" for key, (ms, _) in TILES.items() if key.startswith("64")]
    with pytest.raises(DatasetError, match="no usable row: .*below_resolution"):
        tiles_page(write_tiles(tmp_path, short))


def test_the_page_of_tiles_is_that_of_the_studys_tables(shared_data: Path) -> None:
    page = tiles_page(shared_data / "gpperf" / "execution_times_all.csv")
    assert (ROOT / "docs" / "tiles.md").read_text() == page


@pytest.mark.parametrize(
    "page", [accuracy_page, collections_page, kernels_page, noise_page, unseen_page]
)
def test_a_table_that_is_not_there_is_named(page: object, tmp_path: Path) -> None:
    assert callable(page)
    with pytest.raises(SourceError, match=f"there is no file {tmp_path}"):
        page(RECIPE, tmp_path, 1)


def test_the_page_of_noise_needs_the_models_that_it_shows(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[l40s]\nversion = "1"\nformat = "aiconfigurator"\nruntime = ["a"]\nsplit = "pair"\n'
        "folds = 5\n"
    )
    with pytest.raises(RecipeError, match="has no model b200_sxm, h200_sxm"):
        noise_page(recipe, tmp_path, 1)


NAN = float("nan")
ERRORS = Errors(40, 0.02, 0.01, 0.04, 0.0, 1.0)
SCORE = IntervalScore(3, 0.9, 0.8, "odd 1", 0.1, 0.12, 0.5, 0.7)
OTHERS = IntervalScore(3, 0.88, 0.6, "odd 2", 0.09, 0.3, 0.4, 0.6)
ALONE = Repeatability(NAN, NAN, NAN)
WORTHS = [
    ModelWorth(
        "first",
        (
            StratumWorth(
                "bf16", "library", 3, ERRORS, Repeatability(0.08, 0.06, 0.05),
                SCORE, FromOthers(1.0625, 0.07), OTHERS,
            ),
            StratumWorth("fp8", "vllm", 1, ERRORS, ALONE),
        ),
        DeviceTime("fp8_block", "vllm", ("sglang", "trtllm"), 30, 1.1, 1.5),
        (BackEndChoice("fp8", "gemm", ("sglang", "vllm"), 20, 0.99, 0.95, 0.9, 0.7),),
    ),
    ModelWorth(
        "second",
        (
            StratumWorth(
                "bf16", "library", 2, replace(ERRORS, mean_ape=0.04),
                Repeatability(0.04, 0.02, NAN),
                replace(SCORE, inside=0.94, half_width=0.2), FromOthers(NAN, NAN),
            ),
            StratumWorth("bf16", "tiled", 1, ERRORS, ALONE),
        ),
        None,
        (BackEndChoice("fp8", "gemm", ("sglang", "vllm"), 20, 0.97, 0.9, 0.8, 0.6),),
    ),
]  # fmt: skip


def test_the_page_of_collections_has_a_row_for_all_that_is_known() -> None:
    page = collections.page_of(WORTHS)
    assert page.startswith(collections.HEAD)
    assert "Written by `python -m builder report collections --sources FOLDER`" in page
    for row in (
        "| first | bf16 | library | 3 | 40 | 2.00% | 1.00% | 4.00% | 8.00% | 6.00% | 5.00% |",
        "| first | fp8 | vllm | 1 | 40 | 2.00% | 1.00% | 4.00% | - | - | - |",
        "| second | bf16 | library | 2 | 40 | 4.00% | 1.00% | 4.00% | 4.00% | 2.00% | - |",
        "| first | bf16 | library | 3 | 90.00% | 80.00% | 10.00% | 50.00% | 70.00% | odd 1 | 1.062 "
        "| 7.00% |",
        "| second | bf16 | library | 3 | 94.00% | 80.00% | 20.00% | 50.00% | 70.00% | odd 1 | - "
        "| - |",
        "| first | bf16 | library | 3 | 88.00% | 60.00% | 9.00% | 30.00% | 40.00% | odd 2 |",
        "| first | fp8_block | vllm | sglang trtllm | 30 | 1.100 | 1.500 |",
        "| first | fp8 | gemm | sglang vllm | 20 | 99.00% | 95.00% | 90.00% | 70.00% |",
    ):
        assert page.splitlines().count(row) == 1, row
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {12, 13, 11, 8, 10, 9}
    assert sum(line.endswith("| odd 2 |") for line in page.splitlines()) == 1


def test_the_summary_has_the_means_over_the_gpus_that_have_a_figure() -> None:
    bf16, _, vllm, *rest = collections.summary_lines(WORTHS)[2:]
    assert bf16 == "| bf16 | library | 2 | 3.00% | 6.00% | 4.00% | 5.00% |"
    alone = StratumWorth("bf16", "library", 1, ERRORS, ALONE)
    more = collections.summary_lines([*WORTHS, ModelWorth("alone", (alone,), None, ())])
    assert more[2] == bf16.replace("| 2 | 3.00% |", "| 3 | 2.67% |")
    assert more[5:] == rest
    assert vllm == "| fp8 | vllm | 1 | 2.00% | - | - | - |"
    assert rest[1] == "Of the intervals:"
    assert rest[5] == "| bf16 | library | 2 | 92.00% | 80.00% | 15.00% | 50.00% | 70.00% |"
    assert rest[7] == "Of those without a model:"
    assert rest[11] == "| bf16 | library | 1 | 88.00% | 60.00% | 9.00% | 30.00% | 40.00% |"
    assert rest[13:] == [
        "Mean efficiency of the 2 choices of a back end: 98.00%; of always the same one: 85.00%."
    ]


def test_a_section_without_a_row_is_left_out() -> None:
    alone = ModelWorth("alone", (WORTHS[1].strata[1],), None, ())
    titles = [line for line in collections.page_of([alone]).splitlines() if line[:3] == "## "]
    assert titles == ["## Runtime", "## Summary"]
    assert len(collections.summary_lines([alone])) == 3

"""The generated pages: what stands in `docs/` is what the code writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.dataset import N_FOLDS, Dataset
from builder.errors import RecipeError, SourceError
from builder.evaluate import floors
from builder.report import accuracy, accuracy_page, noise, noise_page, unseen, unseen_page

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "builder" / "models.toml"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("accuracy", accuracy.HEAD),
        ("unseen", unseen.HEAD.format(rows=unseen.TEST_ROWS)),
        ("noise", noise.HEAD.format(n_folds=N_FOLDS)),
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


@pytest.mark.parametrize("page", [accuracy_page, noise_page, unseen_page])
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

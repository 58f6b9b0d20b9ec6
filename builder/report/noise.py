"""docs/noise.md: the floors of held-out errors, that is, what of them is noise in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..dataset import N_FOLDS
from ..errors import RecipeError
from ..evaluate import Floor, floors
from ..markdown import table
from ..train import read_recipe, runtime_dataset

SHOWN_TABLES = (("h200_sxm", "bf16"), ("l40s", "bf16"), ("b200_sxm", "fp8"))
"""Models whose tables are looked at, and in which dtype: easy, noisy, and with wild outliers."""

HEAD = """# What of the errors is noise

Written by `python -m builder report noise --sources FOLDER`; do not edit.

Errors on tables of [accuracy.md](accuracy.md), of one fold of {n_folds} each.
`builder/evaluate/noise_floor.py` says how each line is made:

- *neighbours*: nothing is learned. A row is held against the mean of the rows with one m less and
  one more, for which a GPU does the same work. Where this is larger than the errors below it, the
  library runs other kernels for one m than for the next, and the model knows.
- *random*: rows held out one by one, so that other m of the same (n, k) are known. What is left is
  noise, and what the model cannot say.
- *pair, share*: whole (n, k) pairs held out, as in accuracy.md, learned from a share of the others.
- *extrapolate*: the largest problems by FLOPs, learned from the rest.

Where *random* is hardly better than *pair, all*, knowing more about a pair would not help much.
Where *pair, 1/2* is worse than *pair, all*, more pairs would.

"""


def noise_page(recipe: Path, sources: Path, n_workers: int) -> str:
    """Return the page as Markdown. Takes some minutes: a model is trained for most lines.

    recipe: of the built-in models; sources: the folder of their tables.
    Raises RecipeError where the recipe lacks a model that is shown, SourceError where a table is
    missing.
    """
    models = {model.name: model for model in read_recipe(recipe)}
    missing = sorted({name for name, _ in SHOWN_TABLES} - set(models))
    if missing:
        raise RecipeError(f"{recipe} has no model {', '.join(missing)}")
    found: list[Floor] = []
    for name, dtype in SHOWN_TABLES:
        dataset = runtime_dataset(models[name], sources, n_workers)
        found += floors(dataset.of_dtypes([dtype]), n_workers)
    return page_of(found)


def page_of(found: Sequence[Floor]) -> str:
    """Return the page of some floors as Markdown."""
    return HEAD.format(n_folds=N_FOLDS) + "\n".join(floor_lines(found)) + "\n"


def floor_lines(found: Sequence[Floor]) -> list[str]:
    """Return the lines of a table in Markdown, one for each floor."""
    head = ("GPU", "dtype", "what is known", "rows", "mean", "median", "p90", "bias")
    return table(head, [_cells(floor) for floor in found])


def _cells(floor: Floor) -> tuple[str, ...]:
    errors = floor.errors
    shares = (f"{ape:.2%}" for ape in (errors.mean_ape, errors.median_ape, errors.p90_ape))
    return (floor.gpu, floor.dtype, floor.what, f"{errors.n}", *shares, f"{errors.bias:+.2%}")

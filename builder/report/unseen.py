"""docs/unseen.md: errors on GPUs that the generic model never saw, or saw few points of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluate import SHOWN, TEST_ROWS, Curve, curves
from ..markdown import table
from ..train import KeptFits

HEAD = """# GPUs that were never measured, or hardly

Written by `python -m builder report unseen --sources FOLDER`; do not edit.

Mean absolute percentage errors of library runtimes. Each GPU is held out with all of its tables;
a model of the others predicts it from its data sheet alone (0 points), then calibrated with so many
of its own rows, chosen without their labels. It is asked about {rows} rows of the held-out GPU at
most, none of the shapes that it was calibrated with.
*Octaves* is how unlike the most similar of the other GPUs is (`_relative.distance`).
"""


def unseen_page(recipe: Path, sources: Path, n_workers: int, kept: KeptFits | None = None) -> str:
    """Return the page as Markdown. Takes long, but for the fits that are kept.

    recipe: with one generic model; sources: the folder of its tables.
    Raises RecipeError where the recipe has no generic model, SourceError where a table is missing.
    """
    return page_of(curves(recipe, sources, n_workers, kept))


def page_of(found: Sequence[Curve]) -> str:
    """Return the page of some curves as Markdown."""
    alone = [one for one in found if one.alone]
    kin = [one for one in found if not one.alone]
    parts = [HEAD.format(rows=TEST_ROWS), "## One GPU held out", ""]
    numbers = tuple(alone[0].errors)
    parts += _curve_table(alone, numbers)
    parts += ["", "## Means over the dtypes of each GPU", "", *_mean_table(alone, numbers)]
    parts += ["", "## The whole generation held out", ""]
    parts += _curve_table(kin, (0, SHOWN))
    parts += ["", "## What 90 % intervals cover", "", *_coverage_table(alone, numbers)]
    return "\n".join(parts) + "\n"


def _curve_table(found: Sequence[Curve], columns: Sequence[int]) -> list[str]:
    head = ("GPU", "dtype", "octaves", *(f"{n} points" for n in columns))
    rows = [
        (one.gpu, one.dtype, f"{one.distance:.2f}",
         *(f"{one.errors[n].mean_ape:.1%}" for n in columns))
        for one in found
    ]  # fmt: skip
    return table(head, rows)


def _mean_table(found: Sequence[Curve], numbers: Sequence[int]) -> list[str]:
    rows = []
    for gpu in dict.fromkeys(one.gpu for one in found):
        mine = [one for one in found if one.gpu == gpu]
        means = (np.mean([one.errors[n].mean_ape for one in mine]) for n in numbers)
        rows.append((gpu, *(f"{mean:.1%}" for mean in means)))
    return table(("GPU", *(f"{n} points" for n in numbers)), rows)


def _coverage_table(found: Sequence[Curve], numbers: Sequence[int]) -> list[str]:
    rows = [(one.gpu, one.dtype, *(f"{one.coverage[n]:.0%}" for n in numbers)) for one in found]
    return table(("GPU", "dtype", *(f"{n} points" for n in numbers)), rows)

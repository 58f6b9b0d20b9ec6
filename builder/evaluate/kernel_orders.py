"""The orders of a GPU's kernels: those of models that did not see what they are asked, and rivals.

On one table of many kernels a GEMM. Shapes are held out, then kernels by name and by make, and then
the GPU with all its kernels, which the model of any kernel predicts from the other GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Floats, Points
from ..errors import RecipeError
from ..parallel import Task, run_tasks
from ..train import (
    Errors,
    KernelTable,
    any_kernel_datasets,
    errors_of,
    held_out_tables,
    kernel_tables,
    read_recipe,
)
from .evaluation import MAKE, held_out_runtimes
from .first_kernels import FirstKernels, by_hindsight, by_tile, drawn, first_kernels
from .heuristics import Heuristics, installed_heuristics
from .same_gemm import gemms_of_several
from .warps_digit import DigitWorth, digit_worth

_SPLITS = {"shape": "shapes", "kernel": "kernels by name", MAKE: "kernels by make"}


@dataclass(frozen=True)
class KernelOrder:
    """One order of a table's kernels: what it goes by, and the worth of its first.

    errors: of the runtimes that it goes by; None for a rival that predicts none.
    """

    what: str
    errors: Errors | None
    first: tuple[FirstKernels, ...]


@dataclass(frozen=True)
class HeldOutTable:
    """Times of a GPU that was held out with all its kernels: log2 of predicted over measured.

    median_octaves: the median without its sign; bias_octaves: the median with it.
    """

    gpu: str
    dtype: str
    n_rows: int
    n_kernels: int
    median_octaves: float
    bias_octaves: float


@dataclass(frozen=True)
class KernelOrders:
    """The orders of one table's kernels, and what else is known of kernels held out.

    per_gemm: the least and the most kernels that ran a GEMM; held_out: each GPU in turn; digit:
    None where no kernels differ in it; heuristics: None where it is not installed; known_to_them:
    of the GPUs in `several`, those with several kernels a GEMM, the ones it knows.
    """

    gpu: str
    dtype: str
    n_rows: int
    n_kernels: int
    per_gemm: tuple[int, int]
    orders: tuple[KernelOrder, ...]
    held_out: tuple[HeldOutTable, ...]
    digit: DigitWorth | None
    heuristics: Heuristics | None
    several: tuple[str, ...]
    known_to_them: tuple[str, ...]


def kernel_orders(
    recipe: Path, sources: Path, model: str, n_workers: int = 1, cubins: Path | None = None
) -> KernelOrders:
    """Return the orders of the kernels of one model's table; takes some minutes.

    recipe: with that model, and one of any kernel that learns from its table; cubins: the cache of
    compiled kernels, None for the usual one.

    Raises RecipeError where the recipe lacks either, SourceError where a table is missing.
    """
    models = read_recipe(recipe)
    learners = [one for one in models if one.scope == "kernels" and model in one.models]
    if not learners:
        raise RecipeError(f"{recipe} has no model of scope 'kernels' that learns from {model}")
    datasets = any_kernel_datasets(learners[0], models, sources, n_workers, cubins)
    own = datasets[learners[0].models.index(model)]
    return orders_of(kernel_tables(datasets), kernel_tables([own])[0].name, n_workers)


def orders_of(
    tables: Sequence[KernelTable], name: str, n_workers: int = 1, method: str = "ours"
) -> KernelOrders:
    """Return the orders of the kernels of the table called `name`, each GPU held out in turn.

    method: of METHODS, which predicts shapes and kernels held out.
    Raises DatasetError where all tables are of one GPU, or nothing can be held out.
    """
    (own,) = (table for table in tables if table.name == name)
    asked = (method, own.points, own.gpu, own.kernels)
    tasks: list[Task[Any]] = [Task("GPUs held out", held_out_tables, (list(tables),))]
    tasks += [Task(f"{split} held out", held_out_runtimes, (*asked, split)) for split in _SPLITS]
    others, *ours = run_tasks(tasks, n_workers, "holding out")
    (unseen_s,) = (predicted_s for table, predicted_s in others if table.name == name)
    points = own.points
    orders = [
        *(
            _by_runtime(f"{what} held out", points, predicted_s)
            for what, predicted_s in zip(_SPLITS.values(), ours, strict=True)
        ),
        _by_runtime("the GPU held out", points, unseen_s),
    ]
    for what, order in (
        ("the largest tile, with the most warps first", by_tile(points, own.kernels)),
        ("the same kernels always, chosen in hindsight", by_hindsight(points)),
    ):
        orders.append(KernelOrder(what, None, tuple(first_kernels(points, order))))
    orders.append(KernelOrder("drawn by chance", None, tuple(drawn(points))))
    counts = [len(rows) for rows in gemms_of_several(points)]
    several = [table.gpu for table in tables if any(True for _ in gemms_of_several(table.points))]
    heuristics = installed_heuristics()
    return KernelOrders(
        own.gpu.name,
        str(points.dtype[0]),
        len(points),
        len(own.kernels),
        (min(counts), max(counts)),
        tuple(orders),
        tuple(_held_out_table(table, predicted_s) for table, predicted_s in others),
        digit_worth(points, own.kernels),
        heuristics,
        tuple(gpu.name for gpu in several),
        tuple(gpu.name for gpu in several if heuristics and heuristics.knows(gpu)),
    )


def _by_runtime(what: str, points: Points, predicted_s: Floats) -> KernelOrder:
    known = np.isfinite(predicted_s)
    errors = errors_of(predicted_s[known], points.runtime_s[known])
    return KernelOrder(what, errors, tuple(first_kernels(points, predicted_s)))


def _held_out_table(table: KernelTable, predicted_s: Floats) -> HeldOutTable:
    octaves = np.log2(predicted_s / table.points.runtime_s)
    return HeldOutTable(
        table.gpu.name,
        str(table.points.dtype[0]),
        len(octaves),
        len(table.kernels),
        float(np.median(np.abs(octaves))),
        float(np.median(octaves)),
    )

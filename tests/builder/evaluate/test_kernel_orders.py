"""The orders of kernels stand side by side, on one table, each from what it did not see."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from stand_ins.tables import points_at

from builder.errors import DatasetError, RecipeError
from builder.evaluate import KernelOrders, kernel_orders, orders_of
from builder.evaluate.kernel_choice import choice_of
from builder.train import KernelTable
from builder.train.any_kernel import USUAL
from gpperf_lite import Kernel
from gpperf_lite._gpu_facts import known_gpus

SIZES = [(m, n, 1024) for m in (256, 512, 1024, 2048) for n in (512, 1024, 4096)]
TILES = {"128x128_32x2": "221", "128x64_32x2": "221", "64x128_32x2": "122", "64x64_32x2": "111"}
CUTLASS = [
    f"cutlass_tensorop_s1688{warps}gemm_f16_{tile}_tn_align8" for tile, warps in TILES.items()
]
CUBLAS = ["volta_sgemm_128x64_tn", "volta_sgemm_32x128_tn", "volta_sgemm_64x64_tn"]


def table_of(gpu: str, dtype: str, names: list[str]) -> KernelTable:
    """Return a table whose times are those of the physical model, with its usual constants."""
    kernels = {name: Kernel.from_name(name) for name in names}
    cells = list(product(SIZES, names))
    columns = {"kernel": np.array([name for _, name in cells], object)}
    texts = {"gpu": gpu, "dtype": dtype, "layout": next(iter(kernels.values())).layout}
    points = points_at([size for size, _ in cells], **columns, **{
        name: np.full(len(cells), text, object) for name, text in texts.items()
    })  # fmt: skip
    table = KernelTable(known_gpus()[gpu], points, kernels)
    points.runtime_s[:] = table.base_s(USUAL)
    return table


TABLES = [table_of("rtx2080ti", "f16", CUTLASS), table_of("t4", "f32", CUBLAS)]


@pytest.fixture(scope="module")
def found() -> KernelOrders:
    """The orders of the first table, by the roofline, which takes no time to learn."""
    return orders_of(TABLES, TABLES[0].name, method="roofline")


def test_every_order_is_of_the_same_gemms(found: KernelOrders) -> None:
    assert [order.what for order in found.orders] == [
        "shapes held out",
        "kernels by name held out",
        "kernels by make held out",
        "the GPU held out",
        "the largest tile, with the most warps first",
        "the same kernels always, chosen in hindsight",
        "drawn by chance",
    ]
    assert {len(order.first) for order in found.orders} == {3}
    assert {one.n_gemms for order in found.orders for one in order.first} == {len(SIZES)}
    assert [order.errors is not None for order in found.orders] == [True] * 4 + [False] * 3
    assert (found.n_rows, found.n_kernels, found.per_gemm) == (48, 4, (4, 4))
    assert found.digit is None


def test_a_gpu_held_out_is_predicted_from_the_other(found: KernelOrders) -> None:
    """The times are of the model's own form, so that what it learned of one holds for the other."""
    assert [(one.gpu, one.dtype, one.n_kernels) for one in found.held_out] == [
        ("NVIDIA GeForce RTX 2080 Ti", "f16", 4),
        ("Tesla T4", "f32", 3),
    ]
    for one in found.held_out:
        assert abs(one.bias_octaves) <= one.median_octaves < 0.2
    (unseen,) = (order for order in found.orders if order.what == "the GPU held out")
    assert unseen.errors is not None
    assert unseen.errors.median_ape == pytest.approx(0.0, abs=0.15)


def test_hindsight_is_the_fixed_kernel_of_the_choice(found: KernelOrders) -> None:
    choice = choice_of(TABLES[0].points, TABLES[0].points.runtime_s)
    assert choice is not None
    (hindsight,) = (order for order in found.orders if "hindsight" in order.what)
    assert hindsight.first[0].mean == choice.fixed


def test_gpus_of_one_kind_alone_cannot_be_held_out() -> None:
    with pytest.raises(DatasetError, match="two GPUs"):
        orders_of(TABLES[:1], TABLES[0].name, method="roofline")


def test_a_recipe_without_a_model_of_any_kernel_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[rtx2080ti]\nversion = "1"\nformat = "cutlass-profiler"\nruntime = ["a"]\n'
        'split = "shape"\nfolds = 5\n'
    )
    with pytest.raises(RecipeError, match="no model of scope 'kernels' that learns from rtx2080ti"):
        kernel_orders(recipe, tmp_path, "rtx2080ti")

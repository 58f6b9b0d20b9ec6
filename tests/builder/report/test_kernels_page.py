"""The page of kernels says all that is known of orders, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.evaluate import (
    DigitWorth,
    FirstKernels,
    HeldOutTable,
    Heuristics,
    KernelOrder,
    KernelOrders,
)
from builder.report.kernels import HEAD, page_of
from builder.train import Errors

FIRST = (
    FirstKernels(1, 56, 0.97, 0.92, 0.8125, 0.25, 3),
    FirstKernels(4, 56, 0.99, 0.96, 0.875, 0.5, 0),
)
FOUND = KernelOrders(
    "Some GPU",
    "f16",
    7680,
    240,
    (120, 240),
    (
        KernelOrder("shapes held out", Errors(7680, 0.04, 0.015, 0.09, -0.01, 1.0), FIRST),
        KernelOrder("drawn by chance", None, FIRST[:1]),
    ),
    (HeldOutTable("Other GPU", "f32", 400, 75, 0.5, -0.25),),
    DigitWorth(36, 2304, 1.0014, 1.0144),
    Heuristics("0.1", ("RTX_4090", "L40S")),
    ("Some GPU", "Other GPU"),
    (),
)


def test_the_page_has_a_row_for_each_order_and_number_of_tries() -> None:
    page = page_of(FOUND)
    assert page.startswith(HEAD)
    for row in (
        "| shapes held out | 7680 | 4.0% | 1.5% | 9.0% | -1.0% |",
        "| runtime, shapes held out | 1 | 97.0% | 92.0% | 81.2% | 25% | 3 |",
        "| runtime, shapes held out | 4 | 99.0% | 96.0% | 87.5% | 50% | 0 |",
        "| drawn by chance | 1 | 97.0% | 92.0% | 81.2% | 25% | 3 |",
        "| Other GPU | f32 | 400 | 75 | 0.50 | -0.25 |",
    ):
        assert page.splitlines().count(row) == 1, row
    text = " ".join(page.split())
    assert "7680 times of 240 kernels on 56 GEMMs, 120 to 240 kernels each" in text
    assert "36 pairs of kernels differ in it alone" in text
    assert "1.001 times the faster at the median, 1.014 times at the 90th percentile" in text
    assert "No label of the table is beyond the reach of the built-in model." in page


def test_the_page_repeats_what_is_beyond_the_reach_of_the_built_in_model() -> None:
    assert "In the training of the built-in model, 1 of 2 labels." in page_of(
        FOUND, ["1 of 2 labels"]
    )


def test_the_page_says_where_no_kernels_differ_in_the_digit() -> None:
    assert "No two kernels of the table differ" in page_of(replace(FOUND, digit=None))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "0.1 knows 2 GPUs, and none of those of which there is a table with several kernels"),
        ({"known_to_them": ("Other GPU",)}, "0.1 knows 2 GPUs, Other GPU among them"),
        ({"heuristics": None}, "was not installed where this page was written"),
    ],
)
def test_the_page_says_which_gpus_the_heuristics_know(
    changes: dict[str, object], told: str
) -> None:
    page = page_of(replace(FOUND, **changes))  # type: ignore[arg-type]
    assert f"nvMatmulHeuristics {told}" in " ".join(page.split())

"""docs/kernels.md: the choice of kernels that were held out, and the first ones to try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpperf_lite import load

from ..evaluate import DigitWorth, KernelOrder, KernelOrders, kernel_orders
from ..markdown import paragraph, table

SHOWN_MODEL = "rtx2080ti"
"""The model of the recipe whose table has many kernels a GEMM."""

HEAD = """# Which kernels to try

Written by `python -m builder report kernels --sources FOLDER`; do not edit.

How good an order of kernels is that knows none of the times that it is judged by, beside orders
that need no model. What is held out of all that predicts it, in turn: shapes; kernels by name;
kernels by make, that is, one program with all its names and numbers of slices along k (five folds
each); and the GPU with all its kernels, which the model of any kernel (`kernels`) predicts from the
tables of other GPUs. The built-in models learn from all of these.

"""

_FIRST = (
    "*Mean*, *p10* and *minimum* are of the efficiency over GEMMs: the runtime of the best kernel "
    "of all over that of the best of the first 1, 4 or 8. *Found* is the share of GEMMs on which "
    "the best of all is among them. Kernels that an order has no reason to tell apart are tried "
    "with the slowest first; *tied* counts the GEMMs on which the cut falls between such. The "
    "largest tile is that with the largest m n k, and among kernels of one tile those with the "
    "most threads come first. Hindsight orders kernels by their mean efficiency on these very "
    "GEMMs, of those that ran all of them; chance is the mean of 20 draws. Many kernels have a "
    "twin that nothing tells apart, so the first of an order is seldom the best itself, even where "
    "its efficiency is high."
)

_UNSEEN = (
    "The model of any kernel, asked about each GPU with nothing learned of it but its data sheet. "
    "*Error* is the median of the distance between predicted and measured times in octaves (1 is "
    "a factor of 2), *bias* the median with its sign: below 0 where predictions are too short. "
    "A bias of all kernels alike changes no order. Most tables were measured eagerly, with the "
    "launch of their host in every time; that of the other tables is in these predictions."
)


def kernels_page(recipe: Path, sources: Path, n_workers: int, cubins: Path | None = None) -> str:
    """Return the page as Markdown. Takes some minutes: a model is fitted for each fold.

    recipe: of the built-in models; sources: the folder of their tables; cubins: the cache of
    compiled kernels, None for the usual one.
    Raises RecipeError where the recipe lacks a model that is shown, SourceError where a table is
    missing, ToolchainError where a kernel has to be compiled and no compiler is installed.
    """
    found = kernel_orders(recipe, sources, SHOWN_MODEL, n_workers, cubins)
    return page_of(found, load(SHOWN_MODEL).card["provenance"].get("beyond_reach", ()))


def page_of(found: KernelOrders, beyond: Sequence[str] = ()) -> str:
    """Return the page of some orders as Markdown; beyond: what is beyond the built-in's reach."""
    least, most = found.per_gemm
    gemms = found.orders[0].first[0].n_gemms
    told = (
        f"The table is of {found.gpu}, {found.dtype}: {found.n_rows} times of {found.n_kernels} "
        f"kernels on {gemms} GEMMs, {least} to {most} kernels each."
    )
    parts = [
        *(HEAD.rstrip(), "", *paragraph(told), ""),
        *("## Errors of runtimes", "", *_errors(found.orders), ""),
        *("## The first kernels to try", "", *paragraph(_FIRST), "", *_first(found.orders), ""),
        *("## GPUs held out", "", *paragraph(_UNSEEN), "", *_unseen(found), ""),
        *("## What no model tells apart", "", *paragraph(_digit(found.digit)), ""),
        *("## Labels beyond reach", "", *_beyond(beyond), ""),
        *("## nvMatmulHeuristics", "", *paragraph(_heuristics(found))),
    ]
    return "\n".join(parts) + "\n"


def _errors(orders: Sequence[KernelOrder]) -> list[str]:
    rows = [
        (
            one.what,
            f"{one.errors.n}",
            *_percents(one.errors.mean_ape, one.errors.median_ape, one.errors.p90_ape),
            f"{one.errors.bias:+.1%}",
        )
        for one in orders
        if one.errors
    ]
    return table(("what was held out", "rows", "mean", "median", "p90", "bias"), rows)


def _first(orders: Sequence[KernelOrder]) -> list[str]:
    head = ("order by", "first", "mean", "p10", "minimum", "found", "tied")
    rows = [
        (
            f"runtime, {order.what}" if order.errors else order.what,
            f"{one.first}",
            *_percents(one.mean, one.p10, one.minimum),
            f"{one.found:.0%}",
            f"{one.n_tied:.0f}",
        )
        for order in orders
        for one in order.first
    ]
    return table(head, rows)


def _unseen(found: KernelOrders) -> list[str]:
    rows = [
        (one.gpu, one.dtype, f"{one.n_rows}", f"{one.n_kernels}", f"{one.median_octaves:.2f}",
         f"{one.bias_octaves:+.2f}")
        for one in found.held_out
    ]  # fmt: skip
    return table(("GPU", "dtype", "rows", "kernels", "error", "bias"), rows)


def _digit(digit: DigitWorth | None) -> str:
    if digit is None:
        return "No two kernels of the table differ in the third digit after the instruction alone."
    return (
        "In names such as `s1688421gemm` the last three digits are the warps along m, those along "
        f"n, and a third one that the table does not explain. {digit.n_pairs} pairs of kernels "
        "differ in it alone: a model is told the same of both. Of their times on the same GEMMs "
        f"({digit.n_times} pairs of times) the slower is {digit.median:.3f} times the faster at "
        f"the median, {digit.p90:.3f} times at the 90th percentile."
    )


def _beyond(texts: Sequence[str]) -> list[str]:
    if not texts:
        return ["No label of the table is beyond the reach of the built-in model."]
    told = (f"In the training of the built-in model, {text}." for text in texts)
    return [line for text in told for line in paragraph(text)]


def _heuristics(found: KernelOrders) -> str:
    if found.heuristics is None:
        return (
            "nvMatmulHeuristics was not installed where this page was written, so it was not asked."
        )
    known = ", ".join(found.known_to_them)
    told = f"nvMatmulHeuristics {found.heuristics.version} knows {len(found.heuristics.gpus)} GPUs"
    if known:
        return f"{told}, {known} among them; its order of their kernels is not on this page."
    return (
        f"{told}, and none of those of which there is a table with several kernels a GEMM "
        f"({', '.join(found.several)}), so it has no order to stand beside these."
    )


def _percents(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.1%}" for value in values)

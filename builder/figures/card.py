"""The figure of a model's card: its held-out errors, kernel by kernel and slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .picture import LeftOut, Picture, Shown
from .style import MARKS, legend_below, new_plot, percent, percent_axis

_MOST_ROWS = 14
_LONGEST = 18
"""Letters of a kernel's name: more would leave no room for its errors."""


def card_errors(card: Mapping[str, Any]) -> Shown:
    """Return the held-out errors of runtime by dtype and kernel, in slices of m, from a card."""
    question = "How large are the held-out errors of each kernel, in each slice of m?"
    name = "card-errors"
    parts = {
        f"{one['dtype']}, {_kernel(one['kernels'])}": one["accuracy"]["slices"]
        for one in card["estimators"]
        if one["target"] == "runtime" and one["accuracy"].get("slices") and not one["remarks"]
    }
    parts = dict(list(parts.items())[:_MOST_ROWS])
    if not parts:
        return LeftOut(name, question, "The card has no held-out errors by slice.")
    names = list(dict.fromkeys(part for slices in parts.values() for part in slices))
    plot, (axes,) = new_plot(height_in=max(3.1, 1.9 + 0.34 * len(parts)))
    for mark, part in zip(MARKS, names, strict=False):
        known = [at for at, slices in enumerate(parts.values()) if part in slices]
        errors = [slices[part]["mean_ape"] for slices in parts.values() if part in slices]
        axes.plot(errors, known, linestyle="none", marker=mark.marker, color=mark.color, label=part)
    axes.set_yticks(range(len(parts)), list(parts))
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.set_ylabel("dtype and kernel")
    axes.set_xlim(left=0.0)
    percent_axis(axes, "x")
    axes.set_xlabel("mean error of runtime, held out (%)")
    legend_below(plot, axes, 2)
    every = [
        (slices[part]["mean_ape"], part, row) for row, slices in parts.items() for part in slices
    ]
    low, high = min(every), max(every)
    answer = (
        f"Mean errors lie from {percent(low[0])} ({low[2]}, {low[1]}) to {percent(high[0])} "
        f"({high[2]}, {high[1]}), over {len(parts)} kernels and dtypes."
    )
    source = f"The card of {card['name']}: measured rows, each group held out of training whole."
    return Picture(name, question, answer, source, plot)


def _kernel(names: list[str]) -> str:
    first = names[0].removeprefix("cutlass_")
    first = first if len(first) <= _LONGEST else f"{first[:_LONGEST]}..."
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"

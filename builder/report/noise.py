"""The noise in the tables: floors of held-out errors as a table."""

from __future__ import annotations

from collections.abc import Sequence

from ..evaluate import Floor
from ..markdown import table


def floor_lines(found: Sequence[Floor]) -> list[str]:
    """Return a table in Markdown."""
    head = ("GPU", "dtype", "what is known", "rows", "mean", "median", "p90", "bias")
    return table(head, [_cells(floor) for floor in found])


def _cells(floor: Floor) -> tuple[str, ...]:
    errors = floor.errors
    shares = (f"{ape:.2%}" for ape in (errors.mean_ape, errors.median_ape, errors.p90_ape))
    return (floor.gpu, floor.dtype, floor.what, f"{errors.n}", *shares, f"{errors.bias:+.2%}")

"""The first kernels of an order: how fast the best of them is, and whether the best of all is one.

Whoever can time a few kernels asks for those that are worth a try. An order of the kernels of each
GEMM is a number for each point, the least of which comes first: a predicted time, or what a rival
goes by. Among equals the slowest come first, since any of them may be what a ranking returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..dataset import Floats, Points
from ..train import Kernels
from .same_gemm import complete_kernels, gemms_of_several

FIRST = (1, 4, 8)
"""The numbers of kernels that are tried."""

N_DRAWS = 20


@dataclass(frozen=True)
class FirstKernels:
    """What the best of the first kernels of an order comes to, over n_gemms GEMMs.

    first: the number of kernels that are tried; all of them where fewer ran a GEMM. Efficiency is
    the runtime of the best kernel of all over that of the best of these: mean, 10th percentile and
    minimum over GEMMs. found: share of the GEMMs on which the best of all is among them. n_tied:
    GEMMs on which equals stand on both sides of the cut, so that the order alone does not say
    which are tried; a mean where the order was drawn.
    """

    first: int
    n_gemms: int
    mean: float
    p10: float
    minimum: float
    found: float
    n_tied: float


def first_kernels(
    points: Points, order: Floats, numbers: Sequence[int] = FIRST
) -> list[FirstKernels]:
    """Return the worth of the first kernels of an order, for each number of them.

    order: float64 array of shape (n_points,), the least first; NaN leaves a point out altogether.
    The list is empty where no GEMM was run by several of the others.
    """
    known = ~np.isnan(order)
    points, order = points.where(known), order[known]
    groups = list(gemms_of_several(points))
    return [_first(points, order, groups, number) for number in numbers] if groups else []


def _first(
    points: Points, order: Floats, groups: Sequence[np.typing.NDArray[np.intp]], number: int
) -> FirstKernels:
    values, n_tied = [], 0
    for rows in groups:
        measured_s, place = points.runtime_s[rows], order[rows]
        # The last key decides: equals with the slowest first.
        sequence = np.lexsort((-measured_s, place))
        values.append(measured_s.min() / measured_s[sequence[:number]].min())
        cut = place[sequence[number - 1 : number + 1]]
        n_tied += int(len(cut) == 2 and cut[0] == cut[1])
    return FirstKernels(
        number,
        len(values),
        float(np.mean(values)),
        float(np.quantile(values, 0.1)),
        float(np.min(values)),
        float(np.mean(np.array(values) == 1.0)),
        n_tied,
    )


def by_tile(points: Points, kernels: Kernels) -> Floats:
    """Order points by the largest tile, the most threads first among those of one.

    Returns a float64 array of shape (n_points,); infinity where tile or threads are not known.
    """
    keys = [_size_of(kernels, name) for name in points.kernel]
    place = {key: float(number) for number, key in enumerate(sorted(set(keys), reverse=True))}
    found = [place[key] if all(key) else np.inf for key in keys]
    return np.array(found, float)


def _size_of(kernels: Kernels, name: str) -> tuple[int, int]:
    """Return the size of a kernel's tile and its threads; 0 for what is not known."""
    kernel = kernels[name]
    return (int(np.prod(kernel.tile)) if kernel.tile else 0), kernel.threads or 0


def by_hindsight(points: Points) -> Floats:
    """Order points by the mean efficiency of their kernel, of those that ran all GEMMs.

    Returns a float64 array of shape (n_points,); infinity, which is last, for other kernels.
    """
    found = complete_kernels(points, list(gemms_of_several(points)))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return np.array([-means.get(name, -np.inf) for name in points.kernel], float)


def drawn(points: Points, numbers: Sequence[int] = FIRST) -> list[FirstKernels]:
    """Return the worth of the first kernels of a random order, as means over N_DRAWS of them."""
    random = np.random.default_rng(0)
    draws = [first_kernels(points, random.random(len(points)), numbers) for _ in range(N_DRAWS)]
    return [_mean(same) for same in zip(*draws, strict=True)]


def _mean(found: Sequence[FirstKernels]) -> FirstKernels:
    counts = ("first", "n_gemms")
    means = {
        field.name: float(np.mean([getattr(one, field.name) for one in found]))
        for field in fields(FirstKernels)
        if field.name not in counts
    }
    return FirstKernels(found[0].first, found[0].n_gemms, **means)

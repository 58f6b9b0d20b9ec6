"""The third digit of names such as `s1688421gemm`, which tells nothing that we know of.

The first two of the last three digits are warps along m and n; kernels that differ in the third
alone are one to every model. What that costs is how far apart they were measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from gpperf_lite import Kernel

from ..dataset import Points
from ..train import Kernels
from .same_gemm import gemms_of_several

# instruction, warps along m and n; a third digit; the rest of the name
_NAME = r"(cutlass_.*?tensorop_[a-z]\d{3,}[1-9][1-9])(\d)(gemm_.*)"


@dataclass(frozen=True)
class DigitWorth:
    """How far apart kernels were measured that differ in the third digit of their names alone.

    n_pairs: of kernels; n_times: pairs of times on the same GEMM. median, p90: of the slower time
    over the faster, 1 where they are equal.
    """

    n_pairs: int
    n_times: int
    median: float
    p90: float


def digit_worth(points: Points, kernels: Kernels) -> DigitWorth | None:
    """Return the worth of the third digit; None where no kernels differ in it alone."""
    twins = {name: twin for name in kernels if (twin := _without_digit(kernels[name])) is not None}
    pairs, logs = set(), []
    for rows in gemms_of_several(points):
        same: dict[tuple[str, Kernel], list[int]] = {}
        for row in rows:
            if points.kernel[row] in twins:
                same.setdefault(twins[points.kernel[row]], []).append(row)
        for one, other in _pairs(same):
            pairs.add(frozenset((points.kernel[one], points.kernel[other])))
            logs.append(abs(np.log(points.runtime_s[one] / points.runtime_s[other])))
    if not logs:
        return None
    median, p90 = np.exp(np.quantile(logs, (0.5, 0.9))).tolist()
    return DigitWorth(len(pairs), len(logs), median, p90)


def _without_digit(kernel: Kernel) -> tuple[str, Kernel] | None:
    """Return a name without its third digit, and all else that is known; None without a digit."""
    match = re.fullmatch(_NAME, kernel.name)
    if match is None or kernel.warp_tile is None:
        return None
    return match[1] + match[3], replace(kernel, name="")


def _pairs(same: dict[tuple[str, Kernel], list[int]]) -> Iterator[tuple[int, int]]:
    for rows in same.values():
        yield from combinations(rows, 2)

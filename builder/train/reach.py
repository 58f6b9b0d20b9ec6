"""The reach of a model: labels that are further from the physical model than a forest may correct.

A sum of a forest is cut at one and a half octaves, so that no prediction leaves its neighbours in
size. A label beyond that cannot be said, whatever is learned: a few are outliers, many mean that
the table tells apart what the model cannot, or is not what it is taken for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpperf_lite._forest import LARGEST_SUM, UNITS_PER_OCTAVE

from ..errors import DatasetError
from .runtime_fit import RuntimeFit
from .stratum import Stratum

MOST_BEYOND = 0.15
"""The share of labels beyond reach up to which a model is made."""

_EXAMPLES = 3


@dataclass(frozen=True)
class Beyond:
    """The labels of a stratum that are beyond reach: their number, of how many, and the worst."""

    stratum: str
    n: int
    n_points: int
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of all labels, 0 to 1."""
        return self.n / self.n_points

    def __str__(self) -> str:
        return (
            f"{self.n} of {self.n_points} labels of {self.stratum} ({self.share:.1%}) are further "
            f"from the physical model than a forest may correct, such as {'; '.join(self.examples)}"
        )


def labels_beyond(stratum: Stratum, fit: RuntimeFit) -> Beyond | None:
    """Return the labels beyond the reach of a fit of a stratum; None where all are within it.

    Raises DatasetError where they are more than a share of MOST_BEYOND.
    """
    points = stratum.points
    octaves = np.log2(points.runtime_s / stratum.described(points, fit).base_s)
    order = np.argsort(-np.abs(octaves))
    n = int((np.abs(octaves) > LARGEST_SUM / UNITS_PER_OCTAVE).sum())
    if not n:
        return None
    examples = tuple(
        f"{points.kernel[row]} at m={points.m[row]:.0f} n={points.n[row]:.0f} "
        f"k={points.k[row]:.0f}: {points.runtime_s[row]:.3g} s, {2.0 ** octaves[row]:.2g} times it"
        for row in order[: min(n, _EXAMPLES)].tolist()
    )
    beyond = Beyond(stratum.name, n, len(points), examples)
    if beyond.share > MOST_BEYOND:
        raise DatasetError(
            f"{beyond}: no model is made of more than {MOST_BEYOND:.0%} such labels. Are runtimes "
            "in s, and do kernels of different makes have different names and facts?"
        )
    return beyond

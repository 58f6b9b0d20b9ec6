"""The slowness of a kernel: the facts that a forest predicts it from, and its limits.

It is in units of 1/8192 octave. A sum of a correction is cut; one of slowness is not a correction
between sizes, so it has limits of its own.
"""

from __future__ import annotations

import numpy as np

from ._forest import UNITS_PER_OCTAVE, Sums
from ._physics import Own

LARGEST_SLOWNESS = 8 * UNITS_PER_OCTAVE

OWN_FACTS = Own._fields[: Own._fields.index("slowness")]
"""The facts of a kernel that a forest of slowness looks at, in order."""


def own_columns(own: Own) -> tuple[float, ...]:
    """Return the facts of a kernel in the order of OWN_FACTS."""
    return tuple(own)[: len(OWN_FACTS)]


def slowness_of_totals(totals: Sums) -> Sums:
    """Return sums of a forest as slowness: no kernel is further than 8 octaves from its tile."""
    return np.clip(totals, -LARGEST_SLOWNESS, LARGEST_SLOWNESS)

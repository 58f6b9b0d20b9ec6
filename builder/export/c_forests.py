"""The tables of forests in C: columns in groups of 16, questions by level, leaves in lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .c_tables import CTables
from .forests import THRESHOLDS, ColumnTables, ForestTables, columns_of

_LINES = "GPPERF__LINES "
"""Declares that a table begins with a line of the cache."""

_LINE = 32
"""Leaves in a line of 64 bytes."""

_TREES_OF_A_LINE = 8
"""Trees behind which a line of zeros lies."""

_GATHERED = 16
"""Trees whose leaves are looked up together."""


def add_forests(tables: CTables, forests: Sequence[ForestTables]) -> None:
    """Add the forests of all estimators, in their order, and the columns at which they look."""
    columns = columns_of(forests)
    _add_columns(tables, columns.items)
    rows, parts, at = [], [], np.zeros(2, np.int64)
    for one in forests:
        depth, n_padded = one.column.shape
        number = columns.number(one.columns)
        rows.append((*at.tolist(), number, one.bias, len(one.leaves), n_padded, depth))
        parts.append(_in_lines(one.leaves))
        at += (parts[-1].size, one.column.size)
    for name in ("column", "rank"):
        flat = np.concatenate([getattr(one, name).ravel() for one in forests])
        tables.add("uint8_t", name, flat.tolist(), place=_LINES)
    # Vectors of 64 bytes are read from there, and thrown away where a tree has fewer leaves.
    leaves = np.concatenate([*parts, np.zeros(_LINE, np.int16)])
    tables.add("int16_t", "leaf", leaves.tolist(), place=_LINES)
    tables.add_structs("forest", "forests", rows, 28)


def _in_lines(leaves: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the leaves of trees one after the other, behind every eighth tree a line of zeros.

    Without it the leaves that are met often, which are the first of their trees, would lie in a few
    of a cache's sets. There are as many trees as a multiple of 16.
    """
    n_trees, n_leaves = leaves.shape
    trees = np.zeros((-(-n_trees // _GATHERED) * _GATHERED, n_leaves), np.int16)
    trees[:n_trees] = leaves
    eighths = trees.reshape(-1, _TREES_OF_A_LINE * n_leaves)
    return np.hstack([eighths, np.zeros((len(eighths), _LINE), np.int16)]).ravel()


def _add_columns(tables: CTables, columns: Sequence[ColumnTables]) -> None:
    """Add columns in groups of 16, and of each group its pivots: side by side, in rows."""
    rows, at = [], np.zeros(3, np.int64)
    feature, count, block, n_pivots = [], [], [], []
    pivots: list[float] = []
    for one in columns:
        n_columns = len(one.feature)
        rows.append((*at.tolist(), n_columns))
        n_groups, first_pivot = -(-n_columns // THRESHOLDS), len(pivots)
        lacking = [0] * (n_groups * THRESHOLDS - n_columns)
        feature += one.feature.tolist() + lacking
        count += one.count.tolist() + lacking
        block += one.first_block.tolist() + lacking
        for start in range(0, n_columns, THRESHOLDS):
            group = [one.pivots(n) for n in range(start, min(start + THRESHOLDS, n_columns))]
            n_pivots.append(max(map(len, group)))
            side = np.full((n_pivots[-1], THRESHOLDS), np.inf, np.float32)
            for place, pivot in enumerate(group):
                side[: len(pivot), place] = pivot
            pivots += side.ravel().tolist()
        at += (n_groups * THRESHOLDS, one.threshold.size, len(pivots) - first_pivot)
    tables.add("uint8_t", "feature", feature)
    tables.add("uint8_t", "count", count)
    tables.add("uint16_t", "first_block", block)
    tables.add("uint8_t", "n_pivots", n_pivots)
    tables.add("float", "pivot", pivots, place=_LINES)
    # Blocks of thresholds are read in pairs, of which the last one may lack its second.
    flat = [value for one in columns for value in one.threshold.tolist()]
    tables.add("float", "threshold", flat + [np.inf] * THRESHOLDS, place=_LINES)
    tables.add_structs("columns", "shared", rows, 16)

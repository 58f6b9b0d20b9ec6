"""CatBoost's oblivious trees as forests of ours: all that we know of its model format is here."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostRegressor
from numpy.typing import NDArray

from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest

_LARGEST_THRESHOLD = float(np.finfo(np.float32).max)


def forest_of(model: CatBoostRegressor, depth: int) -> Forest:
    """Return a trained CatBoost regressor of log2 values, its leaves rounded to our units.

    A tree that CatBoost grew less deep than `depth` gets questions that are always answered "no".
    In CatBoost's index the first split is the least significant bit, in ours the most.
    """
    trees, scale, bias = _load(model)
    feature = np.zeros((len(trees), depth), np.uint8)
    threshold = np.full((len(trees), depth), _LARGEST_THRESHOLD, np.float32)
    leaves = np.zeros((len(trees), 2**depth), np.int16)
    for index, tree in enumerate(trees):
        splits = tree["splits"] or []
        for level, split in enumerate(reversed(splits), depth - len(splits)):
            feature[index, level] = split["float_feature_index"]
            threshold[index, level] = split["border"]
        values = np.array(tree["leaf_values"], float) * scale
        leaves[index, : len(values)] = to_units(values)
    return Forest(feature, threshold, leaves, int(to_units(np.array(bias))))


def constant_forest(octaves: float) -> Forest:
    """Return a forest that answers the same log2 value for every row."""
    return Forest(
        np.zeros((1, 1), np.uint8),
        np.zeros((1, 1), np.float32),
        np.zeros((1, 2), np.int16),
        int(to_units(np.array(octaves))),
    )


def to_units(octaves: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return log2 values in units of 1/8192 octave, within the range of a leaf."""
    units: NDArray[np.int64] = np.clip(np.rint(octaves * UNITS_PER_OCTAVE), -32768, 32767).astype(
        np.int64
    )
    return units


def _load(model: CatBoostRegressor) -> tuple[list[dict[str, Any]], float, float]:
    """Return trees, scale and bias, from CatBoost's JSON export."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        exported = json.loads(path.read_text())
    scale, bias = exported["scale_and_bias"]
    return exported["oblivious_trees"], float(scale), float(bias[0])

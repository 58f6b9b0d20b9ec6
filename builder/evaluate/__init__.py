"""Evaluating: held-out accuracy of methods and models, against baselines, on honest splits."""

from .evaluation import METHODS, Score, evaluate_methods, evaluate_model, read_datasets, score_lines
from .noise_floor import Floor, floors
from .study import Row, study_table
from .tile_sizes import tile_lines, tile_sizes
from .unseen_gpus import SHOWN, TEST_ROWS, Curve, curves

__all__ = [
    "METHODS",
    "SHOWN",
    "TEST_ROWS",
    "Curve",
    "Floor",
    "Row",
    "Score",
    "curves",
    "evaluate_methods",
    "evaluate_model",
    "floors",
    "read_datasets",
    "score_lines",
    "study_table",
    "tile_lines",
    "tile_sizes",
]

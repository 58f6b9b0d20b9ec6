"""Evaluating: held-out accuracy of methods and models, against baselines, on honest splits.

`evaluate_methods` trains each of METHODS fold by fold, `evaluate_model` takes an artefact as it is;
both return a `Score` for each GPU and dtype. `floors` shows the noise that no model can avoid,
`curves` the accuracy on GPUs held out, `study_table` the original study reproduced, `tile_sizes`
the tiled kernel by the side of its tile. `evaluate_collections` shows the worth of the models of a
recipe to the next person who measures, beside how far those who measured agree.
"""

from .back_end_choice import BackEndChoice
from .device_time import DeviceTime
from .evaluation import METHODS, Score, evaluate_methods, evaluate_model, read_datasets, score_lines
from .held_out_collections import ModelWorth, StratumWorth, evaluate_collections
from .interval_score import LEAST_INSIDE, IntervalScore
from .noise_floor import Floor, floors
from .other_collections import FromOthers
from .repeatability import Repeatability
from .study import StudyRow, study_table
from .tile_sizes import tile_lines, tile_sizes
from .unseen_gpus import SHOWN, TEST_ROWS, Curve, curves

__all__ = [
    "LEAST_INSIDE",
    "METHODS",
    "SHOWN",
    "TEST_ROWS",
    "BackEndChoice",
    "Curve",
    "DeviceTime",
    "Floor",
    "FromOthers",
    "IntervalScore",
    "ModelWorth",
    "Repeatability",
    "Score",
    "StratumWorth",
    "StudyRow",
    "curves",
    "evaluate_collections",
    "evaluate_methods",
    "evaluate_model",
    "floors",
    "read_datasets",
    "score_lines",
    "study_table",
    "tile_lines",
    "tile_sizes",
]

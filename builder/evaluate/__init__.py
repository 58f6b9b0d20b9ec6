"""Evaluating: held-out accuracy of methods and models, against baselines, on honest splits.

`evaluate_methods` trains each of METHODS fold by fold, `evaluate_model` takes an artefact as it is;
both return a `Score` for each GPU and dtype. `floors` shows the noise that no model can avoid,
`curves` the accuracy on GPUs held out, `study_table` the original study reproduced, `tile_sizes`
the tiled kernel by the side of its tile, `tile_choices` the worth of choosing one, and `claims`
the study's beside it. `evaluate_collections` shows the worth of the models of a
recipe to the next person who measures, beside how far those who measured agree. `kernel_orders`
orders the kernels of one GPU by what models say that did not see them, beside rivals, and
`winners_found` the configurations among which searches for vLLM chose. `profiled` holds what was
predicted of CUTLASS's kernels against what its profiler measured.
`given_answers` and `held_out_answers` put predictions beside each measured point, `learning_curve`
has errors by the number of pairs learned from.
"""

from .answers import (
    AS_GIVEN,
    BASELINES,
    CONFIDENCES,
    REFITTED,
    Answered,
    Answers,
    answers_of,
    given_answers,
    held_out_answers,
    split_of,
    thinned,
)
from .back_end_choice import BackEndChoice
from .device_time import DeviceTime
from .evaluation import (
    MAKE,
    METHODS,
    Score,
    evaluate_methods,
    evaluate_model,
    read_datasets,
    score_lines,
)
from .first_kernels import FirstKernels
from .held_out_collections import ModelWorth, StratumWorth, evaluate_collections
from .heuristics import Heuristics
from .interval_score import LEAST_INSIDE, IntervalScore
from .kernel_orders import HeldOutTable, KernelOrder, KernelOrders, kernel_orders, orders_of
from .learning import LearningPoint, learning_curve
from .noise_floor import Floor, floors
from .other_collections import FromOthers
from .profiled import Profiled, profiled
from .repeatability import Repeatability
from .study import StudyRow, study_table
from .study_tiles import StudyTiles, study_tiles
from .tile_choice import (
    CHOICE_HEAD,
    SLOWEST,
    TileChoice,
    choice_cells,
    claims,
    tile_choices,
)
from .tile_costs import TileCosts, cold_tile_costs, tile_costs
from .tile_sizes import SIZE_HEAD, TileSize, size_cells, tile_sizes
from .unseen_gpus import SHOWN, TEST_ROWS, Curve, curves
from .warps_digit import DigitWorth
from .winners_found import (
    CONFIG_ORDERS,
    COUNTED,
    FIRST_CONFIGS,
    HELD_OUT,
    WinnersFound,
    WinnersReport,
    winners_found,
)

__all__ = [
    "AS_GIVEN",
    "BASELINES",
    "CHOICE_HEAD",
    "CONFIDENCES",
    "CONFIG_ORDERS",
    "COUNTED",
    "FIRST_CONFIGS",
    "HELD_OUT",
    "LEAST_INSIDE",
    "MAKE",
    "METHODS",
    "REFITTED",
    "SHOWN",
    "SIZE_HEAD",
    "SLOWEST",
    "TEST_ROWS",
    "Answered",
    "Answers",
    "BackEndChoice",
    "Curve",
    "DeviceTime",
    "DigitWorth",
    "FirstKernels",
    "Floor",
    "FromOthers",
    "HeldOutTable",
    "Heuristics",
    "IntervalScore",
    "KernelOrder",
    "KernelOrders",
    "LearningPoint",
    "ModelWorth",
    "Profiled",
    "Repeatability",
    "Score",
    "StratumWorth",
    "StudyRow",
    "StudyTiles",
    "TileChoice",
    "TileCosts",
    "TileSize",
    "WinnersFound",
    "WinnersReport",
    "answers_of",
    "choice_cells",
    "claims",
    "cold_tile_costs",
    "curves",
    "evaluate_collections",
    "evaluate_methods",
    "evaluate_model",
    "floors",
    "given_answers",
    "held_out_answers",
    "kernel_orders",
    "learning_curve",
    "orders_of",
    "profiled",
    "read_datasets",
    "score_lines",
    "size_cells",
    "split_of",
    "study_table",
    "study_tiles",
    "thinned",
    "tile_choices",
    "tile_costs",
    "tile_sizes",
    "winners_found",
]

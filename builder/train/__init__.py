"""Training: rows of datasets in, an artefact out."""

from .family import TrainOptions
from .generic import tables_of
from .generic_fit import GenericOptions
from .held_out_gpus import Case, HeldOut, held_out, with_intervals
from .learner import LearnerOptions, learn
from .metrics import Errors, errors_of, slices
from .model_files import build_from_datasets, build_from_recipe
from .physics import Described, Kernels, describe_points, unit_of
from .recipe import RECIPE, ModelRecipe, read_recipe
from .relative import KERNELS, LAYOUT, Table, clipped, library_points, measured_library
from .runtime_fit import RuntimeFit, fit_runtime
from .training import check_name

__all__ = [
    "KERNELS",
    "LAYOUT",
    "RECIPE",
    "Case",
    "Described",
    "Errors",
    "GenericOptions",
    "HeldOut",
    "Kernels",
    "LearnerOptions",
    "ModelRecipe",
    "RuntimeFit",
    "Table",
    "TrainOptions",
    "build_from_datasets",
    "build_from_recipe",
    "check_name",
    "clipped",
    "describe_points",
    "errors_of",
    "fit_runtime",
    "held_out",
    "learn",
    "library_points",
    "measured_library",
    "read_recipe",
    "slices",
    "tables_of",
    "unit_of",
    "with_intervals",
]

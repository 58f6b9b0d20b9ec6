"""Training: rows of datasets in, an artefact out.

`build_from_datasets` writes one model as `TrainOptions` say, `build_from_recipe` all models of a
recipe (that of the built-in ones is `builder/models.toml`). `fit_runtime` fits the physical model,
and the forest that corrects it, to `Points`; `errors_of` compares predictions with measured values.
`hold_out_gpus` predicts each GPU by a generic model of the others, `held_out_tables` each by the
model of any kernel. `fit_strata` makes the very fits
that a model of `strata_of` is shipped and judged by; `held_by_fold` and `held_by_collection` have
what these predicted of what they never saw. `KeptFits` finds again what was
fitted before, so that a build which was stopped goes on.
"""

from .any_kernel import KernelTable, held_out_tables, kernel_tables
from .back_ends import consensus_points, is_back_end, library_points
from .estimators import accuracy_of
from .generic import tables_of
from .generic_fit import GenericOptions
from .held_out_gpus import Case, HeldOut, hold_out_gpus, with_intervals
from .intervals import covered, half_width_of
from .kept_fits import KeptFits
from .learner import PLAIN, LearnerOptions, learn
from .metrics import Errors, errors_of, slices
from .model_files import (
    any_kernel_datasets,
    build_from_datasets,
    build_from_recipe,
    options_of,
    runtime_dataset,
)
from .narrow import pairs_of
from .physics import DescribedPoints, Kernels, describe_points, speed_of_light, unit_of
from .power_fit import POWER_WINDOW_S, power_rows
from .provenance import versions_of
from .recipe import RECIPE, ModelRecipe, read_recipe
from .relative import KERNELS, LAYOUT, GpuTable, clipped, points_at
from .runtime_fit import RuntimeFit, fit_runtime
from .runtime_fits import Held, RuntimeFits, fit_strata, held_by_collection, held_by_fold
from .slowness import as_makes
from .stratum import Stratum, TrainOptions, strata_of
from .training import check_name, one_gpu, train

__all__ = [
    "KERNELS",
    "LAYOUT",
    "PLAIN",
    "POWER_WINDOW_S",
    "RECIPE",
    "Case",
    "DescribedPoints",
    "Errors",
    "GenericOptions",
    "GpuTable",
    "Held",
    "HeldOut",
    "KeptFits",
    "KernelTable",
    "Kernels",
    "LearnerOptions",
    "ModelRecipe",
    "RuntimeFit",
    "RuntimeFits",
    "Stratum",
    "TrainOptions",
    "accuracy_of",
    "any_kernel_datasets",
    "as_makes",
    "build_from_datasets",
    "build_from_recipe",
    "check_name",
    "clipped",
    "consensus_points",
    "covered",
    "describe_points",
    "errors_of",
    "fit_runtime",
    "fit_strata",
    "half_width_of",
    "held_by_collection",
    "held_by_fold",
    "held_out_tables",
    "hold_out_gpus",
    "is_back_end",
    "kernel_tables",
    "learn",
    "library_points",
    "one_gpu",
    "options_of",
    "pairs_of",
    "points_at",
    "power_rows",
    "read_recipe",
    "runtime_dataset",
    "slices",
    "speed_of_light",
    "strata_of",
    "tables_of",
    "train",
    "unit_of",
    "versions_of",
    "with_intervals",
]

"""The worth of models to the next person who measures: collections and pairs that were held out.

Nothing is trained that training does not train: the fits are those that a model is shipped and
judged by, so that after `models build` all of them are found among the kept ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset import Floats
from ..errors import RecipeError
from ..train import (
    Errors,
    KeptFits,
    ModelRecipe,
    RuntimeFits,
    Stratum,
    errors_of,
    fit_strata,
    held_by_collection,
    held_by_fold,
    one_gpu,
    options_of,
    read_recipe,
    runtime_dataset,
    strata_of,
)
from .back_end_choice import BackEndChoice, back_end_choices
from .device_time import DeviceTime, device_time
from .interval_score import IntervalScore, interval_score


@dataclass(frozen=True)
class StratumWorth:
    """The worth of one stratum of a model: a dtype of one back end, or unit of kernels.

    errors: of pairs held out, against the reference of n_collections; apart: the mean distance
    between two collections on these pairs, as they stand; apart_aligned: with each shifted by its
    factor, as in the reference; both NaN where no two measured a point. intervals: None where fewer
    than two collections were left out.
    """

    dtype: str
    unit: str
    n_collections: int
    errors: Errors
    apart: float
    apart_aligned: float
    intervals: IntervalScore | None


@dataclass(frozen=True)
class ModelWorth:
    """The worth of one model.

    device_time: None where there is nothing to compare; choices: one for each dtype in which
    several back ends timed the same.
    """

    model: str
    strata: tuple[StratumWorth, ...]
    device_time: DeviceTime | None
    choices: tuple[BackEndChoice, ...]


def evaluate_collections(
    recipe: Path,
    sources: Path,
    only: Sequence[str] | None = None,
    n_workers: int = 1,
    kept: KeptFits | None = None,
) -> Iterator[ModelWorth]:
    """Yield the worth of each model of a recipe that is of one GPU, as soon as it is known.

    sources: the folder of their tables; only: names of models; kept: where finished fits are found
    and kept.

    Raises RecipeError where the recipe is not valid or has no such model of a name in `only`,
    SourceError where a table is missing, DatasetError where nothing can be held out.
    """
    models = {model.name: model for model in read_recipe(recipe) if model.scope == "gpu"}
    unknown = sorted(set(only or ()) - set(models))
    if unknown:
        raise RecipeError(f"{recipe} has no model of one GPU called {', '.join(unknown)}")
    for name, model in models.items():
        if only is None or name in only:
            yield worth_of(model, sources, n_workers, kept)


def worth_of(
    model: ModelRecipe, sources: Path, n_workers: int = 1, kept: KeptFits | None = None
) -> ModelWorth:
    """Return the worth of one model; raises what `evaluate_collections` does."""
    dataset = runtime_dataset(model, sources)
    strata = strata_of(dataset, one_gpu(dataset), options_of(model), {})
    fitted = fit_strata(strata, (), n_workers, f"holding out of {model.name}", kept)
    return ModelWorth(
        model.name,
        tuple(stratum_worth(stratum, fits) for stratum, fits in fitted),
        device_time(dataset, fitted),
        tuple(back_end_choices(dataset, fitted)),
    )


def stratum_worth(stratum: Stratum, fits: RuntimeFits) -> StratumWorth:
    """Return the worth of one stratum."""
    held, measured = held_by_fold(stratum, fits), stratum.measured
    octaves = measured.octaves[:, np.isin(stratum.fold, list(fits.by_fold))]
    return StratumWorth(
        stratum.dtype,
        stratum.unit,
        len(measured.collections),
        errors_of(held.predicted_s, held.measured_s),
        distance_between(octaves),
        distance_between(octaves - measured.shifts()[:, None]),
        interval_score(held_by_collection(stratum, fits)) if fits.left_out else None,
    )


def distance_between(octaves: Floats) -> float:
    """Return the mean relative distance of one collection from another; NaN where none share any.

    octaves: log2 of the labels, shape (n_collections, n_points), NaN where not measured. It is the
    mean over ordered pairs of collections, so that it does not matter which of two is the first.
    """
    means = []
    for one, other in itertools.permutations(octaves, 2):
        apart = (other - one)[np.isfinite(other - one)]
        if apart.size:
            means.append(np.abs(np.exp2(apart) - 1.0).mean())
    return float(np.mean(means)) if means else float("nan")

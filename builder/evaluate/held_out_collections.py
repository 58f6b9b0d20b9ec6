"""The worth of models to the next person who measures: collections and pairs that were held out.

Nothing is trained that training does not train: the fits are those that a model is shipped and
judged by, so that after `models build` all of them are found among the kept ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..dataset import FEWEST_FOR_REFERENCE
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
from .other_collections import FromOthers, from_others, held_by_others
from .repeatability import Repeatability, repeatability_of


@dataclass(frozen=True)
class StratumWorth:
    """The worth of one stratum of a model: a dtype of one back end, or unit of kernels.

    errors: of pairs held out, against the reference of n_collections; repeatability: of these on
    the same pairs. intervals: of the model, None where fewer than two collections were left out;
    least: of the collection that has the least inside, None without intervals. by_others: the
    intervals of the consensus of the other collections in the place of the model, None where fewer
    than three measured.
    """

    dtype: str
    unit: str
    n_collections: int
    errors: Errors
    repeatability: Repeatability
    intervals: IntervalScore | None = None
    least: FromOthers | None = None
    by_others: IntervalScore | None = None


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
    """Yield the worth of each model of a recipe that is trained on one GPU, once it is known.

    sources: the folder of their tables; only: names of models; kept: where finished fits are found
    and kept.

    Raises RecipeError where the recipe is not valid or has no such model of a name in `only`,
    SourceError where a table is missing, DatasetError where nothing can be held out.
    """
    trained = (one for one in read_recipe(recipe) if one.scope == "gpu" and one.base is None)
    models = {model.name: model for model in trained}
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
    dataset = runtime_dataset(model, sources, n_workers)
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
    known = StratumWorth(
        stratum.dtype,
        stratum.unit,
        len(measured.collections),
        errors_of(held.predicted_s, held.measured_s),
        repeatability_of(octaves, measured.shifts(), measured.least_for_reference),
    )
    return _with_intervals(known, stratum, fits) if fits.left_out else known


def _with_intervals(worth: StratumWorth, stratum: Stratum, fits: RuntimeFits) -> StratumWorth:
    """Return the worth of a stratum together with that of its intervals."""
    names = stratum.measured.collections
    intervals = interval_score(held_by_collection(stratum, fits), names)
    others = held_by_others(stratum, fits.left_out)
    least = by_others = None
    if intervals is not None and others is not None:
        least = from_others(others, names.index(intervals.least_of))
        if len(names) >= FEWEST_FOR_REFERENCE:
            by_others = interval_score(others, names)
    return replace(worth, intervals=intervals, least=least, by_others=by_others)

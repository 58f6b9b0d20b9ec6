"""Training: datasets in, an artefact out, with its accuracy and intervals from held-out rows.

For each stratum, a dtype and a unit of kernels (library, tiled, CUDA cores, tensor cores): the
constants of the physical model, then the forest that corrects it. Both are fitted once for each
fold, on the other folds, to learn what they are worth on groups that they never saw, and once on
everything, to be shipped. Rows measured under lasting load give power and the sustained runtime;
where they tell too little of power, the model is made without it, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpperf_lite import Gpu, Kernel
from gpperf_lite._artefact import Artefact
from gpperf_lite._estimator import Estimator

from ..dataset import Dataset, chosen_rows, concatenate, counted_once, points_of
from ..errors import DatasetError
from .board_power import BoardPower
from .estimators import excess_of, judged, runtime_estimator, sustained_estimator
from .kept_fits import KeptFits
from .provenance import stand_ins_among, versions_of
from .reach import Beyond, labels_beyond
from .runtime_fits import fit_strata
from .slowness import alike
from .strata_power import Power, power_estimators, power_of
from .stratum import Stratum, TrainOptions, strata_of


def train(
    datasets: list[Dataset],
    power_datasets: list[Dataset],
    options: TrainOptions,
    n_workers: int = 1,
    kept: KeptFits | None = None,
    boards: BoardPower | None = None,
) -> Artefact:
    """Train a model of one GPU.

    datasets: measured runtimes; power_datasets: measured power, which may be the same. Without
    them power comes from the rows of `datasets` under lasting load. Where that is too little, the
    provenance says so as `power_missing`. kept: where finished fits are found and kept; boards:
    what tells the power of kernels that have none, instead of all kernels of this GPU together.

    Raises DatasetError where the rows are of several GPUs, or of one whose facts are unknown, where
    none is usable, or where nothing can be held out.
    """
    check_name(options.name)
    label = f"training {options.name}"
    chosen, copies = counted_once(chosen_rows(datasets, simulated=options.simulated))
    data = concatenate(chosen)
    power_datasets = chosen_rows(power_datasets, simulated=options.simulated)
    gpu = one_gpu(data)
    left_out: dict[str, int] = {}
    strata = strata_of(data, gpu, options, left_out)
    sustained = data.sustained().usable()
    if not power_datasets and _holds_power(sustained):
        power_datasets = [sustained]
    power = power_of(strata, power_datasets, data) if power_datasets else Power()
    # What is learned from runtimes, power and slowdown, needs those of every fold held out.
    built_on = [stratum.name for stratum in strata] if len(sustained) else list(power.by_stratum)
    fitted = fit_strata(strata, built_on, n_workers, label, kept)
    beyond = [labels_beyond(stratum, fits.whole) for stratum, fits in fitted]
    strata_judged = [judged(stratum, fits) for stratum, fits in fitted]
    excess = excess_of(strata_judged)
    estimators = [runtime_estimator(one, excess) for one in strata_judged]
    if len(sustained):
        lasting = points_of(sustained)
        found = (sustained_estimator(stratum, lasting, fits) for stratum, fits in fitted)
        estimators += [one for one in found if one is not None]
    estimators += power_estimators(fitted, power, n_workers, label, kept, pools=boards is None)
    if boards is not None and gpu.power_limit_w is not None:
        gpu = boards.with_idle(gpu)
        known = {(one.dtype, one.kernels) for one in _of_power(estimators)}
        rest = [one for one in strata if (one.dtype, one.indices) not in known]
        estimators += boards.estimators(rest)
    if _of_power(estimators):
        power = replace(power, missing="")
    estimators.sort(key=lambda one: (one.dtype, one.kernels, _ORDER.index(one.target)))
    stand_ins = stand_ins_among(options.stand_ins, {stratum.dtype for stratum in strata})
    return Artefact(
        options.name,
        options.version,
        gpu,
        _kernels_in_order(strata, data),
        tuple(estimators),
        stand_ins,
        _provenance(data, power, left_out, options, copies) | _doubts(strata, beyond),
    )


def _doubts(strata: Sequence[Stratum], beyond: Sequence[Beyond | None]) -> dict[str, Any]:
    """Return the kernels that a model cannot tell apart, and the labels that it cannot say."""
    groups = [names for stratum in strata for names in alike(stratum.kernels)]
    found = [str(one) for one in beyond if one is not None]
    return ({"alike": groups} if groups else {}) | ({"beyond_reach": found} if found else {})


_ORDER = ("runtime", "sustained", "power")
"""The order of the estimators of one dtype."""


def check_name(name: str) -> str:
    """Return the name of a model; raises DatasetError where it could not be that of a file."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name):
        raise DatasetError(f"name must be up to 64 letters, digits, . _ or - (got {name!r:.80})")
    return name


def _of_power(estimators: list[Estimator]) -> list[Estimator]:
    return [one for one in estimators if one.target == "power"]


def _holds_power(dataset: Dataset) -> bool:
    return bool(np.isfinite(dataset.column("power_w").astype(float)).any())


def one_gpu(dataset: Dataset) -> Gpu:
    """Return the GPU of a dataset; raises DatasetError where there are several, or no facts."""
    names = sorted(set(dataset.column("gpu")))
    if len(names) > 1:
        raise DatasetError(f"a model is of one GPU; these rows are of {', '.join(names)}")
    if not names:
        raise DatasetError("there is no usable row: there is no row of this kind in it")
    gpu = dataset.gpus.get(names[0])
    if gpu is None:
        raise DatasetError(f"the dataset does not hold the facts of its GPU {names[0]!r}")
    return gpu


def _kernels_in_order(strata: list[Stratum], dataset: Dataset) -> tuple[Kernel, ...]:
    """Return the kernels that the strata answer for, in the order of their indices."""
    names = {index: name for stratum in strata for index, name in stratum.answers.items()}
    return tuple(dataset.kernel(names[index]) for index in sorted(names))


def _provenance(
    data: Dataset,
    power: Power,
    left_out: dict[str, int],
    options: TrainOptions,
    copies: list[str],
) -> dict[str, Any]:
    """Return the provenance of a model: sources of its rows, and all that decides its bits."""
    return {
        "runtime": list(data.provenance),
        "power": [entry for dataset in power.datasets for entry in dataset.provenance],
        "power_window_s": power.window_s,
        "left_out": left_out,
        "trained_with": versions_of("catboost", "numpy", "scikit-learn", "scipy"),
        "split": options.split,
        "folds": options.n_folds,
        **({"power_missing": power.missing} if power.missing else {}),
        **({"copies": copies} if copies else {}),
        **({"simulated": True} if options.simulated else {}),
    }

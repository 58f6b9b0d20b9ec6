"""Strata: the measurements of one dtype and unit of kernels, which share physical constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu
from gpperf_lite._kernel import LIBRARIES, LIBRARY, VLLM
from gpperf_lite._physics import physics_of

from ..dataset import N_FOLDS, Dataset, Mask, Measurements, Points, folds
from ..errors import DatasetError
from .back_ends import Labels, labels_by_unit
from .learner import LearnerOptions
from .physics import DescribedPoints, Kernels
from .runtime_fit import RuntimeFit

FEWEST_ROWS = 20
"""Rows measured under lasting load: with fewer, nothing can be learned of power or slowdown."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of training: the name and version of a model, and the way it is trained.

    split, n_folds: how accuracy and intervals are measured; n_held_out: the folds that are held
    out in turn, where not all of them; learner: None for the usual one, or the small one where
    there are few rows; stand_ins: unmeasured dtypes and the measured ones that answer for them;
    simulated: take simulated rows, and them alone.
    """

    name: str = ""
    version: str = "1"
    split: str = "pair"
    n_folds: int = N_FOLDS
    n_held_out: int | None = None
    learner: LearnerOptions | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True)
class Stratum:
    """The measurements of one dtype and one unit: kernels that share their physical constants.

    labels: by each collection; kernels: those that were measured; answers: the kernels that it
    answers for by their index among all of the model, its own first; timed: see
    `Prediction.timed`.
    """

    unit: str
    dtype: str
    labels: Labels
    gpu: Gpu
    kernels: Kernels
    answers: Mapping[int, str]
    options: TrainOptions
    timed: str = ""

    @property
    def name(self) -> str:
        """Dtype and unit, which no other stratum of the model shares."""
        return f"{self.dtype} {self.unit}"

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the kernels that it answers for."""
        return tuple(self.answers)

    @property
    def is_of_library(self) -> bool:
        """True where its kernels are whatever a library chooses, False for known ones."""
        return physics_of(next(iter(self.kernels.values()))) == "library"

    @property
    def measured(self) -> Measurements:
        """The labels of all collections, side by side."""
        return self.labels.measured

    @cached_property
    def points(self) -> Points:
        """Each point once, with the consensus of all collections."""
        return self.labels.consensus()

    @cached_property
    def fold(self) -> NDArray[np.intp]:
        """The fold of each point, from its group, shape (n_points,)."""
        return self.folds_of(self.points)

    @cached_property
    def numbers(self) -> list[int]:
        """The folds that occur."""
        return [int(number) for number in np.unique(self.fold)]

    def without(self, out: Mask, collection: str | None = None) -> Points:
        """Return points to train on: not those of a mask, and not what one collection measured.

        Shifts and consensus are those of what is left. out: bool, shape (n_points,).
        """
        measured = self.measured.where(~out)
        if collection is not None:
            measured = measured.of([one for one in measured.collections if one != collection])
        return measured.consensus(measured.shifts())

    def part_of(self, points: Points) -> Points:
        """Return the points, of some, that are in this stratum's dtype and of its kernels."""
        own: Mask = points.dtype == self.dtype
        return points.where(own & np.isin(points.kernel, list(self.kernels)))

    def can_hold_out(self, part: Points) -> bool:
        """Return True where some of the points can be held out and enough are left to train on."""
        return len(part) >= FEWEST_ROWS and len(np.unique(self.folds_of(part))) > 1

    def folds_of(self, points: Points) -> NDArray[np.intp]:
        """Return the fold of points, of this stratum or not, shape (n_points,)."""
        return folds(points, self.options.split, self.options.n_folds)

    def described(self, points: Points, fit: RuntimeFit) -> DescribedPoints:
        """Return points with the features that a fit of their runtimes gives them."""
        return fit.described(points, self.gpu, self.kernels)


def strata_of(
    dataset: Dataset, gpu: Gpu, options: TrainOptions, left_out: dict[str, int]
) -> list[Stratum]:
    """Return the strata of a dataset, by dtype and unit; those too small go to `left_out`.

    Raises DatasetError where no row is usable, a dtype has no peak, or no stratum can be held out
    from itself.
    """
    labels, timed = labels_by_unit(dataset), _timed(dataset)
    strata, indices = [], dict[str, int]()
    for (dtype, unit), mine in sorted(labels.items()):
        if gpu.peak_of(dtype) is None:
            raise DatasetError(
                f"{gpu.name} has no peak for {dtype}: add it to gpperf_lite/gpus.json"
            )
        kernels = {name: dataset.kernel(name) for name in sorted(set(mine.points.kernel))}
        stratum = Stratum(
            unit, dtype, mine, gpu, kernels, {}, options, timed.get((dtype, unit), "")
        )
        if len(stratum.numbers) < 2:
            left_out[f"runtime of {stratum.name}"] = len(stratum.points)
            continue
        names = _answered(stratum, labels)
        answers = {indices.setdefault(name, len(indices)): name for name in names}
        strata.append(replace(stratum, answers=answers))
    if not strata:
        raise DatasetError(
            f"all rows are in one fold by {options.split}: nothing can be held out of "
            f"{left_out} (more groups, more folds or another split are needed)"
        )
    return strata


def _answered(stratum: Stratum, labels: Mapping[tuple[str, str], Labels]) -> list[str]:
    """Return the names of the kernels that a stratum answers for, its own first.

    Frameworks run cuBLAS for what is not quantised; `library` of a quantised dtype is vLLM's.
    """
    if stratum.unit == LIBRARY.name:
        units = {unit for _, unit in labels}
        # A collection's name begins with that of its software.
        units |= {name.split()[0] for name in stratum.labels.points.collections}
        return [one.name for one in LIBRARIES if one == LIBRARY or one.name in units]
    if stratum.unit == VLLM.name and (stratum.dtype, LIBRARY.name) not in labels:
        return [VLLM.name, LIBRARY.name]
    return list(stratum.kernels)


def _timed(dataset: Dataset) -> dict[tuple[str, str], str]:
    """Return the work that was timed, by dtype and back end, where the rows say one thing alone."""
    columns = (dataset.column(name) for name in ("dtype", "kernel", "timed"))
    found: dict[tuple[str, str], set[str]] = {}
    for dtype, kernel, timed in set(zip(*columns, strict=True)):
        found.setdefault((dtype, kernel), set()).add(timed or "")
    return {key: timed.pop() for key, timed in found.items() if len(timed) == 1}

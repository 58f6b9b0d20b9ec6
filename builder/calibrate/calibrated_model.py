"""The calibrated model: an artefact of one GPU from the generic model and points measured there."""

from __future__ import annotations

from gpperf_lite import Gpu
from gpperf_lite._artefact import Artefact
from gpperf_lite._estimator import Estimator
from gpperf_lite._generic import Generic

from ..dataset import Dataset, Points
from ..errors import DatasetError
from ..train import library_points, versions_of
from .calibration import calibrate_estimator
from .many_points import calibrate_by_many

FEWEST_POINTS = 8
_MOST_FOR_PROCESS = 2000
"""Points of a dtype up to which one process takes all of them."""


def calibrate_generic(generic: Generic, dataset: Dataset, name: str, version: str) -> Artefact:
    """Return an artefact of the library on the GPU of a dataset, in the dtypes measured there.

    A dtype that the generic model answers for as another one is calibrated as that one, for which
    it then stands in where nothing else was measured.

    Raises DatasetError where the rows are of several GPUs, of one whose facts are not known, or
    too few; InputError where the GPU has no peak of a dtype that the generic model knows.
    """
    points = library_points(dataset)
    names = sorted(set(points.gpu))
    if len(names) != 1 or names[0] not in dataset.gpus:
        raise DatasetError(f"points must be of one GPU whose facts are known (got {names})")
    gpu = dataset.gpus[names[0]]
    artefact = generic.artefact_for(gpu)
    known = _measured_there(generic, artefact)
    estimators, left_out = [], {}
    for dtype in sorted(set(points.dtype)):
        part = points.where(points.dtype == dtype)
        if dtype in known and len(part) >= FEWEST_POINTS:
            estimators.append(_calibrated(known[dtype], part, gpu))
        else:
            left_out[dtype] = len(part)
    if not estimators:
        raise DatasetError(
            f"calibrating needs at least {FEWEST_POINTS} points of the library in a dtype of "
            f"{' '.join(known)} (got {left_out}): choose them with "
            "'python -m builder calibrate --choose'"
        )
    dtypes = {one.dtype for one in estimators}
    alike = [*artefact.stand_ins.items(), *((b, a) for a, b in artefact.stand_ins.items())]
    provenance = {
        "runtime": list(dataset.provenance),
        "left_out": left_out,
        "calibrated_from": {"name": generic.name, "version": generic.version},
        "generic": dict(generic.provenance),
        "trained_with": versions_of("catboost", "numpy", "scikit-learn", "scipy"),
    }
    return artefact._replace(
        name=name,
        version=version,
        estimators=tuple(estimators),
        stand_ins={a: b for a, b in alike if b in dtypes and a not in dtypes},
        provenance=provenance,
        remarks=(),
    )


def _measured_there(generic: Generic, artefact: Artefact) -> dict[str, Estimator]:
    """Return the estimator of each dtype of a GPU, without texts on what others measured."""
    notes = {one.dtype: one.notes for one in generic.estimators}
    known = {one.dtype: one for one in artefact.estimators}
    known |= {dtype: known[other] for dtype, other in artefact.stand_ins.items()}
    return {
        dtype: one._replace(
            dtype=dtype, notes=notes[generic.stand_ins.get(dtype, dtype)], remarks=()
        )
        for dtype, one in known.items()
    }


def _calibrated(estimator: Estimator, points: Points, gpu: Gpu) -> Estimator:
    if len(points) > _MOST_FOR_PROCESS:
        return calibrate_by_many(estimator, points, gpu)
    return calibrate_estimator(estimator, points, gpu).estimator

"""The comparison of GPUs, dtypes and kernels for one GEMM: a row each, the best of each figure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._builtin import GENERIC
from ._errors import GpperfError, InputError, shown
from ._gemm import Gemm
from ._interval import checked_confidence
from ._model import Model, load
from ._prediction import Prediction

BEST: dict[str, bool] = {
    "runtime_s": True,
    "power_w": True,
    "energy_j": True,
    "edp_js": True,
    "tflops": False,
    "tflops_per_w": False,
}
"""The figures of which there is a best, and whether that is the least."""

_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Compared:
    """One row of a comparison: a GPU, a dtype and a kernel.

    gpu: name of its model, or of the GPU itself where that is the generic one; kernel: name, "-"
    where none answers. prediction: None where there is none, for the `reason`.
    """

    gpu: str
    dtype: str
    kernel: str
    prediction: Prediction | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types; a row without a prediction has its reason alone."""
        about = {"gpu": self.gpu, "dtype": self.dtype, "kernel": self.kernel}
        if self.prediction is None:
            return {**about, "reason": self.reason}
        return {**about, **self.prediction.to_dict()}


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison, in the order of the GPUs, dtypes and kernels asked for."""

    rows: tuple[Compared, ...]

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def best(self, field: str = "runtime_s", timed: str | None = None) -> Compared | None:
        """Return the row that is best in a figure; of equals the first, None where none is known.

        field: one of `BEST`: the least runtime_s, power_w, energy_j and edp_js, the largest tflops
            and tflops_per_w. timed: among rows that timed this (`Prediction.timed`); without it,
            among those that timed what the first row with a prediction did: rows that timed
            different things cannot be compared.

        Raises InputError for a figure of which there is no best.
        """
        if field not in BEST:
            raise InputError(f"field must be one of {' '.join(BEST)} (got {shown(field)})")
        scope = next(iter(self.scopes), "") if timed is None else timed
        known = [
            (row, getattr(row.prediction, field))
            for row in self.rows
            if row.prediction is not None and row.prediction.timed == scope
        ]
        known = [(row, value) for row, value in known if value is not None]
        if not known:
            return None
        choose = min if BEST[field] else max
        return choose(known, key=lambda one: one[1])[0]

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the rows timed (`Prediction.timed`), each once: only within one can they compare."""
        timed = (row.prediction.timed for row in self.rows if row.prediction is not None)
        return tuple(dict.fromkeys(timed))


def compare(
    gemm: Gemm,
    gpus: Iterable[Model | str | os.PathLike[str]],
    dtypes: Iterable[str] | None = None,
    kernels: Iterable[str] | None = None,
    confidence: float = 0.9,
) -> Comparison:
    """Compare GPUs, dtypes and kernels for one GEMM.

    gpus: models, or what `load` takes. dtypes: in place of the GEMM's own. kernels: names; without
        them, `library` and the back ends that a model was measured with in a dtype, or else what
        `Model.predict` answers for.

    A GPU, dtype or kernel that has no answer is a row with the reason. Raises InputError for
    arguments that are not valid, and whatever `load` raises.
    """
    if not isinstance(gemm, Gemm):
        raise InputError(f"gemm must be a Gemm (got {shown(gemm)})")
    confidence = checked_confidence(confidence)
    models = models_of(gpus)
    gemms = [gemm]
    if dtypes is not None:
        gemms = [replace(gemm, dtype=dtype) for dtype in several("dtypes", dtypes)]
    names = None if kernels is None else list(several("kernels", kernels))
    if len(models) * len(gemms) * len(names or (None,)) > _MOST_ROWS:
        raise InputError(f"a comparison has at most {_MOST_ROWS} rows: ask for fewer")
    return Comparison(
        tuple(
            row for model in models for one in gemms for row in _rows(model, one, names, confidence)
        )
    )


def only_best(comparison: Comparison, field: str, timed: str | None = None) -> Comparison:
    """Return a comparison of the one row that `Comparison.best` gives.

    Raises InputError where there is none, and says what was timed instead.
    """
    best = comparison.best(field, timed)
    if best is None:
        among = "" if timed is None else f" that timed {shown(timed)}"
        scopes = " ".join(one for one in comparison.scopes if one)
        raise InputError(f"{field} is known of no row{among} (rows timed: {scopes or 'not known'})")
    return Comparison((best,))


def models_of(gpus: Iterable[Model | str | os.PathLike[str]]) -> list[Model]:
    """Return the models of GPUs, one at least; raises InputError, and whatever `load` raises."""
    return [one if isinstance(one, Model) else load(one) for one in several("gpus", gpus)]


def name_of(model: Model) -> str:
    """Return the name that a row has: of the model, or of the GPU where it is the generic one."""
    return model.gpu.name if model.name == GENERIC else model.name


def several(what: str, values: Iterable[Any]) -> Sequence[Any]:
    """Return the values of a list that must have one at least, or raise InputError."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{what} must be several, such as a list (got {shown(values)})")
    listed = list(values)
    if not listed:
        raise InputError(f"{what} must have one at least (it is empty)")
    return listed


def _rows(
    model: Model, gemm: Gemm, names: Sequence[str] | None, confidence: float
) -> list[Compared]:
    """Return the rows of a model and a GEMM."""
    found: Sequence[str | None] = model.back_ends(gemm.dtype) if names is None else names
    return [_row(model, gemm, name, confidence) for name in found or (None,)]


def _row(model: Model, gemm: Gemm, name: str | None, confidence: float) -> Compared:
    gpu = name_of(model)
    try:
        prediction = model.predict(gemm, name, confidence)
    except GpperfError as error:
        return Compared(gpu, gemm.dtype, name or "-", None, str(error))
    return Compared(gpu, gemm.dtype, prediction.kernel.name, prediction)

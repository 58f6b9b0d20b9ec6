"""Predict what a matrix multiplication will cost on an NVIDIA GPU, without one.

>>> import gpperf_lite as gp
>>> model = gp.load("h200")
>>> prediction = model.predict(gp.Gemm(m=4096, n=4096, k=4096, dtype="bf16"))
>>> prediction.bound
'compute'
"""

import typing as _typing

from ._builtin import available
from ._comparison import Compared, Comparison, compare
from ._errors import (
    ArtefactError,
    FeatureMismatchError,
    GpperfError,
    InputError,
    UnknownGpuError,
    UnknownKernelError,
    UnsupportedVersionError,
)
from ._gemm import Gemm
from ._gpu import Gpu
from ._kernel import Kernel
from ._model import Model, load
from ._prediction import Prediction, PredictionBatch

if _typing.TYPE_CHECKING:
    from ._jobs import Job, Jobs
    from ._jobs_file import read_jobs
    from ._placement import Placement, Placements, place_jobs

__version__ = "0.2.0"

__all__ = [
    "ArtefactError",
    "Compared",
    "Comparison",
    "FeatureMismatchError",
    "Gemm",
    "GpperfError",
    "Gpu",
    "InputError",
    "Job",
    "Jobs",
    "Kernel",
    "Model",
    "Placement",
    "Placements",
    "Prediction",
    "PredictionBatch",
    "UnknownGpuError",
    "UnknownKernelError",
    "UnsupportedVersionError",
    "available",
    "compare",
    "load",
    "place_jobs",
    "read_jobs",
]

# Of use to schedulers alone, and not worth everyone's import time: loaded when they are asked for.
_LATER = {
    "Job": "_jobs",
    "Jobs": "_jobs",
    "Placement": "_placement",
    "Placements": "_placement",
    "place_jobs": "_placement",
    "read_jobs": "_jobs_file",
}


def __getattr__(name: str) -> _typing.Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{module}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

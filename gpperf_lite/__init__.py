"""Predict what a matrix multiplication will cost on an NVIDIA GPU, without one.

>>> import gpperf_lite as gp
>>> model = gp.load("h200")
>>> prediction = model.predict(gp.Gemm(m=4096, n=4096, k=4096, dtype="bf16"))
>>> prediction.bound
'compute'
"""

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

__version__ = "0.1.0"

__all__ = [
    "ArtefactError",
    "Compared",
    "Comparison",
    "FeatureMismatchError",
    "Gemm",
    "GpperfError",
    "Gpu",
    "InputError",
    "Kernel",
    "Model",
    "Prediction",
    "PredictionBatch",
    "UnknownGpuError",
    "UnknownKernelError",
    "UnsupportedVersionError",
    "available",
    "compare",
    "load",
]

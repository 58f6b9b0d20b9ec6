"""The facts of a model that the explorer needs before it unpacks the model, as JSON types."""

from __future__ import annotations

import os
from typing import Any

from gpperf_lite._estimator import Estimator

from ..export import Contents, Head


def facts_of(contents: Contents, asked: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the facts of a model; asked: how `gpperf_lite.load` was asked for it.

    By dtype they have the kernel that answers where none is named (-1: the fastest), the dtype that
    was measured in its place, if any, and `heads`: of each kernel its number, its layouts as bits,
    and the number of what it was fitted to in `estimators`.
    """
    artefact = contents.artefact
    gpu = artefact.gpu
    estimators: list[Estimator] = []
    dtypes: dict[str, dict[str, Any]] = {
        dtype: {"preset": preset, "standIn": artefact.stand_ins.get(dtype, ""), "heads": []}
        for dtype, preset in contents.defaults.items()
    }
    for head in contents.heads:
        if head.model.runtime not in estimators:
            estimators.append(head.model.runtime)
        dtypes[head.dtype]["heads"].append(_head(head, estimators))
    return {
        "id": artefact.name,
        "asked": os.fspath(asked),
        "gpu": gpu.name,
        "capability": list(gpu.compute_capability),
        "memoryBytes": gpu.memory_bytes,
        "kernels": [kernel.name for kernel in artefact.kernels],
        "dtypes": dtypes,
        "estimators": [_estimator(one) for one in estimators],
        "remarks": list(artefact.remarks),
    }


def _head(head: Head, estimators: list[Estimator]) -> list[int]:
    layouts = sum(1 << layout for layout in head.layouts)
    return [head.kernel, layouts, estimators.index(head.model.runtime)]


def _estimator(estimator: Estimator) -> dict[str, Any]:
    """Return the domain of an estimator, its held-out error and its remarks."""
    domain = estimator.domain
    return {
        **{name: list(getattr(domain, name)) for name in ("m", "n", "k", "batch")},
        "longestS": domain.runtime_s[1],
        "layouts": list(domain.layouts),
        "beta": domain.beta,
        "medianApe": estimator.accuracy.get("median_ape"),
        "remarks": list(estimator.remarks),
    }

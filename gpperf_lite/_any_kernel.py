"""The model of any kernel: what answers for kernels that were not measured on a GPU.

It is a file of its own among the built-in models, sealed as `_sealed` says, with a manifest of

    format_version, needs           see `_sealed`
    scope           "kernels"
    name, version, provenance       as in an artefact (see `_artefact`)
    constants       by name, those of known kernels, as multiples of the units of `_relative`
    interval        as in an artefact's estimator: that of GPUs that were held out, with all that
                    was measured on them
    domain          as in an artefact's
    gpus            names of the GPUs whose kernels were learned from

Times follow from the data sheet of a GPU, its units multiplied out, and from the facts of a kernel.
What a measured GPU or kernel does of its own accord is not in it, so it knows no slowness: it is
there to put kernels in an order, and its intervals say how far a time may be off.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ._builtin import KERNELS, built_in_path
from ._checked_json import Fields
from ._domain import Domain
from ._errors import ArtefactError
from ._estimator import (
    LONGEST_S,
    Estimator,
    Unmeasured,
    check_all_taken,
    domain_of,
    interval_of,
)
from ._forest import Forest
from ._gpu import Gpu
from ._interval import Interval
from ._physics import CONSTANTS
from ._relative import LARGEST_CONSTANT, absolute
from ._sealed import read_with, scope_of, seal, unseal, write_checked


@dataclass(frozen=True)
class AnyKernel:
    """The contents of a file of scope "kernels", checked; the fields are those of its manifest."""

    name: str
    version: str
    constants: Mapping[str, float]
    interval: Interval
    domain: Domain
    gpus: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def estimator_for(self, gpu: Gpu, dtype: str) -> Estimator:
        """Return the estimator of the runtime of kernels on a GPU, in a dtype that it has."""
        return Estimator(
            "runtime",
            dtype,
            (),
            absolute(self.constants, "kernel", gpu, dtype),
            _NOTHING,
            # Sizes carry over to another GPU; how long they take does not.
            self.domain._replace(runtime_s=(self.domain.runtime_s[0], LONGEST_S)),
            self.interval,
            timed="gemm",
            unmeasured=Unmeasured(_NOTHING, self.interval),
        )


_NOTHING = Forest(
    np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.float32), np.zeros((1, 2), np.int16), 0
)
"""A forest that corrects nothing: physics is all that is known."""


@lru_cache(maxsize=1)
def built_in() -> AnyKernel:
    """Return the built-in model of any kernel."""
    return read(built_in_path(KERNELS))


def read(path: str | os.PathLike[str]) -> AnyKernel:
    """Read and check a model of any kernel.

    Raises ArtefactError with the path and the reason; OSError never escapes.
    """
    return read_with(decode, path)


def write(model: AnyKernel, path: str | os.PathLike[str]) -> None:
    """Write a model of any kernel, whole or not at all; equal models give equal bytes.

    Raises ArtefactError, and writes nothing, where the file could not be read again.
    """
    write_checked(encode(model), decode, path)


def encode(model: AnyKernel) -> bytes:
    """Return the bytes of a file."""
    manifest = {
        "scope": "kernels",
        "name": model.name,
        "version": model.version,
        "constants": dict(model.constants),
        "interval": model.interval.to_json(),
        "domain": model.domain._asdict(),
        "gpus": list(model.gpus),
        "provenance": dict(model.provenance),
    }
    return seal(manifest, {})


def decode(data: bytes) -> AnyKernel:
    """Return the model in the bytes of a file; everything is checked before it is used.

    Raises ArtefactError with the reason.
    """
    manifest, tensors, _ = unseal(data)
    if scope_of(manifest) != "kernels":
        raise ArtefactError("it is no model of any kernel")
    check_all_taken(tensors)
    return AnyKernel(
        manifest.text("name"),
        manifest.text("version"),
        _constants(manifest.object("constants")),
        interval_of(manifest.object("interval")),
        domain_of(manifest.object("domain")),
        tuple(manifest.texts("gpus")),
        manifest.free_form("provenance"),
    )


def _constants(entry: Fields) -> dict[str, float]:
    return {name: entry.number(name, 0.0, LARGEST_CONSTANT) for name, _, _ in CONSTANTS["kernel"]}

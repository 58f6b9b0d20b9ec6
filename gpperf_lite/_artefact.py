"""The artefact: the file from which predictions for a GPU are made. Reader, writer, specification.

It is sealed as `_sealed` says. Its manifest, format version 2, has these fields:

    format_version, needs, scope    see `_sealed`
    name, version   of the model ("h200_sxm", "2026.11")
    gpu             the fields of Gpu
    features        names, in order, of the columns that the forests look at: those of
                    `_features`, or the first of them
    kernels         a list of the fields of Kernel. Those of family "library" are `library` itself
                    and the back ends `vllm`, `sglang` and `trtllm`, the last three from format 2 on
    estimators      a list, each for one target, one dtype and some of the kernels: see `_estimator`
    stand_ins       {dtype: dtype}: an unmeasured dtype and the measured one that answers for it
    remarks         texts that go with every prediction; may be missing

Provenance and accuracy are in the text of the card (see `_card`), in version 1 in `provenance` and
in `accuracy` of each estimator.

What a file says is checked before any of it is used: every length, range and name, that each
tensor belongs to one forest, and that no two estimators answer for the same target, dtype and
kernel. A file that fails is refused with the reason; nothing in it is ever executed. No more than
64 MiB of file, 2 MiB of header, 4096 trees in a forest and 4096 entries in a list; texts of 1 to
512 printable characters; free form at most 16 deep; launch_s and what was measured above 0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ._card import Card, text_of
from ._checked_json import Fields
from ._descriptions import gpu_of, gpu_to_json, kernel_of, kernel_to_json
from ._errors import ArtefactError, FeatureMismatchError
from ._estimator import (
    Estimator,
    check_all_taken,
    estimator_of,
    estimator_tensors,
    estimator_to_json,
)
from ._features import ALL_FEATURES, FEATURES
from ._gemm import DTYPES
from ._gpu import Gpu
from ._kernel import LIBRARIES, Kernel
from ._safetensors import Array, refuse
from ._sealed import read_with, scope_of, seal, unseal, write_checked


class Artefact(NamedTuple):
    """The contents of an artefact's file, checked; the fields are those of its manifest.

    gpu: the GPU that its predictions are for; stand_ins: dtypes that were not measured, each with
    the measured one that answers for it; remarks: texts that go with every prediction, and put it
    out of its domain. notes: others that do not, on the name by which it was asked for: in no file.
    """

    name: str
    version: str
    gpu: Gpu
    kernels: tuple[Kernel, ...]
    estimators: tuple[Estimator, ...]
    stand_ins: Mapping[str, str] = {}
    provenance: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read(path: str | os.PathLike[str]) -> Artefact:
    """Read and check an artefact.

    Raises ArtefactError with the path and the reason; OSError never escapes.
    """
    return read_with(decode, path)


def write(artefact: Artefact, path: str | os.PathLike[str]) -> None:
    """Write an artefact, whole or not at all; equal artefacts give equal bytes.

    Raises ArtefactError, and writes nothing, where the file could not be read again.
    """
    write_checked(encode(artefact), decode, path)


def encode(artefact: Artefact) -> bytes:
    """Return the bytes of an artefact's file.

    Raises ArtefactError where it holds what JSON cannot say, such as a NaN.
    """
    tensors: dict[str, Array] = {}
    for index, estimator in enumerate(artefact.estimators):
        tensors |= estimator_tensors(index, estimator)
    manifest = {
        "name": artefact.name,
        "version": artefact.version,
        "gpu": gpu_to_json(artefact.gpu),
        "features": list(ALL_FEATURES),
        "kernels": [kernel_to_json(kernel) for kernel in artefact.kernels],
        "estimators": [
            estimator_to_json(index, estimator)
            for index, estimator in enumerate(artefact.estimators)
        ],
        "stand_ins": dict(artefact.stand_ins),
    }
    if artefact.remarks:
        manifest["remarks"] = list(artefact.remarks)
    accuracy = [estimator.accuracy for estimator in artefact.estimators]
    return seal(manifest, tensors, text_of(artefact.provenance, accuracy))


def decode(data: bytes) -> Artefact:
    """Return the artefact in the bytes of a file; everything is checked before it is used.

    Raises ArtefactError with the reason.
    """
    manifest, tensors, card = unseal(data)
    if scope_of(manifest) == "kernels":
        raise ArtefactError(
            "it is of no GPU: load the model of one, and ask its `rank` for kernels by name"
        )
    if scope_of(manifest) == "generic":
        raise ArtefactError(
            "it is of no one GPU: say which, with load(..., gpu=gpperf_lite.Gpu(...))"
        )
    names = manifest.texts("features")
    _check_features(names)
    return _artefact(manifest, tensors, len(names), Card(card) if card else None)


def _artefact(
    manifest: Fields, tensors: dict[str, Array], n_features: int, card: Card | None
) -> Artefact:
    gpu = gpu_of(manifest.object("gpu"))
    kernels = _kernels(manifest.objects("kernels"))
    # Each forest takes its tensors away, so that no two can share one.
    estimators = tuple(
        estimator_of(entry, gpu, kernels, tensors, n_features)._replace(
            accuracy=entry.free_form("accuracy") if card is None else card.accuracy(index)
        )
        for index, entry in enumerate(manifest.objects("estimators"))
    )
    check_all_taken(tensors)
    _check_keys(estimators)
    return Artefact(
        manifest.text("name"),
        manifest.text("version"),
        gpu,
        kernels,
        estimators,
        _stand_ins(manifest.object("stand_ins"), gpu, estimators),
        manifest.free_form("provenance") if card is None else card.provenance(),
        tuple(manifest.texts("remarks")) if "remarks" in manifest else (),
    )


def _kernels(entries: list[Fields]) -> tuple[Kernel, ...]:
    kernels = tuple(kernel_of(entry) for entry in entries)
    if len({kernel.name for kernel in kernels}) != len(kernels):
        refuse("two kernels have the same name")
    names = [library.name for library in LIBRARIES]
    for kernel in kernels:
        if (kernel.family == "library" or kernel.name in names) and kernel not in LIBRARIES:
            refuse(
                f"a library must be a kernel called one of {' '.join(names)}, of which nothing "
                "else is known"
            )
    return kernels


def _check_keys(estimators: tuple[Estimator, ...]) -> None:
    """Refuse two answers to one question, and a file that answers none."""
    keys = set()
    for estimator in estimators:
        for kernel in estimator.kernels:
            key = (estimator.target, estimator.dtype, kernel)
            if key in keys:
                refuse(f"two estimators answer for {key}")
            keys.add(key)
    if not any(estimator.target == "runtime" for estimator in estimators):
        refuse("it has no estimator of runtime")


def _stand_ins(entry: Fields, gpu: Gpu, estimators: tuple[Estimator, ...]) -> dict[str, str]:
    measured = {estimator.dtype for estimator in estimators if estimator.target == "runtime"}
    stand_ins = {}
    for dtype in entry.values:
        if dtype not in DTYPES or dtype in measured or gpu.peak_of(dtype) is None:
            refuse(
                f"{entry.path} must be of dtypes that were not measured and of which the GPU has "
                f"a peak (got {dtype[:40]!r})"
            )
        stand_ins[dtype] = entry.choice(dtype, tuple(sorted(measured)))
    return stand_ins


def _check_features(names: list[str]) -> None:
    if len(names) >= len(FEATURES) and names == list(ALL_FEATURES)[: len(names)]:
        return
    unknown = [name[:40] for name in names if name not in ALL_FEATURES]
    lacking = [name for name in FEATURES if name not in names]
    differences = (
        f"unknown here: {unknown[:5]}; missing there: {lacking[:5]}"
        if unknown or lacking
        else "the same, but in another order or twice"
    )
    raise FeatureMismatchError(
        f"the artefact was trained on other features than this gpperf-lite computes ({differences})"
        ": train it again or install the matching gpperf-lite"
    )

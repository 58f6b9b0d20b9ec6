"""The artefact: one file from which predictions are made. Reader, writer and specification.

An artefact is a safetensors file (see `_safetensors`) whose `__metadata__` holds three texts:

    format     "gpperf-lite artefact"
    manifest   one JSON object, below
    sha256     SHA-256 of the manifest's UTF-8 bytes followed by the payload, in hexadecimal

The manifest, format version 1; every number finite, every unit in its name:

    format_version  1
    needs           the oldest gpperf-lite that reads this format, for the text of the refusal
    name, version   of the model ("h200_sxm", "2026.11")
    gpu             the fields of Gpu
    features        names, in order, of the columns that the forests look at: those of
                    `_features`, or the first of them
    kernels         a list of the fields of Kernel; `library` is one of them where it is known
    estimators      a list, each for one target, one dtype and some of the kernels:
        target      "runtime" (log2 of measured over physical), "power" (the same), or
                    "sustained" (log2 of the runtime under lasting load over that of one launch)
        dtype       of A and B
        kernels     indices into `kernels`
        constants   of the physical model (`_physics`), by name
        forest      {"bias": integer, "tensors": prefix}: tensors PREFIX.feature (U8, shape
                    (n_trees, depth)), PREFIX.threshold (F32, the same), PREFIX.leaves (I16,
                    shape (n_trees, 2**depth)); depth from 1 to 8; units of 1/8192 octave
        domain      {"m": [low, high], "n", "k", "batch", "runtime_s": the same, "layouts": [...],
                    "beta": "zero" | "nonzero" | "any"}: what it was trained on
        interval    {"runtime_edges_s": [...], "confidences": [...], "half_widths": [[...], ...]}:
                    one row of half-widths for each regime of size, in units of 1/8192 octave,
                    one column for each confidence; both rise
        accuracy    held-out figures, by split; free-form, shown by the card
    stand_ins       {dtype: dtype}: an unmeasured dtype and the measured one that answers for it
    remarks         texts that go with every prediction; may be missing
    scope           missing, or "gpu"; a file of scope "generic" is of no one GPU: see `_generic`
    provenance      free-form: sources, licences, hashes, how it was measured and trained

What a file says is checked before any of it is used: every length, range and name, that each
tensor belongs to one forest, and that no two estimators answer for the same target, dtype and
kernel. A file that fails is refused with the reason; nothing in it is ever executed. No more than
64 MiB of file, 2 MiB of header, 4096 trees in a forest and 4096 entries in a list; texts of 1 to
512 printable characters; free form at most 16 deep; launch_s and what was measured above 0.

History of format versions: 1, gpperf-lite 0.1.0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import numpy as np

from . import _safetensors
from ._checked_json import Fields
from ._descriptions import gpu_of, gpu_to_json, kernel_of, kernel_to_json
from ._domain import BETAS, Domain
from ._errors import ArtefactError, FeatureMismatchError, InputError, UnsupportedVersionError
from ._features import ALL_FEATURES, FEATURES
from ._forest import LARGEST_DEPTH, Forest
from ._gemm import DTYPES, LARGEST, LAYOUTS
from ._gpu import Gpu
from ._interval import Interval
from ._kernel import LIBRARY, Kernel
from ._physics import CONSTANTS, physics_of
from ._safetensors import Array, refuse

FORMAT = "gpperf-lite artefact"
FORMAT_VERSION = 1
NEEDS = "0.1.0"
SCOPES = ("gpu", "generic")
TARGETS = ("runtime", "power", "sustained")
_LARGEST_BIAS = 1 << 20
SHORTEST_S, LONGEST_S = 1e-12, 1e9
_MOST_TREES = 4096

_Number = TypeVar("_Number", int, float)
_T = TypeVar("_T")


class Estimator(NamedTuple):
    """What answers for one target, one dtype and some kernels."""

    target: str
    dtype: str
    kernels: tuple[int, ...]
    constants: Mapping[str, float]
    forest: Forest
    domain: Domain
    interval: Interval
    accuracy: Mapping[str, Any] = {}


class Artefact(NamedTuple):
    """All that a file holds, checked."""

    name: str
    version: str
    gpu: Gpu
    kernels: tuple[Kernel, ...]
    estimators: tuple[Estimator, ...]
    stand_ins: Mapping[str, str] = {}
    provenance: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()


def read(path: str | os.PathLike[str]) -> Artefact:
    """Read and check an artefact.

    Raises ArtefactError with the path and the reason; OSError never escapes.
    """
    return read_with(decode, path)


def read_with(decode_data: Callable[[bytes], _T], path: str | os.PathLike[str]) -> _T:
    """Return what `decode_data` makes of a file's bytes; its errors get the path."""
    try:
        with open(path, "rb") as file:
            data = file.read(_safetensors.LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise ArtefactError(f"cannot read {os.fspath(path)!r}: {reason}") from error
    try:
        return decode_data(data)
    except ArtefactError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def write(artefact: Artefact, path: str | os.PathLike[str]) -> None:
    """Write an artefact, whole or not at all; equal artefacts give equal bytes.

    Raises ArtefactError, and writes nothing, where the file could not be read again.
    """
    data = encode(artefact)
    decode(data)
    write_atomically(path, data)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` under `path` so that a reader sees the old file or the new one."""
    import tempfile  # only the writer needs it, and it is slow to import

    folder, name = os.path.split(os.fspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder or os.curdir, prefix=f".{name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def encode(artefact: Artefact) -> bytes:
    """Return the bytes of an artefact's file.

    Raises ArtefactError where it holds what JSON cannot say, such as a NaN.
    """
    tensors: dict[str, Array] = {}
    for index, estimator in enumerate(artefact.estimators):
        tensors |= forest_tensors(str(index), estimator.forest)
    manifest = {
        "format_version": FORMAT_VERSION,
        "needs": NEEDS,
        "name": artefact.name,
        "version": artefact.version,
        "gpu": gpu_to_json(artefact.gpu),
        "features": list(ALL_FEATURES),
        "kernels": [kernel_to_json(kernel) for kernel in artefact.kernels],
        "estimators": [
            _estimator_to_json(index, estimator)
            for index, estimator in enumerate(artefact.estimators)
        ],
        "stand_ins": dict(artefact.stand_ins),
        "provenance": dict(artefact.provenance),
    }
    if artefact.remarks:
        manifest["remarks"] = list(artefact.remarks)
    return seal(manifest, tensors)


def forest_tensors(prefix: str, forest: Forest) -> dict[str, Array]:
    """Return the tensors of a forest by their names."""
    names = ("feature", "threshold", "leaves")
    return {f"{prefix}.{name}": getattr(forest, name) for name in names}


def seal(manifest: Mapping[str, Any], tensors: dict[str, Array]) -> bytes:
    """Return the bytes of a file of this manifest and these tensors."""
    try:
        text = json.dumps(manifest, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact cannot be written as JSON: {error}") from error
    header, payload = _safetensors.pack(tensors)
    metadata = {"format": FORMAT, "manifest": text, "sha256": _checksum(text, payload)}
    return _safetensors.encode(metadata, payload, header)


def decode(data: bytes) -> Artefact:
    """Return the artefact that a file's bytes hold; everything is checked before it is used.

    Raises ArtefactError with the reason.
    """
    manifest, tensors = unseal(data)
    if "scope" in manifest and manifest.choice("scope", SCOPES) == "generic":
        raise ArtefactError(
            "it is of no one GPU: say which, with load(..., gpu=gpperf_lite.Gpu(...))"
        )
    names = manifest.texts("features")
    _check_features(names)
    return _artefact(manifest, tensors, len(names))


def unseal(data: bytes) -> tuple[Fields, dict[str, Array]]:
    """Return manifest and tensors of a file whose version and checksum are right."""
    if len(data) > _safetensors.LARGEST_FILE_BYTES:
        refuse(f"it is larger than {_safetensors.LARGEST_FILE_BYTES} bytes")
    metadata, tensors, payload = _safetensors.decode(data)
    if metadata.get("format") != FORMAT or "manifest" not in metadata:
        refuse("it is a safetensors file, but not an artefact of gpperf-lite")
    manifest = Fields(_safetensors.loads(metadata["manifest"]), "manifest")
    # The version before the checksum: a newer format may compute it in another way.
    _check_version(manifest)
    if metadata.get("sha256") != _checksum(metadata["manifest"], payload):
        refuse("its checksum does not match: the file was changed or damaged")
    return manifest, tensors


def _artefact(manifest: Fields, tensors: dict[str, Array], n_features: int) -> Artefact:
    gpu = gpu_of(manifest.object("gpu"))
    kernels = _kernels(manifest.objects("kernels"))
    # Each forest takes its tensors away, so that no two can share one.
    estimators = tuple(
        _estimator(entry, gpu, kernels, tensors, n_features)
        for entry in manifest.objects("estimators")
    )
    if tensors:
        refuse(f"it holds tensors that no estimator uses, such as {next(iter(tensors))[:60]!r}")
    _check_keys(estimators)
    return Artefact(
        manifest.text("name"),
        manifest.text("version"),
        gpu,
        kernels,
        estimators,
        _stand_ins(manifest.object("stand_ins"), gpu, estimators),
        manifest.free_form("provenance"),
        tuple(manifest.texts("remarks")) if "remarks" in manifest else (),
    )


def _kernels(entries: list[Fields]) -> tuple[Kernel, ...]:
    kernels = tuple(kernel_of(entry) for entry in entries)
    if len({kernel.name for kernel in kernels}) != len(kernels):
        refuse("two kernels have the same name")
    for kernel in kernels:
        if LIBRARY.name in (kernel.name, kernel.family) and kernel != LIBRARY:
            refuse(f"{LIBRARY.name} must be a kernel of that name, of which nothing else is known")
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
        if dtype not in DTYPES or dtype in measured or dtype not in gpu.peak_flops:
            refuse(
                f"{entry.path} must be of dtypes that were not measured and of which the GPU has "
                f"a peak (got {dtype[:40]!r})"
            )
        stand_ins[dtype] = entry.choice(dtype, tuple(sorted(measured)))
    return stand_ins


def _estimator(
    entry: Fields,
    gpu: Gpu,
    kernels: tuple[Kernel, ...],
    tensors: dict[str, Array],
    n_features: int,
) -> Estimator:
    target, dtype = entry.choice("target", TARGETS), entry.choice("dtype", tuple(DTYPES))
    if dtype not in gpu.peak_flops:
        refuse(f"{entry.path}.dtype is {dtype}, of which its GPU has no peak")
    if target == "power" and not (gpu.idle_power_w and gpu.power_limit_w):
        refuse(f"{entry.path} predicts power, but its GPU has no idle power or no limit")
    indices = entry.integers("kernels", 0, len(kernels) - 1)
    if any(kernels[index].dtype not in (None, dtype) for index in indices):
        refuse(f"{entry.path}.kernels has a kernel of another dtype than {dtype}")
    forms = {physics_of(kernels[index]) for index in indices}
    if len(forms) != 1:
        refuse(f"{entry.path}.kernels must be the library or known kernels, not both or none")
    form = forms.pop()
    n_seen = len(FEATURES) if form == "library" else n_features
    return Estimator(
        target,
        dtype,
        indices,
        _constants(entry.object("constants"), form if target == "runtime" else target),
        forest_of(entry.object("forest"), tensors, n_seen),
        domain_of(entry.object("domain")),
        interval_of(entry.object("interval")),
        entry.free_form("accuracy"),
    )


def _constants(entry: Fields, physics: str) -> dict[str, float]:
    return {name: entry.number(name, low, high) for name, low, high in CONSTANTS[physics]}


def forest_of(entry: Fields, tensors: dict[str, Array], n_features: int) -> Forest:
    """Return a forest, its tensors taken away from those that are left."""
    prefix = entry.text("tensors")
    feature, threshold, leaves = (
        _tensor(tensors, f"{prefix}.{name}", dtype)
        for name, dtype in (("feature", "u1"), ("threshold", "<f4"), ("leaves", "<i2"))
    )
    n_trees, depth = feature.shape
    if not 1 <= depth <= LARGEST_DEPTH or threshold.shape != feature.shape:
        refuse(f"{entry.path}: a tree must have 1 to {LARGEST_DEPTH} levels, each one threshold")
    if n_trees > _MOST_TREES or leaves.shape != (n_trees, 2**depth):
        refuse(f"{entry.path}: at most {_MOST_TREES} trees, of {2**depth} leaves at depth {depth}")
    if feature.size and int(feature.max()) >= n_features:
        refuse(f"{entry.path}: a tree looks at a feature that there is not")
    if not np.isfinite(threshold).all():
        refuse(f"{entry.path}: a threshold is not finite")
    bias = entry.integer("bias", -_LARGEST_BIAS, _LARGEST_BIAS)
    return Forest(feature, threshold, leaves, bias)


def _tensor(tensors: dict[str, Array], name: str, dtype: str) -> Array:
    """Take a tensor away from those that are left."""
    tensor = tensors.pop(name, None)
    if tensor is None or tensor.dtype != np.dtype(dtype) or tensor.ndim != 2:
        refuse(
            f"tensor {name[:60]!r} must be there for one forest alone, of type {dtype} and with "
            "two axes"
        )
    return tensor


def domain_of(entry: Fields) -> Domain:
    """Return a domain, its ranges in order."""
    return Domain(
        _sizes(entry, "m"),
        _sizes(entry, "n"),
        _sizes(entry, "k"),
        _sizes(entry, "batch"),
        _pair(entry, "runtime_s", entry.numbers("runtime_s", SHORTEST_S, LONGEST_S)),
        entry.choices("layouts", LAYOUTS),
        entry.choice("beta", BETAS),
    )


def _sizes(entry: Fields, name: str) -> tuple[int, int]:
    return _pair(entry, name, entry.integers(name, 1, LARGEST))


def _pair(entry: Fields, name: str, values: tuple[_Number, ...]) -> tuple[_Number, _Number]:
    if len(values) != 2 or values[0] > values[1]:
        refuse(f"{entry.path}.{name} must be a low and a high number")
    return values[0], values[1]


def interval_of(entry: Fields) -> Interval:
    """Return an interval; what it refuses itself is an ArtefactError too."""
    edges = entry.numbers("runtime_edges_s", 0.0, LONGEST_S)
    confidences = entry.numbers("confidences", 0.0, 1.0)
    widths = entry.rows("half_widths", 0, _LARGEST_BIAS)
    try:
        return Interval(edges, confidences, widths)
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def _estimator_to_json(index: int, estimator: Estimator) -> dict[str, Any]:
    return {
        "target": estimator.target,
        "dtype": estimator.dtype,
        "kernels": list(estimator.kernels),
        "constants": dict(estimator.constants),
        "forest": {"bias": estimator.forest.bias, "tensors": str(index)},
        "domain": estimator.domain._asdict(),
        "interval": estimator.interval.to_json(),
        "accuracy": dict(estimator.accuracy),
    }


def _check_version(manifest: Fields) -> None:
    version = manifest.integer("format_version", 1, LARGEST)
    if version > FORMAT_VERSION:
        needs = manifest.text("needs")
        raise UnsupportedVersionError(
            f"format version {version} needs gpperf-lite >= {needs[:40]}: "
            "upgrade with 'pip install --upgrade gpperf-lite'"
        )


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


def _checksum(manifest: str, payload: bytes | memoryview) -> str:
    digest = _sha256(manifest.encode("utf-8"))
    digest.update(payload)
    checksum: str = digest.hexdigest()
    return checksum


def _sha256(data: bytes) -> Any:
    """Return a SHA-256 of `data` by Python's own module, as Python's `random` does.

    `hashlib` would load OpenSSL, which takes longer than to sum up all of an artefact without it.
    """
    for module in ("_sha2", "_sha256", "hashlib"):  # from Python 3.12 on; before; where neither is
        with suppress(ImportError):
            return import_module(module).sha256(data)
    raise AssertionError

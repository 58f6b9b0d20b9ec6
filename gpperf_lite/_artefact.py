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
    features        names, in order, of the columns that the forests look at
    kernels         a list of the fields of Kernel; `library` is one of them where it is known
    estimators      a list, each for one target, one dtype and some of the kernels:
        target      "runtime" (log2 of measured over physical) or "power" (the same)
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
    provenance      free-form: sources, licences, hashes, how it was measured and trained

History of format versions: 1, gpperf-lite 0.1.0.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import _safetensors
from ._domain import BETAS, Domain
from ._errors import ArtefactError, FeatureMismatchError, InputError, UnsupportedVersionError
from ._features import FEATURES
from ._forest import LARGEST_DEPTH, Forest
from ._gemm import DTYPES, LARGEST, LAYOUTS
from ._gpus import Gpu
from ._interval import Interval
from ._kernel import Kernel, Tile
from ._physics import CONSTANTS, physics_of

FORMAT = "gpperf-lite artefact"
FORMAT_VERSION = 1
NEEDS = "0.1.0"
TARGETS = ("runtime", "power")
_LARGEST_BIAS = 1 << 20
_LARGEST_LIST = 4096


@dataclass(frozen=True)
class Estimator:
    """What answers for one target, one dtype and some kernels."""

    target: str
    dtype: str
    kernels: tuple[int, ...]
    constants: Mapping[str, float]
    forest: Forest
    domain: Domain
    interval: Interval
    accuracy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artefact:
    """All that a file holds, checked."""

    name: str
    version: str
    gpu: Gpu
    kernels: tuple[Kernel, ...]
    estimators: tuple[Estimator, ...]
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read(path: str | os.PathLike[str]) -> Artefact:
    """Read and check an artefact.

    Raises ArtefactError with the path and the reason; OSError never escapes.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_safetensors.LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ArtefactError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    try:
        return decode(data)
    except ArtefactError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def write(artefact: Artefact, path: str | os.PathLike[str]) -> None:
    """Write an artefact, whole or not at all; equal artefacts give equal bytes."""
    write_atomically(Path(path), encode(artefact))


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` under `path` so that a reader sees the old file or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
    """Return the bytes of an artefact's file."""
    tensors: dict[str, _safetensors.Array] = {}
    for index, estimator in enumerate(artefact.estimators):
        forest = estimator.forest
        tensors[f"{index}.feature"] = forest.feature
        tensors[f"{index}.threshold"] = forest.threshold
        tensors[f"{index}.leaves"] = forest.leaves
    manifest = {
        "format_version": FORMAT_VERSION,
        "needs": NEEDS,
        "name": artefact.name,
        "version": artefact.version,
        "gpu": gpu_to_json(artefact.gpu),
        "features": list(FEATURES),
        "kernels": [kernel_to_json(kernel) for kernel in artefact.kernels],
        "estimators": [
            _estimator_to_json(index, estimator)
            for index, estimator in enumerate(artefact.estimators)
        ],
        "stand_ins": dict(artefact.stand_ins),
        "provenance": dict(artefact.provenance),
    }
    text = json.dumps(manifest, separators=(",", ":"), sort_keys=True, allow_nan=False)
    header, payload = _safetensors.pack(tensors)
    metadata = {"format": FORMAT, "manifest": text, "sha256": _checksum(text, payload)}
    return _safetensors.encode(metadata, payload, header)


def decode(data: bytes) -> Artefact:
    """Return the artefact that a file's bytes hold; everything is checked before it is used.

    Raises ArtefactError with the reason.
    """
    if len(data) > _safetensors.LARGEST_FILE_BYTES:
        _refuse(f"it is larger than {_safetensors.LARGEST_FILE_BYTES} bytes")
    metadata, tensors, payload = _safetensors.decode(data)
    if metadata.get("format") != FORMAT or "manifest" not in metadata:
        _refuse("it is a safetensors file, but not an artefact of gpperf-lite")
    manifest = _Fields(_safetensors.loads(metadata["manifest"]), "manifest")
    # The version before the checksum: a newer format may compute it in another way.
    _check_version(manifest)
    if metadata.get("sha256") != _checksum(metadata["manifest"], payload):
        _refuse("its checksum does not match: the file was changed or damaged")
    names = tuple(manifest.texts("features"))
    if names != tuple(FEATURES):
        raise FeatureMismatchError(_feature_mismatch(names))
    return _artefact(manifest, tensors)


def _artefact(manifest: _Fields, tensors: dict[str, _safetensors.Array]) -> Artefact:
    kernels = tuple(_kernel(entry) for entry in manifest.objects("kernels"))
    estimators = tuple(
        _estimator(entry, kernels, tensors) for entry in manifest.objects("estimators")
    )
    if len({kernel.name for kernel in kernels}) != len(kernels):
        _refuse("two kernels have the same name")
    if not any(estimator.target == "runtime" for estimator in estimators):
        _refuse("it has no estimator of runtime")
    if len(tensors) != 3 * len(estimators):
        _refuse("it holds tensors that no estimator uses")
    gpu = _gpu(manifest.object("gpu"))
    keys = set()
    for estimator in estimators:
        if estimator.dtype not in gpu.peak_flops:
            _refuse(f"its GPU has no peak for dtype {estimator.dtype}")
        if estimator.target == "power" and not (gpu.idle_power_w and gpu.power_limit_w):
            _refuse("it predicts power, but its GPU has no idle power or no limit")
        for kernel in estimator.kernels:
            key = (estimator.target, estimator.dtype, kernel)
            if key in keys:
                _refuse(f"two estimators answer for {key}")
            keys.add(key)
    stand_ins = manifest.object("stand_ins").strings()
    for dtype, other in stand_ins.items():
        if dtype not in DTYPES or other not in {estimator.dtype for estimator in estimators}:
            _refuse(f"stand_ins must name dtypes that it knows (got {dtype!r}: {other!r})")
    return Artefact(
        manifest.text("name"),
        manifest.text("version"),
        gpu,
        kernels,
        estimators,
        stand_ins,
        manifest.object("provenance").values,
    )


def _estimator(
    entry: _Fields, kernels: tuple[Kernel, ...], tensors: dict[str, _safetensors.Array]
) -> Estimator:
    target, dtype = entry.choice("target", TARGETS), entry.choice("dtype", tuple(DTYPES))
    indices = tuple(entry.integers("kernels", 0, len(kernels) - 1))
    forms = {physics_of(kernels[index]) for index in indices}
    if len(forms) != 1:
        _refuse(f"{entry.path}.kernels must be the library or known kernels, not both or none")
    physics = "power" if target == "power" else forms.pop()
    constants = entry.object("constants")
    return Estimator(
        target,
        dtype,
        indices,
        {name: constants.number(name, low, high) for name, low, high in CONSTANTS[physics]},
        _forest(entry.object("forest"), tensors),
        _domain(entry.object("domain")),
        _interval(entry.object("interval")),
        entry.object("accuracy").values,
    )


def _forest(entry: _Fields, tensors: dict[str, _safetensors.Array]) -> Forest:
    prefix = entry.text("tensors")
    feature, threshold, leaves = (
        _tensor(tensors, f"{prefix}.{name}", dtype)
        for name, dtype in (("feature", "u1"), ("threshold", "<f4"), ("leaves", "<i2"))
    )
    n_trees, depth = feature.shape
    if not 1 <= depth <= LARGEST_DEPTH or threshold.shape != feature.shape:
        _refuse(f"{entry.path}: a tree must have 1 to {LARGEST_DEPTH} levels, each one threshold")
    if leaves.shape != (n_trees, 2**depth):
        _refuse(f"{entry.path}: trees of depth {depth} must have {2**depth} leaves")
    if feature.size and int(feature.max()) >= len(FEATURES):
        _refuse(f"{entry.path}: a tree looks at a feature that there is not")
    if not np.isfinite(threshold).all():
        _refuse(f"{entry.path}: a threshold is not finite")
    bias = entry.integer("bias", -_LARGEST_BIAS, _LARGEST_BIAS)
    return Forest(feature, threshold, leaves, bias)


def _tensor(tensors: dict[str, _safetensors.Array], name: str, dtype: str) -> _safetensors.Array:
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != np.dtype(dtype) or tensor.ndim != 2:
        _refuse(f"tensor {name!r} must be there, of type {dtype} and with two axes")
    return tensor


def _domain(entry: _Fields) -> Domain:
    sizes = [entry.range(name, 1, LARGEST) for name in ("m", "n", "k", "batch")]
    m, n, k, batch = ((int(low), int(high)) for low, high in sizes)
    layouts = tuple(entry.texts("layouts"))
    if not set(layouts) <= set(LAYOUTS):
        _refuse(f"{entry.path}.layouts must be of {' '.join(LAYOUTS)}")
    runtime_s = entry.range("runtime_s", 0.0, 1e9)
    return Domain(m, n, k, batch, runtime_s, layouts, entry.choice("beta", BETAS))


def _interval(entry: _Fields) -> Interval:
    edges = entry.numbers("runtime_edges_s", 0.0, 1e9)
    confidences = entry.numbers("confidences", 0.0, 1.0)
    rows = entry.items("half_widths")
    widths = [
        _Fields({"row": row}, f"{entry.path}.half_widths").integers("row", 0, _LARGEST_BIAS)
        for row in rows
    ]
    try:
        return Interval(tuple(edges), tuple(confidences), tuple(map(tuple, widths)))
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def _estimator_to_json(index: int, estimator: Estimator) -> dict[str, Any]:
    return {
        "target": estimator.target,
        "dtype": estimator.dtype,
        "kernels": list(estimator.kernels),
        "constants": dict(estimator.constants),
        "forest": {"bias": estimator.forest.bias, "tensors": str(index)},
        "domain": asdict(estimator.domain),
        "interval": asdict(estimator.interval),
        "accuracy": dict(estimator.accuracy),
    }


def kernel_to_json(kernel: Kernel) -> dict[str, Any]:
    """Return the fields of a kernel that say something."""
    return {name: value for name, value in asdict(kernel).items() if value is not None}


def kernel_from_json(values: Any) -> Kernel:
    """Return the kernel whose fields these are; raises ArtefactError where they are not."""
    return _kernel(_Fields(values, "kernel"))


def gpu_to_json(gpu: Gpu) -> dict[str, Any]:
    """Return the fields of a GPU that say something."""
    return {name: value for name, value in asdict(gpu).items() if value is not None}


def gpu_from_json(values: Any) -> Gpu:
    """Return the GPU whose facts these are; raises ArtefactError where they are not."""
    return _gpu(_Fields(values, "gpu"))


_TEXT_FIELDS = ("dtype", "layout", "schedule")
_TILE_FIELDS = ("tile", "warp_tile", "instruction", "cluster")
_COUNT_FIELDS = ("stages", "swizzle", "threads", "registers", "shared_bytes", "spill_bytes")


def _kernel(entry: _Fields) -> Kernel:
    optional: dict[str, Any] = {}
    for name in _TEXT_FIELDS:
        if name in entry.values:
            optional[name] = entry.text(name)
    for name in _TILE_FIELDS:
        if name in entry.values:
            extents = entry.integers(name, 1, LARGEST)
            if len(extents) != 3:
                _refuse(f"{entry.path}.{name} must have three extents")
            optional[name] = Tile(*extents)
    for name in _COUNT_FIELDS:
        if name in entry.values:
            optional[name] = entry.integer(name, 0, LARGEST)
    for name in ("alignment", "split_k"):
        if name in entry.values:
            optional[name] = entry.integer(name, 1, LARGEST)
    try:
        return Kernel(entry.text("name"), entry.text("family"), **optional)
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def _gpu(entry: _Fields) -> Gpu:
    capability = entry.integers("compute_capability", 0, 999)
    if len(capability) != 2:
        _refuse(f"{entry.path}.compute_capability must be a major and a minor number")
    peaks = entry.object("peak_flops")
    powers = {
        name: entry.number(name, 1e-3, 1e6)
        for name in ("power_limit_w", "idle_power_w")
        if name in entry.values
    }
    try:
        return Gpu(
            entry.text("name"),
            (capability[0], capability[1]),
            entry.integer("sm_count", 1, 1 << 20),
            entry.number("clock_hz", 1e3, 1e12),
            entry.number("memory_bytes", 1.0, 1e18),
            entry.number("l2_bytes", 1.0, 1e15),
            entry.number("dram_bytes_per_s", 1e3, 1e18),
            {name: peaks.number(name, 1e3, 1e21) for name in peaks.values},
            **powers,
        )
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def _check_version(manifest: _Fields) -> None:
    version = manifest.integer("format_version", 1, LARGEST)
    if version > FORMAT_VERSION:
        needs = manifest.text("needs")
        raise UnsupportedVersionError(
            f"format version {version} needs gpperf-lite >= {needs[:40]}: "
            "upgrade with 'pip install --upgrade gpperf-lite'"
        )


def _feature_mismatch(names: tuple[str, ...]) -> str:
    unknown = [name for name in names if name not in FEATURES]
    lacking = [name for name in FEATURES if name not in names]
    return (
        "the artefact was trained on other features than this gpperf-lite computes (unknown "
        f"here: {unknown[:5]}; missing there: {lacking[:5]}): train it again or install the "
        "matching gpperf-lite"
    )


def _checksum(manifest: str, payload: bytes | memoryview) -> str:
    digest = hashlib.sha256(manifest.encode("utf-8", "surrogatepass"))
    digest.update(payload)
    return digest.hexdigest()


class _Fields:
    """Typed, checked access to the fields of a JSON object; `path` is for error texts."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, dict):
            _refuse(f"{path} must be a JSON object")
        self.values: dict[str, Any] = values
        self.path = path

    def _get(self, name: str) -> Any:
        if name not in self.values:
            _refuse(f"{self.path}.{name} is missing")
        return self.values[name]

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            _refuse(f"{self.path}.{name} must be a text")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in allowed:
            _refuse(f"{self.path}.{name} must be one of {' '.join(allowed)} (got {value[:40]!r})")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        return _checked_integer(self._get(name), f"{self.path}.{name}", low, high)

    def number(self, name: str, low: float, high: float) -> float:
        return _checked_number(self._get(name), f"{self.path}.{name}", low, high)

    def items(self, name: str) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list) or len(value) > _LARGEST_LIST:
            _refuse(f"{self.path}.{name} must be a list of at most {_LARGEST_LIST}")
        return value

    def integers(self, name: str, low: int, high: int) -> list[int]:
        path = f"{self.path}.{name}"
        return [_checked_integer(item, path, low, high) for item in self.items(name)]

    def numbers(self, name: str, low: float, high: float) -> list[float]:
        path = f"{self.path}.{name}"
        return [_checked_number(item, path, low, high) for item in self.items(name)]

    def range(self, name: str, low: float, high: float) -> tuple[float, float]:
        values = self.numbers(name, low, high)
        if len(values) != 2 or values[0] > values[1]:
            _refuse(f"{self.path}.{name} must be a low and a high number")
        return values[0], values[1]

    def texts(self, name: str) -> list[str]:
        items = self.items(name)
        if not all(isinstance(item, str) for item in items):
            _refuse(f"{self.path}.{name} must be a list of texts")
        return items

    def object(self, name: str) -> _Fields:
        return _Fields(self._get(name), f"{self.path}.{name}")

    def objects(self, name: str) -> list[_Fields]:
        items = self.items(name)
        return [_Fields(item, f"{self.path}.{name}[{i}]") for i, item in enumerate(items)]

    def strings(self) -> dict[str, str]:
        return {name: self.text(name) for name in self.values}


def _checked_integer(value: Any, path: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        _refuse(f"{path} must be an integer from {low} to {high}")
    return value


def _checked_number(value: Any, path: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high or not math.isfinite(value):
        _refuse(f"{path} must be a number from {low:g} to {high:g}")
    return float(value)


def _refuse(reason: str) -> NoReturn:
    raise ArtefactError(f"not a valid artefact: {reason}")


assert {item.name for item in fields(Kernel)} == {
    "name", "family", "alignment", "split_k", *_TEXT_FIELDS, *_TILE_FIELDS, *_COUNT_FIELDS
}  # fmt: skip

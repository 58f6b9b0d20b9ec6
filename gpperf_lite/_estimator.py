"""The estimator of one target of some kernels in one dtype, and its entry in a manifest.

    target      "runtime" (log2 of measured over physical), "power" (the same), or
                "sustained" (log2 of the runtime under lasting load over that of one launch)
    dtype       of A and B
    kernels     indices into the manifest's `kernels`; of libraries that share an estimator, the
                first gives it its name
    constants   of the physical model (`_physics`), by name
    forest      {"bias": integer, "tensors": prefix}: tensors PREFIX.feature (U8, shape
                (n_trees, depth)), PREFIX.threshold (F32, the same), PREFIX.leaves (I16,
                shape (n_trees, 2**depth)); depth from 1 to 8; units of 1/8192 octave
    domain      {"m": [low, high], "n", "k", "batch", "runtime_s": the same, "layouts": [...],
                "beta": "zero" | "nonzero" | "any"}: of its training
    interval    {"runtime_edges_s": [...], "confidences": [...], "half_widths": [[...], ...]}:
                one row of half-widths for each regime of size, in units of 1/8192 octave,
                one column for each confidence; both rise. "outside": [...], one more row, which
                intervals outside of the domain have at least; may be missing. From format 2 on
    slowness    of runtime and known kernels: for each of `kernels`, how much longer its main loop
                takes than the physical model says, in units of 1/8192 octave, within 8 octaves of
                it; may be missing: 0 of each
    unmeasured  of the same, {"forest": as above, over OWN_FACTS, "interval": as above}: the forest
                gives the slowness of a kernel that was not measured, the interval is that of
                kernels held out; may be missing: kernels that were not measured are refused
    timed       what was timed: "gemm", the GEMM alone on operands as they are; "quantise+gemm", the
                quantising of A as well; "layer", one layer of an inference engine. May be missing:
                not stated. From format 2 on, like notes
    notes       texts that go with every prediction, and do not put it out of its domain as remarks
                do; may be missing
    remarks     texts that go with every prediction and put it out of its domain, as where a dtype
                was not measured on the GPU; may be missing. From format 2 on

An entry is checked before any of it is used: every length, range and name, and that no tensor
belongs to two forests. At most 4096 trees in a forest; what was measured took longer than 0 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ._checked_json import Fields
from ._domain import BETAS, Domain
from ._errors import ArtefactError, InputError
from ._features import FEATURES
from ._forest import LARGEST_DEPTH, Forest
from ._gemm import DTYPES, LARGEST, LAYOUTS
from ._gpu import Gpu
from ._interval import Interval
from ._kernel import Kernel
from ._physics import CONSTANTS, NEW_CONSTANTS, own_of, physics_of
from ._safetensors import Array, refuse
from ._slowness import LARGEST_SLOWNESS, OWN_FACTS, own_columns, slowness_of_totals

TARGETS = ("runtime", "power", "sustained")
TIMED = ("gemm", "quantise+gemm", "layer")
SHORTEST_S, LONGEST_S = 1e-12, 1e9
_LARGEST_BIAS = 1 << 20
_MOST_TREES = 4096

_Number = TypeVar("_Number", int, float)


class Unmeasured(NamedTuple):
    """The answer for kernels that were not measured.

    forest: of their slowness, over OWN_FACTS; interval: that of kernels held out.
    """

    forest: Forest
    interval: Interval

    def slowness_of(self, kernel: Kernel, gpu: Gpu) -> int:
        """Return the slowness of a kernel on a GPU, in units of 1/8192 octave."""
        columns = np.array(own_columns(own_of(kernel, gpu)), np.float32).reshape(-1, 1)
        return int(slowness_of_totals(self.forest.totals_of(columns))[0])


class Estimator(NamedTuple):
    """The estimator of one target, dtype and group of kernels; fields are those of its entry.

    accuracy: held-out figures, by split; free-form, shown by the card.
    timed: one of TIMED, or "" where that is not stated.
    slowness: of each of the kernels, or empty where it is 0 of each.
    remarks: texts that go with every prediction, and put it out of its domain.
    """

    target: str
    dtype: str
    kernels: tuple[int, ...]
    constants: Mapping[str, float]
    forest: Forest
    domain: Domain
    interval: Interval
    accuracy: Mapping[str, Any] = {}
    timed: str = ""
    notes: tuple[str, ...] = ()
    slowness: tuple[int, ...] = ()
    unmeasured: Unmeasured | None = None
    remarks: tuple[str, ...] = ()


def estimator_of(
    entry: Fields,
    gpu: Gpu,
    kernels: tuple[Kernel, ...],
    tensors: dict[str, Array],
    n_features: int,
) -> Estimator:
    target, dtype = entry.choice("target", TARGETS), entry.choice("dtype", tuple(DTYPES))
    if gpu.peak_of(dtype) is None:
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
        {},
        *timed_and_notes(entry),
        *_of_known_kernels(
            entry, indices, tensors, is_known=form == "kernel" and target == "runtime"
        ),
        tuple(entry.texts("remarks")) if "remarks" in entry else (),
    )


def _of_known_kernels(
    entry: Fields, kernels: tuple[int, ...], tensors: dict[str, Array], *, is_known: bool
) -> tuple[tuple[int, ...], Unmeasured | None]:
    """Return the slowness of an entry and its answer for kernels that were not measured."""
    for name in ("slowness", "unmeasured"):
        if name in entry and not is_known:
            refuse(f"{entry.path}.{name} is of the runtime of known kernels alone")
    slowness: tuple[int, ...] = ()
    if "slowness" in entry:
        slowness = entry.integers("slowness", -LARGEST_SLOWNESS, LARGEST_SLOWNESS)
        if len(slowness) != len(kernels):
            refuse(f"{entry.path}.slowness must have a number for each of its kernels")
    if "unmeasured" not in entry:
        return slowness, None
    inner = entry.object("unmeasured")
    forest = forest_of(inner.object("forest"), tensors, len(OWN_FACTS))
    return slowness, Unmeasured(forest, interval_of(inner.object("interval")))


def timed_and_notes(entry: Fields) -> tuple[str, tuple[str, ...]]:
    """Return the scope that an entry timed and its notes, empty where it states none."""
    timed = entry.choice("timed", TIMED) if "timed" in entry else ""
    return timed, tuple(entry.texts("notes")) if "notes" in entry else ()


def timed_and_notes_to_json(timed: str, notes: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of an entry for what it timed and its notes, where it has them."""
    known = {"timed": timed, "notes": list(notes)}
    return {name: value for name, value in known.items() if value}


def _constants(entry: Fields, physics: str) -> dict[str, float]:
    return {
        name: NEW_CONSTANTS[name]
        if name in NEW_CONSTANTS and name not in entry
        else entry.number(name, low, high)
        for name, low, high in CONSTANTS[physics]
    }


def forest_of(entry: Fields, tensors: dict[str, Array], n_features: int) -> Forest:
    """Return the forest of an entry, and take its tensors away from `tensors`."""
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
    """Return a tensor by name, and take it away from `tensors`."""
    tensor = tensors.pop(name, None)
    if tensor is None or tensor.dtype != np.dtype(dtype) or tensor.ndim != 2:
        refuse(
            f"tensor {name[:60]!r} must be there for one forest alone, of type {dtype} and with "
            "two axes"
        )
    return tensor


def check_all_taken(tensors: dict[str, Array]) -> None:
    """Raise ArtefactError where tensors are left after all forests have taken theirs."""
    if tensors:
        refuse(f"it holds tensors that no estimator uses, such as {next(iter(tensors))[:60]!r}")


def domain_of(entry: Fields) -> Domain:
    """Return the domain of an entry; no low end of it is above its high end."""
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
    """Return the interval of an entry; raises ArtefactError where Interval raises InputError."""
    edges = entry.numbers("runtime_edges_s", 0.0, LONGEST_S)
    confidences = entry.numbers("confidences", 0.0, 1.0)
    widths = entry.rows("half_widths", 0, _LARGEST_BIAS)
    outside = entry.integers("outside", 0, _LARGEST_BIAS) if "outside" in entry else ()
    try:
        return Interval(edges, confidences, widths, outside)
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def estimator_to_json(index: int, estimator: Estimator) -> dict[str, Any]:
    return {
        "target": estimator.target,
        "dtype": estimator.dtype,
        "kernels": list(estimator.kernels),
        "constants": dict(estimator.constants),
        "forest": {"bias": estimator.forest.bias, "tensors": str(index)},
        "domain": estimator.domain._asdict(),
        "interval": estimator.interval.to_json(),
        **timed_and_notes_to_json(estimator.timed, estimator.notes),
        **_of_known_kernels_to_json(index, estimator),
        **({"remarks": list(estimator.remarks)} if estimator.remarks else {}),
    }


def _of_known_kernels_to_json(index: int, estimator: Estimator) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if estimator.slowness:
        fields["slowness"] = list(estimator.slowness)
    if estimator.unmeasured is not None:
        fields["unmeasured"] = {
            "forest": {"bias": estimator.unmeasured.forest.bias, "tensors": _other_prefix(index)},
            "interval": estimator.unmeasured.interval.to_json(),
        }
    return fields


def estimator_tensors(index: int, estimator: Estimator) -> dict[str, Array]:
    """Return the tensors of an estimator's forests by their names."""
    tensors = forest_tensors(str(index), estimator.forest)
    if estimator.unmeasured is not None:
        tensors |= forest_tensors(_other_prefix(index), estimator.unmeasured.forest)
    return tensors


def _other_prefix(index: int) -> str:
    return f"{index}.unmeasured"


def forest_tensors(prefix: str, forest: Forest) -> dict[str, Array]:
    """Return the tensors of a forest by their names."""
    names = ("feature", "threshold", "leaves")
    return {f"{prefix}.{name}": getattr(forest, name) for name in names}

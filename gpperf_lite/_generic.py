"""The generic model: the file of many measured GPUs, and the artefact that it makes for another.

It is sealed as `_sealed` says, with a manifest of its own:

    format_version, needs           see `_sealed`
    scope           "generic"
    name, version, stand_ins, provenance    as in an artefact (see `_artefact`)
    gpus            a list of the fields of Gpu: those that were measured
    columns         texts, in order, that the forests look at: see `_relative`
    bandwidth       in octaves: GPUs at this distance count e**-0.5 of one at none
    near            in octaves: up to here a GPU counts as like one that was measured
    estimators      a list, each for the library's runtime in one dtype:
        dtype, domain, accuracy, timed, notes   as in an artefact's (see `_estimator`)
        gpus        indices into `gpus`: those that were measured in this dtype
        forests     a list, each as in an artefact's: one for each kind of GPU
        kinds       indices into `forests`: that of each of the GPUs
        constants   by name, of each of them, as multiples of the units of `_relative`
        interval_near, interval_far     of a GPU held out that has one like it among the others,
                    and of one that has none

For a given GPU, constants are the geometric mean of those of the measured GPUs, weighted by how
near they are (`_relative.distance`; E. Nadaraya, "On Estimating Regression", 1964), times its own
units; the forest is that of the nearest one's kind, multiplied out. What comes of it is an ordinary
artefact, all of whose predictions carry the remark that the GPU was not measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ._artefact import Artefact
from ._checked_json import Fields
from ._descriptions import gpu_of, gpu_to_json
from ._domain import Domain, stand_in_note
from ._errors import InputError, shown
from ._estimator import (
    LONGEST_S,
    Estimator,
    check_all_taken,
    domain_of,
    forest_of,
    forest_tensors,
    interval_of,
    timed_and_notes,
    timed_and_notes_to_json,
)
from ._forest import Forest
from ._gemm import DTYPES
from ._gpu import Gpu
from ._interval import Interval
from ._kernel import LIBRARY
from ._physics import CONSTANTS, peak_flops_of
from ._relative import (
    LARGEST_CONSTANT,
    OF_DTYPE,
    OF_GPU,
    beyond,
    distance,
    is_column,
    mixed,
    multiplied_out,
)
from ._safetensors import Array, refuse
from ._sealed import read_with, scope_of, seal, unseal, write_checked


@dataclass(frozen=True)
class GenericEstimator:
    """The estimators of all measured GPUs together, of the library's runtime in one dtype.

    gpus: indices of the GPUs; constants: of each of them, relative; forests: over the columns,
    one for each kind of GPU; kinds: the index of its forest for each of the GPUs.
    """

    dtype: str
    gpus: tuple[int, ...]
    constants: tuple[Mapping[str, float], ...]
    forests: tuple[Forest, ...]
    kinds: tuple[int, ...]
    domain: Domain
    interval_near: Interval
    interval_far: Interval
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    timed: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generic:
    """The contents of a file of scope "generic", checked; the fields are those of its manifest."""

    name: str
    version: str
    gpus: tuple[Gpu, ...]
    columns: tuple[str, ...]
    bandwidth: float
    near: float
    estimators: tuple[GenericEstimator, ...]
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def artefact_for(self, gpu: Gpu, without: Collection[str] = ()) -> Artefact:
        """Return the artefact for a GPU known by its data sheet.

        without: dtypes to leave out, which were measured there.

        Raises InputError where it has no peak of a dtype that this model answers for.
        """
        if not isinstance(gpu, Gpu):
            raise InputError(f"gpu must be a gpperf_lite.Gpu (got {shown(gpu)})")
        asked = self.dtypes_for(gpu).difference(without)
        chosen = {one.dtype: one for one in self.estimators if one.dtype in asked}
        stood_in = {dtype: one for dtype, one in self._stood_in(gpu).items() if dtype in asked}
        peaks = {one.dtype: peak_flops_of(gpu, dtype) for dtype, one in stood_in.items()}
        seen = replace(gpu, peak_flops={**gpu.peak_flops, **peaks}) if peaks else gpu
        chosen |= stood_in
        if not chosen:
            known = " ".join(one.dtype for one in self.estimators)
            got = " ".join(gpu.peak_flops) or "none"
            raise InputError(
                f"the peak_flops of {gpu.name:.80} must have a dtype that {self.name} answers for: "
                f"{known} (got {got}): add its dense peak in FLOP/s where the data sheet has one"
            )
        is_known = bool(without) or any(gpu.name == other.name for other in self.gpus)
        estimators = [
            _renamed(
                self._estimator(one, seen)._replace(
                    notes=(*one.notes, *self._beyond(seen, [one], OF_DTYPE)),
                    remarks=(self._remark(seen, dtype, one, is_known=is_known),),
                ),
                dtype,
            )
            for dtype, one in chosen.items()
        ]
        dtypes = {one.dtype for one in estimators}
        stand_ins = {
            dtype: other
            for dtype, other in self.stand_ins.items()
            if dtype in asked and other in dtypes and dtype not in dtypes
        }
        return Artefact(
            self.name,
            self.version,
            gpu,
            (LIBRARY,),
            tuple(estimators),
            stand_ins,
            self.provenance,
            tuple(self._beyond(seen, list(chosen.values()), OF_GPU)),
        )

    def dtypes_for(self, gpu: Gpu) -> set[str]:
        """Return the dtypes that this model answers for, of which a GPU has a peak."""
        dtypes = (*(one.dtype for one in self.estimators), *self.stand_ins)
        return {dtype for dtype in dtypes if gpu.peak_of(dtype) is not None}

    def nearest(self, gpu: Gpu, dtype: str) -> tuple[Gpu, float]:
        """Return the nearest of the GPUs measured in a dtype, and its distance in octaves."""
        (estimator,) = (one for one in self.estimators if one.dtype == dtype)
        distances = self._distances(estimator, gpu)
        least = min(distances)
        return self.gpus[estimator.gpus[distances.index(least)]], least

    def _distances(self, one: GenericEstimator, gpu: Gpu) -> list[float]:
        return [distance(gpu, self.gpus[index], one.dtype) for index in one.gpus]

    def _stood_in(self, gpu: Gpu) -> dict[str, GenericEstimator]:
        """Return the estimators that stand in for dtypes of a GPU that has no peak of theirs."""
        return {
            dtype: one
            for dtype, other in self.stand_ins.items()
            for one in self.estimators
            if one.dtype == other and gpu.peak_of(dtype) and not gpu.peak_of(other)
        }

    def _estimator(self, one: GenericEstimator, gpu: Gpu) -> Estimator:
        # Sizes carry over to another GPU; how long they take does not.
        domain = one.domain._replace(runtime_s=(one.domain.runtime_s[0], LONGEST_S))
        distances = self._distances(one, gpu)
        forest = one.forests[one.kinds[distances.index(min(distances))]]
        return Estimator(
            "runtime",
            one.dtype,
            (0,),
            mixed(one.constants, self._weights(distances), gpu, one.dtype),
            multiplied_out(forest, self.columns, gpu, one.dtype),
            domain,
            self._interval(one, min(distances)),
            one.accuracy,
            one.timed,
            one.notes,
        )

    def _weights(self, distances: list[float]) -> list[float]:
        """Return the weight of each measured GPU, 1 in all; that of the nearest is never 0."""
        least = min(distances)
        raw = [
            math.exp((least * least - one * one) / (2.0 * self.bandwidth**2)) for one in distances
        ]
        return [weight / sum(raw) for weight in raw]

    def _interval(self, one: GenericEstimator, least: float) -> Interval:
        """Return the interval at a distance from the nearest measured GPU.

        Beyond one octave it grows with the distance: no measured GPU was ever so far off.
        """
        if least <= self.near:
            return one.interval_near
        return one.interval_far.scaled(max(1.0, least))

    def _remark(self, gpu: Gpu, dtype: str, one: GenericEstimator, *, is_known: bool) -> str:
        """Return the remark on a dtype that an estimator answers for.

        is_known: whether the GPU was measured in others.
        """
        if any(self.gpus[index].name == gpu.name for index in one.gpus):
            return f"predicted from the data sheet alone, though {gpu.name:.80} was measured"
        nearest, least = self.nearest(gpu, one.dtype)
        which = f" in {dtype}" if is_known else ""
        how = "" if least <= self.near else ", which is not much like it"
        return (
            f"{gpu.name:.80} was not measured{which}: predicted from its data sheet, like "
            f"{nearest.name:.80}{how}"
        )

    def _beyond(
        self, gpu: Gpu, estimators: Sequence[GenericEstimator], facts: Sequence[str]
    ) -> list[str]:
        measured = [self.gpus[index] for one in estimators for index in one.gpus]
        return beyond(gpu, measured, estimators[0].dtype, facts)


def _renamed(estimator: Estimator, dtype: str) -> Estimator:
    """Return an estimator that answers for a dtype, with a note where that is another."""
    if estimator.dtype == dtype:
        return estimator
    note = stand_in_note(dtype, estimator.dtype)
    return estimator._replace(dtype=dtype, notes=(*estimator.notes, note))


def read(path: str | os.PathLike[str]) -> Generic:
    """Read and check a generic model.

    Raises ArtefactError with the path and the reason, InputError for the model of a certain GPU.
    """
    return read_with(decode, path)


def encode(generic: Generic) -> bytes:
    """Return the bytes of a generic model's file; equal models give equal bytes."""
    tensors: dict[str, Array] = {}
    entries = []
    for index, one in enumerate(generic.estimators):
        prefixes = [f"{index}.{kind}" for kind in range(len(one.forests))]
        for prefix, forest in zip(prefixes, one.forests, strict=True):
            tensors |= forest_tensors(prefix, forest)
        entries.append(_estimator_to_json(prefixes, one))
    return seal(
        {
            "scope": "generic",
            "name": generic.name,
            "version": generic.version,
            "gpus": [gpu_to_json(gpu) for gpu in generic.gpus],
            "columns": list(generic.columns),
            "bandwidth": generic.bandwidth,
            "near": generic.near,
            "estimators": entries,
            "stand_ins": dict(generic.stand_ins),
            "provenance": dict(generic.provenance),
        },
        tensors,
    )


def decode(data: bytes) -> Generic:
    """Return the generic model in the bytes of a file; everything is checked before it is used.

    Raises ArtefactError with the reason, InputError for an artefact of a certain GPU.
    """
    manifest, tensors, _ = unseal(data)
    if scope_of(manifest) != "generic":
        raise InputError(
            "gpu must be left out for a model of a certain GPU: only the generic model takes one"
        )
    gpus = tuple(gpu_of(entry) for entry in manifest.objects("gpus"))
    columns = tuple(manifest.texts("columns"))
    strange = [text[:40] for text in columns if not is_column(text)]
    if strange or not columns:
        refuse(f"it has columns that this gpperf-lite cannot compute, such as {strange[:3]}")
    estimators = tuple(
        _estimator(entry, gpus, tensors, len(columns)) for entry in manifest.objects("estimators")
    )
    check_all_taken(tensors)
    dtypes = [one.dtype for one in estimators]
    if not dtypes or len(set(dtypes)) != len(dtypes):
        refuse("it must have estimators, one for a dtype")
    entry = manifest.object("stand_ins")
    stand_ins = {dtype: entry.choice(dtype, tuple(dtypes)) for dtype in entry.values}
    if any(dtype not in DTYPES or dtype in dtypes for dtype in stand_ins):
        refuse("stand_ins must be of dtypes that were not measured")
    return Generic(
        manifest.text("name"),
        manifest.text("version"),
        gpus,
        columns,
        manifest.number("bandwidth", 1e-3, 1e3),
        manifest.number("near", 0.0, 1e3),
        estimators,
        stand_ins,
        manifest.free_form("provenance"),
    )


def _estimator(
    entry: Fields, gpus: tuple[Gpu, ...], tensors: dict[str, Array], n_columns: int
) -> GenericEstimator:
    dtype = entry.choice("dtype", tuple(DTYPES))
    if not gpus or not entry.items("forests"):
        refuse(f"{entry.path} must have GPUs and forests")
    indices = entry.integers("gpus", 0, len(gpus) - 1)
    constants = entry.objects("constants")
    if not indices or len(set(indices)) != len(indices) or len(constants) != len(indices):
        refuse(f"{entry.path} must have constants of each of its GPUs, and each GPU once")
    if any(gpus[index].peak_of(dtype) is None for index in indices):
        refuse(f"{entry.path}.dtype is {dtype}, of which one of its GPUs has no peak")
    names = [name for name, _, _ in CONSTANTS["library"]]
    forests = tuple(forest_of(one, tensors, n_columns) for one in entry.objects("forests"))
    kinds = entry.integers("kinds", 0, len(forests) - 1)
    if len(kinds) != len(indices) or set(kinds) != set(range(len(forests))):
        refuse(f"{entry.path} must have one of its forests for each of its GPUs, and no others")
    return GenericEstimator(
        dtype,
        indices,
        tuple({name: one.number(name, 0.0, LARGEST_CONSTANT) for name in names}
              for one in constants),
        forests,
        kinds,
        domain_of(entry.object("domain")),
        interval_of(entry.object("interval_near")),
        interval_of(entry.object("interval_far")),
        entry.free_form("accuracy"),
        *timed_and_notes(entry),
    )  # fmt: skip


def _estimator_to_json(prefixes: list[str], one: GenericEstimator) -> dict[str, Any]:
    return {
        "dtype": one.dtype,
        "gpus": list(one.gpus),
        "constants": [dict(constants) for constants in one.constants],
        "forests": [
            {"bias": forest.bias, "tensors": prefix}
            for prefix, forest in zip(prefixes, one.forests, strict=True)
        ],
        "kinds": list(one.kinds),
        "domain": one.domain._asdict(),
        "interval_near": one.interval_near.to_json(),
        "interval_far": one.interval_far.to_json(),
        "accuracy": dict(one.accuracy),
        **timed_and_notes_to_json(one.timed, one.notes),
    }


def write(generic: Generic, path: str | os.PathLike[str]) -> None:
    """Write a generic model, whole or not at all; raises ArtefactError if it would not read."""
    write_checked(encode(generic), decode, path)

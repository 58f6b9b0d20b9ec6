"""Back ends: the measurements that stand for one of them, and what must be said of them.

A back end is a framework that runs a dtype, in the release that was measured last. Older releases
are further collections of it as long as they agree with that one; where they run another kernel
they do not, and are left out. bf16 and f16 are cuBLAS whoever calls it: all are collections of one
kernel, `library`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from gpperf_lite import Kernel
from gpperf_lite._kernel import LIBRARIES, LIBRARY, VLLM

from ..dataset import (
    FEWEST_SHARED,
    Dataset,
    Mask,
    Measurements,
    Points,
    joined,
    measurements_of,
    points_of,
)
from ..errors import DatasetError
from .physics import unit_of
from .runtime_fit import EAGER_S

FURTHEST = 0.10
"""The mean distance from the newest collection up to which an older one is of the same kernel."""

FURTHER_THAN_CUBLAS, FACTOR_FROM_CUBLAS = 2.5, 0.05
"""The same where the collections lie apart themselves: by how many times the distance that they
have where both ran cuBLAS, as long as their factor is no further from the one that they have
there."""

FAR_ABOVE = 2.0
"""The factor over what other back ends take of a shape from which on a time is the host's."""


@dataclass(frozen=True)
class Labels:
    """The points that one kernel is learned from, as each collection measured them.

    left_out: collections that were not taken, with the reason; notes: texts that go with every
    prediction; is_filled: whether other kernels stand in for some of the points.
    """

    points: Points
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_filled: bool = False

    @cached_property
    def measured(self) -> Measurements:
        """The labels of all collections, side by side."""
        return measurements_of(self.points)

    def consensus(self) -> Points:
        """Return each point once, with the consensus of its collections."""
        return self.measured.consensus(self.measured.shifts())


def library_points(dataset: Dataset) -> Points:
    """Return the consensus of what `library` stands for in each dtype, on each GPU of a dataset.

    That is vLLM's kernel where frameworks differ. Raises DatasetError where there is none.
    """
    parts = []
    for labels in _each_gpu(dataset):
        for (dtype, unit), mine in sorted(labels.items()):
            usual = unit == VLLM.name and (dtype, LIBRARY.name) not in labels
            if unit == LIBRARY.name or usual:
                points = mine.consensus()
                name = np.full(len(points), LIBRARY.name, object)
                parts.append(replace(points, kernel=name))
    if not parts:
        raise DatasetError("no row is of the kernel 'library', or of 'vllm'")
    return joined(parts)


def consensus_points(dataset: Dataset) -> Points:
    """Return each point of one launch once, with the consensus of those who measured it.

    Raises DatasetError where no row is usable.
    """
    each = _each_gpu(dataset)
    return joined([mine.consensus() for labels in each for _, mine in sorted(labels.items())])


def _each_gpu(dataset: Dataset) -> list[dict[tuple[str, str], Labels]]:
    gpu = dataset.column("gpu")
    names = sorted(set(gpu))
    if len(names) < 2:
        return [labels_by_unit(dataset)]
    return [labels_by_unit(dataset.where(gpu == name)) for name in names]


def labels_by_unit(dataset: Dataset) -> dict[tuple[str, str], Labels]:
    """Return the labels of each dtype and unit of one GPU's dataset, of one launch.

    Rows whose time is the host's are no labels: other back ends that were timed without it fill
    the gaps. Where there are none, and no other rows, they are taken with a note; another note
    tells how long they are where they are left out and nobody timed what is as short.

    Raises DatasetError where no row is usable.
    """
    single = dataset.not_sustained()
    hosts = single.host_bound()
    bound = _by_unit(points_of(hosts), dataset) if len(hosts.usable()) else {}
    timed = _by_unit(points_of(single), dataset) if len(single.usable()) or not bound else {}
    shared = timed.get(("bf16", LIBRARY.name))
    cublas = None if shared is None else measurements_of(shared)
    labels = {
        key: labels_of(part, dataset.kernel(part.kernel[0]), cublas) for key, part in timed.items()
    }
    whole = {key: one for key, one in labels.items() if key not in bound}
    for (dtype, unit), part in bound.items():
        kernel = dataset.kernel(part.kernel[0])
        others = [
            one
            for (other, _), one in whole.items()
            if other == dtype and is_back_end(dataset.kernel(one.points.kernel[0]))
        ]
        own, longest_s = labels.get((dtype, unit)), float(part.runtime_s.max())
        if is_back_end(kernel) and others:
            labels[dtype, unit] = filled(kernel.name, dtype, own, others, longest_s)
        elif own is None:
            note = f"{dtype} of {unit} was measured with the host's time for a launch in it"
            labels[dtype, unit] = replace(labels_of(part, kernel), notes=(note,))
        elif own.points.runtime_s.min() > EAGER_S:
            note = (
                f"{dtype} of {unit} was launched eagerly, and rows of up to {1e6 * longest_s:.0f} "
                "us, which are the host's, are left out: what takes less is told by physics"
            )
            labels[dtype, unit] = replace(own, notes=(*own.notes, note))
    return labels


def _by_unit(points: Points, dataset: Dataset) -> dict[tuple[str, str], Points]:
    """Return the points of each dtype and unit of kernels."""
    units = {name: unit_of(dataset.kernel(name)) for name in set(points.kernel)}
    unit = np.array([units[name] for name in points.kernel], object)
    return {
        (dtype, name): points.where((points.dtype == dtype) & (unit == name))
        for dtype, name in sorted(set(zip(points.dtype, unit, strict=True)))
    }


def is_back_end(kernel: Kernel) -> bool:
    """Return True for a framework, whose releases may run different kernels."""
    return kernel in LIBRARIES and kernel != LIBRARY


def labels_of(points: Points, kernel: Kernel, cublas: Measurements | None = None) -> Labels:
    """Return the labels of the points of one kernel, or of kernels that share their constants.

    Of a back end, the first collection is the newest. cublas: what the same collections measured
    of cuBLAS, which is one kernel in all of them.
    """
    if not is_back_end(kernel):
        return Labels(points)
    newest = points.collections[0]
    usual = _apart_from(newest, cublas) if cublas is not None else {}
    left_out = {
        name: apart.told(newest)
        for name, apart in _apart_from(newest, measurements_of(points)).items()
        if not apart.is_of_one_kernel(usual.get(name))
    }
    return Labels(points.where(~np.isin(points.collection, list(left_out))), left_out)


@dataclass(frozen=True)
class _Apart:
    """The factor of a collection over another, in octaves, and the mean distance that it leaves."""

    octaves: float
    distance: float

    def is_of_one_kernel(self, usual: _Apart | None) -> bool:
        """Return True where it is near, or as near as two collections of one kernel are.

        usual: of the same two where they ran one kernel.
        """
        if self.distance <= FURTHEST:
            return True
        return (
            usual is not None
            and np.isfinite(self.distance)
            and self.distance <= FURTHER_THAN_CUBLAS * usual.distance
            and abs(2.0 ** (self.octaves - usual.octaves) - 1.0) <= FACTOR_FROM_CUBLAS
        )

    def told(self, newest: str) -> str:
        """Return the reason why it is not taken together with the newest."""
        if not np.isfinite(self.distance):
            return f"it shares too few points with {newest} to be compared"
        return f"it lies {self.distance:.0%} from {newest}, as another kernel would"


def _apart_from(newest: str, measured: Measurements) -> dict[str, _Apart]:
    """Return the distance of each other collection from one of them; empty where that has none.

    A collection that shares too few points with it is infinitely far.
    """
    if newest not in measured.collections:
        return {}
    first, apart = measured.octaves[measured.collections.index(newest)], {}
    for name, octaves in zip(measured.collections, measured.octaves, strict=True):
        ratio = (octaves - first)[np.isfinite(octaves - first)]
        if name == newest:
            continue
        apart[name] = _Apart(0.0, float("inf"))
        if ratio.size >= FEWEST_SHARED:
            factor = float(np.median(ratio))
            apart[name] = _Apart(factor, float(np.abs(np.exp2(ratio - factor) - 1.0).mean()))
    return apart


def filled(
    kernel: str, dtype: str, own: Labels | None, others: Sequence[Labels], floor_s: float
) -> Labels:
    """Return labels whose gaps are filled by what other back ends measured of the same dtype.

    own: None where only the host's time was measured; others: at least one; floor_s: the longest
    time that was the host's. What fills the gaps is shifted by one factor, that between both where
    both were measured. Rows of `own` that take far longer than that are the host's as well: it may
    compile a kernel when it is first asked for.
    """
    theirs = joined([one.points for one in others])
    theirs = replace(theirs, kernel=np.full(len(theirs), kernel, object))
    names = " and ".join(sorted({name.split()[0] for name in theirs.collections}))
    if own is None:
        note = f"{dtype} of {kernel} was timed only with its host: predicted as {names}'s"
        return Labels(theirs, notes=(note,), is_filled=True)
    usual = Labels(theirs).consensus()
    shift = _shift_between(own.consensus(), usual)
    if shift is not None:
        own = replace(own, points=own.points.where(~_far_above(own.points, usual, shift)))
    ours = own.consensus()
    known = set(ours.keys())
    gaps = theirs.where(np.array([key not in known for key in theirs.keys()], bool))  # noqa: SIM118
    gaps = replace(gaps, runtime_s=gaps.runtime_s * 2.0 ** (shift or 0.0))
    note = (
        f"{dtype} of {kernel} under {floor_s * 1e6:.0f} us was timed with its host: there it "
        f"follows {names}'s, which was not"
    )
    points = joined([own.points, gaps])
    return replace(own, points=points, notes=(*own.notes, note), is_filled=True)


def _far_above(points: Points, usual: Points, shift: float) -> Mask:
    """Return the mask of points that took far longer than the usual time of their shape, shifted.

    bool, of shape (n_points,).
    """
    usual_s = dict(zip(usual.keys(), (usual.runtime_s * 2.0**shift).tolist(), strict=True))
    expected = np.array([usual_s.get(key, np.inf) for key in points.keys()])  # noqa: SIM118
    far: Mask = points.runtime_s > FAR_ABOVE * expected
    return far


def _shift_between(ours: Points, theirs: Points) -> float | None:
    """Return the median of log2(ours / theirs) over the points of both; None where they are few."""
    runtime_s = dict(zip(theirs.keys(), theirs.runtime_s.tolist(), strict=True))
    ratios = [
        mine_s / runtime_s[key]
        for key, mine_s in zip(ours.keys(), ours.runtime_s.tolist(), strict=True)
        if key in runtime_s
    ]
    return float(np.median(np.log2(ratios))) if len(ratios) >= FEWEST_SHARED else None

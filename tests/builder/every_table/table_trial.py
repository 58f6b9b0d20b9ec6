"""A trial of one measured table: imported, sampled, learned from, and judged on what was held out.

What is learned from is a sample of whole shapes, in small: it says that a table is of use, not how
well a model of all of it does.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from stand_ins.built_in import built_in

import gpperf_lite as gp
from builder.dataset import Dataset, Floats, Mask, Points, points_of
from builder.evaluate.kernel_choice import choice_of
from builder.evaluate.same_gemm import gemms_of_several
from builder.train import (
    LearnerOptions,
    RuntimeFit,
    Stratum,
    TrainOptions,
    errors_of,
    fit_runtime,
    strata_of,
    unit_of,
)
from builder.train.power_fit import fit_power, power_rows
from builder.train.reach import labels_beyond
from builder.train.slowness import alike
from gpperf_lite import Kernel

LEARNER = LearnerOptions(n_trees=64, depth=5, teacher=None)
"""A small forest: a table of hundreds of rows has enough of it."""

# Each group is a fold of its own: which are held out is decided here.
OPTIONS = TrainOptions("trial", split="shape", n_folds=1000)
_GROUPS = {"pair": ("n", "k"), "shape": ("m", "n", "k")}
_HELD_OUT = {"pair": slice(2, None, 5), "shape": slice(2, -1, 3)}
"""The groups that are held out, in the order of their sizes: no shape at the end of it."""

_COMPILED = ("registers", "shared_bytes", "spill_bytes")
_FEWEST_READINGS = 100


@dataclass(frozen=True)
class Trial:
    """The outcome of learning one stratum of a table, from `n_points` of which some were held out.

    median, mean: absolute errors on those; beyond: share of all labels beyond reach; choice: the
    efficiency of the kernel that is predicted to be the best, NaN where no GEMM was run by several;
    rate: the highest FLOP/s of all rows in terms of the data sheet's peak; all in percent.
    n_alike: kernels that nothing tells from another one before them; apart: how many times as long
    as the other one of them takes, the 90th percentile, 1 where there are none; same: kernels that
    are answered alike though something does tell them apart.
    """

    stratum: str
    n_points: int
    n_held_out: int
    median: float
    mean: float
    rate: float = float("nan")
    beyond: float = 0.0
    choice: float = float("nan")
    n_alike: int = 0
    apart: float = 1.0
    same: Sequence[Sequence[str]] = ()

    def line(self) -> str:
        """Return the figures as a line for people."""
        return (
            f"{self.stratum}: {self.n_held_out} of {self.n_points} points held out: median "
            f"{self.median:.1f}, mean {self.mean:.1f}; rate {self.rate:.1f}; beyond reach "
            f"{self.beyond:.1f}; choice {self.choice:.1f}; {self.n_alike} kernels like others, "
            f"{self.apart:.3f} apart"
        )


def strata_in(dataset: Dataset) -> dict[str, Dataset]:
    """Return the rows that training would learn each stratum from, by its name: dtype and unit.

    Those that flags keep out are in it where a stratum has no others. Of several GPUs each has
    strata of its own, whose names end with that of the GPU.
    """
    if len(dataset.gpus) > 1:
        each = {gpu: of_gpu(dataset, gpu) for gpu in dataset.gpus}
        return {
            f"{name} of {gpu}": rows
            for gpu, mine in each.items()
            for name, rows in strata_in(mine).items()
        }
    usable = dataset.usable()
    parts = _by_stratum(usable, set())
    return parts if len(usable) == len(dataset) else parts | _by_stratum(dataset, set(parts))


def of_gpu(dataset: Dataset, gpu: str) -> Dataset:
    """Return the rows of one GPU, by its short name."""
    return replace(dataset.where(dataset.column("gpu") == gpu), gpus={gpu: dataset.gpus[gpu]})


def _by_stratum(dataset: Dataset, but: Set[str]) -> dict[str, Dataset]:
    """Return the rows of each stratum, but for some."""
    dtypes, kernels = dataset.column("dtype"), dataset.column("kernel")
    unit = {name: unit_of(dataset.kernel(name)) for name in sorted(set(kernels))}
    names = [f"{dtype} {unit[kernel]}" for dtype, kernel in zip(dtypes, kernels, strict=True)]
    rows = np.array(names, object)
    return {name: dataset.where(rows == name) for name in sorted(set(names) - but)}


def sampled(dataset: Dataset, n_points: int) -> Dataset:
    """Return the rows of some shapes, evenly spread over sizes: about so many points at most.

    Repeats of a point count once.
    """
    shapes = _tuples(dataset, "m", "n", "k")
    others = _tuples(dataset, "kernel", "layout", "batch", "alpha", "beta")
    counts = Counter(shape for shape, _ in set(zip(shapes, others, strict=True)))
    ordered = _by_size(counts)
    n_shapes = max(1, n_points * len(ordered) // max(counts.total(), n_points))
    at = np.linspace(0, len(ordered) - 1, n_shapes).round().astype(int)
    chosen = {ordered[index] for index in at.tolist()}
    return dataset.where(np.array([shape in chosen for shape in shapes], bool))


def _tuples(dataset: Dataset, *names: str) -> list[tuple[float, ...]]:
    return list(zip(*(dataset.column(name).tolist() for name in names), strict=True))


def _by_size(keys: Iterable[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return tuples of sizes in the order of their products."""
    return sorted(keys, key=lambda key: (math.prod(key), key))


def tried(rows: Dataset, split: str, n_points: int) -> Trial:
    """Return the trial of the rows of one stratum: one fit, without what is held out.

    Raises DatasetError where more labels are beyond reach than a model may be made of.
    """
    (gpu,) = rows.gpus.values()
    (stratum,) = strata_of(sampled(rows, n_points), gpu, OPTIONS, {})
    out = _held_out(stratum.points, split)
    fit = fit_runtime(stratum.without(out), gpu, stratum.kernels, LEARNER)
    points = stratum.points.where(out)
    predicted_s, _ = fit.predict(points, gpu, stratum.kernels)
    errors = errors_of(predicted_s, points.runtime_s)
    beyond, choice = labels_beyond(stratum, fit), choice_of(points, predicted_s)
    return Trial(
        stratum.name,
        len(stratum.points),
        len(points),
        100.0 * errors.median_ape,
        100.0 * errors.mean_ape,
        _rate(rows),
        100.0 * beyond.share if beyond else 0.0,
        100.0 * choice.mean if choice else float("nan"),
        n_alike(stratum),
        apart(stratum),
        _answered_the_same(stratum, fit, points),
    )


def unlearned(name: str, rows: Dataset) -> Trial:
    """Return the trial of a stratum of which nothing is learned: its rate alone."""
    return Trial(name, len(rows), 0, 0.0, 0.0, _rate(rows))


def _rate(rows: Dataset) -> float:
    """Return the highest FLOP/s of the rows of one dtype over its peak, in percent."""
    (gpu,), (dtype,) = rows.gpus.values(), set(rows.column("dtype"))
    sizes = [rows.column(name).astype(float) for name in ("m", "n", "k", "batch")]
    flops_s = 2.0 * np.prod(sizes, axis=0) / rows.column("runtime_s")
    return float(100.0 * flops_s.max() / (gpu.peak_of(dtype) or np.nan))


def power_tried(rows: Dataset, split: str, n_points: int) -> Trial | None:
    """Return the trial of the power of one stratum; None where too little of it was read."""
    rows = power_rows([rows])
    if len(rows) < _FEWEST_READINGS:
        return None
    points = points_of(sampled(rows, n_points))
    (gpu,) = rows.gpus.values()
    kernels = {name: rows.kernel(name) for name in sorted(set(points.kernel))}
    out = _held_out(points, split)
    rest, asked = points.where(~out), points.where(out)
    runtime = fit_runtime(rest, gpu, kernels, LEARNER)
    power = fit_power(runtime.described(rest, gpu, kernels), rest.runtime_s, rest.power_w, gpu)
    predicted_s, described = runtime.predict(asked, gpu, kernels)
    errors = errors_of(power.predict(described, predicted_s, gpu), asked.power_w)
    name = f"power of {points.dtype[0]} {unit_of(kernels[points.kernel[0]])}"
    median, mean = 100.0 * errors.median_ape, 100.0 * errors.mean_ape
    return Trial(name, len(points), len(asked), median, mean)


def n_alike(stratum: Stratum) -> int:
    """Return the number of kernels that nothing tells from another one before them."""
    return sum(len(names) - 1 for names in alike(stratum.kernels))


def apart(stratum: Stratum) -> float:
    """Return how many times as long one of two kernels takes that nothing tells apart."""
    group = {name: number for number, names in enumerate(alike(stratum.kernels)) for name in names}
    ratios = [1.0]
    for rows in gemms_of_several(stratum.points):
        times = defaultdict[int, list[float]](list)
        for row in rows.tolist():
            number = group.get(stratum.points.kernel[row])
            if number is not None:
                times[number].append(float(stratum.points.runtime_s[row]))
        ratios += [max(some) / min(some) for some in times.values()]
    return float(np.quantile(ratios, 0.9))


def _held_out(points: Points, split: str) -> Mask:
    """Return the mask of the points of some groups, bool, shape (n_points,)."""
    keys = list(zip(*(getattr(points, name).tolist() for name in _GROUPS[split]), strict=True))
    out = set(_by_size(set(keys))[_HELD_OUT[split]])
    return np.array([key in out for key in keys], bool)


def _answered_the_same(stratum: Stratum, fit: RuntimeFit, points: Points) -> list[list[str]]:
    """Return kernels that are answered alike on all points, though something tells them apart."""
    answers = defaultdict[bytes, list[str]](list)
    for name, kernel in stratum.kernels.items():
        asked = replace(points, kernel=_all(name, points))
        if kernel.layout is not None:
            asked = replace(asked, layout=_all(kernel.layout, points))
        predicted_s: Floats = fit.predict(asked, stratum.gpu, stratum.kernels)[0]
        answers[predicted_s.tobytes()].append(name)
    known = {frozenset(pair) for names in alike(stratum.kernels) for pair in combinations(names, 2)}
    return [
        names
        for names in answers.values()
        if any(frozenset(pair) not in known for pair in combinations(names, 2))
    ]


def _all(text: str, points: Points) -> NDArray[np.object_]:
    return np.full(len(points), text, object)


def with_facts_of(dataset: Dataset, model: str | None) -> Dataset:
    """Return a dataset with what the compiler told of its kernels, from a built-in model of them.

    Of kernels that the model describes as the dataset does; of none where there is no such model.
    To ask the compiler itself takes minutes.
    """
    if model is None or model not in gp.available():
        return dataset
    known = {kernel.name: kernel for kernel in built_in(model).kernels}
    kernels = {name: dataset.kernel(name) for name in sorted(set(dataset.column("kernel")))}
    described = {name: _described(kernel, known.get(name)) for name, kernel in kernels.items()}
    return replace(dataset, kernels={**dataset.kernels, **described})


def _described(kernel: Kernel, other: Kernel | None) -> Kernel:
    """Return a kernel with the compiled facts of another, if that is the same but for those."""
    if other is None:
        return kernel
    described = replace(kernel, **{name: getattr(other, name) for name in _COMPILED})
    return described if described == other else kernel

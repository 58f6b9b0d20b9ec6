"""The slowness of kernels: how much longer a main loop takes than its tile explains.

Kernels of one tile can be fifty times apart, as where one spills registers at every step. That is
a fact of the kernel and of no size, so it is learned before the forest, which is left with what
differs from size to size. Of a kernel that was measured it is the value that fits its rows best; of
one that was not, a small forest over the facts of kernels predicts it (tile, warps, registers,
spills).

The prediction also counts as one row of each measured kernel, so that one of few rows is drawn to
what kernels like it do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, Kernel
from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest
from gpperf_lite._physics import own_of
from gpperf_lite._slowness import LARGEST_SLOWNESS, OWN_FACTS, own_columns

from ..dataset import Floats, Points
from .learner import LearnerOptions, learn
from .physics import Constants, Kernels, Slowness, base_times

FEWEST_MAKES = 8
"""With fewer makes of kernels nothing is learned of those that were not measured."""

_N_FOLDS = 5
_FOREST = LearnerOptions(
    n_trees=200, depth=4, learning_rate=0.05, l2_leaf_reg=1.0, column_share=1.0, teacher=None
)
_COARSE = np.arange(-4.0, 8.0, 1.0 / 8.0)
_FINE = np.arange(-1.0 / 8.0, 1.0 / 8.0, 1.0 / 128.0)


def make_of(kernel: Kernel) -> Kernel:
    """Return the make of a kernel: all that is known of its program, without name and slices.

    Kernels of one make cannot be told apart but by how they are launched. One of which no tile is
    known, as the library, is of a make of its own.
    """
    return kernel if kernel.tile is None else replace(kernel, name="", split_k=1, swizzle=None)


def makes_of(kernels: Kernels) -> dict[str, int]:
    """Return the number of the make of each kernel, by name."""
    numbers: dict[Kernel, int] = {}
    return {
        name: numbers.setdefault(make_of(kernels[name]), len(numbers)) for name in sorted(kernels)
    }


def n_makes_of(kernels: Kernels) -> int:
    """Return the number of makes of some kernels."""
    return len(set(makes_of(kernels).values()))


def as_makes(points: Points, kernels: Kernels) -> Points:
    """Return points with every kernel called by the first name of its make."""
    makes = makes_of(kernels)
    first = {make: name for name, make in reversed(makes.items())}
    return replace(points, kernel=np.array([first[makes[name]] for name in points.kernel], object))


def alike(kernels: Kernels) -> list[list[str]]:
    """Return the names of kernels that nothing tells apart, those of a group together."""
    groups: dict[Kernel, list[str]] = {}
    for name in sorted(kernels):
        kernel = kernels[name]
        key = kernel if kernel.tile is None else replace(kernel, name="")
        groups.setdefault(key, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def fit_slowness(points: Points, gpu: Gpu, kernels: Kernels, constants: Constants) -> Slowness:
    """Return the slowness of the measured kernels."""
    makes = makes_of({name: kernels[name] for name in set(points.kernel)})
    number = np.array([makes[name] for name in points.kernel], np.intp)
    examples = _examples(makes, kernels)
    search = _Search(points, gpu, kernels, constants, number)
    octaves = search.best(np.full(len(examples), np.nan))
    if len(examples) >= FEWEST_MAKES:
        octaves = search.best(_of_the_others(columns_of(examples, gpu), octaves))
    units = np.rint(octaves * UNITS_PER_OCTAVE).astype(np.int64)
    units = np.clip(units, -LARGEST_SLOWNESS, LARGEST_SLOWNESS)
    return {name: int(units[make]) for name, make in makes.items()}


def fit_unmeasured(slowness: Slowness, gpu: Gpu, kernels: Kernels) -> Forest | None:
    """Return the forest that predicts the slowness of other kernels, from that of measured ones.

    None where there are too few makes.
    """
    makes = makes_of({name: kernels[name] for name in slowness})
    of_make = {makes[name]: units / UNITS_PER_OCTAVE for name, units in slowness.items()}
    if len(of_make) < FEWEST_MAKES:
        return None
    octaves = np.array([of_make[make] for make in range(len(of_make))])
    return learn(columns_of(_examples(makes, kernels), gpu), octaves, _FOREST)


def _examples(makes: dict[str, int], kernels: Kernels) -> list[Kernel]:
    """Return a kernel of each make, in the order of their numbers."""
    first = {make: kernels[name] for name, make in reversed(makes.items())}
    return [first[make] for make in range(len(first))]


def columns_of(kernels: Sequence[Kernel], gpu: Gpu) -> NDArray[np.float32]:
    """Return the facts of kernels, float32 array of shape (len(OWN_FACTS), n_kernels)."""
    rows = [own_columns(own_of(kernel, gpu)) for kernel in kernels]
    columns: NDArray[np.float32] = np.array(rows, np.float32).reshape(-1, len(OWN_FACTS)).T
    return columns


def _of_the_others(columns: NDArray[np.float32], free: Floats) -> Floats:
    """Return the slowness of each make in octaves as the other folds of makes predict it."""
    fold = np.random.default_rng(0).permutation(len(free)) % _N_FOLDS
    predicted = np.empty(len(free))
    for number in range(_N_FOLDS):
        out = fold == number
        forest = learn(columns[:, ~out], free[~out], _FOREST)
        predicted[out] = forest.totals_of(columns[:, out]) / UNITS_PER_OCTAVE
    return predicted


class _Search:
    """The search for the slowness of every make at once, on a grid."""

    def __init__(
        self,
        points: Points,
        gpu: Gpu,
        kernels: Kernels,
        constants: Constants,
        make: NDArray[np.intp],
    ) -> None:
        """make: the number of the make of each point, shape (n_points,)."""
        self._asked = (points, gpu, kernels, constants)
        self._label = np.log2(points.runtime_s)
        self._make = make
        self._n_makes = int(make.max()) + 1

    def best(self, drawn_to: Floats) -> Floats:
        """Return the slowness of each make in octaves, shape (n_makes,), of the least error.

        The error is the sum of the absolute logs over a make's rows, and the distance from
        `drawn_to`, shape (n_makes,), where that is not NaN: as one row more.
        """
        zero = np.zeros(self._n_makes)
        return self._least(self._least(zero, _COARSE, drawn_to), _FINE, drawn_to)

    def _least(self, start: Floats, steps: Floats, drawn_to: Floats) -> Floats:
        # The smallest step first: what no row tells is left as it is, not at the end of the grid.
        candidates = [start + step for step in sorted(steps.tolist(), key=abs)]
        asked = (octaves[self._make] for octaves in candidates)
        errors = []
        for octaves, base_s in zip(candidates, base_times(*self._asked, asked), strict=True):
            error = np.abs(self._label - np.log2(base_s))
            total = np.bincount(self._make, error, self._n_makes)
            errors.append(total + np.nan_to_num(np.abs(octaves - drawn_to)))
        chosen = np.argmin(np.array(errors), axis=0)
        found: Floats = np.array(candidates)[chosen, np.arange(self._n_makes)]
        return found

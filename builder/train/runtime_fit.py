"""Runtime: the physical constants and the forest that corrects them, fitted to points."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._arithmetic import ARRAYS
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import Forest, powers_of_two
from gpperf_lite._physics import physics_of
from gpperf_lite._slowness import slowness_of_totals

from ..dataset import Floats, Points
from .learner import FEW_ROWS, FOR_FEW_OF_KERNELS, FOR_KERNELS, SMALL, LearnerOptions, learn
from .physics import (
    Constants,
    DescribedPoints,
    Kernels,
    Slowness,
    describe_points,
    fit_constants,
)
from .slowness import columns_of, fit_slowness, fit_unmeasured

_ROUNDS = 2
"""The rounds in which constants and slowness are fitted in turn."""

_NO_WORSE = 1.01
"""Times the error that a physical model without the host's own time may have, to be preferred."""

EAGER_S = 30e-6
"""Points whose shortest runtime is longer were launched eagerly: under a graph nothing takes so
long for nothing."""

_LITTLE_WORSE = 1.05
"""The same for points that were launched eagerly, where those of the host alone are left out."""

_UNLABELLED_BETWEEN = 8000
_LARGEST_GRID = 10
"""The points of a whole grid for each one that was measured, at most."""

_MAC_FACTOR_BEYOND = 1.01


@dataclass(frozen=True)
class RuntimeFit:
    """Constants and forest fitted to points of one stratum; domain: of those points.

    slowness: of the kernels that were measured; unmeasured: a forest that predicts that of others,
    None where too few kernels were measured, and for the library.
    """

    constants: Constants
    forest: Forest
    domain: Domain
    slowness: Slowness = field(default_factory=dict)
    unmeasured: Forest | None = None

    @classmethod
    def of(cls, estimator: Estimator) -> RuntimeFit:
        """Return the fit that an estimator of the library was made of."""
        return cls(estimator.constants, estimator.forest, estimator.domain)

    def described(self, points: Points, gpu: Gpu, kernels: Kernels) -> DescribedPoints:
        """Return points with the features that this fit gives them."""
        slowness = self.slowness
        if self.unmeasured is not None:
            others = sorted(set(points.kernel) - set(slowness))
            if others:
                columns = columns_of([kernels[name] for name in others], gpu)
                totals = slowness_of_totals(self.unmeasured.totals_of(columns))
                slowness = {**slowness, **dict(zip(others, totals.tolist(), strict=True))}
        return describe_points(points, gpu, kernels, self.constants, slowness)

    def predict(self, points: Points, gpu: Gpu, kernels: Kernels) -> tuple[Floats, DescribedPoints]:
        """Return runtimes in s, of shape (n_points,), and the points with their features."""
        described = self.described(points, gpu, kernels)
        sizes = (points.m, points.n, points.k, points.batch)
        beyond = self.domain.beyond_each(*sizes, described.base_s)
        (sums,) = ARRAYS.faded([self.forest.sums_of(described.columns)], beyond)
        factor = powers_of_two(sums)
        runtime_s: Floats = np.maximum(described.base_s * factor, described.light_s)
        return runtime_s, described


def fit_runtime(
    points: Points, gpu: Gpu, kernels: Kernels, learner: LearnerOptions | None = None
) -> RuntimeFit:
    """Fit constants and forest to points of one dtype and form of physics."""
    constants, slowness, unmeasured = _fit_physics(points, gpu, kernels)
    described = describe_points(points, gpu, kernels, constants, slowness)
    target = np.log2(points.runtime_s / described.base_s)
    options = learner or _usual(points, kernels)
    unlabelled = None
    if options.teacher:
        between = _unmeasured(points)
        unlabelled = describe_points(between, gpu, kernels, constants, slowness).columns
    forest = learn(described.columns, target, options, unlabelled)
    return RuntimeFit(constants, forest, trained_domain(points), slowness, unmeasured)


def _usual(points: Points, kernels: Kernels) -> LearnerOptions:
    """Return the learner that points of one form of physics usually get."""
    if _are_libraries(points, kernels):
        return LearnerOptions() if len(points) >= FEW_ROWS else SMALL
    return FOR_KERNELS if len(points) >= FEW_ROWS else FOR_FEW_OF_KERNELS


def _are_libraries(points: Points, kernels: Kernels) -> bool:
    return all(physics_of(kernels[name]) == "library" for name in set(points.kernel))


def _fit_physics(
    points: Points, gpu: Gpu, kernels: Kernels
) -> tuple[Constants, Slowness, Forest | None]:
    """Return the constants, the slowness of the kernels, and the forest for that of others.

    Each is fitted in turn to what the other leaves over.
    """
    constants: Constants = fit_constants(points, gpu, kernels)
    if _are_libraries(points, kernels):
        return without_eager_host(points, gpu, kernels, constants), {}, None
    slowness: Slowness = {}
    for _ in range(_ROUNDS):
        constants = _without_idle_host(points, gpu, kernels, constants, slowness)
        slowness = fit_slowness(points, gpu, kernels, constants)
        constants = fit_constants(points, gpu, kernels, slowness=slowness)
    constants = _without_idle_host(points, gpu, kernels, constants, slowness)
    slowness = fit_slowness(points, gpu, kernels, constants)
    return constants, slowness, fit_unmeasured(slowness, gpu, kernels)


def without_eager_host(
    points: Points, gpu: Gpu, kernels: Kernels, constants: Constants
) -> Constants:
    """Return constants of a library without the host's time that rows which are left out had.

    They stay as they are where the points are no eager launches, or hold the host's time
    themselves.
    """
    if points.runtime_s.min() <= EAGER_S:
        return constants
    return _without_idle_host(points, gpu, kernels, constants, {}, _LITTLE_WORSE)


def _without_idle_host(
    points: Points,
    gpu: Gpu,
    kernels: Kernels,
    constants: Constants,
    slowness: Slowness,
    no_worse: float = _NO_WORSE,
) -> Constants:
    """Return constants with no more time of the host than a launch takes, if rows need no more.

    The search starts it near the shortest runtime. Where no row was bound by the host it stays
    there, and would be the least time of all GEMMs that are smaller.
    """
    idle = {**constants, "host_s": constants["launch_s"]}

    def error(some: Constants) -> float:
        base_s = describe_points(points, gpu, kernels, some, slowness).base_s
        return float(np.abs(np.log(base_s / points.runtime_s)).mean())

    return idle if error(idle) <= no_worse * error(constants) else constants


def trained_domain(points: Points) -> Domain:
    """Return the domain of measured points: ranges of sizes and runtimes, layouts, betas."""
    ranges = {
        name: (int(getattr(points, name).min()), int(getattr(points, name).max()))
        for name in ("m", "n", "k", "batch")
    }
    zero = points.beta == 0.0
    beta = "zero" if zero.all() else "any" if zero.any() else "nonzero"
    shortest, longest = points.runtime_s.min(), points.runtime_s.max()
    span = (float(f"{shortest:.4g}"), float(f"{longest:.4g}"))
    return Domain(**ranges, runtime_s=span, layouts=tuple(sorted(set(points.layout))), beta=beta)


def _unmeasured(points: Points) -> Points:
    """Return shapes that were not measured: the gaps in the grid of sizes, and some between.

    They have no label: the teacher gives them one. None is larger than what was measured.
    """
    gaps = _gaps(points)
    random = np.random.default_rng(5)
    between = np.stack(
        [_log_uniform(random, sizes) for sizes in (points.m, points.n, points.k)], axis=1
    )
    m, n, k = np.concatenate([np.array(gaps).reshape(-1, 3), between]).T
    kept = m * n * k <= np.max(points.m * points.n * points.k) * _MAC_FACTOR_BEYOND
    chosen = random.integers(0, len(points), int(kept.sum()))
    return replace(points.where(chosen), m=m[kept], n=n[kept], k=k[kept])


def are_on_grid(points: Points) -> bool:
    """Return True where many of the points share their m, n and k with others."""
    extents = (len(set(sizes.tolist())) for sizes in (points.m, points.n, points.k))
    return math.prod(extents) <= _LARGEST_GRID * len(points)


def _gaps(points: Points) -> list[tuple[float, float, float]]:
    """Return the sizes that the grid lacks; none where the sizes are on no grid."""
    if not are_on_grid(points):
        return []
    ms, ns, ks = sorted(set(points.m)), sorted(set(points.n)), sorted(set(points.k))
    measured = set(zip(points.m, points.n, points.k, strict=True))
    return [(m, n, k) for n in ns for k in ks for m in ms if (m, n, k) not in measured]


def _log_uniform(random: np.random.Generator, sizes: Floats) -> Floats:
    """Return sizes spread evenly over the logarithm, on the grid that all measured ones share."""
    step = float(np.gcd.reduce(sizes.astype(np.int64)))
    low, high = np.log2(sizes.min()), np.log2(sizes.max())
    values = np.rint(np.exp2(random.uniform(low, high, _UNLABELLED_BETWEEN)) / step) * step
    spread: Floats = np.clip(values, sizes.min(), sizes.max())
    return spread

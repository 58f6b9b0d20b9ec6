"""A Gaussian process over a few measured points: predictions anywhere, and leave-one-out ones.

C. Rasmussen and C. Williams, "Gaussian Processes for Machine Learning", 2006: prediction by
equation 2.25, hyperparameters by the marginal likelihood (5.8), and the prediction at each point
without that point by equations 5.10 to 5.12. Without points it predicts 0; far from all points only
the linear term in the shares is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ..dataset import Floats

_REACHES = (0.7, 1.2, 2.0, 3.5)
_SPREADS = (0.04, 0.1, 0.25, 0.6)
_NOISES = (0.02, 0.05, 0.1, 0.2)
_FACTOR_SPREAD = 0.4
_REWEIGHTINGS = 2
_USUAL = 1.5
_LEAST_NOISE = 1e-3
_MEDIAN_OF_NORMAL = 0.6745
"""The median of the absolute value of a normal variable of variance 1."""


@dataclass(frozen=True)
class Assumed:
    """Hyperparameters of the process.

    reach: length scale, in coordinates; spread: standard deviation of the truth beside the linear
    term in the shares; noise: that of a point; both in octaves.
    """

    reach: float
    spread: float
    noise: float


@dataclass(frozen=True)
class Process:
    """A process fitted to points.

    at: coordinates, shape (n_points, n_coordinates); shares: shape (n_points, n_shares); noisier:
    factors on the noise, weights, and left_out, the prediction at each point without that point,
    all of shape (n_points,).
    """

    at: Floats
    shares: Floats
    assumed: Assumed
    noisier: Floats
    weights: Floats
    left_out: Floats

    def predict(self, at: Floats, shares: Floats) -> Floats:
        """Return values in octaves, float64 array of shape (n_asked,)."""
        values: Floats = _likeness(at, shares, self.at, self.shares, self.assumed) @ self.weights
        return values


def fit_process(at: Floats, shares: Floats, values: Floats) -> Process:
    """Return the process of greatest likelihood for values in octaves, of shape (n_points,).

    A point far from its prediction by the others is then given as much more noise as makes it
    usual, and the fit is repeated: a kernel that a library chooses for one shape alone tells
    nothing of its neighbours. (Iteratively reweighted, as in P. Huber, "Robust
    Statistics", 1981.)
    """
    noisier = np.ones(len(values))
    process = _most_likely(at, shares, values, noisier)
    for _ in range(_REWEIGHTINGS):
        misses = np.abs(values - process.left_out)
        usual = np.median(misses) / _MEDIAN_OF_NORMAL
        noisier = np.maximum(1.0, misses / max(_USUAL * usual, _LEAST_NOISE))
        process = _most_likely(at, shares, values, noisier)
    return process


def _most_likely(at: Floats, shares: Floats, values: Floats, noisier: Floats) -> Process:
    """Return the most likely process; noisier: factors on the noise, of shape (n_points,)."""
    best: tuple[float, Process] | None = None
    for assumed in _assumptions():
        likeness = _likeness(at, shares, at, shares, assumed)
        likeness[np.diag_indices_from(likeness)] += (assumed.noise * noisier) ** 2
        factor = cho_factor(likeness, lower=True)
        weights = cho_solve(factor, values)
        log_likelihood = float(-0.5 * values @ weights - np.log(np.diag(factor[0])).sum())
        if best is None or log_likelihood > best[0]:
            precision = np.diag(cho_solve(factor, np.eye(len(values))))
            process = Process(at, shares, assumed, noisier, weights, values - weights / precision)
            best = log_likelihood, process
    assert best is not None
    return best[1]


def _assumptions() -> Iterator[Assumed]:
    return (Assumed(*each) for each in product(_REACHES, _SPREADS, _NOISES))


def _likeness(at: Floats, shares: Floats, others: Floats, theirs: Floats, a: Assumed) -> Floats:
    """Return the covariance of points with others, float64 array of shape (n_points, n_others)."""
    squares = np.sum(at**2, axis=1)[:, None] + np.sum(others**2, axis=1) - 2.0 * at @ others.T
    near = np.exp(np.maximum(squares, 0.0) * (-0.5 / a.reach**2))
    likeness: Floats = a.spread**2 * near + _FACTOR_SPREAD**2 * shares @ theirs.T
    return likeness

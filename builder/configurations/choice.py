"""The choice: how likely each of several alternatives is to be the one that a search found best.

A conditional logit (McFadden 1974): an alternative's chance is the exponential of the weighted sum
of its terms over that of all that fit. Weights are fitted by maximum likelihood with a penalty on
their squares, which has one best answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dataset import Floats, Mask

PENALTY = 20.0
"""Of the sum of squared weights of terms that have a standard deviation of 1."""

_MOST_STEPS = 300
_DIGITS = 5


@dataclass(frozen=True)
class Choice:
    """The weights of terms: float64 of shape (n_terms,)."""

    weights: Floats

    def log_chances(self, terms: Floats, fits: Mask) -> Floats:
        """Return the logarithm of each alternative's chance, of the shape of `fits`.

        terms: float64 of shape (..., n_alternatives, n_terms); fits: of shape (...,
        n_alternatives); what does not fit has minus infinity.
        """
        return _log_chances(terms @ self.weights, fits)


def fitted(terms: Floats, fits: Mask, chosen: NDArray[np.intp]) -> Choice:
    """Return the choice that explains best what was chosen.

    terms: float64 of shape (n_choices, n_alternatives, n_terms); fits: of shape (n_choices,
    n_alternatives); chosen: of shape (n_choices,), each an alternative that fits.
    """
    from scipy.optimize import minimize  # slow to import

    scale = terms[fits].std(axis=0)
    scale[scale == 0] = 1.0
    scaled = terms / scale
    flat, rows = scaled.reshape(-1, terms.shape[-1]), np.arange(len(chosen))
    seen = scaled[rows, chosen].sum(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        log_chances = _log_chances((flat @ weights).reshape(fits.shape), fits)
        gradient = np.exp(log_chances).ravel() @ flat - seen + 2.0 * PENALTY * weights
        return PENALTY * weights @ weights - log_chances[rows, chosen].sum(), gradient

    start = np.zeros(terms.shape[-1])
    options = {"maxiter": _MOST_STEPS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return Choice(np.array([float(f"{one:.{_DIGITS}g}") for one in found.x / scale]))


def _log_chances(scores: Floats, fits: Mask) -> Floats:
    scores = np.where(fits, scores, -np.inf)
    best = scores.max(axis=-1, keepdims=True)
    scores = scores - np.where(np.isfinite(best), best, 0.0)
    total = np.exp(scores).sum(axis=-1, keepdims=True)
    return np.asarray(scores - np.log(np.where(total > 0, total, 1.0)))

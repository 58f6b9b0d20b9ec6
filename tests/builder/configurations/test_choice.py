"""The choice: chances that sum to one over what fits, and weights that explain what was chosen."""

from __future__ import annotations

import numpy as np
import pytest

from builder.configurations.choice import Choice, fitted

RANDOM = np.random.default_rng(0)


def test_chances_are_of_what_fits_alone() -> None:
    fits = np.array([[True, True, False], [False, False, False]])
    chances = np.exp(Choice(np.array([1.0])).log_chances(np.zeros((2, 3, 1)), fits))
    assert chances.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]


def test_what_is_chosen_more_often_is_likelier() -> None:
    terms = RANDOM.normal(size=(3000, 6, 2))
    scores = terms @ [2.0, -1.0] + RANDOM.gumbel(size=(3000, 6))
    choice = fitted(terms, np.ones((3000, 6), bool), scores.argmax(axis=1))
    assert choice.weights == pytest.approx([2.0, -1.0], abs=0.15)


def test_a_term_that_never_differs_has_no_weight() -> None:
    terms = np.concatenate([RANDOM.normal(size=(50, 4, 1)), np.ones((50, 4, 1))], axis=2)
    choice = fitted(terms, np.ones((50, 4), bool), terms[..., 0].argmax(axis=1))
    assert choice.weights[0] > 0
    assert choice.weights[1] == pytest.approx(0.0, abs=1e-3)


def test_what_does_not_fit_teaches_nothing() -> None:
    terms = RANDOM.normal(size=(200, 5, 2))
    chosen, fits = terms[:, :4, 0].argmax(axis=1), np.ones((200, 5), bool)
    fits[:, 4] = False
    other = terms.copy()
    other[:, 4] = 1e6
    assert fitted(terms, fits, chosen).weights == pytest.approx(
        fitted(other, fits, chosen).weights, rel=1e-3
    )

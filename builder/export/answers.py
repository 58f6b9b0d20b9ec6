"""Stored answers: questions of dice and what Python answers, for the exported code to test itself.

Every head is asked in turn, inside of its domain and outside, in every layout that it takes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gpperf_lite._gemm import LARGEST, LAYOUTS, Gemm
from gpperf_lite._model import Model
from gpperf_lite._prediction import Prediction

from .contents import Contents, Head

N_ANSWERS = 32
"""Answers that are stored."""

DEFAULT_CONFIDENCE = 0.9
_CONFIDENCES = (DEFAULT_CONFIDENCE, 0.5, 0.95, 0.83, 0.999)
_MOST_OCTAVES = math.log2(LARGEST)

FIGURES = (
    "runtime_s",
    "runtime_low_s",
    "runtime_high_s",
    "sustained_runtime_s",
    "power_w",
    "power_low_w",
    "power_high_w",
    "energy_j",
)
"""The figures of an answer, in the order in which they are stored."""


class Question(NamedTuple):
    """One question: a GEMM, the number of a kernel (-1 for none), and a confidence."""

    gemm: Gemm
    kernel: int
    confidence: float


class Answer(NamedTuple):
    """The answer of Python: FIGURES, NaN for what is not known; whether it is in the domain."""

    question: Question
    figures: tuple[float, ...]
    is_in_domain: bool


def figures_of(prediction: Prediction) -> tuple[float, ...]:
    """Return FIGURES of a prediction."""
    p = prediction
    power = (math.nan, math.nan) if p.power_interval_w is None else p.power_interval_w
    return (
        p.runtime_s,
        *p.runtime_interval_s,
        p.sustained_runtime_s,
        math.nan if p.power_w is None else p.power_w,
        *power,
        math.nan if p.energy_j is None else p.energy_j,
    )


def answers_of(contents: Contents) -> list[Answer]:
    """Return N_ANSWERS answers to be stored; equal artefacts give equal ones."""
    artefact = contents.artefact
    model, dice = Model(artefact), np.random.default_rng(16)
    answers = []
    for number in range(N_ANSWERS):
        question = _question(contents.heads[number % len(contents.heads)], number, dice)
        kernel = artefact.kernels[question.kernel]
        p = model.predict(question.gemm, kernel, question.confidence)
        answers.append(Answer(question, figures_of(p), p.in_domain))
    return answers


def _question(head: Head, number: int, dice: np.random.Generator) -> Question:
    domain, kernel = head.model.runtime.domain, head.model.kernel
    layouts = head.layouts
    measured = [one for one in layouts if one in head.measured_layouts] or layouts
    is_inside = number % 3 < 2
    m, n, k = (
        _size(dice, *(ends if is_inside else (1, LARGEST)), kernel.alignment)
        for ends in (domain.m, domain.n, domain.k)
    )
    batch = domain.batch[0] if is_inside else _size(dice, 1, 1 << 12, 1)
    reads_c = bool(number % 5 == 4) or domain.beta == "nonzero"
    gemm = Gemm(
        m,
        n,
        k,
        head.dtype,
        LAYOUTS[dice.choice(measured if is_inside else layouts)],
        batch,
        beta=1.0 if reads_c else 0.0,
    )
    return Question(gemm, head.kernel, _CONFIDENCES[number % len(_CONFIDENCES)])


def _size(dice: np.random.Generator, low: int, high: int, alignment: int) -> int:
    """Return a size between two, by its magnitude, that an alignment divides."""
    size = int(2.0 ** dice.uniform(math.log2(low), math.log2(high)))
    return max(size // alignment, 1) * alignment

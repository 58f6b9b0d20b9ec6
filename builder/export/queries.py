"""Random questions to an exported model, and whether its answers are Python's, bit for bit.

Every kernel is asked in every dtype and layout that it takes, with beta 0 and not, at several
confidences; sizes lie in the domain and far outside of it, up to the largest there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._gemm import LARGEST, LAYOUTS
from gpperf_lite._model import Model
from gpperf_lite._prediction import BOUNDS, PredictionBatch

from .answers import FIGURES
from .contents import DTYPE_NUMBERS, TIMED_NUMBERS, Contents, Head

GEMM = np.dtype(
    [(name, np.int32) for name in ("m", "n", "k", "batch", "dtype", "layout")] + [("beta", "f8")]
)
"""A gpperf_gemm of C."""

PREDICTION = np.dtype(
    [(name, "f8") for name in FIGURES]
    + [(name, np.int32) for name in ("kernel", "bound", "timed", "power_is_unmeasured")]
    + [("outside", np.uint32), ("reserved", np.uint32)]
)
"""A gpperf_prediction of C."""

Ask = Callable[[NDArray[np.void], int, float], NDArray[np.void]]
"""Ask the exported code: rows of GEMM, the number of a kernel and a confidence; PREDICTIONs."""

_CONFIDENCES = (0.9, 0.5, 0.8, 0.99, 0.123456789)
_COMPARED = (*FIGURES, "kernel", "bound", "timed")
_BATCHES = (1, 1, 4, 300, LARGEST)


class Parity(NamedTuple):
    """How many answers were the same; first: the question whose answer was not, if any."""

    n_asked: int
    n_same: int
    n_in_domain: int
    first: str = ""

    def plus(self, other: Parity) -> Parity:
        """Return the counts of both."""
        return Parity(
            self.n_asked + other.n_asked,
            self.n_same + other.n_same,
            self.n_in_domain + other.n_in_domain,
            self.first or other.first,
        )

    def __str__(self) -> str:
        text = (
            f"{self.n_same} of {self.n_asked} answers are Python's bit for bit "
            f"({self.n_in_domain} in the domain)"
        )
        return f"{text}; the first that is not: {self.first}" if self.first else text


@dataclass(frozen=True)
class Questions:
    """Questions of one kernel, dtype, layout and beta; kernel: -1 where none is asked for."""

    rows: NDArray[np.void]
    kernel: int
    dtype: str
    confidence: float


def questions_of(contents: Contents, n_questions: int, seed: int = 0) -> Iterator[Questions]:
    """Yield about as many random questions as are asked for, group by group.

    Of layouts and betas that were measured there are more.
    """
    dice = np.random.default_rng(seed)
    groups = [
        (head, layout, beta) for head in contents.heads for layout in head.layouts
        for beta in (0.0, 0.5)
    ]  # fmt: skip
    weights = np.array([5 if _is_measured(*group) else 1 for group in groups])
    if n_questions < len(groups):
        chosen = dice.choice(len(groups), n_questions, replace=False, p=weights / weights.sum())
        groups, weights = [groups[one] for one in chosen], np.ones(n_questions, int)
    sizes = np.ceil(n_questions * weights / weights.sum()).astype(int).tolist()
    for number, ((head, layout, beta), n_rows) in enumerate(zip(groups, sizes, strict=True)):
        is_default = contents.defaults[head.dtype] == head.kernel and number % 3 == 0
        yield Questions(
            _rows(head, layout, beta, n_rows, dice),
            -1 if is_default else head.kernel,
            head.dtype,
            _CONFIDENCES[number % len(_CONFIDENCES)],
        )


def _is_measured(head: Head, layout: int, beta: float) -> bool:
    return layout in head.measured_layouts and int(beta != 0.0) in head.measured_betas


def _rows(
    head: Head, layout: int, beta: float, n_rows: int, dice: np.random.Generator
) -> NDArray[np.void]:
    """Return rows of GEMM: two thirds with sizes of the domain, the others with any."""
    domain, alignment = head.model.runtime.domain, head.model.kernel.alignment
    rows = np.zeros(n_rows, GEMM)
    is_any = dice.random(n_rows) < 1.0 / 3.0
    for name in ("m", "n", "k"):
        low, high = getattr(domain, name)
        inside = dice.uniform(math.log2(low), math.log2(high + 1), n_rows)
        anywhere = dice.uniform(0.0, math.log2(LARGEST), n_rows)
        sizes = np.exp2(np.where(is_any, anywhere, inside)).astype(np.int64)
        sizes = np.clip(sizes, 1, LARGEST)
        rows[name] = np.maximum(sizes // alignment, 1) * alignment
    rows["batch"] = np.where(is_any, dice.choice(_BATCHES, n_rows), domain.batch[0])
    rows["dtype"], rows["layout"], rows["beta"] = DTYPE_NUMBERS[head.dtype], layout, beta
    return rows


def parity_of(
    contents: Contents, model: Model, ask: Ask, n_questions: int, seed: int = 0
) -> Parity:
    """Ask Python and the exported code the same, and compare all figures for equality."""
    n_asked = n_same = n_inside = 0
    first = ""
    for questions in questions_of(contents, n_questions, seed):
        expected = _expected(contents, model, questions)
        told = ask(questions.rows, questions.kernel, questions.confidence)
        same = np.ones(len(told), bool)
        for name in _COMPARED:
            same &= (told[name] == expected[name]) | (
                np.isnan(told[name]) & np.isnan(expected[name])
            )
        is_inside = expected["outside"] == 0
        same &= (told["outside"] == 0) == is_inside
        n_asked, n_same = n_asked + len(same), n_same + int(same.sum())
        n_inside += int(is_inside.sum())
        if not first and not same.all():
            row = int(np.argmin(same))
            first = (
                f"{questions.rows[row]} on kernel {questions.kernel}: {told[row]}, but Python "
                f"{expected[row]}"
            )
    return Parity(n_asked, n_same, n_inside, first)


def _expected(contents: Contents, model: Model, questions: Questions) -> NDArray[np.void]:
    rows, kernels = questions.rows, contents.artefact.kernels
    batch = model.predict_batch(
        rows["m"],
        rows["n"],
        rows["k"],
        questions.dtype,
        LAYOUTS[int(rows["layout"][0])],
        rows["batch"],
        beta=float(rows["beta"][0]),
        kernel=None if questions.kernel < 0 else kernels[questions.kernel],
        confidence=questions.confidence,
    )
    return predictions_of(batch, [kernel.name for kernel in kernels])


def predictions_of(batch: PredictionBatch, kernels: list[str]) -> NDArray[np.void]:
    """Return a batch of Python's as rows of PREDICTION; outside is 0 or 1."""
    told = np.zeros(len(batch), PREDICTION)
    told["runtime_s"], told["sustained_runtime_s"] = batch.runtime_s, batch.sustained_runtime_s
    told["runtime_low_s"], told["runtime_high_s"] = batch.runtime_interval_s.T
    for name in ("power_w", "power_low_w", "power_high_w", "energy_j"):
        told[name] = np.nan
    if batch.power_w is not None and batch.power_interval_w is not None:
        told["power_w"], told["energy_j"] = batch.power_w, batch.energy_j
        told["power_low_w"], told["power_high_w"] = batch.power_interval_w.T
    told["kernel"] = [kernels.index(name) for name in batch.kernel]
    told["bound"] = [BOUNDS.index(name) for name in batch.bound.tolist()]
    told["timed"] = [TIMED_NUMBERS[name] for name in batch.timed]
    told["outside"] = ~batch.in_domain
    return told

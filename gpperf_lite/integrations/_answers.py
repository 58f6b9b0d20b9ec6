"""The answers to launches: each different matrix multiplication is predicted once, in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from .. import GpperfError, InputError, Kernel, Model, PredictionBatch
from .._interval import checked_confidence
from ._launch import Launch

Asked = tuple[int, int, int, int, str, str, float]
"""What a model is asked: m, n, k, batch, dtype, layout, beta."""


class Answer(NamedTuple):
    """The cost of one launch as a model predicts it."""

    runtime_s: float
    runtime_interval_s: tuple[float, float]
    energy_j: float | None
    bound: str
    kernel: str
    timed: str
    in_domain: bool
    notes: tuple[str, ...]


def asked_of(launch: Launch) -> Asked:
    return (*launch[3:8], launch.layout, launch.beta)


def check_asked(model: Model, kernel: Kernel | str | None, confidence: float) -> None:
    """Raise what the model raises for a confidence, or a kernel, that no GEMM can be asked with."""
    checked_confidence(confidence)
    if isinstance(kernel, str) and kernel not in {one.name for one in model.kernels}:
        Kernel.from_name(kernel)
    elif not isinstance(kernel, (str, Kernel, type(None))):
        raise InputError(f"kernel must be a Kernel or the name of one (got {kernel!r:.60})")


def answers_to(
    launches: Iterable[Launch],
    model: Model,
    kernel: Kernel | str | None = None,
    confidence: float = 0.9,
) -> dict[Asked, Answer | str]:
    """Return the answer to each question that launches ask, or the reason why there is none."""
    together: dict[tuple[str, str, float], list[Asked]] = defaultdict(list)
    for asked in dict.fromkeys(asked_of(one) for one in launches if not one.reason):
        together[asked[4:]].append(asked)
    found: dict[Asked, Answer | str] = {}
    for alike in together.values():
        found.update(_answered_or_why_not(alike, model, kernel, confidence))
    return found


def _answered_or_why_not(
    alike: list[Asked], model: Model, kernel: Kernel | str | None, confidence: float
) -> dict[Asked, Answer | str]:
    """Return the answers to questions of one dtype, layout and beta, or reasons in their place."""
    try:
        return _answered(alike, model, kernel, confidence)
    except GpperfError as error:
        if len(alike) == 1:
            return {alike[0]: str(error)}
    # One row that no kernel can run is no reason to leave the others out.
    alone = [_answered_or_why_not([asked], model, kernel, confidence) for asked in alike]
    return {asked: answer for one in alone for asked, answer in one.items()}


def _answered(
    alike: list[Asked], model: Model, kernel: Kernel | str | None, confidence: float
) -> dict[Asked, Answer | str]:
    _, _, _, _, dtype, layout, beta = alike[0]
    m, n, k, count = ([one[place] for one in alike] for place in range(4))
    batch = model.predict_batch(
        m, n, k, dtype, layout, count, beta=beta, kernel=kernel, confidence=confidence
    )
    return {asked: _answer(batch, row) for row, asked in enumerate(alike)}


def _answer(batch: PredictionBatch, row: int) -> Answer:
    energy_j = batch.energy_j
    low_s, high_s = batch.runtime_interval_s[row].tolist()
    return Answer(
        float(batch.runtime_s[row]),
        (low_s, high_s),
        None if energy_j is None else float(energy_j[row]),
        str(batch.bound[row]),
        str(batch.kernel[row]),
        str(batch.timed[row]),
        bool(batch.in_domain[row]),
        batch.notes[row],
    )

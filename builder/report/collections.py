"""docs/collections.md: the worth of the built-in models to the next person who measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..evaluate import (
    LEAST_INSIDE,
    BackEndChoice,
    DeviceTime,
    IntervalScore,
    ModelWorth,
    StratumWorth,
    evaluate_collections,
)
from ..markdown import paragraph, table
from ..train import KeptFits

HEAD = """# What a model is worth to the next person who measures

Written by `python -m builder report collections --sources FOLDER`; do not edit.

Several collections measured most dtypes of most GPUs: other people, machines and releases. So it
can be asked how well a model foretells what somebody else will measure, and not only the table
that it was trained on. The fits are those that `models build` judges a model by, on the pairs of
(n, k), or shapes of the RTX 4070, that they never saw. `evaluate collections` prints the same
figures.
"""

RUNTIME = (
    "Errors of pairs held out, against the reference of all collections (three or more, where "
    "there are so many). *Apart* is the mean distance of one collection from another on the same "
    "pairs, as they stand; *aligned*, with each multiplied by its own factor, as in the "
    "reference. That is as far as measuring repeats itself. *Repeat*, where three or more "
    "measured, is how far a consensus does: the mean distance of that of one half of the "
    "collections from that of the other, aligned, over all ways to halve them. A perfect "
    "prediction would still be off from the reference by about half of that: the reference has "
    "all collections, the prediction no noise, and errors that do not depend on each other add by "
    "squares. Where few measured it would be less: a median outvotes what one alone has odd, and "
    "half of a few cannot."
)

INTERVALS = (
    "90 % intervals on each collection left out together with pairs, calibrated on the other "
    "collections. *Inside* is the mean over collections of the share inside, *least* that of the "
    "one that has the least. *Half-width* is half the width over the prediction. The *score* is "
    "the width, plus 20 times how far a measurement lies outside, over the prediction; the lower, "
    "the better. *One width* is the score of one half-width for all rows, calibrated in the same "
    "way. *Least of* names the collection that has the least inside; its *factor* is what it "
    "measured over the consensus of the others, the median; its *distance*, how far from them it "
    "lies once divided by that, on points that they know."
)

BY_OTHERS = (
    "The same without a model, where three or more measured: the prediction is the consensus of "
    "the other collections at the very points, as far as they know them, with all pairs known, "
    "and its intervals are calibrated as those above. What falls outside here does so by who "
    "measured, not by a model. *For 80 %* is the half-width once all intervals are widened by one "
    "factor, so that no collection has less than 80 % inside. These figures bound intervals of "
    "this kind, whose width knows the runtime and no more. Where few others measured, their "
    "consensus has vagaries of its own, which a model smooths: it can then be the better one."
)

DEVICE_TIME = (
    "fp8_block of vLLM, which `library` is in this dtype, on pairs held out: the factor, up or "
    "down, between the prediction and the consensus of the other back ends, as far as these were "
    "timed without their host. They run other kernels, so it is no error; a model that had "
    "learned the host's time would be off by many times."
)

CHOICE = (
    "The back end that is predicted to be the fastest, among those that timed the same, on shapes "
    "of pairs held out that all of them measured: the runtime of the fastest over that of the "
    "chosen. *Always the same one* is the back end that was best on average on the other folds. "
    "Where two are equal, the slower one counts as chosen."
)

SUMMARY = "Means over GPUs of the figures above, each over the GPUs that have it."


def collections_page(
    recipe: Path, sources: Path, n_workers: int, kept: KeptFits | None = None
) -> str:
    """Return the page as Markdown. Takes as long as the fits that are not kept.

    recipe: of the built-in models; sources: the folder of their tables.
    Raises SourceError where a source of the recipe is missing.
    """
    return page_of(list(evaluate_collections(recipe, sources, None, n_workers, kept)))


def page_of(worths: Sequence[ModelWorth]) -> str:
    """Return the page of some models as Markdown."""
    parts = [HEAD.rstrip()]
    for title, text, lines in (*_sections(worths), ("Summary", SUMMARY, summary_lines(worths))):
        parts += ["", f"## {title}", "", *paragraph(text), "", *lines]
    return "\n".join(parts) + "\n"


def collection_lines(worths: Sequence[ModelWorth]) -> list[str]:
    """Return the tables of some models as lines of Markdown, each with its title."""
    return [line for title, _, lines in _sections(worths) for line in (f"{title}:", "", *lines, "")]


def summary_lines(worths: Sequence[ModelWorth]) -> list[str]:
    """Return the means over models as lines of Markdown: of errors, of intervals, of choices."""
    strata = [one for worth in worths for one in worth.strata]
    lines = table(_head("mean error", *_DISTANCES), _mean_rows(strata, _mean_errors))
    for title, names, means_of in (
        ("Of the intervals:", _INTERVALS, _mean_intervals),
        ("Of those without a model:", _BY_OTHERS, _mean_by_others),
    ):
        rows = _mean_rows(strata, means_of)
        if rows:
            lines += ["", title, "", *table(_head(*names.values()), rows)]
    choices = [choice for worth in worths for choice in worth.choices]
    if choices:
        ours, always = (
            float(np.mean([getattr(choice, name) for choice in choices]))
            for name in ("mean", "always_mean")
        )
        text = f"Mean efficiency of the {len(choices)} choices of a back end: {ours:.2%}; of always"
        lines += ["", *paragraph(f"{text} the same one: {always:.2%}.")]
    return lines


def _head(*names: str) -> tuple[str, ...]:
    return ("dtype", "back end", "GPUs", *names)


def _mean_rows(
    strata: Sequence[StratumWorth],
    means_of: Callable[[Sequence[StratumWorth]], tuple[int, Sequence[str]]],
) -> list[tuple[str, ...]]:
    """Return the rows of a table of means over the strata of each dtype and unit.

    means_of: the number of those that have the figures, and the cells; no row where that is none.
    """
    rows = []
    for dtype, unit in sorted({(one.dtype, one.unit) for one in strata}):
        n, cells = means_of([one for one in strata if (one.dtype, one.unit) == (dtype, unit)])
        if n:
            rows.append((dtype, unit, f"{n}", *cells))
    return rows


def _mean_errors(strata: Sequence[StratumWorth]) -> tuple[int, list[str]]:
    error = _mean(one.errors.mean_ape for one in strata)
    distances = _means([one.repeatability for one in strata], _DISTANCES)
    return len(strata), [_percent(error), *distances]


def _mean_intervals(strata: Sequence[StratumWorth]) -> tuple[int, list[str]]:
    known = [one.intervals for one in strata if one.intervals]
    return len(known), _means(known, _INTERVALS)


def _mean_by_others(strata: Sequence[StratumWorth]) -> tuple[int, list[str]]:
    known = [one.by_others for one in strata if one.by_others]
    return len(known), _means(known, _BY_OTHERS)


def _means(known: Sequence[object], names: Iterable[str]) -> list[str]:
    """Return the cells of the means of some attributes, each over all that are finite."""
    return [_percent(_mean(getattr(one, name) for one in known)) for name in names]


_DISTANCES = ("apart", "aligned", "repeat")
"""The attributes of a Repeatability, which are shown as they are called."""

_BY_OTHERS = {
    "inside": "inside",
    "least": "least",
    "half_width": "half-width",
    "half_width_for_least": f"for {LEAST_INSIDE:.0%}".replace("%", " %"),
    "score": "score",
}
"""The attributes of an IntervalScore that are shown of other collections."""

_INTERVALS = {name: _BY_OTHERS[name] for name in ("inside", "least", "half_width", "score")} | {
    "score_of_one_width": "of one width"
}
"""The attributes of an IntervalScore that are shown of a model."""


def _sections(worths: Sequence[ModelWorth]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield title, text and table of each section that has rows."""
    strata = [(worth.model, stratum) for worth in worths for stratum in worth.strata]
    of_pair = ("model", "dtype", "back end")
    head = (*of_pair, "collections", "rows", "mean", "median", "p90", *_DISTANCES)
    yield "Runtime", RUNTIME, table(head, [_runtime_cells(*one) for one in strata])
    intervals = [
        _interval_cells(model, one, one.intervals) for model, one in strata if one.intervals
    ]
    if intervals:
        columns = (*of_pair, "collections", *_INTERVALS.values(), "least of", "factor", "distance")
        yield "Intervals", INTERVALS, table(columns, intervals)
    others = [_others_cells(model, one, one.by_others) for model, one in strata if one.by_others]
    if others:
        columns = (*of_pair, "collections", *_BY_OTHERS.values(), "least of")
        yield "Intervals without a model", BY_OTHERS, table(columns, others)
    times = [
        _device_time_cells(worth.model, worth.device_time) for worth in worths if worth.device_time
    ]
    if times:
        factors = ("median factor", "p90 factor")
        rows = table((*of_pair, "against", "rows", *factors), times)
        yield "Device time of fp8_block", DEVICE_TIME, rows
    choices = [_choice_cells(worth.model, choice) for worth in worths for choice in worth.choices]
    if choices:
        choice_head = ("model", "dtype", "timed", "back ends", "shapes", "mean", "p10")
        more = ("always the same one, mean", "p10 of it")
        yield "Choice of a back end", CHOICE, table((*choice_head, *more), choices)


def _runtime_cells(model: str, one: StratumWorth) -> tuple[str, ...]:
    errors = one.errors
    counts = (f"{one.n_collections}", f"{errors.n}")
    figures = (_percent(part) for part in (errors.mean_ape, errors.median_ape, errors.p90_ape))
    return (model, one.dtype, one.unit, *counts, *figures, *_cells(one.repeatability, _DISTANCES))


def _interval_cells(model: str, one: StratumWorth, score: IntervalScore) -> tuple[str, ...]:
    head = (model, one.dtype, one.unit, f"{score.n_collections}")
    factor = distance = "-"
    if one.least is not None and np.isfinite(one.least.factor):
        factor, distance = f"{one.least.factor:.3f}", _percent(one.least.distance)
    return (*head, *_cells(score, _INTERVALS), score.least_of, factor, distance)


def _others_cells(model: str, one: StratumWorth, score: IntervalScore) -> tuple[str, ...]:
    head = (model, one.dtype, one.unit, f"{score.n_collections}")
    return (*head, *_cells(score, _BY_OTHERS), score.least_of)


def _cells(known: object, names: Iterable[str]) -> list[str]:
    return [_percent(getattr(known, name)) for name in names]


def _device_time_cells(model: str, one: DeviceTime) -> tuple[str, ...]:
    factors = (f"{one.median:.3f}", f"{one.p90:.3f}")
    return (model, one.dtype, one.back_end, " ".join(one.others), f"{one.n}", *factors)


def _choice_cells(model: str, one: BackEndChoice) -> tuple[str, ...]:
    figures = (one.mean, one.p10, one.always_mean, one.always_p10)
    head = (model, one.dtype, one.timed, " ".join(one.back_ends), f"{one.n_shapes}")
    return (*head, *(_percent(figure) for figure in figures))


def _mean(values: Iterable[float]) -> float:
    """Return the mean of what is known; NaN where nothing is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _percent(value: float) -> str:
    return f"{value:.2%}" if np.isfinite(value) else "-"

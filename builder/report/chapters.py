"""The chapters of a report: its figures, in order, from the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .. import figures
from ..dataset import Dataset, Points, points_of
from ..errors import DatasetError
from ..evaluate import TileCosts, tile_costs
from ..figures import LeftOut, Picture, Shown
from ..train import power_rows
from .evidence import Evidence, Rows

_STUDY = (
    "The GPPerf study's tables, of an RTX 4070 (no licence is stated; figures alone): first "
    "launches of processes, each timed once, and the power of whole processes."
)


@dataclass(frozen=True)
class Chapter:
    """Figures of one kind. id: of its section."""

    id: str
    title: str
    shown: tuple[Shown, ...]


Draws = Callable[[], Shown]


def chapters_of(evidence: Evidence) -> list[Chapter]:
    """Return the chapters of a report."""
    return [
        _chapter("accuracy", "How good the predictions are", _accuracy(evidence)),
        _chapter("gpu", "What the GPU does", _gpu(evidence)),
        _chapter("kernels", "Tiles and kernels", _kernels(evidence)),
        _chapter("measurement", "How good the measurement is", _measurement(evidence.rows)),
    ]


def _chapter(name: str, title: str, draws: Iterable[Draws]) -> Chapter:
    return Chapter(name, title, tuple(figures.draw(one) for one in draws))


def _accuracy(evidence: Evidence) -> Iterator[Draws]:
    rows = evidence.rows
    answered, source = rows.answered, rows.source
    runtime, power = answered.runtime, answered.power
    yield partial(figures.card_errors, evidence.model.card)
    for target, answers, predicted, measured in (
        (figures.RUNTIME, runtime, runtime.runtime_s, runtime.points.runtime_s),
        (figures.POWER, power, power.power_w, power.points.power_w),
        (figures.ENERGY, power, power.energy_j, power.measured_energy_j),
    ):
        drawn = partial(
            figures.predicted_against_measured, target, answers.points, predicted, measured, source
        )
        yield _as(rows, drawn)
    yield _as(rows, partial(figures.error_shares, runtime, answered.baselines, source))
    yield _as(rows, partial(figures.errors_by_size, runtime, source))
    yield _as(rows, partial(figures.residual_maps, runtime, source))
    yield _as(rows, partial(figures.calibration, runtime, source))
    yield _as(rows, partial(figures.learning_curves, evidence.curve, rows.rows_source))


def _gpu(evidence: Evidence) -> Iterator[Draws]:
    rows, model = evidence.rows, evidence.model
    answered = rows.answered
    known = [rows.dataset.kernel(name) for name in sorted(set(answered.runtime.points.kernel))]
    yield _as(rows, partial(figures.roofline, model.gpu, answered.runtime.points, rows.rows_source))
    yield partial(figures.predicted_throughput, model, model.dtypes[0])
    yield _as(
        rows,
        partial(figures.measured_throughput, answered.runtime, answered.power, rows.rows_source),
    )
    yield _as(rows, partial(figures.waves, model.gpu, known, answered.runtime, rows.source))


def _kernels(evidence: Evidence) -> Iterator[Draws]:
    costs, source, is_ours, is_simulated = _tiles(evidence)
    for draws in (
        partial(figures.tile_costs_by_side, costs, source),
        partial(figures.tile_limits, costs, source, is_ours),
        partial(figures.tile_savings, costs, source),
    ):
        yield partial(_marked, draws, is_simulated)
    for drawn in (figures.correlations, figures.pareto):
        yield partial(_measured_or_simulated, evidence, drawn)


def _measured_or_simulated(evidence: Evidence, drawn: Callable[[Points, str], Shown]) -> Shown:
    """Draw rows with power; where there are too few, those of a simulated GPU."""
    rows = evidence.rows
    powered = power_rows([rows.dataset])
    if len(powered):
        shown = drawn(points_of(powered), rows.rows_source)
        if isinstance(shown, Picture) or rows.is_simulated:
            return _mark(shown, rows.is_simulated)
    points = points_of(power_rows([evidence.simulated]))
    return _mark(drawn(points, _simulated_source(evidence)), True)


def _tiles(evidence: Evidence) -> tuple[TileCosts, str, bool, bool]:
    """Return costs of tiles with their source: given, of the rows, or else simulated."""
    if evidence.tiles is not None:
        return evidence.tiles, _STUDY, False, False
    rows = evidence.rows
    costs = _costs_in(rows.dataset)
    if costs is not None:
        return costs, rows.rows_source, True, rows.is_simulated
    simulated = tile_costs(evidence.simulated, "f32")
    return simulated, _simulated_source(evidence), True, True


def _costs_in(dataset: Dataset) -> TileCosts | None:
    """Return the costs of the tiled kernel in the dtype with most rows; None for none."""
    is_tiled = np.char.startswith(dataset.column("kernel").astype(str), "tiled")
    counts = Counter(dataset.column("dtype")[is_tiled])
    if not counts:
        return None
    try:
        return tile_costs(dataset, counts.most_common(1)[0][0])
    except DatasetError:
        return None


def _simulated_source(evidence: Evidence) -> str:
    return f"Simulated, not measured: a simulated {evidence.model.gpu.name}."


def _measurement(rows: Rows) -> Iterator[Draws]:
    for drawn in (
        figures.repeatability,
        figures.power_windows,
        figures.clocks_and_heat,
        figures.sentinels,
    ):
        yield _as(rows, partial(drawn, rows.given, rows.given_source))


def _as(rows: Rows, draws: Draws) -> Draws:
    return partial(_marked, draws, rows.is_simulated)


def _marked(draws: Draws, is_simulated: bool) -> Shown:
    return _mark(draws(), is_simulated)


def _mark(shown: Shown, is_simulated: bool) -> Shown:
    """Return a picture that says in its title that it is a simulated GPU's, where it is."""
    if isinstance(shown, LeftOut):
        return shown
    return replace(shown, is_simulated=is_simulated)

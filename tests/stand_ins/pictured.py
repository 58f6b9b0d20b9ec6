"""What the tests of figures draw: small made-up data, the same in every run, for each figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import gpperf_lite as gp
from builder import figures
from builder.dataset import Dataset, Points
from builder.evaluate import CONFIDENCES, Answers, LearningPoint, TileCosts, tile_costs
from builder.figures import Picture, Shown, draw
from builder.train import Errors

from .built_in import built_in
from .tables import GPU, dataset_of, gemm_ms, points_at

SOURCE = "Made-up rows."
TILED = {side: f"tiled_sgemm_{side}" for side in (8, 16, 32)}


def noise(n: int, seed: int, octaves: float = 0.1) -> np.ndarray:
    """Factors around 1, the same for the same seed."""
    return np.exp2(np.random.default_rng(seed).normal(0.0, octaves, n))


@cache
def answers() -> Answers:
    """Answers to 108 points of the library, along m, n and k, with power."""
    sizes = list(product((1, 16, 100, 512, 1000, 4096), (256, 1024, 4096), (256, 1024, 2048)))
    sizes += [(m, 2048, 2048) for m in range(64, 64 * 33, 64)]
    runtime_s = np.array([gemm_ms(*size) / 1e3 for size in sizes]) * noise(len(sizes), 1, 0.02)
    points = points_at(sizes, runtime_s=runtime_s)
    power_w = 150.0 + 500.0 * np.minimum(1.0, points.flops / runtime_s / 6e14)
    points = replace(points, power_w=power_w * noise(len(sizes), 2, 0.03))
    predicted = runtime_s * noise(len(sizes), 3)
    spread = np.linspace(1.03, 1.4, len(CONFIDENCES))[:, None]
    energy_j = predicted * power_w
    return Answers(points, predicted, power_w, energy_j, predicted / spread, predicted * spread)


def baselines() -> dict[str, np.ndarray]:
    """Two baselines, one of them without an answer to some points."""
    measured = answers().points.runtime_s
    forest = measured * noise(len(measured), 4, 0.4)
    forest[:5] = np.nan
    return {"study": forest, "roofline": 0.6 * measured}


def curve() -> list[LearningPoint]:
    """The learning curves of two methods."""
    return [
        LearningPoint(method, "bf16", n, Errors(50, error / n**0.5, 0.01, 0.1, 0.0, 1.0))
        for n in (4, 8, 16)
        for method, error in (("ours", 0.2), ("study", 0.8))
    ]


@cache
def session() -> Dataset:
    """80 rows as a collection leaves them: bursts, lasting load, and a sentinel in between."""
    n = 80
    number = np.arange(n)
    is_long = number % 2 == 1
    m = np.where(number % 10 < 2, 1024, 64 * (1 + number % 30))
    runtime_s = np.array([gemm_ms(int(one), 1024, 1024) / 1e3 for one in m]) * noise(n, 5, 0.01)
    power_w = np.where(is_long, 200.0 + 5.0 * (number % 30) + noise(n, 6), np.nan)
    return dataset_of(
        n, m=m.tolist(), n=1024, k=1024, runtime_s=runtime_s.tolist(),
        runtime_iqr_s=(0.004 * runtime_s * noise(n, 7, 0.8)).tolist(),
        regime=["sustained" if one else "burst" for one in is_long],
        role=["sentinel" if one < 2 else "point" for one in number % 10],
        started_s=(3.0 * number).tolist(), power_w=power_w.tolist(),
        power_window_s=np.where(is_long, 1.0 + (number % 4), np.nan).tolist(),
        power_limit_w=[700.0] * n, sm_clock_hz=(1.98e9 - 2e6 * (number % 40)).tolist(),
        temperature_c=(40.0 + 10.0 * np.tanh(number / 20.0)).tolist(),
        throttle=[["power_cap"] if one % 20 == 0 else [] for one in number],
    )  # fmt: skip


@cache
def tiles() -> TileCosts:
    """Costs of three sides of the tiled kernel on eight GEMMs."""
    sizes = list(product((512, 1024), (512, 1024), (512, 2048)))
    rows = [(side, *size) for side in TILED for size in sizes]
    slowness = {8: 9.0, 16: 3.0, 32: 1.0}
    runtime_s = [40.0 * slowness[side] * gemm_ms(*size) / 1e3 for side, *size in rows]
    columns: dict[str, Any] = {
        "kernel": [TILED[side] for side, *_ in rows],
        "dtype": "f32",
        "layout": "nn",
        **{name: [row[at] for row in rows] for at, name in enumerate("mnk", 1)},
    }
    burst = dataset_of(len(rows), runtime_s=runtime_s, regime="burst", **columns)
    power_w = [150.0 + 4.0 * side + 10.0 * (at % 3) for at, (side, *_) in enumerate(rows)]
    lasting = dataset_of(
        len(rows), runtime_s=runtime_s, power_w=power_w, regime="sustained", **columns
    )
    from builder.dataset import concatenate

    return tile_costs(concatenate([burst, lasting]), "f32")


def contestants() -> Points:
    """One GEMM on six kernels, with power."""
    names = ["library", *TILED.values(), "cutlass_a", "cutlass_b"]
    times = np.array([2.2e-4, 4e-4, 3e-4, 2.6e-4, 2.0e-4, 2.1e-4])
    return points_at(
        [(1024, 1024, 1024)] * len(names),
        kernel=np.array(names, object),
        runtime_s=times,
        power_w=np.array([310.0, 300.0, 320.0, 330.0, 420.0, 350.0]),
    )


def model() -> gp.Model:
    """A built-in model that knows power."""
    return built_in("h200_sxm")


def _predicted(target: Any) -> Shown:
    one = answers()
    predicted, measured = {
        "runtime": (one.runtime_s, one.points.runtime_s),
        "power": (one.power_w, one.points.power_w),
        "energy": (one.energy_j, one.measured_energy_j),
    }[target.name]
    return figures.predicted_against_measured(target, one.points, predicted, measured, SOURCE)


FIGURES: dict[str, Callable[[], Shown]] = {
    "card-errors": lambda: figures.card_errors(model().card),
    "predicted-runtime": lambda: _predicted(figures.RUNTIME),
    "predicted-power": lambda: _predicted(figures.POWER),
    "predicted-energy": lambda: _predicted(figures.ENERGY),
    "error-shares": lambda: figures.error_shares(answers(), baselines(), SOURCE),
    "errors-by-size": lambda: figures.errors_by_size(answers(), SOURCE),
    "residual-maps": lambda: figures.residual_maps(answers(), SOURCE),
    "calibration": lambda: figures.calibration(answers(), SOURCE),
    "learning-curves": lambda: figures.learning_curves(curve(), SOURCE),
    "roofline": lambda: figures.roofline(GPU, answers().points, SOURCE),
    "throughput": lambda: figures.measured_throughput(answers(), answers(), SOURCE),
    "throughput-predicted": lambda: figures.predicted_throughput(model(), "bf16"),
    "waves": lambda: figures.waves(GPU, model().kernels, answers(), SOURCE),
    "tile-sizes": lambda: figures.tile_costs_by_side(tiles(), SOURCE),
    "tile-limits": lambda: figures.tile_limits(tiles(), SOURCE, is_ours=True),
    "tile-savings": lambda: figures.tile_savings(tiles(), SOURCE),
    "correlations": lambda: figures.correlations(answers().points, SOURCE),
    "pareto": lambda: figures.pareto(contestants(), SOURCE),
    "repeatability": lambda: figures.repeatability(session(), SOURCE),
    "power-windows": lambda: figures.power_windows(session(), SOURCE),
    "clocks": lambda: figures.clocks_and_heat(session(), SOURCE),
    "sentinels": lambda: figures.sentinels(session(), SOURCE),
}
"""Each figure by its name, drawn of data that it has enough of."""


def picture(name: str) -> Picture:
    """Draw one figure of FIGURES."""
    shown = draw(FIGURES[name])
    assert isinstance(shown, Picture), shown
    return shown

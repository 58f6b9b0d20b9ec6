"""Figures: data in, a `Picture` out, which is one question, its answer in numbers and a plot.

Where there is no data for one, a `LeftOut` says why; no axes are ever empty. Those of `accuracy`
take `Answers`, those of `tiles` `TileCosts`, those of `session` the rows of a `Dataset`.
"""

from .accuracy import (
    ENERGY,
    METHOD_NAMES,
    POWER,
    RUNTIME,
    calibration,
    error_shares,
    errors_by_size,
    learning_curves,
    predicted_against_measured,
    residual_maps,
)
from .card import card_errors
from .hardware import measured_throughput, predicted_throughput, roofline, waves
from .kernels import correlations, pareto
from .picture import LeftOut, Picture, Shown, draw
from .session import clocks_and_heat, power_windows, repeatability, sentinels
from .tiles import tile_costs_by_side, tile_limits, tile_savings

__all__ = [
    "ENERGY",
    "METHOD_NAMES",
    "POWER",
    "RUNTIME",
    "LeftOut",
    "Picture",
    "Shown",
    "calibration",
    "card_errors",
    "clocks_and_heat",
    "correlations",
    "draw",
    "error_shares",
    "errors_by_size",
    "learning_curves",
    "measured_throughput",
    "pareto",
    "power_windows",
    "predicted_against_measured",
    "predicted_throughput",
    "repeatability",
    "residual_maps",
    "roofline",
    "sentinels",
    "tile_costs_by_side",
    "tile_limits",
    "tile_savings",
    "waves",
]

"""Calibrating: a model of one GPU from the generic model and few measured points.

`points_to_measure` chooses them before anything is measured, `choose` from measured ones.
`build_calibrated` writes the file of the calibrated model, `calibrate_generic` makes its artefact,
`calibrate_estimator` does one dtype.
"""

from .calibrated_model import calibrate_generic
from .calibration import calibrate_estimator
from .model_file import build_calibrated
from .points_to_measure import choose, points_to_measure

__all__ = [
    "build_calibrated",
    "calibrate_estimator",
    "calibrate_generic",
    "choose",
    "points_to_measure",
]

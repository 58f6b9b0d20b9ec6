"""The estimator of power of a stratum, from one collection of it or from several.

A sensor that averages over the time before, or a window that is shorter than it should be, reads
too low, and none reads too high. So where collections of one kernel disagree about a point, the
highest of them is its label; those within a tenth of that are averaged with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gpperf_lite._estimator import Estimator

from ..dataset import Floats, Mask, Measurements, Points, measurements_of
from .estimators import accuracy_of, coverage, estimator_of, held_out, held_out_runtimes
from .intervals import conformal_interval
from .power_fit import PowerFit, fit_power, widened_below
from .runtime_fits import Held, RuntimeFits, joined_held
from .stratum import Stratum

AGREEING = 0.10
"""The distance from the highest reading up to which another counts as well."""


def power_estimator(stratum: Stratum, points: Points, fits: RuntimeFits) -> Estimator:
    """Return the estimator of power; a group is held out of runtime and power alike.

    points: of this stratum, with power, as each collection measured them.
    """
    measured = measurements_of(points, "power_w")
    known = highest(measured)
    fold = stratum.folds_of(known)
    runtime_s = held_out_runtimes(stratum, known, fold, fits)

    def predict(number: int, out: Mask) -> Floats:
        power = _fit(stratum, known.where(~out), fits, number)
        described = stratum.described(known.where(out), fits.without(number))
        return power.predict(described, runtime_s[out], stratum.gpu)

    held = Held(held_out(fold, predict), known.power_w, known, fold)
    next_ones, regimes_s = held, runtime_s
    if len(measured.collections) > 1:
        next_ones, regimes_s = _left_out(stratum, measured, fits, runtime_s)
    interval = conformal_interval(regimes_s, next_ones.misses)
    accuracy = accuracy_of(stratum.options.split, known, held.predicted_s, held.measured_s)
    accuracy |= coverage(next_ones, regimes_s) | _agreement(measured, held)
    shipped = _fit(stratum, known, fits, None)
    widened = widened_below(interval, float(known.runtime_s.min()))
    return estimator_of("power", stratum, shipped, known, widened, accuracy, ())


def highest(measured: Measurements) -> Points:
    """Return each point once, its power the mean of the readings that agree with the highest."""
    top = np.nanmax(measured.octaves, axis=0)
    near = measured.octaves >= top + np.log2(1.0 - AGREEING)
    octaves = np.where(near, measured.octaves, 0.0).sum(axis=0) / near.sum(axis=0)
    return replace(measured.points, power_w=np.exp2(octaves))


def _fit(stratum: Stratum, points: Points, fits: RuntimeFits, number: int | None) -> PowerFit:
    """Return power as some points tell it, with the runtime fit that never saw a fold."""
    fit = fits.whole if number is None else fits.without(number)
    described = stratum.described(points, fit)
    return fit_power(described, points.runtime_s, points.power_w, stratum.gpu)


def _left_out(
    stratum: Stratum, measured: Measurements, fits: RuntimeFits, runtime_s: Floats
) -> tuple[Held, Floats]:
    """Return the readings of each collection, by the others without the fold, and runtimes."""
    parts, regimes = [], []
    for name, without in _without_each(measured):
        octaves = measured.octaves[measured.collections.index(name)]
        rest = highest(without)
        fold, fold_of_rest = stratum.folds_of(measured.points), stratum.folds_of(rest)
        for number in np.unique(fold):
            asked = (fold == number) & np.isfinite(octaves)
            if not asked.any() or not (fold_of_rest != number).any():
                continue
            power = _fit(stratum, rest.where(fold_of_rest != number), fits, int(number))
            points = measured.points.where(asked)
            described = stratum.described(points, fits.without(int(number)))
            predicted_w = power.predict(described, runtime_s[asked], stratum.gpu)
            group = np.full(len(points), measured.collections.index(name))
            parts.append(Held(predicted_w, np.exp2(octaves[asked]), points, group))
            regimes.append(runtime_s[asked])
    return joined_held(parts), np.concatenate(regimes)


def _without_each(measured: Measurements) -> Iterator[tuple[str, Measurements]]:
    for name in measured.collections:
        yield name, measured.of([one for one in measured.collections if one != name])


def _agreement(measured: Measurements, held: Held) -> dict[str, object]:
    """Return the error where collections agree within 3 %, and the share of points that do."""
    several = measured.counts > 1
    apart = np.nanmax(measured.octaves, axis=0) - np.nanmin(measured.octaves, axis=0)
    agree = several & (apart <= np.log2(1.03))
    if not agree.any():
        return {"collections": list(measured.collections)}
    error = np.abs(held.predicted_s / held.measured_s - 1.0)[agree]
    return {
        "collections": list(measured.collections),
        "n_agreeing": int(agree.sum()),
        "share_agreeing": round(float(agree.sum() / several.sum()), 4),
        "median_ape_agreeing": round(float(np.median(error)), 4),
    }

"""Drift between sentinels, and the repeatability that repeats and long windows show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from ...dataset import POINT as SAME_POINT
from ...vocabulary import Flag, Status
from .state import BURST, GOLD, POINT, REPEAT, SENTINEL, SUSTAINED

Row = dict[str, Any]
"""One row as columns by name; in order of `sequence`."""

_LABEL = {BURST: "runtime_s", SUSTAINED: "power_w"}
_IDENTITY = tuple(name for name in SAME_POINT if name != "gpu")


def flag_drift(rows: Sequence[Row], limits: Mapping[str, float]) -> None:
    """Flag the rows of a regime that lie between two sentinels which are too far apart.

    limits: the largest change, as a share, of runtime (burst) and of power (sustained).
    """
    for regime, label in _LABEL.items():
        for first, second in pairwise(_sentinels(rows, regime, label)):
            if _identity(first) != _identity(second):
                continue
            if abs(second[label] / first[label] - 1.0) > limits[regime]:
                _flag(rows, regime, first["sequence"], second["sequence"])


def repeatability(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the changes in power between rows of long windows or repeats and their points' rows.

    By role: their number, and the median and the largest of the changes, as shares.
    """
    power_w = {
        _identity(row): row["power_w"]
        for row in rows
        if row["role"] == POINT and row["regime"] == SUSTAINED and row.get("power_w")
    }
    return {
        role: _summary(
            row["power_w"] / power_w[_identity(row)] - 1.0
            for row in rows
            if row["role"] == role and row.get("power_w") and _identity(row) in power_w
        )
        for role in (GOLD, REPEAT)
    }


def _sentinels(rows: Sequence[Row], regime: str, label: str) -> list[Row]:
    return [
        row
        for row in rows
        if row["role"] == SENTINEL
        and row["regime"] == regime
        and row["status"] == Status.OK
        and row.get(label)
    ]


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _IDENTITY)


def _flag(rows: Sequence[Row], regime: str, first: int, last: int) -> None:
    for row in rows:
        if row["regime"] == regime and first <= row["sequence"] <= last:
            row["flags"] = list(dict.fromkeys([*row["flags"], Flag.DRIFT]))


def _summary(changes: Iterable[float]) -> dict[str, Any]:
    known = sorted(changes, key=abs)
    if not known:
        return {"count": 0}
    return {"count": len(known), "median_change": median(known), "largest_change": known[-1]}

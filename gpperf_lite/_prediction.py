"""The answer: what one GEMM, or each of many, will cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._domain import stray_note
from ._gemm import Gemm
from ._kernel import Kernel

Interval = tuple[float, float]
FloatArray = NDArray[np.float64]

BOUNDS = ("compute", "memory", "latency")


class Prediction(NamedTuple):
    """What one GEMM will cost. What the artefact does not know is None.

    gemm, kernel: the question, and the kernel that the answer is for.
    runtime_s: of one launch; sustained_runtime_s: of one launch among many, under the power
        cap (equal to runtime_s where the artefact does not tell them apart).
    power_w: board power under sustained load.
    runtime_interval_s, power_interval_w: low and high end, at `confidence`.
    bound: "compute", "memory" or "latency": the largest part of the physical model's time.
    in_domain: whether the artefact was trained on GEMMs like this one; notes: why not.
    """

    gemm: Gemm
    kernel: Kernel
    runtime_s: float
    sustained_runtime_s: float
    runtime_interval_s: Interval
    power_w: float | None
    power_interval_w: Interval | None
    bound: str
    in_domain: bool
    notes: tuple[str, ...]
    confidence: float

    @property
    def energy_j(self) -> float | None:
        """Energy of one launch under sustained load: power_w * sustained_runtime_s."""
        return None if self.power_w is None else self.power_w * self.sustained_runtime_s

    @property
    def tflops(self) -> float:
        """Throughput: 1e12 operations per second (2 m n k batch over runtime_s)."""
        return _flops(self.gemm) / self.runtime_s / 1e12

    @property
    def tflops_per_w(self) -> float | None:
        """Efficiency under sustained load: 1e12 operations per joule."""
        energy_j = self.energy_j
        return None if energy_j is None else _flops(self.gemm) / energy_j / 1e12

    @property
    def edp_js(self) -> float | None:
        """Energy-delay product: energy_j * sustained_runtime_s."""
        energy_j = self.energy_j
        return None if energy_j is None else energy_j * self.sustained_runtime_s

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON types; the unit is in each name."""
        gemm = self.gemm
        return {
            **{name: getattr(gemm, name) for name in Gemm.__slots__},
            "kernel": self.kernel.name,
            **{name: getattr(self, name) for name in FIELDS},
            "bound": self.bound,
            "in_domain": self.in_domain,
            "notes": list(self.notes),
            "confidence": self.confidence,
        }


def _flops(gemm: Gemm) -> float:
    """Return the operations, rounded at each step as the arrays of a batch are."""
    return 2.0 * gemm.m * gemm.n * gemm.k * gemm.batch


FIELDS = (
    "runtime_s",
    "runtime_interval_s",
    "sustained_runtime_s",
    "power_w",
    "power_interval_w",
    "energy_j",
    "tflops",
    "tflops_per_w",
    "edp_js",
)
"""The figures of a prediction, in the order in which they are shown."""


@dataclass(frozen=True, eq=False)
class PredictionBatch:
    """What each of n_rows GEMMs will cost: the fields of Prediction as arrays.

    runtime_s, sustained_runtime_s, power_w: float64 arrays of shape (n_rows,).
    runtime_interval_s, power_interval_w: float64 arrays of shape (n_rows, 2).
    bound, kernel: arrays of texts of shape (n_rows,); in_domain: bool array of shape (n_rows,).
    notes: a tuple for each row. Power is None where the artefact does not know it.
    """

    flops: FloatArray
    kernel: NDArray[np.object_]
    runtime_s: FloatArray
    sustained_runtime_s: FloatArray
    runtime_interval_s: FloatArray
    power_w: FloatArray | None
    power_interval_w: FloatArray | None
    bound: NDArray[np.str_]
    in_domain: NDArray[np.bool_]
    notes: NotesByRow
    confidence: float

    def __len__(self) -> int:
        return len(self.runtime_s)

    @property
    def energy_j(self) -> FloatArray | None:
        """Energy of one launch under sustained load, float64 array of shape (n_rows,)."""
        return None if self.power_w is None else self.power_w * self.sustained_runtime_s

    @property
    def tflops(self) -> FloatArray:
        """Throughput in 1e12 operations per second, float64 array of shape (n_rows,)."""
        return self.flops / self.runtime_s / 1e12

    @property
    def tflops_per_w(self) -> FloatArray | None:
        """Efficiency in 1e12 operations per joule, float64 array of shape (n_rows,)."""
        energy_j = self.energy_j
        return None if energy_j is None else self.flops / energy_j / 1e12

    @property
    def edp_js(self) -> FloatArray | None:
        """Energy-delay product, float64 array of shape (n_rows,)."""
        energy_j = self.energy_j
        return None if energy_j is None else energy_j * self.sustained_runtime_s


class Reason(NamedTuple):
    """A note, and the rows that it holds for, bool array of shape (n_rows,).

    times: how far outside of its domain each row is, float64 array of shape (n_rows,), where the
    note is about that.
    """

    text: str
    where: NDArray[np.bool_]
    times: FloatArray | None = None

    def note(self, row: int) -> str:
        """Return what to say of a row that it holds for."""
        return self.text if self.times is None else stray_note(self.text, float(self.times[row]))


class NotesByRow:
    """The notes of each row of a batch, made when they are asked for: most rows have none."""

    def __init__(self, n_rows: int, by_reason: tuple[Reason, ...] = ()) -> None:
        self.n_rows = n_rows
        self.by_reason = by_reason

    def __repr__(self) -> str:
        return f"NotesByRow(n_rows={self.n_rows})"

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, row: int) -> tuple[str, ...]:
        if not -self.n_rows <= row < self.n_rows:
            raise IndexError(f"row {row} of {self.n_rows}")
        return tuple(reason.note(row) for reason in self.by_reason if reason.where[row])

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return (self[row] for row in range(self.n_rows))

    def none(self) -> NDArray[np.bool_]:
        """Return which rows have no note, bool array of shape (n_rows,)."""
        none = np.ones(self.n_rows, bool)
        for reason in self.by_reason:
            none &= ~reason.where
        return none

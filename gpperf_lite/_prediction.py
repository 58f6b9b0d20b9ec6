"""The prediction: runtime, power and energy of one GEMM, or of each of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import Floats
from ._domain import stray_note
from ._errors import InputError, nearest, shown
from ._gemm import Gemm
from ._kernel import Kernel

LowHigh = tuple[float, float]

BOUNDS = ("compute", "memory", "latency")


class Prediction(NamedTuple):
    """The predicted cost of one GEMM. Figures that the artefact does not know are None.

    gemm, kernel: the GEMM, and the kernel that runs it.
    runtime_s: of one launch; sustained_runtime_s: of one launch among many, under the power
        cap (equal to runtime_s where the artefact does not tell them apart).
    power_w: board power under sustained load.
    runtime_interval_s, power_interval_w: low and high end, at `confidence`.
    bound: "compute", "memory" or "latency": the largest part of the physical model's time.
    in_domain: True where the artefact was trained on GEMMs like this one.
    notes: the reasons where it was not, and other doubts, one text each.
    timed: what runtime_s covers: "gemm", the GEMM alone on operands as they are; "quantise+gemm",
        the quantising of A as well; "layer", one layer of an inference engine; "" where the
        artefact does not say. docs/backends.md tells more.
    """

    gemm: Gemm
    kernel: Kernel
    runtime_s: float
    sustained_runtime_s: float
    runtime_interval_s: LowHigh
    power_w: float | None
    power_interval_w: LowHigh | None
    bound: str
    in_domain: bool
    notes: tuple[str, ...]
    confidence: float
    timed: str = ""

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
        """Return all fields as JSON types by name; the unit is in each name."""
        gemm = self.gemm
        return {
            **{name: getattr(gemm, name) for name in Gemm.__slots__},
            "kernel": self.kernel.name,
            "timed": self.timed,
            **{name: getattr(self, name) for name in FIELDS},
            "bound": self.bound,
            "in_domain": self.in_domain,
            "notes": list(self.notes),
            "confidence": self.confidence,
        }


def _flops(gemm: Gemm) -> float:
    """Return the number of operations, rounded at each step as the arrays of a batch are."""
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

OBJECTIVES = {
    "runtime": "runtime_s",
    "energy": "energy_j",
    "edp": "edp_js",
    "power": "power_w",
}
"""What kernels may be ranked by, each with its field of Prediction: the least is the best."""


def objective_field(objective: str) -> str:
    """Return the field of Prediction of an objective, or raise InputError."""
    field = OBJECTIVES.get(objective) if isinstance(objective, str) else None
    if field is None:
        hint = nearest(str(objective), OBJECTIVES)
        allowed = " ".join(OBJECTIVES)
        raise InputError(f"objective must be one of {allowed} (got {shown(objective)}){hint}")
    return field


@dataclass(frozen=True, eq=False)
class PredictionBatch:
    """The predicted cost of each of n_rows GEMMs: the fields of Prediction as arrays.

    runtime_s, sustained_runtime_s, power_w: float64 arrays of shape (n_rows,).
    runtime_interval_s, power_interval_w: float64 arrays of shape (n_rows, 2).
    bound, kernel, timed: arrays of texts of shape (n_rows,); in_domain: bool array of that shape.
    notes: a tuple for each row. Power is None where the artefact does not know it.
    """

    flops: Floats
    kernel: NDArray[np.object_]
    runtime_s: Floats
    sustained_runtime_s: Floats
    runtime_interval_s: Floats
    power_w: Floats | None
    power_interval_w: Floats | None
    bound: NDArray[np.str_]
    in_domain: NDArray[np.bool_]
    notes: NotesByRow
    confidence: float
    timed: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.runtime_s)

    @property
    def energy_j(self) -> Floats | None:
        """Energy of one launch under sustained load, float64 array of shape (n_rows,)."""
        return None if self.power_w is None else self.power_w * self.sustained_runtime_s

    @property
    def tflops(self) -> Floats:
        """Throughput in 1e12 operations per second, float64 array of shape (n_rows,)."""
        return self.flops / self.runtime_s / 1e12

    @property
    def tflops_per_w(self) -> Floats | None:
        """Efficiency in 1e12 operations per joule, float64 array of shape (n_rows,)."""
        energy_j = self.energy_j
        return None if energy_j is None else self.flops / energy_j / 1e12

    @property
    def edp_js(self) -> Floats | None:
        """Energy-delay product, float64 array of shape (n_rows,)."""
        energy_j = self.energy_j
        return None if energy_j is None else energy_j * self.sustained_runtime_s


class Reason(NamedTuple):
    """A reason to doubt the predictions of some rows.

    text: the note; where: the rows that it holds for, bool array of shape (n_rows,).
    times: the factor by which each row is outside of its domain, float64 array of shape (n_rows,),
        where the note is about that; limit_bytes: see `_domain.Stray`.
    """

    text: str
    where: NDArray[np.bool_]
    times: Floats | None = None
    limit_bytes: float | None = None

    def note(self, row: int) -> str:
        """Return the note of a row that the reason holds for."""
        if self.times is None:
            return self.text
        return stray_note(self.text, float(self.times[row]), self.limit_bytes)


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

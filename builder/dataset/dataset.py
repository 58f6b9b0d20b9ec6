"""Datasets: measured rows in memory, the facts of their GPUs and kernels, and their provenance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpperf_lite import GpperfError, Gpu, Kernel
from gpperf_lite._descriptions import kernel_from_json, kernel_to_json

from ..errors import DatasetError
from ..vocabulary import UNUSABLE, Flag, Regime
from .schema import SCHEMA, schema_text

T = TypeVar("T")


@dataclass(frozen=True)
class Dataset:
    """Measured points and their provenance.

    table: pyarrow Table of SCHEMA.
    provenance: one object for each file that went into it.
    kernels: descriptions by name; a kernel that is missing is what its name says.
    gpus: facts by short name.
    """

    table: pa.Table
    provenance: tuple[Mapping[str, Any], ...] = ()
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    gpus: Mapping[str, Gpu] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.table.schema.equals(SCHEMA):
            raise DatasetError(f"a dataset must have the columns {schema_text(SCHEMA)}")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column as a numpy array of shape (n_rows,); null is NaN or None."""
        array: NDArray[Any] = self.table.column(name).to_numpy()
        return array

    def flags(self) -> list[list[str]]:
        """Return the flags of each row."""
        return [row or [] for row in self.table.column("flags").to_pylist()]

    def usable(self) -> Dataset:
        """Return the rows without a flag of UNUSABLE."""
        return self.where(np.array([UNUSABLE.isdisjoint(row) for row in self.flags()], bool))

    def kept_out(self) -> dict[Flag, int]:
        """Return the number of rows that each flag of UNUSABLE is on, the most frequent first."""
        counts = Counter(flag for row in self.flags() for flag in UNUSABLE if flag in row)
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    def sustained(self) -> Dataset:
        """Return the rows that were measured under lasting load."""
        return self.where(self.column("regime") == Regime.SUSTAINED)

    def not_sustained(self) -> Dataset:
        """Return the rows of all other regimes: `burst`, and others' `repeated`."""
        return self.where(self.column("regime") != Regime.SUSTAINED)

    def simulated(self) -> Dataset:
        """Return the simulated rows as if a GPU had been measured: only where that is wanted."""
        return self._with_lifted(Flag.SIMULATED)

    def host_bound(self) -> Dataset:
        """Return the host-bound rows as if the device had been timed: only where no others are."""
        return self._with_lifted(Flag.HOST_BOUND)

    def cold(self, with_short: bool = False) -> Dataset:
        """Return the first launches of processes as if they were warm, with the process's power.

        with_short: those below resolution, too. Only to compare such rows with one another.
        """
        short = (Flag.BELOW_RESOLUTION,) if with_short else ()
        return self._with_lifted(Flag.COLD, Flag.PROCESS_POWER, *short)

    def _with_lifted(self, lifted: Flag, *others: Flag) -> Dataset:
        """Return the rows with a flag, without it and without some others."""
        flags = self.flags()
        rows = self.where(np.array([lifted in row for row in flags], bool))
        gone = {lifted, *others}
        kept = [[flag for flag in row if flag not in gone] for row in flags if lifted in row]
        return rows.with_flags(kept)

    def with_flags(self, flags: Sequence[Sequence[str]]) -> Dataset:
        """Return the same rows with these flags in place of theirs."""
        field = SCHEMA.field("flags")
        column = pa.array([list(row) for row in flags], field.type)
        index = SCHEMA.get_field_index("flags")
        return replace(self, table=self.table.set_column(index, field, column))

    def where(self, keep: NDArray[np.bool_]) -> Dataset:
        """Return the rows where `keep`, bool array of shape (n_rows,), is true."""
        return replace(self, table=self.table.filter(pa.array(keep)))

    def of_dtypes(self, dtypes: Sequence[str]) -> Dataset:
        """Return the rows of some dtypes; raises DatasetError for one that has none."""
        column = self.column("dtype")
        missing = sorted(set(dtypes) - set(column))
        if missing:
            known = " ".join(sorted(set(column)))
            raise DatasetError(f"no row is of dtype {' '.join(missing)}: there are {known}")
        return self.where(np.isin(column.astype(str), list(dtypes)))

    def kernel(self, name: str) -> Kernel:
        """Return the description of a kernel: the dataset's, or else what its name says.

        Raises InputError where it is not described and its name says nothing.
        """
        return self.kernels.get(name) or Kernel.from_name(name)


def chosen_rows(datasets: Sequence[Dataset], *, simulated: bool) -> list[Dataset]:
    """Return the simulated rows of datasets as if measured, or all rows of all, as is asked.

    Raises DatasetError where simulated rows are asked for and there are none.
    """
    if not simulated:
        return list(datasets)
    chosen = [dataset.simulated() for dataset in datasets]
    n_rows = sum(map(len, datasets))
    if n_rows and not any(map(len, chosen)):
        raise DatasetError(f"none of the {n_rows} rows is simulated: leave --simulated out")
    return chosen


@lru_cache(maxsize=4096)
def is_storable(kernel: Kernel) -> bool:
    """Return True where a dataset that describes this kernel can be read back."""
    try:
        return kernel_from_json(json.loads(json.dumps(kernel_to_json(kernel)))) == kernel
    except GpperfError:
        return False


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """Return all rows of several datasets, in order.

    Raises DatasetError where they describe one kernel or one GPU differently.
    """
    if not datasets:
        raise DatasetError("there is no dataset to join: name at least one file")
    return Dataset(
        pa.concat_tables([dataset.table for dataset in datasets]),
        tuple(entry for dataset in datasets for entry in dataset.provenance),
        _union("kernel", [dataset.kernels for dataset in datasets]),
        _union("GPU", [dataset.gpus for dataset in datasets]),
    )


def _union(what: str, parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    union: dict[str, T] = {}
    for part in parts:
        for name, value in part.items():
            if union.setdefault(name, value) != value:
                raise DatasetError(f"the datasets describe the {what} {name!r} differently")
    return union

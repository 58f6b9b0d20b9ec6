"""fp32 GEMMs of the NeuSight study (CSV), one row an eager call of PyTorch.

Its K are the columns of the result and its N is the length of the sums (neusight/Dataset/collect.py
of the study; the grids of all its kernels say so, too). `linear` multiplies row-major activations
(B M) x N with weights K x N: layout `tn`; cuBLASLt adds the bias in the same kernel. `bmm`
multiplies row-major B x M x N with row-major B x N x K: layout `tt`. All of it ran in plain fp32
(every kernel is an `sgemm`). The figure is the mean of the 5 shortest of 25 calls, each between two
events and waited for, so that one below 30 us is that of the launch.

A table is read in one of two ways: every row as one of the library, or of the kernel that cuBLAS
chose. For the latter, what was launched must be that kernel: its layout, its threads, and a grid
of its tiles, as many times over as it has slices along k. The slices are joined by the kernel
itself or by `splitKreduce_kernel`; both take equally long, within what a forest finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import InputError, Kernel

from ..dataset import Dataset, table_of
from ..vocabulary import Flag, Regime
from .cells import CsvRow, UnusableError, read_rows, seconds, sizes
from .report import OTHER_GPU, ImportReport, one_gpu

LICENCE = "MIT (NeuSight)"
_COLUMNS = {"OPName", "Latency", "Device", "Torch Version", "Kernel Name", "B", "M", "N", "K"}
_LAUNCH = {f"{part} {axis}" for part in ("Grid", "Block") for axis in "xyz"} | {"Kernels"}
_RESOLUTION_S = 30e-6
_LAYOUTS = {"linear": "tn", "bmm": "tt"}
_CALLS = {"linear": "torch.nn.Linear", "bmm": "torch.bmm"}
_CONSTANT = {"regime": Regime.BURST, "dtype": "f32", "alpha": 1.0, "beta": 0.0}
_REDUCE = "void splitkreduce_kernel<"

_Row = dict[str, Any]
_Kernels = dict[str, Kernel]


def import_neusight(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one NeuSight table of `linear` or `bmm`, as GEMMs of the library."""
    return _imported(path, gpu, ImportReport("neusight", path, LICENCE), _COLUMNS, _of_library)


def import_neusight_kernels(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one NeuSight table of `linear` or `bmm`, as GEMMs of the kernels that cuBLAS chose."""
    report = ImportReport("neusight-kernels", path, LICENCE)
    return _imported(path, gpu, report, _COLUMNS | _LAUNCH, _of_kernel)


def _imported(
    path: Path,
    gpu: str | None,
    report: ImportReport,
    columns: set[str],
    completed: Callable[[CsvRow, _Row, _Kernels], _Row],
) -> tuple[Dataset, ImportReport]:
    """Read a table that has the columns; completed: adds to a row what ran it, and to kernels."""
    lines = read_rows(path, "no NeuSight table", columns)
    devices = {line.cells["Device"] for line in lines if not line.fault}
    short, facts, names = one_gpu(path, devices, gpu)
    rows, kernels = [], _Kernels()
    for line in lines:
        try:
            row = completed(line, _row(line, names), kernels)
        except UnusableError as reason:
            report.drop(str(reason))
            continue
        report.flagged.update(row["flags"])
        rows.append(row)
    report.taken = len(rows)
    report.version = ", ".join(sorted({row["source_version"] for row in rows}))
    report.notes.append("linear is read as layout tn, bmm as layout tt, both f32, beta 0")
    report.notes.append("K of the table is n, the columns of the result, and its N is k")
    shared = {"gpu": short, "source": path.name, **_CONSTANT}
    table = table_of(
        {name: [row[name] for row in rows] for name in (rows[0] if rows else ())} | shared,
        len(rows),
    )
    return Dataset(table, (report.provenance(),), kernels, {short: facts}), report


def _row(line: CsvRow, names: Collection[str]) -> _Row:
    """Return a row of the GPU of these names."""
    cells = line.cells
    line.check()
    if cells["Device"] not in names:
        raise UnusableError(OTHER_GPU)
    layout = _LAYOUTS.get(cells["OPName"])
    if layout is None:
        raise UnusableError("its OPName is neither linear nor bmm")
    if "sgemm" not in cells["Kernel Name"]:
        raise UnusableError(f"kernel {cells['Kernel Name']!r} is no fp32 GEMM")
    batch, m, k, n = sizes(*(cells[name] for name in "BMNK"))
    if layout == "tn":
        batch, (m,) = 1, sizes(str(batch * m))
    runtime_s = seconds(cells["Latency"])
    return {
        "m": m,
        "n": n,
        "k": k,
        "batch": batch,
        "layout": layout,
        "runtime_s": runtime_s,
        "flags": [Flag.BELOW_RESOLUTION] if runtime_s < _RESOLUTION_S else [],
        "source_version": cells["Torch Version"],
        "source_row": line.line,
    }


def _of_library(line: CsvRow, row: _Row, kernels: _Kernels) -> _Row:
    return row | {"kernel": "library", "provider": line.cells["Kernel Name"]}


def _of_kernel(line: CsvRow, row: _Row, kernels: _Kernels) -> _Row:
    """Return a row of the kernel that ran it, which is put into `kernels`."""
    cells = line.cells
    try:
        kernel = Kernel.from_name(cells["Kernel Name"])
    except InputError as error:
        raise UnusableError(f"nothing is known of kernel {cells['Kernel Name']!r:.60}") from error
    if kernel.family != "cublas":
        raise UnusableError(f"kernel {kernel.name!r:.60} is none of cuBLAS")
    others = _launched_beside(kernel, cells["Kernels"])
    if any(not other.startswith(_REDUCE) for other in others):
        raise UnusableError("other kernels ran in its time, too")
    if kernel.layout != row["layout"]:
        raise UnusableError("its kernel is for another layout than that of its OPName")
    threads = math.prod(sizes(*(cells[f"Block {axis}"] for axis in "xyz")))
    if kernel.threads not in (None, threads):
        raise UnusableError("its blocks have other threads than its kernel")
    slices = _slices(kernel, row, *sizes(*(cells[f"Grid {axis}"] for axis in "xyz")))
    if slices is None or (others and slices == 1):
        raise UnusableError("its grid is none of its kernel's tiles")
    name = f"{kernel.name}_splitk{slices}" if slices > 1 else kernel.name
    kernel = replace(kernel, name=name, threads=threads, split_k=slices)
    if kernels.setdefault(name, kernel) != kernel:
        raise UnusableError("its kernel is described differently elsewhere in the table")
    return row | {"kernel": name, "provider": _CALLS[cells["OPName"]]}


def _launched_beside(kernel: Kernel, launched: str) -> list[str]:
    """Return the names of all that ran but the kernel itself, once; they are in lower case."""
    names = [name.strip() for name in launched.split(";") if name.strip()]
    if kernel.name.lower() not in names:
        raise UnusableError("its kernel is not among those that ran")
    names.remove(kernel.name.lower())
    return names


def _slices(kernel: Kernel, row: _Row, x: int, y: int, z: int) -> int | None:
    """Return the slices along k of a grid; None where it is no grid of the kernel's tiles.

    Its x goes along the tiles of n, y along those of m, z along batch and slices. The oldest
    kernels, without a generation in their names, number their tiles in an order of their own.
    """
    assert kernel.tile is not None
    across, down = -(-row["n"] // kernel.tile.n), -(-row["m"] // kernel.tile.m)
    batch: int = row["batch"]
    if kernel.name.startswith("sgemm"):
        return 1 if x * y * z == across * down * batch else None
    return z // batch if (x, y, z % batch) == (across, down, 0) else None

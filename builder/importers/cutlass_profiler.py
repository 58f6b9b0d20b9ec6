"""GEMM results of `cutlass_profiler` (CSV) of any release: columns are found by name.

Releases differ in which columns there are and in their order; `--tags` puts columns in front;
rows that failed have blank tails. What is pasted from a terminal has the profiler's log in front,
and a header for each kind of operation. Runtime is in ms; several GPUs add `Runtime_<i>`, and
`Runtime` is then their mean (tools/profiler/src/operation_profiler.cu of CUTLASS 4). Operands read
like `f16:column`: column-major is `n` in a layout, row-major `t`; `cutlass_operands` says what was
multiplied. The table does not name the GPU.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import InputError, Kernel
from gpperf_lite._kernel import Tile, Warps, shared_by_warps

from ..dataset import Dataset, is_storable, table_of
from ..vocabulary import Flag, Regime
from .cells import CsvRow, UnusableError, read_rows, scalar, seconds, sizes
from .cutlass_operands import name_as_it_ran, operands
from .report import ImportReport, named_gpu

LICENCE = "the measurer's"
_COLUMNS = {"Operation", "Status", "m", "n", "k", "A", "B", "C", "Runtime"}
_OPERATION_KINDS = {"gemm", "block_scaled_gemm", "blockwise_gemm"}
_GEMM_KINDS = {"", "gemm", "universal"}
_NOT_RUN = {"not_run", "not_supported", "invalid_problem", "invalid"}
_USUAL_WORDS = (
    ("raster_order", frozenset({"", "heuristic"})),
    ("split_k_mode", frozenset({"", "serial"})),
)
"""Arguments of a run that are words, and which of them a name does not tell."""


def import_cutlass_profiler(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one CSV of cutlass_profiler; `gpu` says where it was measured."""
    short, facts = named_gpu(path, gpu, ", in a recipe with gpu")
    report = ImportReport("cutlass-profiler", path, LICENCE)
    rows, kernels = _rows(read_rows(path, "no GEMM table of cutlass_profiler", _COLUMNS), report)
    report.taken = len(rows)
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    shared = {"gpu": short, "provider": "cutlass_profiler", "regime": Regime.REPEATED}
    # Its files are of one collection, however many there are.
    shared["software"] = "cutlass_profiler"
    table = table_of(columns | shared | {"source": path.name}, len(rows))
    return Dataset(table, (report.provenance(),), kernels, {short: facts}), report


def _rows(
    lines: Sequence[CsvRow], report: ImportReport
) -> tuple[list[dict[str, Any]], dict[str, Kernel]]:
    """Return the rows that can be taken, and their kernels by name."""
    rows: list[dict[str, Any]] = []
    kernels: dict[str, Kernel] = {}
    medians: set[str] = set()
    for line in lines:
        try:
            timings = _timings(line)
            kernel, row = _row(line, timings)
        except UnusableError as reason:
            report.drop(str(reason))
            continue
        if kernels.setdefault(kernel.name, kernel) != kernel:
            report.drop("its kernel is described differently elsewhere in the table")
            continue
        report.flagged.update(row["flags"])
        rows.append(row)
        medians.update([", ".join(timings)] if len(timings) > 1 else [])
    report.notes += [f"the runtime is the median of {names}" for names in sorted(medians)]
    return rows, kernels


def _timings(line: CsvRow) -> list[str]:
    """Return the columns that have the runtimes of a row: one a GPU, where there are several."""
    # Few columns begin so, and the pattern would be tried on every one of each row.
    found = [
        name
        for name in line.cells
        if name.startswith("Runtime_") and re.fullmatch(r"Runtime_[0-9]+", name)
    ]
    return found or ["Runtime"]


def _row(line: CsvRow, timings: Sequence[str]) -> tuple[Kernel, dict[str, Any]]:
    cells = line.cells
    if not cells["Operation"]:
        raise UnusableError(line.fault or "it names no operation")
    if cells.get("Provider", "").lower() not in ("", "cutlass"):
        raise UnusableError("it was run by something else than CUTLASS")
    kind = cells.get("gemm_kind", "")
    is_gemm = cells.get("OperationKind", "gemm") in _OPERATION_KINDS and kind in _GEMM_KINDS
    if not is_gemm or re.search(r"sptensorop|spgemm", cells["Operation"]):
        raise UnusableError("not a plain dense GEMM")
    disposition = cells.get("Disposition", "")
    if cells["Status"] != "success" or disposition in _NOT_RUN:
        raise UnusableError("it did not run")
    line.check()
    dtype, layout = operands(cells)
    m, n, k, batch = sizes(cells["m"], cells["n"], cells["k"], cells.get("batch_count") or "1")
    kernel = _kernel(cells, dtype, layout)
    if not is_storable(kernel):
        raise UnusableError("its kernel is described by figures that cannot be")
    runtimes = [seconds(cells[name]) for name in timings]
    several = len(runtimes) > 1
    has_failed = disposition in ("incorrect", "failed")
    return kernel, {
        "kernel": kernel.name,
        "m": m,
        "n": n,
        "k": k,
        "batch": batch,
        "dtype": dtype,
        "layout": layout,
        "alpha": scalar(cells.get("alpha") or "1"),
        "beta": scalar(cells.get("beta") or "0"),
        "runtime_s": statistics.median(runtimes),
        "runtime_min_s": min(runtimes) if several else None,
        "runtime_max_s": max(runtimes) if several else None,
        "n_repeats": len(runtimes) if several else None,
        "flags": [Flag.FAILED] if has_failed else [],
        "source_row": line.line,
    }


def _kernel(cells: dict[str, str], dtype: str, layout: str) -> Kernel:
    """Return the kernel that the name describes, completed by the table's own columns."""
    name = cells["Operation"]
    family = "cutlass3" if name.startswith("cutlass3x") else "cutlass2"
    try:
        kernel = Kernel.from_name(name_as_it_ran(cells))
    except InputError:
        kernel = Kernel(name, family, dtype, layout)
    tile, warps = _tile(cells, "cta") or kernel.tile, _tile(cells, "warps")
    warp_tile, threads = kernel.warp_tile, kernel.threads
    if warps is not None:
        try:
            warp_tile, threads = shared_by_warps(name, tile, Warps(*warps))
        except InputError as error:
            raise UnusableError("its warps cannot share its tile evenly") from error
    alignment = re.search(r"_align([1-9][0-9]{0,4})(?:_|$)", name)
    split_k = _count(cells, "split_k_slices") or 1
    swizzle = _count(cells, "swizzle_size") or kernel.swizzle
    # These are arguments of a run, not of the template, so one operation has them in many values.
    suffix = f"_splitk{split_k}" if split_k > 1 else ""
    suffix += f"_swizzle{swizzle}" if (swizzle or 1) > 1 else ""
    suffix += "".join(_word_of(cells, column, usual) for column, usual in _USUAL_WORDS)
    return replace(
        kernel,
        name=name + suffix,
        dtype=dtype,
        layout=layout,
        alignment=int(alignment[1]) if alignment else kernel.alignment,
        tile=tile,
        warp_tile=warp_tile,
        instruction=_tile(cells, "inst") or kernel.instruction,
        stages=_count(cells, "stages") or kernel.stages,
        swizzle=swizzle,
        split_k=split_k,
        cluster=_tile(cells, "cluster") or kernel.cluster,
        threads=threads,
    )


def _word_of(cells: dict[str, str], column: str, usual: frozenset[str]) -> str:
    """Return the end of a kernel's name that tells a run's argument; none where it is usual."""
    word = cells.get(column, "").lower()
    return "" if word in usual or not word.isidentifier() else f"_{word}"


def _tile(cells: dict[str, str], prefix: str) -> Tile | None:
    m, n, k = (_count(cells, f"{prefix}_{axis}") for axis in "mnk")
    return Tile(m, n, k) if m and n and k else None


def _count(cells: dict[str, str], name: str) -> int | None:
    """Return a number of things; None where the cell holds none, or zero for "any"."""
    text = cells.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

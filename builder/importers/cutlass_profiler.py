"""GEMM results of `cutlass_profiler` (CSV) of any release: columns are found by name.

Releases differ in which columns there are and in their order; `--tags` puts columns in front;
several GPUs add `Runtime_<i>`; rows that failed have blank tails. Runtime is in ms. Operands read
like `f16:column`: column-major is `n` in a layout, row-major `t`. The table does not name the GPU.
"""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import InputError, Kernel
from gpperf_lite._kernel import Tile, operand_dtype

from ..dataset import Dataset, table_of
from ..errors import SourceError
from ..gpus import find_gpu
from .report import ImportReport

LICENCE = "the measurer's"
_COLUMNS = {"Operation", "Status", "m", "n", "k", "A", "B", "C"}
_GEMM_KINDS = {"", "gemm", "universal"}
_LETTERS = {"column": "n", "row": "t"}


def import_cutlass_profiler(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one CSV of cutlass_profiler; `gpu` says where it was measured."""
    if gpu is None:
        raise SourceError(f"{path} does not say which GPU it was measured on: name it with --gpu")
    short, facts = find_gpu(gpu)
    report = ImportReport("cutlass-profiler", path, LICENCE)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file, restval="")
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        timings = [name for name in names if re.fullmatch(r"Runtime(_\d+)?", name)]
        missing = _COLUMNS - set(names)
        if missing or not timings:
            lacking = sorted(missing) or ["Runtime"]
            raise SourceError(f"{path} is no GEMM table of cutlass_profiler: it lacks {lacking}")
        rows, kernels = _rows(reader, timings, report)
    report.taken = len(rows)
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    shared = {"gpu": short, "provider": "cutlass_profiler", "regime": "repeated"}
    table = table_of(columns | shared | {"source": path.name}, len(rows))
    return Dataset(table, (report.provenance(),), kernels, {short: facts}), report


def _rows(
    reader: csv.DictReader[str], timings: list[str], report: ImportReport
) -> tuple[list[dict[str, Any]], dict[str, Kernel]]:
    """Return the rows that can be taken, and their kernels by name."""
    rows: list[dict[str, Any]] = []
    kernels: dict[str, Kernel] = {}
    for line in reader:
        try:
            kernel, row = _row(line)
        except _Unusable as reason:
            report.drop(str(reason))
            continue
        runtimes = [time for name in timings if (time := _positive(line[name])) is not None]
        if not runtimes:
            report.drop("no runtime")
            continue
        known = kernels.setdefault(kernel.name, kernel)
        if known != kernel:
            report.drop("its kernel is described differently elsewhere in the table")
            continue
        flags = ["failed"] if line.get("Disposition") in ("incorrect", "failed") else []
        for runtime_ms in runtimes:
            report.flagged.update(flags)
            extra = {"runtime_s": runtime_ms / 1e3, "flags": flags, "source_row": reader.line_num}
            rows.append(row | extra)
    if len(timings) > 1:
        report.notes.append(f"each of {', '.join(timings)} became a row of its own")
    return rows, kernels


class _Unusable(Exception):
    """A row that cannot be taken; the text is the reason that the report counts."""


def _row(line: dict[str, str]) -> tuple[Kernel, dict[str, Any]]:
    if line.get("OperationKind", "gemm") != "gemm" or line.get("gemm_kind", "") not in _GEMM_KINDS:
        raise _Unusable("not a plain dense GEMM")
    if line["Status"] != "success" or line.get("Disposition") == "not_run":
        raise _Unusable("it did not run")
    dtype, layout = _operands(line)
    try:
        sizes = {name: int(line[name]) for name in ("m", "n", "k")}
        batch = int(line.get("batch_count") or 1)
        alpha, beta = float(line.get("alpha") or 1), float(line.get("beta") or 0)
    except ValueError as error:
        raise _Unusable("a number that cannot be read") from error
    if min(*sizes.values(), batch) < 1:
        raise _Unusable("a size of zero or below")
    kernel = _kernel(line, dtype, layout)
    scalars = {"batch": batch, "alpha": alpha, "beta": beta, "dtype": dtype, "layout": layout}
    return kernel, {"kernel": kernel.name, **sizes, **scalars}


def _operands(line: dict[str, str]) -> tuple[str, str]:
    """Return dtype and layout, from operands such as `f16:column`."""
    types, letters = [], ""
    for name in ("A", "B"):
        kind, _, order = line[name].partition(":")
        if order not in _LETTERS:
            raise _Unusable(f"operand {name} has a layout that is not column or row")
        letters += _LETTERS[order]
        types.append(kind)
    # "f32" operands of a tensor-core kernel are multiplied as tf32, as its name says.
    if types == ["f32", "f32"] and "tf32gemm" in line["Operation"]:
        types = ["tf32", "tf32"]
    try:
        dtypes = {operand_dtype(kind) for kind in types}
    except InputError as error:
        raise _Unusable(f"operand type {'/'.join(types)} is not known here") from error
    if len(dtypes) != 1:
        raise _Unusable("A and B have different types")
    return dtypes.pop(), letters


def _kernel(line: dict[str, str], dtype: str, layout: str) -> Kernel:
    """Return the kernel that the name describes, completed by the table's own columns."""
    name = line["Operation"]
    family = "cutlass3" if name.startswith("cutlass3x") else "cutlass2"
    try:
        kernel = Kernel.from_name(name)
    except InputError:
        kernel = Kernel(name, family, dtype, layout)
    split_k = _count(line.get("split_k_slices", "")) or 1
    swizzle = _count(line.get("swizzle_size", "")) or kernel.swizzle
    # Both are arguments of a run, not of the template, so one operation has them in many values.
    suffix = f"_splitk{split_k}" if split_k > 1 else ""
    suffix += f"_swizzle{swizzle}" if (swizzle or 1) > 1 else ""
    return replace(
        kernel,
        name=name + suffix,
        dtype=dtype,
        layout=layout,
        tile=_tile(line, "cta") or kernel.tile,
        instruction=_tile(line, "inst") or kernel.instruction,
        stages=_count(line.get("stages", "")) or kernel.stages,
        swizzle=swizzle,
        split_k=split_k,
        cluster=_tile(line, "cluster") or kernel.cluster,
    )


def _tile(line: dict[str, str], prefix: str) -> Tile | None:
    extents = [_count(line.get(f"{prefix}_{axis}", "")) for axis in "mnk"]
    m, n, k = extents
    return Tile(m, n, k) if m and n and k else None


def _count(text: str) -> int | None:
    return int(text) if text.strip().isdigit() and int(text) > 0 else None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None

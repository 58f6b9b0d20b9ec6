"""fp32 library GEMMs of the NeuSight study (CSV), one row an eager call.

`linear` multiplies row-major activations (B M) x K with weights N x K: layout `tn`. `bmm` multiplies
row-major B x M x K with row-major B x K x N: layout `tt`. All of it ran in plain fp32 (every kernel
is an `sgemm`). One eager call each, so a figure below 30 us is that of the launch, not the kernel.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ..dataset import Dataset, table_of
from ..errors import SourceError
from ..gpus import find_gpu
from .report import ImportReport

LICENCE = "MIT (NeuSight)"
_COLUMNS = {"OPName", "Latency", "Device", "Torch Version", "Kernel Name", "B", "M", "N", "K"}
_RESOLUTION_S = 30e-6


def import_neusight(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one NeuSight table of `linear` or `bmm`."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = _COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise SourceError(f"{path} is no NeuSight table: it lacks {sorted(missing)}")
        lines = list(reader)
    devices = sorted({line["Device"] for line in lines})
    if len(devices) != 1:
        raise SourceError(f"{path} must hold rows of one GPU (got {devices})")
    short, facts = find_gpu(devices[0])
    if gpu is not None and find_gpu(gpu)[0] != short:
        raise SourceError(f"{path} was measured on {devices[0]}, not on {gpu}")
    report = ImportReport("neusight", path, LICENCE)
    report.version = ", ".join(sorted({line["Torch Version"] for line in lines}))
    rows = [row for i, line in enumerate(lines, 2) if (row := _row(line, i, report)) is not None]
    report.taken = len(rows)
    report.notes.append("linear is read as layout tn, bmm as layout tt, both f32, beta 0")
    shared = {"gpu": short, "source": path.name, "source_version": report.version}
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    table = table_of(columns | shared | _CONSTANT, len(rows))
    return Dataset(table, (report.provenance(),), gpus={short: facts}), report


_CONSTANT = {"kernel": "library", "regime": "burst", "dtype": "f32", "alpha": 1.0, "beta": 0.0}
_LAYOUTS = {"linear": "tn", "bmm": "tt"}


def _row(line: dict[str, str], number: int, report: ImportReport) -> dict[str, Any] | None:
    """Return one row, or None where it cannot be taken, which the report then counts."""
    layout = _LAYOUTS.get(line["OPName"])
    if layout is None:
        report.drop(f"OPName {line['OPName']!r} is neither linear nor bmm")
        return None
    if "sgemm" not in line["Kernel Name"]:
        report.drop(f"kernel {line['Kernel Name']!r} is no fp32 GEMM")
        return None
    try:
        batch, m, n, k = (int(line[name]) for name in ("B", "M", "N", "K"))
        runtime_s = float(line["Latency"]) / 1e3
    except ValueError:
        report.drop("a number that cannot be read")
        return None
    if min(batch, m, n, k) < 1 or not 0 < runtime_s < float("inf"):
        report.drop("a size or a latency that is not positive")
        return None
    if layout == "tn":
        batch, m = 1, batch * m
    flags = ["below_resolution"] if runtime_s < _RESOLUTION_S else []
    report.flagged.update(flags)
    return {
        "provider": line["Kernel Name"],
        "m": m,
        "n": n,
        "k": k,
        "batch": batch,
        "layout": layout,
        "runtime_s": runtime_s,
        "flags": flags,
        "source_row": number,
    }

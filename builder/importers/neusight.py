"""fp32 library GEMMs of the NeuSight study (CSV), one row an eager call.

`linear` multiplies row-major activations (B M) x K with weights N x K: layout `tn`. `bmm`
multiplies row-major B x M x K with row-major B x K x N: layout `tt`. All of it ran in plain fp32
(every kernel is an `sgemm`). One eager call each, so a figure below 30 us is that of the launch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..dataset import Dataset, table_of
from ..errors import SourceError
from ..vocabulary import Flag, Regime
from .cells import CsvRow, UnusableError, read_rows, seconds, sizes
from .report import ImportReport, one_gpu

LICENCE = "MIT (NeuSight)"
_COLUMNS = {"OPName", "Latency", "Device", "Torch Version", "Kernel Name", "B", "M", "N", "K"}
_RESOLUTION_S = 30e-6
_LAYOUTS = {"linear": "tn", "bmm": "tt"}
_CONSTANT = {"kernel": "library", "regime": Regime.BURST, "dtype": "f32", "alpha": 1.0, "beta": 0.0}


def import_neusight(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one NeuSight table of `linear` or `bmm`."""
    names, lines = read_rows(path)
    missing = _COLUMNS - set(names)
    if missing:
        raise SourceError(f"{path} is no NeuSight table: it lacks {sorted(missing)}")
    whole = [line for line in lines if line.is_whole]
    short, facts = one_gpu(path, {line.cells["Device"] for line in whole}, gpu)
    report = ImportReport("neusight", path, LICENCE)
    report.version = ", ".join(sorted({line.cells["Torch Version"] for line in whole}))
    rows = _rows(lines, report)
    report.taken = len(rows)
    report.notes.append("linear is read as layout tn, bmm as layout tt, both f32, beta 0")
    shared = {"gpu": short, "source": path.name, **_CONSTANT}
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    table = table_of(columns | shared, len(rows))
    return Dataset(table, (report.provenance(),), gpus={short: facts}), report


def _rows(lines: list[CsvRow], report: ImportReport) -> list[dict[str, Any]]:
    """Return the rows that can be taken; the report counts the others."""
    rows = []
    for line in lines:
        try:
            row = _row(line)
        except UnusableError as reason:
            report.drop(str(reason))
            continue
        report.flagged.update(row["flags"])
        rows.append(row)
    return rows


def _row(line: CsvRow) -> dict[str, Any]:
    cells = line.cells
    if not line.is_whole:
        raise UnusableError("it has more or fewer cells than there are columns")
    layout = _LAYOUTS.get(cells["OPName"])
    if layout is None:
        raise UnusableError("its OPName is neither linear nor bmm")
    if "sgemm" not in cells["Kernel Name"]:
        raise UnusableError(f"kernel {cells['Kernel Name']!r} is no fp32 GEMM")
    batch, m, n, k = sizes(*(cells[name] for name in "BMNK"))
    if layout == "tn":
        batch, (m,) = 1, sizes(str(batch * m))
    runtime_s = seconds(cells["Latency"])
    return {
        "provider": cells["Kernel Name"],
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

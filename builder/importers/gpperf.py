"""The raw results of the GPPerf study on an RTX 4070, as its script left them.

One record spreads over several lines, the header is glued to the first, and most power readings
are `[N/A]`. What its columns say and what happened differ, and what happened counts here:
  - the kernel is the one that was named; the study's block sizes and its layout column never
    reached it, so the 28 records of one kernel, shape, alpha and beta are repeats;
  - power was read by `nvidia-smi` after the kernel had ended: it is not taken;
  - the fields after the power reading are that command's: SM and memory clock in MHz,
    temperature, utilisations, the GPU's name, and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import InputError, Kernel

from ..dataset import Dataset, table_of
from ..errors import SourceError
from ..gpus import find_gpu
from .report import ImportReport

LICENCE = "none stated; figures only (GPPerf)"
_HEADER = "Energy_Joules,GFLOPS_per_Watt,TFLOPS"
_RECORD = re.compile(
    r"\d{9,11},(?P<m>\d+),(?P<n>\d+),(?P<k>\d+),(?P<kernel>cutlass_\w+),[^,]*,"
    r"(?P<block_m>\d+),(?P<block_n>\d+),(?P<block_k>\d+),[^,]*,[^,]*,"
    r"(?P<alpha>[^,]*),(?P<beta>[^,]*),(?P<runtime_ms>[^,]*),[^,]*,(?P<smi>.*)"
)


class Record(NamedTuple):
    """One record as the script wrote it, block sizes and late power reading included."""

    line: int
    m: int
    n: int
    k: int
    kernel: Kernel
    block: tuple[int, int, int]
    alpha: float
    beta: float
    runtime_s: float
    power_after_w: float | None
    sm_clock_hz: float
    temperature_c: float
    gpu_name: str


def import_gpperf(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read the study's raw file."""
    report = ImportReport("gpperf", path, LICENCE)
    records = read_records(path, report)
    names = sorted({record.gpu_name for record in records})
    if len(names) != 1:
        raise SourceError(f"{path} must hold rows of one GPU (got {names})")
    short, facts = find_gpu(names[0])
    if gpu is not None and find_gpu(gpu)[0] != short:
        raise SourceError(f"{path} was measured on {names[0]}, not on {gpu}")
    report.taken = len(records)
    report.notes.append("power was read after the kernel had ended: not taken")
    report.notes.append("block sizes and the layout column never reached the kernel: not taken")
    fields = ("m", "n", "k", "alpha", "beta", "runtime_s", "sm_clock_hz", "temperature_c")
    columns: dict[str, Any] = {name: [getattr(r, name) for r in records] for name in fields}
    columns |= {
        "gpu": short,
        "kernel": [record.kernel.name for record in records],
        "provider": "cutlass_profiler",
        "regime": "repeated",
        "batch": 1,
        "dtype": [record.kernel.dtype for record in records],
        "layout": [record.kernel.layout for record in records],
        "flags": [[]] * len(records),
        "source": path.name,
        "source_row": [record.line for record in records],
    }
    table = table_of(columns, len(records))
    return Dataset(table, (report.provenance(),), gpus={short: facts}), report


def read_records(path: Path, report: ImportReport) -> list[Record]:
    """Return the records that can be read; the report counts the others.

    Raises SourceError where the file is not the study's.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    records = list(_records(text, report))
    if not records:
        raise SourceError(
            f"{path} is not the study's raw file (rtx4070_results.csv): no line of it begins "
            "with a time stamp, m, n, k and a CUTLASS kernel"
        )
    return records


def _records(text: str, report: ImportReport) -> Iterator[Record]:
    for number, line in enumerate(text.splitlines(), 1):
        line = line.removeprefix(_HEADER)
        if not re.match(r"\d{9,11},", line):
            continue  # the tail of a record: derived figures, all of them
        match = _RECORD.fullmatch(line)
        record = _record(number, match.groupdict()) if match else None
        if record is None:
            report.drop("a record that cannot be read")
        else:
            yield record


def _record(line: int, part: dict[str, str]) -> Record | None:
    smi = [field.strip() for field in part["smi"].split(",")]
    try:
        kernel = Kernel.from_name(part["kernel"])
        m, n, k = (int(part[name]) for name in ("m", "n", "k"))
        block = (int(part["block_m"]), int(part["block_n"]), int(part["block_k"]))
        power = None if smi[0] in ("[N/A]", "") else float(smi[0])
        clock_mhz, temperature_c, gpu_name = float(smi[1]), float(smi[3]), smi[6]
        alpha, beta = float(part["alpha"]), float(part["beta"])
        runtime_s = float(part["runtime_ms"]) / 1e3
    except (InputError, ValueError, IndexError):
        return None
    if min(m, n, k) < 1 or not 0 < runtime_s < float("inf"):
        return None
    clock_hz = clock_mhz * 1e6
    scalars = (alpha, beta, runtime_s, power, clock_hz, temperature_c, gpu_name)
    return Record(line, m, n, k, kernel, block, *scalars)

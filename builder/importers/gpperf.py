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

from ..dataset import Dataset, is_storable, table_of
from ..errors import SourceError
from ..vocabulary import Regime
from .cells import UnusableError, read_text, scalar, seconds, sizes
from .report import OTHER_GPU, ImportReport, one_gpu

LICENCE = "none stated; figures only (GPPerf)"
_HEADER = "Energy_Joules,GFLOPS_per_Watt,TFLOPS"
_DERIVED = re.compile(
    r"(arithmetic_intensity|uses_shared_memory|computation_pattern|problem_size_[mnk]),.*"
)
_RECORD = re.compile(
    r"\d{9,11},(?P<m>-?\d+),(?P<n>-?\d+),(?P<k>-?\d+),(?P<kernel>cutlass_\w+),[^,]*,"
    r"(?P<block_m>\d{1,9}),(?P<block_n>\d{1,9}),(?P<block_k>\d{1,9}),[^,]*,[^,]*,"
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
    short, facts, names = one_gpu(path, {record.gpu_name for record in records}, gpu)
    others = [record for record in records if record.gpu_name not in names]
    report.drop(OTHER_GPU, len(others))
    records = [record for record in records if record.gpu_name in names]
    report.taken = len(records)
    report.notes.append("power was read after the kernel had ended: not taken")
    report.notes.append("block sizes and the layout column never reached the kernel: not taken")
    fields = ("m", "n", "k", "alpha", "beta", "runtime_s", "sm_clock_hz", "temperature_c")
    columns: dict[str, Any] = {name: [getattr(r, name) for r in records] for name in fields}
    columns |= {
        "gpu": short,
        "kernel": [record.kernel.name for record in records],
        "provider": "cutlass_profiler",
        "regime": Regime.REPEATED,
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
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    records = list(_records(read_text(path), report))
    if not records:
        raise SourceError(
            f"{path} is not the study's raw file (rtx4070_results.csv): no line of it begins "
            "with a time stamp, m, n, k and a CUTLASS kernel"
        )
    return records


def _records(text: str, report: ImportReport) -> Iterator[Record]:
    """Yield the records; their other lines hold derived figures, and no line is lost silently."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.removeprefix(_HEADER)
        if not line.strip() or _DERIVED.fullmatch(line):
            continue
        match = _RECORD.fullmatch(line)
        if match is None:
            report.drop("a line that is no record, nor part of one")
            continue
        try:
            yield _record(number, match.groupdict())
        except UnusableError as reason:
            report.drop(str(reason))


def _record(line: int, part: dict[str, str]) -> Record:
    smi = [field.strip() for field in part["smi"].split(",")]
    if len(smi) < 7:
        raise UnusableError("a record without the GPU's state")
    kernel = _kernel(part["kernel"])
    m, n, k = sizes(part["m"], part["n"], part["k"])
    block = (int(part["block_m"]), int(part["block_n"]), int(part["block_k"]))
    power = None if smi[0] in ("[N/A]", "") else scalar(smi[0])
    clock_hz, temperature_c = scalar(smi[1]) * 1e6, scalar(smi[3])
    alpha, beta = scalar(part["alpha"]), scalar(part["beta"])
    runtime_s = seconds(part["runtime_ms"])
    scalars = (alpha, beta, runtime_s, power, clock_hz, temperature_c, smi[6])
    return Record(line, m, n, k, kernel, block, *scalars)


def _kernel(name: str) -> Kernel:
    try:
        kernel = Kernel.from_name(name)
    except InputError as error:
        raise UnusableError("a kernel whose name says nothing") from error
    if not is_storable(kernel):
        raise UnusableError("a kernel whose name holds figures that cannot be")
    return kernel

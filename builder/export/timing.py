"""The speed of a header: measured on this machine, and written into its comment."""

from __future__ import annotations

import ctypes
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._gpu import Gpu
from gpperf_lite._model import artefact_of

from ..errors import BuilderError
from ..files import write_text
from .answers import DEFAULT_CONFIDENCE
from .compiled import FLAGS, CompiledHeader, compiler_of
from .contents import DTYPE_NUMBERS, Contents, contents_of
from .queries import GEMM, PREDICTION
from .templates import safe

NOT_MEASURED = "not measured: export it with --time, or see benchmarks/README.md"
"""What a header says of its speed before it is measured, so that equal models give equal files."""

HARNESS = """
#include "{header}"
void bench_singles(const gpperf_gemm *gemms, int n, int repeats, gpperf_prediction *told)
{{
    int i, j;
    for (j = 0; j < repeats; j++)
        for (i = 0; i < n; i++) gpperf_predict(gemms + i, GPPERF_DEFAULT, 0.9, told + i);
}}
"""
"""A source that asks one GEMM after the other; header: the file that it includes."""

_SINGLES, _REPEATS = 20, 50
_ROWS = 4096
_ROUNDS = 31


class Speed(NamedTuple):
    """Medians of the time of one prediction, and of a row of a batch; the compiler, the processor.

    The predictions are of different GEMMs in turn, in the domain, of the model's first dtype.
    """

    dtype: str
    prediction_s: float
    row_s: float
    compiler: str
    processor: str

    def __str__(self) -> str:
        return (
            f"{self.prediction_s * 1e9:.0f} ns for a prediction in {self.dtype}, "
            f"{self.row_s * 1e9:.0f} ns for a row of {_ROWS}"
        )


def time_model(
    model: str | os.PathLike[str], header: Path, gpu: Gpu | None = None, tool: str | None = None
) -> Speed:
    """Measure the header of a model here, and write its speed into its comment.

    tool: a C compiler, None for any that is installed. Raises BuilderError where there is none, the
    header does not compile, or its comment has no place for a speed.
    """
    text = header.read_text()
    if NOT_MEASURED not in text:
        raise BuilderError(f"{header} must be a header that was not measured yet")
    compiler, contents = compiler_of(tool), contents_of(artefact_of(model, gpu))
    dtype = next(iter(contents.defaults))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "harness.c"
        source.write_text(HARNESS.format(header=header.absolute()))
        library = CompiledHeader(source, Path(folder), compiler)
        rows = _gemms(contents, dtype)
        told = np.zeros(_ROWS, PREDICTION)
        one_s = _median_s(_singles(library, rows, told)) / (_SINGLES * _REPEATS)
        row_s = _median_s(lambda: library.batch(rows, -1, DEFAULT_CONFIDENCE)) / _ROWS
    speed = Speed(dtype, one_s, row_s, _version(compiler), _processor())
    by = f"{speed.compiler} {' '.join(FLAGS)}, {speed.processor}"
    write_text(header, text.replace(NOT_MEASURED, f"{speed}\n            ({safe(by)})"))
    return speed


def _gemms(contents: Contents, dtype: str) -> NDArray[np.void]:
    """Return rows of GEMM in the domain of the kernel that answers for a dtype."""
    default = contents.defaults[dtype]
    head = next(
        one
        for one in contents.heads
        if one.dtype == dtype and (one.compared if default < 0 else one.kernel == default)
    )
    measured = [one for one in head.measured_layouts if one in head.layouts]
    dice, domain = np.random.default_rng(0), head.model.runtime.domain
    alignment = head.model.kernel.alignment
    rows = np.zeros(_ROWS, GEMM)
    for name in ("m", "n", "k"):
        low, high = np.log2(getattr(domain, name))
        sizes = np.exp2(dice.uniform(low, high, _ROWS)).astype(np.int64)
        rows[name] = np.maximum(sizes // alignment, 1) * alignment
    rows["batch"], rows["dtype"] = domain.batch[0], DTYPE_NUMBERS[dtype]
    rows["layout"] = (measured or head.layouts)[0]
    rows["beta"] = float(domain.beta == "nonzero")
    return rows


def _singles(
    library: CompiledHeader, rows: NDArray[np.void], told: NDArray[np.void]
) -> Callable[[], object]:
    ask, at, to = library.library.bench_singles, rows.ctypes.data, told.ctypes.data
    return lambda: ask(ctypes.c_void_p(at), _SINGLES, _REPEATS, ctypes.c_void_p(to))


def _median_s(call: Callable[[], object]) -> float:
    """Return the median time of a call, after one that warms the caches."""
    call()
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    return (done.stdout.splitlines() or [compiler])[0]


def _processor() -> str:
    """Return the name of this machine's processor, as far as it can be had."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

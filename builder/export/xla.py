"""The table of measured times that XLA's flag takes, with predicted ones in it.

`--xla_gpu_experimental_matmul_perf_table_path` reads the text of `DeviceHloInstructionProfiles`
(`xla/service/gpu/model/hlo_op_profile.proto`): products by batch and sizes, with their time in
cycles of the clock that the driver tells. Of other files, such as the `GemmPerfTable` of XLA's own
sources, it says nothing and takes its defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from gpperf_lite._artefact import Artefact
from gpperf_lite._gemm import checked_dtype
from gpperf_lite._gpu import Gpu
from gpperf_lite._model import Model

from ..errors import BuilderError

ROWS = tuple(1 << power for power in range(15))
"""The m of the grid: 1 to 16384."""

COLUMNS = tuple(1 << power for power in range(8, 15))
"""The n and k of the grid: 256 to 16384."""

_TYPES = {
    "bf16": ("BF16", "BF16"),
    "f16": ("F16", "F16"),
    "f32": ("F32", "F32"),
    "tf32": ("F32", "F32"),
    "fp8": ("F8E4M3FN", "BF16"),
}
"""XLA's element types of the operands and of the result, by our dtype."""

_DOT = (
    "dot_dimension_numbers { lhs_contracting_dimensions: 2 rhs_contracting_dimensions: 1 "
    "lhs_batch_dimensions: 0 rhs_batch_dimensions: 0 }"
)


def key_of(gpu: Gpu) -> str:
    """Return XLA's name of a GPU: its architecture, and for sm_100 the last word of its name."""
    major, minor = gpu.compute_capability
    architecture = f"sm_{major}{minor}"
    return f"{architecture}_{gpu.name.split()[-1]}" if architecture == "sm_100" else architecture


def table_of(artefact: Artefact, dtype: str) -> str:
    """Return the table of a model in one dtype: what of the grid lies in its domain.

    XLA looks up a product by the bytes of its sizes alone, so that a second dtype would be taken
    for the first. Raises BuilderError for a dtype that XLA or the model does not know, and where
    nothing of the grid is in the domain.
    """
    model, name = Model(artefact), checked_dtype(dtype)
    if name not in _TYPES or name not in model.dtypes:
        known = [one for one in _TYPES if one in model.dtypes]
        raise BuilderError(
            f"dtype must be one that XLA and the model know (got {dtype!r}; "
            f"{', '.join(known) or 'none'} for {artefact.name})"
        )
    m, n, k = np.array(list(product(ROWS, COLUMNS, COLUMNS))).T
    predicted = model.predict_batch(m, n, k, name)
    inside = np.flatnonzero(predicted.in_domain).tolist()
    if not inside:
        raise BuilderError(
            f"the model must have been measured in {name} to answer for XLA (got {artefact.name}, "
            "of whose domain nothing of the grid is): choose another dtype with --dtype, or a "
            "model of its own for the GPU"
        )
    runtimes = predicted.runtime_s.tolist()
    rows = ((int(m[at]), int(n[at]), int(k[at]), runtimes[at]) for at in inside)
    return "\n".join(_lines(artefact, name, rows)) + "\n"


def _lines(
    artefact: Artefact, dtype: str, rows: Iterable[tuple[int, int, int, float]]
) -> Iterator[str]:
    gpu, (operand, result) = artefact.gpu, _TYPES[dtype]
    yield "# proto-message: xla.gpu.DeviceHloInstructionProfiles"
    yield f"# Predicted by gpperf-lite, model {artefact.name} {artefact.version}, in {dtype},"
    yield f"# for {gpu.name} at {gpu.clock_hz / 1e6:g} MHz; flops are per second."
    yield f"entries {{\n  key: {json.dumps(key_of(gpu), ensure_ascii=False)}\n  value {{"
    for m, n, k, runtime_s in rows:
        yield "    entries {"
        yield f'      instruction {{ opcode: "dot" {_shape(result, m, n)} {_DOT} }}'
        yield f"      operands {{ {_shape(operand, m, k)} }} operands {{ {_shape(operand, k, n)} }}"
        # XLA cuts the quotient of cycles and clock to whole nanoseconds: 1 at least, not to be 0.
        cycles = max(round(runtime_s * gpu.clock_hz), round(gpu.clock_hz / 1e9) + 1)
        yield f"      clock_cycles: {cycles} flops: {round(2.0 * m * n * k / runtime_s)}"
        yield "    }"
    yield "  }\n}"


def _shape(element: str, rows: int, columns: int) -> str:
    return f"shape {{ element_type: {element} dimensions: [1, {rows}, {columns}] }}"

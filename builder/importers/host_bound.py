"""Host-bound rows: those whose time is that of the host which launched, not of the device.

A framework that launches eagerly needs tens or hundreds of microseconds a launch, and as long as
the kernel is shorter, that is what a table holds: one floor for all small problems, though the
device would need times that lie decades apart. Under a CUDA graph a launch takes a few
microseconds, whatever the host.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpperf_lite._gemm import DTYPES
from gpperf_lite._kernel import LIBRARIES, LIBRARY

from ..dataset import Dataset, Floats, Mask, collections_of
from ..vocabulary import Flag

_SHORTEST_FLOOR_S = 30e-6
"""No launch under a graph takes so long for nothing."""

_FAR_BELOW = 5.0
_FLAT_OCTAVES = 1.0
_WIDE_OCTAVES = 2.0
_FEWEST_ROWS = 30
_ABOVE_FLOOR = 2.0


def flag_host_bound(dataset: Dataset) -> tuple[Dataset, int]:
    """Return a dataset whose host-bound rows have that flag, and the number of them."""
    bound = np.zeros(len(dataset), bool)
    runtime_s = dataset.column("runtime_s").astype(float)
    least_s = _least_times(dataset)
    for part in _parts(dataset):
        floor_s = host_floor_s(runtime_s[part], least_s[part])
        if floor_s is not None:
            bound[part] = runtime_s[part] < _ABOVE_FLOOR * floor_s
    if not bound.any():
        return dataset, 0
    flags = [
        [*row, Flag.HOST_BOUND] if is_bound else row
        for row, is_bound in zip(dataset.flags(), bound, strict=True)
    ]
    return dataset.with_flags(flags), int(bound.sum())


def host_floor_s(runtime_s: Floats, least_s: Floats) -> float | None:
    """Return the time in s that the host takes for a launch; None where the device sets the pace.

    runtime_s: of one kernel in one collection; least_s: the time that no device can beat; both of
    shape (n_rows,).
    """
    shortest = float(np.quantile(runtime_s, 0.05))
    small = least_s < shortest / _FAR_BELOW
    if shortest < _SHORTEST_FLOOR_S or small.sum() < _FEWEST_ROWS:
        return None
    spread = np.log2(np.quantile(runtime_s[small], [0.25, 0.75]))
    wide = np.log2(np.quantile(least_s[small], [0.05, 0.95]))
    if np.ptp(spread) > _FLAT_OCTAVES or np.ptp(wide) < _WIDE_OCTAVES:
        return None
    return float(np.median(runtime_s[small]))


def _parts(dataset: Dataset) -> Iterator[Mask]:
    """Yield masks of what was launched in one way, bool of shape (n_rows,).

    That is each dtype on each GPU in each collection; of a framework's own back end each kernel
    that it says it ran, as some of its ways to launch take two or three times as long as others. A
    host needs as long for one kernel of cuBLAS, or one known kernel, as for another.
    """
    own = {kernel.name for kernel in LIBRARIES if kernel != LIBRARY}
    kernels = [
        f"{name} {provider}" if name in own else name if name == LIBRARY.name else ""
        for name, provider in zip(dataset.column("kernel"), dataset.column("provider"), strict=True)
    ]
    columns = (kernels, *map(dataset.column, ("dtype", "gpu")), collections_of(dataset))
    texts = np.array(["\n".join(key) for key in zip(*columns, strict=True)], object)
    for text in dict.fromkeys(texts):
        yield texts == text


def _least_times(dataset: Dataset) -> Floats:
    """Return the time in s that no device can beat, shape (n_rows,): at peak and at full DRAM."""
    m, n, k, batch = (dataset.column(name).astype(float) for name in ("m", "n", "k", "batch"))
    dtypes, gpus = dataset.column("dtype"), dataset.column("gpu")
    least_s = np.empty(len(dataset))
    for gpu, dtype in sorted(set(zip(gpus, dtypes, strict=True))):
        rows = (gpus == gpu) & (dtypes == dtype)
        facts, kind = dataset.gpus[gpu], DTYPES[dtype]
        macs_s = 2.0 * m * n * k * batch / (facts.peak_of(dtype) or np.inf)
        moved = m * k * kind.a_bytes + n * k * kind.b_bytes + m * n * kind.output_bytes
        least_s[rows] = np.maximum(macs_s, moved * batch / facts.dram_bytes_per_s)[rows]
    return least_s

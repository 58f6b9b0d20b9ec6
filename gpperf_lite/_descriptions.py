"""Kernels and GPUs described as JSON, in artefacts and in datasets: written, and read checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ._checked_json import Fields
from ._errors import ArtefactError, InputError
from ._gemm import LARGEST
from ._gpu import LIMITS, Gpu
from ._kernel import Kernel, Tile
from ._safetensors import refuse

_LARGEST_TILE = 1 << 14
_LARGEST_FACTOR = 1 << 16
_LONGEST_DTYPE = 32


def kernel_to_json(kernel: Kernel) -> dict[str, Any]:
    """Return the fields of a kernel that are known, as JSON types."""
    return {name: value for name, value in asdict(kernel).items() if value is not None}


def kernel_from_json(values: Any) -> Kernel:
    """Return the kernel of a JSON object; raises ArtefactError where it describes none."""
    return kernel_of(Fields(values, "kernel"))


def gpu_to_json(gpu: Gpu) -> dict[str, Any]:
    """Return the fields of a GPU that are known, as JSON types."""
    return {name: value for name, value in asdict(gpu).items() if value is not None}


def gpu_from_json(values: Any) -> Gpu:
    """Return the GPU of a JSON object; raises ArtefactError where it describes none."""
    return gpu_of(Fields(values, "gpu"))


def _tile(entry: Fields, name: str) -> Tile:
    extents = entry.integers(name, 1, _LARGEST_TILE)
    if len(extents) != 3:
        entry.fail(f"{entry.path}.{name} must have three extents")
    return Tile(*extents)


def _count(entry: Fields, name: str) -> int:
    return entry.integer(name, 0, LARGEST)


def _factor(entry: Fields, name: str) -> int:
    return entry.integer(name, 1, _LARGEST_FACTOR)


OPTIONAL: dict[str, Callable[[Fields, str], Any]] = {
    **dict.fromkeys(("dtype", "layout", "schedule"), Fields.text),
    **dict.fromkeys(("alignment", "split_k"), _factor),
    **dict.fromkeys(("tile", "warp_tile", "instruction", "cluster"), _tile),
    **dict.fromkeys(("stages", "swizzle", "threads"), _count),
    **dict.fromkeys(("registers", "shared_bytes", "spill_bytes"), _count),
}
"""The fields of Kernel that a file may leave out, and the reader of each."""


def kernel_of(entry: Fields) -> Kernel:
    """Return the kernel of an entry; raises ArtefactError where it describes none."""
    optional = {name: read(entry, name) for name, read in OPTIONAL.items() if name in entry}
    name, family = entry.text("name"), entry.text("family")
    try:
        return Kernel(name, family, **optional)
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


_NUMBERS = ("clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s")
_POWERS = ("power_limit_w", "idle_power_w")


def gpu_of(entry: Fields) -> Gpu:
    """Return the GPU of an entry; raises ArtefactError where it describes none."""
    capability = entry.integers("compute_capability", 0, 999)
    if len(capability) != 2:
        refuse(f"{entry.path}.compute_capability must be a major and a minor number")
    peaks = entry.object("peak_flops")
    numbers = {
        name: entry.number(name, *LIMITS[name])
        for name in (*_NUMBERS, *(power for power in _POWERS if power in entry))
    }
    try:
        return Gpu(
            entry.text("name"),
            (capability[0], capability[1]),
            entry.integer("sm_count", 1, int(LIMITS["sm_count"][1])),
            peak_flops={
                _checked_name(peaks, dtype): peaks.number(dtype, *LIMITS["peak_flops"])
                for dtype in peaks.values
            },
            **numbers,
        )
    except InputError as error:
        raise ArtefactError(f"not a valid artefact: {entry.path}: {error}") from error


def _checked_name(entry: Fields, dtype: str) -> str:
    """Return the name of a dtype, which may be one that only a newer gpperf-lite knows."""
    if not (dtype.isascii() and dtype.isidentifier() and len(dtype) <= _LONGEST_DTYPE):
        refuse(f"{entry.path} must have names of dtypes (got {dtype[:40]!r})")
    return dtype

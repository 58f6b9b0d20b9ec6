"""The facts of `gpus.toml`, by short name and by the name that a driver reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import Gpu, InputError
from gpperf_lite._builtin import short_name
from gpperf_lite._errors import nearest, shown
from gpperf_lite._gemm import DTYPES, usual_dtype
from gpperf_lite._gpu import LIMITS

from .errors import BuilderError, SourceError
from .toml import Table, read_toml

_FILE = Path(__file__).with_name("gpus.toml")


class GpuFactsError(BuilderError, ValueError):
    """The file of facts is missing, or holds one that no GPU can have."""


@cache
def known_gpus() -> dict[str, Gpu]:
    """Return the GPUs whose facts we hold, by short name; see `read_gpus` for what it raises."""
    return read_gpus(_FILE)


def read_gpus(path: Path) -> dict[str, Gpu]:
    """Return the GPUs of a file of facts, by short name.

    Raises GpuFactsError, which names the file, the GPU's table, the key and what is allowed, where
    a fact is missing or wrong.
    """
    tables = read_toml(path, "file of GPUs", GpuFactsError).tables()
    return {name: _gpu(name, table) for name, table in tables.items()}


def find_gpu(name: str) -> tuple[str, Gpu]:
    """Return the short name and the facts of a GPU given by any name that people type.

    Raises SourceError for a GPU whose facts we do not hold.
    """
    gpu = known_gpus().get(short_name(name))
    if gpu is not None:
        return short_name(name), gpu
    known = ", ".join(known_gpus())
    raise SourceError(f"no facts of a GPU called {name!r}: add it to builder/gpus.toml ({known})")


def _gpu(name: str, table: Table) -> Gpu:
    looked_up = short_name(name)
    if looked_up != name:
        table.fail(f"{table.path} must have the name that it is looked up by, [{looked_up}]")
    facts = table.read({key: fact.read for key, fact in _FACTS.items()}, _NEEDED)
    if facts.get("idle_w", 0.0) >= facts.get("power_limit_w", math.inf):
        table.refuse("idle_w", f"below power_limit_w, {facts['power_limit_w']:g}")
    try:
        return Gpu(**{_FACTS[key].field: value for key, value in facts.items()})
    except InputError as error:
        raise GpuFactsError(f"{table.path}: {error}") from error


class _Fact(NamedTuple):
    """The field of Gpu that a key of the file fills, and the reader of its value."""

    field: str
    read: Callable[[Table, str], Any]


def _capability(table: Table, key: str) -> tuple[int, int]:
    numbers = table.integers(key, 0, 999)
    if len(numbers) != 2:
        table.refuse(key, "a major and a minor number, such as [9, 0]")
    return numbers[0], numbers[1]


def _count(table: Table, key: str) -> int:
    return table.integer(key, 1, int(LIMITS["sm_count"][1]))


def _number(field: str, unit: float = 1.0) -> _Fact:
    """Return a fact that the file has in units of its own."""
    low, high = LIMITS[field]
    return _Fact(field, lambda table, key: table.number(key, low / unit, high / unit) * unit)


def _peaks(table: Table, key: str) -> dict[str, float]:
    peaks, found = table.object(key), dict[str, float]()
    for name in peaks.values:
        dtype = usual_dtype(name)
        if dtype not in DTYPES:
            allowed = f"a dtype, one of {' '.join(DTYPES)}{nearest(name[:40], DTYPES)}"
            table.fail(f"{peaks.path}: {shown(name)} must be {allowed}")
        if dtype in found:
            table.fail(f"{peaks.path}: {dtype} must be there once (got {shown(name)} too)")
        found[dtype] = _PEAK.read(peaks, name)
    return found


_PEAK = _number("peak_flops", 1e12)

_FACTS = {
    "name": _Fact("name", Table.text),
    "compute_capability": _Fact("compute_capability", _capability),
    "sm_count": _Fact("sm_count", _count),
    "clock_mhz": _number("clock_hz", 1e6),
    "memory_gb": _number("memory_bytes", 1e9),
    "l2_mb": _number("l2_bytes", 2.0**20),
    "dram_gb_per_s": _number("dram_bytes_per_s", 1e9),
    "peak_tflops": _Fact("peak_flops", _peaks),
    "power_limit_w": _number("power_limit_w"),
    "idle_w": _number("idle_power_w"),
}
_NEEDED = [key for key in _FACTS if key not in ("power_limit_w", "idle_w")]

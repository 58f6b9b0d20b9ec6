"""The facts of `gpus.toml`, by short name and by the name that a driver reports."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from gpperf_lite import Gpu
from gpperf_lite._builtin import short_name

from .errors import SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILE = Path(__file__).with_name("gpus.toml")


@cache
def known_gpus() -> dict[str, Gpu]:
    """Return the GPUs whose facts we hold, by short name."""
    with _FILE.open("rb") as file:
        return {name: _gpu(facts) for name, facts in tomllib.load(file).items()}


def find_gpu(name: str) -> tuple[str, Gpu]:
    """Return the short name and the facts of a GPU given by any name that people type.

    Raises SourceError for a GPU whose facts we do not hold.
    """
    gpu = known_gpus().get(short_name(name))
    if gpu is not None:
        return short_name(name), gpu
    known = ", ".join(known_gpus())
    raise SourceError(f"no facts of a GPU called {name!r}: add it to builder/gpus.toml ({known})")


def _gpu(facts: dict[str, Any]) -> Gpu:
    major, minor = facts["compute_capability"]
    return Gpu(
        name=facts["name"],
        compute_capability=(major, minor),
        sm_count=facts["sm_count"],
        clock_hz=facts["clock_mhz"] * 1e6,
        memory_bytes=facts["memory_gb"] * 1e9,
        l2_bytes=facts["l2_mb"] * 2.0**20,
        dram_bytes_per_s=facts["dram_gb_per_s"] * 1e9,
        peak_flops={dtype: peak * 1e12 for dtype, peak in facts["peak_tflops"].items()},
        power_limit_w=facts.get("power_limit_w"),
        idle_power_w=facts.get("idle_w"),
    )

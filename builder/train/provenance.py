"""Provenance that every model keeps: versions of libraries, dtypes that answer for others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.metadata import version as version_of

from gpperf_lite import __version__


def stand_ins_among(stand_ins: Mapping[str, str], measured: Collection[str]) -> dict[str, str]:
    """Return the stand-ins of unmeasured dtypes that measured dtypes answer for."""
    return {
        dtype: other
        for dtype, other in stand_ins.items()
        if other in measured and dtype not in measured
    }


def versions_of(*libraries: str) -> dict[str, str]:
    """Return the versions of libraries that decide the bits of a forest, ours first."""
    return {"gpperf-lite": __version__} | {name: version_of(name) for name in libraries}

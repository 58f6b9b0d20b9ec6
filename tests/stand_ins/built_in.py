"""The built-in models, each loaded once a process."""

from __future__ import annotations

import gpperf_lite as gp

_LOADED: dict[str, gp.Model] = {}


def built_in(name: str) -> gp.Model:
    """Return a built-in model, loaded once a process."""
    if name not in _LOADED:
        _LOADED[name] = gp.load(name)
    return _LOADED[name]

"""The doctor: what works on this machine, and what to do about what does not.

So far it looks at what needs no GPU: Python, the libraries of the builder, the built-in models, and
whether a driver is there at all.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
import sys
from dataclasses import dataclass

from gpperf_lite import GpperfError, available, load

_LIBRARIES = {
    "numpy": "runtime and builder",
    "catboost": "train",
    "scikit-learn": "train, evaluate",
    "scipy": "train",
    "pyarrow": "import, datasets",
    "rich": "progress bars",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. status: "ok", "missing" (something will not work) or "broken"."""

    name: str
    status: str
    text: str

    def line(self) -> str:
        """Return the finding as one line for people."""
        return f"{self.status:8}{self.name:20}{self.text}"


def examine() -> list[Finding]:
    """Return all findings, in a fixed order."""
    return [_python(), *(_library(*item) for item in _LIBRARIES.items()), _models(), _driver()]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    cores = os.cpu_count() or 1
    return Finding("python", "ok", f"{version} on {sys.platform}, {cores} cores")


def _library(name: str, use: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"needed for {use}: pip install '.[builder]'")
    return Finding(name, "ok", f"{version} ({use})")


def _models() -> Finding:
    names = available()
    if not names:
        return Finding("models", "missing", "none is built in: build them with 'train --recipe'")
    try:
        for name in names:
            load(name)
    except GpperfError as error:
        return Finding("models", "broken", str(error))
    return Finding("models", "ok", f"{len(names)} load: {', '.join(names)}")


def _driver() -> Finding:
    """Say whether NVIDIA's driver is installed; nothing is initialised."""
    for name in ("cuda", "nvidia-ml"):
        if ctypes.util.find_library(name) is None:
            text = "no NVIDIA driver: measuring is not possible here, all else is"
            return Finding("NVIDIA driver", "missing", text)
    return Finding("NVIDIA driver", "ok", "libcuda and libnvidia-ml are installed")

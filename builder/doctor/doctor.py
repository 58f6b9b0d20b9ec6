"""The doctor: findings on this machine, each with what to do where it is not in order.

It changes nothing, creates no context on a GPU, and needs nothing beyond the runtime.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpperf_lite import GpperfError, available, load

from ..architectures import CUDA
from ..device.cuda import (
    Driver,
    NoSensor,
    NvmlSensor,
    load_driver,
    open_sensor,
)
from .finding import Finding
from .gpus import check_gpus

__all__ = ["Finding", "Machine", "examine"]

_LIBRARIES = {
    "numpy": "runtime and builder",
    "catboost": "train",
    "scikit-learn": "train, evaluate",
    "scipy": "train",
    "pyarrow": "import, datasets",
    "platformdirs": "train",
    "rich": "progress bars",
}

_CUDA_LIBRARIES = {
    "cuda-bindings": "compile, collect",
    "nvidia-ml-py": "collect: power, clocks, temperatures",
    "nvidia-cublas": "collect: the kernel 'library'",
}

_INSTALL = "pip install '.[builder]'"
_INSTALL_CUDA = "pip install '.[collect]'"
_HEADERS = {"cudart": "cuda.h", "cccl": "cuda/std/type_traits"}
"""A header that each of CUDA's wheels must have."""


def _nvrtc_version() -> tuple[int, int]:
    """Return NVRTC's release; raises ImportError or RuntimeError where there is none."""
    from cuda.bindings import nvrtc

    code, major, minor = nvrtc.nvrtcVersion()
    if int(code):
        raise RuntimeError(f"NVRTC answers with code {int(code)}")
    return int(major), int(minor)


def _header_folder(name: str) -> str | None:
    """Return the folder of the headers of one of CUDA's wheels; None where there is none."""
    from cuda.pathfinder import find_nvidia_header_directory

    folder: str | None = find_nvidia_header_directory(name)
    return folder


def _cutlass_folder() -> Path | None:
    """Return the folder of CUTLASS's headers in its wheel; None where it is not installed."""
    from importlib.util import find_spec

    found = find_spec("cutlass_library")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "source" / "include"


@dataclass(frozen=True)
class Machine:
    """The functions that the doctor asks; tests put others there."""

    driver: Callable[[], Driver] = load_driver
    sensor: Callable[[str], NvmlSensor | NoSensor] = open_sensor
    nvrtc_version: Callable[[], tuple[int, int]] = _nvrtc_version
    header_folder: Callable[[str], str | None] = _header_folder
    cutlass_folder: Callable[[], Path | None] = _cutlass_folder
    program: Callable[[str], str | None] = shutil.which
    version: Callable[[str], str] = importlib.metadata.version


def examine(machine: Machine | None = None) -> list[Finding]:
    """Return all findings, in a fixed order."""
    machine = machine or Machine()
    return [
        _python(),
        *(_library(machine, *item, _INSTALL) for item in _LIBRARIES.items()),
        _models(),
        *(_library(machine, *item, _INSTALL_CUDA) for item in _CUDA_LIBRARIES.items()),
        _nvrtc(machine),
        _cuda_headers(machine),
        _cutlass(machine),
        _host_compiler(machine),
        *check_gpus(machine.driver, machine.sensor),
    ]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    cores = os.cpu_count() or 1
    return Finding("python", "ok", f"{version} on {sys.platform}, {cores} cores")


def _library(machine: Machine, name: str, use: str, advice: str) -> Finding:
    try:
        version = machine.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"needed for {use}: {advice}")
    return Finding(name, "ok", f"{version} ({use})")


def _models() -> Finding:
    names = available()
    if not names:
        return Finding(
            "models",
            "missing",
            "none is built in: build them with 'python -m builder models build'",
        )
    try:
        for name in names:
            load(name)
    except GpperfError as error:
        return Finding("models", "broken", str(error))
    return Finding("models", "ok", f"{len(names)} load: {', '.join(names)}")


def _nvrtc(machine: Machine) -> Finding:
    wanted = ".".join(map(str, CUDA))
    advice = f"pip install 'nvidia-cuda-nvrtc=={wanted}.*'"
    try:
        found = machine.nvrtc_version()
    except Exception as error:  # whatever the bindings raise, there is none
        return Finding("NVRTC", "missing", f"needed for compile: {advice} ({error})")
    version = ".".join(map(str, found))
    if found != CUDA:
        text = f"{version}, but cubins are compiled by {wanted}: {advice}"
        return Finding("NVRTC", "warning", text)
    return Finding("NVRTC", "ok", version)


def _cuda_headers(machine: Machine) -> Finding:
    lacking = []
    for name, header in _HEADERS.items():
        try:
            folder = machine.header_folder(name)
        except ImportError:
            folder = None
        if folder is None or not (Path(folder) / header).is_file():
            lacking.append(header)
    if lacking:
        text = f"needed for compile: {_INSTALL_CUDA} (not found: {', '.join(lacking)})"
        return Finding("CUDA headers", "missing", text)
    return Finding("CUDA headers", "ok", "found")


def _cutlass(machine: Machine) -> Finding:
    folder = machine.cutlass_folder()
    if folder is None or not (folder / "cutlass" / "version.h").is_file():
        text = f"needed to compile CUTLASS kernels: {_INSTALL_CUDA}"
        return Finding("CUTLASS headers", "missing", text)
    return Finding("CUTLASS headers", "ok", _cutlass_version(folder))


def _cutlass_version(folder: Path) -> str:
    parts = dict.fromkeys(("MAJOR", "MINOR", "PATCH"), "?")
    for line in (folder / "cutlass" / "version.h").read_text(errors="replace").splitlines():
        words = line.split()
        name = words[1].removeprefix("CUTLASS_") if len(words) == 3 else ""
        if words[:1] == ["#define"] and name in parts:
            parts[name] = words[2]
    return ".".join(parts.values())


def _host_compiler(machine: Machine) -> Finding:
    found = machine.program("g++")
    if found is None:
        text = "g++ is not installed: tests that run device code on the host are skipped"
        return Finding("host compiler", "warning", text)
    return Finding("host compiler", "ok", f"{found} (tests alone)")

"""Builds the emulated driver, the emulated cuBLASLt and kernels that they run, all with g++.

The driver takes the place of libcuda.so.1 for a process that has its folder in LD_LIBRARY_PATH:
cuda-python is the real one, and so is all that calls it.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stand_ins.cuda_on_host.host import CUDA, compiler

HERE = Path(__file__).parent
_HOST = HERE.parent / "cuda_on_host"
KINDS = ("memory", "host memory", "modules", "streams", "events", "graphs", "executables")
_FOLDER, _SIZE = "GPPERF_EMULATED", "GPPERF_EMULATED_SIZE"
_OUTCOMES = "GPPERF_EMULATED_OUTCOMES"
BEGAN = "began"
_LINES, _PRINTED, _END = "outcomes.jsonl", "printed.txt", "end.txt"
_GOOD_END = "ended with status 0"
_LONGEST_S = 300.0
SMALL = f"1 {1 << 18} {1 << 26}"
"""SMs, bytes of L2 and bytes of memory of the emulated GPU, unless a test sets others."""


def build_driver(folder: Path) -> Path:
    """Return a folder with libcuda.so.1, libnvidia-ml.so.1 and all kernels of this folder."""
    flags = ["-Wl,-soname,libcuda.so.1", f"-I{headers()}", "-pthread"]
    _compile(HERE / "driver.cpp", folder / "libcuda.so.1", flags)
    _compile(HERE / "nvml.cpp", folder / "libnvidia-ml.so.1", ["-Wl,-soname,libnvidia-ml.so.1"])
    for name in ("support", "demanding", "broken"):
        _compile_kernel(name, folder / f"{name}.so")
    for letter, element in (("s", "float"), ("d", "double"), ("h", "half")):
        macros = ["-DTILE=8", f"-DELEMENT={element}"]
        _compile_kernel("tiled", folder / f"tiled_{letter}gemm_8.so", macros)
    return folder


def build_cublaslt(folder: Path) -> Path:
    """Return the emulated cuBLASLt."""
    library = folder / "cublaslt.so"
    _compile(HERE / "cublaslt.cpp", library, [f"-I{headers()}"])
    return library


def headers() -> Path:
    """Return the folder of CUDA's headers."""
    from cuda.pathfinder import find_nvidia_header_directory

    folder = find_nvidia_header_directory("cudart")
    assert folder is not None, "CUDA's headers must be installed: nvidia-cuda-runtime"
    return Path(folder)


def _compile_kernel(name: str, library: Path, flags: Iterable[str] = ()) -> None:
    first = ["-include", str(_HOST / "cuda_on_host.h"), f"-I{_HOST}", f"-I{CUDA}"]
    _compile(HERE / f"{name}.cpp", library, [*first, *flags])


def _compile(source: Path, library: Path, flags: Iterable[str]) -> None:
    command = [compiler(), "-std=c++17", "-O1", "-fPIC", "-shared", *flags, str(source)]
    done = subprocess.run([*command, "-o", str(library)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Outcome:
    """What became of a case: "passed", "failed" or "skipped", and the text that goes with it."""

    how: str
    text: str = ""


def is_child() -> bool:
    """Return whether this process finds the emulated driver."""
    return _FOLDER in os.environ


def run_cases(driver: Path, cases: Path, names: Sequence[str], folder: Path) -> None:
    """Run some cases of a file in a process that finds the emulated driver.

    What becomes of each is written into a folder, for `outcomes_of`.
    """
    old = os.environ.get("LD_LIBRARY_PATH")
    path = os.pathsep.join([str(driver), *([old] if old else [])])
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    emulated = {"LD_LIBRARY_PATH": path, _FOLDER: str(driver), _SIZE: SMALL}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    with (folder / _PRINTED).open("w") as printed:
        try:
            done = subprocess.run(
                [*command, *(f"{cases}::{name}" for name in names)],
                env={**ours, **emulated, _OUTCOMES: str(folder / _LINES)},
                stdout=printed,
                stderr=subprocess.STDOUT,
                timeout=_LONGEST_S,
            )
            end = f"ended with status {done.returncode}"
        except subprocess.TimeoutExpired:
            end = f"was killed after {_LONGEST_S:g} s"
    (folder / _END).write_text(end)


def write_down(nodeid: str, how: str, text: str = "") -> None:
    """In the child: note that a case began, or what became of a part of it."""
    with open(os.environ[_OUTCOMES], "a") as lines:
        lines.write(json.dumps([nodeid.partition("::")[2], how, text]) + "\n")


def outcomes_of(folder: Path, names: Sequence[str]) -> dict[str, Outcome]:
    """Return what became of cases that were run.

    A case that did not end has failed; so has the last one of a process that ended badly though
    no case is to blame.
    """
    end, printed = (folder / _END).read_text(), (folder / _PRINTED).read_text()
    parts: dict[str, list[Outcome]] = {name: [] for name in names}
    name = names[0]
    lines = folder / _LINES
    for line in lines.read_text().splitlines() if lines.exists() else ():
        name, how, text = json.loads(line)
        parts[name].append(Outcome(how, text))
    found = {name: _outcome(mine) for name, mine in parts.items()}
    if end != _GOOD_END and all(outcome.how != "failed" for outcome in found.values()):
        found[name] = Outcome("failed")

    def explained(name: str) -> Outcome:
        if found[name].text or found[name].how == "passed":
            return found[name]
        when = "in" if parts[name] else "before"
        text = f"the process with the emulated driver {end} {when} this case:\n{printed[-4000:]}"
        return replace(found[name], text=text)

    return {name: explained(name) for name in names}


def _outcome(parts: Sequence[Outcome]) -> Outcome:
    """Return the one outcome of a case; a failure without a text where it did not end."""
    ended = [part for part in parts if part.how != BEGAN]
    failed = [part.text for part in ended if part.how == "failed"]
    if failed or not ended:
        return Outcome("failed", "\n".join(failed))
    return ended[0]


class Emulation:
    """The emulated driver of this process: what it is to do, and what it has seen."""

    def __init__(self) -> None:
        self.folder = Path(os.environ[_FOLDER])
        self._library = ctypes.CDLL("libcuda.so.1")
        for name in ("calls", "launches", "memsets", "alive"):
            getattr(self._library, f"emulated_{name}").restype = ctypes.c_long

    def image(self, name: str, version: int = 13000) -> bytes:
        """Return what stands for a cubin; version: of the CUDA that made it."""
        return f"host:{version}:{self.folder / name}.so".encode() + b"\0"

    def supports(self, version: int) -> None:
        """Set the latest CUDA that the driver supports: 13000 is 13.0."""
        self._library.emulated_version(version)

    def memory_clock(self, khz: int) -> None:
        """Set the memory clock that the GPUs state."""
        self._library.emulated_memory_clock(khz)

    def size(self, sm_count: int, l2_bytes: int, total_bytes: int) -> None:
        """Set what the GPU has."""
        self._library.emulated_size(sm_count, l2_bytes, ctypes.c_size_t(total_bytes))

    def capability(self, capability: int) -> None:
        """Set the compute capability of the GPUs: 90 is 9.0."""
        self._library.emulated_capability(capability)

    def fail_at(self, call: int, code: int) -> None:
        """Let the call that is so many from now fail; work after it goes on."""
        self._library.emulated_fail_at(ctypes.c_long(call), code)

    def fail(self, name: str, code: int) -> None:
        """Let every call of a function fail."""
        self._library.emulated_fail_name(name.encode(), code)

    def recover(self) -> None:
        """Let nothing fail any more."""
        self._library.emulated_recover()

    def count(self, what: str) -> int:
        """Return how many calls, launches or memsets there were."""
        return int(getattr(self._library, f"emulated_{what}")())

    def cluster(self) -> tuple[int, int, int]:
        """Return the extents of the last cluster that was launched."""
        x, y, z = (int(self._library.emulated_cluster(i)) for i in range(3))
        return x, y, z

    def alive(self) -> dict[str, int]:
        """Return how much of each kind of resource has not been given back."""
        kinds = (*KINDS, "contexts")
        counts = {kind: int(self._library.emulated_alive(kind.encode())) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count}

"""NVRTC: jobs compiled to cubins, or to PTX, each in a process of its own.

NVRTC keeps memory, and CUTLASS can crash it or make it take all there is: so each job gets a
process, which runs `one_job`, and whatever ends it is a CompileError with the reason.

Wheels of one CUDA release belong together: CUTLASS 4.2 does not compile with the CCCL headers of
CUDA 13.3, and cubins of a release need a driver that is no older.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ..errors import BuilderError

OPTIONS = (
    "-std=c++17",
    # CUTLASS computes a kernel's parameters in host code: here it runs on the device.
    "-default-device",
    # With assertions wgmma instructions are serialised.
    "-DNDEBUG",
    "--ptxas-options=-v",
)
TIMEOUT_S = 600.0

_ROOT = Path(__file__).parents[2]
_WHEELS = ("nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-cccl", "nvidia-cuda-crt")
_CUTLASS = "nvidia-cutlass"
_ADVICE = "install it with: pip install '.[compile]'"
_SERIALISED = "C7509"


class ToolchainError(BuilderError):
    """NVRTC, CUDA's headers or CUTLASS's are not installed."""


class CompileError(BuilderError):
    """A job did not compile, or its compiler did not end well."""


@dataclass(frozen=True)
class Toolchain:
    """The installed compiler: versions by name of package, and the folders of its headers."""

    versions: tuple[tuple[str, str], ...]
    include: tuple[str, ...]


@dataclass(frozen=True)
class CompileJob:
    """One source file to compile: its macros, the target, the folders of headers.

    target: a real architecture (`sm_90a`) gives a cubin, a virtual one (`compute_90a`) PTX.
    options: of NVRTC, beside OPTIONS.
    """

    source: str
    macros: tuple[tuple[str, str], ...]
    target: str
    include: tuple[str, ...]
    options: tuple[str, ...] = ()


class CompilerOutput(NamedTuple):
    """The code that a job becomes, a cubin or the text of PTX, and the log of NVRTC and ptxas."""

    code: bytes
    log: str


@lru_cache(maxsize=1)
def installed_toolchain() -> Toolchain:
    """Return the installed toolchain; raises ToolchainError where a part is missing."""
    try:
        from cuda.pathfinder import find_nvidia_header_directory
    except ImportError as error:
        raise ToolchainError(f"cuda-pathfinder from 1.3 must be installed: {_ADVICE}") from error
    cutlass = find_spec("cutlass_library")
    if cutlass is None or cutlass.origin is None or find_spec("cuda.bindings") is None:
        raise ToolchainError(f"cuda-bindings and {_CUTLASS} must be installed: {_ADVICE}")
    found = [find_nvidia_header_directory(name) for name in ("cudart", "cccl")]
    if None in found:
        raise ToolchainError(f"the headers of CUDA must be installed: {_ADVICE}")
    headers = Path(cutlass.origin).parent / "source" / "include"
    versions = tuple((name, _version(name)) for name in (*_WHEELS, _CUTLASS))
    return Toolchain(versions, (str(headers), *map(str, found)))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise ToolchainError(f"{package} must be installed: {_ADVICE}") from error


class NvrtcProcesses:
    """Compiles jobs, each in a process of its own; may be called from several threads.

    command: of the process; it reads a job from standard input, and answers as `one_job` does.
    """

    def __init__(
        self,
        timeout_s: float = TIMEOUT_S,
        command: Sequence[str] = (sys.executable, "-m", "builder.compile.one_job"),
    ) -> None:
        self._timeout_s = timeout_s
        self._command = command
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_open = True

    def __call__(self, job: CompileJob) -> CompilerOutput:
        """Compile a job; raises CompileError with the reason where that fails in any way."""
        child = self._start()
        try:
            answer, errors = child.communicate(
                json.dumps(asdict(job)).encode(), timeout=self._timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"it took more than {self._timeout_s:g} s to compile") from error
        finally:
            self._end(child)
        if not self._is_open:
            raise CompileError("it was interrupted")
        if child.returncode:
            raise CompileError(_why_it_ended(child.returncode, errors))
        return _checked(answer)

    def close(self) -> None:
        """End all compilations that are running; later ones are refused."""
        with self._lock:
            self._is_open = False
            for child in self._running:
                child.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if not self._is_open:
                raise CompileError("it was interrupted")
            # In a session of its own, so that Ctrl-C reaches this process alone.
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=_ROOT,
                start_new_session=True,
            )
            self._running.add(child)
            return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(child)
        if child.poll() is None:
            child.kill()
            child.communicate()


def _why_it_ended(code: int, errors: bytes) -> str:
    if code < 0:
        name = {one.value: one.name for one in signal.Signals}.get(-code, f"signal {-code}")
        hint = ": too little memory? compile fewer at once" if name == "SIGKILL" else ""
        return f"the compiler was ended by {name}{hint}"
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"the compiler ended with code {code}: {lines[-1] if lines else 'it said nothing'}"


def _checked(answer: bytes) -> CompilerOutput:
    """Return the code of an answer; raises CompileError where there is none that may be used."""
    header, _, code = answer.partition(b"\n")
    try:
        log = str(json.loads(header)["log"])
    except (ValueError, KeyError, TypeError) as error:
        raise CompileError(f"the compiler answered {answer[:60]!r}") from error
    if not code:
        raise CompileError(_first_error(log))
    if _SERIALISED in log:
        raise CompileError(f"its wgmma instructions are serialised (ptxas warning {_SERIALISED})")
    return CompilerOutput(code, log)


def _first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines()]
    errors = [line for line in lines if "error" in line] or lines or ["it said nothing"]
    return f"it does not compile: {errors[0]:.300}"

"""The cache of compiled kernels: one file each, named by what it was compiled from.

A name is a hash of the job (its source and the headers beside it, macros, target, options),
then one of the compiler (versions of NVRTC, of CUDA's headers, of CUTLASS). A file holds a magic
number, the SHA-256 of all that follows, the length of a JSON header, the header and the cubin,
compressed with zlib: a cubin of CUTLASS is 300 kB of names. A file that is damaged counts as
missing. Files are written under another name first, so that two processes may write at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import Kernel

from ..errors import BuilderError
from ..files import write_atomically
from ..kernels import SOURCES, Build, family_of
from .cubin import CubinError, read_cubin, spill_bytes
from .nvrtc import (
    OPTIONS,
    CompileJob,
    CompilerOutput,
    Toolchain,
    ToolchainError,
    installed_toolchain,
)

Macros = tuple[tuple[str, str], ...]

FOLDER = SOURCES.parent / "cache" / "cubins"

_MAGIC = b"gpcubin1"
_DIGEST_BYTES = 32
_LOCAL_INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class CompilerFacts:
    """The resources of a kernel, from its compiler; spill_bytes is None where it does not say."""

    threads: int
    registers: int
    shared_bytes: int
    spill_bytes: int | None


@dataclass(frozen=True)
class CachedCubin:
    """A cubin of the cache; `facts` is None where it holds no GEMM. log: the lines of ptxas."""

    cubin: bytes
    facts: CompilerFacts | None
    log: str


class _File(NamedTuple):
    """A cubin as its file holds it, compressed."""

    cubin: bytes
    facts: CompilerFacts | None
    log: str


class CubinCache:
    """The compiled kernels of a folder.

    toolchain: the one whose cubins are looked for, by default the one installed; where none is
        installed, cubins of any are taken, as they may have been copied here.
    sources: the folder of the sources.
    any_compiler: whether cubins of any toolchain are taken where those of this one are missing.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        toolchain: Toolchain | None = None,
        sources: Path = SOURCES,
        *,
        any_compiler: bool = False,
    ) -> None:
        self.folder = folder
        self._any_compiler = any_compiler
        self.toolchain = toolchain or _installed_or_none()
        self.sources = sources
        self._texts: dict[str, dict[str, str]] = {}

    def get(self, build: Build, architecture: str) -> tuple[Kernel, bytes, str] | None:
        """Return the described kernel, its cubin and its key; None where it is not compiled.

        `library`, which is not compiled, is None too.
        """
        kernel, key = self.describe(build, architecture) or (build.kernel, "")
        entry = self.read(key) if key else None
        return None if entry is None else (kernel, entry.cubin, key)

    def describe(self, build: Build, architecture: str) -> tuple[Kernel, str] | None:
        """Return the described kernel and its key; None where `get` is None.

        Its cubin is read and checked, and left compressed.
        """
        if not build.source:
            return None
        target, options = target_of(build, architecture), family_of(build.kernel).options
        found = self.find_facts(build.source, build.macros, target, options)
        key, facts = found or ("", None)
        return None if facts is None else (with_facts(build.kernel, facts), key)

    def find(self, source: str, macros: Macros, target: str) -> tuple[str, CachedCubin] | None:
        """Return the key and the cubin of a source; None where it is not compiled."""
        entries = ((key, self.read(key)) for key in self._keys(source, macros, target))
        return next(((key, entry) for key, entry in entries if entry is not None), None)

    def find_facts(
        self, source: str, macros: Macros, target: str, options: tuple[str, ...] = ()
    ) -> tuple[str, CompilerFacts | None] | None:
        """Return the key and the facts of a source; None where it is not compiled."""
        files = ((key, self._file(key)) for key in self._keys(source, macros, target, options))
        return next(((key, file.facts) for key, file in files if file is not None), None)

    def job(
        self, source: str, macros: Macros, target: str, options: tuple[str, ...] = ()
    ) -> CompileJob:
        """Return the job of compiling a source; raises ToolchainError where nothing can be."""
        toolchain = self.toolchain or installed_toolchain()
        return CompileJob(str(self.sources / source), macros, target, toolchain.include, options)

    def job_of(self, build: Build, architecture: str) -> CompileJob:
        """Return the job of compiling a build for an architecture, real or virtual; see `job`."""
        options = family_of(build.kernel).options
        return self.job(build.source, build.macros, target_of(build, architecture), options)

    def key(self, job: CompileJob) -> str:
        """Return the name under which the cubin of a job is kept."""
        source = Path(job.source).name
        prefix = self._job_hash(source, job.macros, job.target, job.options)
        return f"{prefix}-{self._suffix()}"

    def is_of_another(self, key: str) -> bool:
        """Return True where a cubin is of another toolchain than the one installed."""
        return self.toolchain is not None and not key.endswith(f"-{self._suffix()}")

    def read(self, key: str) -> CachedCubin | None:
        """Return the cubin of a key; None where there is none, or it is damaged."""
        file = self._file(key)
        try:
            return None if file is None else CachedCubin(zlib.decompress(file.cubin), *file[1:])
        except zlib.error:
            return None

    def write(self, key: str, entry: CachedCubin) -> None:
        """Keep a cubin; raises BuilderError where the folder cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(key), _encoded(entry))
        except OSError as error:
            raise BuilderError(f"the cache {self.folder} must be writable: {error}") from error

    def _keys(
        self, source: str, macros: Macros, target: str, options: tuple[str, ...] = ()
    ) -> list[str]:
        """Return the names that the cubin of a source can have."""
        prefix = self._job_hash(source, macros, target, options)
        ours = [] if self.toolchain is None else [f"{prefix}-{self._suffix()}"]
        if ours and not self._any_compiler:
            return ours
        any_of = sorted(path.stem for path in self.folder.glob(f"{prefix}-*.cubin"))
        return [*ours, *(key for key in any_of if key not in ours)]

    def _file(self, key: str) -> _File | None:
        try:
            return _decoded(self._path(key).read_bytes())
        except (OSError, ValueError, KeyError, TypeError, struct.error):
            return None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.cubin"

    def _suffix(self) -> str:
        return _hash(self.toolchain.versions if self.toolchain else None)[:8]

    def _job_hash(self, source: str, macros: Macros, target: str, options: tuple[str, ...]) -> str:
        if source not in self._texts:
            self._texts[source] = _texts(self.sources / source)
        return _hash([self._texts[source], macros, target, (*OPTIONS, *options)])[:24]


def target_of(build: Build, architecture: str) -> str:
    """Return the target that NVRTC compiles a build for: `sm_90a`, or `compute_90a` for PTX.

    architecture: "sm_90", or the virtual one, "compute_90".
    """
    return architecture + family_of(build.kernel).target_suffix


def with_facts(kernel: Kernel, facts: CompilerFacts) -> Kernel:
    """Return a kernel described by its compiler's facts."""
    return replace(
        kernel,
        threads=facts.threads,
        registers=facts.registers,
        shared_bytes=facts.shared_bytes,
        spill_bytes=facts.spill_bytes,
    )


def gemm_cubin(output: CompilerOutput) -> CachedCubin:
    """Return a GEMM's cubin with its facts; raises CubinError where it breaks the contract."""
    cubin = read_cubin(output.code)
    run = cubin.kernel("gemm_run")
    cubin.kernel("gemm_make_params")
    cubin.constant("gemm_params_bytes")
    shared_bytes = cubin.constant("gemm_shared_bytes")
    if run.shared_bytes > shared_bytes:
        raise CubinError(
            f"gemm_shared_bytes must count all of a block's {run.shared_bytes} bytes of shared "
            f"memory (got {shared_bytes})"
        )
    spilled = spill_bytes(output.log, "gemm_run")
    if spilled is None and run.frame_bytes == 0:
        spilled = 0
    facts = CompilerFacts(
        cubin.constant("gemm_threads"),
        run.registers,
        shared_bytes,
        spilled,
    )
    return CachedCubin(output.code, facts, ptxas_lines(output.log))


def ptxas_lines(log: str) -> str:
    """Return the lines of ptxas, without the compiler's warnings, which fill pages."""
    return "\n".join(line for line in log.splitlines() if line.startswith("ptxas"))


def _installed_or_none() -> Toolchain | None:
    try:
        return installed_toolchain()
    except ToolchainError:
        return None


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _texts(path: Path) -> dict[str, str]:
    """Return the hashes of a source and of the headers of ours that it includes, by name."""
    hashes: dict[str, str] = {}
    waiting = [path]
    while waiting:
        one = waiting.pop()
        text = one.read_bytes()
        hashes[one.relative_to(path.parent).as_posix()] = hashlib.sha256(text).hexdigest()
        for name in _LOCAL_INCLUDE.findall(text):
            header = path.parent / name.decode()
            known = header.relative_to(path.parent).as_posix() in hashes
            if header.is_file() and not known:
                waiting.append(header)
    return hashes


def _encoded(entry: CachedCubin) -> bytes:
    facts = asdict(entry.facts) if entry.facts else None
    header = json.dumps({"facts": facts, "log": entry.log}).encode()
    body = struct.pack("<I", len(header)) + header + zlib.compress(entry.cubin)
    return _MAGIC + hashlib.sha256(body).digest() + body


def _decoded(data: bytes) -> _File | None:
    digest, body = data[len(_MAGIC) :][:_DIGEST_BYTES], data[len(_MAGIC) + _DIGEST_BYTES :]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        return None
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    facts = _facts(header["facts"]) if header["facts"] else None
    return _File(body[4 + length :], facts, header["log"])


def _facts(values: dict[str, Any]) -> CompilerFacts:
    """Return the facts of a header; what older headers say beside them is passed over."""
    return CompilerFacts(**{one.name: values[one.name] for one in fields(CompilerFacts)})

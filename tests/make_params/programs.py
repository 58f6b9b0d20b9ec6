"""The programs of the catalogue: which of them a check compiles, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from builder.compile import CubinCache
from builder.compile.nvrtc import CompileJob
from builder.kernels import Build
from builder.kernels.catalogue import catalogue

ARCHITECTURE = "compute_90"
"""The virtual architecture, whose PTX is interpreted."""

_SIZES = ("TILE", "GEMM_TILE", "GEMM_WARP_TILE", "GEMM_STAGES", "GEMM_SWIZZLE")
"""Macros in which the programs of one template differ."""


class CheckedProgram(NamedTuple):
    """A program, and the builds that it is of, which differ in arguments of their run.

    key: of all that decides its PTX.
    """

    key: str
    job: CompileJob
    builds: tuple[Build, ...]

    @property
    def name(self) -> str:
        """The name of its first build."""
        return self.builds[0].kernel.name


def programs_of(builds: Iterable[Build]) -> list[CheckedProgram]:
    """Return the programs of builds, in their order; raises ToolchainError."""
    cubins = CubinCache()
    found: dict[str, tuple[CompileJob, list[Build]]] = {}
    for build in builds:
        if build.source:
            job = cubins.job_of(build, ARCHITECTURE)
            found.setdefault(cubins.key(job), (job, []))[1].append(build)
    return [CheckedProgram(key, job, tuple(builds)) for key, (job, builds) in found.items()]


def programs_in(share: float) -> list[CheckedProgram]:
    """Return the programs of a share of the catalogue, the most telling ones first.

    First all of CUTLASS 3.x, then the first of every template, then those of which a build is in
    the share: the same ones in each process, and in every larger share. Raises ToolchainError where
    nothing can be compiled.
    """
    every = programs_of(catalogue().values())
    ordered = [
        *(one for one in every if one.builds[0].kernel.family == "cutlass3"),
        *_first_of_templates(every),
        *(one for one in every if any(is_in_share(build, share) for build in one.builds)),
    ]
    return list({one.key: one for one in ordered}.values())


def is_in_share(build: Build, share: float) -> bool:
    """Return True where a hash of a build's name falls into a share of all."""
    digest = hashlib.sha256(build.kernel.name.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def template_of(build: Build) -> tuple[str, ...]:
    """Return the source and the macros that make a build's template, without its sizes."""
    macros = (f"{name}={value}" for name, value in build.macros if name not in _SIZES)
    return (build.source, *macros)


def _first_of_templates(every: Iterable[CheckedProgram]) -> Iterator[CheckedProgram]:
    seen: set[tuple[str, ...]] = set()
    for program in every:
        template = template_of(program.builds[0])
        if template not in seen:
            seen.add(template)
            yield program

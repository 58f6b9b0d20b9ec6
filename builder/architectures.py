"""Architectures: those that our compiler knows, and the sentence for those that it does not.

Cubins are compiled by NVRTC of one release of CUDA, for real architectures (`sm_90`). Every place
that names one, or opens a GPU, asks here.
"""

from __future__ import annotations

import re

from gpperf_lite import Gpu

from .errors import BuilderError

CUDA = (13, 0)
"""Release of CUDA whose NVRTC compiles our cubins: a driver must support it, or a later one."""

CAPABILITIES = (
    *((7, 5), (8, 0), (8, 6), (8, 7), (8, 8), (8, 9), (9, 0)),
    *((10, 0), (10, 3), (11, 0), (12, 0), (12, 1)),
)
"""Compute capabilities that it compiles for: what `nvrtcGetSupportedArchs` of 13.0 answers."""

_NAME = re.compile(r"(sm|compute)_([0-9]{1,2})([0-9])([af]?)")
_GENERATIONS = {7: "Volta", 6: "Pascal", 5: "Maxwell", 3: "Kepler", 2: "Fermi"}
"""Generations before the oldest that is compiled for, by the major number of their capability."""


class ArchitectureError(BuilderError, ValueError):
    """The name is no architecture, or one that CUDA 13 does not compile for."""


def architecture_named(capability: tuple[int, int]) -> str:
    """Return the name of an architecture: "sm_90" for the compute capability (9, 0)."""
    return "sm_{}{}".format(*capability)


def architecture_of(gpu: Gpu) -> str:
    """Return the architecture of a GPU ("sm_90")."""
    return architecture_named(gpu.compute_capability)


def capability_of(architecture: str) -> tuple[int, int]:
    """Return the compute capability of an architecture: (9, 0) of "sm_90".

    Raises ArchitectureError for what is no architecture, and for one that is not compiled for.
    """
    match = _NAME.fullmatch(architecture)
    if match is None:
        raise ArchitectureError(f"an architecture must be like sm_90 (got {architecture[:40]!r})")
    capability = int(match[2]), int(match[3])
    check_capability(capability)
    if match[1] != "sm" or match[4]:
        # PTX and features of one architecture alone are the kernels' own affair.
        raise ArchitectureError(
            f"an architecture must be like sm_90 (got {architecture!r}: say "
            f"{architecture_named(capability)})"
        )
    return capability


def check_capability(capability: tuple[int, int], gpu_name: str = "") -> None:
    """Raise ArchitectureError where our compiler has nothing for a compute capability.

    gpu_name: of the GPU that has it, which the sentence then begins with.
    """
    if capability in CAPABILITIES:
        return
    name, oldest = architecture_named(capability), architecture_named(CAPABILITIES[0])
    whose = f"{gpu_name}: " if gpu_name else ""
    if capability < CAPABILITIES[0]:
        generation = _GENERATIONS.get(capability[0], "an early one")
        raise ArchitectureError(
            f"{whose}CUDA {CUDA[0]} compiles for {oldest} and newer, and {name} ({generation}) is "
            "older: kernels can neither be compiled nor measured for it, but tables that others "
            "measured on it can be imported"
        )
    known = " ".join(f"{major}{minor}" for major, minor in CAPABILITIES)
    raise ArchitectureError(
        f"{whose}CUDA {CUDA[0]}.{CUDA[1]} does not compile for {name}: it knows {known}"
    )

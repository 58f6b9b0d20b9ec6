"""The built-in models: the files that come with the package, their names and aliases."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from ._errors import UnknownGpuError, nearest

SUFFIX = ".safetensors"
GENERIC = "generic"
"""The built-in model of no particular GPU: it is loaded together with a Gpu."""

KERNELS = "kernels"
"""The built-in model of kernels that were not measured: others ask it, it is not loaded."""

_FOLDER = os.path.join(os.path.dirname(__file__), "models")

_ALIASES = {
    "a100": "a100_sxm",
    "a100_sxm4_80gb": "a100_sxm",
    "a100_sxm_80gb": "a100_sxm",
    "a100_sxm4_40gb": "a100_sxm_40gb",
    "a100_80gb_pcie": "a100_pcie_80gb",
    "h100": "h100_sxm",
    "h100_80gb_hbm3": "h100_sxm",
    "h200": "h200_sxm",
    "b200": "b200_sxm",
    "b300": "b300_sxm",
    "b300_sxm6_ac": "b300_sxm",
    "h800": "h800_sxm",
    "gh200_480gb": "gh200",
    "gh200_120gb": "gh200",
    "v100_sxm2_16gb": "v100_sxm_16gb",
    "v100_sxm2_32gb": "v100_sxm_32gb",
    "a6000": "rtx_a6000",
    "a5000": "rtx_a5000",
    "rtx_6000_ada_generation": "rtx_6000_ada",
    "rtx_5000_ada_generation": "rtx_5000_ada",
    "rtx_pro_6000": "rtx_pro_6000_server",
    "rtx_pro_6000_blackwell_server_edition": "rtx_pro_6000_server",
    "rtx_pro_6000_blackwell_workstation_edition": "rtx_pro_6000_workstation",
    "rtx_pro_6000_blackwell_max_q_workstation_edition": "rtx_pro_6000_max_q",
    "orin": "jetson_agx_orin",
    "thor": "jetson_agx_thor",
    "dgx_spark": "gb10",
}

_GEFORCE = re.compile(r"(rtx)_?([0-9]{4})_?(ti)?_?(super)?")
"""Cards that are known as "RTX 4090", "rtx4090" or "RTX_4070_Ti_SUPER"."""


def available() -> tuple[str, ...]:
    """Return the names of the built-in models of a GPU, sorted.

    "generic" and "kernels" are not among them.
    """
    files = os.listdir(_FOLDER)
    names = {file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX)}
    return tuple(sorted(names - {GENERIC, KERNELS}))


def short_name(name: str) -> str:
    """Return the short name of a GPU from any usual one: "NVIDIA H200" gives "h200_sxm"."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    short = words.removeprefix("nvidia_").removeprefix("geforce_").removeprefix("tesla_")
    card = _GEFORCE.fullmatch(short)
    if card:
        return "".join(part or "" for part in card.groups())
    return _ALIASES.get(short, short)


def known_names(shorts: Collection[str]) -> list[str]:
    """Return the names that people may type for GPUs of these short names, aliases included."""
    return [*shorts, *(alias for alias, short in _ALIASES.items() if short in shorts)]


def built_in_path(name: str) -> str:
    """Return the path of a built-in model given by name, alias or NVML's name of its GPU.

    Raises UnknownGpuError with the nearest name where there is none.
    """
    short = short_name(name)
    path = os.path.join(_FOLDER, f"{short}{SUFFIX}")
    if not short or not os.path.isfile(path):
        known = available()
        hint = nearest(short, known_names(known))
        raise UnknownGpuError(
            f"no built-in model {name!r}{hint} (there are: {', '.join(known) or 'none'}; "
            f"an artefact of your own is given by its path, ending in {SUFFIX}; for a GPU known by "
            f"its data sheet there is load({GENERIC!r}, gpu=gpperf_lite.Gpu(...)))"
        )
    return path


def artefact_path(source: str | os.PathLike[str]) -> str:
    """Return the path of an artefact: a path as it is, a name as that of a built-in model."""
    if isinstance(source, os.PathLike):
        return os.fspath(source)
    if source.endswith(SUFFIX) or os.sep in source or (os.altsep and os.altsep in source):
        return source
    return built_in_path(source)

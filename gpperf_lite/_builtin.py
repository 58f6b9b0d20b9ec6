"""The built-in models: the files that come with the package, by their names."""

from __future__ import annotations

import os

from ._errors import UnknownGpuError, shown
from ._files import names_in, package_path
from ._gpu_names import is_written_by_a_program, short_name

SUFFIX = ".safetensors"
GENERIC = "generic"
"""The built-in model of no particular GPU: it is loaded together with a Gpu."""

KERNELS = "kernels"
"""The built-in model of kernels that were not measured: others ask it, it is not loaded."""

_FOLDER = "models"


def available() -> tuple[str, ...]:
    """Return the names of the built-in models of a GPU, sorted.

    "generic" and "kernels" are not among them. `load` answers for more GPUs than these: for all of
    `gpperf gpus`, by their data sheets.
    """
    files = names_in(_FOLDER)
    names = {file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX)}
    return tuple(sorted(names - {GENERIC, KERNELS}))


def find_built_in(short: str) -> str | None:
    """Return the path of the built-in model of a short name; None where there is none."""
    name = f"{short}{SUFFIX}"
    path = package_path(_FOLDER, name)
    # The list of a folder is what a zip has as well; a plain file is found without it.
    return path if short and (os.path.isfile(path) or name in names_in(_FOLDER)) else None


def built_in_path(name: str) -> str:
    """Return the path of a built-in model given by any name of its GPU, or by its own.

    Raises UnknownGpuError where there is none.
    """
    path = find_built_in(short_name(name))
    if path is None:
        raise UnknownGpuError(
            f"no built-in model {shown(name)} (there are: {GENERIC}, {', '.join(available())}; "
            f"an artefact of your own is given by its path, ending in {SUFFIX})"
        )
    return path


def is_path(source: str | os.PathLike[str]) -> bool:
    """Return True for the path of an artefact, False for the name of a GPU or a model.

    Names of Slurm and Kubernetes have a slash as well, as "gres/gpu:h200:1".
    """
    if isinstance(source, os.PathLike) or source.endswith(SUFFIX):
        return True
    has_folder = os.sep in source or bool(os.altsep and os.altsep in source)
    return has_folder and (os.path.exists(source) or not is_written_by_a_program(source))


def artefact_path(source: str | os.PathLike[str]) -> str:
    """Return the path of an artefact: a path as it is, a name as that of a built-in model."""
    return os.fspath(source) if is_path(source) else built_in_path(os.fspath(source))

"""The artefact that answers for a GPU by name: built in, or made of its data sheet."""

from __future__ import annotations

from . import _artefact
from ._artefact import Artefact
from ._builtin import GENERIC, SUFFIX, built_in_path, find_built_in
from ._gpu import Gpu
from ._gpu_names import gpu_name

_ADVICE = (
    "describe another by its data sheet, in a file for --gpu-facts or as a gpperf_lite.Gpu for "
    f"load({GENERIC!r}, gpu=...); an artefact of your own is given by its path, ending in {SUFFIX}"
)


def artefact_named(name: str) -> Artefact:
    """Return the artefact of the GPU of that name, with a note where the name is of several boards.

    Raises UnknownGpuError for a GPU that is not known, InputError for one of whose dtypes the
    generic model knows none.
    """
    asked = gpu_name(name)
    path = None if asked.refusal else find_built_in(asked.short)
    artefact = _from_data_sheet(name) if path is None else _artefact.read(path)
    return artefact._replace(notes=(asked.note,)) if asked.note else artefact


def _from_data_sheet(name: str) -> Artefact:
    from ._gpu_facts import find_gpu  # a file that most names do not need

    short, gpu = find_gpu(name, _ADVICE)
    # A name with the memory of a card is understood by the data sheet alone.
    path = find_built_in(short)
    return generic_artefact(gpu) if path is None else _artefact.read(path)


def generic_artefact(gpu: Gpu, path: str | None = None) -> Artefact:
    """Return the artefact that a generic model makes for a GPU: the built-in one without a path."""
    from . import _generic  # of use to few, and not worth everyone's import time

    return _generic.read(built_in_path(GENERIC) if path is None else path).artefact_for(gpu)

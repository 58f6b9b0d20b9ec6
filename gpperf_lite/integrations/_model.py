"""The model of a door, and how many it leaves: arguments that all of them take."""

from __future__ import annotations

import os

from .. import Gpu, InputError, Model, load


def model_of(gpu: object) -> Model:
    """Return the model of a GPU by its name, its file or its data sheet; a Model as it is."""
    if isinstance(gpu, Model):
        return gpu
    if isinstance(gpu, Gpu):
        return load("generic", gpu=gpu)
    if not isinstance(gpu, (str, os.PathLike)):
        raise InputError(f"gpu must be a name, a path, a Gpu or a Model (got {gpu!r:.60})")
    return load(gpu)


def checked_top(top: object) -> int:
    """Return the number of configurations to try, or raise InputError."""
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InputError(f"top must be a number from 1 on (got {top!r:.60})")
    return top

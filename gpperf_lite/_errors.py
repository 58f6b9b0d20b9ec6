"""The errors of this package; it raises no others.

GpperfError
|-- InputError               (also a ValueError)   an argument is not valid
|-- UnknownGpuError          (also a LookupError)  no built-in model, or no facts, of that GPU
|-- UnknownKernelError       (also a LookupError)  the artefact does not know that kernel
`-- ArtefactError            (also a ValueError)   a file is not a valid artefact
    |-- UnsupportedVersionError                    ... it needs a newer gpperf-lite
    `-- FeatureMismatchError                       ... it was trained on other features
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real


class GpperfError(Exception):
    """Base class of every error of this package."""


class InputError(GpperfError, ValueError):
    """An argument is not valid; the text names it, what was got and what is allowed."""


class UnknownGpuError(GpperfError, LookupError):
    """There is no built-in model, nor a file, of that name; or there are no facts of that GPU."""


class UnknownKernelError(GpperfError, LookupError):
    """The artefact has no such kernel, or none that can run this GEMM."""


class ArtefactError(GpperfError, ValueError):
    """A file is not a valid artefact; the text says why."""


class UnsupportedVersionError(ArtefactError):
    """The artefact's format is newer than this package can read."""


class FeatureMismatchError(ArtefactError):
    """The artefact was trained on features that this package does not compute."""


def shown(value: object, longest: int = 60) -> str:
    """Return a value as an error's text shows it: short, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # such as an int of more digits than Python is willing to print
        text = f"an unprintable {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def as_float(value: object) -> float:
    """Return a real number as a float, infinity where it is too large, NaN where it is none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'X'?" for the known name closest to `name`, or ""."""
    import difflib  # only on the way to an error: not worth its import time otherwise

    matches = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""

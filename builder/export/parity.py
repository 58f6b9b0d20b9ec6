"""The check of an export: it is compiled or run here, and asked beside Python."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gpperf_lite._gpu import Gpu
from gpperf_lite._model import Model

from .compiled import CompiledHeader, compiler_of
from .contents import contents_of
from .queries import Parity, parity_of
from .source import source_of

SHARE_OF_SINGLES = 10
"""One in so many is asked on its own as well as in a batch."""


def check(
    model: str | os.PathLike[str],
    exported: Path,
    n_questions: int,
    gpu: Gpu | None = None,
    compiler: str | None = None,
) -> Parity:
    """Ask an exported C header and Python the same random questions; compiler: None for any.

    Raises BuilderError where there is no compiler, or it cannot compile the header.
    """
    artefact = source_of(model, gpu).artefact
    contents, python = contents_of(artefact), Model(artefact)
    with tempfile.TemporaryDirectory() as folder:
        header = CompiledHeader(exported, Path(folder), compiler_of(compiler))
        many = parity_of(contents, python, header.batch, n_questions)
        one = parity_of(contents, python, header.singles, n_questions // SHARE_OF_SINGLES, 1)
    return many.plus(one)

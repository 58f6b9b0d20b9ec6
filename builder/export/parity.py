"""The check of an export: it is compiled or run here, and asked beside Python."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gpperf_lite._gpu import Gpu
from gpperf_lite._model import Model, artefact_of

from .compiled import CompiledHeader, compiler_of
from .contents import Contents, contents_of
from .javascript import SUFFIXES
from .node import NodeModule, node_of
from .queries import Parity, parity_of

SHARE_OF_SINGLES = 10
"""One in so many is asked on its own as well as in a batch."""


def check(
    model: str | os.PathLike[str],
    exported: Path,
    n_questions: int,
    gpu: Gpu | None = None,
    tool: str | None = None,
) -> Parity:
    """Ask exported code and Python the same random questions.

    exported: a header, or a module that ends in .mjs or .js. tool: the compiler or Node; None for
    any that is installed. Raises BuilderError where there is none, or the code does not run.
    """
    artefact = artefact_of(model, gpu)
    contents, python = contents_of(artefact), Model(artefact)
    is_module = exported.suffix in SUFFIXES
    ask = _ask_node if is_module else _ask_header
    return ask(contents, python, exported, n_questions, tool)


def _ask_header(
    contents: Contents, python: Model, exported: Path, n_questions: int, compiler: str | None
) -> Parity:
    with tempfile.TemporaryDirectory() as folder:
        header = CompiledHeader(exported, Path(folder), compiler_of(compiler))
        many = parity_of(contents, python, header.batch, n_questions)
        one = parity_of(contents, python, header.singles, n_questions // SHARE_OF_SINGLES, 1)
    return many.plus(one)


def _ask_node(
    contents: Contents, python: Model, exported: Path, n_questions: int, node: str | None
) -> Parity:
    names = [kernel.name for kernel in contents.artefact.kernels]
    with NodeModule(exported, names, node_of(node)) as module:
        return parity_of(contents, python, module.batch, n_questions)

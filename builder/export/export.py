"""The export of a model: one file of another language."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpperf_lite._gpu import Gpu

from ..errors import BuilderError
from ..files import write_text
from .c_header import header_of
from .contents import contents_of
from .javascript import SUFFIXES, module_of, types_of
from .source import Source, source_of
from .xla import table_of


@dataclass(frozen=True)
class Exported:
    """The files that were written, and the bytes of the tables in them and of the artefact."""

    files: tuple[Path, ...]
    n_bytes: int
    artefact_bytes: int


_Texts = dict[Path, str]


def _as_c(source: Source, output: Path) -> tuple[_Texts, int]:
    header = header_of(contents_of(source.artefact), source, output.name)
    return {output: header.text}, header.n_bytes


def _as_javascript(source: Source, output: Path) -> tuple[_Texts, int]:
    if output.suffix not in SUFFIXES:
        ends = " or ".join(SUFFIXES)
        raise BuilderError(f"output must be an ES module, ending in {ends} (got {output})")
    contents = contents_of(source.artefact)
    text, n_bytes = module_of(contents, source, output.name)
    types = output.with_suffix(".d.mts" if output.suffix == ".mjs" else ".d.ts")
    return {output: text, types: types_of(contents, output.name)}, n_bytes


CODE: dict[str, Callable[[Source, Path], tuple[_Texts, int]]] = {
    "c": _as_c,
    "js": _as_javascript,
}
"""Languages, and the function that returns the texts of the files and the bytes of the tables."""

FORMATS = (*CODE, "xla")
"""All formats: code in a language, and tables of answers."""


def export(
    model: str | os.PathLike[str],
    output: Path,
    form: str = "c",
    gpu: Gpu | None = None,
    dtype: str | None = None,
) -> Exported:
    """Export a model, asked for as `gpperf_lite.load` is.

    form: one of FORMATS. dtype: of a table for XLA, None for bf16; code answers for all dtypes.
    Raises what `load` raises, and BuilderError for a name of the file that its language cannot
    have, and for a dtype that cannot be had.
    """
    if dtype is not None and form in CODE:
        raise BuilderError(f"dtype must not be given for code, which has all (got {dtype!r})")
    if output.is_dir() or not output.name.isprintable() or "*/" in output.name:
        raise BuilderError(f"output must be a file with a printable name (got {output})")
    source = source_of(model, gpu)
    if form in CODE:
        texts, n_bytes = CODE[form](source, output)
    else:
        texts = {output: table_of(source.artefact, dtype or "bf16")}
        n_bytes = len(texts[output].encode())
    for path, text in texts.items():
        write_text(path, text)
    return Exported(tuple(texts), n_bytes, source.n_bytes)

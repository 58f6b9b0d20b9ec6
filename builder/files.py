"""Atomic writes, and sizes and SHA-256 of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gpperf_lite._files import is_replaced, is_stdout, write_atomically

from .errors import RecipeError

__all__ = [
    "is_replaced",
    "is_stdout",
    "make_room",
    "sha256_of",
    "size_text",
    "write_atomically",
    "write_text",
]


def make_room(output: Path) -> None:
    """Make the folder of a file that long work will write; raises RecipeError for a folder."""
    if output.is_dir():
        raise RecipeError(f"output must be a file (got the folder {output})")
    output.parent.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_atomically` does, into a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def size_text(path: Path) -> str:
    """Return the name of a file that was written, and its size; what is no file has none."""
    return f"{path.name}: {path.stat().st_size / 1e3:.0f} kB" if is_replaced(path) else str(path)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

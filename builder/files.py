"""Atomic writes, and SHA-256 of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gpperf_lite._sealed import write_atomically

from .errors import RecipeError

__all__ = ["make_room", "sha256_of", "write_atomically", "write_text"]


def make_room(output: Path) -> None:
    """Make the folder of a file that long work will write; raises RecipeError for a folder."""
    if output.is_dir():
        raise RecipeError(f"output must be a file (got the folder {output})")
    output.parent.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

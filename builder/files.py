"""Files: atomic writes, sizes, SHA-256, and pointers of Git LFS in their place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gpperf_lite._files import is_replaced, is_stdout, write_atomically

from .errors import BuilderError, RecipeError

__all__ = [
    "check_fetched",
    "is_replaced",
    "is_stdout",
    "make_room",
    "sha256_of",
    "size_text",
    "write_atomically",
    "write_text",
]

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def check_fetched(path: Path, error_class: type[BuilderError]) -> None:
    """Raise `error_class` for a file that Git LFS left a pointer of, in place of its content."""
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise error_class(
                f"{path} is a Git LFS pointer: fetch the file with 'git lfs pull' (git-lfs must be "
                "installed)"
            )


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

"""Files that are either whole or not there, and the names that contents give them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gpperf_lite._sealed import write_atomically

__all__ = ["sha256_of", "write_atomically", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

"""The folder of a collection: one journal for each GPU, and a lock that one supervisor holds."""

from __future__ import annotations

import os
from pathlib import Path

from .journal import SUFFIX, JournalError, lock

_LOCK = "lock"


class Folder:
    """A folder of journals that this process alone supervises while it is entered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def journal(self, number: int) -> Path:
        """Return the path of the journal of a GPU, counted from 0."""
        return self.path / f"gpu-{number}{SUFFIX}"

    def journals(self) -> list[Path]:
        """Return the journals that are there, sorted."""
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def __enter__(self) -> Folder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalError(f"cannot write in {self.path}: {error.strerror}") from error
        lock(handle, f"the folder {self.path}")
        self._handle = handle
        return self

    def __exit__(self, *raised: object) -> None:
        os.close(self._handle)
        self._handle = -1

"""The journal: the steps of a collection, as JSON lines that are only ever added to.

Each line is a JSON object whose first member, `crc`, is the CRC-32 of the rest. The kinds of line,
and how they follow on each other, are in `state`. A point is announced by `begin` before its first
launch, and closed by `row`; so whatever was going on when a process died has a name.

What can be lost:
- A process that is killed loses nothing that it wrote: each line is one write to the system. The
  line that it was writing may be torn; reading drops a last line without an end.
- A machine that loses power loses what was not synced: about the last second of rows, which are
  then measured again. A point may bring the machine down with its own `begin` not yet on disk.
- A full disk loses the line that did not fit, and the `begin` that is open, so no kernel is charged
  with a crash. The journal up to there stays valid.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import BuilderError
from ...measure import FaultRules
from .state import Line, State, StateError

SUFFIX = ".jsonl"
"""The end of the name of a journal."""

_CLOSED = ("row", "build")
"""Kinds of line after which a build may be due for quarantine."""

_HEAD = '{"crc":"00000000",'
_LOCK_POLL_S = 0.02
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class JournalError(BuilderError):
    """A journal is damaged, in use, or cannot be written."""


class Disk:
    """The file system, as a journal uses it; tests put a full one in its place."""

    def write(self, handle: int, data: bytes) -> int:
        """Write some of the bytes at the end; return their number."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """Wait until all that was written is on disk."""
        os.fsync(handle)

    def truncate(self, handle: int, length: int) -> None:
        """Cut a file to its first bytes."""
        os.ftruncate(handle, length)


class Journal:
    """A journal that is open for writing by this process alone.

    path: the file; state: that of its lines. Once writing has failed, only `close` is allowed.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience_s: float = 0.0,
        sync_s: float = FaultRules.journal_sync_s,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a journal, or begin one; a torn last line is cut off.

        patience_s: how long to wait while another process holds it. sync_s: how long a line may
        wait for the disk.
        Raises JournalError where it is damaged, in use or not writable.
        """
        self.path = path
        self._sync_s = sync_s
        self._disk = disk or Disk()
        self._clock = clock
        self._handle = _locked(path, patience_s, clock)
        try:
            data = _contents(self._handle, path)
            self.state = _state(data, path)
            self._length = self._begun_at = data.rfind(b"\n") + 1
            if self._length < len(data):
                self._disk.truncate(self._handle, self._length)
        except OSError as error:
            self.close()
            raise _unwritable(path, error) from error
        except BaseException:
            self.close()
            raise
        self._synced_at_s = clock()
        self._is_dirty = False

    def append(self, kind: str, **fields: Any) -> None:
        """Write one line; it survives the death of this process, and of the machine when synced.

        A `row` or `build` that makes a quarantine due is followed by the line that says so. Raises
        JournalError where a line cannot be written.
        """
        self._append({"kind": kind, **fields})
        if kind in _CLOSED:
            self.quarantine_offenders()

    def quarantine_offenders(self) -> None:
        """Write a `quarantine` for each build that is due for it."""
        for build, reason in self.state.offenders().items():
            self._append({"kind": "quarantine", "build": build, "reason": reason})

    def begin(self, expected_s: float, **fields: Any) -> None:
        """Write a `begin`, and sync where its step may last longer than a line may wait."""
        self.append("begin", expected_s=expected_s, **fields)
        self.sync_if_due(expected_s)

    def sync_if_due(self, ahead_s: float = 0.0) -> None:
        """Sync where, `ahead_s` from now, a line would have waited for longer than sync_s."""
        if self._is_dirty and self._clock() + ahead_s - self._synced_at_s >= self._sync_s:
            self.sync()

    def sync(self) -> None:
        """Wait until all lines are on disk; raises JournalError where that fails."""
        try:
            self._disk.sync(self._handle)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._synced_at_s = self._clock()
        self._is_dirty = False

    def close(self) -> None:
        """Let go of the file, unsynced; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _append(self, line: Line) -> None:
        data = encode(line)
        if self.state.open is None:
            self._begun_at = self._length
        self.state.add(line)
        try:
            self._write(data)
        except OSError as error:
            self._cut_back()
            raise _unwritable(self.path, error) from error
        self._length += len(data)
        self._is_dirty = True
        self.sync_if_due()

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._disk.write(self._handle, data) :]

    def _cut_back(self) -> None:
        """Cut off the part of a line that was written, and the begin that is open.

        Cutting needs no space. Where even that fails, readers drop the part of a line.
        """
        with suppress(OSError):
            self._disk.truncate(self._handle, self._begun_at)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal, a torn last one dropped, checked one by one and together.

    Raises JournalError where the journal is damaged or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    return list(_checked(data, path, State()))


def encode(line: Line) -> bytes:
    """Return the bytes of one line; raises ValueError for values that JSON lacks, such as NaN."""
    body = json.dumps(line, separators=(",", ":"), allow_nan=False).encode()
    return b'{"crc":"%08x",%s\n' % (zlib.crc32(body), body[1:])


def decode(text: bytes) -> dict[str, Any]:
    """Return one line without its end; raises ValueError where it is damaged."""
    body = b"{" + text[len(_HEAD) :]
    if text[: len(_HEAD)] != b'{"crc":"%08x",' % zlib.crc32(body):
        raise ValueError("its checksum is not that of its text")
    line: dict[str, Any] = json.loads(body)
    return line


def _state(data: bytes, path: Path) -> State:
    state = State()
    for _ in _checked(data, path, state):
        pass
    return state


def _checked(data: bytes, path: Path, state: State) -> Iterator[dict[str, Any]]:
    """Yield each whole line, adding it to a state."""
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        try:
            line = decode(text)
            state.add(line)
        except (ValueError, StateError) as error:
            raise JournalError(
                f"the journal {path} is damaged, or of another version, in line {number}: {error}; "
                "keep a copy and cut it before that line to go on from there, or begin a new one"
            ) from error
        yield line


def _locked(path: Path, patience_s: float, clock: Callable[[], float]) -> int:
    """Return a handle of the file that no other process has; raises JournalError otherwise."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error
    lock(handle, f"the journal {path}", patience_s, clock)
    return handle


def lock(
    handle: int,
    what: str,
    patience_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Lock an open file until it is closed; what: its name in errors.

    Raises JournalError, with the file closed, where another process has it for longer than
    patience_s, or where it cannot be locked.
    """
    until_s = clock() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if clock() < until_s:
                time.sleep(_LOCK_POLL_S)
                continue
            os.close(handle)
            raise JournalError(
                f"{what} is in use by another process: wait for it or end it, or choose another "
                "folder"
            ) from error
        except OSError as error:
            os.close(handle)
            raise JournalError(
                f"{what} cannot be locked ({error.strerror}): choose a folder on a local disk"
            ) from error
        return


def _contents(handle: int, path: Path) -> bytes:
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        return file.read()


def _unwritable(path: Path, error: OSError) -> JournalError:
    if error.errno in _NO_SPACE:
        return JournalError(
            f"no space left for the journal {path}: what it holds is valid; free some space and "
            "run the same command again to go on"
        )
    return JournalError(f"cannot write the journal {path}: {error.strerror}")

"""Standard streams that cannot break a command: closed ones, and those whose reader has left.

What nobody can read any more is dropped, work goes on, and the exit code is that of the work. What
was to be kept and could not be, as on a full disk, is still an error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

_NOBODY_READS = (errno.EPIPE, errno.EIO)
"""A pipe whose reader has left; a terminal that was closed."""


class _Stream(io.FileIO):
    """A stream that becomes the null device at the first error, of which it tells once, or never.

    Python would try again to write the same at its end, and complain of it with a traceback.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if error.errno in _NOBODY_READS:
                return memoryview(data).nbytes
            raise


def mend_streams() -> None:
    """Open the standard streams of this process that are closed, and shield those that are not.

    Of a stream that is something else than Python made of it, nothing is changed.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest number that is free, which is the stream's own: what is opened later, such
            # as a file to write, must not get it.
            os.open(os.devnull, os.O_RDWR)
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif descriptor and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _shielded(stream, descriptor))


def complain(text: str) -> None:
    """Print a line to stderr, where it can be printed."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _shielded(stream: TextIO, descriptor: int) -> TextIO:
    """Return a text stream like another one of a file that shields its writes."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.FileIO):
        return stream
    shield = _Stream(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        shield if raw is buffer else io.BufferedWriter(shield),
        encoding=stream.encoding,
        # A name that the terminal cannot print is no reason to end.
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )

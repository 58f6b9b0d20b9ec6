"""Files: written whole or not at all where they are plain ones, and read out of the package.

What is no plain file cannot be replaced: a pipe, a device, /dev/stdout and what a shell's `>(...)`
names are written into. A link is followed, and stays. The package may be in a zip, or a wheel, on
the path; then its files are read through `importlib.resources`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MOST_LINKS = 40
_LONGEST_STEM = 40
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`; of a plain file, a reader sees the old one or the new one, whole.

    A file that is replaced keeps its mode; a new one has what the umask leaves of rw-rw-rw-.

    Raises OSError, which names `path`, and nothing that stands in for it.
    """
    with _naming(os.fspath(path)):
        target, descriptor = _followed(os.fspath(path))
        mode = None
        if descriptor is None:
            with suppress(FileNotFoundError):
                mode = os.stat(target).st_mode
        if descriptor is not None:
            _pour(os.dup(descriptor), data)
        elif mode is None or stat.S_ISREG(mode):
            _replace(target, mode, data)
        else:  # a folder, too: opening it says what is wrong
            _pour(os.open(target, os.O_WRONLY), data)


def is_replaced(path: str | os.PathLike[str]) -> bool:
    """Return True where `write_atomically` would make or replace a plain file, or try to.

    What else it writes into may not be there to be read again.
    """
    try:
        target, descriptor = _followed(os.fspath(path))
        return descriptor is None and stat.S_ISREG(os.stat(target).st_mode)
    except OSError:
        return True


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Return True where `path` is what the command prints to, by a name such as /dev/stdout."""
    try:
        _, descriptor = _followed(os.fspath(path))
        return descriptor is not None and os.path.sameopenfile(descriptor, 1)
    except OSError:
        return False


def reason_of(error: OSError) -> str:
    """Return the text of an error without its number: the file first, where it names one."""
    if not error.strerror:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def read_file(path: str | os.PathLike[str], most: int = -1) -> bytes:
    """Return the first `most` bytes of a file, all without it; also of one of a zipped package."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError):
        full = os.path.abspath(path)
        if not full.startswith(_PACKAGE + os.sep):
            raise
        resource = _resource(*full[len(_PACKAGE) + 1 :].split(os.sep))
        if not resource.is_file():
            raise
        data: bytes = resource.read_bytes()
        return data[:most] if most >= 0 else data


def package_path(*parts: str) -> str:
    """Return the path of a file or folder of the package, as `read_file` takes it."""
    return os.path.join(_PACKAGE, *parts)


def names_in(folder: str) -> list[str]:
    """Return the names of the files in a folder of the package."""
    try:
        return os.listdir(package_path(folder))
    except (FileNotFoundError, NotADirectoryError):
        return [one.name for one in _resource(folder).iterdir()]


def _resource(*parts: str) -> Any:
    """Return a file or folder of the package where it is no plain one."""
    from importlib.resources import files  # slow to import, and of use in a zip alone

    found: Any = files("gpperf_lite")
    for part in parts:
        found = found / part
    return found


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Have an OSError name the path that was asked for."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _followed(path: str) -> tuple[str, int | None]:
    """Return the path at the end of all links, and the descriptor that it stands for, or None."""
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        folder = os.path.realpath(folder or os.curdir)
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and name.isdecimal():
            return path, int(name)
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return path, None
        path = os.path.join(folder, os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _pour(handle: int, data: bytes) -> None:
    """Write into what is open, and close it."""
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _replace(path: str, mode: int | None, data: bytes) -> None:
    """Write a file beside another and put it in its place; mode: of that, None without one."""
    folder, name = os.path.split(path)
    # Not by `tempfile`, which is slow to import, and whose files their owner alone may read.
    beside = os.path.join(folder, f".{name[:_LONGEST_STEM]}.{os.urandom(6).hex()}")
    handle = os.open(beside, _NEW, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise

"""A header, compiled to a library of this machine, and asked through it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuilderError
from .queries import GEMM, PREDICTION

FLAGS = ("-std=c99", "-O2")


def compiler_of(asked: str | None = None) -> str:
    """Return the path of a C compiler: the one that is asked for, $CC, cc, gcc or clang.

    Raises BuilderError where there is none.
    """
    names = [asked] if asked else [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise BuilderError(
            f"a C compiler must be installed (looked for {' '.join(filter(None, names))})"
        )
    return found


class CompiledHeader:
    """The functions of a header, in a library that is loaded into this process."""

    def __init__(
        self, header: Path, folder: Path, compiler: str, flags: Sequence[str] = FLAGS
    ) -> None:
        """folder: where the library goes. Raises BuilderError where it does not compile."""
        library = folder / f"{header.stem}_{Path(compiler).name}.so"
        command = [compiler, "-x", "c", *flags, "-shared", "-fPIC", "-DGPPERF_IMPLEMENTATION"]
        done = subprocess.run(
            [*command, str(header), "-o", str(library), "-lm"], capture_output=True, text=True
        )
        if done.returncode:
            raise BuilderError(f"{compiler} must compile {header} (got {done.stderr[:400]})")
        self.library = ctypes.CDLL(str(library))
        self._batch = self.library.gpperf_predict_batch
        self._batch.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double, ctypes.c_void_p,
            ctypes.c_void_p,
        ]  # fmt: skip
        self._one = self.library.gpperf_predict
        self._one.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_double, ctypes.c_void_p]

    def batch(self, rows: NDArray[np.void], kernel: int, confidence: float) -> NDArray[np.void]:
        """Ask about many rows at once; raises BuilderError where one is refused."""
        rows = np.ascontiguousarray(rows, GEMM)
        told = np.zeros(len(rows), PREDICTION)
        code = self._batch(rows.ctypes.data, len(rows), kernel, confidence, told.ctypes.data, None)
        if code:
            raise BuilderError(f"gpperf_predict_batch must answer (got error {code})")
        return told

    def singles(self, rows: NDArray[np.void], kernel: int, confidence: float) -> NDArray[np.void]:
        """Ask about rows one by one."""
        rows = np.ascontiguousarray(rows, GEMM)
        told = np.zeros(len(rows), PREDICTION)
        at, to = rows.ctypes.data, told.ctypes.data
        for row in range(len(rows)):
            code = self._one(
                at + row * GEMM.itemsize, kernel, confidence, to + row * PREDICTION.itemsize
            )
            if code:
                raise BuilderError(f"gpperf_predict must answer row {row} (got error {code})")
        return told

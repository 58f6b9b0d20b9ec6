"""A module that Node has loaded, and is asked through a pipe."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._gemm import DTYPES, LAYOUTS

from ..errors import BuilderError
from .answers import FIGURES
from .contents import TIMED_NUMBERS
from .javascript import camel
from .queries import PREDICTION

_ASK = Path(__file__).parent / "templates" / "ask.mjs"


def node_of(asked: str | None = None) -> str:
    """Return the path of Node, or of what is asked for; raises BuilderError where it is missing."""
    found = shutil.which(asked or "node")
    if found is None:
        raise BuilderError(f"Node must be installed (looked for {asked or 'node'})")
    return found


class NodeModule:
    """One process of Node with an exported module; a context manager that ends it."""

    def __init__(self, module: Path, kernels: Sequence[str], node: str) -> None:
        """kernels: names of the model's kernels, in its order."""
        self._kernels = list(kernels)
        self._process = subprocess.Popen(
            [node, str(_ASK), str(module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> NodeModule:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def batch(self, rows: NDArray[np.void], kernel: int, confidence: float) -> NDArray[np.void]:
        """Ask about rows of GEMM; raises BuilderError with what Node says where it fails."""
        dtypes = list(DTYPES)
        gemms = [
            [m, n, k, batch, dtypes[dtype], LAYOUTS[layout], beta]
            for m, n, k, batch, dtype, layout, beta in rows.tolist()
        ]
        question = {
            "gemms": gemms,
            "kernel": None if kernel < 0 else self._kernels[kernel],
            "confidence": confidence,
            "figures": [camel(name) for name in FIGURES],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BuilderError(f"Node must answer (got {self._process.stderr.read()[:400]})")
        return predictions_told(json.loads(line), self._kernels)


def predictions_told(told: Sequence[Sequence[object]], kernels: Sequence[str]) -> NDArray[np.void]:
    """Return the answers of a module as PREDICTIONs.

    told: of each question FIGURES, then the kernel's name, the number of its bound, what was timed,
    whether power is unmeasured, and whether it is in the domain. kernels: names, in their order.
    """
    rows = np.zeros(len(told), PREDICTION)
    columns = list(zip(*told, strict=True))
    for name, column in zip(FIGURES, columns[: len(FIGURES)], strict=True):
        # JSON has no NaN: it is null there.
        rows[name] = [math.nan if value is None else value for value in column]
    kernel, bound, timed, is_unmeasured, is_inside = columns[len(FIGURES) :]
    rows["kernel"] = [kernels.index(str(name)) for name in kernel]
    rows["bound"] = bound
    rows["timed"] = [TIMED_NUMBERS[str(name)] for name in timed]
    rows["power_is_unmeasured"] = is_unmeasured
    rows["outside"] = ~np.array(is_inside)
    return rows

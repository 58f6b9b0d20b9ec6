"""cuBLASLt as a program: the kernel is the library's to choose, once for each GEMM."""

from __future__ import annotations

from gpperf_lite import Gemm, Kernel

from ..interface import Program
from .bound import PlacedBound
from .context import Session
from .cublaslt import CublasLt
from .matmul import Matmul


class LibraryProgram(Program):
    """cuBLASLt, which chooses a kernel when it is bound."""

    def __init__(self, session: Session, kernel: Kernel, library: CublasLt) -> None:
        self.kernel = kernel
        self._session = session
        self._library = library

    def close(self) -> None:
        """Nothing is its own: the library stays with the device."""

    def bind(self, gemm: Gemm, copies: int) -> LibraryBound:
        """Return the library's choice for a GEMM, bound; see `Program.bind`."""
        return LibraryBound(self._session, self._library, gemm, copies)


class LibraryBound(PlacedBound):
    """A GEMM as cuBLASLt runs it; `algorithm` is what the library says of its choice."""

    def __init__(self, session: Session, library: CublasLt, gemm: Gemm, copies: int) -> None:
        self._matmul: Matmul | None = None
        self._workspace = 0
        self._matmul = Matmul(library, gemm)
        try:
            super().__init__(session, gemm, copies)
            if self._matmul.workspace_bytes:
                self._workspace = session.workspaces.take(self._matmul.workspace_bytes)
        except BaseException:
            self.close()
            raise
        self.algorithm = self._matmul.algorithm
        self._operands = [
            tuple(int(self._problems[name][copy]) for name in ("a", "b", "c", "d"))
            for copy in range(self.copies)
        ]

    def close(self) -> None:
        """Destroy the descriptors and give the workspace back."""
        matmul, self._matmul = self._matmul, None
        if matmul is not None:
            matmul.close()
        if self._workspace:
            self._session.workspaces.give_back(self._workspace)
            self._workspace = 0

    def _queue(self, copy: int) -> None:
        assert self._matmul is not None
        a, b, c, d = self._operands[copy]
        stream = int(self._session.launcher.stream)
        self._matmul.queue((a, b, c, d), self._workspace, stream)

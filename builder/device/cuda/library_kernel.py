"""cuBLASLt as a program: the kernel is the library's to choose, once for each GEMM."""

from __future__ import annotations

from gpperf_lite import Gemm, Kernel

from ..interface import Program
from .bound import CudaBound
from .context import GpuContext
from .cublaslt import CublasLt
from .matmul import Matmul


class LibraryProgram(Program):
    """cuBLASLt, which chooses a kernel when it is bound."""

    def __init__(self, context: GpuContext, kernel: Kernel, library: CublasLt) -> None:
        self.kernel = kernel
        self._context = context
        self._library = library

    def close(self) -> None:
        """Nothing to free: the library belongs to the device."""

    def bind(self, gemm: Gemm, copies: int) -> LibraryBound:
        """Return the library's choice for a GEMM, bound; see `Program.bind`."""
        return LibraryBound(self._context, self._library, gemm, copies)


class LibraryBound(CudaBound):
    """A GEMM as cuBLASLt runs it; `algorithm` is the library's description of its choice."""

    def __init__(self, context: GpuContext, library: CublasLt, gemm: Gemm, copies: int) -> None:
        self._matmul: Matmul | None = None
        self._workspace = 0
        self._matmul = Matmul(library, gemm)
        try:
            super().__init__(context, gemm, copies)
            if self._matmul.workspace_bytes:
                self._workspace = context.workspaces.take(self._matmul.workspace_bytes)
        except BaseException:
            self.close()
            raise
        self.algorithm = self._matmul.algorithm
        self._operands = [
            tuple(int(self._problems[name][copy]) for name in ("a", "b", "c", "d"))
            for copy in range(self.copies)
        ]

    def close(self) -> None:
        """Destroy the descriptors and free the workspace."""
        matmul, self._matmul = self._matmul, None
        if matmul is not None:
            matmul.close()
        if self._workspace:
            self._context.workspaces.give_back(self._workspace)
            self._workspace = 0

    def _queue(self, copy: int) -> None:
        assert self._matmul is not None
        a, b, c, d = self._operands[copy]
        stream = int(self._context.launcher.stream)
        self._matmul.queue((a, b, c, d), self._workspace, stream)

"""One matrix multiplication as cuBLASLt would run it.

cuBLASLt's matrices are column-major. A row-major C[m, n] is a column-major C'[n, m], so it is asked
for C' = B' A': the first operand is our B, the second our A, and a tile of its rows x columns is
one of our n x m. That is how the frameworks call it, too.

Numbers of enumerations are those of `cublasLt.h`, `cublas_api.h` and `library_types.h` of CUDA 13.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any, NamedTuple

from gpperf_lite import Gemm

from ..interface import DeviceError, Owner
from .cublaslt import CublasLt

WORKSPACE_BYTES = 32 << 20
"""Recommended for Hopper by cuBLAS's documentation, and given there by the frameworks."""

_NOT_SUPPORTED = 15
_TRANSPOSE_A, _TRANSPOSE_B = 3, 4
_BATCH_COUNT, _BATCH_OFFSET = 5, 6
_MOST_WORKSPACE = 1


class _Types(NamedTuple):
    """cudaDataType_t of A and B, and of C and D; cublasComputeType_t; type of alpha and beta."""

    operand: int
    output: int
    compute: int
    scale: int
    scalar: Any


_F64, _F32, _F16, _BF16, _S8, _S32, _E4M3 = 1, 0, 2, 14, 3, 10, 28
_TYPES = {
    "f64": _Types(_F64, _F64, 70, _F64, ctypes.c_double),
    "f32": _Types(_F32, _F32, 68, _F32, ctypes.c_float),
    "tf32": _Types(_F32, _F32, 77, _F32, ctypes.c_float),
    "f16": _Types(_F16, _F16, 68, _F32, ctypes.c_float),
    "bf16": _Types(_BF16, _BF16, 68, _F32, ctypes.c_float),
    "s8": _Types(_S8, _S32, 72, _S32, ctypes.c_int32),
    "fp8": _Types(_E4M3, _BF16, 68, _F32, ctypes.c_float),
}


class _Result(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = [
        ("algo", ctypes.c_uint64 * 8),
        ("workspace_bytes", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    ]


class _Field(NamedTuple):
    """An attribute of an algorithm: its number, its type and the names that its values have."""

    number: int
    type: Any
    names: str = ""


_FIELDS = {
    "id": _Field(0, ctypes.c_int32),
    "tile": _Field(1, ctypes.c_uint32, "MATMUL_TILE"),
    "split_k": _Field(2, ctypes.c_int32),
    "reduction": _Field(3, ctypes.c_uint32),
    "swizzle": _Field(4, ctypes.c_uint32),
    "custom": _Field(5, ctypes.c_uint32),
    "stages": _Field(6, ctypes.c_uint32, "MATMUL_STAGES"),
    "inner": _Field(7, ctypes.c_uint16),
    "cluster": _Field(8, ctypes.c_uint16, "CLUSTER_SHAPE"),
}


class Matmul(Owner):
    """One GEMM, described to cuBLASLt, and the algorithm that its heuristic puts first.

    algorithm: the library's description of it; workspace_bytes: of its scratch memory.
    Raises DeviceError with a plain reason for what cuBLASLt cannot run.
    """

    def __init__(self, library: CublasLt, gemm: Gemm) -> None:
        self._library = library
        self._undo: list[tuple[str, ctypes.c_void_p]] = []
        self._types = _types_of(gemm)
        self._alpha = _scalar("alpha", self._types, gemm.alpha)
        self._beta = _scalar("beta", self._types, gemm.beta)
        try:
            self._operation = self._described(gemm)
            self._layouts = self._laid_out(gemm)
            self._result = self._chosen(gemm)
        except BaseException:
            self.close()
            raise
        self.workspace_bytes = int(self._result.workspace_bytes)
        self.algorithm = self._description()
        if gemm.dtype == "fp8":
            # cuBLASLt adds fp8 products up in f32 unless it is asked for less (descriptor 25), as
            # torch._scaled_mm does; kernels with fast accumulation are faster.
            self.algorithm["fast_accumulation"] = False

    def close(self) -> None:
        """Destroy the descriptors."""
        undo, self._undo = self._undo, []
        for name, descriptor in reversed(undo):
            self._library.status(name, descriptor)

    def queue(self, addresses: tuple[int, int, int, int], workspace: int, stream: int) -> None:
        """Queue it; addresses: of A, B, C and D."""
        a, b, c, d = (ctypes.c_void_p(address) for address in addresses)
        first, second, output = self._layouts
        self._library.call(
            "cublasLtMatmul",
            self._library.handle,
            self._operation,
            ctypes.byref(self._alpha),
            b,
            first,
            a,
            second,
            ctypes.byref(self._beta),
            c,
            output,
            d,
            output,
            ctypes.byref(self._result.algo),
            ctypes.c_void_p(workspace),
            ctypes.c_size_t(self.workspace_bytes),
            ctypes.c_void_p(stream),
        )

    def _described(self, gemm: Gemm) -> ctypes.c_void_p:
        operation = self._made("cublasLtMatmulDesc", self._types.compute, self._types.scale)
        # Our B is column-major where its layout says n; then C' = B' A' wants it transposed.
        for attribute, turned in (
            (_TRANSPOSE_A, gemm.layout[1] == "n"),
            (_TRANSPOSE_B, gemm.layout[0] == "n"),
        ):
            self._set("cublasLtMatmulDescSetAttribute", operation, attribute, _int32(turned))
        return operation

    def _laid_out(self, gemm: Gemm) -> tuple[ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]:
        m, n, k = gemm.m, gemm.n, gemm.k
        first = (k, n) if gemm.layout[1] == "n" else (n, k)
        second = (m, k) if gemm.layout[0] == "n" else (k, m)
        return (
            self._layout(gemm, self._types.operand, *first),
            self._layout(gemm, self._types.operand, *second),
            self._layout(gemm, self._types.output, n, m),
        )

    def _layout(self, gemm: Gemm, data_type: int, rows: int, columns: int) -> ctypes.c_void_p:
        layout = self._made(
            "cublasLtMatrixLayout",
            data_type,
            ctypes.c_uint64(rows),
            ctypes.c_uint64(columns),
            ctypes.c_int64(rows),
        )
        if gemm.batch > 1:
            name, offset = "cublasLtMatrixLayoutSetAttribute", ctypes.c_int64(rows * columns)
            self._set(name, layout, _BATCH_COUNT, _int32(gemm.batch))
            self._set(name, layout, _BATCH_OFFSET, offset)
        return layout

    def _chosen(self, gemm: Gemm) -> _Result:
        preference = self._made("cublasLtMatmulPreference")
        most = ctypes.c_uint64(WORKSPACE_BYTES)
        name = "cublasLtMatmulPreferenceSetAttribute"
        self._set(name, preference, _MOST_WORKSPACE, most)
        result, found = _Result(), ctypes.c_int(0)
        first, second, output = self._layouts
        status = self._library.status(
            "cublasLtMatmulAlgoGetHeuristic",
            self._library.handle,
            self._operation,
            first,
            second,
            output,
            output,
            preference,
            1,
            ctypes.byref(result),
            ctypes.byref(found),
        )
        if status == _NOT_SUPPORTED or (not status and (not found.value or result.state)):
            batch = f" batch {gemm.batch}" if gemm.batch > 1 else ""
            sizes = f"{gemm.m}x{gemm.n}x{gemm.k}{batch}"
            text = f"cuBLASLt has no kernel for {gemm.dtype} {gemm.layout} of {sizes} on this GPU"
            raise DeviceError(0, "cublasLtMatmulAlgoGetHeuristic", text)
        if status:
            raise DeviceError(0, "cublasLtMatmulAlgoGetHeuristic", f"status {status}")
        return result

    def _description(self) -> dict[str, Any]:
        """Return the library's description of its algorithm, m before n as in our own kernels."""
        told: dict[str, Any] = {"library": "cublasLt", "version": self._library.version}
        for name, field in _FIELDS.items():
            value = field.type(0)
            written = ctypes.c_size_t(0)
            status = self._library.status(
                "cublasLtMatmulAlgoConfigGetAttribute",
                ctypes.byref(self._result.algo),
                field.number,
                ctypes.byref(value),
                ctypes.c_size_t(ctypes.sizeof(value)),
                ctypes.byref(written),
            )
            if status:
                continue
            if not field.names:
                told[name] = value.value
                continue
            told[f"{name}_id"] = value.value
            text = self._library.name_of(field.names, value.value)
            if text and text != "UNDEFINED":
                told[name] = text if name == "stages" else _turned(text)
        told["workspace_bytes"] = int(self._result.workspace_bytes)
        told["waves"] = round(float(self._result.waves), 4)
        return told

    def _made(self, kind: str, *arguments: Any) -> ctypes.c_void_p:
        descriptor = ctypes.c_void_p()
        self._library.call(f"{kind}Create", ctypes.byref(descriptor), *arguments)
        self._undo.append((f"{kind}Destroy", descriptor))
        return descriptor

    def _set(self, name: str, descriptor: ctypes.c_void_p, attribute: int, value: Any) -> None:
        n_bytes = ctypes.c_size_t(ctypes.sizeof(value))
        self._library.call(name, descriptor, attribute, ctypes.byref(value), n_bytes)


def _types_of(gemm: Gemm) -> _Types:
    if gemm.dtype not in _TYPES:
        known = " ".join(_TYPES)
        text = f"dtype must be one of {known} for the library as it is asked here"
        raise DeviceError(0, "cublasLt", f"{text} (got {gemm.dtype})")
    if gemm.dtype == "fp8" and gemm.layout != "tn":
        text = f"fp8 must be of layout tn for cuBLASLt (got {gemm.layout})"
        raise DeviceError(0, "cublasLt", text)
    return _TYPES[gemm.dtype]


def _scalar(name: str, types: _Types, value: float) -> Any:
    if types.scalar is not ctypes.c_int32:
        return types.scalar(value)
    if not value.is_integer() or abs(value) >= 2**31:
        raise DeviceError(0, "cublasLt", f"{name} must be a whole number for s8 (got {value})")
    return ctypes.c_int32(int(value))


def _int32(value: int) -> ctypes.c_int32:
    return ctypes.c_int32(value)


def _turned(text: str) -> list[int] | str:
    """Return the extents of a text such as "128x256", first and second exchanged."""
    if not re.fullmatch(r"[0-9]+(x[0-9]+)+", text):
        return text
    rows, columns, *rest = (int(part) for part in text.split("x"))
    return [columns, rows, *rest]

"""The GEMM: one matrix multiplication, its data types and its layouts."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, NoReturn

from ._errors import InputError, nearest, shown

LARGEST = 2**31 - 1
"""Largest m, n, k or batch: CUTLASS and cuBLAS take 32-bit integers."""

LAYOUTS = ("nn", "nt", "tn", "tt")
"""Layouts of A and B as CUTLASS writes them: n = column-major, t = row-major."""


class DataType(NamedTuple):
    """A dtype of A and B: bytes of one element of A, of B and of C, scales included.

    No element of A takes fewer bytes than one of B. peak_of: the dtypes whose peak counts where a
    GPU states none of this one, the first that it states.
    """

    name: str
    a_bytes: float
    b_bytes: float
    output_bytes: float
    peak_of: tuple[str, ...] = ()


DTYPES = {
    dtype.name: dtype
    for dtype in (
        DataType("f64", 8.0, 8.0, 8.0),
        DataType("f32", 4.0, 4.0, 4.0),
        DataType("tf32", 4.0, 4.0, 4.0),
        DataType("f16", 2.0, 2.0, 2.0),
        DataType("bf16", 2.0, 2.0, 2.0),
        DataType("s8", 1.0, 1.0, 4.0),
        # Scales of A that are found for each tensor or row, when the GEMM runs.
        DataType("fp8", 1.0, 1.0, 2.0),
        # Scales of A that are known beforehand.
        DataType("fp8_static", 1.0, 1.0, 2.0, ("fp8",)),
        # One f32 scale for each block of 128.
        DataType("fp8_block", 1.0 + 4.0 / 128.0, 1.0 + 4.0 / 128.0, 2.0, ("fp8",)),
        # Two elements to a byte, and one fp8 scale for each block of 16.
        DataType("nvfp4", 0.5 + 1.0 / 16.0, 0.5 + 1.0 / 16.0, 2.0),
        # Weights alone are integers: A is f16 or bf16, and so are the products.
        DataType("int8_wo", 2.0, 1.0, 2.0, ("f16", "bf16")),
        DataType("int4_wo", 2.0, 0.5, 2.0, ("f16", "bf16")),
        # SmoothQuant: both are integers, and the result is scaled back.
        DataType("int8_sq", 1.0, 1.0, 2.0, ("s8",)),
    )
}

_ALIASES = {
    "float64": "f64",
    "fp64": "f64",
    "double": "f64",
    "float32": "f32",
    "fp32": "f32",
    "float": "f32",
    "single": "f32",
    "tfloat32": "tf32",
    "float16": "f16",
    "fp16": "f16",
    "half": "f16",
    "bfloat16": "bf16",
    "int8": "s8",
    "i8": "s8",
    "e4m3": "fp8",
    "e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "float8_e5m2": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "fp4": "nvfp4",
    "w8a16": "int8_wo",
    "w4a16": "int4_wo",
    "w8a8": "int8_sq",
    "smoothquant": "int8_sq",
    "sq": "int8_sq",
}


@dataclass(frozen=True, slots=True, init=False)
class Gemm:
    """One GEMM: C[m, n] = alpha * A[m, k] B[k, n] + beta * C.

    m, n, k, batch: integers from 1 to 2**31 - 1 (an integral float is taken as one).
    dtype: of A and B, one of `f64 f32 tf32 f16 bf16 s8 fp8 fp8_static fp8_block nvfp4
        int8_wo int4_wo int8_sq` or a usual alias (`float16`, `half`, `bfloat16`, `int8`,
        `e4m3`, `w4a16`, ...).
    layout: of A and B, one of `nn nt tn tt` (n = column-major, t = row-major).
    alpha, beta: finite numbers; whether beta is 0 decides whether C is read.

    Raises InputError where one of them is not valid.
    """

    m: int
    n: int
    k: int
    dtype: str = "f16"
    layout: str = "tn"
    batch: int = 1
    alpha: float = 1.0
    beta: float = 0.0

    def __init__(
        self,
        m: int,
        n: int,
        k: int,
        dtype: str = "f16",
        layout: str = "tn",
        batch: int = 1,
        alpha: float = 1.0,
        beta: float = 0.0,
    ) -> None:
        # One chained test for the common case; everything else is sorted out below.
        if not (
            type(m) is type(n) is type(k) is type(batch) is int
            and 1 <= m <= LARGEST
            and 1 <= n <= LARGEST
            and 1 <= k <= LARGEST
            and 1 <= batch <= LARGEST
        ):
            m, n = checked_size("m", m), checked_size("n", n)
            k, batch = checked_size("k", k), checked_size("batch", batch)
        if type(dtype) is not str or dtype not in DTYPES:
            dtype = checked_dtype(dtype)
        if type(layout) is not str or layout not in LAYOUTS:
            layout = checked_layout(layout)
        if not (type(alpha) is type(beta) is float) or alpha - alpha != beta - beta:
            alpha, beta = checked_scalar("alpha", alpha), checked_scalar("beta", beta)
        set_m, set_n, set_k, set_dtype, set_layout, set_batch, set_alpha, set_beta = _SETTERS
        set_m(self, m)
        set_n(self, n)
        set_k(self, k)
        set_dtype(self, dtype)
        set_layout(self, layout)
        set_batch(self, batch)
        set_alpha(self, alpha)
        set_beta(self, beta)

    @property
    def flops(self) -> int:
        """Floating-point (or integer) operations: 2 m n k batch."""
        return 2 * self.m * self.n * self.k * self.batch


_SETTERS = tuple(getattr(Gemm, name).__set__ for name in Gemm.__slots__)
"""Of the fields of a Gemm, which is frozen for others: dataclass's own way takes twice as long."""


def footprint_bytes(gemm: Gemm) -> int:
    """Return the bytes of A, B and C together, of all GEMMs of a batch, rounded up."""
    dtype = DTYPES[gemm.dtype]
    operands = gemm.m * gemm.k * dtype.a_bytes + gemm.k * gemm.n * dtype.b_bytes
    return math.ceil(gemm.batch * (operands + gemm.m * gemm.n * dtype.output_bytes))


def checked_size(name: str, value: Any) -> int:
    """Return `value` as an int in 1 ... LARGEST, or raise InputError naming `name`."""
    if _is_bool(value):
        _refuse(name, value, "an integer, not a boolean")
    try:
        number = operator.index(value)
    except TypeError:
        number = _integral(name, value)
    if not 1 <= number <= LARGEST:
        _refuse(name, value, f"an integer from 1 to {LARGEST}")
    return number


def checked_dtype(value: Any) -> str:
    """Return the canonical name of a dtype, or raise InputError with the nearest one.

    Takes names and aliases in any case, and the types and dtypes of numpy and torch; not Python's
    own `float`, which is f64 to the one and f32 to the other.
    """
    name = usual_dtype(value)
    if name not in DTYPES:
        known = [*DTYPES, *_ALIASES]
        allowed = f"one of {' '.join(DTYPES)}{nearest(name[:40], known)}"
        _refuse("dtype", value, allowed)
    return name


def usual_dtype(value: Any) -> str:
    """Return the canonical name of a dtype, or its own name where it is not one of DTYPES."""
    name = _dtype_name(value)
    usual = name.lower().removeprefix("torch.")
    usual = _ALIASES.get(usual, usual)
    return usual if usual in DTYPES else name


def checked_layout(value: Any) -> str:
    """Return the canonical name of a layout, or raise InputError."""
    name = value.lower() if isinstance(value, str) else ""
    if name not in LAYOUTS:
        _refuse("layout", value, "one of nn nt tn tt (n = column-major, t = row-major)")
    return name


def checked_scalar(name: str, value: Any) -> float:
    """Return `value` as a finite float, or raise InputError naming `name`."""
    if not isinstance(value, Real) or _is_bool(value):
        _refuse(name, value, "a finite number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _refuse(name, value, "a finite number")
    return number


def _is_bool(value: Any) -> bool:
    """True for a boolean: Python's, numpy's or an array of them."""
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return isinstance(value, bool) or dtype == "bool"


def _integral(name: str, value: Any) -> int:
    """Return an integral float (Python's, numpy's) as an int, or raise InputError."""
    if not isinstance(value, Real):
        _refuse(name, value, "an integer")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not number.is_integer() or number != value:
        _refuse(name, value, "a whole number")
    return int(number)


def _dtype_name(value: Any) -> str:
    """Return the name that a dtype has for itself; "" for a value that is no dtype."""
    if isinstance(value, str):
        return value
    if isinstance(value, type):
        return "" if value.__module__ == "builtins" else value.__name__
    try:
        return str(value)
    except Exception:  # whatever is wrong with it, it is no dtype
        return ""


def _refuse(name: str, value: Any, allowed: str) -> NoReturn:
    raise InputError(f"{name} must be {allowed} (got {shown(value)})")

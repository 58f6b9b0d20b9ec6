"""Problems of CUTLASS: GEMMs as its heuristics read them, and which kernels are for them.

The list is what `--heuristics-problems-file` of its generator takes (JSON). Layouts have three
letters, of A, B and C; n is column-major.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from gpperf_lite import Gemm, GpperfError, InputError, Kernel, read_jobs
from gpperf_lite._gemm import usual_dtype

_TYPES = {
    "f16": ("f16", "f32", "f16"),
    "bf16": ("bf16", "f32", "bf16"),
    "tf32": ("tf32", "f32", "f32"),
    "f32": ("f32", "f32", "f32"),
    "f64": ("f64", "f64", "f64"),
    "fp8": ("e4m3", "f32", "bf16"),
    "s8": ("s8", "s32", "s32"),
}
"""CUTLASS's types of the operands, the accumulator and the result of a GEMM, by our dtype."""

_FLIPPED = {"n": "t", "t": "n"}

_NEEDED = ("m", "n", "k", "dtype_a", "dtype_b", "dtype_d", "layout")

_CUTLASS3 = r"cutlass3x_sm\d+_tensorop_(?:[a-z]\w*x\d+)?\w*?gemm_" + "_".join(
    rf"(?P<{name}>[a-z0-9]+)" for name in ("a", "b", "acc", "c", "d")
)
_CUTLASS2 = (
    r"cutlass_(?:simt|tensorop|wmma_tensorop)_(?:(?P<d>[a-z][a-z0-9]+)_)?(?P<opcode>[dshi])"
    r"[a-z0-9]*gemm(?:_(?P<a>[a-z0-9]+)(?=_\d+x))?"
)
_ACCUMULATORS = {"d": "f64", "s": "f32", "h": "f16", "i": "s32"}


@dataclass(frozen=True)
class Problem:
    """A problem of CUTLASS's list, under its own names; dtype_c None where C is of D's type."""

    m: int
    n: int
    k: int
    dtype_a: str
    dtype_b: str
    dtype_d: str
    layout: str
    batch_count: int = 1
    dtype_acc: str = "f32"
    dtype_c: str | None = None
    beta: float = 0.0
    use_fast_acc: bool = True

    def __post_init__(self) -> None:
        for name in ("dtype_a", "dtype_b", "dtype_acc", "dtype_c", "dtype_d"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name != "dtype_c" or value is not None):
                raise InputError(f"{name} must be a name of CUTLASS, as bf16 (got {value!r:.60})")
        if not re.fullmatch("[nt]{3}", str(self.layout)):
            raise InputError(f"layout must be three letters n or t (got {self.layout!r:.60})")
        if usual_dtype(self.dtype_a) != usual_dtype(self.dtype_b):
            raise InputError(f"A and B must be of one dtype (got {self.dtype_a}, {self.dtype_b})")
        self.launched()

    @classmethod
    def of(cls, gemm: Gemm) -> Problem:
        """Return the problem of a GEMM, whose row-major C is the column-major C of B' A'.

        Its m and n change places, as where a framework calls a column-major library. Raises
        InputError for a dtype that CUTLASS's library has no kernels of.
        """
        if gemm.dtype not in _TYPES:
            known = ", ".join(_TYPES)
            raise InputError(f"dtype must be one of {known} for CUTLASS (got {gemm.dtype!r})")
        a, accumulator, d = _TYPES[gemm.dtype]
        letters = _transposed(gemm.layout)
        sizes = (gemm.n, gemm.m, gemm.k)
        return cls(*sizes, a, a, d, f"{letters}n", gemm.batch, accumulator, d, gemm.beta)

    def launched(self) -> Gemm:
        """Return the GEMM with m, n and the layout as they are launched, whatever the order of C.

        Raises InputError for sizes or a dtype that are not valid.
        """
        dtype = usual_dtype(self.dtype_a)
        return Gemm(
            self.m, self.n, self.k, dtype, self.layout[:2], self.batch_count, 1.0, self.beta
        )

    def row_major(self) -> Gemm:
        """Return the GEMM with a row-major C that is the same: of that the domain is asked."""
        gemm = self.launched()
        if self.layout[2] == "t":
            return gemm
        letters = _transposed(gemm.layout)
        return Gemm(gemm.n, gemm.m, gemm.k, gemm.dtype, letters, gemm.batch, 1.0, gemm.beta)

    def obstacle(self, name: str, kernel: Kernel) -> str | None:
        """Return the reason why a kernel is none of this problem's; None where it is one."""
        types = _types_of(name)
        c = self.dtype_c or self.dtype_d
        wanted = (self.dtype_a, self.dtype_b, self.dtype_acc, c, self.dtype_d)
        if types is None or (types[3] == "void" and self.beta):
            return "its types are not known, or it reads no C"
        if types[:3] + types[4:] != wanted[:3] + wanted[4:] or types[3] not in ("void", c):
            return f"its types are {types}"
        if _order_of_c(name) != self.layout[2] or kernel.layout != self.layout[:2]:
            return "its layout is another"
        if "fastaccum" in name and not self.use_fast_acc:
            return "it adds up fast"
        return kernel.obstacle(self.launched())


def _transposed(letters: str) -> str:
    """Return the letters of B' and A', by those of A and B."""
    return _FLIPPED[letters[1]] + _FLIPPED[letters[0]]


def _types_of(name: str) -> tuple[str, str, str, str, str] | None:
    """Return the types of A, B, accumulator, C and D that a kernel's name tells."""
    if match := re.match(_CUTLASS3, name):
        a, b, accumulator, c, d = match.group("a", "b", "acc", "c", "d")
        return a, b, accumulator, c, d
    if match := re.match(_CUTLASS2, name):
        accumulator = _ACCUMULATORS[match["opcode"]]
        a = match["a"] or {"s32": "s8"}.get(accumulator, accumulator)
        d = match["d"] or accumulator
        return a, a, accumulator, d, d
    return None


def _order_of_c(name: str) -> str:
    """Return the letter of C; of 2.x, whose names tell none, all of CUTLASS's are column-major."""
    match = re.search(r"_[nt]{2}([nt]?)_align", name)
    return (match[1] if match else "") or "n"


def read_problems(path: Path) -> list[Problem]:
    """Read a problem list of CUTLASS (JSON), or the GEMMs of a file of jobs (CSV), each once.

    Raises InputError for a file that is not valid, by the number of the problem.
    """
    if path.suffix != ".json":
        return list(dict.fromkeys(map(Problem.of, _gemms(path))))
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must be a problem list of CUTLASS in JSON ({error})") from error
    if not isinstance(told, list) or not told:
        raise InputError(f"{path} must be a list of problems (got {type(told).__name__})")
    return list(dict.fromkeys(_problem(path, at, one) for at, one in enumerate(told, 1)))


def _gemms(path: Path) -> Iterable[Gemm]:
    """Yield the GEMMs of the lines of a file of jobs."""
    jobs = read_jobs(path)
    for line, group in enumerate(jobs.group.tolist()):
        m, n, k, batch = (int(jobs.sizes[name][line]) for name in ("m", "n", "k", "batch"))
        facts = jobs.groups[group]
        yield Gemm(m, n, k, facts.dtype, facts.layout, batch, 1.0, facts.beta)


def _problem(path: Path, number: int, told: Any) -> Problem:
    names = {one.name for one in fields(Problem)}
    missing = [name for name in _NEEDED if not isinstance(told, dict) or name not in told]
    if missing:
        raise InputError(f"{path}, problem {number}: {', '.join(missing)} must be given")
    if told.get("operation", "gemm") != "gemm":
        raise InputError(f"{path}, problem {number}: operation must be gemm")
    try:
        return Problem(**{name: _lower(told[name]) for name in names & told.keys()})
    except (GpperfError, TypeError) as error:
        raise InputError(f"{path}, problem {number}: {error}") from error


def _lower(value: Any) -> Any:
    """Return a text in lower case, as CUTLASS reads it; anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def problem_list(problems: Iterable[Problem]) -> str:
    """Return the text of a problem list; equal problems give equal texts."""
    told = [
        {name: value for name, value in asdict(one).items() if value is not None}
        for one in problems
    ]
    return json.dumps(told, indent=2) + "\n"

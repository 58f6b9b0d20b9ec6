"""Operands of a row of `cutlass_profiler`: the dtype that was multiplied, and the layout.

What A and B say is not all that was. In CUTLASS 4 (python/cutlass_library, generator.py and
gemm_operation.py):

  - f32 operands of a tensor-core kernel are multiplied as the word in front of `gemm` says:
    `s1688tf32gemm` as tf32, `s1688f16gemm` and `s1688bf16gemm` as these
    (GenerateSM80_TensorOp_1688_fast_math). Without one they are parted into shorter numbers, which
    are multiplied crosswise: `s1688gemm` is 3xTF32, `OpMultiplyAddFastF32`.
  - `f8`, `f6` and `f4` are types that a run chooses, as `runtime_input_datatype_a` and `_b` say.
  - Block-scaled kernels name the type of the scales with that of the elements, `ue4m3xe2m1`, and A
    and B say the latter alone; blockwise ones the size of a block, too, `128x128f32xe4m3`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpperf_lite import InputError
from gpperf_lite._errors import shown
from gpperf_lite._kernel import operand_dtype

from .cells import UnusableError

_Cells = Mapping[str, str]

_LETTERS = {"column": "n", "row": "t"}
_CHOSEN = {
    "f8": {"e4m3", "e5m2"},
    "f6": {"e3m2", "e2m3"},
    "f4": {"e2m1"},
}
"""The types that a run can choose for one of its operands."""

_MULTIPLIED_AS = re.compile(r"(tf32|bf16|f16|e4m3|e5m2|s8|u8)gemm")
_SCALED = re.compile(r"gemm_(?P<a>ue[0-9]m[0-9])x[a-z0-9]+_(?P<b>ue[0-9]m[0-9])x[a-z0-9]+_")
_BLOCKWISE = re.compile(
    r"gemm_(?P<a>[0-9]+x[0-9]+)f32x(?:e4m3|e5m2|f8)_(?P<b>[0-9]+x[0-9]+)f32x(?:e4m3|e5m2|f8)_"
)
_DTYPES_OF_SCALES = {"ue4m3xe2m1": "nvfp4"}
_FORMATS_OF_SCALES = {
    **dict.fromkeys(("ue8m0xe4m3", "ue8m0xe5m2"), "mxfp8"),
    **dict.fromkeys(("ue8m0xe3m2", "ue8m0xe2m3"), "mxfp6"),
    "ue8m0xe2m1": "mxfp4",
}
_USUAL_BLOCKS = ("1x128", "128x128")


def operands(cells: _Cells) -> tuple[str, str]:
    """Return the dtype and the layout of a row's operands, such as `f16:column`.

    Raises UnusableError, with the types, where no dtype of ours is multiplied.
    """
    layout = "".join(_letter(cells, name) for name in ("A", "B"))
    a, b = (_type(cells, name) for name in ("A", "B"))
    kind, name = cells.get("OperationKind", ""), cells["Operation"]
    if kind == "block_scaled_gemm" or "bstensorop" in name:
        return _block_scaled(name, a, b), layout
    dtypes = {_dtype(one) for one in (a, b)}
    if len(dtypes) != 1:
        raise UnusableError("A and B have different types")
    (dtype,) = dtypes
    if kind == "blockwise_gemm" or _BLOCKWISE.search(name):
        return _blockwise(name, dtype), layout
    return (_multiplied(cells) if dtype == "f32" else dtype), layout


def name_as_it_ran(cells: _Cells) -> str:
    """Return a kernel's name with the types that this run chose: `f8_f8` as `e4m3_e4m3`.

    Raises UnusableError where the row does not say what was chosen.
    """
    name = cells["Operation"]
    for operand in ("A", "B"):
        told = cells[operand].partition(":")[0]
        if told in _CHOSEN:
            name = re.sub(rf"(?<=[_x]){told}(?=_)", _type(cells, operand), name, count=1)
    return name


def _type(cells: _Cells, name: str) -> str:
    kind = cells[name].partition(":")[0]
    if re.fullmatch(r"fe[0-9]m[0-9]", kind):
        return kind[1:]
    if kind not in _CHOSEN:
        return kind
    column = f"runtime_input_datatype_{name.lower()}"
    told = cells.get(column, "")
    if told not in _CHOSEN[kind]:
        raise UnusableError(f"operand {name} is {kind}, and {column} is {shown(told)}")
    return told


def _letter(cells: _Cells, name: str) -> str:
    order = cells[name].partition(":")[2]
    if order not in _LETTERS:
        raise UnusableError(f"operand {name} has a layout that is not column or row")
    return _LETTERS[order]


def _dtype(kind: str) -> str:
    """Return the dtype of an operand whose elements have no scales."""
    try:
        dtype = operand_dtype(kind)
    except InputError:
        dtype = None
    # Elements of nvfp4 alone are another dtype, as they are without its scales.
    if dtype is None or kind == "e2m1":
        raise UnusableError(f"its operands are of a type that is not known here: {shown(kind)}")
    return dtype


def _multiplied(cells: _Cells) -> str:
    """Return the dtype that f32 operands are multiplied as."""
    name = cells["Operation"]
    word = _MULTIPLIED_AS.search(name)
    if word and word[1] == "tf32":
        return "tf32"
    if word:
        raise UnusableError(f"f32 operands that are multiplied as {word[1]}")
    if "tensorop" in name or "tensorop" in cells.get("op_class", ""):
        raise UnusableError(
            "f32 operands that tensor cores multiply as the name does not tell (mostly 3xTF32)"
        )
    return "f32"


def _block_scaled(name: str, a: str, b: str) -> str:
    found = _SCALED.search(name)
    if not found:
        raise UnusableError("a block-scaled GEMM whose name does not tell its scales")
    kinds = [f"{found['a']}x{a}", f"{found['b']}x{b}"]
    if kinds[0] != kinds[1]:
        raise UnusableError(f"block-scaled operands of two types: {' and '.join(kinds)}")
    if kinds[0] not in _DTYPES_OF_SCALES:
        known_as = _FORMATS_OF_SCALES.get(kinds[0], "not known here")
        raise UnusableError(f"block-scaled operands of no dtype here: {kinds[0]} ({known_as})")
    return _DTYPES_OF_SCALES[kinds[0]]


def _blockwise(name: str, dtype: str) -> str:
    found = _BLOCKWISE.search(name)
    blocks = (found["a"], found["b"]) if found else None
    if dtype != "fp8" or blocks != _USUAL_BLOCKS:
        told = " and ".join(blocks) if blocks else "a size that its name does not tell"
        raise UnusableError(f"{dtype} with a scale for each block of no dtype here: {told}")
    return "fp8_block"

"""Batches: sizes of many GEMMs in, as arrays; the answers of several kernels out, as one batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arithmetic import ARRAYS, Floats
from ._errors import InputError
from ._gemm import LARGEST, Gemm, checked_size
from ._kernel import Kernel, contiguous_extents
from ._kernel_model import Answer, KernelModel
from ._prediction import BOUNDS, NotesByRow, PredictionBatch, Reason

_ROWS_PER_BLOCK = 2048


def sizes_of(**values: ArrayLike) -> dict[str, Floats]:
    """Return sizes as float64 arrays of one shape (n_rows,), or raise InputError."""
    arrays = {name: _size_column(name, value) for name, value in values.items()}
    try:
        columns = np.broadcast_arrays(*arrays.values())
    except ValueError as error:
        lengths = ", ".join(f"{name}: {array.size}" for name, array in arrays.items())
        raise InputError(f"m, n, k and batch must have one length ({lengths})") from error
    return {name: np.atleast_1d(column) for name, column in zip(arrays, columns, strict=True)}


def _size_column(name: str, value: ArrayLike) -> Floats:
    """Return sizes as a float64 array, or raise InputError naming the argument and a bad row.

    Among integers numpy takes True for 1, so booleans are looked for first.
    """
    if isinstance(value, (list, tuple)) and not {type(item) for item in value}.isdisjoint(_BOOLS):
        row = next(i for i, item in enumerate(value) if type(item) in _BOOLS)
        raise InputError(f"{name} must be an integer, not a boolean (got it in row {row})")
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name} must be a whole number or a flat array of them") from error
    if array.ndim > 1:
        raise InputError(f"{name} must be flat (got an array of shape {array.shape})")
    if array.dtype.kind not in "iuf":
        array = np.array([_size_in_row(name, row, item) for row, item in enumerate(array.flat)])
    good = (array >= 1) & (array <= LARGEST) & (array == np.floor(array))
    if not good.all():
        row = int(np.argmin(good))
        _size_in_row(name, row, array.flat[row].item())
    columns: Floats = array.astype(np.float64)
    return columns


_BOOLS = {bool, np.bool_}


def _size_in_row(name: str, row: int, value: object) -> int:
    try:
        return checked_size(name, value)
    except InputError as error:
        raise InputError(f"{error} in row {row}") from None


def able_rows(sizes: dict[str, Floats], example: Gemm, kernel: Kernel) -> NDArray[np.bool_]:
    """Return a mask of the rows that a kernel's alignment allows, bool array of shape (n_rows,)."""
    able = np.ones(len(sizes["m"]), bool)
    for name, _ in contiguous_extents(example):
        able &= sizes[name] % kernel.alignment == 0
    return able


def answer_rows(
    model: KernelModel, sizes: dict[str, Floats], reads_c: float, confidence: float
) -> Answer:
    """Return the answers to all rows, worked out in blocks that stay in a cache."""
    blocks = []
    for start in range(0, max(len(sizes["m"]), 1), _ROWS_PER_BLOCK):
        block = {name: size[start : start + _ROWS_PER_BLOCK] for name, size in sizes.items()}
        blocks.append(
            model.answer(**block, reads_c=reads_c, confidence=confidence, arithmetic=ARRAYS)
        )
    if len(blocks) == 1:
        return blocks[0]
    columns = zip(*blocks, strict=True)
    return Answer(*(None if parts[0] is None else np.concatenate(parts) for parts in columns))


def batch_of(
    sizes: dict[str, Floats],
    models: list[KernelModel],
    answers: list[Answer],
    able: list[NDArray[np.bool_]],
    confidence: float,
) -> PredictionBatch:
    """Return a batch: for each row, the answer of the fastest kernel that can run it."""
    runtimes = np.stack(
        [np.where(a, b.runtime_s, np.inf) for a, b in zip(able, answers, strict=True)]
    )
    # Ties go to the kernel whose name comes first, as in `rank`.
    order = sorted(range(len(models)), key=lambda i: models[i].kernel.name)
    chosen = np.array(order)[np.argmin(runtimes[order], axis=0)]
    rows = np.arange(runtimes.shape[1])

    def pick(name: str) -> Floats:
        columns = np.stack([getattr(answer, name) for answer in answers])
        picked: Floats = columns[chosen, rows]
        return picked

    runtime_s = pick("runtime_s")
    has_power = all(model.power is not None for model in models)
    low_s, high_s = pick("runtime_low_s"), pick("runtime_high_s")
    power_interval = [pick("power_low_w"), pick("power_high_w")] if has_power else None
    launch_s = np.array([model.view.launch_s for model in models])[chosen]
    parts = np.stack([pick("compute_s"), pick("memory_s"), launch_s])
    is_outside = pick("outside") > 1.0
    has_remarks = np.array([bool(model.remarks) for model in models])[chosen]
    reasons = _reasons(sizes, pick("base_s"), is_outside, models, chosen)
    reasons += _power_reasons(runtime_s, models, chosen)
    return PredictionBatch(
        flops=2.0 * sizes["m"] * sizes["n"] * sizes["k"] * sizes["batch"],
        kernel=np.array([model.kernel.name for model in models], object)[chosen],
        runtime_s=runtime_s,
        sustained_runtime_s=pick("sustained_s"),
        runtime_interval_s=np.stack([low_s, high_s], axis=1),
        power_w=pick("power_w") if has_power else None,
        power_interval_w=None if power_interval is None else np.stack(power_interval, axis=1),
        bound=np.array(BOUNDS)[np.argmax(parts, axis=0)],
        in_domain=~(is_outside | has_remarks),
        notes=NotesByRow(len(runtime_s), tuple(r for r in reasons if r.where.any())),
        confidence=confidence,
        timed=np.array([model.runtime.timed for model in models], object)[chosen],
    )


def _reasons(
    sizes: dict[str, Floats],
    base_s: Floats,
    is_outside: NDArray[np.bool_],
    models: list[KernelModel],
    chosen: NDArray[np.intp],
) -> list[Reason]:
    """Return the reasons to doubt rows that the kernel chosen for them, or its domain, gives."""
    reasons: list[Reason] = []
    for number, model in enumerate(models):
        mine = chosen == number
        reasons += [Reason(text, mine) for text in model.remarks]
        if (mine & is_outside).any():
            strays = model.strays(**sizes, base_s=base_s)
            reasons += [
                Reason(text, mine & (times > 1.0), times, limit) for text, times, limit in strays
            ]
        reasons += [Reason(text, mine) for text in model.notes]
    return reasons


def _power_reasons(
    runtime_s: Floats, models: list[KernelModel], chosen: NDArray[np.intp]
) -> list[Reason]:
    """Return the reasons to doubt the power of rows: kernels too short for it to be measured."""
    return [
        Reason(model.power_remark, (chosen == number) & (runtime_s < model.shortest_powered_s))
        for number, model in enumerate(models)
        if model.power is not None
    ]

"""The listing of a model's kernels: summed up by family and unit, or one a line, for people.

Their facts are those of `Kernel`; a fact of which nothing is known in any of them is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ._descriptions import kernel_to_json
from ._kernel import Kernel, Tile
from ._model import Model
from ._occupancy import warps_of
from ._output import WIDEST, aligned, paragraph, plain

_MOST_VALUES = 8
_MOST_TILES = 4
_LONGEST_NAME = 512
_INDENT = " " * 4
_WIDTH = len("instruction") + 2
_UNITS = {"_tensorop_": "tensor cores", "_simt_": "CUDA cores", "tiled_": "CUDA cores"}


def summary(model: Model) -> list[str]:
    """Return a few lines for each family and unit: how many kernels, and what they differ in."""
    alike = _alike(model)
    parts: dict[str, list[Kernel]] = {}
    for kernel in model.kernels:
        parts.setdefault(_family(kernel), []).append(kernel)
    lines = [f"{_counted(len(model.kernels), 'kernel')}; --kernels lists them:"]
    for part, some in parts.items():
        lines.append(f"  {len(some)} of {part}")
        lines += _part(some, alike)
    return lines


def names_or_families(kernels: Sequence[Kernel], most: int) -> str:
    """Return the names of kernels, else how many are of which family.

    most: columns of all names together; none of them may take more than half of it.
    """
    names = [plain(kernel.name) for kernel in kernels]
    if len(" ".join(names)) <= most and 2 * max(map(len, names)) <= most:
        return " ".join(names)
    counts = Counter(map(_family, kernels))
    return ", ".join(f"{n} of {family}" for family, n in counts.items())


def listing(model: Model) -> list[str]:
    """Return a line for each kernel, its name and facts, those that are alike together."""
    alike = _alike(model)
    number = {name: at for at, group in enumerate(alike, 1) for name in group}
    first = {name: group[0] for group in alike for name in group}
    place = {kernel.name: at for at, kernel in enumerate(model.kernels)}
    ordered = sorted(model.kernels, key=lambda one: place[first.get(one.name, one.name)])
    columns = (*_COLUMNS, ("alike", lambda one: _number(number.get(one.name))))
    told = [(name, show) for name, show in columns if any(show(one) != "-" for one in ordered)]
    rows = [tuple(name for name, _ in told)]
    rows += [tuple(show(kernel) for _, show in told) for kernel in ordered]
    meanings = (text for name, text in _MEANINGS.items() if name in rows[0])
    return [_counted(len(ordered), "kernel"), *meanings, *aligned(rows)]


def described(model: Model) -> list[dict[str, Any]]:
    """Return all known facts of each kernel as JSON types; `alike` names those alike to it."""
    group_of = {name: group for group in _alike(model) for name in group}
    return [
        {
            **kernel_to_json(kernel),
            "alike": [name for name in group_of.get(kernel.name, ()) if name != kernel.name],
        }
        for kernel in model.kernels
    ]


def _alike(model: Model) -> list[list[str]]:
    """Return the names of kernels that nothing tells apart by group, in the kernels' order.

    Provenance is free-form: what is no group of several kernels of the model is left out.
    """
    told = model.card["provenance"].get("alike")
    place = {kernel.name: at for at, kernel in enumerate(model.kernels)}
    groups = []
    for group in told if isinstance(told, list) else []:
        names = {name for name in group if isinstance(name, str)} if isinstance(group, list) else ()
        known = sorted(place.keys() & names, key=place.__getitem__)
        if len(known) > 1:
            groups.append(known)
            for name in known:
                del place[name]  # a kernel is of one group
    return groups


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _family(kernel: Kernel) -> str:
    """Return the family of a kernel, and the unit that it multiplies on, as far as it is known."""
    unit = _unit(kernel)
    return f"{kernel.family} on {unit}" if unit else kernel.family


def _unit(kernel: Kernel) -> str:
    """Return the unit that a kernel multiplies on; "" where neither facts nor name tell."""
    if kernel.instruction is not None:
        return "tensor cores" if kernel.instruction.m > 1 else "CUDA cores"
    return next((unit for part, unit in _UNITS.items() if part in kernel.name), "")


def _part(kernels: Sequence[Kernel], alike: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of the kernels of one family and unit."""
    names = ", ".join(plain(kernel.name) for kernel in kernels)
    if len(_INDENT) + _WIDTH + len(names) <= WIDEST:
        yield from _line("names", names)
    same = []
    for name, fact in _FACTS:
        values = Counter(fact(kernel) for kernel in kernels)
        if len(values) > 1:
            yield from _line(name, _spread(values))
        elif None not in values:
            same += [f"{name} {_text(value)}" for value in values]
    if same:
        yield from _line("each", ", ".join(same))
    yield from _registers(kernels)
    own = {kernel.name for kernel in kernels}
    groups = [group for group in alike if own.issuperset(group)]
    if groups:
        n = sum(map(len, groups))
        text = f"{n} in {_counted(len(groups), 'group')} that nothing known tells apart"
        yield from _line("alike", f"{text}: each group is answered alike")


def _registers(kernels: Sequence[Kernel]) -> Iterator[str]:
    """Yield lines of registers and spills of a thread, as far as the compiler was asked."""
    registers = [one.registers for one in kernels if one.registers is not None]
    spills = [one.spill_bytes for one in kernels if one.spill_bytes is not None]
    if registers:
        unknown = len(kernels) - len(registers)
        of = f", not known of {unknown}" if unknown else ""
        yield from _line("registers", f"{_ranged(registers)} a thread{of}")
    if spills:
        n_spilling = sum(spill > 0 for spill in spills)
        most = f", up to {max(spills)} bytes a thread" if n_spilling else ""
        yield from _line("spills", f"{n_spilling} of {len(spills)} spill{most}")


def _line(name: str, text: str) -> list[str]:
    return paragraph(f"{_INDENT}{name:<{_WIDTH}}{text}", _INDENT + " " * _WIDTH)


def _spread(values: Counter[Any]) -> str:
    """Return the values of a fact with how many kernels have each; where they are many, a range."""
    known = [value for value in values if value is not None]
    is_tile = all(isinstance(value, Tile) for value in known)
    if len(known) <= (_MOST_TILES if is_tile else _MOST_VALUES):
        ordered = sorted(known) + [None] * (None in values)
        return ", ".join(f"{_text(value)} ({values[value]})" for value in ordered)
    unknown = f", not known of {values[None]}" if None in values else ""
    if is_tile:
        axes = zip("mnk", zip(*known, strict=True), strict=True)
        return f"{len(known)}: {', '.join(f'{axis} {_axis(v)}' for axis, v in axes)}{unknown}"
    if all(isinstance(value, int) for value in known):
        return f"{len(known)} from {min(known)} to {max(known)}{unknown}"
    usual = sorted(known, key=lambda value: (-values[value], value))[:_MOST_TILES]
    some = ", ".join(f"{_text(value)} ({values[value]})" for value in usual)
    return f"{some} and {len(known) - len(usual)} more{unknown}"


def _axis(values: Sequence[int]) -> str:
    """Return the extents along one axis: each where they are few, else their range."""
    distinct = sorted(set(values))
    if len(distinct) <= _MOST_VALUES:
        return " ".join(map(str, distinct))
    return f"{distinct[0]} to {distinct[-1]}"


def _ranged(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _text(value: object) -> str:
    if value is None:
        return "not known"
    return "x".join(map(str, value)) if isinstance(value, Tile) else plain(value)


def _warps(kernel: Kernel) -> int | None:
    return None if kernel.threads is None else warps_of(kernel.threads)


def _laid_out(kernel: Kernel) -> str:
    """Return the warps of a kernel as they share its tile, or how many where that is not known."""
    tile, each, warps = kernel.tile, kernel.warp_tile, _warps(kernel)
    if tile is None or each is None:
        return _number(warps)
    m, n, k = (extent // part for extent, part in zip(tile, each, strict=True))
    return f"{m}x{n}" if k == 1 else f"{m}x{n}x{k}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


_FACTS: tuple[tuple[str, Callable[[Kernel], Any]], ...] = (
    ("tile", lambda one: one.tile),
    ("warps", _warps),
    ("stages", lambda one: one.stages),
    ("slices", lambda one: None if one.tile is None else one.split_k),
    ("dtype", lambda one: one.dtype),
    ("layout", lambda one: one.layout),
    ("alignment", lambda one: None if one.tile is None else one.alignment),
    ("instruction", lambda one: one.instruction),
    ("swizzle", lambda one: one.swizzle),
    ("cluster", lambda one: one.cluster),
    ("schedule", lambda one: one.schedule),
)
"""What a summary tells of kernels: a name, and the fact of a kernel, None where it is not known."""

_COLUMNS: tuple[tuple[str, Callable[[Kernel], str]], ...] = (
    ("kernel", lambda one: plain(one.name, _LONGEST_NAME)),
    ("tile", lambda one: "-" if one.tile is None else _text(one.tile)),
    ("warps", _laid_out),
    ("regs", lambda one: _number(one.registers)),
    ("spill", lambda one: _number(one.spill_bytes)),
)
"""Columns of a listing, before the numbers of the groups that are alike."""

_MEANINGS = {
    "regs": "regs: registers of a thread",
    "spill": "spill: bytes that a thread spills",
    "alike": "alike: kernels of one number, which nothing known tells apart, are answered alike",
}

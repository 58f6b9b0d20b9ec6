"""A sweep: the kernels to measure, the shapes to measure them on, and how much of it all. TOML.

The name of a sweep is that of its file. These keys stand at the top:

seed            of the order of points, 0
points          number of points; needed where shapes are drawn, else all of them
budget_s        measuring time; the plan says how many points fit into it
power_share     part of the measuring time that goes to power, 2/3
largest_bytes   limit of A, B and C of one point together
longest_s       limit of the guessed runtime of one point; longer ones are left out
memory_share    part of the GPU's memory that A, B and C of one point may take, 1/10

[shapes.NAME] is a set of shapes. They are drawn at random

log2_m, log2_n, log2_k      ranges of log2 of an extent, [low, high]

or listed, shape by shape or as every combination of extents

list            [[m, n, k], ...]
grid            { m = [...], n = [...], k = [...] }

and of either kind

batch           numbers of GEMMs in a batch, [1]; one that is listed twice is drawn twice as often
scalars         [[alpha, beta], ...], [[1, 0]]

Each [[kernels]] is a group of kernels that share a part of the points evenly

names           patterns of kernels' names; a kernel is in the first group that names it
weight          the group's part of the points, over the sum of all weights, 1
shapes          NAME of the set of shapes
dtypes          for kernels that take any, such as `library`: those to measure
layouts         for kernels that take any: those to measure, all four
multiples       { m, n, k }: what an extent must be a multiple of, for libraries that ask for it
head_to_head    share (0 to 1, default 0) of the group's points that are head-to-heads: one GEMM
                run by several kernels of one dtype and layout, back to back. Only for drawn shapes.
                Kernels of other groups that have a share too may join. No kernel gets more points
                by it. The share may turn out smaller: a kernel alone in its group can only join
                others, and a round may end with too few kernels for another head-to-head.
head_to_head_kernels        most kernels of the group that run one such GEMM, 8

`contest` and `contestants` are the old names of the last two keys, and still read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import Gemm
from gpperf_lite._checked_json import Readers, is_integer, is_number
from gpperf_lite._gemm import DTYPES, LARGEST, LAYOUTS

from ..errors import BuilderError
from ..toml import Table, read_toml


class SweepError(BuilderError, ValueError):
    """A sweep is not valid, or asks for kernels that do not exist."""


def candidate_name(kernel: str, dtype: str) -> str:
    """Return the name of a kernel in one dtype: `library` is a candidate in each of its dtypes."""
    return f"{kernel} {dtype}"


@dataclass(frozen=True, slots=True)
class Point:
    """One GEMM on one kernel: the unit of measuring."""

    kernel: str
    gemm: Gemm

    @property
    def key(self) -> str:
        """A text of this point that no other point has; it is the same in every run."""
        return f"{self.kernel} {self.gemm_key}"

    @property
    def candidate(self) -> str:
        """Kernel and dtype, as a candidate for points is called."""
        return candidate_name(self.kernel, self.gemm.dtype)

    @property
    def gemm_key(self) -> str:
        """A text of this GEMM that no other GEMM has."""
        gemm = self.gemm
        # Adding 0.0 leaves one zero of two, which are equal.
        return (
            f"{gemm.m}x{gemm.n}x{gemm.k}x{gemm.batch} {gemm.dtype} {gemm.layout} "
            f"{gemm.alpha + 0.0!r} {gemm.beta + 0.0!r}"
        )


class Size(NamedTuple):
    """Extents of a GEMM."""

    m: int
    n: int
    k: int


_ANY_SIZE = Size(1, 1, 1)


class Range(NamedTuple):
    """Limits of log2 of an extent, both inclusive."""

    low: float
    high: float


@dataclass(frozen=True)
class Shapes:
    """A set of shapes. Either `ranges`, of m, n and k, are drawn from, or `sizes` are listed."""

    ranges: tuple[Range, Range, Range] | None = None
    sizes: tuple[Size, ...] = ()
    batch: tuple[int, ...] = (1,)
    scalars: tuple[tuple[float, float], ...] = ((1.0, 0.0),)


@dataclass(frozen=True)
class Group:
    """Kernels that share a part of the points evenly; see the keys of [[kernels]] above."""

    names: tuple[str, ...]
    shapes: Shapes
    weight: int = 1
    dtypes: tuple[str, ...] = ()
    layouts: tuple[str, ...] = LAYOUTS
    multiples: Size = _ANY_SIZE
    head_to_head: float = 0.0
    head_to_head_kernels: int = 8


@dataclass(frozen=True)
class Sweep:
    """A sweep as its file states it; None where the file sets no limit."""

    name: str
    groups: tuple[Group, ...]
    seed: int = 0
    points: int | None = None
    budget_s: float | None = None
    power_share: float = 2.0 / 3.0
    largest_bytes: float | None = None
    longest_s: float | None = None
    memory_share: float = 0.1

    @property
    def kernels(self) -> tuple[str, ...]:
        """The patterns of all groups, in order."""
        return tuple(name for group in self.groups for name in group.names)


def read_sweep(path: Path) -> Sweep:
    """Return the sweep of a file.

    Raises SweepError, which names file, table, key, value and what is allowed, where the file is
    missing, no TOML or no valid sweep.
    """
    table = read_toml(path, "sweep", SweepError)
    values = table.read(_SWEEP, ("shapes", "kernels"))
    shapes = {name: _shapes(one) for name, one in values.pop("shapes").items()}
    groups = tuple(_group(group, shapes) for group in values.pop("kernels"))
    if "points" not in values and any(group.shapes.ranges for group in groups):
        table.fail(f"{path}: points must be said where shapes are drawn (it is missing)")
    return Sweep(path.stem, groups, **values)


def few_sweep(gemms: list[Gemm], sweep_name: str, gpu_name: str) -> str:
    """Return a sweep, as TOML, of these GEMMs on the library and nothing else."""
    dtype, layout = gemms[0].dtype, gemms[0].layout
    sizes = "\n".join(f"    [{gemm.m}, {gemm.n}, {gemm.k}]," for gemm in gemms)
    return (
        f"# {len(gemms)} shapes of {sweep_name}, chosen for {gpu_name}: collect them, then "
        "calibrate.\n\n"
        f"[shapes.few]\nlist = [\n{sizes}\n]\n\n"
        f'[[kernels]]\nnames = ["library"]\nshapes = "few"\ndtypes = ["{dtype}"]\n'
        f'layouts = ["{layout}"]\n'
    )


def _shapes(table: Table) -> Shapes:
    """Return a set of shapes: drawn where the table has any range, listed otherwise."""
    is_drawn = any(key in table for key in _RANGES)
    values = table.read(_DRAWN if is_drawn else _LISTED, _RANGES if is_drawn else ())
    either = {key: tuple(values[key]) for key in _EITHER if key in values}
    if is_drawn:
        m, n, k = (values[key] for key in _RANGES)
        return Shapes((m, n, k), **either)
    sizes = dict.fromkeys((*values.get("list", ()), *values.get("grid", ())))
    if not sizes:
        table.fail(f"{table.path} must have {' '.join(_RANGES)}, a list or a grid of shapes")
    return Shapes(None, tuple(sizes), **either)


def _group(table: Table, shapes: Mapping[str, Shapes]) -> Group:
    keys: Readers = {**_GROUP, "shapes": partial(Table.choice, allowed=tuple(shapes))}
    values = table.read(keys, ("names", "shapes"))
    values["shapes"] = shapes[values["shapes"]]
    for old, new in _OLD_KEYS.items():
        if old in values and new in values:
            table.fail(f"{table.path} must have {new} or {old}, its old name, not both")
    for key in ("head_to_head", "contest"):
        if values.get(key) and values["shapes"].ranges is None:
            # Each kernel runs all of a list, so all of its points are head-to-heads.
            table.refuse(key, "0 where shapes are listed")
    return Group(**{_OLD_KEYS.get(key, key): value for key, value in values.items()})


def _shape_tables(table: Table, key: str) -> dict[str, Table]:
    tables = table.value(key, _is_filled(dict), "tables [shapes.NAME], at least one")
    return table.within(tables, table.path).tables(f"{key}.")


def _kernel_tables(table: Table, key: str) -> list[Table]:
    tables = table.value(key, _is_filled(list), "tables [[kernels]], at least one")
    return [
        table.within(one, f"{table.path}: [[kernels]] number {number}")
        for number, one in enumerate(tables, 1)
    ]


def _is_filled(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind) and bool(value)


def _range(table: Table, key: str) -> Range:
    """Return [low, high], limits of log2 between which an integer lies."""
    ends = table.numbers(key, 0.0, 31.0)
    if len(ends) != 2 or 2.0 ** ends[0] > int(2.0 ** ends[1]):
        table.refuse(key, "a range [low, high] within 0 and 31, of the log2 of integers")
    return Range(*ends)


def _sizes(table: Table, key: str) -> list[Size]:
    def is_size(item: Any) -> bool:
        is_triple = isinstance(item, list) and len(item) == len(Size._fields)
        return is_triple and all(is_integer(extent, 1, LARGEST) for extent in item)

    allowed = f"[m, n, k], integers from 1 to {LARGEST},"
    return [Size(*size) for size in table.each(key, is_size, allowed, may_be_empty=False)]


def _grid(table: Table, key: str) -> list[Size]:
    """Return every combination of the extents of a grid."""
    grid = table.object(key).read(dict.fromkeys(Size._fields, _EXTENTS), Size._fields)
    return [Size(*size) for size in product(*(grid[name] for name in Size._fields))]


def _scalars(table: Table, key: str) -> list[tuple[float, float]]:
    def is_pair(item: Any) -> bool:
        return isinstance(item, list) and len(item) == 2 and all(map(_is_finite, item))

    pairs = table.each(key, is_pair, "[alpha, beta], finite numbers,", may_be_empty=False)
    return [(float(alpha), float(beta)) for alpha, beta in pairs]


def _is_finite(value: Any) -> bool:
    return is_number(value, -sys.float_info.max, sys.float_info.max)


def _multiples(table: Table, key: str) -> Size:
    one = partial(Table.integer, low=1, high=4096)
    return Size(
        **{**_ANY_SIZE._asdict(), **table.object(key).read(dict.fromkeys(Size._fields, one))}
    )


def _names(table: Table, key: str) -> tuple[str, ...]:
    return tuple(table.texts(key, may_be_empty=False))


_RANGES = ("log2_m", "log2_n", "log2_k")
_EXTENTS = partial(Table.integers, low=1, high=LARGEST, may_be_empty=False)
_SHARE = partial(Table.number, low=0.0, high=1.0)
_KERNELS_EACH = partial(Table.integer, low=2, high=1000)
_EITHER: Readers = {"batch": _EXTENTS, "scalars": _scalars}
_DRAWN: Readers = {**dict.fromkeys(_RANGES, _range), **_EITHER}
_LISTED: Readers = {"list": _sizes, "grid": _grid, **_EITHER}
_GROUP: Readers = {
    "names": _names,
    "weight": partial(Table.integer, low=1, high=1_000_000),
    "dtypes": partial(Table.choices, allowed=tuple(DTYPES)),
    "layouts": partial(Table.choices, allowed=LAYOUTS),
    "multiples": _multiples,
    "head_to_head": _SHARE,
    "head_to_head_kernels": _KERNELS_EACH,
    "contest": _SHARE,
    "contestants": _KERNELS_EACH,
}
_OLD_KEYS = {"contest": "head_to_head", "contestants": "head_to_head_kernels"}
_SWEEP: Readers = {
    "seed": partial(Table.integer, low=0, high=2**31 - 1),
    "points": partial(Table.integer, low=1, high=10_000_000),
    "budget_s": partial(Table.number, low=1.0, high=1e7),
    "power_share": partial(Table.number, low=0.0, high=0.99),
    "largest_bytes": partial(Table.number, low=1.0, high=1e15),
    "longest_s": partial(Table.number, low=1e-9, high=1e6),
    "memory_share": partial(Table.number, low=1e-6, high=1.0),
    "shapes": _shape_tables,
    "kernels": _kernel_tables,
}
"""The reader of each key, by table."""

"""A sweep: which kernels to measure on which shapes, and how much of it. TOML.

The name of a sweep is that of its file. It says, at the top:

seed            of the order of points, 0
points          how many; needed where shapes are drawn, else all of them
budget_s        for how long to measure; the plan says how many points fit
power_share     part of the measuring time that goes to power, 2/3
largest_bytes   of A, B and C of one point together
longest_s       a point that is guessed to take longer is left out
memory_share    part of the GPU's memory that A, B and C of one point may take, 1/10

[shapes.NAME] is a set of shapes, drawn at random

log2_m, log2_n, log2_k      ranges of log2 of an extent, [low, high]

or listed, shape by shape or as every combination of extents

list            [[m, n, k], ...]
grid            { m = [...], n = [...], k = [...] }

and of either kind

batch           lists of GEMMs in a batch, [1]; what a list holds twice is drawn twice as often
scalars         [[alpha, beta], ...], [[1, 0]]

Each [[kernels]] is a group of kernels that share a part of the points evenly

names           patterns over the catalogue; a kernel is in the first group that names it
weight          the group's part of the points, over the sum of all weights, 1
shapes          NAME of the set of shapes
dtypes, layouts for a kernel that takes any: which; layouts are all four
multiples       { m, n, k }: what an extent must be a multiple of, for libraries that ask for it
contest         share of the group's points that may be contests', 0 to 1, if shapes are drawn; 0:
                one GEMM on several kernels of one dtype and layout, close together in the order;
                kernels of other groups join in, where these have a share too. No kernel gets more
                points by it. The share may be less: a kernel alone in its group can only join
                others' contests, and what is left at a round's end may be too few for one.
contestants     how many kernels of the group run the GEMM of one contest, at most, 8
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import Gemm
from gpperf_lite._errors import nearest, shown
from gpperf_lite._gemm import DTYPES, LARGEST, LAYOUTS

from ..errors import BuilderError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class SweepError(BuilderError, ValueError):
    """A sweep is not valid, or asks for kernels that do not exist."""


@dataclass(frozen=True, slots=True)
class Point:
    """One GEMM on one kernel: what is measured."""

    kernel: str
    gemm: Gemm

    @property
    def key(self) -> str:
        """Return a text that this point has and no other; it is the same in every run."""
        return f"{self.kernel} {self.gemm_key}"

    @property
    def candidate(self) -> str:
        """Return the name of kernel and dtype, which is verified as one."""
        return candidate_name(self.kernel, self.gemm.dtype)

    @property
    def gemm_key(self) -> str:
        """Return a text that all points of this GEMM have, and no others."""
        gemm = self.gemm
        # Adding 0.0 leaves one zero of two, which are equal.
        return (
            f"{gemm.m}x{gemm.n}x{gemm.k}x{gemm.batch} {gemm.dtype} {gemm.layout} "
            f"{gemm.alpha + 0.0!r} {gemm.beta + 0.0!r}"
        )


def candidate_name(kernel: str, dtype: str) -> str:
    """Return the name of a kernel in a dtype: "library f16"."""
    return f"{kernel} {dtype}"


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
    """Kernels that share `weight` of the points evenly, `contest` of them in contests."""

    names: tuple[str, ...]
    shapes: Shapes
    weight: int = 1
    dtypes: tuple[str, ...] = ()
    layouts: tuple[str, ...] = LAYOUTS
    multiples: Size = _ANY_SIZE
    contest: float = 0.0
    contestants: int = 8


@dataclass(frozen=True)
class Sweep:
    """What to measure; None where the file sets no limit."""

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
        """Return the patterns of all groups, in order."""
        return tuple(name for group in self.groups for name in group.names)


def read_sweep(path: Path) -> Sweep:
    """Return the sweep of a file.

    Raises SweepError, which names file, key, value and what is allowed, where the file is missing,
    no TOML or no valid sweep.
    """
    values = _checked(str(path), _load(path), _SWEEP, ("shapes", "kernels"))
    shapes = {
        name: _shapes(f"{path}: [shapes.{name}]", table)
        for name, table in values.pop("shapes").items()
    }
    groups = tuple(
        _group(f"{path}: [[kernels]] number {number}", table, shapes)
        for number, table in enumerate(values.pop("kernels"), 1)
    )
    if "points" not in values and any(group.shapes.ranges for group in groups):
        raise SweepError(f"{path}: points must be said where shapes are drawn (it is missing)")
    return Sweep(path.stem, groups, **values)


def few_sweep(gemms: list[Gemm], sweep_name: str, gpu_name: str) -> str:
    """Write a sweep, as TOML, of these GEMMs on the library and nothing else."""
    dtype, layout = gemms[0].dtype, gemms[0].layout
    sizes = "\n".join(f"    [{gemm.m}, {gemm.n}, {gemm.k}]," for gemm in gemms)
    return (
        f"# {len(gemms)} shapes of {sweep_name}, chosen for {gpu_name}: collect them, then "
        "calibrate.\n\n"
        f"[shapes.few]\nlist = [\n{sizes}\n]\n\n"
        f'[[kernels]]\nnames = ["library"]\nshapes = "few"\ndtypes = ["{dtype}"]\n'
        f'layouts = ["{layout}"]\n'
    )


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise SweepError(f"there is no sweep {path}") from error
    except OSError as error:
        raise SweepError(f"cannot read the sweep {path}: {error.strerror}") from error
    # Broken TOML, or text that is not UTF-8; both are ValueErrors.
    except (ValueError, RecursionError) as error:
        raise SweepError(f"{path} is no valid TOML ({error})") from error


def _shapes(where: str, table: Any) -> Shapes:
    """Return a set of shapes: drawn where the table has any range, listed otherwise."""
    is_drawn = isinstance(table, dict) and any(key in table for key in _RANGES)
    values = _checked(where, table, _DRAWN if is_drawn else _LISTED, _RANGES if is_drawn else ())
    batch = tuple(values.get("batch", (1,)))
    scalars = tuple((float(alpha), float(beta)) for alpha, beta in values.get("scalars", [(1, 0)]))
    if is_drawn:
        m, n, k = (Range(*map(float, values[key])) for key in _RANGES)
        return Shapes((m, n, k), (), batch, scalars)
    sizes = [Size(*size) for size in values.get("list", ())]
    if "grid" in values:
        grid = _checked(f"{where}: grid", values["grid"], _GRID, Size._fields)
        sizes += [Size(*size) for size in product(*(grid[name] for name in Size._fields))]
    if not sizes:
        raise SweepError(f"{where} must have {' '.join(_RANGES)}, a list or a grid of shapes")
    return Shapes(None, tuple(dict.fromkeys(sizes)), batch, scalars)


def _group(where: str, table: Any, shapes: Mapping[str, Shapes]) -> Group:
    values = _checked(where, table, _GROUP, ("names", "shapes"))
    name = values.pop("shapes")
    if name not in shapes:
        known = f"{' '.join(shapes)}{nearest(name, shapes)}"
        raise SweepError(f"{where}: shapes must be one of {known} (got {shown(name)})")
    if values.get("contest") and shapes[name].ranges is None:
        # Each kernel runs all of a list, so all of it is a contest.
        raise SweepError(
            f"{where}: contest must be 0 where shapes are listed (got {shown(values['contest'])})"
        )
    multiples = _checked(f"{where}: multiples", values.pop("multiples", {}), _MULTIPLES, ())
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Group(
        shapes=shapes[name],
        multiples=Size(*(multiples.get(extent, 1) for extent in Size._fields)),
        **{**values, **lists},
    )


class _Check(NamedTuple):
    """Whether a value is allowed, and how to say what is."""

    is_valid: Callable[[Any], bool]
    allowed: str


def _checked(
    where: str, table: Any, checks: Mapping[str, _Check], needed: Collection[str]
) -> dict[str, Any]:
    """Return a copy of a table all of whose keys and values are allowed; else raise SweepError."""
    if not isinstance(table, dict):
        raise SweepError(f"{where} must be a table (got {shown(table)})")
    for key in table:
        if key not in checks:
            hint, allowed = nearest(key, checks), " ".join(checks)
            raise SweepError(f"{where}: unknown key {shown(key)}{hint} (allowed: {allowed})")
    for key in needed:
        if key not in table:
            raise SweepError(f"{where}: {key} must be {checks[key].allowed} (it is missing)")
    for key, value in table.items():
        if not checks[key].is_valid(value):
            raise SweepError(f"{where}: {key} must be {checks[key].allowed} (got {shown(value)})")
    return dict(table)


def _integer(low: int, high: int) -> _Check:
    return _Check(
        lambda value: type(value) is int and low <= value <= high,
        f"an integer from {low} to {high}",
    )


def _number(low: float, high: float) -> _Check:
    # NaN is within no limits.
    return _Check(
        lambda value: type(value) in (int, float) and low <= value <= high,
        f"a number from {low:g} to {high:g}",
    )


def _list_of(each: Callable[[Any], bool], what: str) -> _Check:
    return _Check(
        lambda value: isinstance(value, list) and bool(value) and all(map(each, value)),
        f"a list of {what}, at least one",
    )


def _some_of(names: Collection[str]) -> _Check:
    one = _list_of(lambda name: isinstance(name, str) and name in names, " ".join(names))
    return _Check(
        lambda value: one.is_valid(value) and len(set(value)) == len(value),
        f"{one.allowed}, each once",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_range(value: Any) -> bool:
    """Return whether a value is [low, high], limits of log2 between which an integer lies."""
    ends = _list_of(_number(0.0, 31.0).is_valid, "")
    return ends.is_valid(value) and len(value) == 2 and 2.0 ** value[0] <= int(2.0 ** value[1])


_FINITE = _number(-sys.float_info.max, sys.float_info.max)
_EXTENT = _integer(1, LARGEST)
_EXTENTS = _list_of(_EXTENT.is_valid, f"integers from 1 to {LARGEST}")
_RANGE = _Check(_is_range, "a range [low, high] within 0 and 31, of the log2 of integers")
_RANGES = ("log2_m", "log2_n", "log2_k")
_EITHER = {
    "batch": _EXTENTS,
    "scalars": _list_of(
        lambda pair: _list_of(_FINITE.is_valid, "").is_valid(pair) and len(pair) == 2,
        "[alpha, beta], finite numbers",
    ),
}
_DRAWN = {**dict.fromkeys(_RANGES, _RANGE), **_EITHER}
_LISTED = {
    "list": _list_of(
        lambda size: _EXTENTS.is_valid(size) and len(size) == 3,
        f"[m, n, k], integers from 1 to {LARGEST}",
    ),
    "grid": _Check(lambda value: isinstance(value, dict), "a table of lists m, n and k"),
    **_EITHER,
}
_GRID = dict.fromkeys(Size._fields, _EXTENTS)
_MULTIPLES = dict.fromkeys(Size._fields, _integer(1, 4096))
_GROUP = {
    "names": _list_of(_is_text, "patterns of kernels' names"),
    "weight": _integer(1, 1_000_000),
    "shapes": _Check(_is_text, "the name of a table [shapes.NAME]"),
    "dtypes": _some_of(list(DTYPES)),
    "layouts": _some_of(LAYOUTS),
    "multiples": _Check(lambda value: isinstance(value, dict), "a table of m, n and k"),
    "contest": _number(0.0, 1.0),
    "contestants": _integer(2, 1000),
}
_SWEEP = {
    "seed": _integer(0, 2**31 - 1),
    "points": _integer(1, 10_000_000),
    "budget_s": _number(1.0, 1e7),
    "power_share": _number(0.0, 0.99),
    "largest_bytes": _number(1.0, 1e15),
    "longest_s": _number(1e-9, 1e6),
    "memory_share": _number(1e-6, 1.0),
    "shapes": _Check(
        lambda value: isinstance(value, dict) and bool(value),
        "tables [shapes.NAME], at least one",
    ),
    "kernels": _Check(
        lambda value: isinstance(value, list) and bool(value),
        "tables [[kernels]], at least one",
    ),
}
"""What the value of each key must be, by table."""

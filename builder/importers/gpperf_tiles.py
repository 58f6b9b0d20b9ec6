"""The GPPerf study's tables of its own tiled kernel: times in one, power in another beside it.

`execution_times*.csv` has ms by M, N, K and side of the tile, `power_usage_results*.csv` in the
same folder W. They are of different runs; rows are joined where shape and tile agree. The kernel,
its dtype, its layouts and the way of measuring are not in the tables but in the study's sources
(`matmul.cu`, `matmul_prof.sh`, `matmul_power_prof.sh` of GPPerf at 7134e94). The figures' worth:

  - **Times.** Two events around the first launch of a process, once. CUDA loads a kernel at its
    first launch, so nothing takes less than 5.5 ms, were it 0.2 ms of work, and clocks are as they
    happened to be: a tile reaches twice the FLOP/s on one large GEMM that it reaches on the next,
    and some larger GEMMs took less than smaller ones. Some small ones took 130 ms. More of them did
    in an earlier table there (`execution_times_small.csv`): 14 of the 81 were replaced by faster
    ones, 258.8 ms by 11.3; others, as slow, were left.
  - **Power.** `nvidia-smi` every 0.1 s while a process lived, the mean of three processes. In each,
    the host makes the operands (all ones, all twos), copies them, launches once and checks by
    cuBLAS; nothing says how long any of it took. The launch of a fast tile is a small part of its
    process, which therefore draws little: power goes with the length of the launch.
  - **The kernel** is not that of `cuda/tiled_gemm.cu`, though a tile is the same in both: its
    shared memory is not padded, and it is compiled once for all sides.

So nothing here is trained on: rows are flagged `cold`, `process_power` or both, and those of GEMMs
too small for their launch to outweigh the loading `below_resolution`, too. Tiles can still be
compared with one another, which is what the study did: `evaluate tiles --cold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, InputError, Kernel

from ..dataset import Dataset, Floats, slower_than_larger, table_of
from ..errors import SourceError
from ..vocabulary import Flag, Regime
from .cells import CsvRow, UnusableError, read_rows, scalar, seconds, sizes
from .report import ImportReport, named_gpu

LICENCE = "none stated; figures only (GPPerf)"
_TIMES, _POWERS = "execution_times", "power_usage_results"
_KEY = ("M", "N", "K", "Tile Size")
_TIME, _POWER = "Execution Time", "Average Power Usage (W)"
_MOST_W = 10_000.0

_LOADING_S = 5.6e-3
"""The shortest first launch of the study's tables."""

_FASTEST_FLOPS = 1.7e12
"""The highest rate in them, in FLOP/s."""

_SHORT_FLOPS = 10 * _LOADING_S * _FASTEST_FLOPS
"""GEMMs of fewer operations are below resolution: loading is over a tenth of the fastest launch."""


class _Key(NamedTuple):
    m: int
    n: int
    k: int
    side: int

    @property
    def flops(self) -> float:
        return 2.0 * self.m * self.n * self.k


class _Figure(NamedTuple):
    """One line of a table: its number, and its time in s or its power in W."""

    line: int
    value: float


_Figures = dict[_Key, list[_Figure]]


def import_gpperf_tiles(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read the study's table of times, and that of power from beside it; `gpu` says where.

    Raises SourceError where one of the two is missing or not such a table.
    """
    power_path = _power_path(path)
    short, facts = named_gpu(path, gpu, " (the study's own tables: rtx4070)")
    report = ImportReport("gpperf-tiles", path, LICENCE)
    power_report = ImportReport("gpperf-tiles", power_path, LICENCE)
    times = _figures(path, _TIME, seconds, report)
    powers = _figures(power_path, _POWER, _watts, power_report)
    rows = list(_joined(times, path.name, powers, power_path.name))
    report.taken = len(rows)
    report.flagged.update(flag for row in rows for flag in row["flags"])
    report.notes += _notes(rows, facts)
    power_report.taken = sum(row["power_w"] is not None for row in rows)
    for reason, count in power_report.dropped.items():
        report.drop(f"{power_path.name}: {reason}", count)
    shared = {
        "gpu": short, "provider": "matmul.cu (GPPerf)", "regime": Regime.BURST, "batch": 1,
        "dtype": "f32", "layout": "tt", "alpha": 1.0, "beta": 0.0, "timed": "gemm",
    }  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    provenance = (report.provenance(), power_report.provenance())
    return Dataset(table_of(columns | shared, len(rows)), provenance, gpus={short: facts}), report


def _power_path(path: Path) -> Path:
    """Return the path of the table of power that belongs to one of times."""
    if not path.name.startswith(_TIMES):
        raise SourceError(
            f"name the study's table of times, {_TIMES}*.csv (got {path.name}); that of power, "
            f"{_POWERS}*.csv, is read from beside it"
        )
    beside = path.with_name(path.name.replace(_TIMES, _POWERS, 1))
    if not beside.is_file():
        raise SourceError(
            f"there is no file {beside}: the study's power is read from beside its times, so "
            "bring both tables, under their names"
        )
    return beside


def _figures(
    path: Path, column: str, value: Callable[[str], float], report: ImportReport
) -> _Figures:
    """Return the figures of one table, by shape and tile; the report counts those that are not."""
    lines = read_rows(path, "no table of the study's tiles", (*_KEY, column))
    figures: _Figures = {}
    for line in lines:
        try:
            key, figure = _key(line), _Figure(line.line, value(line.cells[column]))
        except UnusableError as reason:
            report.drop(str(reason))
            continue
        known = figures.setdefault(key, [])
        if figure.value in [one.value for one in known]:
            report.drop("the same line again")
        else:
            known.append(figure)
    return figures


def _key(line: CsvRow) -> _Key:
    line.check()
    key = _Key(*sizes(*(line.cells[name] for name in _KEY)))
    try:
        Kernel.from_name(_name(key.side))
    except InputError as error:
        raise UnusableError("a tile whose side is not from 1 to 32") from error
    return key


def _name(side: int) -> str:
    return f"tiled_sgemm_{side}"


def _watts(text: str) -> float:
    power_w = scalar(text, "no power")
    if not 0 < power_w <= _MOST_W:
        raise UnusableError("a power that is none")
    return power_w


def _joined(
    times: _Figures, times_name: str, powers: _Figures, powers_name: str
) -> Iterator[dict[str, Any]]:
    """Yield a row for each shape and tile, with what there is of both; repeats in their order."""
    for key in dict.fromkeys([*times, *powers]):
        for time, power in zip_longest(times.get(key, ()), powers.get(key, ())):
            flags = [Flag.COLD] if time else []
            flags += [Flag.BELOW_RESOLUTION] if time and key.flops < _SHORT_FLOPS else []
            flags += [Flag.PROCESS_POWER] if power else []
            yield {
                "kernel": _name(key.side),
                "m": key.m,
                "n": key.n,
                "k": key.k,
                "runtime_s": time.value if time else None,
                "power_w": power.value if power else None,
                "flags": flags,
                "source": times_name if time else powers_name,
                "source_row": (time or power).line,
            }


class _Launches(NamedTuple):
    """Launches that were timed: arrays of shape (n_launches,); power_w is NaN where not known."""

    sizes: NDArray[np.int64]  # shape (n_launches, 3)
    side: NDArray[np.int64]
    runtime_s: Floats
    power_w: Floats

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]]) -> _Launches:
        timed = [row for row in rows if row["runtime_s"] is not None]
        sizes = [[row[name] for name in "mnk"] for row in timed]
        side = [int(row["kernel"].rpartition("_")[2]) for row in timed]
        runtime_s, power_w = (
            np.array([row[name] for row in timed], float) for name in ("runtime_s", "power_w")
        )
        return cls(np.array(sizes, np.int64).reshape(-1, 3), np.array(side), runtime_s, power_w)

    def where(self, keep: NDArray[Any]) -> _Launches:
        return _Launches(*(column[keep] for column in self))

    def __bool__(self) -> bool:
        return len(self.side) > 0

    @property
    def flops(self) -> Floats:
        product: Floats = 2.0 * self.sizes.astype(float).prod(axis=1)
        return product

    @property
    def rates(self) -> Floats:
        return self.flops / self.runtime_s

    def contradictions(self) -> Floats:
        """Return the runtime of each over that of the fastest larger launch of its tile, or 0."""
        times = np.zeros(len(self.side))
        for side in set(self.side.tolist()):
            mine = self.side == side
            times[mine] = slower_than_larger(self.sizes[mine], self.runtime_s[mine])
        return times


def _notes(rows: Sequence[dict[str, Any]], facts: Gpu) -> Iterator[str]:
    """Yield notes on what the rows are, and what these very figures say of their worth."""
    yield "taken as f32, layout tt, alpha 1, beta 0, as in the study's source: no table says so"
    launches = _Launches.of(rows)
    if launches:
        yield from _notes_on_times(launches, facts)
    alone = sum(row["runtime_s"] is None for row in rows)
    joined = np.isfinite(launches.power_w).sum()
    yield (
        f"power is of other runs than the times, and of whole processes: {joined} rows have both, "
        f"{alone} power alone"
    )
    yield from _notes_on_power(launches.where(np.isfinite(launches.power_w)))


def _notes_on_times(launches: _Launches, facts: Gpu) -> Iterator[str]:
    is_short = launches.flops < _SHORT_FLOPS
    short, long = launches.where(is_short), launches.where(~is_short)
    fastest = float(launches.rates.max())
    peak = facts.peak_of("f32")
    of_peak = f" ({fastest / peak:.1%} of the data sheet's peak)" if peak else ""
    yield f"cold launches, at most {fastest / 1e12:.2f} TFLOP/s{of_peak}"
    if short:
        needed_s = short.flops / fastest
        yield (
            f"{len(short.side)} launches of GEMMs below {_SHORT_FLOPS / 1e9:.0f} GFLOP took "
            f"{_from_to(short.runtime_s * 1e3, '.1f')} ms (median "
            f"{np.median(short.runtime_s) * 1e3:.1f}), where that rate would need "
            f"{_from_to(needed_s * 1e3, '.1f')} ms: the rest is loading the kernel, and chance"
        )
    for name, part in (("shorter", short), ("longer", long)):
        times = part.contradictions()
        if (times > 1).any():
            yield (
                f"{(times > 1).sum()} of the {len(times)} {name} ones took longer than a GEMM that "
                f"is larger, by the same tile: by up to {times.max():.2f} times"
            )
    if long:
        yield _note_on_rates(long)


def _note_on_rates(launches: _Launches) -> str:
    """Return the spread of FLOP/s of the fastest tile: hardly any, were the GPU in one state."""
    side = launches.side[launches.rates.argmax()]
    rates = launches.rates[launches.side == side] / 1e12
    return (
        f"on the longer ones, tiles of {side}x{side} reach {_from_to(rates, '.2f')} TFLOP/s: the "
        "GPU's clocks, or its other work, were not the same"
    )


def _notes_on_power(launches: _Launches) -> Iterator[str]:
    """Yield the powers of the fastest tile's shortest and longest launch, if there are two."""
    long = launches.where(launches.flops >= _SHORT_FLOPS)
    if len(set(long.runtime_s.tolist())) < 2:
        return
    side = long.side[long.rates.argmax()]
    mine = long.where(long.side == side)
    order = mine.runtime_s.argsort()
    first, last = order[0], order[-1]
    yield (
        f"by tiles of {side}x{side}, that power is {mine.power_w[first]:.1f} W where the launch "
        f"took {mine.runtime_s[first]:.3f} s, {mine.power_w[last]:.1f} W where it took "
        f"{mine.runtime_s[last]:.3f} s: the launch's share of the process is in it"
    )


def _from_to(values: Floats, form: str) -> str:
    return f"{values.min():{form}} to {values.max():{form}}"

"""Speed: one prediction, a batch, a ranking and the start of a process, as ratios to ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import gpperf_lite as gp
from gpperf_lite._arithmetic import Floats
from gpperf_lite._artefact import Artefact
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._features import ALL_FEATURES
from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval
from gpperf_lite._kernel import Tile
from gpperf_lite._physics import CONSTANTS

from .peers import (
    ENGINES,
    HEURISTICS,
    Engine,
    Heuristics,
    features_of,
    heuristics_code,
    trained_forest,
)
from .race import Contestant, Start, medians_s, starts

OURS = "gpperf-lite"
_SIZES = 20
"""GEMMs of one turn of single predictions, where turns are short."""

_LONG_TURN_S = 0.05
"""A turn where they are long: a caller that asks thousands of times in a row."""


@dataclass(frozen=True)
class SpeedOptions:
    """rounds: turns of each contestant; n_rows: of the batch; n_kernels: that are ranked."""

    gpu: str = "h200_sxm"
    dtype: str = "bf16"
    rounds: int = 15
    n_rows: int = 100_000
    n_kernels: int = 1000


def speed_lines(options: SpeedOptions) -> Iterator[str]:
    """Yield the report, a line at a time, as its parts are measured."""
    model = gp.load(options.gpu)
    sizes = _sizes(options.n_rows)
    forest = trained_forest(model, options.dtype, sizes[:20_000])
    yield (
        f"{model.name} {options.dtype}: medians of {options.rounds} rounds in turn (batches: a "
        "fifth of them), and how many times as long as ours"
    )
    yield "scikit-learn runs on all cores, as the study has it; the other forests on one"
    with tempfile.TemporaryDirectory() as folder:
        made = {name: _made(make, forest, Path(folder)) for name, make in ENGINES.items()}
        made[HEURISTICS] = _made(Heuristics, options.gpu, options.dtype)
        yield from (f"skipped: {name} ({one})" for name, one in made.items() if type(one) is str)
        engines = {name: one for name, one in made.items() if isinstance(one, Engine)}
        found = made[HEURISTICS]
        heuristics = found if isinstance(found, Heuristics) else None
        one = _one(model, options.dtype, sizes, engines, heuristics)
        short, long = (medians_s(one, options.rounds, least_s) for least_s in (0.0, _LONG_TURN_S))
        yield from _lines("one prediction, of many in a row", "us", long)
        yield from _lines("one prediction, after others used the caches", "us", short)
        batch = _batch(model, options.dtype, sizes, engines)
        # A turn takes seconds in some engines, and is interrupted alike in all.
        yield from _lines(f"a row of {len(sizes)}", "us", medians_s(batch, -(-options.rounds // 5)))
        many = _many_kernels(options.n_kernels)
        rank = medians_s(_rank(many, engines), options.rounds)
        yield from _lines(f"{options.n_kernels} kernels", "ms", rank)
        beside = {OURS: one[OURS], **_rankings(many)}
        what = f"one prediction, and rankings of {options.n_kernels} kernels, of many in a row"
        yield from _lines(what, "us", medians_s(beside, options.rounds, _LONG_TURN_S))
        codes = {name: engine.code for name, engine in engines.items()}
        if heuristics is not None:
            codes[HEURISTICS] = heuristics_code(options.gpu)
        yield from _start_lines(options, codes)


def _made(make: Callable[..., object], *arguments: object) -> object:
    """Return the contestant that `make` makes, or the reason to skip it: it is not installed."""
    try:
        return make(*arguments)
    except ImportError as error:
        return str(error)


def _sizes(n_rows: int) -> Floats:
    """Return m, n and k spread over the magnitudes, float64 array of shape (n_rows, 3)."""
    return np.floor(np.exp2(np.random.default_rng(0).uniform(5, 15, (n_rows, 3))))


def _one(
    model: gp.Model,
    dtype: str,
    sizes: Floats,
    engines: dict[str, Engine],
    heuristics: Heuristics | None,
) -> dict[str, Contestant]:
    """Return single predictions, from the sizes to the answer."""
    some = [tuple(row) for row in sizes[:_SIZES].astype(int).tolist()]

    def ours() -> None:
        for m, n, k in some:
            model.predict(gp.Gemm(m, n, k, dtype))

    def theirs(engine: Engine) -> None:
        engine.predict(features_of(sizes[:1]))

    contestants = {OURS: Contestant(ours, len(some))}
    contestants |= {name: Contestant(partial(theirs, engine)) for name, engine in engines.items()}
    if heuristics is not None:
        gemms = [gp.Gemm(m, n, k, dtype) for m, n, k in some]
        contestants[HEURISTICS] = Contestant(
            lambda: [heuristics.runtime_s(g) for g in gemms], len(gemms)
        )
    return contestants


def _batch(
    model: gp.Model, dtype: str, sizes: Floats, engines: dict[str, Engine]
) -> dict[str, Contestant]:
    m, n, k = sizes.T.copy()
    features, n_rows = features_of(sizes), len(sizes)
    contestants = {OURS: Contestant(lambda: model.predict_batch(m, n, k, dtype), n_rows)}
    for name, engine in engines.items():
        contestants[name] = Contestant(partial(engine.predict, features), n_rows)
    return contestants


def _rank(many: gp.Model, engines: dict[str, Engine]) -> dict[str, Contestant]:
    features = features_of(np.full((len(many.kernels), 3), 1000.0))
    contestants = {OURS: _rankings(many)["all of them"]}
    for name, engine in engines.items():
        contestants[name] = Contestant(partial(engine.predict, features))
    return contestants


def _rankings(many: gp.Model) -> dict[str, Contestant]:
    gemm = gp.Gemm(1000, 1000, 1000, "f32", "nn")
    other = gp.load("rtx4070")
    callers = [replace(kernel, name=f"my_{kernel.name}") for kernel in many.kernels]
    return {
        "all of them": Contestant(lambda: many.rank(gemm)),
        "the first 10": Contestant(lambda: many.rank(gemm, top=10)),
        "a caller's own": Contestant(lambda: other.rank(gemm, kernels=callers)),
        "10 of a caller's": Contestant(lambda: other.rank(gemm, kernels=callers, top=10)),
    }


def _many_kernels(n_kernels: int) -> gp.Model:
    """Return a model of many kernels, of dice: what it says means nothing, how long it takes does.

    Its forest is as large as those that are shipped, 256 trees of depth 8.
    """
    dice = np.random.default_rng(0)
    gpu = gp.load("rtx4070").gpu
    kernels = tuple(_kernel_of_dice(number, dice) for number in range(n_kernels))
    forest = Forest(
        dice.integers(0, len(ALL_FEATURES), (256, 8)).astype(np.uint8),
        np.exp2(dice.uniform(-3, 17, (256, 8))).astype(np.float32),
        dice.integers(-100, 100, (256, 256)).astype(np.int16),
        0,
    )
    constants = {name: max(low, min(1e-9, high)) for name, low, high in CONSTANTS["kernel"]}
    sizes = (1, 65536)
    domain = Domain(sizes, sizes, sizes, (1, 1), (1e-6, 1.0), ("nn",), "any")
    interval = Interval((), (0.9,), ((100,),))
    estimator = Estimator(
        "runtime", "f32", tuple(range(n_kernels)), constants, forest, domain, interval
    )
    return gp.Model(Artefact("dice", "1", gpu, kernels, (estimator,)))


def _kernel_of_dice(number: int, dice: np.random.Generator) -> gp.Kernel:
    """Return one of many kernels that differ in all that a template and a compiler decide."""

    def one_of(*values: int) -> int:
        return int(dice.choice(values))

    plain = gp.Kernel.from_name("cutlass_simt_sgemm_128x128_8x2_nn_align1")
    return replace(
        plain,
        name=f"kernel_{number}",
        tile=Tile(one_of(32, 64, 128, 256), one_of(32, 64, 128, 256), one_of(8, 16, 32)),
        warp_tile=Tile(one_of(16, 32, 64), one_of(16, 32, 64), 8),
        stages=one_of(2, 3, 4, 5),
        split_k=one_of(1, 1, 2, 4),
        threads=one_of(64, 128, 256),
        registers=int(dice.integers(32, 256)),
        shared_bytes=1024 * int(dice.integers(4, 96)),
    )


def _start_lines(options: SpeedOptions, codes: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the costs of a fresh process, all beyond those of importing numpy alone."""
    ours = ("import gpperf_lite", f"gpperf_lite.load({options.gpu!r})")
    with_numpy = {
        name: (f"import numpy; begin = time.perf_counter(); {imports}", load)
        for name, (imports, load) in {OURS: ours, **codes}.items()
    }
    found = starts({"numpy": ("import numpy", ""), **with_numpy}, options.rounds)
    base = found.pop("numpy")

    def column(name: str, unit: str, value: dict[str, float]) -> Iterator[str]:
        yield from _lines(f"{name}, beyond numpy", unit, value)

    yield from column("import", "ms", {name: one.import_s for name, one in found.items()})
    both = {name: one.import_s + one.load_s for name, one in found.items()}
    yield from column("import and load", "ms", both)
    yield from column("memory", "MB", {name: _more(one, base) for name, one in found.items()})


def _more(start: Start, base: Start) -> float:
    return start.memory_bytes - base.memory_bytes


_UNITS = {"us": 1e6, "ms": 1e3, "MB": 1e-6}


def _lines(what: str, unit: str, values: dict[str, float]) -> Iterator[str]:
    """Yield a heading, and a line for each contestant: its figure, and its ratio to ours."""
    yield what
    for name, value in values.items():
        yield f"  {name:20}{value * _UNITS[unit]:12.1f} {unit}{value / values[OURS]:11.1f}x"

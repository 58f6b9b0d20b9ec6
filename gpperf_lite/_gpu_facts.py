"""The facts of GPUs that come with the package: `gpus.json`, read when asked for, and checked.

One object a GPU, under its short name: what `_builtin.short_name` makes of its driver's name.

    name                what its driver calls it; source: where its facts are from, for people
    compute_capability  [major, minor]
    sm_count            streaming multiprocessors
    clock_mhz           the highest SM clock that its driver offers, or its boost clock, which is
                        what CUDA reports of a GeForce; `source` says which
    memory_gb, l2_mb    sizes: GB of 1e9 bytes, MB of 2**20
    dram_gb_per_s       peak bandwidth of its memory
    peak_tflops         by dtype: dense, at the boost clock of the data sheet, and with the sums
                        that libraries keep: in f32, which halves f16 and fp8 on a GeForce
    power_limit_w       limit of the board; may be missing
    idle_w              the lowest power that a measured table holds, with a context open; may be
                        missing

No measured row that we have is faster than its peak. Nothing of this is read to load a model or to
predict, so the package does not import this module by itself.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, NoReturn

from ._builtin import known_names, short_name
from ._checked_json import Fields, parsed_file
from ._errors import InputError, UnknownGpuError, nearest, shown
from ._gemm import DTYPES, usual_dtype
from ._gpu import LIMITS, Gpu

_LONGEST = 40

_FILE = os.path.join(os.path.dirname(__file__), "gpus.json")


def known_gpus() -> dict[str, Gpu]:
    """Return the GPUs whose facts come with the package, by short name.

    Raises InputError where the file was changed into one that `read_gpus` refuses.
    """
    return dict(_shipped())


def find_gpu(name: str) -> tuple[str, Gpu]:
    """Return the short name and the facts of a GPU given by any name that people type.

    Raises UnknownGpuError, with the nearest name, for a GPU whose facts do not come with the
    package, and InputError for what is no text.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a GPU must be a text (got {shown(name)})")
    short, known = short_name(name), _shipped()
    if short not in known:
        hint = _hint(short[:_LONGEST], known)
        raise UnknownGpuError(
            f"no facts of a GPU called {shown(name)}{hint} ('gpperf gpus' lists those that are "
            "known; add another to gpperf_lite/gpus.json)"
        )
    return short, known[short]


def _hint(short: str, known: dict[str, Gpu]) -> str:
    """Return the boards that a name like "v100" may be one of, or else the nearest name."""
    boards = [name for name in known if name.startswith(f"{short}_")]
    return f": say which, {', '.join(boards)}" if boards else nearest(short, known_names(known))


def read_gpus(path: str | os.PathLike[str]) -> dict[str, Gpu]:
    """Return the GPUs of a file of facts, by short name.

    Raises InputError, which names the file, the GPU, the key and what is allowed, where a fact is
    missing or wrong.
    """
    facts = _Facts(_parsed(path), os.fspath(path))
    return {name: _gpu(name, facts.object(name)) for name in facts.values}


@cache
def _shipped() -> dict[str, Gpu]:
    return read_gpus(_FILE)


class _Facts(Fields):
    """Checked access to the keys of the file, or of one object in it."""

    joint = ": "

    def fail(self, text: str) -> NoReturn:
        raise InputError(text)


def _parsed(path: str | os.PathLike[str]) -> Any:
    def parse(data: bytes) -> Any:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique)

    return parsed_file(path, parse, "file of GPUs", "JSON", InputError)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a key that is there twice would silently be the last of them."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} is there twice")
        found[key] = value
    return found


def _gpu(name: str, facts: _Facts) -> Gpu:
    if short_name(name) != name:
        facts.fail(f"{facts.path} must have the name that it is looked up by, {short_name(name)!r}")
    values = facts.read({key: fact.read for key, fact in _FACTS.items()}, _NEEDED)
    if values.get("idle_w", 0.0) >= values.get("power_limit_w", math.inf):
        facts.refuse("idle_w", f"below power_limit_w, {values['power_limit_w']:g}")
    del values["source"]
    try:
        return Gpu(**{_FACTS[key].field: value for key, value in values.items()})
    except InputError as error:
        raise InputError(f"{facts.path}: {error}") from error


class _Fact(NamedTuple):
    """The field of Gpu that a key of the file fills, and the reader of its value."""

    field: str
    read: Callable[[_Facts, str], Any]


def _capability(facts: _Facts, key: str) -> tuple[int, int]:
    numbers = facts.integers(key, 0, 999)
    if len(numbers) != 2:
        facts.refuse(key, "a major and a minor number, such as [9, 0]")
    return numbers[0], numbers[1]


def _count(facts: _Facts, key: str) -> int:
    return facts.integer(key, 1, int(LIMITS["sm_count"][1]))


def _number(field: str, unit: float = 1.0) -> _Fact:
    """Return a fact that the file has in units of its own."""
    low, high = LIMITS[field]
    return _Fact(field, lambda facts, key: facts.number(key, low / unit, high / unit) * unit)


def _peaks(facts: _Facts, key: str) -> dict[str, float]:
    peaks, found = facts.object(key), dict[str, float]()
    for name in peaks.values:
        dtype = usual_dtype(name)
        if dtype not in DTYPES:
            allowed = f"a dtype, one of {' '.join(DTYPES)}{nearest(name[:40], DTYPES)}"
            facts.fail(f"{peaks.path}: {shown(name)} must be {allowed}")
        if dtype in found:
            facts.fail(f"{peaks.path}: {dtype} must be there once (got {shown(name)} too)")
        found[dtype] = _PEAK.read(peaks, name)
    return found


_PEAK = _number("peak_flops", 1e12)

_FACTS = {
    "name": _Fact("name", Fields.text),
    "source": _Fact("", Fields.text),  # no fact of the GPU, and for people alone
    "compute_capability": _Fact("compute_capability", _capability),
    "sm_count": _Fact("sm_count", _count),
    "clock_mhz": _number("clock_hz", 1e6),
    "memory_gb": _number("memory_bytes", 1e9),
    "l2_mb": _number("l2_bytes", 2.0**20),
    "dram_gb_per_s": _number("dram_bytes_per_s", 1e9),
    "peak_tflops": _Fact("peak_flops", _peaks),
    "power_limit_w": _number("power_limit_w"),
    "idle_w": _number("idle_power_w"),
}
_NEEDED = [key for key in _FACTS if key not in ("power_limit_w", "idle_w")]

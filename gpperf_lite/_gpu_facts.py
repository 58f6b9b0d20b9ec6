"""The facts of GPUs that come with the package: `gpus.json`, read when asked for, and checked.

One object a GPU, under its short name: what `_gpu_names.short_name` makes of its driver's name.

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

No measured row that we have is faster than its peak. Nothing of this is read to load the model of a
GPU that was measured, so the package does not import this module by itself.

A file of the user's has the facts of a GPU by the fields of `Gpu`, in SI units: what `gpperf gpus
--json` prints, one object or all of that list.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from ._checked_json import Fields
from ._errors import InputError, UnknownGpuError, nearest, shown
from ._facts_file import Facts, listed, parsed
from ._files import package_path
from ._gemm import DTYPES, usual_dtype
from ._gpu import LIMITS, Gpu
from ._gpu_names import corrected, gpu_name, short_name

_NOUN = "file of GPUs"
_MOST_NAMES = 6

_FILE = package_path("gpus.json")


def known_gpus() -> dict[str, Gpu]:
    """Return the GPUs whose facts come with the package, by short name.

    Raises InputError where the file was changed into one that `read_gpus` refuses.
    """
    return dict(_shipped())


def find_gpu(name: str, advice: str = "add another to gpperf_lite/gpus.json") -> tuple[str, Gpu]:
    """Return the short name and the facts of a GPU given by any name that people type.

    advice: in an error, what to do for a GPU that is not known.

    Raises UnknownGpuError, with the reason, for a GPU whose facts do not come with the package, and
    InputError for what is no text.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of a GPU must be a text (got {shown(name)})")
    short, why = _known(name)
    if why is not None:
        mended = corrected(name)
        hint = f"; did you mean {mended!r}?" if _known(mended)[1] is None else ""
        raise UnknownGpuError(
            f"no facts of a GPU called {shown(name)}{': ' if why else ''}{why}{hint} ('gpperf "
            f"gpus' lists those that are known; {advice})"
        )
    return short, _shipped()[short]


def _known(name: str) -> tuple[str, str | None]:
    """Return the short name of a GPU, and None where its facts are known, else the reason."""
    known, asked = _shipped(), gpu_name(name)
    if asked.refusal or asked.short in known:
        return asked.short, asked.refusal or None
    # The driver's name of a GeForce is without its memory, other names are not.
    match = re.fullmatch(r"(.+)_(\d+)_?g(?:i?b)?", asked.short)
    short = short_name(match[1]) if match else ""
    if match is None or short not in known:
        return asked.short, ""
    memory_gb = known[short].memory_bytes / 1e9
    if memory_gb != int(match[2]):
        return asked.short, f"the {short} that is known has {memory_gb:g} GB"
    return short, None


def read_gpus(path: str | os.PathLike[str]) -> dict[str, Gpu]:
    """Return the GPUs of a file of facts, by short name.

    Raises InputError, which names the file, the GPU, the key and what is allowed, where a fact is
    missing or wrong.
    """
    facts = Facts(parsed(path, _NOUN), os.fspath(path))
    return {name: _listed(name, facts.object(name)) for name in facts.values}


def read_gpu(path: str | os.PathLike[str], name: str | None = None) -> Gpu:
    """Return the GPU of a file of the user's: of one object, or of a list of them.

    name: of the one that is meant, by its `gpu` or `name` there; needed where there are several.

    Raises InputError, which names the file, the field and what is allowed, where the file is none
    of GPUs, or has no GPU of that name.
    """
    where, entries = os.fspath(path), listed(path, _NOUN)
    meant = [one for one in entries if name is None or _plain(name) in _names_in(one)]
    if len(meant) != 1:
        names = list(dict.fromkeys(next(iter(_names_in(one)), "?") for one in entries))
        some = f"{shown(names[:_MOST_NAMES], 200)}{' and more' if len(names) > _MOST_NAMES else ''}"
        if name is None:
            raise InputError(f"{where} must have one GPU, or --gpu say which (got {some})")
        raise InputError(f"{where} must have one GPU called {shown(name)} (got {some})")
    values = meant[0].read(_FIELDS, _NEEDED_FIELDS)
    return _made(meant[0], {key: values[key] for key in values if key not in _OF_THE_LIST})


def _names_in(entry: Facts) -> list[str]:
    """Return the names that an object of a user's file gives its GPU."""
    return [_plain(entry.text(key)) for key in ("gpu", "name") if key in entry]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@cache
def _shipped() -> dict[str, Gpu]:
    return read_gpus(_FILE)


def _listed(name: str, facts: Facts) -> Gpu:
    if short_name(name) != name:
        facts.fail(f"{facts.path} must have the name that it is looked up by, {short_name(name)!r}")
    values = facts.read({key: fact.read for key, fact in _FACTS.items()}, _NEEDED)
    if values.get("idle_w", 0.0) >= values.get("power_limit_w", math.inf):
        facts.refuse("idle_w", f"below power_limit_w, {values['power_limit_w']:g}")
    del values["source"]
    return _made(facts, {_FACTS[key].field: value for key, value in values.items()})


def _made(facts: Facts, fields: Mapping[str, Any]) -> Gpu:
    """Return the GPU of checked fields; raises InputError where they do not go together."""
    try:
        return Gpu(**fields)
    except InputError as error:
        raise InputError(f"{facts.path}: {error}") from error


class _Fact(NamedTuple):
    """The field of Gpu that a key of the file fills, and the reader of its value."""

    field: str
    read: Callable[[Facts, str], Any]


def _capability(facts: Facts, key: str) -> tuple[int, int]:
    numbers = facts.integers(key, 0, 999)
    if len(numbers) != 2:
        facts.refuse(key, "a major and a minor number, such as [9, 0]")
    return numbers[0], numbers[1]


def _count(facts: Facts, key: str) -> int:
    return facts.integer(key, 1, int(LIMITS["sm_count"][1]))


def _number(field: str, unit: float = 1.0) -> _Fact:
    """Return a fact that the file has in units of its own."""
    low, high = LIMITS[field]
    return _Fact(field, lambda facts, key: facts.number(key, low / unit, high / unit) * unit)


def _peaks(unit: float) -> Callable[[Facts, str], dict[str, float]]:
    """Return the reader of the peaks of dtypes, which the file has in units of its own."""
    peak = _number("peak_flops", unit)
    return lambda facts, key: _peaks_in(facts.object(key), peak)


def _peaks_in(peaks: Facts, peak: _Fact) -> dict[str, float]:
    found = dict[str, float]()
    for name in peaks.values:
        dtype = usual_dtype(name)
        if dtype not in DTYPES:
            allowed = f"a dtype, one of {' '.join(DTYPES)}{nearest(name[:40], DTYPES)}"
            peaks.fail(f"{peaks.path}: {shown(name)} must be {allowed}")
        if dtype in found:
            peaks.fail(f"{peaks.path}: {dtype} must be there once (got {shown(name)} too)")
        found[dtype] = peak.read(peaks, name)
    return found


_FACTS = {
    "name": _Fact("name", Fields.text),
    "source": _Fact("", Fields.text),  # no fact of the GPU, and for people alone
    "compute_capability": _Fact("compute_capability", _capability),
    "sm_count": _Fact("sm_count", _count),
    "clock_mhz": _number("clock_hz", 1e6),
    "memory_gb": _number("memory_bytes", 1e9),
    "l2_mb": _number("l2_bytes", 2.0**20),
    "dram_gb_per_s": _number("dram_bytes_per_s", 1e9),
    "peak_tflops": _Fact("peak_flops", _peaks(1e12)),
    "power_limit_w": _number("power_limit_w"),
    "idle_w": _number("idle_power_w"),
}
_NEEDED = [key for key in _FACTS if key not in ("power_limit_w", "idle_w")]

_OF_THE_LIST: dict[str, Callable[[Facts, str], Any]] = {
    "gpu": Fields.text,
    "has_model": lambda facts, key: facts.values[key],
    "answers": lambda facts, key: facts.values[key],
}
"""What the list of `gpperf gpus --json` says beside the facts."""

_FIELDS: dict[str, Callable[[Facts, str], Any]] = {
    **_OF_THE_LIST,
    "name": Fields.text,
    "compute_capability": _capability,
    "sm_count": _count,
    **{
        field: _number(field).read
        for field in ("clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s")
    },
    "peak_flops": _peaks(1.0),
    **{field: _number(field).read for field in ("power_limit_w", "idle_power_w")},
}
_NEEDED_FIELDS = [
    key for key in _FIELDS if key not in (*_OF_THE_LIST, "power_limit_w", "idle_power_w")
]

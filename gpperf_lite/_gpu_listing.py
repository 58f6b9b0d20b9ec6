"""The list of GPUs whose facts come with the package: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from ._builtin import GENERIC, available, built_in_path
from ._descriptions import gpu_to_json
from ._generic import read
from ._gpu import Gpu
from ._gpu_facts import known_gpus
from ._output import aligned

_PEAKS = ("f64", "f32", "tf32", "f16", "s8", "fp8", "nvfp4")
_MEASURED = "measured"
_FOOT = (
    "answers: measured, a model of that GPU, in the dtypes of its card; data sheet, the generic",
    "  model, whose predictions say so and have wider intervals; -, none in any of its dtypes",
)
_HEADS = ("GPU", "arch", "SMs", "MHz", "GB", "L2 MB", "GB/s", "W", *_PEAKS, "answers", "name")


def gpu_lines() -> list[str]:
    """Return a line for each GPU, sorted by name, below a head: peaks are in TFLOP/s."""
    answers = _answers()
    rows = [_cells(name, gpu, answers[name]) for name, gpu in sorted(known_gpus().items())]
    return [*aligned([_HEADS, *rows], _HEADS[2:-2]), *_FOOT]


def gpu_documents() -> list[dict[str, Any]]:
    """Return the facts of each GPU in SI units, by the fields of `Gpu`, and its short name.

    has_model: whether a built-in model was made from measurements of it; answers: "measured", "data
    sheet" or "-", as the table has it.
    """
    facts = known_gpus()
    return [
        {
            "gpu": name,
            "has_model": answers == _MEASURED,
            "answers": answers,
            **gpu_to_json(facts[name]),
        }
        for name, answers in sorted(_answers().items())
    ]


def _answers() -> dict[str, str]:
    """Return for each GPU the model that answers for it: of its own, of its data sheet, or none."""
    models, generic = available(), read(built_in_path(GENERIC))
    otherwise = {False: "-", True: "data sheet"}
    return {
        name: _MEASURED if name in models else otherwise[bool(generic.dtypes_for(gpu))]
        for name, gpu in known_gpus().items()
    }


def _cells(name: str, gpu: Gpu, answers: str) -> tuple[str, ...]:
    numbers = (
        gpu.clock_hz / 1e6,
        gpu.memory_bytes / 1e9,
        gpu.l2_bytes / 2**20,
        gpu.dram_bytes_per_s / 1e9,
        gpu.power_limit_w,
        *(_in_tera(gpu.peak_flops.get(dtype)) for dtype in _PEAKS),
    )
    return (
        name,
        "sm_{}{}".format(*gpu.compute_capability),
        str(gpu.sm_count),
        *("-" if number is None else f"{number:.5g}" for number in numbers),
        answers,
        gpu.name,
    )


def _in_tera(peak_flops: float | None) -> float | None:
    return None if peak_flops is None else peak_flops / 1e12

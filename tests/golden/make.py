"""Write the golden file of the current format version, and what it must go on predicting.

    python tests/golden/make.py

A format version that was released is in RELEASED: its files are never written again, because an
artefact of that format, wherever it is, must go on giving the same bits. `rtx4070_1` and `h200_1`
are built-in models of 0.1.0 and what they answered then; they cannot be written again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
for folder in (HERE.parent, HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from stand_ins.artefacts import KERNEL_NAMES, back_ends_artefact, kernels_artefact  # noqa: E402
from stand_ins.generics import FAST, SLOW, generic_model  # noqa: E402

import gpperf_lite as gp  # noqa: E402
from gpperf_lite import _artefact, _generic, _sealed  # noqa: E402
from gpperf_lite._descriptions import gpu_to_json  # noqa: E402

RELEASED: Collection[int] = (1,)

FIGURES = (
    *("runtime_s", "runtime_interval_s", "sustained_runtime_s", "power_w", "power_interval_w"),
    *("energy_j", "tflops", "tflops_per_w", "edp_js", "bound", "kernel", "in_domain"),
)
"""What must never change, by its name in `Prediction.to_dict`; the wording of notes may.

`timed` is told where it is known.
"""

QUESTIONS: tuple[dict[str, Any], ...] = (
    {"m": 4096, "n": 4096, "k": 4096, "dtype": "bf16"},
    {"m": 1, "n": 4096, "k": 4096, "dtype": "bf16"},
    {"m": 17, "n": 1000, "k": 333, "dtype": "bf16", "layout": "nn"},
    {"m": 8192, "n": 128, "k": 28672, "dtype": "bf16", "layout": "nt"},
    {"m": 65536, "n": 65536, "k": 64, "dtype": "bf16", "beta": 1.0},
    {"m": 333, "n": 777, "k": 64, "dtype": "bf16", "batch": 48},
    {"m": 512, "n": 512, "k": 512, "dtype": "f16", "confidence": 0.75},
    {"m": 1, "n": 1, "k": 1, "dtype": "bf16", "confidence": 0.5},
    {"m": 2**31 - 1, "n": 2**31 - 1, "k": 2**31 - 1, "dtype": "bf16", "batch": 2**31 - 1},
    {"m": 1024, "n": 1024, "k": 1024, "dtype": "f32", "layout": "nn", "kernel": KERNEL_NAMES[0]},
    {"m": 1000, "n": 200, "k": 4097, "dtype": "f32", "layout": "nn", "kernel": KERNEL_NAMES[1]},
    {"m": 4096, "n": 64, "k": 16384, "dtype": "f32", "layout": "nt", "kernel": KERNEL_NAMES[2]},
    {"m": 64, "n": 64, "k": 64, "dtype": "f32", "layout": "tn", "kernel": KERNEL_NAMES[3]},
    {"m": 4096, "n": 128, "k": 7168, "dtype": "bf16", "kernel": "sglang"},
    {"m": 500, "n": 4096, "k": 2048, "dtype": "fp8"},
    {"m": 500, "n": 4096, "k": 2048, "dtype": "fp8", "kernel": "sglang"},
    {"m": 500, "n": 4096, "k": 2048, "dtype": "fp8", "kernel": "trtllm"},
    {"m": 32, "n": 4096, "k": 2048, "dtype": "fp8_static", "kernel": "sglang"},
    {"m": 3000, "n": 2048, "k": 2048, "dtype": "int8_wo", "kernel": "trtllm"},
    {"m": 8, "n": 16384, "k": 8192, "dtype": "int4_wo", "kernel": "trtllm"},
)

GENERIC_QUESTIONS = tuple(
    {"m": m, "n": 4096, "k": 2048, "dtype": dtype} for m in (1, 500) for dtype in ("bf16", "fp8")
)
"""What the golden model of scope "generic" is asked, of a GPU of each kind."""


def golden_artefact() -> _artefact.Artefact:
    """Return an artefact with everything that the format can hold: back ends, kernels, power."""
    back_ends, kernels = back_ends_artefact(n_trees=4, depth=3), kernels_artefact(5, depth=3)
    moved = [
        one._replace(kernels=tuple(index + len(back_ends.kernels) for index in one.kernels))
        for one in kernels.estimators
    ]
    return back_ends._replace(
        name="golden",
        kernels=(*back_ends.kernels, *kernels.kernels),
        estimators=(*back_ends.estimators, *moved),
    )


def answer(model: gp.Model, question: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a prediction, every float written to its last bit."""
    asked = dict(question)
    options = {name: asked.pop(name) for name in ("kernel", "confidence") if name in asked}
    document = model.predict(gp.Gemm(**asked), **options).to_dict()
    timed = {"timed": document["timed"]} if document["timed"] else {}
    return {name: exact(document[name]) for name in FIGURES} | timed


def exact(value: Any) -> Any:
    """Return JSON with every float as hexadecimal text."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    return value


def main(folder: Path = HERE, released: Collection[int] = RELEASED) -> None:
    """Write all files, unless their format version was released."""
    version = _sealed.FORMAT_VERSION
    if version in released:
        raise SystemExit(f"format version {version} was released: its golden files are for ever")
    path = folder / f"format_{version}.safetensors"
    _artefact.write(golden_artefact(), path)
    model = gp.load(path)
    cases = [{"question": one, "answer": answer(model, one)} for one in QUESTIONS]
    write_cases(cases, path)
    path = folder / f"generic_{version}.safetensors"
    _generic.write(generic_model(n_trees=3, depth=3), path)
    cases = [
        {"gpu": gpu_to_json(gpu), "question": one, "answer": answer(gp.load(path, gpu=gpu), one)}
        for gpu in (SLOW, FAST)
        for one in GENERIC_QUESTIONS
    ]
    write_cases(cases, path)


def write_cases(cases: list[dict[str, Any]], path: Path) -> None:
    """Write what the artefact at `path` must go on answering, beside it."""
    path.with_suffix(".json").write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Exported models: small artefacts of every kind, the tools that run them, and their headers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from builder.export import export
from gpperf_lite._artefact import Artefact, write
from gpperf_lite._features import ALL_FEATURES, FEATURES
from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval
from gpperf_lite._kernel import LIBRARY, Kernel
from stand_ins.artefacts import (
    GPU,
    KERNEL_NAMES,
    back_ends_artefact,
    estimator,
    kernels_artefact,
    small_artefact,
)

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
COMPILERS = ("gcc", "clang")


def tool(name: str) -> str:
    """Return the path of a compiler or of Node; skip the test where it is not installed."""
    path = shutil.which(name)
    if path is None and os.environ.get("GPPERF_REQUIRE_LANGUAGES") == "1":
        pytest.fail(f"{name} must be installed: GPPERF_REQUIRE_LANGUAGES=1 asks for it")
    if path is None:
        pytest.skip(f"{name} is not installed: the exported code cannot be run with it")
    return path


def mixed_artefact() -> Artefact:
    """Return an artefact with the library and known kernels; with and without power, sustained.

    One kernel takes only multiples of 4; fp8 stands in for nothing and has no power.
    """
    dice = np.random.default_rng(9)
    kernels = (LIBRARY, *(Kernel.from_name(name) for name in KERNEL_NAMES))
    parts: tuple[tuple[str, str, tuple[int, ...], str], ...] = (
        ("runtime", "bf16", (0,), "library"),
        ("power", "bf16", (0,), "library"),
        ("sustained", "bf16", (0,), "library"),
        ("runtime", "fp8", (0,), "library"),
        ("runtime", "f32", (0,), "library"),
        ("runtime", "f32", (1, 2, 3, 4), "kernel"),
        ("power", "f32", (1, 2), "kernel"),
    )
    estimators = tuple(
        estimator(dice, target, dtype, some, form, 70, 7) for target, dtype, some, form in parts
    )
    fp8 = estimators[3]._replace(remarks=("fp8 is of dice */ ??/",))
    # Features that are 0 are asked for: they are not above 0, nor above -0, but above what is less.
    zero = list(FEATURES).index("reads_c")
    for number, threshold in enumerate((0.0, -0.0, -1e-38, -3.0)):
        fp8.forest.feature[number], fp8.forest.threshold[number, 0] = zero, threshold
    estimators = (*estimators[:3], fp8, *estimators[4:])
    return Artefact("mixed", "4", GPU, kernels, estimators, {"f16": "bf16"}, {})


def narrow_artefact() -> Artefact:
    """Return the small artefact, its runtime with intervals of its own outside of its domain."""
    small = small_artefact()
    runtime, *others = small.estimators
    inside = runtime.interval
    wide = Interval(
        inside.runtime_edges_s, inside.confidences, inside.half_widths, (4001, 5000, 9000)
    )
    return small._replace(estimators=(runtime._replace(interval=wide), *others))


def wide_artefact(n_trees: int) -> Artefact:
    """Return the artefact of known kernels, one forest of which looks at many thresholds.

    Of 300 trees it needs more than 64 columns, of 2,700 more than 128.
    """
    kernels, dice = kernels_artefact(), np.random.default_rng(n_trees)
    first, second = kernels.estimators
    shape = (n_trees, 8)
    forest = Forest(
        dice.integers(0, len(ALL_FEATURES), shape).astype(np.uint8),
        np.exp2(dice.uniform(-3.0, 17.0, shape)).astype(np.float32),
        dice.integers(-9, 10, (n_trees, 256)).astype(np.int16),
        3,
    )
    return kernels._replace(estimators=(first._replace(forest=forest), second))


ARTEFACTS = {
    "wide": lambda: wide_artefact(300),
    "widest": lambda: wide_artefact(2_700),
    "small": small_artefact,
    "narrow": narrow_artefact,
    "kernels": kernels_artefact,
    "back_ends": back_ends_artefact,
    "mixed": mixed_artefact,
}


def artefact_file(name: str, folder: Path) -> Path:
    """Write one of ARTEFACTS, and return its path."""
    path = folder / f"{name}.safetensors"
    write(ARTEFACTS[name](), path)
    return path


def header_file(name: str, folder: Path) -> Path:
    """Export one of ARTEFACTS, or else a built-in model, as a header; return its path."""
    model = artefact_file(name, folder) if name in ARTEFACTS else name
    output = folder / f"{name}.h"
    export(model, output)
    return output


def compiled(
    compiler: str, source: Path, output: Path, *flags: str, language: str = "c"
) -> subprocess.CompletedProcess[str]:
    """Compile a source or a header to a program, and return how that went."""
    command = [tool(compiler), "-x", language, *flags, str(source), "-o", str(output)]
    command += [] if "-c" in flags else ["-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "clang_rt" in done.stderr and os.environ.get("GPPERF_REQUIRE_LANGUAGES") != "1":
        pytest.skip("the sanitizers of clang are not installed")
    return done


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), *arguments], capture_output=True, text=True)


@cache
def has_fma() -> bool:
    """Return True where this machine's processor can contract a product and a sum."""
    path = Path("/proc/cpuinfo")
    return path.exists() and " fma " in path.read_text()


def demo(compiler: str, header: Path, folder: Path, flags: Sequence[str]) -> str:
    """Return what the demo of a header says of its stored answers."""
    output = folder / "demo"
    macros = ("-DGPPERF_IMPLEMENTATION", "-DGPPERF_DEMO")
    made = compiled(compiler, header, output, *flags, *macros)
    assert made.returncode == 0, made.stderr
    for dtype in ("bf16", "f32"):
        told = run(output, "4096", "4096", "4096", dtype).stdout
        if "stored" in told:
            return told.splitlines()[-1]
    raise AssertionError(told)

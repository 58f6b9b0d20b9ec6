"""The C header on 64-bit Arm, emulated: the same bits, where compilers like to contract."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from stand_ins.exported import ARTEFACTS, STRICT, header_file, tool

import gpperf_lite as gp
from builder.export.contents import contents_of
from builder.export.queries import GEMM, PREDICTION, parity_of
from gpperf_lite._model import artefact_of

_SOURCE = """
#define GPPERF_IMPLEMENTATION
#include "{header}"
#include <stdio.h>
#include <stdlib.h>

static gpperf_gemm gemms[{most}];
static gpperf_prediction told[{most}];

/* Arguments: one or batch, kernel, confidence; GEMMs come from standard input. */
int main(int n_arguments, char **arguments)
{{
    const int kernel = n_arguments > 3 ? atoi(arguments[2]) : -1;
    const double confidence = n_arguments > 3 ? atof(arguments[3]) : 0.9;
    size_t n, i;
    int code = 0;
    if (n_arguments == 1) return printf("%d differ", gpperf_selftest()) < 0;
    n = fread(gemms, sizeof gemms[0], {most}, stdin);
    if (arguments[1][0] == 'b')
        code = gpperf_predict_batch(gemms, n, kernel, confidence, told, NULL);
    else
        for (i = 0; i < n && !code; i++)
            code = gpperf_predict(gemms + i, kernel, confidence, told + i);
    return code || fwrite(told, sizeof told[0], n, stdout) != n;
}}
"""
_MOST = 4096
COMPILERS = {
    "gcc": ("aarch64-linux-gnu-gcc",),
    "clang": ("clang", "--target=aarch64-linux-gnu"),
}


@dataclass(frozen=True)
class Emulated:
    """A program of Arm that answers questions, in an emulator."""

    program: Path

    def ask(
        self, how: str, rows: NDArray[np.void], kernel: int, confidence: float
    ) -> NDArray[np.void]:
        """Ask about rows, how: "one" by one or as a "batch"."""
        assert len(rows) <= _MOST
        arguments = [how, str(kernel), repr(confidence)]
        given = np.ascontiguousarray(rows, GEMM).tobytes()
        told = subprocess.run(
            [tool("qemu-aarch64"), self.program, *arguments],
            input=given,
            stdout=subprocess.PIPE,
            check=True,
        )
        return np.frombuffer(told.stdout, PREDICTION)

    def n_different(self) -> str:
        """Return what its own test says."""
        command = [tool("qemu-aarch64"), str(self.program)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def emulated(header: Path, folder: Path, compiler: str, flags: Sequence[str]) -> Emulated:
    """Return the program of a header, compiled for Arm."""
    source, program = folder / "asked.c", folder / f"asked_{compiler}"
    source.write_text(_SOURCE.format(header=header, most=_MOST))
    name, *target = COMPILERS[compiler]
    tool("aarch64-linux-gnu-gcc")  # clang takes its linker and libraries
    command = [tool(name), *target, *flags, "-static", source, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Emulated(program)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("name", "simd"), [("mixed", 0), ("widest", 2), ("h200_sxm", 2)])
def test_a_model_answers_on_arm_as_in_python(
    name: str, compiler: str, simd: int, tmp_path: Path
) -> None:
    header = header_file(name, tmp_path)
    artefact = ARTEFACTS[name]() if name in ARTEFACTS else artefact_of(name)
    flags = ("-std=c99", "-O1", *STRICT, f"-DGPPERF_SIMD={simd}")
    program = emulated(header, tmp_path, compiler, flags)
    contents, model = contents_of(artefact), gp.Model(artefact)
    for how in ("batch", "one"):
        told = parity_of(contents, model, lambda *asked, how=how: program.ask(how, *asked), 500)
        assert told.n_same == told.n_asked, told.first


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_fastest_code_for_arm_keeps_the_bits(compiler: str, tmp_path: Path) -> None:
    flags = ("-std=gnu99", "-O3", "-mcpu=neoverse-v1")
    program = emulated(header_file("mixed", tmp_path), tmp_path, compiler, flags)
    assert program.n_different() == "0 differ"


def test_a_product_and_a_sum_that_are_contracted_are_found_by_its_own_test(tmp_path: Path) -> None:
    """Each processor of Arm can, and gcc does unless it is told not to, as the header does."""
    header = header_file("mixed", tmp_path)
    header.write_text(header.read_text().replace('#pragma GCC optimize("fp-contract=off")', ""))
    program = emulated(header, tmp_path, "gcc", ("-std=gnu99", "-O3"))
    assert program.n_different() not in ("", "0 differ")

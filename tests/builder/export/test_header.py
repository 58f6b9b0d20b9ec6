"""The C header: strict compilers take it as C99 and as C++17, and none may bend its arithmetic."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.artefacts import kernels_artefact
from stand_ins.exported import (
    COMPILERS,
    STRICT,
    compiled,
    demo,
    has_fma,
    header_file,
    mixed_artefact,
    run,
    tool,
)

import gpperf_lite as gp
from builder.errors import BuilderError
from builder.export import export
from builder.export.c_tables import quoted
from builder.export.contents import contents_of
from builder.export.source import Source, card_of, source_of
from gpperf_lite._artefact import write

SMALL = ("small", "narrow", "kernels", "back_ends", "mixed", "widest")
LANGUAGES = {"c": "-std=c99", "c++": "-std=c++17"}


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The headers of small artefacts, by name."""
    folder = tmp_path_factory.mktemp("headers")
    return {name: header_file(name, folder) for name in SMALL}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("name", "level"), [("mixed", "-O0"), ("mixed", "-O2"), ("kernels", "-O1")]
)
def test_strict_compilers_take_a_header_without_a_word(
    name: str, level: str, compiler: str, language: str, headers: dict[str, Path], tmp_path: Path
) -> None:
    """All of it: the implementation, the demo, and the declarations alone."""
    for macros in (
        (),
        ("-DGPPERF_IMPLEMENTATION",),
        ("-DGPPERF_IMPLEMENTATION", "-DGPPERF_STATIC"),
    ):
        flags = (LANGUAGES[language], level, *STRICT, *macros, "-c")
        made = compiled(compiler, headers[name], tmp_path / "a.o", *flags, language=language)
        assert (made.returncode, made.stderr) == (0, ""), macros


@pytest.mark.parametrize("simd", [0, 1, 2])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", ["kernels", "mixed"])
def test_stored_answers_come_out_with_and_without_vectors(
    name: str, compiler: str, simd: int, headers: dict[str, Path], tmp_path: Path
) -> None:
    flags = ("-std=c99", "-O1", f"-DGPPERF_SIMD={simd}")
    assert demo(compiler, headers[name], tmp_path, flags) == "0 of 32 stored answers differ"


FAST = ("-std=gnu99", "-O3", "-march=native")
CONTRACTED = (*FAST, "-ffp-contract=fast")
"""What is gcc's default, and what it takes for clang to contract products and sums."""


@pytest.mark.parametrize(("compiler", "flags"), [("gcc", CONTRACTED), ("clang", FAST)])
def test_the_fastest_code_of_this_machine_keeps_the_bits(
    compiler: str, flags: tuple[str, ...], headers: dict[str, Path], tmp_path: Path
) -> None:
    assert demo(compiler, headers["mixed"], tmp_path, flags) == "0 of 32 stored answers differ"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_product_and_a_sum_that_are_contracted_are_found_by_its_own_test(
    compiler: str, headers: dict[str, Path], tmp_path: Path
) -> None:
    """Where gcc is not told better, and by clang's -ffp-contract=fast, which hears no pragma."""
    if not has_fma():
        pytest.skip("this processor cannot contract a product and a sum")
    bent = tmp_path / "bent.h"
    text = headers["mixed"].read_text()
    bent.write_text(text.replace('#pragma GCC optimize("fp-contract=off")', ""))
    said = demo(compiler, bent, tmp_path, CONTRACTED)
    assert re.fullmatch(r"[1-9]\d* of 32 stored answers differ", said)


REORDERED = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")


def test_what_clang_may_reorder_it_does_not_reorder_here(
    headers: dict[str, Path], tmp_path: Path
) -> None:
    """It does not tell a header of these flags, which gcc does and which are refused there."""
    flags = ("-std=c99", "-O2", *REORDERED)
    assert demo("clang", headers["mixed"], tmp_path, flags) == "0 of 32 stored answers differ"
    bent = tmp_path / "bent.h"
    text = headers["mixed"].read_text()
    bent.write_text(text.replace('_Pragma("clang fp reassociate(off)")', ""))
    said = demo("clang", bent, tmp_path, flags)
    assert re.fullmatch(r"[1-9]\d* of 32 stored answers differ", said)


FORBIDDEN = {
    "gcc": ("-ffast-math", "-Ofast", "-ffinite-math-only", "-freciprocal-math"),
    "clang": ("-ffast-math", "-ffinite-math-only"),
}


@pytest.mark.parametrize(
    ("compiler", "flag"), [(one, flag) for one, flags in FORBIDDEN.items() for flag in flags]
)
def test_flags_that_bend_the_arithmetic_are_refused(
    compiler: str, flag: str, headers: dict[str, Path], tmp_path: Path
) -> None:
    flags = (flag, "-DGPPERF_IMPLEMENTATION", "-c")
    made = compiled(compiler, headers["small"], tmp_path / "a.o", *flags)
    assert made.returncode != 0
    assert "gpperf must be compiled without" in made.stderr


@pytest.mark.parametrize(
    ("name", "simd", "compiler"),
    [
        *(("mixed", simd, compiler) for simd in (0, 1, 2) for compiler in COMPILERS),
        ("widest", 1, "gcc"),
        ("widest", 2, "gcc"),
    ],
)
def test_sanitizers_find_nothing(
    name: str, compiler: str, simd: int, headers: dict[str, Path], tmp_path: Path
) -> None:
    """In stored answers, in batches of every length, and in what is refused."""
    source = tmp_path / "all.c"
    source.write_text(EVERYTHING.replace("HEADER", str(headers[name])))
    flags = ("-std=c99", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    made = compiled(compiler, source, tmp_path / "all", *flags, f"-DGPPERF_SIMD={simd}")
    assert made.returncode == 0, made.stderr
    done = run(tmp_path / "all")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")


EVERYTHING = """
#define GPPERF_IMPLEMENTATION
#define GPPERF_STATIC
#include "HEADER"
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    int n, i, dtype, kernel, objective;
    for (n = 0; n < 140; n += 7) {
        gpperf_gemm *gemms = malloc((size_t)(n + 1) * sizeof *gemms);
        gpperf_prediction *told = malloc((size_t)(n + 1) * sizeof *told);
        size_t row;
        for (i = 0; i < n; i++)
            gemms[i] = gpperf_gemm_of(1 << i % 31, 2147483647, 4 * i + 4, GPPERF_F32);
        for (kernel = -2; kernel <= GPPERF_N_KERNELS; kernel++)
            gpperf_predict_batch(gemms, (size_t)n, kernel, 0.9, told, &row);
        if (n > 9) gemms[9].m = 0;
        i = gpperf_predict_batch(gemms, (size_t)n, 0, 0.9, told, &row);
        if (n > 9 ? i == GPPERF_OK || (i == GPPERF_ERROR_SIZE && row != 9) : i == GPPERF_ERROR_SIZE)
            return 1;
        free(gemms);
        free(told);
    }
    for (dtype = -1; dtype < 14; dtype++)
        for (kernel = -2; kernel <= GPPERF_N_KERNELS; kernel++)
            for (objective = -1; objective < 5; objective++) {
                gpperf_gemm gemm = gpperf_gemm_of(100, 200, 300, dtype);
                gpperf_prediction p;
                gpperf_predict(&gemm, kernel, 0.9, &p);
                gpperf_best(&gemm, NULL, 0, objective, 0.9, &p);
                gpperf_best(&gemm, &kernel, 1, objective, 1e-300, &p);
                gemm.layout = objective;
                gpperf_best(&gemm, &kernel, 1, 0, 0.9999999999, &p);
            }
    for (i = -2; i < 20; i++) gpperf_strerror(i);
    if (gpperf_kernel(NULL) != -1 || gpperf_dtype("none") != -1) return 2;
    if (gpperf_layout("") != -1) return 2;
    if (gpperf_kernel_name(-1) || gpperf_kernel_name(GPPERF_N_KERNELS)) return 3;
    if (gpperf_selftest()) return 4;
    puts("done");
    return 0;
}
"""


def test_two_models_live_in_one_program(headers: dict[str, Path], tmp_path: Path) -> None:
    """Each in a file of its own, where GPPERF_STATIC keeps its names."""
    for name in ("small", "kernels"):
        (tmp_path / f"{name}.c").write_text(
            "#define GPPERF_IMPLEMENTATION\n#define GPPERF_STATIC\n"
            f'#include "{headers[name]}"\n'
            f"const char *{name}(void) {{ return gpperf_selftest() ? 0 : GPPERF_MODEL; }}\n"
        )
    main = tmp_path / "main.c"
    main.write_text(
        "#include <stdio.h>\nconst char *small(void);\nconst char *kernels(void);\n"
        'int main(void) { return printf("%s %s\\n", small(), kernels()) < 0; }\n'
    )
    others = [str(tmp_path / f"{name}.c") for name in ("small", "kernels")]
    made = compiled("gcc", main, tmp_path / "both", *others)
    assert made.returncode == 0, made.stderr
    assert run(tmp_path / "both").stdout == "small kernels\n"


def test_the_example_and_the_demo_of_a_header_run_as_they_stand(
    headers: dict[str, Path], tmp_path: Path
) -> None:
    tool("cc")
    text = headers["small"].read_text()
    example = re.search(r"\n( {7}#define GPPERF_IMPL.*?\n {7}})\n", text, re.DOTALL)
    assert example is not None
    source = headers["small"].with_name("example.c")
    source.write_text(re.sub(r"^ {7}", "", example[1], flags=re.MULTILINE))
    made = compiled("cc", source, tmp_path / "example", *STRICT, "-std=c99")
    assert (made.returncode, made.stderr) == (0, "")
    expected = gp.load(headers["small"].with_name("small.safetensors"))
    p = expected.predict(gp.Gemm(4096, 4096, 4096, "bf16"))
    low, high = p.runtime_interval_s
    assert run(tmp_path / "example").stdout == f"{p.runtime_s:g} s, from {low:g} to {high:g} s\n"
    demo_line = re.search(r"A demo: +(cc .*?) small\.h -o demo -lm\n +\./demo (.*)\n", text)
    assert demo_line is not None
    _, _, language, *flags = demo_line[1].split()
    made = compiled("cc", headers["small"], tmp_path / "demo", *flags, language=language)
    assert made.returncode == 0, made.stderr
    told = run(tmp_path / "demo", *demo_line[2].split()).stdout
    assert told.startswith("library on NVIDIA Test 100: ")
    assert run(tmp_path / "demo", "1", "1", "1", "s8").stdout.startswith("error: dtype must be one")


def test_a_header_names_its_source_and_is_plain_text(headers: dict[str, Path]) -> None:
    text = headers["mixed"].read_text()
    assert text.startswith("/* SPDX-License-Identifier: Apache-2.0\n")
    assert "Remark: fp8 is of dice * / ? ?/" in text
    assert re.search(r"SHA-256: [0-9a-f]{64}", text)
    assert text.isascii()
    public = set(re.findall(r"\b(gpperf_[a-z]\w*)\(", text))
    assert all(name.startswith("gpperf_") for name in public)
    assert not re.search(r"\b(malloc|calloc|realloc|free)\b", text)


@pytest.mark.parametrize("name", gp.available())
def test_the_card_of_a_built_in_model_is_a_literal_of_c(name: str) -> None:
    """C99 promises 4095 characters."""
    source = source_of(name)
    card = card_of(contents_of(source.artefact), source)
    assert {"name", "version", "gpu", "sha256", "dtypes", "remarks"} <= set(card)
    assert len(quoted(json.dumps(card))) < 4095


def test_a_card_leaves_out_what_makes_it_too_long() -> None:
    artefact = mixed_artefact()
    long = artefact._replace(remarks=tuple(f"{n} {'x' * 400}" for n in range(20)))
    card = card_of(contents_of(long), Source(long, 1, "0"))
    assert "remarks" not in card
    assert len(quoted(json.dumps(card))) < 4095


def test_a_text_is_quoted_as_c_reads_it(tmp_path: Path) -> None:
    """Quotes, backslashes and what would be a trigraph; what is not ASCII is a question mark."""
    text = 'a "b" \\ ??/ ??= c'
    source = tmp_path / "text.c"
    source.write_text(
        f"#include <stdio.h>\nint main(void) {{ return puts({quoted(text)}) < 0; }}\n"
    )
    made = compiled("gcc", source, tmp_path / "text", "-std=c99", *STRICT)
    assert (made.returncode, made.stderr) == (0, "")
    assert run(tmp_path / "text").stdout == f"{text}\n"
    assert quoted("\u00fc") == '"?"'


HOSTILE = '"; } int evil(void) { return 1; } /* */ // ??/ \\ `${evil}` %s'


def test_texts_of_a_file_are_texts_and_never_code(tmp_path: Path) -> None:
    """Whatever a model or a kernel is called, in C and in JavaScript."""
    artefact = kernels_artefact()
    kernels = tuple(
        replace(kernel, name=f"{HOSTILE}{number}") for number, kernel in enumerate(artefact.kernels)
    )
    path, header = tmp_path / "hostile.safetensors", tmp_path / "hostile.h"
    write(artefact._replace(name=HOSTILE, kernels=kernels, remarks=(HOSTILE,)), path)
    export(path, header)
    source = tmp_path / "names.c"
    source.write_text(
        '#define GPPERF_IMPLEMENTATION\n#include "hostile.h"\n#include <stdio.h>\n'
        "int main(void) { puts(GPPERF_MODEL); return puts(gpperf_kernel_name(1)) < 0; }\n"
    )
    made = compiled("gcc", source, tmp_path / "names", "-std=c99", *STRICT)
    assert (made.returncode, made.stderr) == (0, "")
    assert run(tmp_path / "names").stdout == f"{HOSTILE}\n{HOSTILE}1\n"
    module = tmp_path / "hostile.mjs"
    export(path, module, "js")
    load = f"const g = await import({json.dumps(module.as_uri())});"
    code = f"{load} console.log([g.model, g.kernels[1]].join(' '));"
    command = [tool("node"), "--input-type=module", "-e", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", f"{HOSTILE} {HOSTILE}1\n")


def test_an_export_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = header_file("mixed", tmp_path).read_bytes(), header_file("mixed", tmp_path)
    assert second.read_bytes() == first


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="output must be a file"):
        export("rtx4070", tmp_path)

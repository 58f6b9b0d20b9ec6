"""The card for people: short however many the kernels, and every kernel on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU, estimator, kernels_artefact, small_artefact
from stand_ins.shell import printed

import gpperf_lite as gp
from gpperf_lite._artefact import Artefact, write
from gpperf_lite._card_page import page
from gpperf_lite._descriptions import kernel_from_json
from gpperf_lite._kernel import LIBRARIES, LIBRARY, Kernel
from gpperf_lite._kernel_listing import described, listing

WIDEST = 100

TENSOR = [
    replace(
        Kernel.from_name(f"cutlass_tensorop_s1688{warps}gemm_f16_{tile}_tn_align4"),
        registers=registers,
        spill_bytes=spill,
    )
    for warps, tile, registers, spill in (
        ("111", "64x64_32x2", 255, 96),
        ("211", "64x64_32x2", 164, 0),
        ("221", "128x128_32x2", 250, 0),
        ("221", "128x64_64x2", 164, 0),
        ("221", "32x32_64x2", 80, 0),
        ("222", "32x32_64x2", 80, 0),
    )
]
SLICED = [replace(one, name=f"{one.name}_k4", split_k=4) for one in TENSOR[:2]]
SIMT = [Kernel.from_name(f"cutlass_simt_sgemm_128x128_8x2_{ab}_align1") for ab in ("nn", "tn")]
DOUBTS = {
    "alike": [[TENSOR[4].name, TENSOR[5].name]],
    "beyond_reach": ["7 of 96 labels of f16 (7.3%) are too far, such as a at m=1: 2 s; b at m=2"],
}


def model_of(
    parts: Mapping[str, Sequence[Kernel]], provenance: Mapping[str, Any], held_out: object = None
) -> gp.Model:
    """Return a model of kernels by dtype, with an error of kernels held out where it is told."""
    dice = np.random.default_rng(1)
    kernels = tuple(kernel for some in parts.values() for kernel in some)
    place = {kernel.name: at for at, kernel in enumerate(kernels)}
    estimators = tuple(
        estimator(
            dice,
            "runtime",
            dtype,
            [place[one.name] for one in some],
            "library" if some[0] in LIBRARIES else "kernel",
        )
        for dtype, some in parts.items()
    )
    told = {} if held_out is None else {"kernels_held_out": held_out}
    estimators = tuple(one._replace(accuracy={**one.accuracy, **told}) for one in estimators)
    return gp.Model(Artefact("some", "1", GPU, kernels, estimators, {}, provenance))


SOME = model_of(
    {"f16": [*TENSOR, *SLICED], "f32": SIMT, "bf16": LIBRARIES},
    DOUBTS,
    {"n": 96, "mean_ape": 0.5, "median_ape": 0.25, "p90_ape": 1.5},
)

PAGE = """\
some, version 1, for NVIDIA Test 100
14 kernels; --kernels lists them:
  8 of cutlass2 on tensor cores
    tile         32x32x64 (2), 64x64x32 (4), 128x64x64 (1), 128x128x32 (1)
    warps        1 (2), 2 (2), 4 (4)
    slices       1 (6), 4 (2)
    each         stages 2, dtype f16, layout tn, alignment 4, instruction 16x8x8
    registers    80 to 255 a thread
    spills       2 of 8 spill, up to 96 bytes a thread
    alike        2 in 1 group that nothing known tells apart: each group is answered alike
  2 of cutlass2 on CUDA cores
    names        cutlass_simt_sgemm_128x128_8x2_nn_align1, cutlass_simt_sgemm_128x128_8x2_tn_align1
    layout       nn (1), tn (1)
    each         tile 128x128x8, stages 2, slices 1, dtype f32, alignment 1, instruction 1x1x1
  4 of library
    names        library, vllm, sglang, trtllm
held-out accuracy (absolute percentage error; what the 90 % interval covers):
  target   dtype  kernels           timed  held out  rows    mean  median      p90  covers
  runtime  f16    8 of cutlass2 on  -      none         3  25.00%       -        -       -
                  tensor cores
  runtime  f16    8 of cutlass2 on  -      kernel      96  50.00%  25.00%  150.00%       -
                  tensor cores
  runtime  f32    2 of cutlass2 on  -      none         3  25.00%       -        -       -
                  CUDA cores
  runtime  f32    2 of cutlass2 on  -      kernel      96  50.00%  25.00%  150.00%       -
                  CUDA cores
  runtime  bf16   library vllm      -      none         3  25.00%       -        -       -
                  sglang trtllm
  runtime  bf16   library vllm      -      kernel      96  50.00%  25.00%  150.00%       -
                  sglang trtllm
measured (smallest to largest; pairs: how many different (n, k)):
  dtype  kernels           layouts            m            n            k    batch  pairs
  f16    8 of cutlass2 on  nt tn    16 to 65536  16 to 65536  16 to 65536  1 to 64      -
         tensor cores
  f32    2 of cutlass2 on  nt tn    16 to 65536  16 to 65536  16 to 65536  1 to 64      -
         CUDA cores
  bf16   library vllm      nt tn    16 to 65536  16 to 65536  16 to 65536  1 to 64      -
         sglang trtllm
beyond reach: 7 of 96 labels of f16 (7.3%) are too far, such as a at m=1: 2 s
no power: no row with power was given"""

LISTING = """\
14 kernels
regs: registers of a thread
spill: bytes that a thread spills
alike: kernels of one number, which nothing known tells apart, are answered alike
kernel                                                     tile        warps  regs  spill  alike
cutlass_tensorop_s1688111gemm_f16_64x64_32x2_tn_align4     64x64x32    1x1    255   96     -
cutlass_tensorop_s1688211gemm_f16_64x64_32x2_tn_align4     64x64x32    2x1    164   0      -
cutlass_tensorop_s1688221gemm_f16_128x128_32x2_tn_align4   128x128x32  2x2    250   0      -
cutlass_tensorop_s1688221gemm_f16_128x64_64x2_tn_align4    128x64x64   2x2    164   0      -
cutlass_tensorop_s1688221gemm_f16_32x32_64x2_tn_align4     32x32x64    2x2    80    0      1
cutlass_tensorop_s1688222gemm_f16_32x32_64x2_tn_align4     32x32x64    2x2    80    0      1
cutlass_tensorop_s1688111gemm_f16_64x64_32x2_tn_align4_k4  64x64x32    1x1    255   96     -
cutlass_tensorop_s1688211gemm_f16_64x64_32x2_tn_align4_k4  64x64x32    2x1    164   0      -
cutlass_simt_sgemm_128x128_8x2_nn_align1                   128x128x8   -      -     -      -
cutlass_simt_sgemm_128x128_8x2_tn_align1                   128x128x8   -      -     -      -
library                                                    -           -      -     -      -
vllm                                                       -           -      -     -      -
sglang                                                     -           -      -     -      -
trtllm                                                     -           -      -     -      -"""


def test_a_card_sums_up_kernels_by_family_and_unit() -> None:
    assert "\n".join(page(SOME)) == PAGE


def test_a_listing_has_a_line_for_each_kernel_with_its_facts() -> None:
    assert "\n".join(listing(SOME)) == LISTING


def test_kernels_that_are_alike_are_listed_one_below_the_other() -> None:
    """Wherever they stand in the file, under the number of their group."""
    last, first = TENSOR[0].name, TENSOR[3].name
    model = model_of({"f16": [*TENSOR, *SLICED]}, {"alike": [["nothing"], [first, last]]})
    lines = [line.split() for line in listing(model)][4:]
    assert lines[1][0] == last
    assert lines[2][0] == first
    assert [line[-1] for line in lines[1:]] == ["1", "1", *"------"]


def test_a_kernel_is_of_one_group_and_a_group_of_several_kernels() -> None:
    """Whatever the provenance tells besides is not shown."""
    a, b, c = (kernel.name for kernel in TENSOR[:3])
    groups = [[a, b], [b, c], [c], [c, "gone"], [c, c]]
    told = described(model_of({"f16": TENSOR}, {"alike": groups}))
    assert [one["alike"] for one in told[:4]] == [[b], [a], [], []]


def thousand() -> dict[str, list[Kernel]]:
    """Return 1,000 kernels of three families, of more tiles and schedules than can be named."""
    sides = [str(8 * side) for side in range(1, 26)]
    tensor = [
        replace(Kernel.from_name(f"cutlass_tensorop_s16816gemm_f16_{m}x{n}_32x{stages}_tn_align8"),
                threads=32 * int(stages) * int(m), registers=int(m) + int(n))
        for m in sides[:20] for n in sides[:20] for stages in "23"
    ]  # fmt: skip
    hopper = [
        Kernel.from_name(
            f"cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_{m}x128x64_{c}x1x1_0_tnt_align8_"
            f"warpspecialized_of_kind_{m}_{c}"
        )
        for m in sides[:19]
        for c in range(1, 11)
    ]
    tiled = [Kernel.from_name(f"tiled_sgemm_{side}") for side in range(1, 11)]
    return {"f16": tensor + hopper, "f32": tiled}


def test_a_card_of_1000_kernels_is_short_and_the_listing_has_them_all() -> None:
    parts = thousand()
    names = [kernel.name for some in parts.values() for kernel in some]
    assert len(names) == 1000
    groups = [list(pair) for pair in zip(names[:400:2], names[1:400:2], strict=True)]
    model = model_of(parts, {**DOUBTS, "alike": groups}, {"n": 1, "mean_ape": 1})
    lines = page(model)
    assert len(lines) < 60
    assert max(map(len, lines)) <= WIDEST
    assert any("400 in 200 groups" in line for line in lines)
    assert not any(name in line for line in lines for name in names if "tiled" not in name)
    assert sorted(line.split()[0] for line in listing(model)[-1000:]) == sorted(names)


def test_the_card_of_every_built_in_model_fits_a_terminal(model: gp.Model) -> None:
    assert max(map(len, page(model))) <= WIDEST


def test_a_fact_that_some_kernels_lack_is_said_to_be_unknown() -> None:
    some = [replace(TENSOR[0], registers=None, stages=None), TENSOR[2]]
    lines = "\n".join(page(model_of({"f16": some}, {})))
    assert "stages       2 (1), not known (1)" in lines
    assert "registers    250 a thread, not known of 1" in lines


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "some.safetensors"
    write(SOME._artefact, path)
    return str(path)


def test_the_command_prints_the_card_and_on_request_its_kernels(
    capsys: pytest.CaptureFixture[str], path: str
) -> None:
    assert printed(capsys, "card", path) == f"{PAGE}\n"
    assert printed(capsys, "card", path, "--kernels").splitlines() == listing(SOME)


def test_json_keeps_everything(capsys: pytest.CaptureFixture[str], path: str) -> None:
    """The whole card, and with --kernels all facts of each kernel and those alike to it."""
    assert json.loads(printed(capsys, "card", path, "--json")) == json.loads(json.dumps(SOME.card))
    told = json.loads(printed(capsys, "card", path, "--json", "--kernels"))
    assert told == json.loads(json.dumps(described(SOME)))
    alike = [one.pop("alike") for one in told]
    assert tuple(map(kernel_from_json, told)) == SOME.kernels
    assert alike[4:6] == [[TENSOR[5].name], [TENSOR[4].name]]
    assert not any(alike[:4] + alike[6:])


names = st.sampled_from([kernel.name for kernel in kernels_artefact().kernels] + ["", "x; y"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e300, 1e300) | names
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner,
                                                                max_size=3),
    max_leaves=12,
)  # fmt: skip
errors = st.dictionaries(st.sampled_from(["n", "mean_ape", "p90_ape"]), values)
told = st.fixed_dictionaries(
    {}, optional={"alike": values | st.lists(st.lists(names)), "beyond_reach": values}
)


@example({"alike": True, "beyond_reach": 3}, {"mean_ape": True, "n": None}, [])
@example({"alike": [[{}, None], None, "x"], "beyond_reach": [[]]}, {"mean_ape": "x"}, {})
@given(told, values | errors, values | errors)
def test_whatever_a_card_holds_it_is_printed_as_plain_text(
    provenance: dict[str, Any], held_out: Any, own: Any
) -> None:
    """Provenance and accuracy are free-form: nothing of them is taken for granted."""
    artefact = kernels_artefact()
    accuracy = {**(own if isinstance(own, dict) else {}), "kernels_held_out": held_out}
    estimators = tuple(one._replace(accuracy=accuracy) for one in artefact.estimators)
    model = gp.Model(artefact._replace(provenance=provenance, estimators=estimators))
    lines = [*page(model), *listing(model)]
    assert all(line.isprintable() for line in lines)
    listed = [line.split()[0] for line in listing(model)]
    assert all(listed.count(kernel.name) == 1 for kernel in model.kernels)
    json.dumps(described(model))


def test_a_model_of_one_kernel_is_told_in_the_singular() -> None:
    model = gp.Model(small_artefact())
    assert page(model)[1:4] == [
        "1 kernel; --kernels lists them:",
        "  1 of library",
        "    names        library",
    ]
    assert listing(model) == ["1 kernel", "kernel", LIBRARY.name]


def test_a_source_or_note_of_any_length_is_wrapped(tmp_path: Path) -> None:
    notes = ("one word after another " * 12).strip()
    artefact = small_artefact()
    estimators = tuple(one._replace(notes=(notes,)) for one in artefact.estimators)
    write(artefact._replace(estimators=estimators), tmp_path / "a.safetensors")
    lines = page(gp.load(tmp_path / "a.safetensors"))
    assert max(map(len, lines)) <= WIDEST
    assert notes in " ".join(line.strip() for line in lines)


def test_many_sources_are_summed_up_by_licence_and_few_are_named() -> None:
    def sources(n: int) -> list[dict[str, Any]]:
        kinds = [("MIT", 3), ("Apache-2.0", 5)]
        return [
            {"source": f"{licence}_{number}", "licence": licence, "taken": rows}
            for licence, rows in kinds
            for number in range(n)
        ]

    few, many = (
        page(gp.Model(small_artefact()._replace(provenance={"runtime": sources(n)})))
        for n in (8, 9)
    )
    assert "runtime from MIT_7 (MIT), 3 rows" in few
    assert "runtime from 9 tables (MIT), 27 rows; --json names them" in many
    assert not any("MIT_7" in line for line in many)


def test_the_card_names_the_measured_ranges_and_the_number_of_pairs() -> None:
    artefact = small_artefact()
    (runtime,) = (one for one in artefact.estimators if one.target == "runtime")
    counted = runtime._replace(accuracy={"split": "pair", "n": 9, "pairs": 24})
    sheet = runtime._replace(dtype="fp8", remarks=("told by the data sheet",))
    lines = page(gp.Model(artefact._replace(estimators=(counted, sheet))))
    at = lines.index("measured (smallest to largest; pairs: how many different (n, k)):")
    assert lines[at + 2].split() == [
        *("bf16", "library", "nt", "tn"),
        *("16", "to", "65536") * 3,
        *("1", "to", "64", "24"),
    ]
    assert "fp8: told by the data sheet" in lines
    assert not any(line.split()[:1] == ["fp8"] for line in lines[at : at + 4])

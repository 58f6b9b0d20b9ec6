"""The kernel: what its name says of it, and which GEMMs it can run."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite import Gemm, InputError, Kernel
from gpperf_lite._gemm import DTYPES, LAYOUTS
from gpperf_lite._kernel import LIBRARIES, TRTLLM, Tile, operand_dtype, usual_name

# Name, dtype, layout, alignment, tile, stages, instruction.
CUTLASS2: list[tuple[str, str, str, int, Tile, int, Tile | None]] = [
    ("simt_sgemm_128x128_8x2_nn_align1", "f32", "nn", 1, Tile(128, 128, 8), 2, Tile(1, 1, 1)),
    ("simt_dgemm_64x128_8x2_nt_align1", "f64", "nt", 1, Tile(64, 128, 8), 2, Tile(1, 1, 1)),
    ("simt_hgemm_256x64_8x5_tt_align2", "f16", "tt", 2, Tile(256, 64, 8), 5, Tile(1, 1, 1)),
    ("simt_igemm_s8_128x64_32x2_tn_align4", "s8", "tn", 4, Tile(128, 64, 32), 2, Tile(1, 1, 1)),
    ("simt_s8_igemm_s8_128x64_32x2_tn_align4", "s8", "tn", 4, Tile(128, 64, 32), 2, Tile(1, 1, 1)),
    (
        "tensorop_s16816gemm_f16_256x128_32x3_nn_align8",
        *("f16", "nn", 8, Tile(256, 128, 32), 3, Tile(16, 8, 16)),
    ),
    (
        "tensorop_s16816gemm_bf16_64x64_64x10_tn_align2",
        *("bf16", "tn", 2, Tile(64, 64, 64), 10, Tile(16, 8, 16)),
    ),
    (
        "tensorop_f16_s16816gemm_f16_128x256_64x3_nt_align8",
        *("f16", "nt", 8, Tile(128, 256, 64), 3, Tile(16, 8, 16)),
    ),
    (
        "tensorop_bf16_s16816gemm_bf16_128x256_64x3_nt_align8",
        *("bf16", "nt", 8, Tile(128, 256, 64), 3, Tile(16, 8, 16)),
    ),
    (
        "tensorop_h16816gemm_256x128_32x3_nn_align8",
        *("f16", "nn", 8, Tile(256, 128, 32), 3, Tile(16, 8, 16)),
    ),
    (
        "tensorop_h16816gemm_f16_256x128_32x3_nn_align8",
        *("f16", "nn", 8, Tile(256, 128, 32), 3, Tile(16, 8, 16)),
    ),
    (
        "tensorop_s1688gemm_f16_256x128_32x2_nn_align8",
        *("f16", "nn", 8, Tile(256, 128, 32), 2, Tile(16, 8, 8)),
    ),
    (
        "tensorop_s1688tf32gemm_256x128_16x3_nn_align4",
        *("tf32", "nn", 4, Tile(256, 128, 16), 3, Tile(16, 8, 8)),
    ),
    (
        "tensorop_tf32_s1688gemm_tf32_256x128_16x3_nn_align4",
        *("tf32", "nn", 4, Tile(256, 128, 16), 3, Tile(16, 8, 8)),
    ),
    (
        "tensorop_s1688gemm_128x64_16x4_tt_align4",
        *("f32", "tt", 4, Tile(128, 64, 16), 4, Tile(16, 8, 8)),
    ),
    (
        "tensorop_i16832gemm_s8_256x128_64x3_tn_align16",
        *("s8", "tn", 16, Tile(256, 128, 64), 3, Tile(16, 8, 32)),
    ),
    (
        "tensorop_s8_i16832gemm_s8_256x128_64x3_tn_align16",
        *("s8", "tn", 16, Tile(256, 128, 64), 3, Tile(16, 8, 32)),
    ),
    (
        "tensorop_i8816gemm_u8_256x128_64x2_tn_align16",
        *("s8", "tn", 16, Tile(256, 128, 64), 2, Tile(8, 8, 16)),
    ),
    (
        "tensorop_d884gemm_128x128_16x3_nt_align1",
        *("f64", "nt", 1, Tile(128, 128, 16), 3, Tile(8, 8, 4)),
    ),
    (
        "tensorop_s16832gemm_e4m3_256x128_64x3_tn_align16",
        *("fp8", "tn", 16, Tile(256, 128, 64), 3, Tile(16, 8, 32)),
    ),
    (
        "tensorop_e4m3_s16832fastaccumgemm_e4m3_128x64_128x4_tn_align16",
        *("fp8", "tn", 16, Tile(128, 64, 128), 4, Tile(16, 8, 32)),
    ),
    (
        "tensorop_s16832gemm_e4m3_e5m2_256x128_64x3_tn_align16",
        *("fp8", "tn", 16, Tile(256, 128, 64), 3, Tile(16, 8, 32)),
    ),
    (
        "wmma_tensorop_s161616gemm_f16_32x128_32x2_nn_align8",
        *("f16", "nn", 8, Tile(32, 128, 32), 2, Tile(16, 16, 16)),
    ),
    (
        "wmma_tensorop_f16_s83216gemm_f16_32x128_32x1_nn_align8",
        *("f16", "nn", 8, Tile(32, 128, 32), 1, Tile(8, 32, 16)),
    ),
    # A shape of instruction that is not known is None, not one of the known.
    (
        "tensorop_s16864gemm_f16_256x128_32x3_nn_align8",
        *("f16", "nn", 8, Tile(256, 128, 32), 3, None),
    ),
]


@pytest.mark.parametrize("known", CUTLASS2, ids=lambda known: known[0])
def test_a_name_of_cutlass_2_is_understood(known: tuple[Any, ...]) -> None:
    name, dtype, layout, alignment, tile, stages, instruction = known
    kernel = Kernel.from_name(f"cutlass_{name}")
    assert kernel == Kernel(
        f"cutlass_{name}",
        "cutlass2",
        dtype,
        layout,
        alignment,
        tile,
        instruction=instruction,
        stages=stages,
    )


def test_a_name_of_cutlass_3_is_understood() -> None:
    name = (
        "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x256x64_2x1x1_0_tnt_align8"
        "_warpspecialized_pingpong_epi_tma"
    )
    assert Kernel.from_name(name) == Kernel(
        name,
        "cutlass3",
        "f16",
        "tn",
        8,
        Tile(128, 256, 64),
        cluster=Tile(2, 1, 1),
        schedule="warpspecialized_pingpong_epi_tma",
    )


def test_an_older_name_of_cutlass_3_is_understood() -> None:
    """With the shape of the instruction, four types of operands, and tf32 out of f32."""
    kernel = Kernel.from_name(
        "cutlass3x_sm90_tensorop_s64x128x8tf32gemm_f32_f32_f32_f32_128x128x32_1x2x1_4_nnn_align4"
    )
    assert (kernel.dtype, kernel.layout, kernel.alignment) == ("tf32", "nn", 4)
    assert (kernel.tile, kernel.cluster) == (Tile(128, 128, 32), Tile(1, 2, 1))
    assert (kernel.instruction, kernel.stages, kernel.schedule) == (Tile(64, 128, 8), 4, None)


@pytest.mark.parametrize(
    ("sms", "tile"), [("1sm", Tile(256, 128, 64)), ("2sm", Tile(128, 128, 64))]
)
def test_a_name_for_blackwell_tells_the_tile_of_both_blocks_that_multiply_together(
    sms: str, tile: Tile
) -> None:
    """Of GemmOperation.get_collective_tile_shape; 0x0x1 is a cluster that the launch chooses."""
    types = "bf16_bf16_f32_void_bf16"
    name = f"cutlass3x_sm100_tensorop_gemm_{types}_256x128x64_0x0x1_0_tnt_align8_stream_k_{sms}"
    kernel = Kernel.from_name(name)
    assert kernel.tile == tile
    assert kernel.cluster is None


@pytest.mark.parametrize(
    ("unit", "a", "b", "dtype"),
    [
        ("tensorop", "bf16", "bf16", "bf16"),
        ("tensorop", "e4m3", "e5m2", "fp8"),
        ("tensorop", "s8", "s8", "s8"),
        ("simt", "f32", "f32", "f32"),
        ("bstensorop", "ue4m3xe2m1", "ue4m3xe2m1", "nvfp4"),
    ],
)
def test_operand_types_of_cutlass_3_are_understood(unit: str, a: str, b: str, dtype: str) -> None:
    name = f"cutlass3x_sm100_{unit}_gemm_{a}_{b}_f32_bf16_bf16_256x128x64_4x4x1_0_tnt_align16_2sm"
    assert Kernel.from_name(name).dtype == dtype


@pytest.mark.parametrize(
    ("opcode", "dtype"), [("sgemm", "f32"), ("dgemm", "f64"), ("hgemm", "f16")]
)
@pytest.mark.parametrize("side", [1, 8, 16, 32])
def test_a_name_of_a_tiled_kernel_is_understood(opcode: str, dtype: str, side: int) -> None:
    kernel = Kernel.from_name(f"tiled_{opcode}_{side}")
    assert (kernel.family, kernel.dtype, kernel.layout) == ("tiled", dtype, None)
    assert (kernel.tile, kernel.threads, kernel.alignment) == (Tile(side, side, side), side**2, 1)


@pytest.mark.parametrize(
    ("name", "layout", "tile", "threads"),
    [
        ("maxwell_sgemm_128x64_nn", "tt", Tile(64, 128, 8), 128),
        ("volta_sgemm_32x128_tn", "tn", Tile(128, 32, 8), 256),
        ("ampere_sgemm_64x32_sliced1x4_nt", "nt", Tile(32, 64, 32), 256),
        ("ampere_sgemm_64x64_tt", "nn", Tile(64, 64, 8), 64),
        ("sgemm_32x32x32_NN_vec", "tt", Tile(32, 32, 32), 128),
        ("sgemm_128x128x8_TN", "tn", Tile(128, 128, 8), 256),
        # A block whose threads nobody has counted.
        ("volta_sgemm_64x32_nn", "tt", Tile(32, 64, 8), None),
    ],
)
def test_a_name_of_cublas_is_understood_for_a_row_major_result(
    name: str, layout: str, tile: Tile, threads: int | None
) -> None:
    assert Kernel.from_name(name) == Kernel(
        name,
        "cublas",
        "f32",
        layout,
        tile=tile,
        instruction=Tile(1, 1, 1),
        threads=threads,
    )


@given(
    generation=st.sampled_from(["maxwell", "volta", "ampere"]),
    m=st.integers(1, 512),
    n=st.integers(1, 512),
    slices=st.integers(1, 9),
    letters=st.sampled_from(LAYOUTS),
)
def test_a_kernel_of_cublas_swaps_its_operands(
    generation: str, m: int, n: int, slices: int, letters: str
) -> None:
    """C' = A' B' with all of them column-major is C = B A with all of them row-major."""
    sliced = f"_sliced1x{slices}" if slices > 1 else ""
    kernel = Kernel.from_name(f"{generation}_sgemm_{m}x{n}{sliced}_{letters}")
    assert kernel.tile == Tile(n, m, 8 * slices)
    a, b = letters
    is_column_major = {"A": a == "n", "B": b == "n"}
    assert kernel.layout == "".join("t" if is_column_major[name] else "n" for name in "BA")
    swapped = Kernel.from_name(f"{generation}_sgemm_{n}x{m}{sliced}_{kernel.layout}")
    assert (swapped.layout, swapped.tile) == (letters, Tile(m, n, 8 * slices))


def test_a_library_is_one_kernel_of_every_dtype() -> None:
    assert [library.name for library in LIBRARIES] == ["library", "vllm", "sglang", "trtllm"]
    for library in LIBRARIES:
        assert Kernel.from_name(library.name) is library
        assert library.family == "library"
        assert (library.dtype, library.layout, library.tile) == (None, None, None)


@pytest.mark.parametrize("name", ["tensorrt-llm", "tensorrt_llm", "trt-llm", "trt_llm"])
def test_a_back_end_is_found_by_any_usual_spelling(name: str) -> None:
    assert Kernel.from_name(name) is TRTLLM
    assert usual_name(name) == "trtllm"
    assert usual_name(GOOD2) == GOOD2


GOOD2 = "cutlass_simt_sgemm_128x128_8x2_nn_align1"
GOOD3 = "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x128x64_2x1x1_0_tnt_align8"

MALFORMED: list[Any] = [
    *[
        "",
        " ",
        "Library",
        "library ",
        "VLLM",
        "sg-lang",
        "cublas",
        "gemm",
        None,
        1,
        True,
        b"library",
        ["library"],
    ],
    *["tiled_sgemm_0", "tiled_sgemm_", "tiled_sgemm_016", "tiled_igemm_16", "tiled_sgemm_100"],
    *["tiled_sgemm_16 ", "tiled_sgemm_-1", "tiled_sgemm_1\u0666"],
    *[GOOD2.upper(), f" {GOOD2}", f"{GOOD2}\n", f"{GOOD2}_extra", GOOD2[:-1], GOOD2[8:]],
    GOOD2.replace("nn", "nx"),
    GOOD2.replace("nn", "n"),
    GOOD2.replace("128x128", "128"),
    GOOD2.replace("128x128", "0x128"),
    GOOD2.replace("128x128", "128x-1"),
    GOOD2.replace("128x128", "\u0661\u0662x128"),
    GOOD2.replace("8x2", "8x0"),
    GOOD2.replace("align1", "align0"),
    GOOD2.replace("align1", "align01"),
    GOOD2.replace("128x128", "9" * 5000 + "x128"),
    GOOD2.replace("128x128", "999999x128"),
    GOOD2.replace("simt", "magic"),
    GOOD2 + "_a" * 10_000,
    "cutlass_" + "s_" * 250,
    "cutlass_simt_" + "a" * 490,
    "sgemm_128x64_nn",
    "sgemm_32x32x32_Nn",
    "turing_sgemm_128x64_nn",
    "volta_sgemm_128_nn",
    "volta_sgemm_128x0_nn",
    "volta_sgemm_128x64_nx",
    "volta_sgemm_128x64_nn_vec4",
    "volta_sgemm_32x32_sliced_nn",
    "volta_sgemm_32x32_sliced1x0_nn",
    "volta_dgemm_128x64_nn",
    "volta_h884gemm_128x64_nn",
    "trt_volta_sgemm_128x64_nn",
    GOOD3.replace("128x128x64", "128x128"),
    GOOD3.replace("128x128x64", "128x0x64"),
    GOOD3.replace("_0_", "_"),
    GOOD3.replace("sm90", "90"),
    GOOD3.replace("tnt", "tn_t"),
    GOOD3.replace("_f16_f16_f32_f16_f16", "_f16_f16"),
    GOOD3 + "_",
    GOOD3 + "_\u00e9",
]


@pytest.mark.parametrize("name", MALFORMED, ids=lambda name: repr(name)[:60])
def test_a_malformed_name_is_refused_with_what_is_allowed(name: Any) -> None:
    with pytest.raises(InputError, match=r"^kernel name must be 'library', 'vllm', 'sglang',"):
        Kernel.from_name(name)
    with pytest.raises(
        ValueError, match="such as 'cutlass_simt_sgemm_.*or 'volta_sgemm_128x64_tn'"
    ):
        Kernel.from_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tiled_sgemm_33", "a side of at most 32"),
        ("tiled_sgemm_99", "a side of at most 32"),
        ("cutlass_simt_cgemm_128x128_8x2_nn_align1", "opcode must be one of d s h i"),
        ("cutlass_tensorop_z884gemm_64x64_8x3_nn_align1", "opcode must be one of d s h i"),
        ("cutlass_tensorop_sgemm_128x128_8x2_nn_align1", "shape of instruction"),
        ("cutlass_simt_s1688gemm_128x128_8x2_nn_align1", "shape of instruction"),
        ("cutlass_tensorop_s16864gemm_s4_128x128_128x3_tn_align32", "operand type must be one of"),
        ("cutlass_tensorop_s16816gemm_grouped_f16_128x128_32x3_tn_align8", "operand type must be"),
        ("cutlass_tensorop_s16816gemm_f16_s8_128x128_32x3_tn_align8", "A and B must be of one"),
        ("cutlass_tensorop_s1688bf16gemm_128x128_16x4_nn_align4", "f32 as tf32"),
        ("cutlass_tensorop_s1688f16gemm_128x128_16x4_nn_align4", "f32 as tf32"),
        ("cutlass_tensorop_s16832spgemm_f16_128x128_64x3_nn_align8", "multiplied as they are"),
        (GOOD3.replace("f16_f16_f32", "f16_s8_f32"), "A and B must be of one dtype"),
        (GOOD3.replace("f16_f16_f32", "u4_u4_f32"), "operand type must be one of"),
    ],
)
def test_a_name_of_a_kernel_that_is_not_known_is_refused_with_the_reason(
    name: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        Kernel.from_name(name)


pieces = st.sampled_from(
    re.findall(r"[a-z]+|\d+|_", f"{GOOD2}_{GOOD3}_tiled_library_x_h16816_bf16_s8_tf32_epi_0_volta")
)


@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=25).map("".join)))
def test_any_text_is_a_kernel_of_that_name_or_refused(name: str) -> None:
    try:
        kernel = Kernel.from_name(name)
    except InputError:
        return
    assert kernel.name == usual_name(name)
    assert kernel.dtype in {None, *DTYPES}


@given(st.integers(0, len(GOOD2)), st.integers(0, 3), st.text(max_size=3))
def test_a_name_with_a_slip_of_the_pen_is_read_or_refused(at: int, cut: int, put: str) -> None:
    name = GOOD2[:at] + put + GOOD2[at + cut :]
    try:
        kernel = Kernel.from_name(name)
    except InputError:
        return
    assert min(kernel.tile) >= 1
    assert kernel.alignment >= 1
    assert kernel.layout in LAYOUTS


@pytest.mark.parametrize(
    ("name", "dtype"), [("e4m3", "fp8"), ("e5m2", "fp8"), ("tf32", "tf32"), ("u8", "s8")]
)
def test_cutlass_s_operand_types_are_dtypes(name: str, dtype: str) -> None:
    assert operand_dtype(name) == dtype


@pytest.mark.parametrize("name", ["", "f8", "b1", "s4", "cf32", "F16", "x" * 9999])
def test_an_operand_type_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^operand type must be one of f64 f32") as error:
        operand_dtype(name)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"family": "cutlass4"}, "family"),
        ({"family": None}, "family"),
        ({"family": ["tiled"]}, "family"),
        ({"dtype": "float32"}, "dtype"),
        ({"dtype": ["f32"]}, "dtype"),
        ({"dtype": 1}, "dtype"),
        ({"layout": "nnn"}, "layout"),
        ({"layout": "NN"}, "layout"),
        ({"layout": {}}, "layout"),
        ({"name": 7}, "name"),
    ],
)
def test_a_kernel_of_unknown_family_dtype_or_layout_is_refused(
    changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(InputError, match=f"^{name} must be .*\\(got "):
        dataclasses.replace(Kernel.from_name(GOOD2), **changes)


def test_a_kernel_multiplies_its_own_dtype_only() -> None:
    kernel = Kernel.from_name(GOOD2)
    assert kernel.obstacle(Gemm(64, 64, 64, "f32", "nn")) is None
    assert kernel.obstacle(Gemm(64, 64, 64, "f16", "nn")) == "it multiplies f32, not f16"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kernel_takes_its_own_layout_only(layout: str) -> None:
    kernel = Kernel.from_name(GOOD2.replace("nn", layout))
    for other in LAYOUTS:
        obstacle = kernel.obstacle(Gemm(64, 64, 64, "f32", other))
        expected = None if other == layout else f"its layout is {layout}, not {other}"
        assert obstacle == expected


# Which extents of A and B are contiguous in memory: A is m x k, B is k x n; n is column-major.
CONTIGUOUS = {"nn": ("m", "k"), "nt": ("m", "n"), "tn": ("k", "k"), "tt": ("k", "n")}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("odd", ["m", "n", "k"])
def test_only_contiguous_extents_must_be_aligned(layout: str, odd: str) -> None:
    kernel = Kernel.from_name(f"cutlass_tensorop_s16816gemm_f16_256x128_32x3_{layout}_align8")
    sizes = {"m": 64, "n": 64, "k": 64, odd: 60}
    obstacle = kernel.obstacle(Gemm(**sizes, dtype="f16", layout=layout))
    if odd in CONTIGUOUS[layout]:
        assert obstacle == f"{odd}=60 is no multiple of its alignment 8"
    else:
        assert obstacle is None


@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from([1, 2, 4, 8, 16]),
    *[st.integers(1, 200)] * 3,
)
def test_a_gemm_can_run_where_its_contiguous_extents_are_multiples(
    layout: str, alignment: int, m: int, n: int, k: int
) -> None:
    kernel = Kernel("x", "cutlass2", "f16", layout, alignment)
    sizes = {"m": m, "n": n, "k": k}
    fits = all(sizes[name] % alignment == 0 for name in CONTIGUOUS[layout])
    assert (kernel.obstacle(Gemm(m, n, k, "f16", layout)) is None) == fits


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_library_runs_everything(library: Kernel) -> None:
    for dtype in DTYPES:
        for layout in LAYOUTS:
            assert library.obstacle(Gemm(1, 3, 7, dtype, layout)) is None


def test_a_kernel_is_hashable_picklable_and_immutable() -> None:
    kernel = Kernel.from_name(GOOD3)
    for twin in (pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)):
        assert twin == kernel
        assert hash(twin) == hash(kernel)
    with pytest.raises(AttributeError):
        kernel.name = "other"  # type: ignore[misc]

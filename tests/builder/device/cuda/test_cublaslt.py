"""cuBLASLt as it is asked: on a stand-in that multiplies in host memory, and on the real library.

The stand-in (`cublaslt.cpp` of the emulated driver) is compiled against the real header and checks
what it is given by the rules of the documentation. The real library makes descriptors without a
GPU, so every attribute that is set is held against it, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.emulated_driver.emulation import build_cublaslt, headers

from builder.device import DeviceError
from builder.device.cuda.cublaslt import CublasLt, load_cublaslt
from builder.device.cuda.matmul import Matmul
from gpperf_lite import Gemm

LAYOUTS = ("nn", "nt", "tn", "tt")
_NUMPY = {"f64": np.float64, "f32": np.float32, "tf32": np.float32, "f16": np.float16}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = ctypes.CDLL(str(build_cublaslt(tmp_path_factory.mktemp("cublaslt"))))
    library.emulated_lt_alive.restype = ctypes.c_long
    return library


@pytest.fixture
def library(stand_in: ctypes.CDLL) -> Iterator[CublasLt]:
    header = (headers() / "cublasLt.h").read_text()
    with CublasLt(stand_in, header) as library:
        yield library
    stand_in.emulated_lt_fail(b"", 0)
    assert stand_in.emulated_lt_alive() == 0


def stored(matrix: np.ndarray, order: str) -> np.ndarray:
    """Return matrices (batch, rows, columns) as they lie in memory: n by columns, t by rows."""
    turned = matrix if order == "t" else matrix.transpose(0, 2, 1)
    return np.ascontiguousarray(turned)


def product(library: CublasLt, gemm: Gemm, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the D that the library leaves, and the right one; both (batch, m, n)."""
    dice, kind = np.random.default_rng(seed), _NUMPY[gemm.dtype]
    a = dice.normal(size=(gemm.batch, gemm.m, gemm.k)).astype(kind)
    b = dice.normal(size=(gemm.batch, gemm.k, gemm.n)).astype(kind)
    c = dice.normal(size=(gemm.batch, gemm.m, gemm.n)).astype(kind)
    d, workspace = np.full_like(c, np.nan), np.zeros(4096, np.uint8)
    in_memory = [stored(a, gemm.layout[0]), stored(b, gemm.layout[1]), c, d]
    with Matmul(library, gemm) as matmul:
        a_at, b_at, c_at, d_at = (array.ctypes.data for array in in_memory)
        matmul.queue((a_at, b_at, c_at, d_at), workspace.ctypes.data, 0)
    wanted = gemm.alpha * (a.astype(float) @ b.astype(float)) + gemm.beta * c.astype(float)
    return d.astype(float), wanted


@settings(max_examples=60)
@given(
    m=st.integers(1, 40),
    n=st.integers(1, 40),
    k=st.integers(1, 40),
    batch=st.integers(1, 3),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(["f64", "f32", "tf32", "f16"]),
    beta=st.sampled_from([0.0, -1.5]),
)
def test_row_major_results_come_of_any_layout_size_and_batch(
    stand_in: ctypes.CDLL,
    m: int,
    n: int,
    k: int,
    batch: int,
    layout: str,
    dtype: str,
    beta: float,
) -> None:
    gemm = Gemm(m, n, k, dtype, layout, batch=batch, alpha=0.5, beta=beta)
    with CublasLt(stand_in, "") as library:
        got, wanted = product(library, gemm)
    np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-3 * np.abs(wanted).max())


def test_the_algorithm_is_told_with_m_before_n(library: CublasLt) -> None:
    with Matmul(library, Gemm(64, 64, 64, "f32", "tn")) as matmul:
        algorithm = matmul.algorithm
    # Its tile is 128 x 256, its cluster 2 x 1 x 1, of a result that lies transposed.
    assert algorithm["tile"] == [256, 128]
    assert algorithm["cluster"] == [1, 2, 1]
    assert algorithm["stages"] == "64x3"
    assert (algorithm["id"], algorithm["split_k"], algorithm["swizzle"]) == (66, 1, 1)
    assert (algorithm["workspace_bytes"], algorithm["waves"]) == (4096, 1.5)
    assert algorithm["version"] == 130000


def test_fp8_says_that_products_are_not_added_up_fast(library: CublasLt) -> None:
    with Matmul(library, Gemm(64, 64, 64, "fp8", "tn")) as matmul:
        assert matmul.algorithm["fast_accumulation"] is False
    with Matmul(library, Gemm(64, 64, 64, "bf16", "tn")) as matmul:
        assert "fast_accumulation" not in matmul.algorithm


def test_without_the_header_numbers_are_told_and_no_names(stand_in: ctypes.CDLL) -> None:
    with CublasLt(stand_in, "") as library, Matmul(library, Gemm(64, 64, 64, "f32")) as matmul:
        assert "tile" not in matmul.algorithm
        assert matmul.algorithm["tile_id"] == 23


def test_names_of_numbers_are_those_of_the_header(library: CublasLt) -> None:
    assert library.name_of("MATMUL_TILE", 20) == "128x128"
    assert library.name_of("MATMUL_STAGES", 35) == "64xAUTO"
    assert library.name_of("CLUSTER_SHAPE", 0) == "AUTO"
    assert library.name_of("MATMUL_TILE", 10**6) is None


@pytest.mark.parametrize("layout", ["nn", "nt", "tt"])
def test_fp8_of_another_layout_than_tn_is_refused(library: CublasLt, layout: str) -> None:
    with pytest.raises(DeviceError, match=f"tn.*{layout}") as caught:
        Matmul(library, Gemm(64, 64, 64, "fp8", layout))
    assert caught.value.code == 0


@pytest.mark.parametrize("dtype", ["fp8_block", "nvfp4"])
def test_a_dtype_that_the_library_is_not_asked_for_is_refused(
    library: CublasLt, dtype: str
) -> None:
    with pytest.raises(DeviceError, match=dtype):
        Matmul(library, Gemm(64, 64, 64, dtype))


@pytest.mark.parametrize(
    "gemm",
    [
        Gemm(64, 64, 64, "s8", "nn"),
        Gemm(64, 64, 66, "s8", "tn"),
        Gemm(64, 60, 64, "fp8", "tn"),
    ],
    ids=["layout", "alignment", "fp8's alignment"],
)
def test_what_the_library_has_no_kernel_for_is_one_plain_sentence(
    library: CublasLt, gemm: Gemm
) -> None:
    with pytest.raises(DeviceError, match="has no kernel for") as caught:
        Matmul(library, gemm)
    assert f"{gemm.m}x{gemm.n}x{gemm.k}" in str(caught.value)


def test_s8_takes_whole_numbers_alone_for_alpha_and_beta(library: CublasLt) -> None:
    Matmul(library, Gemm(64, 64, 64, "s8", "tn", alpha=3.0, beta=-1.0)).close()
    with pytest.raises(DeviceError, match=r"alpha.*0\.5"):
        Matmul(library, Gemm(64, 64, 64, "s8", "tn", alpha=0.5))
    with pytest.raises(DeviceError, match="beta"):
        Matmul(library, Gemm(64, 64, 64, "s8", "tn", beta=2.0**31))


CALLS = [
    "cublasLtCreate",
    "cublasLtMatmulDescCreate",
    "cublasLtMatmulDescSetAttribute",
    "cublasLtMatrixLayoutCreate",
    "cublasLtMatrixLayoutSetAttribute",
    "cublasLtMatmulPreferenceCreate",
    "cublasLtMatmulPreferenceSetAttribute",
    "cublasLtMatmulAlgoGetHeuristic",
    "cublasLtMatmul",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_is_named_and_nothing_leaks(
    stand_in: ctypes.CDLL, library: CublasLt, call: str
) -> None:
    """The fixture counts what is alive in the end."""
    stand_in.emulated_lt_fail(call.encode(), 14)
    with pytest.raises(DeviceError, match=call) as caught:
        product(library, Gemm(8, 8, 8, "f32", batch=2))
    assert (caught.value.code, caught.value.is_sticky) == (0, False)


def test_an_attribute_that_cannot_be_read_is_left_out(
    stand_in: ctypes.CDLL, library: CublasLt
) -> None:
    stand_in.emulated_lt_fail(b"cublasLtMatmulAlgoConfigGetAttribute", 7)
    with Matmul(library, Gemm(8, 8, 8, "f32")) as matmul:
        assert set(matmul.algorithm) == {"library", "version", "workspace_bytes", "waves"}


def test_closing_twice_is_harmless(library: CublasLt) -> None:
    matmul = Matmul(library, Gemm(8, 8, 8, "f32"))
    matmul.close()
    matmul.close()


@pytest.mark.parametrize("dtype", ["f64", "f32", "tf32", "f16", "bf16", "s8", "fp8"])
def test_the_real_library_takes_every_description(dtype: str) -> None:
    """Without a GPU it then ends at the handle: whatever was refused before would be named."""
    with load_cublaslt() as library:
        assert library.name_of("MATMUL_TILE", 20) == "128x128"
        try:
            Matmul(library, Gemm(64, 64, 64, dtype, "tn", batch=2)).close()
        except DeviceError as error:
            ended_at = error.call
        else:
            ended_at = "cublasLtCreate"
    assert ended_at == "cublasLtCreate"

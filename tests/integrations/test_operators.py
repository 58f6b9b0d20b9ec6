"""Operators: what of their arguments makes the GEMM that a model is asked about."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

from torch import nn  # noqa: E402

from gpperf_lite.integrations.torch import Estimate, Site, estimate  # noqa: E402

HALF = torch.bfloat16
FP8 = torch.float8_e4m3fn


class Does(nn.Module):
    """A module that does one thing, and has no parameters."""

    def __init__(self, does: Callable[..., Any]) -> None:
        super().__init__()
        self.does = does

    def forward(self, *inputs: Any) -> Any:
        return self.does(*inputs)


def asked(does: Callable[..., Any], *inputs: Any, **options: Any) -> Estimate:
    return estimate(Does(does), *inputs, **options)


def only(does: Callable[..., Any], *inputs: Any, **options: Any) -> Site:
    (site,) = asked(does, *inputs, **options).sites
    return site


def empty(*shape: int, dtype: Any = HALF) -> Any:
    return torch.empty(shape, dtype=dtype, device="meta")


def test_a_bias_reads_no_c_and_what_is_added_as_a_matrix_is_c() -> None:
    a, b = empty(64, 128), empty(128, 256)
    with_bias = only(torch.addmm, empty(256), a, b)
    assert with_bias.beta == 0.0
    assert "the bias is not counted" in with_bias.notes
    assert only(torch.addmm, empty(64, 256), a, b).beta == 1.0
    scaled = only(lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2), empty(64, 256), a, b)
    assert scaled.beta == 0.5
    assert "beta was 0 in all that was measured" in scaled.notes
    batched = only(torch.baddbmm, empty(3, 4, 8), empty(3, 4, 16), empty(3, 16, 8))
    assert (batched.operator, batched.batch, batched.beta) == ("aten.baddbmm", 3, 1.0)


def test_batches_are_of_the_batched_operators_alone() -> None:
    site = only(torch.matmul, empty(2, 5, 16, 32), empty(2, 5, 32, 8))
    assert (site.operator, site.batch, site.m, site.n, site.k) == ("aten.bmm", 10, 16, 8, 32)
    assert site.flops == 2 * 10 * 16 * 8 * 32
    assert not site.in_domain
    einsum = only(lambda q, k: torch.einsum("bhsd,bhtd->bhst", q, k), *[empty(2, 4, 8, 16)] * 2)
    assert (einsum.operator, einsum.layout) == ("aten.bmm", "tn")


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (torch.bfloat16, "bf16"),
        (torch.float16, "f16"),
        (torch.float32, "f32"),
        (torch.float64, "f64"),
        (torch.int64, "int64"),
        (torch.complex64, "complex64"),
    ],
)
def test_dtypes_have_the_names_of_this_package_or_a_reason(dtype: Any, name: str) -> None:
    site = only(torch.mm, empty(64, 128, dtype=dtype), empty(128, 64, dtype=dtype))
    assert site.dtype == name
    assert bool(site.reason) == (name not in ("bf16", "f16"))
    if name in ("int64", "complex64"):
        assert site.reason == f"gpperf_lite has no dtype for {name}"


def test_f32_is_tf32_where_torch_may_round_it() -> None:
    before = torch.get_float32_matmul_precision()
    operands = [empty(64, 64, dtype=torch.float32)] * 2
    try:
        torch.set_float32_matmul_precision("high")
        assert only(torch.mm, *operands).dtype == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)
    assert only(torch.mm, *operands).dtype == "f32"


def scaled(scale_a: Any, scale_b: Any, **options: Any) -> Site:
    def does(a: Any, b: Any, one: Any, other: Any) -> Any:
        return torch._scaled_mm(a, b.t(), one, other, out_dtype=HALF, **options)

    operands = (empty(64, 256, dtype=FP8), empty(512, 256, dtype=FP8))
    return only(does, *operands, scale_a, scale_b)


def test_scales_decide_between_the_dtypes_of_fp8() -> None:
    one = empty(dtype=torch.float32)
    by_tensor = scaled(one, one)
    assert (by_tensor.dtype, by_tensor.layout, by_tensor.operator) == (
        "fp8",
        "tn",
        "aten._scaled_mm",
    )
    assert by_tensor.runtime_s is not None
    assert by_tensor.timed == "quantise+gemm"
    assert any("quantising of A as well" in note for note in by_tensor.notes)
    by_row = scaled(empty(64, 1, dtype=torch.float32), empty(1, 512, dtype=torch.float32))
    assert by_row.dtype == "fp8"
    blocks = (empty(64, 2, dtype=torch.float32), empty(2, 4, dtype=torch.float32))
    by_block = scaled(*blocks)
    assert by_block.dtype == "fp8_block"
    assert by_block.runtime_s is not None
    with_bias = only(
        lambda a, b, s, bias: torch._scaled_mm(a, b.t(), s, s, bias=bias, out_dtype=HALF),
        empty(64, 256, dtype=FP8), empty(512, 256, dtype=FP8), one, empty(512),
    )  # fmt: skip
    assert "the bias is not counted" in with_bias.notes


def test_two_elements_to_a_byte_are_twice_as_many() -> None:
    """Of nvfp4, torch knows bytes: 128 of them are 256 elements, with a scale for each 16."""
    packed = [empty(rows, 128, dtype=torch.uint8) for rows in (128, 512)]
    scales = [empty(rows * 16, dtype=FP8) for rows in (128, 512)]

    def does(a: Any, b: Any, one: Any, other: Any) -> Any:
        a, b = (x.view(torch.float4_e2m1fn_x2) for x in (a, b))
        return torch._scaled_mm(a, b.t(), one, other, out_dtype=HALF)

    site = only(does, *packed, *scales, gpu="b200")
    assert (site.dtype, site.m, site.n, site.k) == ("nvfp4", 128, 512, 256)
    assert site.flops == 2 * 128 * 512 * 256
    assert site.runtime_s is not None


def test_scales_that_no_dtype_has_are_a_reason() -> None:
    site = scaled(
        empty(128 * 8, dtype=torch.float8_e8m0fnu), empty(512 * 8, dtype=torch.float8_e8m0fnu)
    )
    assert site.dtype == "float8_e4m3fn"
    assert "no dtype for float8_e4m3fn with 1024 scales of float8_e8m0fnu" in site.reason
    assert site.runtime_s is None
    assert site.flops == 2 * 64 * 512 * 256


def test_an_output_of_another_type_was_not_measured() -> None:
    a, b = empty(64, 128), empty(128, 64)
    usual = only(lambda a, b: torch.mm(a, b.t()), a, a)
    other = only(lambda a, b: torch.mm(a, b.t(), out_dtype=torch.float32), a, a)
    assert usual.in_domain
    assert not other.in_domain
    assert "its output is float32, which was not measured with bf16" in other.notes
    whole = only(torch._int_mm, a.to(torch.int8), b.to(torch.int8))
    assert whole.dtype == "s8"
    assert not any("its output" in note for note in whole.notes)


def test_operands_that_no_layout_describes_are_copied_and_doubted() -> None:
    gaps = only(lambda a, b: torch.mm(a[:, ::2], b.t()), empty(64, 256), empty(64, 128))
    assert gaps.layout == "tn"
    assert not gaps.in_domain
    assert "strides of A fit no layout: a copy is made first, not counted" in gaps.notes
    padded = only(lambda a, b: torch.mm(a[:, :128], b.t()), empty(64, 256), empty(64, 128))
    assert padded.in_domain


@given(st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=30)
def test_explicit_transposes_have_their_letters(
    a_is_stored_k_by_m: bool, b_is_stored_n_by_k: bool, a_padding: int, b_padding: int
) -> None:
    """Whatever the leading dimension."""
    m, n, k = 24, 40, 56

    def stored(rows: int, columns: int, padding: int) -> Any:
        return empty(rows, columns + padding)[:, :columns]

    a = stored(k, m, a_padding).t() if a_is_stored_k_by_m else stored(m, k, a_padding)
    b = stored(n, k, b_padding).t() if b_is_stored_n_by_k else stored(k, n, b_padding)
    site = only(torch.mm, a, b)
    letters = ("n" if a_is_stored_k_by_m else "t") + ("n" if b_is_stored_n_by_k else "t")
    assert (site.layout, site.m, site.n, site.k) == (letters, m, n, k)
    assert not any("copy" in note for note in site.notes)


def test_a_column_major_output_is_the_transposed_product() -> None:
    def does(a: Any, b: Any) -> Any:
        return torch.mm(a, b.t(), out=a.new_empty(96, 64).t())

    site = only(does, empty(64, 128), empty(96, 128))
    assert (site.m, site.n, site.k, site.layout) == (96, 64, 128, "tn")


def test_other_ways_to_multiply_are_counted_or_covered() -> None:
    gelu = only(
        lambda c, a, b: torch._addmm_activation(c, a, b, use_gelu=True),
        empty(256), empty(64, 128), empty(128, 256),
    )  # fmt: skip
    assert (gelu.operator, gelu.beta) == ("aten._addmm_activation", 0.0)
    matrix, row = empty(64, 128), empty(128)
    flops = {
        one.operator: one.flops
        for does, inputs in (
            (torch.mv, (matrix, row)),
            (torch.dot, (row, row)),
            (torch.addmv, (empty(64), matrix, row)),
            (torch.addbmm, (empty(4, 6), empty(3, 4, 5), empty(3, 5, 6))),
            (torch._grouped_mm, (empty(3, 64, 128), empty(3, 128, 32))),
        )
        for one in asked(does, *inputs).uncounted
    }
    assert flops == {
        "aten.mv": 2 * 64 * 128,
        "aten.dot": 2 * 128,
        "aten.addmv": 2 * 64 * 128,
        "aten.addbmm": 2 * 3 * 4 * 5 * 6,
        "aten._grouped_mm": 2 * 3 * 64 * 128 * 32,
    }


def test_inference_mode_hides_no_multiplication() -> None:
    """There, linear and matmul come as they are, and are taken apart."""

    def does(a: Any, b: Any) -> Any:
        with torch.inference_mode():
            return nn.functional.linear(a, b)

    found = asked(does, empty(2, 64, 128), empty(256, 128))
    assert [one.operator for one in found.sites] == ["aten.mm"]
    assert found.uncounted == ()


def test_tensors_that_wrap_others_hide_no_multiplication() -> None:
    from torch.testing._internal.two_tensor import TwoTensor

    module = nn.Linear(128, 64, bias=False, dtype=HALF)
    weight = module.weight.detach()
    module.weight = nn.Parameter(TwoTensor(weight, weight.clone()))
    (site,) = estimate(module, torch.zeros(32, 128, dtype=HALF)).sites
    assert site.launches == 2


def test_a_multiplication_of_nothing_costs_nothing_and_says_so() -> None:
    site = only(torch.mm, empty(0, 128), empty(128, 64))
    assert site.flops == 0
    assert site.reason == "it has no elements"


def test_what_is_larger_than_a_gemm_can_be_is_a_reason() -> None:
    site = only(lambda a: torch.mm(a, a[:1].t()), empty(2**31, 1))
    assert "must be an integer from 1 to" in site.reason


def attention(q: Any, k: Any, v: Any, **options: Any) -> Estimate:
    return asked(
        lambda *all3: nn.functional.scaled_dot_product_attention(*all3, **options), q, k, v
    )


def test_attention_has_the_flops_of_both_products() -> None:
    q, kv = empty(2, 8, 16, 32), empty(2, 8, 24, 32)
    (one,) = attention(q, kv, kv).uncounted
    assert one.flops == 2 * (2 * 2 * 8 * 16 * 24 * 32)
    shared = empty(2, 2, 24, 32)
    (grouped,) = attention(q, shared, shared, enable_gqa=True).uncounted
    assert grouped.flops == one.flops


def test_attention_that_no_fused_kernel_takes_is_taken_apart() -> None:
    double = empty(2, 8, 16, 32, dtype=torch.float64)
    rows = empty(8, 16, 32)
    for operands in ((double,) * 3, (rows,) * 3):
        assert {one.operator for one in attention(*operands).sites} == {"aten.bmm"}


def test_attention_imported_by_its_name_is_one_kernel_too() -> None:
    from torch.nn.functional import scaled_dot_product_attention

    q = empty(2, 8, 16, 32)
    (one,) = asked(lambda q: scaled_dot_product_attention(q, q, q, dropout_p=0.1), q).uncounted
    assert one.operator == "aten.scaled_dot_product_attention"


def test_attention_gives_each_operand_its_gradient() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(32, 32) for _ in range(3))
            self.mask = nn.Parameter(torch.zeros(16, 16))

        def forward(self, x: Any) -> Any:
            heads = [one(x).view(2, 16, 4, 8).transpose(1, 2) for one in (self.q, self.k, self.v)]
            return nn.functional.scaled_dot_product_attention(*heads, attn_mask=self.mask)

    found = estimate(Attends(), torch.zeros(2, 16, 32), backward=True)
    assert {(one.module, one.phase) for one in found.sites} == {
        (name, phase) for name in "qkv" for phase in ("forward", "backward")
    }
    by_phase = {one.phase: one.flops for one in found.uncounted if "attention" in one.operator}
    assert by_phase["backward"] == 2.5 * (by_phase["forward"] or 0)


def test_attention_of_other_threads_is_their_own() -> None:
    """Also while an estimate is under way in this one; and estimates may run in many threads."""
    q = torch.randn(1, 2, 3, 4)
    truth = nn.functional.scaled_dot_product_attention(q, q, q)
    results = []

    def elsewhere() -> None:
        results.append(nn.functional.scaled_dot_product_attention(q, q, q))

    def does(x: Any) -> Any:
        other = Thread(target=elsewhere)
        other.start()
        other.join()
        return nn.functional.scaled_dot_product_attention(x, x, x)

    found = asked(does, empty(2, 8, 16, 32))
    assert [one.calls for one in found.uncounted] == [1]
    assert torch.equal(results[0], truth)
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: attention(*[empty(2, 8, 16, 32)] * 3), range(12)))
    assert all(one == many[0] for one in many)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.equal(nn.functional.scaled_dot_product_attention(q, q, q), truth)


def test_flexible_attention_is_an_operator_with_flops() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    x = torch.zeros(1, 2, 128, 16)
    flops = {
        one.operator: one.flops for one in asked(lambda x: flex_attention(x, x, x), x).uncounted
    }
    assert flops["flex_attention"] == 2 * (2 * 2 * 128 * 128 * 16)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_functions_that_values_choose_are_refused_as_nothing_in_them_is_seen() -> None:
    def does(x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x, (x,))

    with pytest.raises(gp.InputError, match="got cond, whose functions cannot be seen"):
        asked(does, empty(4, 4))

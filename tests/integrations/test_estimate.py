"""Estimates of modules: every multiplication that torch's own counter sees, and where it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from stand_ins.artefacts import kernels_artefact
from stand_ins.built_in import built_in

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

from stand_ins.networks import Llama, Scores, VisionTransformer, rows  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from gpperf_lite.integrations.torch import Estimate, estimate  # noqa: E402

aten = torch.ops.aten
PRODUCTS = (aten.mm, aten.addmm, aten.bmm, aten.baddbmm)


def transformer(dropout: float) -> nn.Module:
    return nn.Transformer(64, 4, 2, 2, 128, dropout=dropout, batch_first=True)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, tuple[Any, ...]]]] = {
    "Llama": lambda: (Llama(), (torch.randint(640, (2, 24)),)),
    "a vision transformer": lambda: (VisionTransformer(), (rows(2, 3, 32, 32),)),
    "torch.nn.Transformer": lambda: (transformer(0.0), (rows(2, 12, 64), rows(2, 8, 64))),
    "the same with dropout": lambda: (transformer(0.1), (rows(2, 12, 64), rows(2, 8, 64))),
    "attention written out": lambda: (
        Scores(),
        tuple(rows(6, 10, 16, requires_grad=True) for _ in range(3)),
    ),
    "attention with its weights": lambda: (
        Weights(),
        (rows(2, 12, 64),),
    ),
    "recurrent cells": lambda: (nn.GRUCell(32, 48), (rows(5, 32),)),
    "a bilinear map": lambda: (nn.Bilinear(8, 9, 10), (rows(4, 8), rows(4, 9))),
    "one row": lambda: (nn.Linear(16, 8), (rows(16),)),
}


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, need_weights=True)


def counted(module: nn.Module, inputs: tuple[Any, ...], *, backward: bool) -> Counter[str]:
    """Return FLOPs by operator as torch counts them, of a module that really runs."""
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        output = module(*inputs)
        if backward:
            outputs = output if isinstance(output, tuple) else (output,)
            torch.autograd.backward(outputs, [torch.ones_like(one) for one in outputs])
    return Counter(
        {str(name): n for name, n in counter.get_flop_counts().get("Global", {}).items()}
    )


def found(estimated: Estimate) -> Counter[str]:
    flops: Counter[str] = Counter()
    for site in estimated.sites:
        flops[site.operator] += site.flops
    return flops


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_flops_are_those_of_torch_s_own_counter_to_the_last_one(name: str, backward: bool) -> None:
    """Of each operator; with attention taken apart as the torch of this machine does."""
    module, inputs = NETWORKS[name]()
    estimated = estimate(module, *inputs, backward=backward, fused_attention=False)
    truth = counted(module, inputs, backward=backward)
    products = {str(one) for one in PRODUCTS}
    assert found(estimated) == {one: n for one, n in truth.items() if one in products}
    for one in estimated.uncounted:
        if one.operator in truth:
            assert one.flops is not None
    others = sum(n for one, n in truth.items() if one not in products)
    known = {one.operator: one.flops or 0 for one in estimated.uncounted}
    assert sum(n for one, n in known.items() if one in truth) <= others <= sum(known.values())
    assert sum(n for n in truth.values()) or name == "a bilinear map"


@pytest.mark.parametrize("name", ["Llama", "a vision transformer", "torch.nn.Transformer"])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_fused_attention_changes_no_multiplication_around_it(name: str, backward: bool) -> None:
    """Where this machine has one kernel for it, too; it is in the coverage with its FLOPs."""
    module, inputs = NETWORKS[name]()
    apart = estimate(module, *inputs, backward=backward, fused_attention=False)
    fused = estimate(module, *inputs, backward=backward)
    assert fused.sites == apart.sites
    attention = {one.phase: one.flops for one in fused.uncounted if "dot_product" in one.operator}
    assert attention == {
        one.phase: one.flops for one in apart.uncounted if "dot_product" in one.operator
    }
    assert set(attention) == ({"forward", "backward"} if backward else {"forward"})
    assert None not in attention.values()


def test_attention_that_is_taken_apart_here_is_one_kernel_on_a_gpu() -> None:
    """With dropout, the products of attention are written out on this machine, and no kernel's."""
    module, inputs = NETWORKS["the same with dropout"]()
    apart = estimate(module, *inputs, fused_attention=False)
    fused = estimate(module, *inputs)
    (attention,) = (one for one in fused.uncounted if "dot_product" in one.operator)
    assert apart.flops == fused.flops + (attention.flops or 0)
    assert not any("bmm" in site.operator for site in fused.sites)
    assert any("bmm" in site.operator for site in apart.sites)


def test_convolution_is_in_the_coverage_with_the_flops_of_torch_s_counter() -> None:
    module, inputs = NETWORKS["a vision transformer"]()
    estimated = estimate(module, *inputs, backward=True)
    truth = counted(module, inputs, backward=True)
    known = {one.operator: one.flops for one in estimated.uncounted}
    for name in ("aten.convolution", "aten.convolution_backward"):
        assert known[name] == truth[name] > 0
    assert estimated.uncounted_flops >= truth["aten.convolution"]
    total = estimated.flops + estimated.uncounted_flops
    assert estimated.coverage == estimated.predicted_flops / total


def test_each_site_tells_its_module_and_its_phase() -> None:
    estimated = estimate(Llama(), torch.zeros(2, 24, dtype=torch.long), backward=True)
    of_one = [one for one in estimated.sites if one.module == "layers.1.attention.o"]
    assert [(one.phase, one.m, one.n, one.k, one.layout) for one in of_one] == [
        ("forward", 48, 128, 128, "tn"),
        ("backward", 128, 128, 48, "nt"),  # of the weight
        ("backward", 48, 128, 128, "tt"),  # of the input
    ]
    names = {name for name, one in Llama().named_modules() if isinstance(one, nn.Linear)}
    assert {one.module for one in estimated.sites} == names
    assert {one.launches for one in estimated.sites} == {1}
    assert estimated.sites[estimated.order[0]].module == "layers.0.attention.q"


def test_a_module_that_runs_often_is_one_site() -> None:
    class Often(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(64, 64, dtype=torch.bfloat16)

        def forward(self, x: Any) -> Any:
            for _ in range(5):
                x = self.step(x)
            return x

    (site,) = (found := estimate(Often(), torch.zeros(8, 64, dtype=torch.bfloat16))).sites
    once = built_in("h200_sxm").predict(gp.Gemm(8, 64, 64, "bf16"))
    assert site.launches == 5
    assert site.runtime_s == 5 * once.runtime_s == found.runtime_s
    assert site.energy_j == pytest.approx(5 * (once.energy_j or 0.0))
    assert site.flops == 5 * 2 * 8 * 64 * 64
    assert found.order == (0,) * 5


@pytest.mark.parametrize("is_reentrant", [False, True])
def test_a_checkpoint_s_second_forward_is_counted_in_the_backward(is_reentrant: bool) -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = Llama().layers[0]

        def forward(self, x: Any) -> Any:
            return checkpoint(self.inside, x, use_reentrant=is_reentrant)

    estimated = estimate(Kept(), rows(2, 8, 128, requires_grad=True), backward=True)
    phases = Counter(one.phase for one in estimated.sites if one.module == "inside.up")
    assert phases == {"forward": 1, "backward": 3}
    attention = [one for one in estimated.uncounted if one.operator.endswith("attention")]
    assert {one.phase for one in attention} == {"forward", "backward"}


def linear(dtype: Any = None, **options: Any) -> nn.Module:
    return nn.Linear(256, 512, dtype=dtype or torch.bfloat16, **options)


def test_what_was_never_measured_is_counted_as_such() -> None:
    """Layouts of the backward are out of the domain of the H200's model, and f32 unknown to it."""
    x = torch.zeros(64, 256, dtype=torch.bfloat16, requires_grad=True)
    estimated = estimate(linear(), x, backward=True)
    by_layout = {one.layout: one for one in estimated.sites}
    assert {name: one.in_domain for name, one in by_layout.items()} == {
        "tn": True,
        "nt": False,
        "tt": False,
    }
    assert "layout nt was not measured, only tn" in by_layout["nt"].notes
    assert estimated.in_domain_flops == estimated.flops // 3
    assert estimated.predicted_flops == estimated.flops

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide = linear(), linear(torch.float32)

        def forward(self, x: Any) -> Any:
            return self.narrow(x), self.wide(x.float())

    estimated = estimate(Both(), x)
    known, unknown = estimated.sites
    assert unknown.dtype == "f32"
    assert unknown.runtime_s is unknown.energy_j is unknown.runtime_interval_s is None
    assert unknown.share is None
    assert not unknown.in_domain
    assert "dtype must be one that h200_sxm answers for" in unknown.reason
    assert estimated.not_predicted == (unknown,)
    assert estimated.runtime_s == known.runtime_s
    assert estimated.predicted_flops * 2 == estimated.flops
    assert estimated.coverage == 0.5


def test_nothing_that_is_not_known_is_nought() -> None:
    alone = estimate(linear(torch.float32), rows(4, 256))
    assert alone.runtime_s is alone.runtime_interval_s is alone.energy_j is None
    assert alone.flops == 2 * 4 * 256 * 512
    assert alone.coverage == 0.0
    without = estimate(nn.ReLU(), rows(4, 256))
    assert without.sites == ()
    assert without.runtime_s is without.coverage is None
    assert [one.flops for one in without.uncounted] == [None]
    no_power = next(
        name
        for name in gp.available()
        if not any(one["target"] == "power" for one in built_in(name).card["estimators"])
    )
    model = built_in(no_power)
    dtype = {"f16": torch.float16, "f32": torch.float32}[model.dtypes[0]]
    unpowered = estimate(linear(dtype), torch.zeros(512, 256, dtype=dtype), gpu=model)
    assert unpowered.runtime_s is not None
    assert unpowered.energy_j is None


def test_one_bad_row_leaves_the_others_predicted() -> None:
    """The 2080 Ti's kernels ask for an alignment that one of two layers has not."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.even = nn.Linear(1024, 1024, dtype=torch.float16)
            self.odd = nn.Linear(1023, 1024, dtype=torch.float16)

        def forward(self, x: Any) -> Any:
            return self.even(x), self.odd(x[:, 1:].contiguous())

    estimated = estimate(Two(), torch.zeros(1024, 1024, dtype=torch.float16), gpu="rtx2080ti")
    even, odd = estimated.sites
    assert even.runtime_s is not None
    assert odd.runtime_s is None
    assert "k=1023 is no multiple of its alignment" in odd.reason


def test_answers_are_those_of_the_model_bit_for_bit() -> None:
    model = built_in("h200_sxm")
    estimated = estimate(
        Llama().to(torch.bfloat16), torch.zeros(4, 64, dtype=torch.long), gpu=model,
        backward=True, confidence=0.5,
    )  # fmt: skip
    assert estimated.model == model.name
    for site in estimated.sites:
        gemm = gp.Gemm(site.m, site.n, site.k, site.dtype, site.layout, site.batch)
        p = model.predict(gemm, confidence=0.5)
        assert site.runtime_s == site.launches * p.runtime_s
        assert site.runtime_interval_s == tuple(site.launches * end for end in p.runtime_interval_s)
        assert (site.bound, site.in_domain, site.timed) == (p.bound, p.in_domain, p.timed)
        assert set(p.notes) <= {*site.notes, *estimated.notes}
    assert sum(site.share or 0.0 for site in estimated.sites) == pytest.approx(1.0)


def test_a_kernel_may_be_asked_for_and_a_gpu_by_its_data_sheet() -> None:
    x = torch.zeros(64, 256, dtype=torch.bfloat16)
    (site,) = estimate(linear(), x, kernel="sglang").sites
    assert site.kernel == "sglang"
    other = estimate(linear(torch.float16), x.half(), gpu=gp.load("NVIDIA A10").gpu)
    assert other.gpu == "NVIDIA A10"
    assert not other.sites[0].in_domain
    assert other.sites[0].runtime_s is not None


def test_a_model_whose_kernels_take_no_tn_predicts_the_layouts_that_they_take() -> None:
    artefact = kernels_artefact()
    estimators = tuple(one for one in artefact.estimators if one.kernels == (0, 1))
    model = gp.Model(artefact._replace(kernels=artefact.kernels[:2], estimators=estimators))
    assert {one.layout for one in model.kernels} == {"nn"}
    (weights,) = estimate(linear(torch.float32), rows(64, 256), gpu=model).sites
    assert (weights.layout, weights.runtime_s) == ("tn", None)
    (other,) = estimate(linear(torch.float32), rows(256, 64).t(), gpu=model).sites
    assert other.layout == "nn"
    assert other.runtime_s is not None
    with pytest.raises(gp.InputError, match="confidence must be a number between 0 and 1"):
        estimate(linear(torch.float32), rows(64, 256), gpu=model, confidence=1.0)

"""Inductor's doors, through the hooks that it calls, with the objects that it makes itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.built_in import built_in

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

# What torch's own compiler imports warns of torch's own parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.slow,
]

from gpperf_lite.integrations.torch import op_runtime, pruned_choices  # noqa: E402


class TritonConfig:
    """What triton.Config holds, where triton is not installed: it is of CUDA builds alone."""

    def __init__(self, kwargs: dict[str, Any], num_stages: int, num_warps: int) -> None:
        self.kwargs, self.num_stages, self.num_warps = kwargs, num_stages, num_warps


@pytest.fixture(scope="module")
def inductor_s_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in place of the user's, where an earlier run may have left what is asked."""
    return tmp_path_factory.mktemp("inductor")


@pytest.fixture(autouse=True)
def _in_a_graph(monkeypatch: pytest.MonkeyPatch, inductor_s_cache: Path) -> Iterator[None]:
    """Stand where Inductor does when it lowers a graph, with autotuning asked for."""
    from torch._inductor import config
    from torch._inductor.graph import GraphLowering
    from torch._inductor.template_heuristics import triton
    from torch._inductor.virtualized import V
    from torch.fx.experimental.proxy_tensor import make_fx

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(inductor_s_cache))
    monkeypatch.setattr(triton, "TritonConfig", TritonConfig)
    graph = GraphLowering(make_fx(lambda x: x @ x)(torch.zeros(4, 4)))
    with config.patch(max_autotune_gemm=True), V.set_graph_handler(graph):
        yield


def operand(name: str, size: tuple[int, ...], stride: tuple[int, ...], dtype: Any) -> Any:
    from torch._inductor.ir import FixedLayout, InputBuffer

    layout = FixedLayout(torch.device("cuda"), dtype, list(size), list(stride))
    return InputBuffer(name=name, layout=layout)


def inputs(m: int, n: int, k: int, dtype: Any = torch.bfloat16, *, is_weight: bool = True) -> Any:
    """Return the inputs of a product: of activations times a weight stored n x k, or k x n."""
    from torch._inductor.kernel_inputs import MMKernelInputs

    b_stride = (1, k) if is_weight else (n, 1)
    return MMKernelInputs(
        [operand("a", (m, k), (k, 1), dtype), operand("b", (k, n), b_stride, dtype)]
    )


def chosen(choices: Any, asked: Any, name: str = "mm") -> list[Any]:
    """Return what Inductor would try: cuBLAS, then its template in all configurations for CUDA."""
    from torch._inductor.kernel.mm import aten_mm, mm_template

    templates = [aten_mm, mm_template]
    made = {one.uid: choices.get_ktc(asked, one, "mm", {}) for one in templates}
    return choices._finalize_template_configs(made, asked, templates, name, {})


def told(choices: list[Any]) -> list[dict[str, Any]]:
    return [one.params.to_kwargs() for one in choices]


def all_choices(asked: Any) -> list[Any]:
    from torch._inductor.choices import InductorChoices

    return chosen(InductorChoices(), asked)


def test_pruning_leaves_the_best_few_and_what_has_no_tile() -> None:
    """It changes what is tried, and keeps the order in which that comes."""
    asked = inputs(4096, 2048, 4096)
    everything = told(all_choices(asked))
    kept = told(chosen(pruned_choices("h200", top=4)(), asked))
    assert len(everything) > 15
    assert kept[0] == everything[0] == {}  # cuBLAS
    assert kept == [one for one in everything if one in kept]
    # Four, and one whose buffers do not fit in shared memory, of which nothing can be said.
    tiles = [(one["BLOCK_M"], one["BLOCK_N"]) for one in kept[1:]]
    assert 4 <= len(tiles) <= 5
    assert everything[1] not in kept
    assert min(m * n for m, n in tiles) >= 128 * 128
    assert max(one["BLOCK_M"] * one["BLOCK_N"] for one in everything[1:3]) < 128 * 128


def test_the_best_few_are_those_of_the_model_s_ranking() -> None:
    from gpperf_lite.integrations._inductor import _gemm_in
    from gpperf_lite.integrations._tiles import told_kernel

    asked = inputs(256, 2048, 4096)
    everything = all_choices(asked)
    gemm = gp.Gemm(256, 2048, 4096, "bf16", "tn")
    assert _gemm_in(asked, "mm") == gemm
    kernels = {
        number: told_kernel(one.params.to_kwargs(), "bf16", number)
        for number, one in enumerate(everything)
    }
    known = {number: one for number, one in kernels.items() if one is not None}
    ranked = [one.kernel.name for one in built_in("h200_sxm").rank(gemm, kernels=known.values())]
    for top in (1, 3, 8):
        kept = told(chosen(pruned_choices(built_in("h200_sxm"), top=top)(), asked))
        best = [number for number, one in known.items() if one.name in ranked[:top]]
        assert [told(everything)[number] for number in best] == [
            one for one in kept if one and one in [told(everything)[number] for number in best]
        ]
        assert len(kept) == len(everything) - len(ranked) + min(top, len(ranked))


@pytest.mark.parametrize(
    ("gpu", "asked"),
    [
        ("h200", {"is_weight": False}),  # a layout that was not measured
        ("h200", {"m": 10**5}),  # larger than anything measured
        ("h200", {"dtype": torch.float16}),  # a dtype that another stands in for
        ("h200", {"dtype": torch.float32}),  # one that it does not know
        ("a10", {}),  # a GPU that was not measured
    ],
)
def test_out_of_the_domain_nothing_is_left_out(gpu: str, asked: dict[str, Any]) -> None:
    problem = inputs(**{"m": 4096, "n": 2048, "k": 4096, **asked})
    everything = all_choices(problem)
    assert len(everything) > 15
    assert told(chosen(pruned_choices(gpu, top=1)(), problem)) == told(everything)


def test_what_is_not_one_product_is_left_alone() -> None:
    from torch._inductor.kernel_inputs import MMKernelInputs

    problem = inputs(4096, 2048, 4096)
    everything = told(all_choices(problem))
    assert told(chosen(pruned_choices("h200", top=1)(), problem, "mm_plus_mm")) == everything
    mixed = MMKernelInputs([
        operand("a", (64, 64), (64, 1), torch.bfloat16),
        operand("b", (64, 64), (64, 1), torch.float16),
    ])  # fmt: skip
    assert len(chosen(pruned_choices("h200", top=1)(), mixed)) > 5
    few = chosen(pruned_choices("h200", top=100)(), problem)
    assert told(few) == everything


def test_inductor_s_caches_tell_doors_apart_by_model_and_options() -> None:
    """Or a compilation would find what another door left; and it finds what its own left."""
    from torch._inductor import config

    def key(**doors: Any) -> bytes:
        with config.patch(doors):
            return pickle.dumps(config.save_config_portable())

    makers = [
        lambda: {"inductor_choices_class": pruned_choices("h200", top=2)},
        lambda: {"inductor_choices_class": pruned_choices("h200", top=3)},
        lambda: {"inductor_choices_class": pruned_choices("b200", top=2)},
        lambda: {"estimate_op_runtime": op_runtime("h200")},
        lambda: {"estimate_op_runtime": op_runtime("h200", devices=("cpu",))},
        lambda: {"estimate_op_runtime": op_runtime("b200")},
        dict,
    ]
    keys = [key(**make()) for make in makers]
    assert len(set(keys)) == len(keys)
    assert [key(**make()) for make in makers] == keys


def test_a_kernel_s_facts_follow_from_its_configuration() -> None:
    from gpperf_lite.integrations._inductor import _gemm_in
    from gpperf_lite.integrations._tiles import told_kernel

    asked = inputs(4096, 2048, 4096)
    assert _gemm_in(asked, "mm") == gp.Gemm(4096, 2048, 4096, "bf16", "tn")
    for choice in all_choices(asked):
        known = choice.params.to_kwargs()
        kernel = told_kernel(known, "bf16", 0)
        assert (kernel is None) == (known == {})
        if kernel is not None:
            m, n, k = (known[f"BLOCK_{name}"] for name in "MNK")
            assert kernel.tile == (m, n, k)
            assert kernel.threads == 32 * known["num_warps"]
            assert kernel.shared_bytes == 2 * k * (m + n) * known["num_stages"]


def scheduled(module: Any, *given: Any, **doors: Any) -> list[tuple[str, float, float]]:
    """Return name, runtime through the door and Inductor's own, of each node of a real schedule."""
    from torch._inductor import config
    from torch._inductor.comms import estimate_op_runtime

    found: list[tuple[str, float, float]] = []

    def look(nodes: list[Any]) -> list[Any]:
        for node in nodes:
            origin = node.get_nodes()[0].node.get_origin_node()
            found.append(
                (str(origin.target), estimate_op_runtime(node), node.get_estimated_runtime())
            )
        raise StopIteration  # before any code is generated, which would need a compiler

    options = {"_post_fusion_custom_pass": look, "max_autotune_gemm": False, **doors}
    torch._dynamo.reset()
    with config.patch(options), pytest.raises(Exception, match="StopIteration"), torch.no_grad():
        torch.compile(module)(*given)
    return found


def test_the_scheduler_gets_our_runtime_where_we_know_and_its_own_elsewhere() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(256, 512, bias=False), torch.nn.Softmax(1)).to(
        torch.bfloat16
    )
    x = torch.zeros(64, 256, dtype=torch.bfloat16)
    door = op_runtime("h200", devices=("cpu",))
    (name, ours_ms, own_ms), *others = scheduled(module, x, estimate_op_runtime=door)
    predicted = built_in("h200_sxm").predict(gp.Gemm(64, 512, 256, "bf16", "tn"))
    assert name == "aten.mm.default"
    assert ours_ms == pytest.approx(1e3 * predicted.runtime_s, rel=1e-12)
    assert ours_ms != own_ms
    assert others
    assert all(one == own for _, one, own in others)


@pytest.mark.parametrize("case", ["layout", "dtype", "device", "batch"])
def test_the_scheduler_keeps_its_own_runtime_out_of_the_domain(case: str) -> None:
    dtype = torch.float32 if case == "dtype" else torch.bfloat16
    x, weight = torch.zeros(64, 256, dtype=dtype), torch.zeros(256, 512, dtype=dtype)
    if case != "layout":
        weight = weight.t().contiguous().t()
    if case == "batch":
        x, weight = x.expand(3, -1, -1), weight.expand(3, -1, -1)
    door = op_runtime("h200", **({} if case == "device" else {"devices": ("cpu",)}))

    class Multiplies(torch.nn.Module):
        def forward(self, x: Any, weight: Any) -> Any:
            return torch.matmul(x, weight)

    found = scheduled(Multiplies(), x, weight, estimate_op_runtime=door)
    products = [(ours, own) for name, ours, own in found if "mm" in name]
    assert products
    assert all(ours == own for ours, own in products)


def test_a_compiler_asks_the_factory_and_works_with_what_it_gets() -> None:
    """A whole compilation for this machine, where there are no Triton configurations."""
    from torch._inductor.virtualized import V

    choices = pruned_choices("h200", top=1)()
    asked: list[str] = []
    finalize = choices._finalize_template_configs

    def spy(*given: Any, **named: Any) -> Any:
        asked.append(given[3])
        return finalize(*given, **named)

    choices._finalize_template_configs = spy
    x = torch.randn(8, 16)
    torch._dynamo.reset()
    with V.set_choices_handler(choices), torch.no_grad():
        result = torch.compile(lambda x: torch.mm(x, x.t()))(x)
    assert asked == ["mm"]
    assert torch.allclose(result, x @ x.t(), atol=1e-5)


@pytest.mark.parametrize("missing", ["inductor_choices_class", "estimate_op_runtime", "the hook"])
def test_a_torch_with_other_doors_is_refused(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import choices

    from gpperf_lite.integrations import _inductor

    if missing == "the hook":
        monkeypatch.setattr(
            choices.InductorChoices, "_finalize_template_configs", lambda self, other: other
        )
    else:

        class Without:
            estimate_op_runtime = inductor_choices_class = None

        delattr(Without, missing)
        monkeypatch.setattr(_inductor, "config", Without)
    for ask in (lambda: op_runtime("h200"), lambda: pruned_choices("h200")):
        with pytest.raises(gp.InputError, match=r"doors as 2\.13 has them") as caught:
            ask()
        assert ("_finalize" if missing == "the hook" else missing) in str(caught.value)


@pytest.mark.parametrize("top", [0, -1, 2.5, True, "8"])
def test_how_many_are_left_must_be_a_number(top: Any) -> None:
    with pytest.raises(gp.InputError, match="top must be a number from 1 on"):
        pruned_choices("h200", top=top)

"""Graphs: what torch.compile, torch.export and torch.fx made of a module costs what it does."""

from __future__ import annotations

from typing import Any

import pytest

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

from stand_ins.networks import Llama, VisionTransformer  # noqa: E402
from torch import nn  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from gpperf_lite.integrations.torch import Estimate, estimate  # noqa: E402

# What torch's own compiler imports warns of torch's own parts.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

WORDS = torch.zeros(2, 16, dtype=torch.long)


def sites(found: Estimate, *, paths: bool = True) -> list[tuple[Any, ...]]:
    """Return the sites in an order of their own: a compiler is free to choose another."""
    told = (
        (one.module if paths else "", one.phase, one.m, one.n, one.k, one.layout, one.launches)
        for one in found.sites
    )
    return sorted(told)


@pytest.mark.slow
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_compiled_module_costs_what_the_module_does(backward: bool) -> None:
    """Each multiplication in its module; of attention, the kernel that is in the graph."""
    for module, inputs in ((Llama(), WORDS), (VisionTransformer(), torch.zeros(2, 3, 32, 32))):
        plain = estimate(module, inputs, backward=backward)
        compiled = estimate(torch.compile(module), inputs, backward=backward)
        assert sites(compiled) == sites(plain)
        assert compiled.uncounted_flops == plain.uncounted_flops
        again = estimate(torch.compile(module), inputs, backward=backward)
        assert again == compiled


@pytest.mark.slow
def test_a_module_that_breaks_its_graph_is_refused_with_the_way_out() -> None:
    class Breaks(nn.Module):
        def forward(self, x: Any) -> Any:
            torch._dynamo.graph_break()
            return x @ x

    with pytest.raises(gp.InputError, match="compiled as one graph") as caught:
        estimate(torch.compile(Breaks()), torch.zeros(4, 4))
    assert "without torch.compile" in str(caught.value)
    assert estimate(Breaks(), torch.zeros(4, 4)).flops == 2 * 4**3


@pytest.mark.slow
def test_an_exported_module_knows_its_modules_and_its_inputs() -> None:
    plain = estimate(Llama(), WORDS)
    exported = torch.export.export(Llama(), (WORDS,))
    assert sites(estimate(exported.module(), WORDS)) == sites(plain)
    assert sites(estimate(exported.graph_module)) == sites(plain)


def test_a_traced_graph_costs_what_the_module_does() -> None:
    module = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    x = torch.zeros(4, 16)
    plain = estimate(module, x, backward=True)
    assert sites(estimate(torch.fx.symbolic_trace(module), x, backward=True)) == sites(plain)
    operators = make_fx(module)(x)
    assert sites(estimate(operators, x), paths=False) == sites(estimate(module, x), paths=False)


def test_a_graph_with_its_own_backward_tells_the_phases() -> None:
    weight, x = torch.zeros(8, 16, requires_grad=True), torch.zeros(4, 16)

    def step(weight: Any, x: Any) -> Any:
        return torch.autograd.grad((x @ weight.t()).sum(), weight)

    graph = make_fx(step)(weight, x)
    found = estimate(graph, weight, x)
    assert len(found.sites) == 2
    last = next(node for node in reversed(graph.graph.nodes) if "mm" in str(node.target))
    last.meta["autograd_backward"] = True
    assert [one.phase for one in estimate(graph, weight, x).sites] == ["forward", "backward"]


def test_a_graph_that_tells_no_inputs_must_be_given_them() -> None:
    graph = make_fx(lambda x: x @ x)(torch.zeros(4, 4))
    for node in graph.graph.nodes:
        node.meta.pop("val", None)
    with pytest.raises(gp.InputError, match="inputs must be given for this graph"):
        estimate(graph)
    with pytest.raises(gp.InputError, match="kwargs must be empty for a graph"):
        estimate(graph, torch.zeros(4, 4), kwargs={"y": 1})

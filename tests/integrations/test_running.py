"""Running a module without memory: what is refused, what stays as it was, what it costs here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

from stand_ins.networks import Llama, rows  # noqa: E402
from torch import nn  # noqa: E402

from gpperf_lite.integrations.torch import estimate  # noqa: E402

ROOT = Path(__file__).parents[2]


def linear(dtype: Any = torch.bfloat16) -> nn.Module:
    return nn.Linear(256, 512, dtype=dtype)


def transformer() -> tuple[nn.Module, tuple[Any, ...]]:
    """Return a torch.nn.Transformer that drops out, and its inputs."""
    module = nn.Transformer(64, 4, 2, 2, 128, dropout=0.1, batch_first=True)
    return module, (rows(2, 12, 64), rows(2, 8, 64))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"gpu": 3}, "gpu must be a name, a path, a Gpu or a Model"),
        ({"confidence": 2.0}, "confidence must be"),
        ({"kernel": "nonsense"}, "kernel name must be"),
        ({"kernel": 5}, "kernel must be a Kernel"),
        ({"kwargs": [1]}, "kwargs must be a dict"),
    ],
)
def test_an_argument_that_is_not_valid_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(gp.InputError, match=text):
        estimate(linear(), torch.zeros(4, 256, dtype=torch.bfloat16), **options)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(gp.InputError, match="module must be a torch.nn.Module"):
        estimate(len)  # type: ignore[arg-type]
    with pytest.raises(gp.UnknownGpuError):
        estimate(linear(), gpu="no such gpu")


def test_a_backward_without_gradients_is_refused() -> None:
    frozen = linear().requires_grad_(False)
    x = torch.zeros(4, 256, dtype=torch.bfloat16)
    assert estimate(frozen, x).flops > 0
    with pytest.raises(gp.InputError, match="backward=True needs an output that requires"):
        estimate(frozen, x, backward=True)


def test_a_module_that_looks_at_values_is_refused_with_the_way_out() -> None:
    class Looks(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum().item() > 0 else -x

    class Selects(nn.Module):
        def forward(self, x: Any) -> Any:
            return x[x > 0]

    for module in (Looks(), Selects()):
        with pytest.raises(gp.InputError, match="must not look at the values"):
            estimate(module, rows(4, 4))


def test_an_operator_that_needs_values_is_refused_by_its_name() -> None:
    library = torch.library.Library("gpperf_tests", "FRAGMENT")
    library.define("opaque(Tensor x) -> Tensor")
    library.impl("opaque", lambda x: x.clone(), "CPU")

    class Opaque(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.ops.gpperf_tests.opaque(x)

    with pytest.raises(gp.InputError, match=r"gpperf_tests\.opaque.*register_fake"):
        estimate(Opaque(), rows(4, 4))
    library._destroy()


def test_what_the_module_raises_is_raised() -> None:
    with pytest.raises(RuntimeError, match="reduction dim"):
        estimate(linear(), torch.zeros(4, 255, dtype=torch.bfloat16))


def test_a_module_stays_as_it_is() -> None:
    module, inputs = transformer()
    module.encoder.eval()
    module.register_buffer("seen", torch.zeros(1))
    modes = [one.training for one in module.modules()]
    before = {name: one.clone() for name, one in module.state_dict().items()}
    original = nn.functional.scaled_dot_product_attention
    for train in (None, True, False):
        estimate(module, *inputs, backward=True, train=train)
    assert [one.training for one in module.modules()] == modes
    assert all(one.equal(before[name]) for name, one in module.state_dict().items())
    assert all(one.grad is None for one in module.parameters())
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in module.modules())
    assert nn.functional.scaled_dot_product_attention is original
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError):
        estimate(module, rows(2, 3, 5), rows(2, 3, 5))
    assert nn.functional.scaled_dot_product_attention is original


def test_the_mode_of_the_module_can_be_asked_for() -> None:
    module, inputs = transformer()
    dropped = {
        train: any("dropout" in one.operator or "bernoulli" in one.operator
                   for one in estimate(module, *inputs, train=train).uncounted)
        for train in (True, False)
    }  # fmt: skip
    assert dropped == {True: True, False: False}


def test_an_encoder_layer_is_never_hidden_in_one_operator() -> None:
    """In evaluation, torch has one for all of it, of which its own counter counts nothing."""
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    trained = estimate(layer, rows(2, 8, 64), train=True)
    assert estimate(layer, rows(2, 8, 64)).flops == trained.flops > 0
    encoder = nn.TransformerEncoder(layer, 2).eval()
    padding = torch.zeros(2, 8, dtype=torch.bool)  # looked at, to leave out what is padding
    for fused in (True, False):
        mask = {"src_key_padding_mask": padding}
        found = estimate(encoder, rows(2, 8, 64), kwargs=mask, fused_attention=fused)
        assert found.flops == 2 * trained.flops


def test_a_forward_alone_keeps_nothing_for_a_backward() -> None:
    seen = []

    class Looks(nn.Module):
        def forward(self, x: Any) -> Any:
            seen.append(torch.is_grad_enabled())
            return x

    estimate(Looks(), rows(2, 2))
    estimate(Looks(), rows(2, 2, requires_grad=True), backward=True)
    assert seen == [False, True]


def test_keyword_arguments_reach_the_module() -> None:
    module, (x, y) = transformer()
    mask = nn.Transformer.generate_square_subsequent_mask(8)
    with_mask = estimate(module, x, y, kwargs={"tgt_mask": mask, "tgt_is_causal": True})
    assert with_mask.flops == estimate(module, x, y).flops


def test_autocast_decides_the_dtype() -> None:
    module = linear(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        (site,) = estimate(module, rows(64, 256)).sites
    assert site.dtype == "bf16"


def test_tied_weights_are_one_parameter() -> None:
    module = Llama(words=128, width=128)
    module.head.weight = module.embed.weight
    estimated = estimate(module, torch.zeros(1, 8, dtype=torch.long), backward=True)
    assert sum(one.module == "head" for one in estimated.sites) == 3


def test_modules_without_memory_cost_the_same() -> None:
    """On the device meta, made under fake tensors, and with real weights."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    words = torch.zeros(2, 16, dtype=torch.long)
    real = estimate(Llama(), words, backward=True)
    with torch.device("meta"):
        meta = Llama()
    assert estimate(meta, words, backward=True) == real
    assert estimate(meta, words.to("meta"), backward=True) == real
    with FakeTensorMode():
        fake, asked = Llama(), torch.zeros(2, 16, dtype=torch.long)
        inside = estimate(fake, asked, backward=True)
    assert inside == real == estimate(fake, asked, backward=True)


SEVEN_BILLION = """
import time
import torch
from stand_ins.networks import Llama
from gpperf_lite.integrations.torch import estimate
with torch.device("meta"):
    module = Llama(32000, 4096, 32, 32, 11008, 32).to(torch.bfloat16)
parameters = sum(one.numel() for one in module.parameters())
begin = time.perf_counter()
found = estimate(module, torch.zeros(1, 4096, dtype=torch.long), backward=True)
took_s = time.perf_counter() - begin
with open("/proc/self/status") as status:  # ru_maxrss may be that of what started it
    peak_kb = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(parameters, took_s, peak_kb, found.flops)
"""


@pytest.mark.slow
def test_seven_billion_parameters_take_seconds_and_less_than_a_gigabyte() -> None:
    """Forward and backward, in a process of its own; FLOPs by hand: 6 for each weight and token."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {SEVEN_BILLION}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    parameters, took_s, peak_kb, flops = (float(one) for one in done.stdout.split())
    assert 6.5e9 < parameters < 7.5e9
    assert took_s < 30.0
    assert peak_kb * 1024 < 1e9
    multiplied = 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096
    assert flops == 6 * 4096 * multiplied

"""What an estimate says of itself: a table, JSON, and a timeline."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import gpperf_lite as gp

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

from stand_ins.networks import Llama, VisionTransformer  # noqa: E402
from torch import nn  # noqa: E402

from gpperf_lite.integrations.torch import Estimate, estimate  # noqa: E402

HALF = torch.bfloat16


class Both(nn.Module):
    """Two layers, of which the H200's model knows one."""

    def __init__(self) -> None:
        super().__init__()
        self.known, self.unknown = nn.Linear(64, 96, dtype=HALF), nn.Linear(64, 96)

    def forward(self, x: Any) -> Any:
        return self.known(x), self.unknown(x.float())


@pytest.fixture(scope="module")
def llama() -> Estimate:
    module = Llama(layers=12).to(HALF)
    return estimate(module, torch.zeros(2, 64, dtype=torch.long), backward=True)


@pytest.fixture(scope="module")
def both() -> Estimate:
    return estimate(Both(), torch.zeros(32, 64, dtype=HALF))


def test_layers_share_a_line_and_all_launches_are_in_one(llama: Estimate) -> None:
    text = llama.table(rows=None)
    lines = [line.split() for line in text.splitlines() if line.startswith(("layers.*", "head"))]
    assert len(lines) == 3 * 8
    assert sum(int(line[line.index("bf16") + 2]) for line in lines) == len(llama.order)
    assert "layers.*.attention.q" in text
    assert "layers.0." not in text
    assert "12" in next(line for line in lines if line[0] == "layers.*.up")


def test_the_table_says_what_it_leaves_out(llama: Estimate) -> None:
    assert "... and 4 more lines: table(rows=None) has all" in str(llama)
    assert str(llama) == llama.table(20)
    short = llama.table(rows=1)
    assert short.count("layers.*") == 1
    assert "and 23 more lines" in short
    for rows in (0, -3, True, 2.0):
        with pytest.raises(gp.InputError, match="rows must be a number from 1 on"):
            llama.table(rows)  # type: ignore[arg-type]


def test_the_table_has_totals_doubts_and_what_is_not_counted(llama: Estimate) -> None:
    first, runtime, shares, *_ = llama.table().splitlines()
    assert first.startswith(f"NVIDIA H200, model h200_sxm: {llama.flops / 1e9:.3f}"[:35])
    assert "at 90%)" in runtime
    assert shares.startswith("of their FLOPs, 100.0% are predicted, and 33.3% are like what")
    assert "? layout nt was not measured, only tn (85 launches)" in str(llama)
    assert "scaled_dot_product_attention, forward: 12 calls, " in str(llama)
    assert "mul, forward: " in str(llama)
    assert "FLOPs not known" in str(llama)
    assert " others, " in str(llama)


def test_the_table_marks_what_was_not_predicted(both: Estimate) -> None:
    text = str(both)
    (line,) = (line for line in text.splitlines() if line.startswith("unknown"))
    assert line.split()[-3:] == ["-", "-", "!"]
    assert "of their FLOPs, 50.0% are predicted" in text
    assert "! dtype must be one that h200_sxm answers for" in text
    assert "50.0% of all is predicted" in text


def test_an_estimate_of_nothing_is_a_text_too() -> None:
    text = str(estimate(nn.Identity(), torch.zeros(3)))
    assert text.startswith("NVIDIA H200, model h200_sxm: no FLOP in 0 launches")
    assert "runtime" not in text


def test_json_has_every_figure(llama: Estimate, both: Estimate) -> None:
    for found in (llama, both):
        told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert told["runtime_s"] == found.runtime_s
        assert told["flops"] == found.flops
        assert told["coverage"] == found.coverage
        assert len(told["sites"]) == len(found.sites)
        assert told["sites"][0]["runtime_interval_s"] == list(
            found.sites[0].runtime_interval_s or ()
        )
        assert [one["flops"] for one in told["uncounted"]] == [one.flops for one in found.uncounted]
        assert told["gpu"] == "NVIDIA H200"
    assert both.to_dict()["sites"][1]["energy_j"] is None


def test_the_timeline_has_each_launch_one_after_the_other(llama: Estimate) -> None:
    trace = json.loads(json.dumps(llama.chrome_trace(), allow_nan=False))
    events = [one for one in trace["traceEvents"] if one["ph"] == "X"]
    assert len(events) == len(llama.order)
    end_us = 0.0
    for event, place in zip(events, llama.order, strict=True):
        site = llama.sites[place]
        assert event["name"] == site.module
        assert event["cat"] == site.phase
        assert event["ts"] == pytest.approx(end_us)
        assert event["dur"] == pytest.approx(1e6 * (site.runtime_s or 0.0) / site.launches)
        assert event["args"]["m"] == site.m
        end_us = event["ts"] + event["dur"]
    assert end_us == pytest.approx(1e6 * (llama.runtime_s or 0.0))
    phases = [event["cat"] for event in events]
    assert phases == sorted(phases, reverse=True)  # forward, then backward
    assert trace["otherData"]["not counted"][0]["operator"].startswith("aten.scaled_dot_product")
    names = {one["name"] for one in trace["traceEvents"] if one["ph"] == "M"}
    assert names == {"process_name", "thread_name"}


def test_the_timeline_marks_what_was_not_predicted(both: Estimate) -> None:
    events = both.chrome_trace()["traceEvents"]
    (mark,) = (one for one in events if one["ph"] == "i")
    assert mark["name"] == "unknown"
    assert "dur" not in mark
    assert "dtype must be one" in mark["args"]["not predicted"]
    assert "energy_j" not in mark["args"]


def test_an_estimate_cannot_be_changed_and_compares(both: Estimate) -> None:
    with pytest.raises(FrozenInstanceError):
        both.gpu = "another"  # type: ignore[misc]
    assert estimate(Both(), torch.zeros(32, 64, dtype=HALF)) == both


def test_totals_are_sums_of_what_was_predicted(llama: Estimate) -> None:
    assert llama.runtime_s == pytest.approx(sum(one.runtime_s or 0.0 for one in llama.sites))
    assert llama.energy_j == pytest.approx(sum(one.energy_j or 0.0 for one in llama.sites))
    low_s, high_s = llama.runtime_interval_s or (0.0, 0.0)
    assert low_s < (llama.runtime_s or 0.0) < high_s
    vision = estimate(VisionTransformer().to(HALF), torch.zeros(2, 3, 32, 32, dtype=HALF))
    convolution = next(one for one in vision.uncounted if one.operator == "aten.convolution")
    assert convolution.flops
    assert vision.coverage is not None
    assert 0.0 < vision.coverage < 1.0

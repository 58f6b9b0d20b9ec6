"""The probe: what it finds out about a simulated GPU is what that GPU does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builder.device import THERMAL, DeviceError
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import LaunchFault, Throttling
from builder.device.simulated.traits import Traits
from builder.doctor import probe
from builder.doctor.probe import ProbeReport
from builder.measure import Protocol
from gpperf_lite import Kernel
from gpperf_lite._gpu_facts import known_gpus

PARTS = (
    "gpu", "protocol", "sensors", "graph", "events", "power_cap", "points", "windows", "time",
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> ProbeReport:
    return probe(SimulatedDevice(7), Protocol())


def source(findings: ProbeReport, name: str) -> Mapping[str, Any]:
    return next(one for one in findings.values["sensors"]["sources"] if one["name"] == name)


def test_findings_are_json_and_complete(findings: ProbeReport) -> None:
    assert tuple(findings.values) == PARTS
    again = json.loads(json.dumps(findings.values, allow_nan=False))
    assert ProbeReport(again).lines() == findings.lines()


def test_every_part_has_a_line(findings: ProbeReport) -> None:
    text = "\n".join(findings.lines())
    for words in ("H200", "energy counter", "a node of a graph", "events", "the clock", "points"):
        assert words in text
    assert "unknown" not in text


def test_it_takes_less_than_a_minute(findings: ProbeReport) -> None:
    assert 0.0 < findings.values["time"]["probe_s"] < 60.0


def test_period_and_cost_of_each_source_of_power_are_found(findings: ProbeReport) -> None:
    traits = Traits()
    for name, call_s in (
        ("energy_counter", traits.energy_call_s),
        ("instant_power", traits.instant_call_s),
        ("average_power", traits.other_call_s),
    ):
        found = source(findings, name)
        assert found["period_s"] == pytest.approx(traits.sensor_period_s, rel=0.03)
        assert found["call_s"] == pytest.approx(call_s, rel=0.03)
    assert source(findings, "average_power")["rise_s"] == pytest.approx(1.0, rel=0.15)


def test_the_cost_of_a_node_is_that_of_an_empty_kernel(findings: ProbeReport) -> None:
    graph, traits = findings.values["graph"], Traits()
    assert graph["node_s"] == pytest.approx(traits.empty_s, rel=0.02)
    assert graph["replay_s"] == pytest.approx(traits.node_gap_s, rel=0.15)
    assert graph["make_node_s"] == pytest.approx(5e-7, rel=0.1)


@pytest.mark.parametrize("tick_s", [32e-9, 500e-9])
def test_the_tick_of_events_is_found(tick_s: float) -> None:
    traits = replace(Traits(), tick_s=tick_s)
    found = probe(SimulatedDevice(7, traits=traits), Protocol()).values["events"]
    assert found["tick_s"] == pytest.approx(tick_s, rel=0.01)


def test_the_power_cap_is_seen_in_the_clock_and_in_what_the_driver_says(
    findings: ProbeReport,
) -> None:
    cap = findings.values["power_cap"]
    assert cap["load"] == "library"
    assert 0.0 < cap["clock_drops_after_s"] < 0.5
    assert cap["driver_says_so_after_s"] == pytest.approx(cap["clock_drops_after_s"], abs=0.05)
    assert cap["last_clock_hz"] < 0.98 * cap["top_clock_hz"]


def test_where_the_cap_does_not_bind_nothing_is_made_up() -> None:
    gpu = replace(known_gpus()["h200_sxm"], power_limit_w=1500.0, idle_power_w=100.0)
    quiet = replace(Traits(), compute_share=0.3, simt_share=0.3)
    found = probe(SimulatedDevice(7, gpu=gpu, traits=quiet), Protocol())
    cap = found.values["power_cap"]
    assert cap["clock_drops_after_s"] is cap["driver_says_so_after_s"] is None
    assert "never drops" in "\n".join(found.lines())


def test_ten_points_repeat_within_a_percent(findings: ProbeReport) -> None:
    points = findings.values["points"]
    assert len(points["shapes"]) == len(points["runtime_s"]) == len(points["again_s"]) == 10
    assert points["median_change"] < 0.01
    assert points["bind_s"] < points["point_s"]


def test_what_would_spoil_rows_is_told_with_what_to_do(findings: ProbeReport) -> None:
    """A throttled GPU, a host that is too slow for its sensors, and one in order."""
    assert set(findings.values["windows"]["flags"].values()) == {0.0}
    assert findings.values["windows"]["lost_steps"] == 0.0
    assert "windows of power (3): 0% starved" in findings.lines()
    assert not [line for line in findings.lines() if line.startswith("warning")]
    hot = Faults(throttling=(Throttling(6.0, 1e9, THERMAL, 0.7),))
    slow = replace(Traits(), energy_call_s=0.04)
    lines = probe(SimulatedDevice(7, hot, traits=slow), Protocol()).lines()
    assert "timings: 100% throttled" in lines
    assert "windows of power (3): 100% throttled" in lines
    assert any("cooling" in line for line in lines if line.startswith("warning"))
    (lost,) = (line for line in lines if "steps lost" in line)
    assert not lost.startswith("windows of power (3): 0%")
    assert any("a core of its own" in line for line in lines if line.startswith("warning"))


def test_another_kernel_is_probed_where_it_is_given() -> None:
    kernel = Kernel.from_name("cutlass_simt_sgemm_128x128_8x2_nt_align1")
    kernel = replace(kernel, threads=256, registers=128, shared_bytes=8192)
    points = probe(SimulatedDevice(7), Protocol(), kernel, b"").values["points"]
    assert (points["kernel"], points["dtype"]) == (kernel.name, "f32")


def test_sensors_that_are_missing_are_told_and_nothing_stops() -> None:
    unread = ("total_energy_j", "instant_power_w", "average_power_w", "throttle_reasons")
    found = probe(SimulatedDevice(7, Faults(unsupported=unread)), Protocol())
    assert tuple(found.values) == PARTS
    assert sum("not usable" in line for line in found.lines()) == 3
    assert found.values["power_cap"]["driver_says_so_after_s"] is None
    assert found.values["power_cap"]["clock_drops_after_s"] is not None


def test_a_part_that_fails_is_told_and_passed() -> None:
    faults = Faults(launches=(LaunchFault("library"),))
    found = probe(SimulatedDevice(7, faults), Protocol())
    assert "reason" in found.values["points"]
    assert found.values["power_cap"]["load"] == "spin"
    assert any(line.startswith("points: not found out") for line in found.lines())


def test_a_fault_that_loses_the_context_ends_the_probe() -> None:
    faults = Faults(launches=(LaunchFault("library", code=700),))
    with pytest.raises(DeviceError) as caught:
        probe(SimulatedDevice(7, faults), Protocol())
    assert caught.value.is_sticky

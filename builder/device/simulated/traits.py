"""Traits of a simulated GPU beside its data sheet; every figure is a modelling choice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """The constants of a simulated GPU, with the unit in each name.

    Clocks: `idle_clock_hz` after `awake_s` without work and `fall_s` of falling, up again within
    `rise_s` of work. The power cap acts on an average with the time constant `cap_lag_s`; clocks
    then near the one that holds the limit with `cap_fall_s`.
    Power: shares are of the range from idle power to the limit. `leak_w_per_c` is the drift with
    temperature, which nears `ambient_c + c_per_w * power` with `thermal_lag_s`.
    Sensors: the counter and both powers move every `sensor_period_s`, `counter_lag_s` late, each
    step up to `sensor_jitter_s` early or late; instant power sees `instant_window_s` of a period,
    average power `average_window_s`.
    Time: host costs of calls; `node_gap_s` is what a replay needs before its first kernel,
    `stream_gap_s` what every launch outside a graph adds. `noise` is the sigma of the logarithm of
    a runtime, `batch_noise` the part that launches of one replay share; one launch or replay in
    `1 / outlier_share` takes up to `outlier_size` longer.
    """

    idle_clock_hz: float = 345e6
    awake_s: float = 0.06
    fall_s: float = 0.06
    rise_s: float = 0.02
    cap_lag_s: float = 0.025
    cap_fall_s: float = 0.008

    at_work_share: float = 0.13
    awake_share: float = 0.03
    compute_share: float = 1.6
    simt_share: float = 0.75
    l2_share: float = 0.25
    dram_share: float = 0.22
    leak_w_per_c: float = 0.15
    ambient_c: float = 28.0
    c_per_w: float = 0.055
    thermal_lag_s: float = 25.0
    default_limit_w: float = 700.0
    default_idle_share: float = 0.18

    sensor_period_s: float = 0.1
    sensor_jitter_s: float = 0.003
    counter_lag_s: float = 0.12
    instant_window_s: float = 0.025
    average_window_s: float = 1.0
    utilisation_window_s: float = 0.2
    power_noise_w: float = 0.6
    energy_call_s: float = 3e-4
    instant_call_s: float = 6e-4
    other_call_s: float = 1.5e-4

    tick_s: float = 32e-9
    launch_call_s: float = 2.5e-6
    replay_call_s: float = 6e-6
    replay_call_per_node_s: float = 1e-8
    mark_call_s: float = 6e-7
    wait_call_s: float = 5e-6
    stream_gap_s: float = 9e-7
    node_gap_s: float = 1.4e-6
    stamp_s: float = 1.6e-6
    empty_s: float = 1.3e-6
    noise: float = 0.005
    batch_noise: float = 0.002
    outlier_share: float = 0.01
    outlier_size: float = 0.2
    queue_length: int = 1024
    pool_bytes: float = 4e9

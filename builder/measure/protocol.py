"""The protocol: every number by which a label is made, in one place."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields

from ..errors import BuilderError


class ProtocolError(BuilderError, ValueError):
    """A number of the protocol makes no sense."""


@dataclass(frozen=True)
class Protocol:
    """The rules of measuring (`docs/measurement.md`) as numbers; the hash goes into every row.

    A share is a part of 1. Raises ProtocolError where a number is negative or not finite.
    """

    # Before the start: what makes every row of a run doubtful.
    quiet_s: float = 1.2
    utilisation_limit_share: float = 0.05

    # Timing: estimate, graph and copies of the operands.
    estimate_launches: int = 3
    coarse_s: float = 50e-3
    batch_s: float = 1e-3
    batch_launches_limit: int = 512
    cold_l2_factor: float = 3.0

    # Timing: a GPU that is awake and warm. A clock below that share of the highest is asleep.
    idle_limit_s: float = 50e-3
    awake_clock_share: float = 0.6
    spin_s: float = 20e-3
    warm_up_launches: int = 3
    warm_up_s: float = 2e-3

    # Timing: batches. What is queued before the first mark hides the host's own cost.
    lead_in_s: float = 100e-6
    stretch_limit_s: float = 5e-3
    rest_s: float = 1e-3
    batches_least: int = 7
    batches_most: int = 25
    batches_gpu_s: float = 40e-3
    notch_share: float = 0.005
    tick_s: float = 32e-9

    # Timing: clocks.
    clock_drop_share: float = 0.02
    retries: int = 2
    retry_pause_s: float = 0.5

    # SensorCheck, once a run.
    calibration_idle_s: float = 1.5
    calibration_spin_s: float = 2.0
    calibration_poll_s: float = 1e-3
    calibration_tries: int = 3
    rise_share: float = 0.95

    # Power: queueing, settling and windows of each source.
    sustained_graph_s: float = 15e-3
    sustained_launches_limit: int = 8192
    queue_lead_s: float = 0.1
    queue_margin_s: float = 50e-3
    poll_s: float = 1e-3
    other_poll_s: float = 50e-3
    edge_limit_s: float = 10e-3
    settle_s: float = 0.3
    settle_rises: float = 2.0
    average_settle_s: float = 1.2
    counter_window_s: float = 0.7
    counter_steps: int = 6
    instant_window_s: float = 1.0
    instant_updates: int = 8
    average_window_s: float = 1.0
    window_launches: int = 5
    window_limit_s: float = 2.0
    busy_share: float = 0.99

    # Power: what is believed.
    steady_power_share: float = 0.03
    steady_clock_share: float = 0.02
    extension_s: float = 0.7
    sources_share: float = 0.05
    least_idle_share: float = 0.8
    most_limit_share: float = 1.1

    # Over a run: sentinels, gold windows, repeats and slices.
    sentinel_power_share: float = 0.03
    sentinel_runtime_share: float = 0.015
    gold_windows: int = 6
    gold_window_s: float = 5.0
    repeat_every: int = 50
    timing_slice_s: float = 6.0
    power_slice_s: float = 12.0

    # Correctness: norm of the error over norm of the result, by dtype; s8 is exact.
    verify_entries: int = 256
    verify_wrong_points: int = 2
    limit_f64: float = 1e-12
    limit_f32: float = 1e-4
    limit_tf32: float = 2e-3
    limit_f16: float = 2e-3
    limit_bf16: float = 1e-2
    limit_fp8: float = 5e-2
    limit_s8: float = 0.0
    # Times the root of k, for sums that are kept in f16.
    limit_f16_sums: float = 4e-4

    # Faults.
    watchdog_s: float = 5.0
    watchdog_factor: float = 20.0
    sticky_errors: int = 2
    failing_warn_share: float = 0.1
    failing_stop_share: float = 1.0 / 3.0
    journal_sync_s: float = 1.0
    stop_s: float = 2.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value >= 0):
                raise ProtocolError(f"{one.name} must be a finite number from 0 (got {value!r})")

    @property
    def hash(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the numbers as sorted JSON."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def error_limit(self, dtype: str) -> float:
        """Return the largest error of a right result; of block-scaled types that of fp8."""
        limit: float = getattr(self, f"limit_{dtype}", self.limit_fp8)
        return limit

"""The protocol: every number by which a label is made, in one place and in parts."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields

from ..errors import BuilderError


class ProtocolError(BuilderError, ValueError):
    """A number of the protocol makes no sense."""


@dataclass(frozen=True)
class _Rules:
    """Numbers of one part of the protocol. A share is a part of 1.

    Raises ProtocolError where one is negative or not finite.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value >= 0):
                raise ProtocolError(f"{one.name} must be a finite number from 0 (got {value!r})")


@dataclass(frozen=True)
class SensorRules(_Rules):
    """The sensor check, once a run: what is around the GPU, then what its sensors can do.

    quiet_s: without work before looking; utilisation_limit_share: above it, others are at work.
    check_idle_s, check_spin_s: polled at rest and under load, every check_poll_s. check_tries:
    readings that must fail before a source counts as missing. rise_share: of a step of power, at
    which a source has followed it.
    """

    quiet_s: float = 1.2
    utilisation_limit_share: float = 0.05
    check_idle_s: float = 1.5
    check_spin_s: float = 2.0
    check_poll_s: float = 1e-3
    check_tries: int = 3
    rise_share: float = 0.95


@dataclass(frozen=True)
class TimingRules(_Rules):
    """The runtime of one launch."""

    # Estimate, graph and copies of the operands. What is queued before an estimate hides what the
    # host takes to queue it.
    estimate_lead_in_s: float = 0.5e-3
    estimate_launches: int = 3
    coarse_s: float = 50e-3
    batch_s: float = 1e-3
    batch_launches_limit: int = 512
    least_batch_share: float = 0.5
    cold_l2_factor: float = 3.0

    # A GPU that is awake and warm. A clock below that share of the highest is asleep; it is awake
    # when two pieces of spin agree so well, and its memory is as fast as under the sensor check.
    idle_limit_s: float = 50e-3
    awake_clock_share: float = 0.6
    spin_s: float = 20e-3
    awake_limit_s: float = 0.3
    awake_change_share: float = 0.01
    memory_clock_share: float = 0.99
    warm_up_launches: int = 3
    warm_up_s: float = 2e-3

    # Batches. What is queued before the first mark hides the host's own cost.
    lead_in_s: float = 100e-6
    stretch_limit_s: float = 5e-3
    rest_s: float = 1e-3
    batches_least: int = 7
    batches_most: int = 25
    batches_gpu_s: float = 40e-3
    notch_share: float = 0.005
    tick_s: float = 32e-9

    # Clocks.
    clock_drop_share: float = 0.02
    retries: int = 2
    retry_pause_s: float = 0.5


@dataclass(frozen=True)
class PowerRules(_Rules):
    """Power, and the runtime under a load that lasts."""

    # Queueing, settling and windows of each source.
    sustained_graph_s: float = 15e-3
    sustained_launches_limit: int = 8192
    queue_lead_s: float = 0.1
    queue_round_s: float = 0.2
    queue_margin_s: float = 50e-3
    poll_s: float = 1e-3
    other_poll_s: float = 50e-3
    edge_limit_s: float = 10e-3
    edge_calls: int = 5
    edge_period_share: float = 1.0 / 3.0
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

    # Checks of the result.
    steady_power_share: float = 0.03
    steady_clock_share: float = 0.02
    extension_s: float = 0.7
    sources_share: float = 0.05
    least_idle_share: float = 0.8
    most_limit_share: float = 1.1


@dataclass(frozen=True)
class CorrectnessRules(_Rules):
    """The largest errors of right results: norm of the error over norm of the result, by dtype.

    verify_entries: of each point; verify_wrong_points: after so many a build is quarantined.
    limit_f16_sums: times the root of k, for sums that are kept in f16. s8 is exact.
    """

    verify_entries: int = 256
    verify_wrong_points: int = 2
    limit_f64: float = 1e-12
    limit_f32: float = 1e-4
    limit_tf32: float = 2e-3
    limit_f16: float = 2e-3
    limit_bf16: float = 1e-2
    limit_fp8: float = 5e-2
    limit_s8: float = 0.0
    limit_f16_sums: float = 4e-4

    def error_limit(self, dtype: str) -> float:
        """Return the largest error of a right result; of block-scaled types that of fp8."""
        limit: float = getattr(self, f"limit_{dtype}", self.limit_fp8)
        return limit


@dataclass(frozen=True)
class RunRules(_Rules):
    """The rows of a run beside its points: sentinels, gold windows, repeats, and its slices.

    sentinel_power_share, sentinel_runtime_share: change between two sentinels that counts as drift.
    sticky_errors: lost contexts or processes after which a build is quarantined.
    """

    sentinel_power_share: float = 0.03
    sentinel_runtime_share: float = 0.015
    gold_windows: int = 6
    gold_window_s: float = 5.0
    repeat_every: int = 50
    timing_slice_s: float = 6.0
    power_slice_s: float = 12.0
    sticky_errors: int = 2


@dataclass(frozen=True)
class FaultRules(_Rules):
    """The limits for silent workers, late disks and failing points; none of them makes a label.

    A worker that is silent for max(watchdog_s, watchdog_factor * expected time) is killed; one that
    is asked to stop has stop_s. journal_sync_s: how long a line may wait for the disk.
    failing_warn_share, failing_stop_share: of points that failed, for a warning and for the end.
    """

    watchdog_s: float = 5.0
    watchdog_factor: float = 20.0
    failing_warn_share: float = 0.1
    failing_stop_share: float = 1.0 / 3.0
    journal_sync_s: float = 1.0
    stop_s: float = 2.0


@dataclass(frozen=True)
class Protocol:
    """The rules of measuring (`docs/measurement.md`) as numbers; the hash goes into every row.

    All parts but `faults` are in the hash. No two numbers have one name, whatever their parts.
    """

    sensors: SensorRules = field(default_factory=SensorRules)
    timing: TimingRules = field(default_factory=TimingRules)
    power: PowerRules = field(default_factory=PowerRules)
    correctness: CorrectnessRules = field(default_factory=CorrectnessRules)
    run: RunRules = field(default_factory=RunRules)
    faults: FaultRules = field(default_factory=FaultRules)

    def to_json(self) -> dict[str, float]:
        """Return the numbers that the hash covers, by name, as JSON values."""
        parts = (self.sensors, self.timing, self.power, self.correctness, self.run)
        return {name: value for part in parts for name, value in asdict(part).items()}

    @property
    def hash(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the numbers as sorted JSON."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

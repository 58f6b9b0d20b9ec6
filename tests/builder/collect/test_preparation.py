"""Preparation: the GPUs of a survey and a sweep become a job for each GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.plans import QUICK, TILED

from builder.collect import SIMULATED, CollectOptions, DeviceSpec
from builder.collect.journal import Folder
from builder.collect.preparation import Prepared, prepared
from builder.collect.survey import Surveyed, SurveyError
from builder.compile import ReadyKernels
from builder.device.simulated import SimulatedDevice
from builder.kernels import select
from builder.plan import Sweep
from builder.plan.sweep import Group, Range, Shapes
from gpperf_lite import Gpu

SHAPES = Shapes((Range(6, 10),) * 3)
SWEEP = Sweep("small", (Group((TILED, "tiled_sgemm_8", "tiled_sgemm_9"), SHAPES),), points=12)
REASON = "it does not compile"


def surveyed(seed: int) -> Surveyed:
    device = SimulatedDevice(seed)
    spec = DeviceSpec(SIMULATED, device.identity.uuid, seed)
    return Surveyed(spec, device.identity, device.gpu)


def compile_most(patterns: Sequence[str], gpu: Gpu) -> ReadyKernels:
    """All builds but one get a key."""
    builds = [replace(one, key=f"of {one.kernel.name}") for one in select(patterns)]
    ready = [one for one in builds if one.kernel.name != "tiled_sgemm_9"]
    return ReadyKernels(tuple(ready), (("tiled_sgemm_9", REASON),))


def compile_none(patterns: Sequence[str], gpu: Gpu) -> ReadyKernels:
    raise AssertionError


@pytest.fixture
def options(tmp_path: Path) -> CollectOptions:
    return CollectOptions(tmp_path / "s.toml", tmp_path / "out.parquet", cubins=tmp_path / "none")


@pytest.fixture
def ready(options: CollectOptions) -> Prepared:
    return prepared(options, SWEEP, [surveyed(1), surveyed(2)], compile_most)


def test_each_gpu_gets_a_journal_and_a_share_of_the_plan(
    ready: Prepared, options: CollectOptions
) -> None:
    with Folder(options.folder) as folder:
        jobs = ready.jobs(folder, QUICK, 12.5)
    assert [one.spec.seed for one, _ in jobs] == [1, 2]
    assert [job.journal.name for _, job in jobs] == ["gpu-0.jsonl", "gpu-1.jsonl"]
    assert {job.journal.parent for _, job in jobs} == {options.output.with_suffix(".journal")}
    points = Counter(point for _, job in jobs for point in job.plan.points)
    assert points == Counter(ready.plan.points)
    assert {(job.protocol, job.stop_at_s, job.cubins) for _, job in jobs} == {
        (QUICK, 12.5, options.cubins)
    }


def test_builds_carry_the_keys_of_their_cubins_into_the_jobs(
    ready: Prepared, options: CollectOptions
) -> None:
    with Folder(options.folder) as folder:
        jobs = ready.jobs(folder, QUICK)
    for _, job in jobs:
        names = {build.kernel.name: build.key for build in job.plan.builds}
        assert names == {name: f"of {name}" for name in (TILED, "tiled_sgemm_8")}


def test_kernels_that_do_not_compile_are_left_out_and_named(ready: Prepared) -> None:
    assert ready.lines() == [f"left out: tiled_sgemm_9: {REASON}"]
    assert ("tiled_sgemm_9", REASON) in ready.plan.left_out
    assert {point.kernel for point in ready.plan.points} == {TILED, "tiled_sgemm_8"}


def test_of_many_kernels_that_do_not_compile_some_are_named(ready: Prepared) -> None:
    many = replace(ready, left_out=tuple((f"kernel {n}", REASON) for n in range(100)))
    assert len(many.lines()) == 8


def test_for_simulated_gpus_nothing_is_compiled(options: CollectOptions) -> None:
    simulated = replace(options, simulate=1)
    ready = prepared(simulated, SWEEP, [surveyed(1)], compile_none)
    assert {build.key for build in ready.plan.builds} == {""}
    assert not ready.left_out


def test_gpus_of_two_models_are_refused(options: CollectOptions) -> None:
    other = replace(surveyed(2), gpu=replace(surveyed(2).gpu, name="B"))
    with pytest.raises(SurveyError, match="must be of one model"):
        prepared(options, SWEEP, [surveyed(1), other], compile_none)

"""A fleet: every GPU measures its share, and one that is lost costs its own share alone."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_ins.compiler import toolchain
from stand_ins.elf import CONSTANTS, make_cubin

from builder.__main__ import main
from builder.collect import SIMULATED, CollectOptions, DeviceSpec
from builder.collect.fleet import RayCluster, collect_on_fleet
from builder.collect.fleet.fleet import (
    LOST,
    Cluster,
    FleetError,
    Part,
    StopFlag,
    compile_some,
    compiled_on,
    measure_share,
    survey_one,
)
from builder.collect.survey import Surveyed
from builder.collect.worker import COMPLETE, STOPPED
from builder.compile import CubinCache, compile_all
from builder.compile.nvrtc import (
    CompileJob,
    CompilerOutput,
)
from builder.dataset import Dataset, read
from builder.device.simulated import SimulatedDevice
from builder.errors import BuilderError
from builder.kernels import Build
from builder.plan import read_sweep
from gpperf_lite._gpu_facts import known_gpus

ROOT = Path(__file__).parents[4]
SWEEP = """
points = 12
power_share = 0.1
[shapes.any]
log2_m = [0, 9]
log2_n = [4, 9]
log2_k = [4, 9]
[[kernels]]
names = ["library", "tiled_hgemm_8", "tiled_hgemm_16"]
dtypes = ["f16"]
shapes = "any"
"""


class LocalFlag(StopFlag):
    def __init__(self) -> None:
        self.times = 0

    def set(self) -> None:
        self.times += 1

    def is_set(self) -> bool:
        return self.times > 0


class LocalCluster(Cluster):
    """Runs tasks one after the other in this process.

    answers: called with the number and the arguments instead of a task, where there is one.
    """

    def __init__(self, n_gpus: int = 2, **answers: Callable[..., Any]) -> None:
        self.n_gpus = n_gpus
        self.flag = LocalFlag()
        self._answers = {"survey_one": surveyed, **answers}

    def run(
        self,
        task: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        poll: Callable[[], None],
        on_gpu: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        assert on_gpu == (task is not compile_some)
        for number, call in reversed(list(enumerate(calls))):
            poll()
            answer = self._answers.get(task.__name__)
            try:
                yield number, answer(number, *call) if answer else task(*call)
            except Exception as error:
                yield number, error


def surveyed(number: int, specs: tuple[DeviceSpec, ...]) -> Surveyed:
    """Return what a simulated GPU is, without a process of its own."""
    with SimulatedDevice(specs[0].seed) as device:
        spec = DeviceSpec(SIMULATED, device.identity.uuid, specs[0].seed)
        return Surveyed(spec, device.identity, device.gpu)


def options_in(folder: Path, **changes: Any) -> CollectOptions:
    sweep = folder / "small.toml"
    sweep.write_text(SWEEP)
    options = CollectOptions(sweep, folder / "out.parquet", simulate=7, cubins=folder / "cubins")
    return replace(options, **changes)


def timed(dataset: Dataset) -> Counter[tuple[Any, ...]]:
    """Return how often each point was timed."""
    names = ("kernel", "m", "n", "k", "layout")
    chosen = (dataset.column("role") == "point") & (dataset.column("regime") == "burst")
    columns = [dataset.column(name)[chosen] for name in names]
    return Counter(zip(*columns, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a collection on two simulated GPUs."""
    folder = tmp_path_factory.mktemp("fleet")
    assert collect_on_fleet(options_in(folder), LocalCluster()) == 0
    return folder


def test_all_points_are_measured_once_between_the_gpus(whole: Path) -> None:
    dataset = read(whole / "out.parquet")
    counts = timed(dataset)
    assert len(counts) == 12
    assert set(counts.values()) == {1}
    assert len(set(dataset.column("device"))) == 2
    assert sorted(path.name for path in (whole / "out.journal").glob("*.jsonl")) == [
        "gpu-0.jsonl",
        "gpu-1.jsonl",
    ]


@pytest.mark.slow
def test_a_collection_that_is_complete_is_not_measured_again(whole: Path, tmp_path: Path) -> None:
    rows = len(read(whole / "out.parquet"))
    options = options_in(tmp_path, journals=whole / "out.journal")
    assert collect_on_fleet(options, LocalCluster()) == 0
    assert len(read(tmp_path / "out.parquet")) == rows


def journal_of(whole: Path, number: int) -> bytes:
    return (whole / "out.journal" / f"gpu-{number}.jsonl").read_bytes()


def test_a_machine_that_is_lost_costs_its_share_alone(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(number: int, *call: Any) -> Part:
        if number == 1:
            raise ConnectionError("its node died\nthe cause: power")
        return Part(journal_of(whole, number), COMPLETE)

    cluster = LocalCluster(measure_share=measure)
    assert collect_on_fleet(options_in(tmp_path), cluster) == 2
    assert len(timed(read(tmp_path / "out.parquet"))) == 6
    assert capsys.readouterr().out.splitlines() == [
        "gpu-0: complete",
        f"gpu-1: {LOST}, the cause: power",
    ]


def test_a_gpu_that_cannot_be_opened_leaves_its_share_to_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(number: int, specs: tuple[DeviceSpec, ...]) -> Surveyed:
        if number == 0:
            raise BuilderError("it is in use")
        return surveyed(number, specs)

    given: list[int] = []

    def measure(number: int, share: Any, *_: Any) -> Part:
        given.append(len(share.job.plan.points))
        return Part(b"", STOPPED, "it was only asked")

    cluster = LocalCluster(survey_one=look, measure_share=measure)
    with pytest.raises(BuilderError, match="nothing was measured: it was only asked"):
        collect_on_fleet(options_in(tmp_path), cluster)
    assert given == [12]
    assert "a GPU is left out: it is in use" in capsys.readouterr().out


def test_a_cluster_none_of_whose_gpus_can_be_opened_is_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    def look(number: int, specs: tuple[DeviceSpec, ...]) -> Surveyed:
        raise BuilderError("there is no driver")

    with pytest.raises(FleetError, match="no GPU of the cluster .* there is no driver"):
        collect_on_fleet(options_in(tmp_path), LocalCluster(survey_one=look))


def test_a_cluster_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="must have a GPU"):
        collect_on_fleet(options_in(tmp_path), LocalCluster(0))


def test_gpus_of_a_cluster_cannot_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="gpus cannot be chosen on a cluster .got 0 1"):
        collect_on_fleet(options_in(tmp_path, gpus=("0", "1")), LocalCluster())


@pytest.mark.parametrize("name", ["as_json", "require_power"])
def test_what_a_cluster_cannot_do_is_refused(tmp_path: Path, name: str) -> None:
    option = {"as_json": "json", "require_power": "require-power"}[name]
    with pytest.raises(FleetError, match=f"--{option} cannot be used on a cluster"):
        collect_on_fleet(options_in(tmp_path, **{name: True}), LocalCluster())


def test_the_deadline_is_what_is_left_when_all_is_ready(tmp_path: Path) -> None:
    left_s: list[float] = []

    def measure(number: int, share: Any, *_: Any) -> Part:
        left_s.append(share.left_s)
        return Part(b"", STOPPED)

    with pytest.raises(BuilderError, match="nothing was measured: stopped"):
        collect_on_fleet(
            options_in(tmp_path, deadline_s=500.0), LocalCluster(measure_share=measure)
        )
    assert len(left_s) == 2
    assert all(300.0 < one < 490.0 for one in left_s)


def test_the_first_interrupt_asks_all_tasks_to_stop(whole: Path, tmp_path: Path) -> None:
    def measure(number: int, *_: Any) -> Part:
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return Part(journal_of(whole, number), STOPPED)

    cluster = LocalCluster(measure_share=measure)
    assert collect_on_fleet(options_in(tmp_path), cluster) == 130
    assert cluster.flag.is_set()
    assert len(timed(read(tmp_path / "out.parquet"))) == 12


def test_the_second_interrupt_ends_tasks_and_keeps_what_came_back(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(number: int, *_: Any) -> Part:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return Part(journal_of(whole, number), STOPPED)

    cluster = LocalCluster(measure_share=measure)
    assert collect_on_fleet(options_in(tmp_path), cluster) == 130
    assert len(timed(read(tmp_path / "out.parquet"))) == 6
    assert "gpu-0: lost, it was ended before its journal came back" in capsys.readouterr().out


@pytest.mark.slow
def test_a_task_measures_until_the_flag_is_set(tmp_path: Path) -> None:
    """Asked for before it began, so that of its long share it measures next to nothing."""
    shares: list[Any] = []

    def keep(number: int, *call: Any) -> Part:
        shares.append(call)
        return Part(b"", STOPPED)

    options = options_in(tmp_path)
    options.sweep.write_text(SWEEP.replace("12", "20000"))
    with pytest.raises(BuilderError, match="nothing was measured: stopped"):
        collect_on_fleet(options, LocalCluster(1, measure_share=keep))
    share, files, flag = shares[0]
    flag.set()
    part = measure_share(share, files, flag)
    assert part.how == STOPPED
    assert part.journal.count(b'"kind":"row"') < 20000


def make_compiled(job: CompileJob) -> CompilerOutput:
    threads = int(dict(job.macros)["TILE"]) ** 2
    return CompilerOutput(make_cubin(constants=CONSTANTS | {"gemm_threads": threads}), "")


class Compiler:
    """Compiles tiled kernels to cubins that hold their constants alone."""

    def __call__(self, job: CompileJob) -> CompilerOutput:
        return make_compiled(job)

    def close(self) -> None:
        """Nothing is going on."""


def test_kernels_are_compiled_by_tasks_and_kept_here(tmp_path: Path) -> None:
    sizes: list[int] = []

    def compile_here(number: int, builds: list[Build], architecture: str) -> dict[str, bytes]:
        sizes.append(len(builds))
        folder = tmp_path / f"node-{number}"
        compile_all(builds, [architecture], folder, compiler=Compiler(), toolchain=toolchain())
        return {path.name: path.read_bytes() for path in folder.glob("*.cubin")}

    options = options_in(tmp_path)
    options.sweep.write_text(SWEEP.replace("tiled_hgemm_16", "tiled_hgemm_1?"))
    cluster = LocalCluster(compile_some=compile_here)
    patterns, gpu = read_sweep(options.sweep).kernels, known_gpus()["h200_sxm"]
    kernels = compiled_on(cluster, options, lambda: None, patterns, gpu)
    assert sorted(sizes) == [3, 8]
    builds = {build.kernel.name: build for build in kernels.builds}
    keys = {name: build.key for name, build in builds.items() if build.key}
    assert set(keys) == set(builds) - {"library"}
    assert len(keys) == 11
    assert builds["tiled_hgemm_8"].kernel.registers is not None
    cubins = CubinCache(options.cubins)
    assert all(cubins.read(key) is not None for key in keys.values())
    before = len(sizes)
    assert compiled_on(cluster, options, lambda: None, patterns, gpu) == kernels
    assert len(sizes) == before


def test_tasks_can_be_sent_to_another_process() -> None:
    for task in (survey_one, compile_some, measure_share):
        assert pickle.loads(pickle.dumps(task)) is task


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is not None, reason="Ray is installed here, as it may be"
)
def test_without_ray_a_cluster_says_how_to_get_it() -> None:
    with pytest.raises(FleetError, match="pip install .*ray"):
        RayCluster()


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is not None, reason="Ray is installed here, as it may be"
)
@pytest.mark.parametrize("address", ["local", "ray://10.0.0.1:10001"])
def test_the_command_says_how_to_get_ray(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    options = options_in(tmp_path)
    files = ["--sweep", str(options.sweep), "--output", str(options.output)]
    assert main(["collect", *files, "--ray", address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Ray must be installed to use a cluster: pip install '.[ray]'" in line
    assert not options.output.exists()


def test_the_command_refuses_gpus_of_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_in(tmp_path)
    files = ["--sweep", str(options.sweep), "--output", str(options.output)]
    assert main(["collect", *files, "--ray", "local", "--gpus", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "gpus cannot be chosen on a cluster (got 0)" in line


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install ray)"
)
def test_a_cluster_of_ray_measures_on_two_gpus(tmp_path: Path, whole: Path) -> None:
    """About a minute: Ray starts a cluster of this machine, with two GPUs that are simulated."""
    options = options_in(tmp_path)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "builder", "collect", "--ray", "local", "--simulate", "7"]
    done = subprocess.run(
        [*command, "--sweep", options.sweep, "--output", options.output],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    dataset, locally = read(options.output), read(whole / "out.parquet")
    assert timed(dataset) == timed(locally)
    assert set(dataset.column("device")) == set(locally.column("device"))
    assert np.isfinite(dataset.usable().column("runtime_s")).all()

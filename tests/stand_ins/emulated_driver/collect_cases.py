"""A whole collection on the emulated GPU: the real device in real workers, from sweep to dataset.

conftest.py runs the cases in a process in which libcuda.so.1 and libnvidia-ml.so.1 are the
emulated ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stand_ins.emulated_driver.emulation import Emulation

from builder.collect import CollectOptions, collect
from builder.compile import SUPPORT, CubinCache
from builder.compile.cache import CachedCubin, CompilerFacts
from builder.dataset import Dataset, read
from builder.doctor import examine
from builder.kernels.catalogue import catalogue
from builder.measure import FaultRules, PowerRules, Protocol, SensorRules

pytestmark = pytest.mark.slow

# The check of the sensors is shorter than on a GPU. The windows of power are not: a busy host is
# late at their edges, by as much in short ones as in long ones. It may keep a worker silent, too:
# the watchdog waits for so long that only one that hangs is killed.
BRISK = Protocol(
    sensors=SensorRules(quiet_s=0.3, check_idle_s=0.5, check_spin_s=0.8),
    power=PowerRules(settle_s=0.1),
    faults=FaultRules(watchdog_s=60.0, watchdog_factor=100.0),
)

GOOD, BROKEN = "tiled_sgemm_8", "tiled_sgemm_9"
SWEEP = f"""
points = 6
budget_s = 30

[shapes.small]
log2_m = [3, 4]
log2_n = [3, 4]
log2_k = [3, 4]

[[kernels]]
names = ["{GOOD}", "{BROKEN}"]
shapes = "small"
layouts = ["nn", "tt"]
"""


def cache(folder: Path) -> dict[str, str]:
    """Fill a cache with what the emulated driver takes for cubins; return the keys of kernels.

    One of them is no good.
    """
    emulation, cubins = Emulation(), CubinCache(folder)
    images = {GOOD: GOOD, BROKEN: "broken"}
    support = cubins.job(SUPPORT, (), "sm_90")
    cubins.write(cubins.key(support), CachedCubin(emulation.image("support"), None, ""))
    keys = {}
    for name, image in images.items():
        build = catalogue()[name]
        threads = build.kernel.threads or 0
        program = cubins.job(build.source, build.macros, "sm_90")
        entry = CachedCubin(emulation.image(image), CompilerFacts(threads, 32, 1024, 0), "")
        keys[name] = cubins.key(program)
        cubins.write(keys[name], entry)
    return keys


def collected(folder: Path) -> tuple[int, Dataset]:
    """Collect with the cubins of a folder, and return the exit code and the dataset."""
    sweep, output = folder / "small.toml", folder / "small.parquet"
    sweep.write_text(SWEEP)
    cubins = folder / "cubins"
    options = CollectOptions(
        sweep, output, gpus=("0",), deadline_s=240.0, cubins=cubins, quiet=True
    )
    return collect(options, BRISK), read(output)


def test_a_collection_measures_what_is_good_and_survives_what_is_not(tmp_path: Path) -> None:
    keys = cache(tmp_path / "cubins")
    code, dataset = collected(tmp_path)
    rows = dataset.table.to_pylist()
    text = "\n".join(f"{row['kernel']} {row['status']} {row['reason']}" for row in rows)
    assert code in (0, 2), text
    good = [row for row in rows if row["kernel"] == GOOD and row["status"] == "ok"]
    assert {row["regime"] for row in good} == {"burst", "sustained"}, text
    assert all(row["runtime_s"] > 0 for row in good)
    assert all(row["verify_error"] < 1e-5 for row in good if row["verify_error"] is not None)
    # The emulated board draws 250 W, whatever it does.
    power = [row["power_w"] for row in good if row["regime"] == "sustained"]
    np.testing.assert_allclose(power, 250.0, rtol=0.02)
    assert {row["power_source"] for row in good if row["power_w"]} == {"energy_counter"}
    assert not [row for row in rows if row["kernel"] == BROKEN and row["status"] == "ok"], text
    (collection,) = dataset.provenance
    assert keys[BROKEN] in collection["quarantined"]
    assert keys[GOOD] not in collection["quarantined"]
    assert len(collection["sessions"]) == 3
    sources = collection["gpu_provenance"]
    assert sources["power_limit_w"] == "NVML's enforced limit"
    assert "gpperf_lite/gpus.json" in sources["idle_power_w"]
    assert "times SMs and clock" in sources["peak_flops"]
    (gpu,) = dataset.gpus.values()
    assert gpu.name == "NVIDIA H200"


def test_the_doctor_finds_the_emulated_gpu_in_order() -> None:
    found = {finding.name: finding for finding in examine()}
    assert found["NVIDIA driver"].text == "release 580.00.01, supports CUDA 13.0"
    assert found["GPU 0 energy counter"].status == "ok"
    assert found["GPU 0 instant power"].text == "250 W"
    assert found["GPU 0 MIG"].text == "off"
    assert found["GPU 1 sensors"].status == "missing"

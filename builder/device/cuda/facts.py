"""The facts of a GPU as its driver states them; none of this creates a context."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpperf_lite import Gpu, UnknownGpuError
from gpperf_lite._gpu_facts import find_gpu

from ..interface import DeviceError, Identity
from .cards import Card
from .driver import Driver, supported_cuda

_DTYPES = ("f64", "f32", "tf32", "f16", "bf16", "s8", "fp8", "fp8_block", "nvfp4")
_OPERATIONS = {
    (6, 0): (64, 128, 0, 0, 0, 0, 0, 0, 0),
    (6, 1): (8, 256, 0, 0, 0, 0, 0, 0, 0),
    (7, 0): (64, 128, 0, 1024, 0, 0, 0, 0, 0),
    (7, 5): (4, 128, 0, 1024, 0, 2048, 0, 0, 0),
    (8, 0): (128, 128, 1024, 2048, 2048, 4096, 0, 0, 0),
    (8, 6): (4, 256, 512, 1024, 1024, 2048, 0, 0, 0),
    (8, 7): (4, 256, 1024, 2048, 2048, 4096, 0, 0, 0),
    (8, 9): (4, 256, 512, 1024, 1024, 2048, 2048, 2048, 0),
    (9, 0): (256, 256, 2048, 4096, 4096, 8192, 8192, 8192, 0),
    (10, 0): (256, 256, 4096, 8192, 8192, 16384, 16384, 16384, 32768),
    (10, 3): (8, 256, 4096, 8192, 8192, 2048, 16384, 16384, 49152),
    (11, 0): (8, 256, 4096, 8192, 8192, 16384, 16384, 16384, 32768),
    (12, 0): (4, 256, 512, 1024, 1024, 2048, 2048, 2048, 4096),
}
"""Dense operations (a multiply-add is two) per SM and clock by compute capability and dtype.

The widest of each generation's chips, so that a peak made of it is an upper bound: from the white
papers of Pascal to Blackwell and the sheets of Jetson modules, peak over SMs and boost clock. 0:
there is no unit for the dtype.
"""


def identify(driver: Driver, card: Card, driver_version: str) -> Identity:
    """Return the identity of a GPU; `driver_version` is NVML's."""
    cuda = "{}.{}".format(*supported_cuda(driver))
    return Identity(card.uuid, card.name, card.pci, driver_version, cuda)


class GpuFacts(NamedTuple):
    """A GPU, and the source of each of its facts."""

    gpu: Gpu
    provenance: dict[str, str]


def read_facts(driver: Driver, card: Card, power_limit_w: float | None) -> GpuFacts:
    """Return the facts of a GPU: of the driver where it has them, else of `gpus.json`.

    power_limit_w: the limit that NVML enforces, where it tells. Raises DeviceError where neither
    tells a fact.
    """
    handle = driver.call("cuDeviceGet", card.ordinal)
    known = _known(card.name)
    sm_count = _attribute(driver, handle, "MULTIPROCESSOR_COUNT")
    clock_hz = _attribute(driver, handle, "CLOCK_RATE") * 1e3
    capability = read_capability(driver, card)
    # Two transfers a clock, on every kind of memory that NVIDIA builds in. Memory that is shared
    # with the host has no clock of its own.
    bus_bytes = _attribute(driver, handle, "GLOBAL_MEMORY_BUS_WIDTH") / 8
    dram_bytes_per_s = 2.0 * bus_bytes * _attribute(driver, handle, "MEMORY_CLOCK_RATE") * 1e3
    attributes = {
        "clock_hz": clock_hz,
        "l2_bytes": _attribute(driver, handle, "L2_CACHE_SIZE"),
        "dram_bytes_per_s": dram_bytes_per_s,
    }
    told = {name: value or _stated(card, known, name) for name, value in attributes.items()}
    computed = peaks_of(capability, sm_count * told["clock_hz"])
    # A partition has fewer SMs, and so have other boards of one name: an RTX 3080, any Orin.
    stated = dict(known.peak_flops) if known is not None and known.sm_count == sm_count else {}
    gpu = Gpu(
        name=card.name,
        compute_capability=capability,
        sm_count=sm_count,
        memory_bytes=driver.call("cuDeviceTotalMem", handle),
        **told,
        peak_flops={**computed, **stated},
        power_limit_w=power_limit_w or (known.power_limit_w if known else None),
        idle_power_w=_idle_power_w(known, power_limit_w),
    )
    untold = [name for name, value in attributes.items() if not value]
    return GpuFacts(gpu, _provenance(gpu, stated, untold, power_limit_w))


def _stated(card: Card, known: Gpu | None, name: str) -> float:
    """Return a fact that the driver does not tell; raises DeviceError where nobody does."""
    if known is None:
        raise DeviceError(
            0,
            "cuDeviceGetAttribute",
            f"the driver does not tell the {name} of {card.name!r}, and gpperf_lite/gpus.json "
            "does not know this GPU: add its data sheet there",
        )
    value: float = getattr(known, name)
    return value


def read_capability(driver: Driver, card: Card) -> tuple[int, int]:
    """Return the compute capability of a GPU, such as (9, 0)."""
    handle = driver.call("cuDeviceGet", card.ordinal)
    major = _attribute(driver, handle, "COMPUTE_CAPABILITY_MAJOR")
    return major, _attribute(driver, handle, "COMPUTE_CAPABILITY_MINOR")


def peaks_of(capability: tuple[int, int], sm_clocks_per_s: float) -> dict[str, float]:
    """Return an upper bound of the FLOP/s by dtype; sm_clocks_per_s: SMs times their clock.

    A capability that is not known has the rates of the nearest below.
    """
    below = [known for known in _OPERATIONS if known <= capability]
    rates = _OPERATIONS[max(below, default=min(_OPERATIONS))]
    return {
        dtype: rate * sm_clocks_per_s for dtype, rate in zip(_DTYPES, rates, strict=True) if rate
    }


def _provenance(
    gpu: Gpu, stated: dict[str, float], untold: list[str], power_limit_w: float | None
) -> dict[str, str]:
    computed = [dtype for dtype in gpu.peak_flops if dtype not in stated]
    peaks = [f"{' '.join(stated)}: data sheet (gpperf_lite/gpus.json)"] if stated else []
    if computed:
        peaks.append(f"{' '.join(computed)}: operations per SM and clock, times SMs and clock")
    limit = "NVML's enforced limit" if power_limit_w else "gpperf_lite/gpus.json"
    names = ("sm_count", "clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s")
    told = ", ".join(name for name in names if name not in untold)
    return {
        told: "CUDA device attributes",
        **dict.fromkeys(untold, "gpperf_lite/gpus.json"),
        "peak_flops": "; ".join(peaks),
        "power_limit_w": limit if gpu.power_limit_w else "not known",
        "idle_power_w": "gpperf_lite/gpus.json" if gpu.idle_power_w else "not known",
    }


def _idle_power_w(known: Gpu | None, power_limit_w: float | None) -> float | None:
    """Return the idle power of the data sheet where it can be true under the enforced limit."""
    if known is None or known.idle_power_w is None:
        return None
    limit_w = power_limit_w or known.power_limit_w
    return known.idle_power_w if limit_w is None or known.idle_power_w < limit_w else None


def _known(name: str) -> Gpu | None:
    try:
        return find_gpu(name)[1]
    except UnknownGpuError:
        return None


def _attribute(driver: Driver, handle: Any, name: str) -> int:
    attributes = driver.library.CUdevice_attribute
    attribute = getattr(attributes, f"CU_DEVICE_ATTRIBUTE_{name}")
    return int(driver.call("cuDeviceGetAttribute", attribute, handle))

"""Findings on what measuring needs: the driver, the GPUs, and the readings of their sensors.

No context is created on any GPU, and nothing is written to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from gpperf_lite import UnknownGpuError
from gpperf_lite._gpu_facts import find_gpu

from ..architectures import CUDA, ArchitectureError, architecture_named, check_capability
from ..device import DeviceError, SensorError
from ..device.cuda import (
    HOW_TO_UPDATE,
    Card,
    Driver,
    NoSensor,
    NvmlSensor,
    list_cards,
    read_capability,
    supported_cuda,
)
from .finding import Finding

BUSY_SHARE = 0.05
"""Utilisation above which others are taken to be at work."""

_Sensor = NvmlSensor | NoSensor


def check_gpus(
    open_driver: Callable[[], Driver], open_sensor: Callable[[str], _Sensor]
) -> Iterator[Finding]:
    """Yield findings on the driver and on every GPU that it sees.

    open_driver, open_sensor: `load_driver` and `open_sensor` of `device.cuda`, or stand-ins.
    """
    try:
        driver = open_driver()
        cards = list_cards(driver)
        cuda = supported_cuda(driver)
    except DeviceError as error:
        text = f"measuring is not possible here, all else is: {error}"
        yield Finding("NVIDIA driver", "missing", text)
        return
    sensors = {card.uuid: open_sensor(card.uuid) for card in cards}
    yield _driver(cuda, next(iter(sensors.values()), None))
    if not cards:
        text = "none is visible: see CUDA_VISIBLE_DEVICES; inside a container, pass one through"
        yield Finding("GPU", "missing", text)
    for card in cards:
        sensor = sensors[card.uuid]
        try:
            yield from _gpu(driver, card, sensor)
        finally:
            sensor.close()


def _driver(cuda: tuple[int, int], sensor: _Sensor | None) -> Finding:
    release = _release(sensor)
    text = f"{release}, supports CUDA {_dotted(cuda)}"
    if cuda < CUDA:
        text = f"{text}, our cubins need {_dotted(CUDA)}: {HOW_TO_UPDATE}"
        return Finding("NVIDIA driver", "broken", text)
    return Finding("NVIDIA driver", "ok", text)


def _gpu(driver: Driver, card: Card, sensor: _Sensor) -> Iterator[Finding]:
    label = f"GPU {card.ordinal}"
    yield Finding(label, "ok", f"{card.name}, {card.uuid}, {card.pci}")
    yield _architecture(f"{label} architecture", driver, card)
    if isinstance(sensor, NoSensor):
        text = f"{sensor.reason}; without it there is no power and no warning of disturbances"
        yield Finding(f"{label} sensors", "missing", text)
        return
    yield _reading(
        f"{label} energy counter", sensor.total_energy_j, "J", "the best source of power"
    )
    yield _reading(f"{label} instant power", sensor.instant_power_w, "W", "the next best source")
    yield _reading(f"{label} average power", sensor.average_power_w, "W", "the last source")
    yield _reading(f"{label} power limit", sensor.power_limit_w, "W", "rows lack it")
    yield _clocks(label, sensor)
    yield _reading(f"{label} temperature", sensor.temperature_c, "C", "rows lack it")
    yield _throttling(label, sensor)
    yield _partition(label, sensor)
    yield _others(label, sensor)
    yield _utilisation(label, sensor)
    yield _persistence(label, sensor)


def _architecture(name: str, driver: Driver, card: Card) -> Finding:
    """Return the finding on kernels for a GPU, and on the data sheet that is known of it."""
    try:
        capability = read_capability(driver, card)
        check_capability(capability)
    except (DeviceError, ArchitectureError) as error:
        return Finding(name, "broken", str(error))
    try:
        known = f"its data sheet is that of {find_gpu(card.name)[0]}"
    except UnknownGpuError:
        known = "its data sheet is not known, so its peaks are those of its architecture"
    return Finding(name, "ok", f"{architecture_named(capability)}; {known}")


def _reading(name: str, read: Callable[[], float], unit: str, use: str) -> Finding:
    try:
        return Finding(name, "ok", f"{read():,.0f} {unit}")
    except SensorError as error:
        return Finding(name, "missing", f"{error} ({use})")


def _clocks(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} clocks"
    try:
        sm_hz, memory_hz = sensor.sm_clock_hz(), sensor.memory_clock_hz()
    except SensorError as error:
        return Finding(name, "missing", f"{error} (rows lack them)")
    return Finding(name, "ok", f"SM {sm_hz / 1e6:.0f} MHz, memory {memory_hz / 1e6:.0f} MHz")


def _throttling(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} throttling"
    try:
        reasons = sensor.throttle_reasons()
    except SensorError as error:
        return Finding(name, "missing", f"{error} (slow rows cannot be told apart)")
    if not reasons:
        return Finding(name, "ok", "none")
    text = f"clocks are held down now: {', '.join(sorted(reasons))}; wait, or see to its cooling"
    return Finding(name, "warning", text)


def _partition(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} MIG"
    try:
        is_on = sensor.mig_is_on()
    except SensorError as error:
        return Finding(name, "warning", f"{error}; taken to be off")
    if is_on:
        text = "on: power is that of all partitions, so none is measured; measure with MIG off"
        return Finding(name, "warning", text)
    return Finding(name, "ok", "off")


def _others(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} processes"
    try:
        others = [pid for pid in sensor.process_ids() if pid != os.getpid()]
    except SensorError as error:
        return Finding(name, "warning", f"{error}; make sure that nobody else uses the GPU")
    if others:
        listed = ", ".join(map(str, others[:5]))
        text = f"{len(others)} hold a context ({listed}): end them, or every row is flagged"
        return Finding(name, "warning", text)
    return Finding(name, "ok", "none that NVML shows")


def _utilisation(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} utilisation"
    try:
        share = sensor.utilisation()
    except SensorError as error:
        return Finding(name, "warning", f"{error}; make sure that nobody else uses the GPU")
    if share > BUSY_SHARE:
        return Finding(name, "warning", f"{share:.0%}: somebody is at work; every row is flagged")
    return Finding(name, "ok", f"{share:.0%}")


def _persistence(label: str, sensor: NvmlSensor) -> Finding:
    name = f"{label} persistence"
    try:
        is_on = sensor.persistence_is_on()
    except SensorError as error:
        return Finding(name, "warning", f"{error}; it matters little")
    if is_on:
        return Finding(name, "ok", "on")
    text = "off: the driver unloads between runs, and each start takes seconds; it matters little"
    return Finding(name, "ok", text)


def _release(sensor: Any) -> str:
    try:
        return f"release {sensor.driver_version()}" if isinstance(sensor, NvmlSensor) else "loaded"
    except SensorError:
        return "loaded"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"

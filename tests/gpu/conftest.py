"""What the tests on a GPU share. They are skipped only where there is no GPU.

GPPERF_REQUIRE_GPU=1 makes that skip a failure; GPPERF_GPU names the GPU (an index, a UUID or a PCI
id; 0 without it); GPPERF_CUBINS is a folder of cubins that were compiled ahead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import gpu_kernels as kernels
import pytest

from builder.architectures import architecture_named, architecture_of
from builder.device import DeviceError, Program
from builder.device.cuda import Card, list_gpus, load_driver, open_gpu
from builder.device.cuda.cards import find_card
from builder.device.cuda.device import CudaDevice
from builder.device.cuda.facts import read_capability
from builder.kernels import Build
from builder.measure import Protocol

Load = Callable[[Build], Program]


def _no_gpu(reason: str) -> None:
    if os.environ.get("GPPERF_REQUIRE_GPU") == "1":
        pytest.fail(f"a GPU is required (GPPERF_REQUIRE_GPU=1): {reason}")
    pytest.skip(f"no GPU: {reason}")


@pytest.fixture(scope="session")
def card() -> Card:
    """The GPU that is tested; nothing is opened yet."""
    try:
        cards = list_gpus()
    except DeviceError as error:
        _no_gpu(str(error))
    if not cards:
        _no_gpu("the driver sees none")
    return find_card(cards, os.environ.get("GPPERF_GPU", "0"))


@pytest.fixture(scope="module")
def device(card: Card) -> Iterator[CudaDevice]:
    """The GPU, open. A module of its own each: a context that is lost ends one module alone."""
    with open_gpu(card.uuid, kernels.options(kernels.cache())) as device:
        yield device


@pytest.fixture
def protocol() -> Protocol:
    return Protocol()


@pytest.fixture(scope="session")
def reasons(card: Card) -> dict[str, str]:
    """Why kernels cannot be used, by name; all others are compiled now, on all cores."""
    architecture = architecture_named(read_capability(load_driver(), card))
    return kernels.prepare(kernels.needed(architecture), architecture, kernels.cache())


@pytest.fixture(scope="module")
def load(device: CudaDevice, reasons: dict[str, str]) -> Load:
    """Load a build that is compiled."""
    architecture = architecture_of(device.gpu)

    def loaded(build: Build) -> Program:
        if not build.source:
            return device.load(build.kernel, None)
        found = kernels.cubins().get(build, architecture)
        assert found is not None, reasons.get(build.kernel.name, "it is not in the cache")
        kernel, cubin, _ = found
        return device.load(kernel, cubin)

    return loaded

"""Architectures: those that CUDA 13.0 compiles for, and one clear sentence for all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.architectures import (
    CAPABILITIES,
    ArchitectureError,
    architecture_named,
    architecture_of,
    capability_of,
    check_capability,
)
from gpperf_lite._gpu_facts import known_gpus

OLDER = {name for name, gpu in known_gpus().items() if gpu.compute_capability < (7, 5)}


def refusal(name: str) -> str:
    with pytest.raises(ArchitectureError) as caught:
        capability_of(name)
    return str(caught.value)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_known_architecture_is_its_capability(capability: tuple[int, int]) -> None:
    assert capability_of(architecture_named(capability)) == capability
    check_capability(capability)


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("sm_72", "sm_72 (Volta)"),
        ("sm_70", "sm_70 (Volta)"),
        ("compute_70", "sm_70 (Volta)"),
        ("sm_61", "sm_61 (Pascal)"),
        ("compute_60", "sm_60 (Pascal)"),
        ("sm_52", "sm_52 (Maxwell)"),
        ("sm_35", "sm_35 (Kepler)"),
        ("sm_20", "sm_20 (Fermi)"),
        ("sm_13", "sm_13 (an early one)"),
    ],
)
def test_an_older_one_is_refused_with_its_generation(name: str, generation: str) -> None:
    assert refusal(name) == (
        f"CUDA 13 compiles for sm_75 and newer, and {generation} is older: kernels can neither be "
        "compiled nor measured for it, but tables that others measured on it can be imported"
    )


@pytest.mark.parametrize("name", ["sm_91", "sm_101", "compute_81", "sm_130"])
def test_one_that_the_compiler_does_not_know_gets_the_list(name: str) -> None:
    text = refusal(name)
    assert text.startswith("CUDA 13.0 does not compile for sm_")
    assert text.endswith(": it knows 75 80 86 87 88 89 90 100 103 110 120 121")


@pytest.mark.parametrize("name", ["", "90", "sm_9", "sm90", "sm_1000", "SM_90", "hopper", "sm_9x"])
def test_what_is_no_architecture_is_refused_with_an_example(name: str) -> None:
    assert refusal(name) == f"an architecture must be like sm_90 (got {name!r})"


@pytest.mark.parametrize("name", ["compute_90", "sm_90a", "sm_100f"])
def test_what_is_more_than_an_architecture_is_refused_with_the_one_to_say(name: str) -> None:
    assert f"say sm_{'100' if '100' in name else '90'})" in refusal(name)


@given(st.text())
def test_any_text_is_an_architecture_or_an_error_of_ours(text: str) -> None:
    try:
        found, said = capability_of(text), ""
    except ArchitectureError as error:
        found, said = None, str(error)
    assert (found in CAPABILITIES) == (not said)
    assert len(said) < 300


def test_the_list_is_that_of_the_installed_compiler() -> None:
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    try:
        code, numbers = nvrtc.nvrtcGetSupportedArchs()
        version = nvrtc.nvrtcVersion()[1:]
    except RuntimeError as error:
        pytest.skip(f"no NVRTC: {error}")
    if tuple(version) != (13, 0):
        pytest.skip(f"NVRTC is {version}, not 13.0")
    assert int(code) == 0
    assert [10 * major + minor for major, minor in CAPABILITIES] == list(numbers)


@pytest.mark.parametrize("name", known_gpus())
def test_every_gpu_that_is_known_is_compiled_for_or_older(name: str) -> None:
    gpu = known_gpus()[name]
    if name in OLDER:
        with pytest.raises(ArchitectureError, match=f"^{gpu.name}: CUDA 13 compiles for sm_75"):
            check_capability(gpu.compute_capability, gpu.name)
    else:
        assert capability_of(architecture_of(gpu)) == gpu.compute_capability


def test_the_older_gpus_are_those_of_volta_and_pascal() -> None:
    volta = {name for name in known_gpus() if name.startswith("v100_")}
    assert {"p4", "p100_pcie_16gb"} | volta == OLDER

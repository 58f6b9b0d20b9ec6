"""A real GPU's device by its parts; `stand_ins/emulated_driver` holds the whole of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.cuda_on_host.host import CUDA, compiler
from stand_ins.gpu_rates import share_of

from builder.device import DeviceError
from builder.device.cuda import Card
from builder.device.cuda.cards import find_card
from builder.device.cuda.clocks import clock_between
from builder.device.cuda.facts import peaks_of
from builder.device.cuda.pools import ELEMENT_BYTES, INPUTS, OUTPUTS
from builder.device.cuda.problem import LAUNCH, PROBLEM, launch_shape
from builder.device.cuda.support import ELEMENT_TYPES, STAMP
from builder.kernels.catalogue import catalogue
from gpperf_lite import Gpu
from gpperf_lite._gemm import DTYPES
from gpperf_lite._gpu_facts import known_gpus

CARDS = [
    Card(0, "GPU-00112233-4455-6677-8899-aabbccddeeff", "NVIDIA H200", "0000:1B:00.0"),
    Card(1, "GPU-00ff2233-4455-6677-8899-aabbccddeeff", "NVIDIA H200", "0000:B1:00.0"),
    Card(2, "GPU-ffeeddcc-bbaa-9988-7766-554433221100", "NVIDIA L40S", "0001:1B:00.0"),
]


@pytest.mark.parametrize(
    ("name", "header", "layout"),
    [
        ("Problem", "problem.h", PROBLEM),
        ("Launch", "problem.h", LAUNCH),
        ("Stamp", "support.h", STAMP),
    ],
)
def test_structures_lie_in_memory_as_in_c(
    tmp_path: Path, name: str, header: str, layout: np.dtype
) -> None:
    assert layout.names is not None
    fields = "".join(
        f'std::printf("%zu %zu\\n", offsetof({name}, {field}), sizeof({name}::{field}));\n'
        for field in layout.names
    )
    source = tmp_path / "offsets.cpp"
    source.write_text(
        f'#include "{header}"\n#include <cstddef>\n#include <cstdio>\n'
        f'int main() {{\n{fields}std::printf("%zu\\n", sizeof({name}));\n}}\n'
    )
    program = tmp_path / "offsets"
    subprocess.run([compiler(), f"-I{CUDA}", str(source), "-o", str(program)], check=True)
    lines = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    *members, size = lines.splitlines()
    assert int(size) == layout.itemsize
    ours = [(layout.fields[field][1], layout.fields[field][0].itemsize) for field in layout.names]
    assert [tuple(map(int, line.split())) for line in members] == ours


def test_no_field_of_the_header_is_missing() -> None:
    """Fields without gaps: what is left between them is padding, below 8 bytes."""
    for layout in (PROBLEM, LAUNCH, STAMP):
        assert layout.fields is not None
        total = sum(field.itemsize for field, *_ in layout.fields.values())
        assert 0 <= layout.itemsize - total < 8


def test_a_launch_is_read_off_its_record() -> None:
    launch = np.zeros(1, LAUNCH)
    launch["grid"], launch["block"], launch["cluster"] = (1, 2, 3), (4, 5, 6), (7, 8, 9)
    launch["shared_bytes"] = 10
    assert launch_shape(launch[0]) == ((1, 2, 3), (4, 5, 6), (7, 8, 9), 10)


def test_codes_of_element_types_are_those_of_the_header() -> None:
    header = (CUDA / "support.h").read_text()
    names = {"fp8": "E4M3"}
    for element, code in ELEMENT_TYPES.items():
        assert f"TYPE_{names.get(element, element.upper())} = {code}," in header


def test_results_are_of_the_type_that_every_kernel_of_the_catalogue_writes() -> None:
    for build in catalogue().values():
        if build.source:
            assert OUTPUTS[build.kernel.dtype or ""] == build.output


@pytest.mark.parametrize("dtype", INPUTS)
def test_elements_in_the_pools_have_the_bytes_that_measuring_reckons_with(dtype: str) -> None:
    assert ELEMENT_BYTES[INPUTS[dtype]] == DTYPES[dtype].a_bytes == DTYPES[dtype].b_bytes
    assert ELEMENT_BYTES[OUTPUTS[dtype]] == DTYPES[dtype].output_bytes


@pytest.mark.parametrize(
    ("which", "ordinal"),
    [
        (0, 0),
        ("2", 2),
        ("GPU-ffeeddcc-bbaa-9988-7766-554433221100", 2),
        ("gpu-ff", 2),
        ("0011", None),
        ("GPU-0011", 0),
        ("0000:1b:00.0", 0),
        ("00000000:1B:00.0", 0),
        ("b1:00.0", 1),
        ("1:1b:00.0", 2),
        ("1b:0:0", 0),
    ],
)
def test_a_gpu_is_found_by_index_uuid_or_pci_id(which: int | str, ordinal: int | None) -> None:
    """Digits alone are an index, even where a UUID begins with them."""
    if ordinal is None:
        with pytest.raises(DeviceError):
            find_card(CARDS, which)
    else:
        assert find_card(CARDS, which).ordinal == ordinal


@pytest.mark.parametrize(
    ("which", "problem"),
    [
        (3, "no GPU"),
        ("", "no GPU"),
        ("GPU-", "several"),
        ("GPU-00", "several"),
        ("zz:0:0", "no GPU"),
    ],
)
def test_a_gpu_that_is_not_found_is_answered_with_all_that_are(
    which: int | str, problem: str
) -> None:
    with pytest.raises(DeviceError, match=problem) as caught:
        find_card(CARDS, which)
    assert all(card.uuid in str(caught.value) for card in CARDS)


def test_without_any_gpu_the_doctor_is_named() -> None:
    with pytest.raises(DeviceError, match="doctor") as caught:
        find_card([], 0)
    assert caught.value.code == 100


@pytest.mark.parametrize("gpu", known_gpus().values(), ids=known_gpus())
def test_peaks_that_are_computed_are_about_those_of_the_data_sheets(gpu: Gpu) -> None:
    """The clock here is the highest that the driver offers; sheets reckon with the boost clock."""
    computed = peaks_of(gpu.compute_capability, gpu.sm_count * gpu.clock_hz)
    for dtype, stated in gpu.peak_flops.items():
        # What a board keeps of it (sums in f32, slow tensor cores), no capability tells.
        assert 0.9 < computed[dtype] * share_of(gpu, dtype) / stated < 1.3, dtype


def test_a_capability_that_is_not_known_has_the_rates_of_the_nearest_below() -> None:
    assert peaks_of((9, 5), 1.0) == peaks_of((9, 0), 1.0)
    assert peaks_of((5, 0), 1.0) == peaks_of((6, 0), 1.0)
    assert "fp8" not in peaks_of((8, 6), 1.0)


def stamps(*readings: tuple[int, int, int]) -> np.ndarray:
    """Return stamps of (SM, time in ns, cycles)."""
    array = np.zeros(len(readings), STAMP)
    for one, (sm, timer_ns, clock) in zip(array, readings, strict=True):
        one["sm"], one["timer_ns"], one["clock"] = sm, timer_ns, clock
    return array


@given(
    clock_hz=st.floats(1e8, 3e9),
    elapsed_ns=st.integers(10_000, 10**9),
    offsets=st.lists(st.integers(0, 2**60), min_size=1, max_size=40),
    order=st.randoms(),
)
def test_the_clock_between_stamps_is_that_of_the_sms_whatever_block_was_where(
    clock_hz: float, elapsed_ns: int, offsets: list[int], order: object
) -> None:
    start_ns = 10**18
    cycles = round(elapsed_ns * clock_hz * 1e-9)
    first = [(sm, start_ns + sm, offset) for sm, offset in enumerate(offsets)]
    last = [(sm, start_ns + sm + elapsed_ns, at + cycles) for sm, at in enumerate(offsets)]
    order.shuffle(last)  # type: ignore[attr-defined]
    got_hz = clock_between(stamps(*first), stamps(*last))
    assert got_hz == pytest.approx(cycles / elapsed_ns * 1e9, rel=1e-9)


def test_sms_that_were_read_once_or_twice_do_not_count() -> None:
    first = stamps((0, 1000, 0), (1, 1000, 500), (1, 1300, 950))
    last = stamps((1, 2000, 2000), (2, 2000, 0), (1, 2200, 2300))
    assert clock_between(first, last) == pytest.approx(1.5e9)


def test_without_an_sm_that_was_read_twice_there_is_no_clock() -> None:
    with pytest.raises(DeviceError, match="no SM"):
        clock_between(stamps((0, 1000, 0)), stamps((1, 2000, 0)))
    with pytest.raises(DeviceError, match="more time"):
        clock_between(stamps((0, 1000, 0)), stamps((0, 1000, 0)))

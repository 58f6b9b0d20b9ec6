"""The cubin reader: what a kernel takes, from well-formed, real and damaged files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.elf import CONSTANTS, make_cubin

from builder.compile.cubin import CubinError, Resources, read_cubin, spill_bytes

LOG = """\
ptxas info    : 6420 bytes gmem
ptxas info    : Compiling entry function 'gemm_run' for 'sm_90'
ptxas info    : Function properties for gemm_run
ptxas         .     656 bytes stack frame, 720 bytes spill stores, 1024 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers
ptxas info    : Compiling entry function 'gemm_make_params' for 'sm_90'
ptxas info    : Function properties for gemm_make_params
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 56 registers, used 0 barriers
"""
SMALL = make_cubin()


@given(
    registers=st.integers(0, 255),
    frame=st.integers(0, 4096),
    static=st.integers(0, 99 << 10),
    reserves=st.booleans(),
    threads=st.integers(0, 2**32 - 1),
)
def test_what_a_cubin_says_is_read(
    registers: int, frame: int, static: int, reserves: bool, threads: int
) -> None:
    constants = CONSTANTS | {"gemm_threads": threads}
    cubin = read_cubin(
        make_cubin(
            constants=constants,
            registers=registers,
            frame_bytes=frame,
            static_bytes=static,
            reserves=reserves,
        )
    )
    assert cubin.kernel("gemm_run") == Resources(registers, frame, static)
    assert set(cubin.kernels) == {"gemm_run", "gemm_make_params"}
    assert {name: cubin.constant(name) for name in constants} == constants


def test_what_a_cubin_lacks_is_named() -> None:
    cubin = read_cubin(make_cubin(constants={"gemm_threads": 1}, kernels=("gemm_run",)))
    with pytest.raises(CubinError, match="export the constant gemm_shared_bytes"):
        cubin.constant("gemm_shared_bytes")
    with pytest.raises(CubinError, match="the constant gemm_thread,"):
        cubin.constant("gemm_thread")
    with pytest.raises(CubinError, match=r"a kernel gemm_make_params \(got \['gemm_run'\]\)"):
        cubin.kernel("gemm_make_params")


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh", b"\x7fELF\x01\x01\x01" * 40])
def test_what_is_no_64_bit_elf_file_is_refused(data: bytes) -> None:
    with pytest.raises(CubinError, match="must be a little-endian ELF64 file"):
        read_cubin(data)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0x28, struct.pack("<Q", 2**63), "cut off"),
        (0x3A, struct.pack("<H", 40), "entries of 40 bytes"),
        (0x3C, struct.pack("<H", 60000), "cut off"),
        (0x3E, struct.pack("<H", 999), "its sections have no names"),
        (0x3E, struct.pack("<H", 2), "must have a section .strtab"),
    ],
)
def test_a_header_that_points_outside_is_refused(at: int, value: bytes, reason: str) -> None:
    with pytest.raises(CubinError, match=reason):
        read_cubin(SMALL[:at] + value + SMALL[at + len(value) :])


def _read_whole(data: bytes) -> None:
    """Read everything; a clean error or plausible numbers, nothing else."""
    try:
        cubin = read_cubin(data)
        resources = cubin.kernel("gemm_run")
        values = [cubin.constant(name) for name in CONSTANTS]
    except CubinError:
        return
    assert resources.registers <= 255
    assert min(resources) >= 0
    assert all(0 <= value < 2**32 for value in values)


@given(st.data())
def test_flipped_bytes_end_in_a_clean_error_or_plausible_numbers(data: st.DataObject) -> None:
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(SMALL) - 1))] = data.draw(st.integers(0, 255))
    _read_whole(bytes(damaged))


def test_every_single_flipped_bit_of_the_tables_is_survived() -> None:
    for at in range(len(SMALL)):
        for bit in (0, 3, 7):
            damaged = bytearray(SMALL)
            damaged[at] ^= 1 << bit
            _read_whole(bytes(damaged))


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(CubinError):
            read_cubin(SMALL[:length])


def test_spills_are_those_of_the_kernel_that_is_asked_for() -> None:
    assert spill_bytes(LOG, "gemm_run") == 720
    assert spill_bytes(LOG, "gemm_make_params") == 0
    assert spill_bytes(LOG, "gemm") is None
    assert spill_bytes("", "gemm_run") is None

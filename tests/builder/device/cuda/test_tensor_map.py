"""Records of TMA descriptors: found, read, encoded and put back; the driver is a fake."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.device import DeviceError
from builder.device.cuda.tensor_map import (
    MARK,
    RECORD,
    DescriptorError,
    TensorMap,
    encode_with,
    patch,
)
from builder.kernels import SOURCES

FIXED = 13020
F16_BOX = TensorMap(6, 0x4000, (1008, 1000, 3), (2144, 2144000), (32, 128, 1), 2)


def record(**changes: Any) -> bytes:
    """Return the record that asks for F16_BOX, with some fields changed."""
    values = {
        "mark": MARK,
        "address": 0x4000,
        "extents": [1008, 1000, 3, 1, 1],
        "strides_bytes": [2144, 2144000, 0, 0],
        "box": [32, 128, 1, 1, 1],
        "modes": 3,
        "element_bits": 16,
        "element": 2,
        "swizzle": 2,
        "swizzle_base": 0,
    } | changes
    made = np.zeros(1, RECORD)
    for name, value in values.items():
        made[name] = value
    return made.tobytes()


class Encoder:
    """Answers with bytes that differ from call to call, and keeps what it was asked for."""

    def __init__(self, n_bytes: int = 128) -> None:
        self.wanted: list[TensorMap] = []
        self._n_bytes = n_bytes

    def __call__(self, wanted: TensorMap) -> bytes:
        self.wanted.append(wanted)
        return bytes([0xE0 + len(self.wanted)]) * self._n_bytes


def test_a_record_becomes_the_descriptor_that_it_asks_for() -> None:
    encode = Encoder()
    assert patch(record(), encode, FIXED) == b"\xe1" * 128
    assert encode.wanted == [F16_BOX]


@given(
    before=st.binary(max_size=256).map(lambda b: b.ljust(-len(b) % 64 + len(b), b"\0")),
    between=st.integers(0, 3),
    after=st.binary(max_size=200),
)
def test_all_but_the_records_stays_as_it_is(before: bytes, between: int, after: bytes) -> None:
    gap = b"\x5a" * (64 * between)
    params = before + record() + gap + record(address=0x8000) + after
    encode = Encoder()
    patched = patch(params, encode, FIXED)
    assert patched == before + b"\xe1" * 128 + gap + b"\xe2" * 128 + after
    assert [one.address for one in encode.wanted] == [0x4000, 0x8000]


@given(st.binary(max_size=600))
def test_parameters_without_records_are_returned_as_they_are(params: bytes) -> None:
    assert patch(params, Encoder(), FIXED) == params


@pytest.mark.parametrize(
    ("element", "bits", "data_type"),
    [(0, 8, 0), (0, 16, 1), (2, 16, 6), (3, 16, 9), (2, 32, 7), (4, 32, 11), (1, 32, 3)],
)
def test_each_type_has_the_number_that_the_driver_gives_it(
    element: int, bits: int, data_type: int
) -> None:
    encode = Encoder()
    patch(record(element=element, element_bits=bits), encode, FIXED)
    assert encode.wanted[0].data_type == data_type
    assert encode.wanted[0].element_bytes == bits // 8


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modes": 0}, "1 to 5 modes"),
        ({"modes": 6}, "1 to 5 modes"),
        ({"element_bits": 4}, "of a known type"),
        ({"element": 9}, "of a known type"),
        ({"swizzle": 4}, "swizzle must be"),
        ({"swizzle_base": 1}, "swizzle must be"),
    ],
)
def test_a_record_that_no_driver_could_encode_is_refused(
    changes: dict[str, int], reason: str
) -> None:
    with pytest.raises(DescriptorError, match=reason):
        patch(record(**changes), Encoder(), FIXED)


def test_a_descriptor_of_another_size_is_refused() -> None:
    with pytest.raises(DescriptorError, match=r"128 bytes \(got 64\)"):
        patch(record(), Encoder(64), FIXED)


@pytest.mark.parametrize(
    ("rows", "driver", "is_cleared"),
    [(100, 13010, True), (100, 12080, True), (100, 13020, False), (1000, 13010, False)],
)
def test_old_drivers_get_one_bit_of_small_tensors_cleared(
    rows: int, driver: int, is_cleared: bool
) -> None:
    """100 rows of 256 elements are 51,200 bytes, 1000 rows more than 128 KiB."""
    params = record(extents=[256, rows, 1, 1, 1], strides_bytes=[512, 0, 0, 0])
    patched = np.frombuffer(patch(params, lambda _: b"\xff" * 128, driver), np.uint64)
    expected = np.full(16, 2**64 - 1, np.uint64)
    if is_cleared:
        expected[1] = 2**64 - 1 - (1 << 21)
    assert patched.tolist() == expected.tolist()


def test_the_span_of_a_tensor_reaches_to_the_end_of_its_last_element() -> None:
    assert F16_BOX.span_bytes == 1007 * 2 + 999 * 2144 + 2 * 2144000 + 2


ENTRY_POINT = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_size_t] * 12)
"""cuTensorMapEncodeTiled, whose 12 arguments are all of a register or less."""


def driver_with(encode: Any) -> Any:
    """Return a driver whose entry point of cuTensorMapEncodeTiled is a function of ours."""
    address = ctypes.cast(encode, ctypes.c_void_p).value

    def call(name: str, symbol: bytes, version: int, flags: int) -> tuple[int | None, int]:
        assert (name, symbol, version, flags) == (
            "cuGetProcAddress", b"cuTensorMapEncodeTiled", 12000, 0,
        )  # fmt: skip
        return address, 0

    return SimpleNamespace(call=call, error=lambda code, name: DeviceError(code, name, "refused"))


def numbers(address: int, kind: Any, count: int) -> list[int]:
    return list((kind * count).from_address(address))


def test_the_driver_is_called_with_everything_that_a_descriptor_says() -> None:
    calls: list[tuple[Any, ...]] = []

    def encode(*arguments: int) -> int:
        target, kind, modes, address, extents, strides, box, steps, *modes_of = arguments
        calls.append(
            (
                *(target % 128, kind & 0xFFFFFFFF, modes & 0xFFFFFFFF, address),
                *(numbers(extents, ctypes.c_uint64, 3), numbers(strides, ctypes.c_uint64, 2)),
                *(numbers(box, ctypes.c_uint32, 3), numbers(steps, ctypes.c_uint32, 3)),
                *(one & 0xFFFFFFFF for one in modes_of),
            )
        )
        ctypes.memmove(target, bytes(range(128)), 128)
        return 0

    assert encode_with(driver_with(ENTRY_POINT(encode)), F16_BOX) == bytes(range(128))
    wanted = (0, 6, 3, 0x4000, [1008, 1000, 3], [2144, 2144000], [32, 128, 1], [1, 1, 1])
    assert calls == [(*wanted, 0, 2, 2, 0)]


def test_descriptors_are_always_encoded_into_aligned_memory() -> None:
    places = set()

    def encode(target: int, *others: int) -> int:
        places.add(target % 128)
        return 0

    entry = ENTRY_POINT(encode)
    kept = [encode_with(driver_with(entry), F16_BOX) for _ in range(50)]
    assert places == {0}, len(kept)


def test_a_driver_that_refuses_or_has_no_entry_point_is_an_error() -> None:
    with pytest.raises(DeviceError, match="cuTensorMapEncodeTiled failed: refused"):
        encode_with(driver_with(ENTRY_POINT(lambda *_: 1)), F16_BOX)
    absent = SimpleNamespace(call=lambda *_: (0, 1))
    with pytest.raises(DeviceError, match="no such function: install a driver"):
        encode_with(absent, F16_BOX)


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_the_fields_lie_where_the_header_has_them(tmp_path: Path) -> None:
    names = [name for name in RECORD.names or () if name != "unused"]
    prints = "".join(
        f'std::printf("{name} %zu\\n", offsetof(TmaRecord, {name}));' for name in names
    )
    source = tmp_path / "offsets.cpp"
    source.write_text(
        f'#include <cstddef>\n#include <cstdio>\n#include "{SOURCES / "tma_record.h"}"\n'
        f'int main() {{ std::printf("%llu %zu\\n", TMA_RECORD_MARK, sizeof(TmaRecord)); {prints} }}'
    )
    program = tmp_path / "offsets"
    subprocess.run(["g++", "-std=c++17", str(source), "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    first, *lines = done.stdout.splitlines()
    assert first == f"{MARK} {RECORD.itemsize}"
    assert dict(line.split() for line in lines) == {
        name: str((RECORD.fields or {})[name][1]) for name in names
    }

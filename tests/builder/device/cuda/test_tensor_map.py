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


def test_the_driver_is_called_with_everything_that_a_descriptor_says() -> None:
    calls: list[tuple[Any, ...]] = []
    made = ctypes.create_string_buffer(bytes(range(128)), 128)

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return SimpleNamespace(getPtr=lambda: ctypes.addressof(made))

    names = (
        "CUtensorMapDataType", "CUtensorMapInterleave", "CUtensorMapSwizzle",
        "CUtensorMapL2promotion", "CUtensorMapFloatOOBfill", "cuuint64_t", "cuuint32_t",
    )  # fmt: skip
    library = SimpleNamespace(**{name: lambda value, name=name: (name, value) for name in names})
    driver = SimpleNamespace(library=library, call=call)
    assert encode_with(driver, F16_BOX) == bytes(range(128))
    assert calls == [
        (
            "cuTensorMapEncodeTiled",
            ("CUtensorMapDataType", 6),
            3,
            0x4000,
            [("cuuint64_t", 1008), ("cuuint64_t", 1000), ("cuuint64_t", 3)],
            [("cuuint64_t", 2144), ("cuuint64_t", 2144000)],
            [("cuuint32_t", 32), ("cuuint32_t", 128), ("cuuint32_t", 1)],
            [("cuuint32_t", 1)] * 3,
            ("CUtensorMapInterleave", 0),
            ("CUtensorMapSwizzle", 2),
            ("CUtensorMapL2promotion", 2),
            ("CUtensorMapFloatOOBfill", 0),
        )
    ]


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

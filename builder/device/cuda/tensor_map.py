"""TMA descriptors: records of them in a kernel's parameters become what the driver encodes.

`cuda/tma_record.h` leaves a record in the place of every descriptor of CUTLASS 3.x's parameters:
the arguments of cuTensorMapEncodeTiled. The host makes that call and puts the 128 bytes of its
result in the record's place, before the first launch. Nothing of this was ever run on a GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import BuilderError
from ..interface import DeviceError
from .driver import HOW_TO_UPDATE, Driver

RECORD = np.dtype(
    [
        ("mark", np.uint64),
        ("address", np.uint64),
        ("extents", np.uint64, 5),
        ("strides_bytes", np.uint64, 4),
        ("box", np.uint16, 5),
        ("modes", np.uint8),
        ("element_bits", np.uint8),
        ("element", np.uint8),
        ("swizzle", np.uint8),
        ("swizzle_base", np.uint8),
        ("unused", np.uint8, 25),
    ]
)
"""`TmaRecord` of `cuda/tma_record.h`, field by field: 128 bytes."""

MARK = 0x31_43_45_52_41_4D_54_00
DESCRIPTOR_BYTES = 128
L2_PROMOTION_128B = 2

_PLACE_BYTES = 64
_MOST_MODES = 5
_UNSIGNED, _SIGNED, _FLOAT, _BFLOAT, _TFLOAT = range(5)
_TYPES = {
    (_UNSIGNED, 8): 0,
    (_UNSIGNED, 16): 1,
    (_UNSIGNED, 32): 2,
    (_SIGNED, 32): 3,
    (_UNSIGNED, 64): 4,
    (_SIGNED, 64): 5,
    (_FLOAT, 16): 6,
    (_FLOAT, 32): 7,
    (_FLOAT, 64): 8,
    (_BFLOAT, 16): 9,
    (_TFLOAT, 32): 11,
}
"""CUtensorMapDataType by kind of element and its bits."""

_NAME = "cuTensorMapEncodeTiled"
_SINCE = 12000
"""CUDA's release in which it came, as cuGetProcAddress wants it."""

_ENCODE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint32,
    ctypes.c_void_p,
    *[ctypes.c_void_p] * 4,
    *[ctypes.c_int] * 4,
)
"""cuTensorMapEncodeTiled: the map, type, modes, address; extents, strides, box, element strides;
interleaving, swizzle, promotion to L2, fill (`cuda.h`)."""

_ALIGNMENT = 128
_WIDEST_SWIZZLE = 3
_LAST_WRONG_DRIVER = 13010
_SMALL_BYTES = 128 << 10
_SMALL_BIT = 21


class DescriptorError(BuilderError):
    """A kernel's parameters ask for a descriptor that cannot be."""


@dataclass(frozen=True)
class TensorMap:
    """Arguments of cuTensorMapEncodeTiled.

    data_type, swizzle, l2_promotion: values of CUtensorMapDataType, CUtensorMapSwizzle and
    CUtensorMapL2promotion; element strides are 1, there is no interleaving, and what lies outside
    reads as 0. extents, box: elements along each mode, the contiguous first; strides_bytes: of all
    modes but the first.
    """

    data_type: int
    address: int
    extents: tuple[int, ...]
    strides_bytes: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int
    l2_promotion: int = L2_PROMOTION_128B

    @property
    def element_bytes(self) -> int:
        """Bytes of one element."""
        return next(bits // 8 for (_, bits), code in _TYPES.items() if code == self.data_type)

    @property
    def span_bytes(self) -> int:
        """Bytes from the first element to the end of the last."""
        steps = (self.element_bytes, *self.strides_bytes)
        lengths = zip(self.extents, steps, strict=True)
        return self.element_bytes + sum((extent - 1) * step for extent, step in lengths)


def patch(params: bytes, encode: Callable[[TensorMap], bytes], driver_version: int) -> bytes:
    """Return parameters in which every record is the descriptor that it asks for.

    encode: makes the driver's call and returns the 128 bytes of the descriptor; driver_version:
    of cuDriverGetVersion, 13000 for 13.0. Parameters without records are returned as they
    are. Raises DescriptorError where a record is not one that a driver could encode.
    """
    patched, at = bytearray(params), 0
    mark = MARK.to_bytes(8, "little")
    while at + DESCRIPTOR_BYTES <= len(patched):
        if patched[at : at + len(mark)] != mark:
            at += _PLACE_BYTES
            continue
        wanted = _tensor_map(bytes(patched[at : at + DESCRIPTOR_BYTES]))
        descriptor = encode(wanted)
        if len(descriptor) != DESCRIPTOR_BYTES:
            raise DescriptorError(f"a descriptor must have 128 bytes (got {len(descriptor)})")
        patched[at : at + DESCRIPTOR_BYTES] = _corrected(descriptor, wanted, driver_version)
        at += DESCRIPTOR_BYTES
    return bytes(patched)


def encode_with(driver: Driver, wanted: TensorMap) -> bytes:
    """Return a descriptor that the driver has encoded.

    Raises DeviceError where the driver refuses.
    """
    modes = len(wanted.extents)
    # cuda-python would encode into memory of a Python object, which is aligned to 16 bytes; the
    # driver wants 64 (cuda.h), and a vector store of it would fault.
    memory = ctypes.create_string_buffer(DESCRIPTOR_BYTES + _ALIGNMENT)
    start = -(-ctypes.addressof(memory) // _ALIGNMENT) * _ALIGNMENT
    code = _ENCODE(_entry_point(driver))(
        start,
        wanted.data_type,
        modes,
        wanted.address,
        (ctypes.c_uint64 * modes)(*wanted.extents),
        (ctypes.c_uint64 * modes)(*wanted.strides_bytes),
        (ctypes.c_uint32 * modes)(*wanted.box),
        (ctypes.c_uint32 * modes)(*[1] * modes),
        0,
        wanted.swizzle,
        wanted.l2_promotion,
        0,
    )
    if code:
        raise driver.error(code, _NAME)
    return ctypes.string_at(start, DESCRIPTOR_BYTES)


def _entry_point(driver: Driver) -> int:
    """Return the address of cuTensorMapEncodeTiled; raises DeviceError where there is none."""
    address, _ = driver.call("cuGetProcAddress", _NAME.encode(), _SINCE, 0)
    if not address:
        raise DeviceError(0, _NAME, f"the driver has no such function: {HOW_TO_UPDATE}")
    return int(address)


def _tensor_map(data: bytes) -> TensorMap:
    record = np.frombuffer(data, RECORD)[0]
    modes, key = int(record["modes"]), (int(record["element"]), int(record["element_bits"]))
    if not 1 <= modes <= _MOST_MODES or key not in _TYPES:
        raise DescriptorError(
            f"a descriptor must have 1 to 5 modes of a known type (got {modes} of {key})"
        )
    # Another base than 16 bytes belongs to elements that CUTLASS unpacks on the way.
    if record["swizzle_base"] or record["swizzle"] > _WIDEST_SWIZZLE:
        swizzle = (int(record["swizzle"]), int(record["swizzle_base"]))
        raise DescriptorError(f"a swizzle must be of up to 128 bytes, by 16 (got {swizzle})")
    return TensorMap(
        _TYPES[key],
        int(record["address"]),
        tuple(int(extent) for extent in record["extents"][:modes]),
        tuple(int(stride) for stride in record["strides_bytes"][: modes - 1]),
        tuple(int(extent) for extent in record["box"][:modes]),
        int(record["swizzle"]),
    )


def _corrected(descriptor: bytes, wanted: TensorMap, driver_version: int) -> bytes:
    """Clear a bit that drivers up to 13.1 set wrongly for small tensors.

    CUTLASS does so too, in releases after 4.2 (include/cute/atom/copy_traits_sm90_tma.hpp).
    """
    if driver_version > _LAST_WRONG_DRIVER or wanted.span_bytes >= _SMALL_BYTES:
        return descriptor
    word = int.from_bytes(descriptor[8:16], "little") & ~(1 << _SMALL_BIT)
    return descriptor[:8] + word.to_bytes(8, "little") + descriptor[16:]

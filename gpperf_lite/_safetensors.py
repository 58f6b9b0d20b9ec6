"""The safetensors layout, read and written with the standard library and numpy alone.

    8 bytes   length N of the header, unsigned little-endian
    N bytes   header: one JSON object in UTF-8, padded with spaces to a multiple of 8 bytes:
              {"__metadata__": {text: text, ...},
               NAME: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest  payload: the tensors, row-major and little-endian, without gaps or overlaps;
              offsets count from the start of the payload

Specification: https://github.com/huggingface/safetensors#format. Of its dtypes only those in
DTYPES are used here. Writing is deterministic: the same tensors and metadata give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._errors import ArtefactError

DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype("u1"),
    "I16": np.dtype("<i2"),
    "F32": np.dtype("<f4"),
}
LARGEST_FILE_BYTES = 1 << 26
LARGEST_HEADER_BYTES = 1 << 22

Array = NDArray[Any]


def encode(metadata: Mapping[str, str], payload: bytes, header: Mapping[str, Any]) -> bytes:
    """Return the whole file: `header` and `payload` come from `pack`."""
    text = json.dumps(
        {"__metadata__": dict(metadata), **header}, separators=(",", ":"), ensure_ascii=True
    ).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + payload


def pack(tensors: Mapping[str, Array]) -> tuple[dict[str, Any], bytes]:
    """Return the header's entries and the payload of `tensors`, in their order."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, parts, start = {}, [], 0
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor).astype(tensor.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": names[tensor.dtype.newbyteorder("<")],
            "shape": list(tensor.shape),
            "data_offsets": [start, start + len(data)],
        }
        parts.append(data)
        start += len(data)
    return header, b"".join(parts)


def decode(data: bytes) -> tuple[dict[str, str], dict[str, Array], memoryview]:
    """Return metadata, tensors (read-only views of `data`) and payload of a whole file.

    Raises ArtefactError, with the reason, unless every length, offset, dtype and shape holds.
    """
    header, payload = _split(data)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse("__metadata__ must be an object of texts")
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=_first_offset):
        tensors[name], end = _tensor(name, entry, payload, end)
    if end != len(payload):
        _refuse(f"the payload has {len(payload)} bytes, its tensors {end}")
    return metadata, tensors, payload


def loads(text: str | bytes) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN or infinity, no bottomless nesting."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        _refuse("its JSON is nested too deeply")
    except ArtefactError:
        raise
    except ValueError as error:
        raise ArtefactError(f"not a valid artefact: its JSON is broken ({error})") from error


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the parsed header and the payload."""
    if len(data) < 8:
        _refuse(f"a file of {len(data)} bytes has no header")
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER_BYTES:
        _refuse(f"its header would have {length} bytes, more than {LARGEST_HEADER_BYTES}")
    if length > len(data) - 8:
        _refuse(f"its header should have {length} bytes, {len(data) - 8} are there")
    header = loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        _refuse("its header must be a JSON object")
    return header, memoryview(data)[8 + length :]


def _first_offset(item: tuple[str, Any]) -> int:
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2:
        _refuse(f"tensor {item[0]!r} must have two data_offsets")
    if not all(type(offset) is int and offset >= 0 for offset in offsets):
        _refuse(f"data_offsets of tensor {item[0]!r} must be whole numbers")
    first: int = offsets[0]
    return first


def _tensor(name: str, entry: dict[str, Any], payload: memoryview, start: int) -> tuple[Array, int]:
    """Return one tensor and the offset behind it; it must begin at `start`."""
    first, last = entry["data_offsets"]
    if first != start:
        _refuse(f"tensor {name!r} begins at {first}, not at {start}: a gap or an overlap")
    dtype = DTYPES.get(entry.get("dtype", "")) if isinstance(entry.get("dtype"), str) else None
    if dtype is None:
        _refuse(f"tensor {name!r} must have a dtype of {' '.join(DTYPES)}")
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        _refuse(f"tensor {name!r} must have a shape of whole numbers")
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size != last - first or last > len(payload) or len(shape) > 8:
        _refuse(f"tensor {name!r} of shape {shape} does not fill bytes {first} to {last}")
    return np.frombuffer(payload[first:last], dtype).reshape(shape), last


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse("its JSON has the same key twice")
    return result


def _no_constant(name: str) -> NoReturn:
    _refuse(f"its JSON holds {name}")


def _refuse(reason: str) -> NoReturn:
    raise ArtefactError(f"not a valid artefact: {reason}")

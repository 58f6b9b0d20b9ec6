"""The safetensors layout, read and written with the standard library and numpy alone.

    8 bytes   length N of the header, unsigned little-endian
    N bytes   header: one JSON object in UTF-8, padded with spaces to a multiple of 8 bytes:
              {"__metadata__": {text: text, ...},
               NAME: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest  payload: the tensors, row-major and little-endian, without gaps or overlaps;
              offsets count from the start of the payload

Specification: https://github.com/huggingface/safetensors#format. Of its dtypes only those in
DTYPES are used here, and at most two axes. Writing is deterministic: the same tensors and metadata
give the same bytes.
"""

from __future__ import annotations

import json
import math
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
LARGEST_HEADER_BYTES = 1 << 21
_MOST_TENSORS = 1 << 14
_MOST_AXES = 2
_LONGEST_INTEGER = 20
_LONGEST_NUMBER = 64
_LONGEST_REASON = 300

Array = NDArray[Any]


def encode(metadata: Mapping[str, str], payload: bytes, header: Mapping[str, Any]) -> bytes:
    """Return the bytes of a whole file; `header` and `payload` come from `pack`."""
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
        dtype = tensor.dtype.newbyteorder("<")
        data = np.ascontiguousarray(tensor).astype(dtype).tobytes()
        header[name] = {
            "dtype": names[dtype],
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
    metadata = _metadata(header.pop("__metadata__", {}))
    if len(header) > _MOST_TENSORS:
        refuse(f"it has {len(header)} tensors, more than {_MOST_TENSORS}")
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=_offsets):
        tensors[name], end = _tensor(name, entry, payload, end)
    if end != len(payload):
        refuse(f"the payload has {len(payload)} bytes, its tensors {end}")
    return metadata, tensors, payload


def loads(text: str) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN or infinity, no endless numbers or nesting.

    Raises ArtefactError where the text is anything else.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except RecursionError:
        refuse("its JSON is nested too deeply")
    except ArtefactError:
        raise
    except ValueError as error:
        raise ArtefactError(f"not a valid artefact: its JSON is broken ({error})") from error


def refuse(reason: str) -> NoReturn:
    """Raise ArtefactError; a long reason is cut, because a file may have put a lot into it."""
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}..."
    raise ArtefactError(f"not a valid artefact: {reason}")


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the parsed header and the payload."""
    if len(data) < 8:
        refuse(f"a file of {len(data)} bytes has no header")
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER_BYTES:
        refuse(f"its header would have {length} bytes, more than {LARGEST_HEADER_BYTES}")
    if length > len(data) - 8:
        refuse(f"its header should have {length} bytes, {len(data) - 8} are there")
    try:
        text = data[8 : 8 + length].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtefactError(f"not a valid artefact: its header is not UTF-8 ({error})") from error
    if not text.startswith("{"):
        refuse("its header must be a JSON object")
    header: dict[str, Any] = loads(text)
    return header, memoryview(data)[8 + length :]


def _metadata(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        refuse("__metadata__ must be an object of texts")
    if not all(is_unicode(text) for text in values.values()):
        refuse("__metadata__ holds half of a surrogate pair")
    return values


def is_unicode(text: str) -> bool:
    r"""True for a text that can be written as UTF-8: JSON's \\ud800 alone cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _offsets(item: tuple[str, Any]) -> tuple[int, int]:
    """Return both offsets of a tensor: an empty one shares its first with the tensor behind it."""
    name, entry = item
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2:
        refuse(f"tensor {name[:60]!r} must have two data_offsets")
    if not all(type(offset) is int and offset >= 0 for offset in offsets):
        refuse(f"data_offsets of tensor {name[:60]!r} must be whole numbers")
    return offsets[0], offsets[1]


def _tensor(name: str, entry: dict[str, Any], payload: memoryview, start: int) -> tuple[Array, int]:
    """Return one tensor and the offset behind it; it must begin at `start`."""
    first, last = entry["data_offsets"]
    label = f"tensor {name[:60]!r}"
    if first != start:
        refuse(f"{label} begins at {first}, not at {start}: a gap or an overlap")
    code = entry.get("dtype")
    dtype = DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        refuse(f"{label} must have a dtype of {' '.join(DTYPES)}")
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) > _MOST_AXES:
        refuse(f"{label} must have a shape of at most {_MOST_AXES} axes")
    if not all(type(extent) is int and 0 <= extent <= LARGEST_FILE_BYTES for extent in shape):
        refuse(f"{label} must have a shape of whole numbers up to {LARGEST_FILE_BYTES}")
    size = dtype.itemsize * math.prod(shape)
    if size != last - first or last > len(payload):
        refuse(f"{label} of shape {shape} does not fill bytes {first} to {last}")
    return np.frombuffer(payload[first:last], dtype).reshape(shape), last


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        refuse("its JSON has the same key twice")
    return result


def _no_constant(name: str) -> NoReturn:
    refuse(f"its JSON holds {name}")


def _integer(text: str) -> int:
    # Reading a number takes the square of its digits in some versions of Python.
    if len(text) > _LONGEST_INTEGER:
        refuse(f"its JSON holds an integer of {len(text)} characters")
    return int(text)


def _number(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or not math.isfinite(float(text)):
        refuse(f"its JSON holds a number that is not finite or too long: {text[:40]}")
    return float(text)

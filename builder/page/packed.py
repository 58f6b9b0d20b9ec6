"""The packed module: an exported ES module as text that is small enough for a page.

A module is its text, in which the tables stand as base64, which does not compress. Here the tables
are taken out, laid out so that deflate finds what repeats in them, and deflated one by one; the
page's worker (`assets/engine.js`) puts the module together again, the same text to the last byte.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TABLE = re.compile(r'(?<=_TEXT = ")[A-Za-z0-9+/]+={0,2}(?=";)')
"""A table in the text of a module."""

_PLACE = "\0"
"""What stands in the text for a table that was taken out."""

_FULL = 255
"""A byte that says that the number does not fit in one."""


@dataclass(frozen=True)
class Packed:
    """A packed module: its parts one after the other, as base64.

    parts: the layout of each part, and its bytes when deflated; the text comes first.
    """

    parts: tuple[tuple[str, int], ...]
    data: str

    @property
    def header(self) -> str:
        """The parts as JSON."""
        return json.dumps(self.parts, separators=(",", ":"))


def _planes(data: bytes) -> bytes:
    """Return 32-bit numbers as four runs: all first bytes, then all second ones ..."""
    return _bytes(np.frombuffer(data, np.uint8).reshape(-1, 4).T)


def _from_planes(data: bytes) -> bytes:
    return _bytes(np.frombuffer(data, np.uint8).reshape(4, -1).T)


def _short(data: bytes) -> bytes:
    """Return int16 numbers as a byte each, and two more behind them for each that needs them.

    Those near 0 are the small ones, whatever their sign: 0, -1, 1, -2 ... are 0, 1, 2, 3 ...
    """
    signed = np.frombuffer(data, "<i2").astype(np.int32)
    coded = (signed << 1) ^ (signed >> 15)
    fits = coded < _FULL
    rest = coded[~fits].astype("<u2")
    return _bytes(np.where(fits, coded, _FULL)) + _bytes(rest & 0xFF) + _bytes(rest >> 8)


def _from_short(data: bytes) -> bytes:
    # n bytes, of which r are full, and 2 r bytes: n is not known, but r is of each n.
    flat = np.frombuffer(data, np.uint8)
    n_full = np.concatenate([[0], np.cumsum(flat == _FULL)])
    lengths = np.arange(len(flat) + 1) + 2 * n_full
    n = int(np.searchsorted(lengths, len(flat)))
    coded = flat[:n].astype(np.int32)
    low, high = flat[n:].reshape(2, -1).astype(np.int32)
    coded[coded == _FULL] = low | high << 8
    signed: NDArray[np.int16] = ((coded >> 1) ^ -(coded & 1)).astype("<i2")
    return signed.tobytes()


def _bytes(values: NDArray[np.integer]) -> bytes:
    data: bytes = values.astype(np.uint8).tobytes()
    return data


def _as_it_is(data: bytes) -> bytes:
    return data


_LAYOUTS: dict[str, tuple[int, Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "bytes": (1, _as_it_is, _as_it_is),
    "planes": (4, _planes, _from_planes),
    "short": (2, _short, _from_short),
}
"""Layouts of a table: the bytes of a number, the way there, and the way back."""


def packed(module: str) -> Packed:
    """Return the text of a module, packed."""
    tables = [base64.b64decode(one) for one in _TABLE.findall(module)]
    text = _TABLE.sub(_PLACE, module)
    parts = [("bytes", _deflated(text.encode())), *map(_smallest, tables)]
    data = base64.b64encode(b"".join(part for _, part in parts)).decode("ascii")
    return Packed(tuple((layout, len(part)) for layout, part in parts), data)


def unpacked(one: Packed) -> str:
    """Return the text of the module that was packed."""
    data, parts = base64.b64decode(one.data), []
    for layout, n_bytes in one.parts:
        parts.append(_LAYOUTS[layout][2](zlib.decompress(data[:n_bytes], -zlib.MAX_WBITS)))
        data = data[n_bytes:]
    text, *tables = parts
    pieces = text.decode().split(_PLACE)
    encoded = [*(base64.b64encode(table).decode("ascii") for table in tables), ""]
    return "".join(piece + table for piece, table in zip(pieces, encoded, strict=True))


_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY)
"""Strategies to deflate by: leaves repeat so little that pointing back costs more than it saves."""


def _deflated(data: bytes) -> bytes:
    """Return data deflated, without a header, by the strategy that makes it smallest."""
    found = []
    for strategy in _STRATEGIES:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        found.append(deflate.compress(data) + deflate.flush())
    return min(found, key=len)


def _smallest(table: bytes) -> tuple[str, bytes]:
    """Return the layout in which a table is smallest, and its bytes."""
    laid = [
        (name, _deflated(there(table)))
        for name, (size, there, _) in _LAYOUTS.items()
        if len(table) % size == 0
    ]
    return min(laid, key=lambda one: len(one[1]))

"""The sealed file: manifest and tensors in one container, with a version and a checksum.

It is a safetensors file (see `_safetensors`) whose `__metadata__` holds these texts:

    format     "gpperf-lite artefact"
    manifest   one JSON object, below
    card       of scope "gpu": one JSON object, see `_card`; in version 1 a part of the manifest
    blake2b    BLAKE2b, 32 bytes, of the UTF-8 bytes of manifest and card followed by the payload,
               in hexadecimal; version 1 has `sha256` in its place, a SHA-256 of the same

Every manifest has these fields; the others are those of its scope:

    format_version  2; 1 is read as well
    needs           the oldest gpperf-lite that reads this format, for the text of the refusal
    scope           missing, or "gpu": a model of one GPU (see `_artefact`); "generic": a model of
                    no particular GPU (see `_generic`); "kernels": what answers for kernels that
                    were not measured (see `_any_kernel`)

Every number of a manifest is finite and has its unit in its name. A file is read whole, at most
64 MiB of it, and its version and checksum are checked before anything else; it is written whole or
not at all (see `_files`).

History of format versions:

    1   gpperf-lite 0.1.0
    2   gpperf-lite 0.2.0: back ends among the kernels; `timed` and `notes` of an estimator; a dtype
        may count by the peak of another (see `Gpu.peak_of`); what the card shows apart from the
        manifest; BLAKE2b, which takes a third of the time of a SHA-256; the slowness of known
        kernels, and what answers for others; `remarks` of an estimator, `outside`
        of an interval
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from . import _safetensors
from ._checked_json import Fields
from ._errors import ArtefactError, UnsupportedVersionError
from ._files import read_file, write_atomically
from ._gemm import LARGEST
from ._safetensors import Array, refuse

FORMAT = "gpperf-lite artefact"
FORMAT_VERSION = 2
NEEDS = "0.2.0"
SCOPES = ("gpu", "generic", "kernels")

_CHECKSUM, _CHECKSUM_1 = "blake2b", "sha256"
_MODULES = {
    _CHECKSUM: ("_blake2", "hashlib"),
    _CHECKSUM_1: ("_sha2", "_sha256", "hashlib"),  # from Python 3.12 on; before; where neither is
}
_DIGEST_BYTES = 32

_T = TypeVar("_T")


def read_with(decode_data: Callable[[bytes], _T], path: str | os.PathLike[str]) -> _T:
    """Read a file and return its contents as `decode_data` makes them of its bytes.

    Raises ArtefactError with the path and the reason, also where `decode_data` raises one.
    """
    try:
        data = read_file(path, _safetensors.LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise ArtefactError(f"cannot read {os.fspath(path)!r}: {reason}") from error
    try:
        return decode_data(data)
    except ArtefactError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


def write_checked(
    data: bytes, decode_data: Callable[[bytes], object], path: str | os.PathLike[str]
) -> None:
    """Write the bytes of a file, whole or not at all, once `decode_data` has read them.

    Raises ArtefactError where that raises one, and writes nothing.
    """
    decode_data(data)
    write_atomically(path, data)


def seal(manifest: Mapping[str, Any], tensors: dict[str, Array], card: str = "") -> bytes:
    """Return the bytes of a file of these tensors and this manifest, to which the version is added.

    card: the text of the card, where it is apart.

    Raises ArtefactError where the manifest holds what JSON cannot say, such as a NaN.
    """
    versioned = {"format_version": FORMAT_VERSION, "needs": NEEDS, **manifest}
    try:
        text = json.dumps(versioned, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact cannot be written as JSON: {error}") from error
    header, payload = _safetensors.pack(tensors)
    checksum = _checksum(_CHECKSUM, text + card, payload)
    metadata = {"format": FORMAT, "manifest": text, _CHECKSUM: checksum}
    if card:
        metadata["card"] = card
    return _safetensors.encode(metadata, payload, header)


def unseal(data: bytes) -> tuple[Fields, dict[str, Array], str]:
    """Return manifest, tensors and card's text of a file, its version and its checksum checked.

    The text is empty where the file has none.

    Raises ArtefactError with the reason, UnsupportedVersionError for a newer format.
    """
    if len(data) > _safetensors.LARGEST_FILE_BYTES:
        refuse(f"it is larger than {_safetensors.LARGEST_FILE_BYTES} bytes")
    metadata, tensors, payload = _safetensors.decode(data)
    if metadata.get("format") != FORMAT or "manifest" not in metadata:
        refuse("it is a safetensors file, but not an artefact of gpperf-lite")
    manifest = Fields(_safetensors.loads(metadata["manifest"]), "manifest")
    # The version before the checksum: a newer format may compute it in another way.
    kind = _CHECKSUM if _version_of(manifest) > 1 else _CHECKSUM_1
    card = metadata.get("card", "") if kind == _CHECKSUM else ""
    if metadata.get(kind) != _checksum(kind, metadata["manifest"] + card, payload):
        refuse("its checksum does not match: the file was changed or damaged")
    return manifest, tensors, card


def scope_of(manifest: Fields) -> str:
    """Return the scope of a manifest, one of SCOPES."""
    return manifest.choice("scope", SCOPES) if "scope" in manifest else "gpu"


def _version_of(manifest: Fields) -> int:
    """Return the format version of a manifest; raises UnsupportedVersionError for a newer one."""
    version = manifest.integer("format_version", 1, LARGEST)
    if version > FORMAT_VERSION:
        needs = manifest.text("needs")
        raise UnsupportedVersionError(
            f"format version {version} needs gpperf-lite >= {needs[:40]}: "
            "upgrade with 'pip install --upgrade gpperf-lite'"
        )
    return version


def _checksum(kind: str, texts: str, payload: bytes | memoryview) -> str:
    digest = _digest(kind)
    digest.update(texts.encode("utf-8"))
    digest.update(payload)
    checksum: str = digest.hexdigest()
    return checksum


def _digest(kind: str) -> Any:
    """Return a new digest by Python's own module, as Python's `random` does.

    `hashlib` would load OpenSSL, which takes longer than to sum up all of an artefact without it.
    """
    for module in _MODULES[kind]:
        with suppress(ImportError, AttributeError):
            make = getattr(import_module(module), kind)
            return make(digest_size=_DIGEST_BYTES) if kind == _CHECKSUM else make()
    raise AssertionError

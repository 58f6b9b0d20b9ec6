"""The sealed file: written whole, and refused where it is damaged, newer or another's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from stand_ins.artefacts import remade, small_artefact

import gpperf_lite as gp
from gpperf_lite import _artefact, _safetensors, _sealed
from gpperf_lite._artefact import decode, encode

SMALL = encode(small_artefact())


def manifest_of(data: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_safetensors.decode(data)[0]["manifest"])
    return manifest


# --- files that cannot be read -----------------------------------------------------------------


def test_a_path_with_nothing_readable_behind_it_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(gp.ArtefactError, match=r"^cannot read") as error:
            _artefact.read(path)
        assert str(path) in str(error.value)
    with pytest.raises(gp.ArtefactError, match="null byte"):
        _artefact.read("a\0b")
    with pytest.raises(gp.ArtefactError, match="too long"):
        _artefact.read("x" * 10_000)


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(SMALL)
    if os.geteuid() == 0:  # to whom nothing is forbidden

        def forbidden(*_: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("builtins.open", forbidden)
    else:
        path.chmod(0)
    with pytest.raises(gp.ArtefactError, match="Permission denied"):
        _artefact.read(path)


def test_a_file_that_is_too_large_is_refused_without_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_safetensors, "LARGEST_FILE_BYTES", 4096)
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(gp.ArtefactError, match="larger than 4096 bytes"):
        _artefact.read(path)


# --- the file around the manifest --------------------------------------------------------------


def with_metadata(**changes: str | None) -> bytes:
    """Return the small artefact with other texts in its metadata; None takes one away."""
    metadata, tensors, _ = _safetensors.decode(SMALL)
    header, payload = _safetensors.pack(tensors)
    texts = {name: text for name, text in (metadata | changes).items() if text is not None}
    return _safetensors.encode(texts, payload, header)


@pytest.mark.parametrize(
    "data",
    [
        with_metadata(format=None),
        with_metadata(format="pt"),
        with_metadata(manifest=None),
        (2).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_file_of_others_is_refused_as_that(data: bytes) -> None:
    with pytest.raises(gp.ArtefactError, match="not an artefact of gpperf-lite"):
        decode(data)


def test_a_wrong_checksum_is_refused() -> None:
    for digest in (None, "", "0" * 64):
        with pytest.raises(gp.ArtefactError, match="checksum"):
            decode(with_metadata(blake2b=digest))


def test_any_changed_byte_of_the_payload_is_noticed() -> None:
    start = 8 + int.from_bytes(SMALL[:8], "little")
    for position in range(start, len(SMALL)):
        data = bytearray(SMALL)
        data[position] ^= 1
        with pytest.raises(gp.ArtefactError, match="checksum"):
            decode(bytes(data))


@pytest.mark.parametrize("text", ["", "[]", "1", '"x"', "null"])
def test_a_manifest_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(gp.ArtefactError, match=r"JSON is broken|must be a JSON object"):
        decode(with_metadata(manifest=text))


def test_a_manifest_of_bottomless_nesting_is_refused() -> None:
    with pytest.raises(gp.ArtefactError, match="nested too deeply"):
        decode(with_metadata(manifest='{"a":' * 200_000))


def test_a_newer_format_is_refused_naming_the_version_to_install() -> None:
    """Before the checksum is looked at, which a newer format may compute in another way."""
    version = _sealed.FORMAT_VERSION + 1
    newer = {**manifest_of(SMALL), "format_version": version, "needs": "3.1.4"}
    with pytest.raises(gp.UnsupportedVersionError, match=r"gpperf-lite >= 3\.1\.4: upgrade with"):
        decode(with_metadata(manifest=json.dumps(newer), blake2b="of another kind"))


def test_this_release_is_one_that_reads_what_it_writes() -> None:
    needed, have = (
        [int(part) for part in text.split(".")] for text in (_sealed.NEEDS, gp.__version__)
    )
    assert have >= needed


def test_format_2_is_written_and_both_formats_are_read() -> None:
    manifest = manifest_of(SMALL)
    assert (manifest["format_version"], manifest["needs"]) == (2, "0.2.0")
    newer = decode(SMALL)

    def made_older(values: dict[str, Any], _: object) -> None:
        values |= {"format_version": 1, "needs": "0.1.0", "provenance": dict(newer.provenance)}
        for entry, estimator in zip(values["estimators"], newer.estimators, strict=True):
            entry["accuracy"] = dict(estimator.accuracy)

    assert decode(remade(SMALL, made_older)) == newer

"""The artefact: what is written is read, and each way that a file can be bad is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefacts import GPU, kernels_artefact, remade, small_artefact

import gpperf_lite as gp
from gpperf_lite import _artefact, _descriptions, _safetensors, _sealed
from gpperf_lite._artefact import Artefact, decode, encode
from gpperf_lite._features import FEATURES
from gpperf_lite._forest import Forest
from gpperf_lite._kernel import LIBRARY, Kernel, Tile

SMALL = encode(small_artefact())


def manifest_of(data: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_safetensors.decode(data)[0]["manifest"])
    return manifest


def with_features(names: list[str]) -> bytes:
    """Return the small artefact as if it had been trained on other features."""
    return remade(SMALL, lambda manifest, _: manifest.update(features=names))


# --- what is written is read -------------------------------------------------------------------


ARTEFACTS = [
    small_artefact(),
    small_artefact(power=False),
    small_artefact(seed=7, n_trees=0, depth=1),
    small_artefact(seed=8, n_trees=1, depth=8),
    small_artefact(seed=9, n_trees=33, depth=5),
    kernels_artefact(),
    kernels_artefact(seed=5, n_trees=3, depth=7),
]


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=range(len(ARTEFACTS)))
def test_what_is_written_is_read_in_every_field(artefact: Artefact) -> None:
    twin = decode(encode(artefact))
    for name in Artefact._fields:
        assert getattr(twin, name) == getattr(artefact, name), name
    assert type(twin.gpu.sm_count) is int
    assert all(
        type(size) is int for size in (*twin.estimators[0].domain.m, twin.estimators[0].forest.bias)
    )


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=range(len(ARTEFACTS)))
def test_writing_is_deterministic_also_of_what_was_read(artefact: Artefact) -> None:
    data = encode(artefact)
    assert encode(artefact) == data
    assert encode(decode(data)) == data


def test_a_mapping_in_another_order_is_written_in_the_same_bytes() -> None:
    artefact = small_artefact()
    turned = artefact._replace(provenance=dict(reversed(list(artefact.provenance.items()))))
    assert encode(turned) == encode(artefact)


def test_any_change_of_an_artefact_changes_it_when_read() -> None:
    """Equality of artefacts looks into the forests, so that the tests above can fail."""
    artefact = small_artefact()
    first = artefact.estimators[0]
    forest = first.forest
    leaves = forest.leaves.copy()
    leaves[0, 0] += 1
    changed = Forest(forest.feature, forest.threshold, leaves, forest.bias)
    others = (first._replace(forest=changed), *artefact.estimators[1:])
    assert decode(encode(artefact._replace(estimators=others))) != artefact


@pytest.mark.parametrize(
    "artefact", [small_artefact(), kernels_artefact()], ids=["small", "kernels"]
)
def test_a_file_is_read_from_disk_as_it_was_written(artefact: Artefact, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    _artefact.write(artefact, path)
    assert path.read_bytes() == encode(artefact)
    assert _artefact.read(path) == _artefact.read(str(path)) == artefact


def test_a_kernel_of_which_everything_is_known_survives() -> None:
    """No field of Kernel can be added that an artefact forgets."""
    kernel = Kernel(
        name="k",
        family="cutlass3",
        dtype="bf16",
        layout="nt",
        alignment=8,
        tile=Tile(128, 256, 64),
        warp_tile=Tile(64, 64, 64),
        instruction=Tile(16, 8, 16),
        stages=4,
        swizzle=2,
        split_k=3,
        cluster=Tile(2, 1, 1),
        schedule="pingpong",
        threads=384,
        registers=168,
        shared_bytes=230_000,
        spill_bytes=5,
    )
    default = Kernel("k", "cutlass3")
    for field in dataclasses.fields(Kernel):
        if field.name not in ("name", "family"):
            assert getattr(kernel, field.name) != getattr(default, field.name), field.name
    text = json.dumps(_descriptions.kernel_to_json(kernel))
    assert _descriptions.kernel_from_json(json.loads(text)) == kernel
    assert _descriptions.kernel_from_json(_descriptions.kernel_to_json(LIBRARY)) == LIBRARY


def test_a_gpu_survives_with_and_without_power() -> None:
    bare = dataclasses.replace(GPU, power_limit_w=None, idle_power_w=None)
    for gpu in (GPU, bare):
        text = json.dumps(_descriptions.gpu_to_json(gpu))
        assert _descriptions.gpu_from_json(json.loads(text)) == gpu


@pytest.mark.parametrize("values", [None, [], "x", 1, {}])
def test_what_is_no_kernel_or_gpu_is_refused(values: object) -> None:
    with pytest.raises(gp.ArtefactError, match="kernel"):
        _descriptions.kernel_from_json(values)
    with pytest.raises(gp.ArtefactError, match="gpu"):
        _descriptions.gpu_from_json(values)


# --- writing -----------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    _sealed.write_atomically(path, b"old")
    _sealed.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        _sealed.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    artefact = small_artefact()
    wrong = artefact._replace(kernels=(LIBRARY, LIBRARY))
    with pytest.raises(gp.ArtefactError, match="two kernels have the same name"):
        _artefact.write(wrong, tmp_path / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32(1.0), {1, 2}, object()])
def test_what_json_cannot_say_is_not_written(tmp_path: Path, value: object) -> None:
    artefact = small_artefact()._replace(provenance={"figure": value})
    with pytest.raises(gp.ArtefactError, match="cannot be written as JSON"):
        _artefact.write(artefact, tmp_path / "x")
    assert os.listdir(tmp_path) == []


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


def test_a_refusal_names_the_path_and_keeps_its_type(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(with_features(list(FEATURES)[1:]))
    with pytest.raises(gp.FeatureMismatchError) as error:
        _artefact.read(path)
    assert str(error.value).startswith(f"{path}: ")


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
            decode(with_metadata(sha256=digest))


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
    newer = {**manifest_of(SMALL), "format_version": 2, "needs": "3.1.4"}
    with pytest.raises(gp.UnsupportedVersionError, match=r"gpperf-lite >= 3\.1\.4: upgrade with"):
        decode(with_metadata(manifest=json.dumps(newer), sha256="of another kind"))


def test_other_features_are_refused_naming_them() -> None:
    with pytest.raises(gp.FeatureMismatchError, match=r"'colour'.*'m'"):
        decode(with_features(["colour", *list(FEATURES)[1:]]))


@pytest.mark.parametrize(
    "names",
    [list(FEATURES)[::-1], [*FEATURES, "m"], [*FEATURES, *FEATURES]],
    ids=["reversed", "one twice", "all twice"],
)
def test_the_same_features_in_another_order_are_refused(names: list[str]) -> None:
    with pytest.raises(gp.FeatureMismatchError, match="in another order or twice"):
        decode(with_features(names))


@pytest.mark.parametrize("names", [[], ["m"], list(FEATURES)[:-1], ["x" * 400] * 4096])
def test_missing_and_unknown_features_are_refused(names: list[str]) -> None:
    with pytest.raises(gp.FeatureMismatchError, match="missing there") as error:
        decode(with_features(names))
    assert len(str(error.value)) < 800

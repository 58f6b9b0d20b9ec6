"""The artefact: what is written is read, and each way that a file can be bad is refused."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from stand_ins.artefacts import kernels_artefact, remade, small_artefact

import gpperf_lite as gp
from gpperf_lite import _artefact
from gpperf_lite._artefact import Artefact, decode, encode
from gpperf_lite._features import FEATURES
from gpperf_lite._forest import Forest
from gpperf_lite._kernel import LIBRARY

SMALL = encode(small_artefact())


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


# --- other features ----------------------------------------------------------------------------


def test_a_refusal_names_the_path_and_keeps_its_type(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(with_features(list(FEATURES)[1:]))
    with pytest.raises(gp.FeatureMismatchError) as error:
        _artefact.read(path)
    assert str(error.value).startswith(f"{path}: ")


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

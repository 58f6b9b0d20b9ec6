"""The file of what answers for kernels that were not measured: written, read, damaged, refused."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU, domain, interval, kernels_artefact, remade, sealed

import gpperf_lite as gp
from gpperf_lite._any_kernel import AnyKernel, built_in, decode, encode, read, write
from gpperf_lite._artefact import decode as decode_artefact
from gpperf_lite._artefact import encode as encode_artefact
from gpperf_lite._builtin import KERNELS, built_in_path
from gpperf_lite._estimator import LONGEST_S
from gpperf_lite._generic import decode as decode_generic
from gpperf_lite._kernel import Tile
from gpperf_lite._physics import CONSTANTS, NEW_CONSTANTS
from gpperf_lite._relative import absolute, scale_of

NAMES = [name for name, _, _ in CONSTANTS["kernel"]]
MODEL = AnyKernel(
    "any",
    "3",
    {name: 1.0 + number / 8.0 for number, name in enumerate(NAMES)},
    interval(),
    domain(),
    ("NVIDIA One", "NVIDIA Two"),
    {"seed": 1, "notes": ["none"]},
)
WHOLE = encode(MODEL)


# --- written and read --------------------------------------------------------------------------


def test_a_file_reads_as_the_model_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    write(MODEL, path)
    assert read(path) == MODEL
    assert path.read_bytes() == WHOLE == encode(replace(MODEL))
    assert [one.name for one in tmp_path.iterdir()] == ["any.safetensors"]


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    write(MODEL, path)
    bad = [{"launch_s": math.nan}, {"launch_s": -1.0}, {"launch_s": 1e31}]
    for change in bad:
        with pytest.raises(gp.ArtefactError):
            write(replace(MODEL, constants={**MODEL.constants, **change}), path)
    assert read(path) == MODEL


def test_the_shipped_one_is_small_and_is_asked_not_loaded() -> None:
    path = Path(built_in_path(KERNELS))
    assert path.stat().st_size < 50_000
    assert read(path) == built_in()
    assert built_in() is built_in()
    assert KERNELS not in gp.available()
    for source in (KERNELS, path, str(path)):
        with pytest.raises(gp.ArtefactError, match=r"is of no GPU: load the model of one, and ask"):
            gp.load(source)
        with pytest.raises(gp.GpperfError):
            gp.load(source, gpu=GPU)


def test_no_reader_takes_the_file_of_another_scope() -> None:
    with pytest.raises(gp.ArtefactError, match="no model of any kernel"):
        decode(encode_artefact(kernels_artefact()))
    with pytest.raises(gp.GpperfError):
        decode_generic(WHOLE)


# --- what it says ------------------------------------------------------------------------------


def test_constants_are_those_of_known_kernels_times_the_units_of_a_gpu() -> None:
    found = absolute(MODEL.constants, "kernel", GPU, "f16")
    assert list(found) == NAMES
    for name, low, high in CONSTANTS["kernel"]:
        expected = MODEL.constants[name] * scale_of(name, GPU, "f16")
        assert found[name] == pytest.approx(min(max(expected, low), high), rel=1e-5)
    mac_s = 2.0 / GPU.peak_flops["f16"]
    assert found["sm_s_per_mac"] == pytest.approx(
        MODEL.constants["sm_s_per_mac"] * mac_s * GPU.sm_count, rel=1e-5
    )


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e30])
def test_constants_of_any_size_are_within_their_limits_on_a_gpu(value: float) -> None:
    found = absolute(dict.fromkeys(NAMES, value), "kernel", GPU, "f32")
    assert all(low <= found[name] <= high for name, low, high in CONSTANTS["kernel"])


def test_its_estimator_corrects_nothing_and_trusts_any_time() -> None:
    estimator = MODEL.estimator_for(GPU, "bf16")
    columns = np.ones((30, 4), np.float32)
    assert estimator.forest.sums_of(columns).tolist() == [0] * 4
    assert estimator.unmeasured is not None
    kernel = gp.Kernel("mine", "cutlass2", "bf16", tile=Tile(64, 64, 32), spill_bytes=512)
    assert estimator.unmeasured.slowness_of(kernel, GPU) == 0
    assert estimator.domain == MODEL.domain._replace(
        runtime_s=(MODEL.domain.runtime_s[0], LONGEST_S)
    )
    assert (estimator.interval, estimator.timed) == (MODEL.interval, "gemm")


# --- damaged -----------------------------------------------------------------------------------


@given(st.data())
def test_a_byte_that_changed_is_refused(data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(gp.ArtefactError):
        decode(bytes(whole))


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=20))
def test_a_file_that_was_cut_or_goes_on_is_refused(at: int, more: bytes) -> None:
    with pytest.raises(gp.ArtefactError):
        decode(WHOLE[:at])
    with pytest.raises(gp.ArtefactError):
        decode(WHOLE[:at] + b"?" + more + WHOLE[at:])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(gp.ArtefactError):
        decode(data)


Change = Callable[[dict[str, Any], dict[str, Any]], object]


def put(name: str, value: Any, *within: str) -> Change:
    """Return a change of one field of a manifest, or of an object within it."""

    def change(manifest: dict[str, Any], _: object) -> None:
        for step in within:
            manifest = manifest[step]
        manifest[name] = value

    return change


BAD: dict[str, list[Change]] = {
    "name": [put("name", value) for value in ("", None, 1, "\x1b[2J", "x" * 600)],
    "version": [put("version", value) for value in ("", None, 2)],
    "scope": [put("scope", value) for value in ("gpus", None, 1)],
    "constants": [put("constants", value) for value in (None, [], 1)],
    "launch_s": [put("launch_s", value, "constants") for value in (None, -1.0, 2e30, "1", True)],
    "half_warps": [lambda manifest, _: manifest["constants"].pop("half_warps")],
    "interval": [put("interval", value) for value in (None, [], 1)],
    "half_widths": [
        put("half_widths", value, "interval") for value in ([], [[1]], [[3, 2, 1]] * 3, [[-1]] * 3)
    ],
    "domain": [put("domain", value) for value in (None, [], 1)],
    "runtime_s": [put("runtime_s", value, "domain") for value in ([2.0, 1.0], [0.0, 1.0], [1.0])],
    "layouts": [put("layouts", value, "domain") for value in ([], ["xx"], ["nn", "nn"])],
    "gpus": [put("gpus", value) for value in (None, "x", [1], [""], ["\x1b"])],
    "provenance": [put("provenance", value) for value in (None, [], {"a": "\ud800"})],
    "tensors that no estimator uses": [
        lambda _, tensors: tensors.update(x=np.zeros((1, 1), np.uint8))
    ],
    "needs gpperf-lite": [put("format_version", 99)],
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_file_is_refused_with_the_reason(reason: str) -> None:
    for change in BAD[reason]:
        with pytest.raises(gp.ArtefactError, match=reason) as error:
            decode(remade(WHOLE, change))
        assert len(str(error.value)) < 800
        assert str(error.value).isprintable()


NASTY: list[Any] = [
    *[None, True, 0, -1, 1, 2**53, -(10**18), 0.5, 1e300, -1e300, 5e-324, math.nan, math.inf],
    *["", "x", "\ud800", "\x1b[2J", [], [0], [1, 2], ["nn"], [[1, 2, 3]], {}, {"a": 1}],
]


def test_a_spoiled_file_is_refused_or_ranks_sane_times() -> None:
    """Any value at any place, the checksum being right: what is read answers finitely."""
    n_read = 0
    for number in range(1500):
        dice = random.Random(number)

        def spoil(manifest: dict[str, Any], _: object, dice: random.Random = dice) -> None:
            holder: Any = manifest
            while True:
                key = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
                if not holder[key] or not isinstance(holder[key], (dict, list)):
                    break
                holder = holder[key]
            holder[key] = dice.choice(NASTY)

        try:
            model = decode(remade(WHOLE, spoil))
        except gp.ArtefactError:
            continue
        n_read += 1
        assert decode(encode(model)) == model
        found = absolute(model.constants, "kernel", GPU, "f32")
        assert all(math.isfinite(one) for one in found.values())
        estimator = model.estimator_for(GPU, "f32")
        assert estimator.domain.runtime_s[0] <= estimator.domain.runtime_s[1]
    assert n_read > 50


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_json_for_a_manifest_is_refused(value: Any) -> None:
    with pytest.raises(gp.ArtefactError):
        decode(sealed(json.dumps(value), {}, b""))
    manifest = {"format_version": 2, "scope": "kernels", "constants": value}
    with pytest.raises(gp.ArtefactError):
        decode(sealed(json.dumps(manifest), {}, b""))


# --- older artefacts ---------------------------------------------------------------------------


def test_an_artefact_without_the_newer_constants_answers_as_it_did() -> None:
    """That is: as one whose newer constants are zero, and without slowness."""

    def older(manifest: dict[str, Any], tensors: dict[str, Any]) -> None:
        for entry in manifest["estimators"]:
            for name in NEW_CONSTANTS:
                del entry["constants"][name]
            entry.pop("slowness", None)
            if entry.pop("unmeasured", None):
                for name in [name for name in tensors if ".unmeasured." in name]:
                    del tensors[name]

    artefact = kernels_artefact()
    plain = tuple(
        one._replace(constants={**one.constants, **NEW_CONSTANTS}, slowness=(), unmeasured=None)
        for one in artefact.estimators
    )
    before = decode_artefact(remade(encode_artefact(artefact), older))
    assert set(NEW_CONSTANTS.values()) == {0.0}
    assert [one.constants for one in before.estimators] == [one.constants for one in plain]
    gemm = gp.Gemm(1000, 600, 512, "f32", "nn")
    zeroed = gp.Model(artefact._replace(estimators=plain))
    assert gp.Model(before).rank(gemm) == zeroed.rank(gemm)
    assert gp.Model(before).rank(gemm) != gp.Model(artefact).rank(gemm)

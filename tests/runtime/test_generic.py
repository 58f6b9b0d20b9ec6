"""The generic model: a file of many GPUs, and what it says of one that was not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import remade
from stand_ins.built_in import built_in
from stand_ins.generics import FAST, SLOW, generic_model, gpu_like, renamed
from stand_ins.strategies import gemms

import gpperf_lite as gp
from gpperf_lite._artefact import write as write_artefact
from gpperf_lite._builtin import artefact_path
from gpperf_lite._features import FEATURES
from gpperf_lite._generic import decode, encode, read, write
from gpperf_lite._gpu import LIMITS
from gpperf_lite._relative import COLUMNS, column_of, distance, multiplied_out

BETWEEN = gpu_like("NVIDIA Test 64", sm_count=64, dram_bytes_per_s=2.0**40)
GEMM = gp.Gemm(512, 4096, 2048, "bf16")
MODEL = gp.Model(generic_model().artefact_for(BETWEEN))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(generic_model(), tmp_path / "any.safetensors")
    return tmp_path / "any.safetensors"


def test_a_file_reads_as_the_model_that_was_written(path: Path) -> None:
    assert read(path) == generic_model()
    assert path.read_bytes() == encode(generic_model())


@given(st.integers(0, 1000), st.sampled_from(["bf16", "fp8"]))
def test_a_forest_multiplied_out_says_what_it_said_over_the_columns(seed: int, dtype: str) -> None:
    """Facts are powers of two here, so that no rounding comes between."""
    dice = np.random.default_rng(seed)
    forest = generic_model(seed).estimators[0].forests[0]
    rows = np.ldexp(dice.uniform(0.5, 1.0, (len(FEATURES), 40)), dice.integers(-5, 22, (1, 40)))
    features = dict(zip(FEATURES, rows.astype(np.float32), strict=True))
    columns = np.stack([column_of(text, features, FAST, dtype, 40) for text in COLUMNS])
    plain = multiplied_out(forest, COLUMNS, FAST, dtype)
    assert plain.sums_of(rows.astype(np.float32)).tolist() == forest.sums_of(columns).tolist()


def test_a_prediction_says_that_the_gpu_was_not_measured(path: Path) -> None:
    prediction = gp.load(path, gpu=BETWEEN).predict(GEMM)
    assert not prediction.in_domain
    assert "NVIDIA Test 64 was not measured" in prediction.notes[0]
    assert "NVIDIA Test 128" in prediction.notes[0]
    assert prediction.power_w is None
    again = gp.load(path, gpu=SLOW).predict(GEMM)
    assert (
        again.notes[0] == "predicted from the data sheet alone, though NVIDIA Test 32 was measured"
    )
    assert not again.in_domain


def test_a_gpu_that_was_measured_in_one_dtype_alone_says_so_of_each() -> None:
    generic = generic_model()
    bf16, fp8 = generic.estimators
    slow = replace(bf16, gpus=(0,), constants=bf16.constants[:1], forests=bf16.forests[:1],
                   kinds=(0,))  # fmt: skip
    artefact = replace(generic, estimators=(slow, fp8)).artefact_for(FAST)
    assert {one.dtype: one.remarks for one in artefact.estimators} == {
        "bf16": (
            "NVIDIA Test 128 was not measured in bf16: predicted from its data sheet, like NVIDIA "
            "Test 32, which is not much like it",
        ),
        "fp8": ("predicted from the data sheet alone, though NVIDIA Test 128 was measured",),
    }


@given(gemms(MODEL))
def test_one_and_many_agree_to_the_last_bit(gemm: gp.Gemm) -> None:
    one = MODEL.predict(gemm)
    many = MODEL.predict_batch(
        [gemm.m], [gemm.n], [gemm.k], gemm.dtype, gemm.layout, gemm.batch, gemm.alpha, gemm.beta
    )
    assert one.runtime_s == many.runtime_s[0]
    assert one.notes == many.notes[0]


def test_a_gpu_that_is_like_another_one_in_each_dtype_says_so_of_each() -> None:
    generic = generic_model()
    bf16, fp8 = generic.estimators
    slow, fast = (
        replace(
            one, gpus=(at,), constants=(one.constants[at],), forests=one.forests[:1], kinds=(0,)
        )
        for at, one in enumerate((bf16, fp8))
    )
    apart = replace(generic, estimators=(slow, fast))
    twin = apart.artefact_for(replace(FAST, name="NVIDIA Twin"))
    lead = "NVIDIA Twin was not measured: predicted from its data sheet, like NVIDIA Test "
    assert {one.dtype: one.remarks for one in twin.estimators} == {
        "bf16": (f"{lead}32, which is not much like it",),
        "fp8": (f"{lead}128",),
    }
    assert apart.nearest(FAST, "bf16")[0] == SLOW


def test_a_fact_of_the_gpu_alone_is_held_against_all_that_were_measured_in_any_dtype() -> None:
    generic = generic_model()
    bf16, fp8 = generic.estimators
    slow, fast = (
        replace(one, gpus=(at,), constants=one.constants[:1], forests=one.forests[:1], kinds=(0,))
        for at, one in enumerate((bf16, fp8))
    )
    artefact = replace(generic, estimators=(slow, fast)).artefact_for(BETWEEN)
    facts = [remark for remark in artefact.remarks if remark.endswith("measured")]
    assert not any(remark.startswith("sm_count") for remark in facts)
    # A peak is of a dtype, and said of that alone.
    assert not any("macs" in remark for remark in facts)
    notes = {one.dtype: one.notes for one in artefact.estimators}
    assert any(note.startswith("macs_per_s of bf16 is above") for note in notes["bf16"])
    assert not any("bf16" in note for note in notes["fp8"])
    few = generic.artefact_for(replace(BETWEEN, sm_count=31)).remarks
    assert [remark for remark in few if "sm_count" in remark] == [
        "sm_count is below 32, the least measured"
    ]


def test_a_clock_in_the_wrong_unit_is_noticed() -> None:
    artefact = generic_model().artefact_for(gpu_like(name="NVIDIA Slip", clock_hz=1755.0))
    assert any("clock_hz is below" in remark for remark in artefact.remarks)


EXTREME = {name: st.sampled_from(limits) for name, limits in LIMITS.items() if "power" not in name}


@given(
    st.fixed_dictionaries(EXTREME),
    st.sampled_from([(1, 1, 1), (4096, 4096, 4096), (2**31 - 1,) * 3]),
)
def test_whatever_a_data_sheet_says_the_answer_is_finite(
    facts: dict[str, float], size: tuple[int, int, int]
) -> None:
    peak = facts.pop("peak_flops")
    gpu = gpu_like("NVIDIA Odd", **facts, peak_flops={"bf16": peak, "fp8": peak})
    prediction = gp.Model(generic_model().artefact_for(gpu)).predict(gp.Gemm(*size, "bf16"))
    low_s, high_s = prediction.runtime_interval_s
    assert 0.0 < low_s <= prediction.runtime_s <= high_s < np.inf


def test_the_generic_model_asks_for_a_gpu_and_the_others_refuse_one(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(gp.ArtefactError, match=r"of no one GPU: say which, with load"):
        gp.load(path)
    write_artefact(MODEL._artefact, tmp_path / "one.safetensors")
    with pytest.raises(gp.InputError, match="gpu must be left out for a model of a certain GPU"):
        gp.load(tmp_path / "one.safetensors", gpu=BETWEEN)
    with pytest.raises(gp.InputError, match=r"gpu must be a gpperf_lite.Gpu \(got 'h200'\)"):
        gp.load(path, gpu="h200")  # type: ignore[arg-type]


def test_the_generic_model_is_not_listed_among_those_of_a_gpu() -> None:
    assert "generic" not in gp.available()


def test_an_artefact_that_it_made_keeps_its_remarks_in_a_file(tmp_path: Path) -> None:
    write_artefact(MODEL._artefact, tmp_path / "one.safetensors")
    assert gp.load(tmp_path / "one.safetensors").predict(GEMM) == MODEL.predict(GEMM)


def test_a_gpu_without_a_peak_that_helps_is_refused() -> None:
    gpu = gpu_like(peak_flops={"f32": 1e13})
    with pytest.raises(gp.InputError, match=r"must have a dtype .* bf16 fp8 \(got f32\)"):
        generic_model().artefact_for(gpu)


def test_a_dtype_without_a_peak_is_refused_when_asked() -> None:
    model = gp.Model(generic_model().artefact_for(gpu_like(peak_flops={"bf16": 2.0**49})))
    assert model.dtypes == ("bf16",)
    with pytest.raises(gp.InputError, match="dtype must be one that generic answers for: bf16"):
        model.predict(gp.Gemm(64, 64, 64, "fp8"))


def test_f16_is_answered_as_bf16_and_says_so_with_either_peak_in_the_data_sheet() -> None:
    both = gp.Model(generic_model().artefact_for(gpu_like()))
    alone = gp.Model(generic_model().artefact_for(gpu_like(peak_flops={"f16": 2.0**49})))
    gemm = replace(GEMM, dtype="f16")
    assert alone.predict(gemm).runtime_s == both.predict(gemm).runtime_s
    for model in (both, alone):
        assert "f16 was not measured: predicted as bf16" in model.predict(gemm).notes


def test_a_stand_in_answers_beside_dtypes_that_were_measured() -> None:
    """As it does alone; what is said of it goes with its predictions, and with no others."""
    peaks = {"f16": 2.0**49, "fp8": 2.0**50}
    model = gp.Model(generic_model().artefact_for(gpu_like(peak_flops=peaks)))
    alone = gp.Model(generic_model().artefact_for(gpu_like(peak_flops={"f16": 2.0**49})))
    assert model.dtypes == ("f16", "fp8")
    asked = model.predict(replace(GEMM, dtype="f16"))
    assert asked.runtime_s == alone.predict(replace(GEMM, dtype="f16")).runtime_s
    note = "f16 was not measured: predicted as bf16"
    assert note in asked.notes
    assert note not in model.predict(replace(GEMM, dtype="fp8")).notes
    with pytest.raises(gp.InputError, match="dtype must be one that generic answers for: f16 fp8"):
        model.predict(GEMM)


def test_far_from_all_but_one_the_constants_are_those_of_that_one() -> None:
    """Times its units."""
    artefact = generic_model().artefact_for(replace(SLOW, name="NVIDIA Twin"))
    own = generic_model().estimators[0].constants[0]
    found = artefact.estimators[0].constants
    assert found["s_per_mac"] == pytest.approx(own["s_per_mac"] * 2.0**-44, rel=1e-5)
    assert found["resident_bytes"] == pytest.approx(own["resident_bytes"] * 2.0**25, rel=1e-5)
    assert found["launch_s"] == pytest.approx(own["launch_s"], rel=1e-5)


def test_a_gpu_is_answered_by_the_forest_of_the_kind_that_it_is_most_like() -> None:
    generic = generic_model()
    estimator = generic.estimators[0]
    for gpu, forest in ((SLOW, estimator.forests[0]), (FAST, estimator.forests[1])):
        twin = generic.artefact_for(replace(gpu, name="NVIDIA Twin"))
        expected = multiplied_out(forest, COLUMNS, gpu, "bf16")
        assert twin.estimators[0].forest == expected
    alike = replace(
        generic, estimators=(replace(estimator, forests=estimator.forests[:1], kinds=(0, 0)),)
    )
    forests = [alike.artefact_for(gpu).estimators[0].forest for gpu in (SLOW, FAST)]
    assert forests == [
        multiplied_out(estimator.forests[0], COLUMNS, gpu, "bf16") for gpu in (SLOW, FAST)
    ]


def test_a_gpu_unlike_any_says_so_and_its_intervals_are_wide() -> None:
    far = gpu_like("NVIDIA Far", sm_count=16, l2_bytes=2.0**22, dram_bytes_per_s=2.0**36)
    near = gp.Model(generic_model().artefact_for(FAST)).predict(GEMM)
    strange = gp.Model(generic_model().artefact_for(far)).predict(GEMM)
    assert "which is not much like it" in strange.notes[0]
    assert any("l2_bytes is below" in note for note in strange.notes)
    assert any("sm_count is below 32" in note for note in strange.notes)
    assert distance(far, FAST, "bf16") > 1.0

    def width(one: gp.Prediction) -> float:
        return one.runtime_interval_s[1] / one.runtime_s

    assert width(strange) > width(near)


Change = Callable[[dict[str, Any], dict[str, Any]], object]

BAD: dict[str, Change] = {
    "columns that this gpperf-lite cannot compute": lambda manifest, _: manifest["columns"].append(
        "m/colour"
    ),
    "constants of each of its GPUs": lambda manifest, _: manifest["estimators"][0][
        "constants"
    ].pop(),
    "of which one of its GPUs has no peak": lambda manifest, _: manifest["gpus"][0][
        "peak_flops"
    ].pop("bf16"),
    "one of its forests for each of its GPUs": lambda manifest, _: manifest["estimators"][0].update(
        kinds=[0, 0]
    ),
    "estimators.0..kinds": lambda manifest, _: manifest["estimators"][0].update(kinds=[0, 2]),
    "must have GPUs and forests": lambda manifest, _: manifest["estimators"][0].update(forests=[]),
    "one for a dtype": lambda manifest, _: manifest["estimators"][0].update(dtype="fp8"),
    "tensors that no estimator uses": lambda manifest, _: manifest["estimators"].pop(),
    "dtypes that were not measured": lambda manifest, _: manifest["stand_ins"].update(fp8="bf16"),
    "bandwidth": lambda manifest, _: manifest.update(bandwidth=0.0),
    "a feature that there is not": lambda manifest, _: manifest.update(columns=["m"]),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_file_is_refused_with_the_reason(reason: str) -> None:
    data = encode(generic_model())
    with pytest.raises(gp.ArtefactError, match=reason):
        decode(remade(data, BAD[reason]))


@given(st.data())
def test_a_damaged_file_is_refused_or_reads_the_same(data: st.DataObject) -> None:
    whole = bytearray(encode(generic_model(n_trees=1, depth=1)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(gp.GpperfError):
        decode(bytes(whole))


def test_columns_of_an_older_model_go_on_working() -> None:
    """A file names its columns: fewer of them, in another order, are another model."""
    forest = generic_model().estimators[0].forests[0]
    fewer = COLUMNS[: int(forest.feature.max()) + 1]
    assert decode(encode(renamed(generic_model(), COLUMNS))).columns == COLUMNS
    other = multiplied_out(forest, fewer, FAST, "bf16")
    assert other == multiplied_out(forest, COLUMNS, FAST, "bf16")


@pytest.mark.parametrize("name", ["h100_sxm", "h200_sxm", "b200_sxm", "rtx_pro_6000_server"])
def test_the_shipped_model_agrees_with_those_of_the_gpus_it_was_trained_on(name: str) -> None:
    """Within a sixth on average: it knows the GPU by its data sheet alone."""
    own = built_in(name)
    generic = gp.load("generic", gpu=own.gpu)
    dice = np.random.default_rng(12)
    m, n, k = (np.exp2(dice.uniform(low, 13, 300)) // 64 * 64 + 64 for low in (0, 9, 9))
    ours = generic.predict_batch(m, n, k, "bf16", "tn").runtime_s
    theirs = own.predict_batch(m, n, k, "bf16", "tn").runtime_s
    assert np.abs(ours / theirs - 1.0).mean() < 1.0 / 6.0


def test_the_shipped_model_is_small() -> None:
    assert Path(artefact_path("generic")).stat().st_size <= 2_000_000

"""What a model says beside the promises: kernels, ranking, domain, batches, loading."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.artefacts import kernels_artefact, small_artefact
from stand_ins.strategies import layouts_of

import gpperf_lite as gp
from gpperf_lite import _artefact
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._gpu_names import gpu_name

SQUARE = gp.Gemm(4096, 4096, 4096, "bf16")


@pytest.mark.parametrize(
    "name", ["h200_sxm", "h200", "H200_SXM", "NVIDIA H200", "NVIDIA_H200", "nvidia-h200"]
)
def test_a_gpu_answers_to_every_name_that_people_type(name: str) -> None:
    assert gp.load(name).name == "h200_sxm"


@pytest.mark.parametrize("name", gp.available())
def test_nvml_s_name_of_each_gpu_finds_its_model(name: str) -> None:
    model = gp.load(name)
    assert gp.load(model.gpu.name).name == name == model.name


def test_an_unknown_gpu_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(gp.UnknownGpuError, match="did you mean 'h200"):
        gp.load("h20O")
    with pytest.raises(LookupError):
        gp.load("")


def test_a_gpu_without_a_model_is_answered_for_from_its_data_sheet() -> None:
    model = gp.load("NVIDIA A10")
    assert "a10" not in gp.available()
    assert (model.name, model.gpu) == ("generic", known_gpus()["a10"])
    prediction = model.predict(SQUARE)
    assert prediction == gp.load("generic", gpu=model.gpu).predict(SQUARE)
    assert prediction.notes[0].startswith("NVIDIA A10 was not measured: predicted from its data")
    assert not prediction.in_domain
    # What is of a dtype, and what is of the GPU.
    card = model.card
    (own,) = (one for one in card["estimators"] if one["dtype"] == "bf16")
    assert prediction.notes == (*own["remarks"], *card["remarks"], *own["notes"])
    assert not any("f32" in note for note in prediction.notes)
    assert [one.kernel.name for one in model.rank(SQUARE)] == ["library"]


@pytest.mark.parametrize("name", known_gpus())
def test_every_gpu_of_the_catalogue_answers(name: str) -> None:
    model = gp.load(name)
    assert model.gpu.name == known_gpus()[name].name
    assert model.predict(gp.Gemm(512, 512, 512, model.dtypes[0])).runtime_s > 0.0


def test_a_gpu_and_a_data_sheet_are_not_given_both() -> None:
    gpu = known_gpus()["a10"]
    with pytest.raises(gp.InputError, match="gpu must be left out for a model of a certain GPU"):
        gp.load("h200", gpu=gpu)
    with pytest.raises(gp.UnknownGpuError, match="no built-in model 'a10' .there are: generic, "):
        gp.load("a10", gpu=gpu)


@pytest.mark.parametrize("name", ["h100", "a100", "h200", "v100", "b200", "gpu:h200:1", "A100-40G"])
def test_a_name_of_several_boards_is_the_sxm_one_and_every_prediction_says_so(name: str) -> None:
    model = gp.load(name)
    exact = gp.load(model.gpu.name)
    assert "_sxm" in gpu_name(name).short
    (note,) = model.card["notes"]
    assert note.startswith(f"{name!r} is taken as {gpu_name(name).short}, ")
    assert " the SXM" in note
    assert exact.card["notes"] == []
    gemm = replace(SQUARE, dtype="f16")
    kernel = "cutlass_tensorop_s16816gemm_f16_128x128_32x3_tn_align8"
    ours, theirs = model.predict(gemm), exact.predict(gemm)
    assert ours._replace(notes=()) == theirs._replace(notes=())
    assert [one for one in ours.notes if one != note] == list(theirs.notes)
    many = model.predict_batch([64, 4096], 4096, 4096, "f16")
    ranked = model.rank(gemm, kernels=["library", kernel]) if "v100" not in name else []
    for notes in (ours.notes, *many.notes, *(one.notes for one in ranked)):
        assert notes.count(note) == 1


@pytest.mark.parametrize("source", [None, 3, ["h200"], b"h200"])
def test_a_source_that_is_neither_name_nor_path_is_refused(source: object) -> None:
    with pytest.raises(gp.InputError, match="^source must be"):
        gp.load(source)


def test_an_artefact_is_loaded_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    _artefact.write(small_artefact(), path)
    for source in (path, str(path)):
        assert gp.load(source).predict(SQUARE).runtime_s > 0
    with pytest.raises(gp.ArtefactError, match="cannot read"):
        gp.load(tmp_path / "other.safetensors")


def test_without_a_kernel_the_library_answers(h200: gp.Model) -> None:
    assert h200.predict(SQUARE).kernel.name == "library"
    assert h200.predict(SQUARE) == h200.predict(SQUARE, kernel="library")
    assert h200.predict(SQUARE) == h200.predict(SQUARE, kernel=h200.kernels[0])


def test_without_a_library_the_fastest_kernel_that_can_run_it_answers() -> None:
    model = gp.Model(kernels_artefact())
    for layout in ("nn", "nt", "tn", "tt"):
        gemm = gp.Gemm(512, 512, 512, "f32", layout)
        able = [kernel for kernel in model.kernels if kernel.obstacle(gemm) is None]
        if not able:
            with pytest.raises(gp.UnknownKernelError, match="can run"):
                model.predict(gemm)
            continue
        runtimes = [model.predict(gemm, kernel).runtime_s for kernel in able]
        assert model.predict(gemm).runtime_s == min(runtimes)
        assert model.best(gemm) == model.predict(gemm)


def test_rank_is_sorted_by_its_objective(rtx4070: gp.Model) -> None:
    gemm = gp.Gemm(1024, 512, 2048, "f32", "nn")
    ranking = rtx4070.rank(gemm)
    assert [p.runtime_s for p in ranking] == sorted(p.runtime_s for p in ranking)
    assert {p.kernel.name for p in ranking} == {"cutlass_simt_sgemm_128x128_8x2_nn_align1"}


def test_ranking_by_energy_needs_power(rtx4070: gp.Model, h200: gp.Model) -> None:
    with pytest.raises(gp.InputError, match="needs power"):
        rtx4070.rank(gp.Gemm(64, 64, 64, "f32", "nn"), objective="energy")
    assert h200.rank(SQUARE, objective="energy")[0].energy_j > 0
    with pytest.raises(gp.InputError, match="did you mean 'energy'"):
        h200.rank(SQUARE, objective="energie")


def test_a_kernel_that_cannot_run_a_gemm_says_why(rtx4070: gp.Model) -> None:
    kernel = "cutlass_simt_sgemm_128x128_8x2_nn_align1"
    with pytest.raises(gp.UnknownKernelError, match="layout is nn, not tt"):
        rtx4070.predict(gp.Gemm(64, 64, 64, "f32", "tt"), kernel=kernel)
    with pytest.raises(gp.UnknownKernelError, match="did you mean"):
        rtx4070.predict(gp.Gemm(64, 64, 64, "f32", "nn"), kernel=kernel[:-1])


def test_a_dtype_that_was_not_measured_is_refused(rtx4070: gp.Model) -> None:
    nvfp4 = gp.Gemm(4096, 4096, 4096, "nvfp4")
    for ask in (rtx4070.predict, rtx4070.rank, rtx4070.best):
        with pytest.raises(gp.InputError, match=r"answers for: f32 .*\(got 'nvfp4'\)"):
            ask(nvfp4)
    with pytest.raises(gp.InputError, match="answers for: f32"):
        rtx4070.predict_batch([1], [1], [1], "nvfp4")


def test_a_stand_in_is_said_to_be_one(h200: gp.Model) -> None:
    half = h200.predict(gp.Gemm(4096, 4096, 4096, "f16"))
    assert half.runtime_s == h200.predict(SQUARE).runtime_s
    assert not half.in_domain
    assert half.notes == ("f16 was not measured: predicted as bf16",)


def test_outside_the_domain_it_says_which_size_is_outside(h200: gp.Model) -> None:
    inside = h200.predict(SQUARE)
    assert inside.in_domain
    outside = h200.predict(gp.Gemm(1 << 20, 4096, 8, "bf16", "nn", beta=1.0))
    assert not outside.in_domain
    assert len(outside.notes) == 4
    assert any("m is above 32768" in note for note in outside.notes)
    assert any("k is below 32" in note for note in outside.notes)
    assert any("layout nn" in note for note in outside.notes)
    assert any("beta was 0" in note for note in outside.notes)


def test_power_of_short_kernels_is_said_to_be_extrapolated(h200: gp.Model) -> None:
    short = h200.predict(gp.Gemm(16, 512, 512, "bf16"))
    assert short.in_domain
    assert any("power of kernels under" in note for note in short.notes)
    assert not h200.predict(gp.Gemm(8192, 8192, 8192, "bf16")).notes


def test_a_batch_takes_scalars_lists_and_arrays(h200: gp.Model) -> None:
    expected = h200.predict(SQUARE).runtime_s
    arrays = [np.array([4096]), np.array([4096.0], np.float32)]
    columns = [4096, [4096], (4096,), *arrays, range(4096, 4097)]
    for column in columns:
        batch = h200.predict_batch(column, 4096, np.int32(4096), "bf16")
        assert batch.runtime_s.tolist() == [expected]
    assert len(h200.predict_batch([], [], [], "bf16")) == 0


def test_arrays_of_different_lengths_are_refused(h200: gp.Model) -> None:
    with pytest.raises(gp.InputError, match="one length"):
        h200.predict_batch([1, 2], [1, 2, 3], 1, "bf16")
    with pytest.raises(gp.InputError, match="^m must be flat"):
        h200.predict_batch(np.ones((2, 2)), 1, 1, "bf16")
    with pytest.raises(gp.InputError, match="in row 1"):
        h200.predict_batch([1, 0, 1], 1, 1, "bf16")


def test_rows_that_no_kernel_can_run_are_named(rtx4070: gp.Model) -> None:
    kernel = "cutlass_simt_sgemm_128x128_8x2_nn_align1"
    with pytest.raises(gp.UnknownKernelError, match="layout is nn, not tt"):
        rtx4070.predict_batch([64], [64], [64], "f32", "tt", kernel=kernel)


def test_what_is_not_a_gemm_is_refused(h200: gp.Model) -> None:
    for ask in (h200.predict, h200.rank, h200.best):
        with pytest.raises(gp.InputError, match="^gemm must be"):
            ask((4096, 4096, 4096))


def test_the_card_is_a_fresh_copy_of_json_types(model: gp.Model) -> None:
    card = model.card
    assert json.loads(json.dumps(card)) == json.loads(json.dumps(model.card))
    card["provenance"].clear()
    card["estimators"][0]["accuracy"].clear()
    assert model.card["provenance"]
    assert model.card["estimators"][0]["accuracy"]["mean_ape"] > 0
    assert all(source["licence"] for source in model.card["provenance"]["runtime"])


def test_models_and_answers_survive_copying_and_pickling(h200: gp.Model) -> None:
    prediction = h200.predict(SQUARE)
    for twin in (copy.deepcopy(h200), pickle.loads(pickle.dumps(h200))):
        assert twin.predict(SQUARE) == prediction
    assert pickle.loads(pickle.dumps(prediction)) == prediction


def test_a_prediction_cannot_be_changed(h200: gp.Model) -> None:
    prediction = h200.predict(SQUARE)
    with pytest.raises(AttributeError):
        prediction.runtime_s = 0.0
    assert "library" in repr(prediction)


def test_a_prediction_as_json_has_every_figure(model: gp.Model) -> None:
    gemm = gp.Gemm(256, 256, 256, model.dtypes[0], layouts_of(model)[0])
    document = json.loads(json.dumps(model.predict(gemm).to_dict()))
    assert document["runtime_s"] == model.predict(gemm).runtime_s
    assert {"m", "dtype", "kernel", "energy_j", "bound", "notes", "confidence"} <= set(document)

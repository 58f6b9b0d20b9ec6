"""The dtypes that were not measured on a GPU: its model answers for them by the data sheet."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins.artefacts import GPU, kernels_artefact, small_artefact
from stand_ins.generics import generic_model
from stand_ins.tables import GRID, gemm_ms, serving_table, write_parquet

import gpperf_lite as gp
from builder.__main__ import main
from builder.train.other_dtypes import with_other_dtypes
from gpperf_lite._artefact import decode, encode
from gpperf_lite._generic import write as write_generic

GENERIC = generic_model()
KERNELS = gp.Model(decode(encode(with_other_dtypes(kernels_artefact(), GENERIC))))
SHEET = gp.Model(GENERIC.artefact_for(GPU))


@pytest.mark.parametrize("dtype", ["bf16", "fp8", "f16"])
def test_a_dtype_that_was_not_measured_is_answered_for_as_the_generic_model_does(
    dtype: str,
) -> None:
    gemm = gp.Gemm(512, 1024, 768, dtype)
    mine, theirs = KERNELS.predict(gemm), SHEET.predict(gemm)
    assert (mine.runtime_s, mine.runtime_interval_s) == (
        theirs.runtime_s,
        theirs.runtime_interval_s,
    )
    assert not mine.in_domain
    assert "NVIDIA Test 100 was not measured: predicted from its data sheet" in theirs.notes[0]
    measured = "bf16" if dtype == "f16" else dtype
    lead = f"NVIDIA Test 100 was not measured in {measured}: "
    assert mine.notes == (lead + theirs.notes[0].partition(": ")[2], *theirs.notes[1:])


def test_what_was_measured_is_answered_for_as_before() -> None:
    before, gemm = gp.Model(kernels_artefact()), gp.Gemm(512, 512, 512, "f32", "nn")
    assert KERNELS.predict(gemm) == before.predict(gemm)
    assert KERNELS.rank(gemm) == before.rank(gemm)
    assert KERNELS.dtypes == ("f32", "bf16", "fp8", "f16")
    asked = ([512, 64], 512, 512, "f32", "nn")
    times = [one.predict_batch(*asked).runtime_s.tolist() for one in (KERNELS, before)]
    assert times[0] == times[1]


def test_a_kernel_that_runs_nothing_is_named_and_not_the_library() -> None:
    with pytest.raises(gp.UnknownKernelError, match=r"can run .* f32 tt \(cutlass_simt"):
        KERNELS.predict(gp.Gemm(512, 512, 512, "f32", "tt"))


def test_a_batch_in_another_dtype_has_the_bits_of_single_predictions() -> None:
    batch = KERNELS.predict_batch([64, 512], [128, 1024], 768, "fp8")
    one = [KERNELS.predict(gp.Gemm(m, n, 768, "fp8")) for m, n in ((64, 128), (512, 1024))]
    assert batch.runtime_s.tolist() == [prediction.runtime_s for prediction in one]
    assert not batch.in_domain.any()
    assert batch.notes[0] == one[0].notes


def test_stand_ins_of_its_own_stay_and_nothing_is_added_that_is_there() -> None:
    small = with_other_dtypes(small_artefact(), GENERIC)
    model = gp.Model(small)
    assert model.dtypes == ("bf16", "fp8", "f16")
    f16 = model.predict(gp.Gemm(64, 64, 64, "f16"))
    assert f16 == gp.Model(small_artefact()).predict(gp.Gemm(64, 64, 64, "f16"))
    assert with_other_dtypes(small, GENERIC) is small


def test_the_card_tells_which_model_answers_for_the_others() -> None:
    card = KERNELS.card
    assert card["provenance"]["other_dtypes_from"] == {"name": "generic", "version": "1"}
    remarks = {one["dtype"]: one["remarks"] for one in card["estimators"]}
    assert remarks["f32"] == []
    assert "was not measured in" in remarks["fp8"][0]


RECIPE = """
[mine]
version = "1"
format = "llmservingsim"
gpu = "rtx_a6000"
runtime = ["a.parquet"]
split = "pair"
folds = 2
stand_ins = {}
other_dtypes = "sheet"
"""


def test_a_recipe_names_the_model_that_answers_for_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table is of f16, and the generic model answers for f16 as for bf16."""
    rows = [{"m": m, "n": n, "k": k, "latency_us": 2e3 * gemm_ms(m, n, k)} for m, n, k in GRID]
    write_parquet(tmp_path / "a.parquet", serving_table(*rows))
    write_generic(GENERIC, tmp_path / "sheet.safetensors")
    (tmp_path / "mine.toml").write_text(RECIPE)
    arguments = ["models", "build", "--recipe", str(tmp_path / "mine.toml"), "--workers", "1"]
    arguments += ["--sources", str(tmp_path), "--output", str(tmp_path)]
    assert main([*arguments, "--fits", str(tmp_path / "fits")]) == 0
    model = gp.load(tmp_path / "mine.safetensors")
    assert model.dtypes == ("f16", "bf16")
    note = model.predict(gp.Gemm(512, 1024, 1024, "bf16")).notes[0]
    assert note.startswith("NVIDIA RTX A6000 was not measured in bf16: predicted from its data")
    assert "errors as of GPUs held out: bf16\n" in capsys.readouterr().out

"""Back ends by name: which one answers, what it timed, and which are compared with which."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import back_ends_artefact, estimator, kernels_artefact
from stand_ins.strategies import batches, sizes

import gpperf_lite as gp
from gpperf_lite._artefact import Artefact, decode, encode
from gpperf_lite._cli import main
from gpperf_lite._kernel import LIBRARIES, LIBRARY, SGLANG, TRTLLM, VLLM

MODEL = gp.Model(decode(encode(back_ends_artefact())))
NAMES = [library.name for library in LIBRARIES]

# Of each dtype, the back ends that answer for it and what they timed.
ANSWERING = {
    "bf16": dict.fromkeys(NAMES, "gemm"),
    "f16": dict.fromkeys(NAMES, "gemm"),
    "fp8": {**dict.fromkeys(NAMES[:3], "quantise+gemm"), "trtllm": "layer"},
    "fp8_static": {"sglang": "gemm"},
    "int8_wo": {"trtllm": "layer"},
    "int4_wo": {"trtllm": "layer"},
}


def square(dtype: str, side: int = 512) -> gp.Gemm:
    return gp.Gemm(side, side, side, dtype)


def with_kernels(artefact: Artefact, timed: str = "") -> gp.Model:
    """Return a model that also knows the kernels of f32, which timed this."""
    kernels = kernels_artefact()
    first = len(artefact.kernels)
    moved = tuple(
        one._replace(kernels=tuple(first + index for index in one.kernels), timed=timed)
        for one in kernels.estimators
    )
    return gp.Model(
        artefact._replace(
            kernels=(*artefact.kernels, *kernels.kernels),
            estimators=(*artefact.estimators, *moved),
        )
    )


# --- which one answers -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ANSWERING)
@pytest.mark.parametrize("name", NAMES)
def test_a_back_end_answers_for_the_dtypes_that_it_was_measured_in(dtype: str, name: str) -> None:
    if name in ANSWERING[dtype]:
        p = MODEL.predict(square(dtype), name)
        assert (p.kernel.name, p.timed) == (name, ANSWERING[dtype][name])
        assert p.to_dict()["timed"] == p.timed
        return
    for ask in (MODEL.predict, lambda gemm, name: MODEL.rank(gemm, kernels=[name])):
        with pytest.raises(gp.UnknownKernelError, match=f"{name}: it was not measured for {dtype}"):
            ask(square(dtype), name)


def test_back_ends_that_share_an_estimator_give_the_same_figures() -> None:
    for dtype, names in (("bf16", NAMES), ("fp8", ["library", "vllm"])):
        answers = [MODEL.predict(square(dtype), name) for name in names]
        assert [one.kernel.name for one in answers] == names
        assert len({one._replace(kernel=LIBRARY) for one in answers}) == 1
    assert (
        MODEL.predict(square("fp8"), VLLM).runtime_s
        != MODEL.predict(square("fp8"), SGLANG).runtime_s
    )


@pytest.mark.parametrize("name", ["tensorrt-llm", "tensorrt_llm", "trt-llm", "trt_llm"])
def test_a_back_end_is_asked_for_in_any_usual_spelling(name: str) -> None:
    gemm = square("int8_wo")
    assert MODEL.predict(gemm, name) == MODEL.predict(gemm, TRTLLM)
    assert MODEL.rank(gemm, kernels=[name]) == [MODEL.predict(gemm, TRTLLM)]
    assert MODEL.predict_batch([512], 512, 512, "int8_wo", kernel=name).kernel[0] == "trtllm"


@pytest.mark.parametrize("dtype", ["bf16", "f16", "fp8"])
def test_without_a_kernel_library_answers_where_it_can(dtype: str) -> None:
    assert MODEL.predict(square(dtype)) == MODEL.predict(square(dtype), "library")


@pytest.mark.parametrize(
    ("dtype", "name"), [("fp8_static", "sglang"), ("int8_wo", "trtllm"), ("int4_wo", "trtllm")]
)
def test_where_library_cannot_the_first_back_end_that_can_answers_and_a_note_says_so(
    dtype: str, name: str
) -> None:
    gemm = square(dtype)
    asked, default = MODEL.predict(gemm, name), MODEL.predict(gemm)
    text = f"library was not measured for {dtype}: predicted for {name}"
    assert text in default.notes
    assert text not in asked.notes
    rest = tuple(note for note in default.notes if note != text)
    assert default._replace(notes=rest) == asked
    # A second time, when it is remembered; and the named one is as it was.
    assert (MODEL.predict(gemm), MODEL.predict(gemm, name)) == (default, asked)


def test_the_order_of_the_artefact_decides_which_back_end_is_first() -> None:
    artefact = back_ends_artefact()
    turned = artefact._replace(kernels=(TRTLLM, SGLANG, VLLM, LIBRARY))
    swapped = [
        one._replace(kernels=tuple(3 - index for index in one.kernels)) for one in turned.estimators
    ]
    model = gp.Model(turned._replace(estimators=tuple(swapped)))
    assert model.predict(square("fp8")).kernel.name == "library"
    without = [one._replace(kernels=one.kernels[:1]) for one in swapped]
    assert (
        gp.Model(turned._replace(estimators=tuple(without))).predict(square("fp8")).kernel == TRTLLM
    )


def test_a_dtype_of_known_kernels_alone_is_answered_for_by_the_fastest_of_them() -> None:
    model = with_kernels(back_ends_artefact())
    gemm = gp.Gemm(512, 512, 512, "f32", "nn")
    assert model.predict(gemm) == model.best(gemm)
    batch = model.predict_batch([512], 512, 512, "f32", "nn")
    assert batch.kernel[0] == model.best(gemm).kernel.name
    with pytest.raises(gp.UnknownKernelError, match=r"f32.*\(library: it was not measured"):
        model.predict(gemm, "library")


def test_without_library_and_back_ends_for_it_the_fastest_known_kernel_answers() -> None:
    artefact = back_ends_artefact()
    own = tuple(one._replace(kernels=(0,)) for one in artefact.estimators[5:6])
    model = with_kernels(artefact._replace(kernels=(SGLANG,), estimators=own, stand_ins={}))
    gemm = gp.Gemm(512, 512, 512, "f32", "nn")
    assert model.predict(gemm) == model.best(gemm)
    assert model.predict(gemm).kernel.family == "cutlass2"
    batch = model.predict_batch([512], 512, 512, "f32", "nn")
    assert (batch.kernel[0], batch.runtime_s[0]) == (
        model.best(gemm).kernel.name,
        model.best(gemm).runtime_s,
    )
    assert model.predict(square("fp8_static")).kernel == SGLANG


@pytest.mark.parametrize("rows", [[], [1, 2]])
def test_a_batch_for_a_back_end_that_was_not_measured_is_refused(rows: list[int]) -> None:
    with pytest.raises(gp.UnknownKernelError, match="vllm: it was not measured for int8_wo"):
        MODEL.predict_batch(rows, rows, rows, "int8_wo", kernel="vllm")


# --- notes and what was timed ------------------------------------------------------------------


@given(
    m=st.lists(sizes, min_size=1, max_size=6), n=sizes, k=sizes, batch=batches,
    dtype=st.sampled_from(list(ANSWERING)),
    name=st.sampled_from([None, *NAMES]),
    beta=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
def test_a_row_of_a_batch_has_the_notes_and_bits_of_its_prediction(
    m: list[int], n: int, k: int, batch: int, dtype: str, name: str | None, beta: float
) -> None:
    if name is not None and name not in ANSWERING[dtype]:
        return
    together = MODEL.predict_batch(m, n, k, dtype, batch=batch, beta=beta, kernel=name)
    for row, one in enumerate(m):
        alone = MODEL.predict(gp.Gemm(one, n, k, dtype, "tn", batch, 1.0, beta), name)
        assert together.runtime_s[row] == alone.runtime_s
        assert together.kernel[row] == alone.kernel.name
        assert together.timed[row] == alone.timed
        assert together.notes[row] == alone.notes
        assert together.in_domain[row] == alone.in_domain


def test_notes_of_an_estimator_go_with_its_predictions_and_keep_them_in_the_domain() -> None:
    weights = MODEL.predict(square("int8_wo"), "trtllm")
    assert weights.notes == ("weights come from DRAM", "one sample each")
    assert weights.in_domain
    assert MODEL.predict(square("fp8"), "sglang").notes == ()
    stand_in = MODEL.predict(square("int4_wo"), "trtllm")
    assert stand_in.notes[1:] == weights.notes
    assert not stand_in.in_domain


def test_notes_of_power_go_with_predictions_of_power_and_each_is_there_once() -> None:
    assert MODEL.predict(square("bf16", 8192)).notes == ("power is of dice",)
    artefact = back_ends_artefact()
    both = [one._replace(notes=("of dice", "once")) for one in artefact.estimators[:2]]
    model = gp.Model(artefact._replace(estimators=(*both, *artefact.estimators[2:])))
    assert model.predict(square("bf16", 8192)).notes == ("of dice", "once")


def test_the_card_says_what_each_estimator_timed_and_its_notes() -> None:
    cards = json.loads(json.dumps(MODEL.card))["estimators"]
    assert cards[2]["kernels"] == ["vllm", "library"]
    assert [(one["timed"], one["notes"]) for one in cards[1:3]] == [
        ("gemm", ["power is of dice"]),
        ("quantise+gemm", ["scales are dynamic"]),
    ]


def test_the_command_says_what_was_timed(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("model") / "back_ends.safetensors"
    path.write_bytes(encode(back_ends_artefact()))

    def run(*arguments: str) -> str:
        assert main([*arguments, f"--gpu={path}", "--dtype=fp8"]) == 0
        return capsys.readouterr().out

    assert "timed       layer\n" in run("predict", "512", "512", "512", "--kernel", "trt-llm")
    assert json.loads(run("predict", "512", "512", "512", "--json"))["timed"] == "quantise+gemm"
    csv = run("predict", "512", "512", "512", "--kernel=sglang", "--csv=-").splitlines()
    assert csv[1].split(",")[csv[0].split(",").index("timed")] == "quantise+gemm"
    ranking = run("rank", "512", "512", "512")
    assert "quantise+gemm" in ranking
    assert "layer" not in ranking
    assert main(["card", str(path)]) == 0
    card = capsys.readouterr().out
    assert "vllm library" in card
    assert "note: scales are dynamic" in card


# --- which are compared ------------------------------------------------------------------------


def ranked(model: gp.Model, gemm: gp.Gemm, kernels: list[str] | None = None) -> set[str]:
    """Return the names of the kernels of a ranking, which `predict` gives each alone."""
    ranking = model.rank(gemm, kernels=kernels)
    for one in ranking:
        assert one == model.predict(gemm, one.kernel)
    assert len({one.timed for one in ranking}) == 1
    assert len(ranking) == len({one.kernel.name for one in ranking})
    return {one.kernel.name for one in ranking}


@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        ("bf16", {"library"}),
        ("f16", {"library"}),
        ("fp8", {"vllm", "sglang"}),
        ("fp8_static", {"sglang"}),
        ("int4_wo", {"trtllm"}),
    ],
)
def test_all_that_timed_as_library_did_are_compared_each_under_its_own_name(
    dtype: str, names: set[str]
) -> None:
    """What shares an estimator is there once; what timed something else is not there."""
    assert ranked(MODEL, square(dtype)) == names
    assert MODEL.best(square(dtype)).kernel.name in names


def test_a_ranking_of_named_kernels_names_what_was_asked_for() -> None:
    for names in (["library", "sglang"], ["library", "vllm"], ["trtllm"], ["vllm", "sglang"]):
        assert ranked(MODEL, square("fp8"), names) == set(names)
    assert ranked(MODEL, square("bf16"), NAMES) == set(NAMES)


@pytest.mark.parametrize(
    ("names", "first"),
    [(["sglang", "trtllm", "vllm"], "vllm"), (["library", "trtllm"], "library")],
)
def test_named_kernels_that_timed_different_things_are_not_compared(
    names: list[str], first: str
) -> None:
    text = (
        f"kernels must all have timed the same (got '{first}', which timed quantise+gemm, and "
        "'trtllm', which timed layer): see docs/backends.md"
    )
    with pytest.raises(gp.InputError) as error:
        MODEL.rank(square("fp8"), kernels=names)
    assert str(error.value) == text


def test_a_kernel_that_does_not_answer_for_the_dtype_is_in_nobodys_way() -> None:
    """In fp8_static trtllm has no answer at all, whatever it timed elsewhere."""
    assert ranked(MODEL, square("fp8_static"), ["sglang", "trtllm"]) == {"sglang"}


def test_what_is_not_said_is_compared_with_everything() -> None:
    """As in files of format 1, which say nothing of what was timed."""
    artefact = back_ends_artefact()
    silent = tuple(one._replace(timed="") for one in artefact.estimators)
    model = gp.Model(artefact._replace(estimators=silent))
    assert ranked(model, square("fp8")) == {"vllm", "sglang", "trtllm"}
    assert ranked(model, square("fp8"), ["library", "trtllm"]) == {"library", "trtllm"}


@pytest.mark.parametrize(("timed", "is_there"), [("", True), ("gemm", False), ("layer", False)])
def test_a_known_kernel_is_compared_with_back_ends_that_timed_the_same(
    timed: str, is_there: bool
) -> None:
    dice = np.random.default_rng(8)
    known = replace(kernels_artefact().kernels[0], name="own", dtype="fp8", layout=None)
    one = estimator(dice, "runtime", "fp8", (4,), "kernel")._replace(timed=timed)
    artefact = back_ends_artefact()
    model = gp.Model(
        artefact._replace(
            kernels=(*artefact.kernels, known), estimators=(*artefact.estimators, one)
        )
    )
    ranking = model.rank(square("fp8"))
    assert ("own" in {one.kernel.name for one in ranking}) == is_there

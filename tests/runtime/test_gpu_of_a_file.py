"""The facts of a GPU in a user's file: what `gpperf gpus --json` prints, of one or of several."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.shell import printed, refused

import gpperf_lite as gp
from gpperf_lite._descriptions import gpu_to_json
from gpperf_lite._gpu_facts import known_gpus, read_gpu
from gpperf_lite._gpu_listing import gpu_documents

A10 = {"gpu": "a10", "has_model": False, **gpu_to_json(known_gpus()["a10"])}
MINE = {**A10, "gpu": "mine", "name": "Board of Mine 2"}
OPTIONAL = ("gpu", "has_model", "power_limit_w", "idle_power_w")
NEEDED = [key for key in A10 if key not in OPTIONAL]


def written(folder: Path, content: Any) -> Path:
    path = folder / "facts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refusal(folder: Path, content: Any, name: str | None = None) -> str:
    with pytest.raises(gp.InputError) as caught:
        read_gpu(written(folder, content), name)
    text = str(caught.value)
    assert text.isprintable()
    assert "facts.json" in text
    return text


def test_a_file_of_one_gpu_needs_no_name(tmp_path: Path) -> None:
    for content in (A10, [A10], {key: A10[key] for key in NEEDED}):
        gpu = read_gpu(written(tmp_path, content))
        assert gpu.peak_flops == known_gpus()["a10"].peak_flops
        assert gpu.name == "NVIDIA A10"


def test_of_several_the_one_is_taken_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, gpu_documents())
    for name, gpu in known_gpus().items():
        assert read_gpu(path, name) == read_gpu(path, gpu.name.upper()) == gpu
    both = written(tmp_path, [A10, MINE])
    for name in ("mine", "Board of Mine 2", "board-of-mine_2"):
        assert read_gpu(both, name).name == "Board of Mine 2"


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ([A10, MINE], None, "must have one GPU, or --gpu say which (got ['a10', 'mine'])"),
        ([A10, MINE], "h100", "must have one GPU called 'h100' (got ['a10', 'mine'])"),
        ([A10, A10], "a10", "must have one GPU called 'a10' (got ['a10'])"),
        (A10, "a100", "must have one GPU called 'a100' (got ['a10'])"),
        (gpu_documents(), "a11", "'a10g'] and more)"),
        ([], None, "must have one GPU, or --gpu say which (got [])"),
        ([A10, 3], None, "facts.json[1] must be a JSON object (got 3)"),
        ("3", None, "must be a JSON object (got 3)"),
        ("{", None, "no valid JSON"),
        ('{"name": "a", "name": "b"}', None, "the key 'name' is there twice"),
        ({**A10, "clock_mhz": 1695}, None, "unknown key 'clock_mhz'; did you mean 'clock_hz'?"),
        ({**A10, "name": ""}, None, "name must be a text of 1 to 512 printable characters"),
        ({**A10, "name": "\x1b[2J"}, None, "name must be a text"),
        ({**A10, "gpu": 3}, "a10", "gpu must be a text"),
        ({**A10, "sm_count": 72.5}, None, "sm_count must be an integer from 1 to 1000000 (got 72."),
        ({**A10, "clock_hz": "fast"}, None, "clock_hz must be a number from 1000 to 1e+12 (got 'f"),
        ({**A10, "l2_bytes": math.nan}, None, "l2_bytes must be a number"),
        ({**A10, "compute_capability": 8.6}, None, "compute_capability must be a list"),
        ({**A10, "peak_flops": {"bf61": 1e14}}, None, "peak_flops: 'bf61' must be a dtype, one of"),
        ({**A10, "peak_flops": {"bf16": 125}}, None, "peak_flops: bf16 must be a number from 1000"),
        ({**A10, "peak_flops": 1e14}, None, "peak_flops must be a JSON object"),
        ({**A10, "idle_power_w": 200}, None, "idle_power_w must be below power_limit_w (got 200.0"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, content: Any, name: str | None, reason: str
) -> None:
    assert reason in refusal(tmp_path, content, name)


@pytest.mark.parametrize("key", NEEDED)
def test_a_fact_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    text = refusal(tmp_path, {name: value for name, value in A10.items() if name != key})
    assert f"facts.json: {key} must be " in text
    assert text.endswith("(it is missing)")


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(gp.InputError, match="there is no file of GPUs .*nothing"):
        read_gpu(tmp_path / "nothing.json")
    with pytest.raises(gp.InputError, match="cannot read the file of GPUs"):
        read_gpu(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["f16", "half", "name", "gpu"]), inner, max_size=3),
    ),
    max_leaves=5,
)


@given(key=st.sampled_from([*A10, "unknown"]), value=VALUES, is_list=st.booleans())
def test_any_value_makes_a_gpu_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any, is_list: bool
) -> None:
    content = {**A10, key: value}
    path = written(tmp_path_factory.getbasetemp(), [MINE, content] if is_list else content)
    try:
        reason = f"facts.json has {read_gpu(path, 'a10' if is_list else None).name}"
    except gp.InputError as error:
        reason = str(error)
    assert reason.isprintable()
    assert "facts.json" in reason


SQUARE = ("4096", "4096", "4096", "--dtype", "bf16")


def test_predict_and_rank_answer_for_the_gpu_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path, MINE))
    mine = gp.load("generic", gpu=read_gpu(path))
    expected = mine.predict(gp.Gemm(4096, 4096, 4096, "bf16"))
    for command in ("predict", "rank"):
        out = printed(capsys, command, *SQUARE, "--gpu-facts", path, "--json")
        found = json.loads(out)
        found = found if command == "predict" else found[0]
        assert (found["model"], found["gpu"]) == ("generic", "Board of Mine 2")
        assert found["runtime_s"] == expected.runtime_s
        assert found["notes"][0].startswith("Board of Mine 2 was not measured: predicted from its")
    out = printed(capsys, "card", "--gpu-facts", path)
    assert out.startswith("generic, version 1, for Board of Mine 2\n")
    assert "Board of Mine 2 was not measured: predicted from its data sheet" in out


def test_of_a_file_of_several_gpus_gpu_names_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "gpus", "--json")
    path = str(written(tmp_path, out))
    by_file = printed(capsys, "predict", *SQUARE, "--gpu-facts", path, "--gpu", "a10", "--json")
    by_name = printed(capsys, "predict", *SQUARE, "--gpu", "NVIDIA A10", "--json")
    assert by_file == by_name
    error = refused(capsys, "predict", *SQUARE, "--gpu-facts", path)
    assert "must have one GPU, or --gpu say which" in error
    card = printed(capsys, "card", "l4", "--gpu-facts", path)
    assert "for NVIDIA L4" in card


def test_what_is_measured_is_predicted_from_its_facts_where_a_file_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "gpus", "--json")
    path = str(written(tmp_path, out))
    text = printed(capsys, "predict", *SQUARE, "--gpu-facts", path, "--gpu", "h200_sxm")
    assert "predicted from the data sheet alone, though NVIDIA H200 was measured" in text


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("predict", *SQUARE, "--gpu-facts", "nothing.json"), "there is no file of GPUs nothing."),
        (("predict", *SQUARE, "--gpu", "h100 sxm5 pcie"), "no h100 with 'sxm5 pcie' is kn"),
        (("predict", *SQUARE, "--gpu", "p4"), "answers for: f32 (got 'bf16')"),
        (
            ("predict", "64", "64", "64", "--dtype", "fp8", "--gpu", "a10"),
            "answers for: bf16 f32 f16",
        ),
        (("predict", *SQUARE, "--gpu", "a10", "--kernel", "vllm"), "one that generic knows (libr"),
        (("rank", *SQUARE, "--gpu", "a10", "--objective", "energy"), "needs power, which generic"),
        (("card",), "card takes the name of a GPU, or --gpu-facts FILE"),
    ],
)
def test_a_mistake_is_one_line(
    command: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(capsys, *command)


def test_a_table_says_below_what_is_true_of_all_its_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, "predict", "--m=64,128", "--n=4096", "--k=4096", "--gpu=h100")
    assert "\nnote: 'h100' is taken as h100_sxm, the SXM board of 80 GB; " in out
    out = printed(capsys, "predict", "--m=64,128", "--n=4096", "--k=4096", "--gpu=a10")
    assert "\nnote: NVIDIA A10 was not measured: predicted from its data sheet" in out
    out = printed(capsys, "rank", *SQUARE, "--gpu=a10")
    assert "\nnote: NVIDIA A10 was not measured: predicted from its data sheet" in out

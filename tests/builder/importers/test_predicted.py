"""Tables of simulators with predicted times: our own importer reads them back, number by number."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from stand_ins.built_in import built_in
from stand_ins.simulators import DENSE, MLP, write_mlp
from stand_ins.tables import aiconfigurator, serving_table, write_parquet

import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import SourceError
from builder.importers import dense_like, import_table, mlp_like, parquet_like

SIZES = [(1, 128, 256), (64, 4096, 7168), (4096, 4096, 4096)]
LAYERS = {"o_proj": (4096, 4096), "down_proj": (4096, 14336)}


def read_back(folder: Path, data: bytes, gpu: str | None = None) -> dict[str, Any]:
    """Return columns of what our importer makes of a table of AIConfigurator's form."""
    path = folder / "predicted.parquet"
    path.write_bytes(data)
    dataset, report = import_table(path, "aiconfigurator", gpu)
    assert report.dropped.total() == 0
    names = ("gpu", "provider", "dtype", "kernel", "m", "n", "k", "runtime_s", "power_w")
    return {name: dataset.column(name) for name in (*names, "power_limit_w")}


def test_a_table_of_aiconfigurator_is_read_back_as_what_is_predicted(tmp_path: Path) -> None:
    like = write_parquet(tmp_path / "like.parquet", aiconfigurator(SIZES, power=True))
    model = built_in("b200_sxm")
    data, lines = parquet_like(like, model)
    assert lines[0] == "3 rows: predicted"
    columns = read_back(tmp_path, data)
    assert set(columns["gpu"]) == {"b200_sxm"}
    assert set(columns["provider"]) == {"gpperf-lite"}
    for row, size in enumerate(SIZES):
        assert tuple(int(columns[name][row]) for name in "mnk") == size
        expected = model.predict(gp.Gemm(*size, dtype="bf16"), "library")
        assert columns["runtime_s"][row] == pytest.approx(expected.runtime_s, rel=1e-12)
        assert columns["power_w"][row] == expected.power_w
        assert columns["power_limit_w"][row] == model.gpu.power_limit_w
    before, after = pq.read_table(like), pq.read_table(tmp_path / "predicted.parquet")
    assert after.schema == before.schema
    for name in ("framework", "version", "op_name", "gemm_dtype", "m", "n", "k"):
        if name in before.column_names:
            assert after.column(name) == before.column(name)


def test_what_is_not_known_is_left_out_or_null_and_counted(tmp_path: Path) -> None:
    """The RTX 4090 knows no nvfp4 and no power, and its model does not say what it times."""
    columns = aiconfigurator([*SIZES, SIZES[0]], power=True)
    columns["gemm_dtype"] = ["bfloat16", "nvfp4", "fp8_block", "mx"]
    like = write_parquet(tmp_path / "like.parquet", columns)
    data, lines = parquet_like(like, gp.load("rtx4090"))
    told = "\n".join(lines)
    assert "2 rows: predicted" in lines
    assert "nvfp4 is not known to the model of NVIDIA GeForce RTX 4090: left out" in told
    assert "left out, as an import would: unknown gemm_dtype 'mx'" in told
    assert "fp8_block of vllm is not known: predicted as library" in told
    assert "bf16 timed what is not stated, not what the table has" in told
    read = read_back(tmp_path, data)
    assert sorted(read["dtype"]) == ["bf16", "fp8_block"]
    assert np.isnan(read["power_w"].astype(float)).all()
    columns["gemm_dtype"] = ["nvfp4"] * 4
    with pytest.raises(SourceError, match=r"no row can be predicted \(.*nvfp4 is not known"):
        parquet_like(write_parquet(like, columns), gp.load("rtx4090"))
    like.write_text("m,n,k\n")
    with pytest.raises(SourceError, match="is not a Parquet file"):
        parquet_like(like, gp.load("rtx4090"))


@pytest.mark.parametrize(
    "name", ["h200_sxm__vllm_0.22.0", "b200_sxm__vllm_0.24.0", "l40s__vllm_0.24.0"]
)
def test_a_real_table_is_predicted_and_read_back(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    """For a GPU that nobody profiled, and for its own: there it is near what was measured."""
    like = shared_data / "aiconfigurator" / f"{name}.parquet"
    own = name.partition("__")[0]
    for gpu in ("h100_pcie", own):
        data, _ = parquet_like(like, gp.load(gpu))
        read = read_back(tmp_path, data)
        assert set(read["gpu"]) == {gpu}
        assert pq.read_table(tmp_path / "predicted.parquet").schema == pq.read_schema(like)
    measured, _ = import_table(like, "aiconfigurator")
    assert len(read["runtime_s"]) == len(measured)
    is_told = np.array([len(flags) == 0 for flags in measured.column("flags")])
    times = (read["runtime_s"] / measured.column("runtime_s"))[is_told].astype(float)
    assert np.quantile(np.abs(np.log(times)), 0.9) < 0.15


def dense(folder: Path, text: str, gpu: str = "h200_sxm", **layers: tuple[int, int]) -> list[str]:
    path = folder / "dense.csv"
    path.write_text(text)
    data, _ = dense_like(path, gp.load(gpu), "bf16", layers or LAYERS)
    return data.decode().splitlines()


def test_a_table_of_layers_has_predicted_gemms_and_its_other_layers(tmp_path: Path) -> None:
    head, act, *rows = dense(tmp_path, DENSE)
    assert (head, act) == ("layer,tokens,time_us", "act_fn,1,2.5")
    for row, layer, tokens in zip(
        rows, ["o_proj"] * 2 + ["down_proj"] * 2, [1, 64, 1, 2048], strict=True
    ):
        gemm = gp.Gemm(tokens, *LAYERS[layer], "bf16")
        runtime_s = built_in("h200_sxm").predict(gemm).runtime_s
        assert row == f"{layer},{tokens},{runtime_s * 1e6:.6g}"


@pytest.mark.parametrize(
    ("text", "layers", "why"),
    [
        (DENSE, {"q_proj": (1, 1)}, "has no layer q_proj: give --layers NAME=NxK of those that it"),
        ("layer,tokens\n", LAYERS, "lacks time_us"),
        ("", LAYERS, "lacks layer tokens time_us"),
        ("layer,tokens,time_us\n", LAYERS, "has no rows"),
        ("layer,tokens,time_us\no_proj,1\n", LAYERS, "line 2: it has not as many fields"),
        ("layer,tokens,time_us\no_proj,1,2,3\n", LAYERS, "line 2: it has not as many fields"),
        (f"{DENSE}o_proj,0,3\n", LAYERS, r"line 7: tokens must be .* \(got '0'\)"),
        (f"{DENSE}o_proj,4k,3\n", LAYERS, r"line 7: tokens must be .* \(got '4k'\)"),
        (f"{DENSE}\no_proj,4k,3\n", LAYERS, "line 8: tokens must be"),
        ("layer,tokens,time_us,tokens\no_proj,1,2,3\n", LAYERS, "two columns of one name: tokens"),
        (f"{DENSE}\n\no_proj,1\n", LAYERS, "line 9: it has not as many fields"),
    ],
)
def test_a_table_of_layers_that_is_none_is_refused(
    tmp_path: Path, text: str, layers: dict[str, tuple[int, int]], why: str
) -> None:
    with pytest.raises(SourceError, match=why):
        dense(tmp_path, text, **layers)


def test_a_table_of_layers_without_shapes_or_dtype_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dense.csv"
    path.write_text(DENSE)
    with pytest.raises(SourceError, match="says no shapes of layers: .* act_fn o_proj down_proj"):
        dense_like(path, gp.load("h200"), "bf16", {})
    with pytest.raises(SourceError, match="no row can be predicted .*nvfp4 is not known"):
        dense_like(path, gp.load("h200"), "nvfp4", LAYERS)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="is no CSV in UTF-8"):
        dense_like(path, gp.load("h200"), "bf16", LAYERS)
    with pytest.raises(SourceError, match="cannot read .*: No such file"):
        dense_like(tmp_path / "none.csv", gp.load("h200"), "bf16", LAYERS)


def test_predicted_layers_are_read_back_and_near_those_of_a_real_profile(
    tmp_path: Path, shared_data: Path
) -> None:
    """The measured rows of profiler v1, as its `dense.csv` has them, predicted for that GPU."""
    table = pq.read_table(shared_data / "llmservingsim" / "linear_bf16.parquet").to_pylist()
    rows = [row for row in table if row["profiler"] == "v1" and row["tp"] == 1]
    layers = {row["op"]: (row["n"], row["k"]) for row in rows}
    text = "".join(f"{row['op']},{row['m']},{row['latency_us']}\n" for row in rows)
    _, *lines = dense(tmp_path, f"layer,tokens,time_us\n{text}", "rtx4090", **layers)
    told = [line.split(",") for line in lines]
    cells = [
        {"gpu": "RTX4090", "profiler": "v1", "op": op, "m": int(m), "n": layers[op][0],
         "k": layers[op][1], "latency_us": float(us)}
        for op, m, us in told
    ]  # fmt: skip
    path = write_parquet(tmp_path / "back.parquet", serving_table(*cells))
    dataset, _ = import_table(path, "llmservingsim", "rtx4090")
    for row, runtime_s in zip(cells, dataset.column("runtime_s"), strict=True):
        assert runtime_s == pytest.approx(float(row["latency_us"]) * 1e-6)
    times = [float(us) / row["latency_us"] for (_, _, us), row in zip(told, rows, strict=True)]
    assert np.median(np.abs(np.log(times))) < 0.5


def mlp(folder: Path, *rows: dict[str, str]) -> list[dict[str, str]]:
    data, _ = mlp_like(write_mlp(folder / "mlp.csv", *rows), gp.load("h200"), "f16")
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_a_table_of_vidur_has_predicted_gemms_of_the_part_of_one_gpu(tmp_path: Path) -> None:
    plain = {**MLP, "use_gated_mlp": "False", "num_tokens": "1"}
    gated, single = mlp(tmp_path, MLP, plain)
    shapes = {
        "attn_pre_proj": (80 * 128 // 4, 8192),
        "attn_post_proj": (8192, 8192 // 4),
        "mlp_up_proj": (2 * 28672 // 4, 8192),
        "mlp_down_proj": (8192, 28672 // 4),
    }
    for operation, (n, k) in shapes.items():
        for row, m, share in ((gated, 4096, 1), (single, 1, 2 if "up" in operation else 1)):
            runtime_s = built_in("h200_sxm").predict(gp.Gemm(m, n // share, k, "f16")).runtime_s
            for stat in ("min", "max", "mean", "median"):
                told = float(row[f"time_stats.{operation}.{stat}"])
                assert told == pytest.approx(runtime_s * 1e3, rel=1e-5)
            assert row[f"time_stats.{operation}.std"] == "0.0"
    for name, value in MLP.items():
        if not any(operation in name for operation in shapes):
            assert gated[name] == value


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"num_tensor_parallel_workers": "3"}, "line 2: 10240 cannot be shared by 3 GPUs alike"),
        ({"n_head": "60"}, "line 2: n_embd 8192 cannot be shared by 60 heads alike"),
        ({"num_tokens": "-1"}, "line 2: num_tokens must be a whole number from 1 on"),
    ],
)
def test_a_table_of_vidur_that_makes_no_sense_is_refused(
    tmp_path: Path, cells: dict[str, str], why: str
) -> None:
    with pytest.raises(SourceError, match=why):
        mlp(tmp_path, {**MLP, **cells})


def test_of_vidur_s_rows_the_times_are_counted_of_which_each_has_several(tmp_path: Path) -> None:
    _, lines = mlp_like(write_mlp(tmp_path / "mlp.csv", MLP, MLP), gp.load("h200"), "f16")
    assert lines[0] == "8 times: predicted"
    assert "2 times: add is no GEMM: as in the table" in lines


def test_a_line_of_vidur_s_table_is_counted_where_blank_ones_are_before_it(tmp_path: Path) -> None:
    path = tmp_path / "mlp.csv"
    rows = [MLP, MLP.values(), {**MLP, "n_head": "x"}.values()]
    path.write_text("\n\n".join(",".join(row) for row in rows))
    with pytest.raises(SourceError, match="line 5: n_head must be a whole number"):
        mlp_like(path, gp.load("h200"), "f16")


def test_the_command_writes_tables_of_each_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    like = write_parquet(tmp_path / "like.parquet", aiconfigurator(SIZES))
    (tmp_path / "dense.csv").write_text(DENSE)
    write_mlp(tmp_path / "mlp.csv")
    asked = {
        "aiconfigurator": ["--like", str(like)],
        "llmservingsim": ["--like", str(tmp_path / "dense.csv"), "--layers", "o_proj=4096x4096"],
        "vidur": ["--like", str(tmp_path / "mlp.csv")],
    }
    for form, arguments in asked.items():
        output = tmp_path / "new" / f"{form}.out"
        command = ["table", "--form", form, "--gpu", "h100_pcie", "--output", str(output)]
        assert main([*command, *arguments]) == 0
        assert output.stat().st_size > 0
        assert f"wrote {output}, predicted for NVIDIA H100 PCIe" in capsys.readouterr().out
    wrong = [
        (["vidur", "--layers", "a=1x1"], "--layers is of llmservingsim"),
        (["aiconfigurator", "--dtype", "bf16"], "--dtype is of layers"),
    ]
    rest = ["--gpu", "h200", "--like", str(like), "--output", str(tmp_path / "x")]
    for arguments, why in wrong:
        assert main(["table", "--form", *arguments, *rest]) == 2
        assert why in capsys.readouterr().err
    # Where nothing can be written, no model is loaded and no table read.
    nowhere = ["--gpu=none", "--like=none", f"--output={tmp_path}"]
    assert main(["table", "--form=vidur", *nowhere]) == 2
    assert "output must be a file (got the folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["table", "--form", "llmservingsim", "--layers", "a", *rest])
    assert "must be like qkv_proj=6144x4096 (got 'a')" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()

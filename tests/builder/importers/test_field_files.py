"""Files that people brought: each read right, to the figure, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins.tables import LFS_POINTER

from builder.errors import SourceError
from builder.importers import import_table

HEADER = (
    "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,alpha,beta,"
    "split_k_slices,batch_count,op_class,accum,cta_m,cta_n,cta_k,stages,inst_m,inst_n,inst_k,Runtime"
)
LATER_HEADER = HEADER.replace(",C,", ",C,D,")
F32 = "f32:column,f32:column,f32:column"
SIMT = "1,1,simt,f32,128,128,8,2,1,1,1"
TENSOR = "1,1,tensorop,f32,256,128,16,3,16,8,8"


def line(kernel: str, operands: str, tail: str, runtime_ms: float) -> str:
    """Return a row of 1024 cubed."""
    head = f"1,CUTLASS,gemm,{kernel},passed,success,universal,1024,1024,1024"
    return f"{head},{operands},1,0,{tail},{runtime_ms}"


SGEMM = "cutlass_simt_sgemm_128x128_8x2_nn_align1"
SLIM = "cutlass_simt_sgemm_128x64_8x2_nn_align1"
TF32 = "cutlass_tensorop_s1688tf32gemm_256x128_16x3_nn_align4"
SHORT = "Problem,Provider,OperationKind,Operation,Disposition,Status,{},A,B,C,Runtime"
SHORT_ROW = f"1,CUTLASS,gemm,{SGEMM},passed,success,{{}},{F32},0.05"

CUTLASS_FILES = {
    "two_releases.csv": [
        HEADER,
        line(SGEMM, F32, SIMT, 0.2),
        LATER_HEADER,
        line(SGEMM, f"{F32},f32:column", SIMT, 0.21),
        line(SLIM, f"{F32},f32:column", SIMT.replace("128,128", "128,64"), 0.22),
    ],
    "stdout_paste.txt": [
        "",
        "CSV Results:",
        "",
        HEADER,
        line(SGEMM, F32, SIMT, 0.2),
        line(TF32, F32, TENSOR, 0.08),
    ],
    "fast_math.csv": [
        HEADER,
        line(SGEMM, F32, SIMT, 0.2),
        line(TF32, F32, TENSOR, 0.08),
        line(TF32.replace("tf32", "f16"), F32, TENSOR, 0.07),
        line(TF32.replace("tf32", "bf16"), F32, TENSOR, 0.07),
    ],
    "header_other_order.csv": [
        SHORT.format("m,n,k"),
        SHORT_ROW.format("64,128,4096"),
        SHORT.format("k,m,n"),
        SHORT_ROW.format("4096,64,128"),
    ],
}
CUBE = (1024, 1024, 1024)
CUTLASS_ROWS = {
    "two_releases.csv": [
        (SGEMM, "f32", CUBE, 0.2e-3, 2),
        (SGEMM, "f32", CUBE, 0.21e-3, 4),
        (SLIM, "f32", CUBE, 0.22e-3, 5),
    ],
    "stdout_paste.txt": [(SGEMM, "f32", CUBE, 0.2e-3, 5), (TF32, "tf32", CUBE, 0.08e-3, 6)],
    "fast_math.csv": [(SGEMM, "f32", CUBE, 0.2e-3, 2), (TF32, "tf32", CUBE, 0.08e-3, 3)],
    "header_other_order.csv": [
        (SGEMM, "f32", (64, 128, 4096), 0.05e-3, 2),
        (SGEMM, "f32", (64, 128, 4096), 0.05e-3, 4),
    ],
}
DROPPED = {
    "fast_math.csv": {
        "f32 operands that are multiplied as f16": 1,
        "f32 operands that are multiplied as bf16": 1,
    }
}
NEUSIGHT = """\
OPName,Latency,Device,Torch Version,Kernel Name,B,M,N,K
linear,1.25,NVIDIA H100 80GB HBM3,p2.1.0,sgemm_128x128_tn,1,1024,2560,2560
linear,4.5,Tesla T4,p2.1.0,sgemm_128x128_tn,1,1024,2560,2560
"""
GEMM_PERF = """\
framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,128,4096,4096,0.0125
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,256,4096,4096,0.0175
"""
OTHERS = {
    "neusight_two_gpus.csv": NEUSIGHT,
    "aiconfigurator_gemm_perf.txt": GEMM_PERF,
    "git_lfs_pointer.parquet": LFS_POINTER,
}


def check(folder: Path) -> None:
    """Import every file of a folder that has them all."""
    for name, rows in CUTLASS_ROWS.items():
        dataset, report = import_table(folder / name, "cutlass-profiler", "rtx4070")
        found = [
            (row["kernel"], row["dtype"], (row["m"], row["n"], row["k"]), row["runtime_s"],
             row["source_row"])
            for row in dataset.table.to_pylist()
        ]  # fmt: skip
        assert [row[:3] for row in found] == [row[:3] for row in rows], name
        assert [row[3] for row in found] == pytest.approx([row[3] for row in rows]), name
        assert [row[4] for row in found] == [row[4] for row in rows], name
        assert report.dropped == DROPPED.get(name, {}), name
    two = folder / "neusight_two_gpus.csv"
    for gpu, runtime_s, source_row in (("h100_sxm", 1.25e-3, 2), ("t4", 4.5e-3, 3)):
        dataset, report = import_table(two, "neusight", gpu)
        (row,) = dataset.table.to_pylist()
        assert (row["gpu"], row["runtime_s"], row["source_row"]) == (gpu, runtime_s, source_row)
        assert (row["m"], row["n"], row["k"], row["layout"]) == (1024, 2560, 2560, "tn")
        assert report.dropped == {"another GPU than the one asked for": 1}
    with pytest.raises(SourceError, match="rows of one GPU.*H100.*T4"):
        import_table(two, "neusight")
    dataset, _ = import_table(folder / "aiconfigurator_gemm_perf.txt", "aiconfigurator")
    assert dataset.column("m").tolist() == [128, 256]
    assert dataset.column("runtime_s").tolist() == [0.0125 / 1e3, 0.0175 / 1e3]
    assert set(zip(dataset.column("gpu"), dataset.column("dtype"), strict=True)) == {
        ("h200_sxm", "bf16")
    }
    with pytest.raises(SourceError, match="^[^(]*is a Git LFS pointer: .*git lfs pull"):
        import_table(folder / "git_lfs_pointer.parquet", "aiconfigurator")


def test_files_that_lie_about_what_they_are_are_seen_through(tmp_path: Path) -> None:
    for name, lines in CUTLASS_FILES.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    for name, text in OTHERS.items():
        (tmp_path / name).write_text(text)
    check(tmp_path)


def test_the_files_themselves_are_seen_through(shared_data: Path) -> None:
    folder = shared_data / "field"
    if not folder.is_dir():
        pytest.skip(f"the files that people brought are not imported: there is no folder {folder}")
    check(folder)

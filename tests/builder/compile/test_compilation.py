"""Compiling: every job once, failures with reasons, and a cache that is checked."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.compiler import FakeCompiler, compiled
from stand_ins.elf import make_cubin

from builder.architectures import ArchitectureError
from builder.compile import CubinCache, compile_all, support_cubin, table_lines
from builder.compile.cache import CachedCubin, gemm_cubin
from builder.compile.nvrtc import (
    CompileError,
    CompileJob,
    CompilerOutput,
    NvrtcProcesses,
    Toolchain,
    ToolchainError,
    installed_toolchain,
)
from builder.compile.outcome import Outcome
from builder.errors import BuilderError
from builder.kernels import SOURCES, Build, family_of, select
from builder.kernels.catalogue import catalogue
from gpperf_lite._occupancy import occupancy

TOOLS = Toolchain((("nvidia-cuda-nvrtc", "13.0.88"),), ("/headers",))
SGEMM = "cutlass_simt_sgemm_64x64_8x2_nn_align1"
COOPERATIVE = (
    "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x128x64_1x1x1_0_tnt_align8"
    "_warpspecialized_cooperative_epi_tma"
)
FP8 = "cutlass_tensorop_bf16_s16832fastaccumgemm_e4m3_64x64_64x6_tn_align16"
HELLO = CompileJob("a.cu", (), "sm_90", ())


def builds(*names: str) -> list[Build]:
    return [catalogue()[name] for name in names]


def run(
    chosen: list[Build],
    cache: Path,
    compiler: FakeCompiler,
    architectures: tuple[str, ...] = ("sm_90",),
    n_workers: int = 2,
) -> list[Outcome]:
    return compile_all(chosen, architectures, cache, n_workers, compiler=compiler, toolchain=TOOLS)


def test_each_kernel_is_described_on_each_architecture_in_order(tmp_path: Path) -> None:
    chosen = builds("library", "tiled_sgemm_16", SGEMM)
    outcomes = run(chosen, tmp_path, FakeCompiler(), ("sm_80", "sm_90"))
    assert [(outcome.kernel.name, outcome.architecture) for outcome in outcomes] == [
        ("tiled_sgemm_16", "sm_80"),
        ("tiled_sgemm_16", "sm_90"),
        (SGEMM, "sm_80"),
        (SGEMM, "sm_90"),
    ]
    assert all(outcome.reason is None and not outcome.cached for outcome in outcomes)
    kernel = outcomes[3].kernel
    assert (kernel.threads, kernel.registers, kernel.shared_bytes, kernel.spill_bytes) == (
        64, 40, 4096, 24
    )  # fmt: skip
    assert len({outcome.key for outcome in outcomes}) == 4


def test_the_cubin_of_an_outcome_is_found_again(tmp_path: Path) -> None:
    (outcome,) = run(builds(SGEMM), tmp_path, FakeCompiler())
    cubins = CubinCache(tmp_path, TOOLS)
    found = cubins.get(catalogue()[SGEMM], "sm_90")
    assert found is not None
    kernel, cubin, key = found
    assert (kernel, key) == (outcome.kernel, outcome.key)
    assert cubin == compiled(CompileJob("", catalogue()[SGEMM].macros, "", ())).code
    assert cubins.get(catalogue()[SGEMM], "sm_80") is None
    assert cubins.get(catalogue()["library"], "sm_90") is None


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    chosen = select(["tiled_sgemm_*", f"{SGEMM}*"])
    run(chosen, tmp_path, FakeCompiler())
    again = FakeCompiler()
    outcomes = run(chosen, tmp_path, again)
    assert again.jobs == []
    assert all(outcome.cached and outcome.seconds == 0 for outcome in outcomes)


def test_kernels_that_differ_in_slices_are_one_program(tmp_path: Path) -> None:
    compiler = FakeCompiler()
    outcomes = run(select([f"{SGEMM}*"]), tmp_path, compiler)
    assert len(outcomes) == 4
    assert len(compiler.jobs) == 1
    assert len({outcome.key for outcome in outcomes}) == 1
    assert [outcome.kernel.split_k for outcome in outcomes] == [1, 2, 4, 8]


def test_an_architecture_leaves_out_what_it_lacks_the_instructions_for(tmp_path: Path) -> None:
    compiler = FakeCompiler()
    left, taken = run(builds(FP8), tmp_path, compiler, ("sm_80", "sm_89"))
    assert left.reason == "it needs compute capability 8.9, sm_80 has 8.0"
    assert taken.reason is None
    assert [job.target for job in compiler.jobs] == ["sm_89"]


def test_an_architecture_leaves_out_what_needs_too_much_shared_memory(tmp_path: Path) -> None:
    compiler = FakeCompiler(lambda job: compiled(job, gemm_shared_bytes=120_000))
    left, taken = run(builds(SGEMM), tmp_path, compiler, ("sm_89", "sm_90"))
    assert "120000 bytes of shared memory, sm_89 gives at most 101376" in (left.reason or "")
    assert taken.reason is None


def fails(job: CompileJob) -> CompilerOutput:
    raise CompileError("it does not compile: a.h(3): error: no")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fails, "it does not compile: a.h(3): error: no"),
        (lambda job: CompilerOutput(b"garbage", ""), "must be a little-endian ELF64 file"),
        (lambda job: CompilerOutput(make_cubin(kernels=()), ""), "must have a kernel gemm_run"),
        (lambda job: CompilerOutput(make_cubin(static_bytes=9000), ""), "gemm_shared_bytes must"),
    ],
)
def test_what_fails_has_a_reason_and_is_tried_again(
    tmp_path: Path, answer: Callable[[CompileJob], CompilerOutput], reason: str
) -> None:
    good, bad = builds("tiled_sgemm_4", "tiled_sgemm_5")
    only_bad = FakeCompiler(lambda p: answer(p) if p.macros == bad.macros else compiled(p))
    outcomes = run([bad, good], tmp_path, only_bad)
    assert reason in (outcomes[0].reason or "")
    assert outcomes[0].key == ""
    assert outcomes[1].reason is None
    again = FakeCompiler()
    assert all(outcome.reason is None for outcome in run([bad, good], tmp_path, again))
    assert [job.macros for job in again.jobs] == [bad.macros]


def test_what_was_compiled_from_a_changed_source_is_not_kept(tmp_path: Path) -> None:
    source = tmp_path / "tiled_gemm.cu"
    source.write_text("// 1")

    def changes(job: CompileJob) -> CompilerOutput:
        source.write_text("// 2")
        return compiled(job)

    (outcome,) = compile_all(
        builds("tiled_sgemm_4"),
        ["sm_90"],
        tmp_path / "cache",
        compiler=FakeCompiler(changes),
        toolchain=TOOLS,
        sources=tmp_path,
    )
    assert "its source was changed while it was compiled" in (outcome.reason or "")
    assert not (tmp_path / "cache").exists()


def test_a_kernel_of_other_threads_than_described_is_not_used(tmp_path: Path) -> None:
    compiler = FakeCompiler(lambda job: compiled(job, gemm_threads=96))
    (outcome,) = run(builds(SGEMM), tmp_path, compiler)
    assert outcome.reason == "it must have 64 threads, as described (got 96)"


def test_what_is_no_architecture_is_refused_before_anything_is_compiled(tmp_path: Path) -> None:
    compiler = FakeCompiler()
    for name in ("90", "sm_90a", "sm_9", "compute_90", "sm_70", "sm_91"):
        with pytest.raises(ArchitectureError):
            run(builds(SGEMM), tmp_path, compiler, ("sm_80", name))
    assert compiler.jobs == []


def test_ctrl_c_ends_what_runs_and_keeps_what_was_finished(tmp_path: Path) -> None:
    chosen = select(["tiled_sgemm_*"])

    def interrupted(job: CompileJob) -> CompilerOutput:
        if job.macros == chosen[5].macros:
            raise KeyboardInterrupt
        return compiled(job)

    compiler = FakeCompiler(interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, tmp_path, compiler, n_workers=1)
    assert compiler.is_closed
    cubins = CubinCache(tmp_path, TOOLS)
    assert all(cubins.get(build, "sm_90") for build in chosen[:5])


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuilderError, match="the cache .* must be writable"):
        run(builds(SGEMM), tmp_path / "file", FakeCompiler())


ENTRY = gemm_cubin(compiled(CompileJob("", catalogue()[SGEMM].macros, "", ())))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_entry_counts_as_missing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cubins = CubinCache(folder, TOOLS)
    cubins.write("a", ENTRY)
    assert cubins.read("a") == ENTRY
    whole = (folder / "a.cubin").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    (folder / "a.cubin").write_bytes(data.draw(st.sampled_from([damaged, whole[:at], whole * 2])))
    assert cubins.read("a") is None


def test_a_cubin_whose_header_says_more_is_read(tmp_path: Path) -> None:
    """Earlier versions kept the size of a kernel's parameters as well."""
    assert ENTRY.facts is not None
    facts = {**asdict(ENTRY.facts), "params_bytes": 176}
    header = json.dumps({"facts": facts, "log": ENTRY.log}).encode()
    body = struct.pack("<I", len(header)) + header + zlib.compress(ENTRY.cubin)
    (tmp_path / "a.cubin").write_bytes(b"gpcubin1" + hashlib.sha256(body).digest() + body)
    assert CubinCache(tmp_path, TOOLS).read("a") == ENTRY


def test_a_damaged_entry_is_compiled_again(tmp_path: Path) -> None:
    run(builds(SGEMM), tmp_path, FakeCompiler())
    (path,) = tmp_path.glob("*.cubin")
    path.write_bytes(path.read_bytes()[:-1])
    compiler = FakeCompiler()
    (outcome,) = run(builds(SGEMM), tmp_path, compiler)
    assert len(compiler.jobs) == 1
    assert outcome.reason is None


def test_readers_see_whole_entries_while_others_write(tmp_path: Path) -> None:
    """Two writers of one key and a reader; no file is left behind."""
    writers = [CubinCache(tmp_path, TOOLS) for _ in range(2)]
    writers[0].write("a", ENTRY)
    threads = [
        threading.Thread(target=lambda one=one: [one.write("a", ENTRY) for _ in range(20)])
        for one in writers
    ]
    for thread in threads:
        thread.start()
    reader = CubinCache(tmp_path, TOOLS)
    while any(thread.is_alive() for thread in threads):
        assert reader.read("a") == ENTRY
    assert [path.name for path in tmp_path.iterdir()] == ["a.cubin"]


def test_a_key_is_of_all_that_decides_the_cubin_and_of_nothing_else(tmp_path: Path) -> None:
    def key(tools: Toolchain = TOOLS, macros: tuple[tuple[str, str], ...] = (("A", "1"),),
            target: str = "sm_90", options: tuple[str, ...] = ()) -> str:  # fmt: skip
        cubins = CubinCache(tmp_path, tools, tmp_path)
        return cubins.key(cubins.job("a.cu", macros, target, options))

    (tmp_path / "a.cu").write_text('#include "b.h"\n#include <far.h>\n#include "absent.h"\n')
    (tmp_path / "b.h").write_text('  #  include "c.h"\n#include "b.h"\n')
    (tmp_path / "c.h").write_text("// 1")
    (tmp_path / "unused.h").write_text("// 1")
    first = key()
    assert key() == first
    assert key(replace(TOOLS, include=("elsewhere",))) == first
    keys = {first, key(macros=(("A", "2"),)), key(target="sm_80"), key(options=("-DB",))}
    keys.add(key(replace(TOOLS, versions=(("nvidia-cuda-nvrtc", "13.0.99"),))))
    (tmp_path / "unused.h").write_text("// 2")
    assert key() == first
    (tmp_path / "c.h").write_text("// 2")
    assert len(keys | {key()}) == 6


def test_a_key_without_options_of_its_own_is_what_it_always_was(tmp_path: Path) -> None:
    """So that cubins which were carried somewhere, or compiled long ago, are found."""
    (tmp_path / "a.cu").write_text("// 1")
    cubins = CubinCache(tmp_path, TOOLS, tmp_path)
    job = cubins.job("a.cu", (("A", "1"),), "sm_75")
    assert cubins.key(job) == "cb2ed8961ad868b99ea2f11f-302e6d82"


def test_the_options_of_a_family_are_in_the_jobs_and_keys_of_its_builds_alone(
    tmp_path: Path,
) -> None:
    cubins = CubinCache(tmp_path, TOOLS)
    for name in (SGEMM, "tiled_sgemm_16", COOPERATIVE):
        build = catalogue()[name]
        job = cubins.job_of(build, "sm_90")
        assert job.options == family_of(build.kernel).options
        assert bool(job.options) == (name == COOPERATIVE)
        cubins.write(cubins.key(job), ENTRY)
        found = cubins.describe(build, "sm_90")
        assert found is not None
        assert found[1] == cubins.key(job)


def test_cubins_that_were_brought_along_are_found_without_a_compiler(tmp_path: Path) -> None:
    """Where nothing is installed, those of any toolchain are taken."""
    (outcome,) = run(builds(SGEMM), tmp_path, FakeCompiler())
    cubins = CubinCache(tmp_path, TOOLS)
    cubins.toolchain = None
    found = cubins.get(catalogue()[SGEMM], "sm_90")
    assert found is not None
    assert found[2] == outcome.key


def test_cubins_of_another_compiler_are_taken_where_they_were_brought_along(
    tmp_path: Path,
) -> None:
    """A machine with a patch release of its own need not compile all that was carried to it."""
    (outcome,) = run(builds(SGEMM), tmp_path, FakeCompiler())
    other = replace(TOOLS, versions=(("nvidia-cuda-nvrtc", "13.0.99"),))
    assert CubinCache(tmp_path, other).get(catalogue()[SGEMM], "sm_90") is None
    brought = CubinCache(tmp_path, other, any_compiler=True)
    found = brought.get(catalogue()[SGEMM], "sm_90")
    assert found is not None
    assert found[2] == outcome.key
    assert brought.is_of_another(outcome.key)
    assert not CubinCache(tmp_path, TOOLS, any_compiler=True).is_of_another(outcome.key)


def child(code: str, timeout_s: float = 30.0) -> NvrtcProcesses:
    """A compiler whose process runs this code."""
    return NvrtcProcesses(timeout_s, (sys.executable, "-c", f"import os, sys, time\n{code}"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL: too little memory"),
        ("os.kill(os.getpid(), 11)", "ended by SIGSEGV$"),
        ("sys.exit('no more')", "ended with code 1: no more"),
        ("os._exit(3)", "ended with code 3: it said nothing"),
        ("print('hello')", "answered b'hello"),
        ("print('[]')", r"answered b'\[\]"),
        ("""print('{"log": "x\\\\na.h(1): error: bad\\\\ny"}')""", "compile: a.h.1.: error: bad$"),
        ("""print('{"log": "ptxas: (C7509) Potential loss"}\\ncubin')""", "wgmma .* serialised"),
    ],
)
def test_whatever_ends_a_compiler_is_a_reason(code: str, reason: str) -> None:
    with pytest.raises(CompileError, match=reason):
        child(code)(HELLO)


def test_a_compiler_reads_the_program_and_answers_with_log_and_cubin() -> None:
    code = "text = sys.stdin.read(); print('{\"log\": \"fine\"}'); print(text, end='')"
    answer = child(code)(replace(HELLO, options=("-DB",)))
    assert answer.log == "fine"
    assert json.loads(answer.code)["source"] == "a.cu"
    assert json.loads(answer.code)["options"] == ["-DB"]


def test_a_compiler_that_hangs_is_ended() -> None:
    with pytest.raises(CompileError, match=r"more than 0\.2 s"):
        child("time.sleep(600)", 0.2)(HELLO)


def test_closing_a_compiler_ends_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    """The process says through a file that it has started."""
    started = tmp_path / "started"
    compiler = child(f"open({str(started)!r}, 'w').close(); time.sleep(600)", 600.0)
    reasons: list[str] = []

    def compile_one() -> None:
        try:
            compiler(HELLO)
        except CompileError as error:
            reasons.append(str(error))

    thread = threading.Thread(target=compile_one)
    thread.start()
    while not started.exists():
        thread.join(0.01)
    compiler.close()
    thread.join(30)
    assert reasons == ["it was interrupted"]
    with pytest.raises(CompileError, match="it was interrupted"):
        compiler(HELLO)


def test_the_table_shows_what_is_ready_what_is_left_out_and_the_counts(tmp_path: Path) -> None:
    outcomes = run(builds("tiled_sgemm_16", FP8), tmp_path, FakeCompiler(), ("sm_80",))
    lines = list(table_lines(outcomes))
    assert lines[0].split() == [
        "kernel", "arch", "threads", "registers", "shared", "spills", "blocks", "occupancy"
    ]  # fmt: skip
    assert lines[1].split() == ["tiled_sgemm_16", "sm_80", "256", "40", "4096", "24", "6", "75%"]
    assert lines[2] == f"left out: {FP8} (sm_80): it needs compute capability 8.9, sm_80 has 8.0"
    assert lines[3].startswith("1 ready (0 from the cache), 1 left out; ")
    row = json.loads(json.dumps(outcomes[0].row()))
    assert row["occupancy"] == occupancy(outcomes[0].kernel, (8, 0)) == 0.75
    assert outcomes[1].row()["occupancy"] is None


def test_a_table_of_nothing_is_its_counts() -> None:
    assert list(table_lines([])) == ["0 ready (0 from the cache), 0 left out; 0.0 s of compiling"]


@pytest.fixture
def nvrtc() -> Toolchain:
    """The installed toolchain; a test that asks for it is skipped without it."""
    try:
        return installed_toolchain()
    except ToolchainError as error:
        pytest.skip(f"nothing can be compiled here: {error}")


@pytest.mark.slow
@pytest.mark.usefixtures("nvrtc")
def test_real_kernels_compile_and_say_what_they_take(tmp_path: Path) -> None:
    """One of ours and one of CUTLASS's, with NVRTC; about 6 s on one core."""
    chosen = builds("tiled_dgemm_32", "cutlass_tensorop_h16816gemm_64x64_64x5_tn_align8")
    tiled, tensor = compile_all(chosen, ["sm_90"], tmp_path)
    assert (tiled.reason, tensor.reason) == (None, None)
    assert (tiled.kernel.threads, tensor.kernel.threads) == (1024, 128)
    assert (tiled.kernel.spill_bytes, tensor.kernel.spill_bytes) == (0, 0)
    # The pipeline: five stages of both tiles, f16.
    assert tensor.kernel.shared_bytes == 5 * (64 + 64) * 64 * 2
    again = compile_all(chosen, ["sm_90"], tmp_path)
    assert [outcome.cached for outcome in again] == [True, True]
    assert [outcome.kernel for outcome in again] == [tiled.kernel, tensor.kernel]


@pytest.mark.usefixtures("nvrtc")
def test_a_program_that_does_not_compile_says_why_in_one_line(nvrtc: Toolchain) -> None:
    job = CompileJob(str(SOURCES / "tiled_gemm.cu"), (), "sm_90", nvrtc.include)
    with pytest.raises(CompileError, match=r"it does not compile: tiled_gemm.cu\(\d+\): error"):
        NvrtcProcesses()(job)


def test_a_virtual_architecture_gives_ptx(nvrtc: Toolchain) -> None:
    """Text of the same job, its options included, without the byte that ends a string in C."""
    macros = (("TILE", "16"), ("ELEMENT", "OF_THE_OPTION"))
    source, options = str(SOURCES / "tiled_gemm.cu"), ("-DOF_THE_OPTION=float",)
    job = CompileJob(source, macros, "compute_90", nvrtc.include, options)
    text = NvrtcProcesses()(job).code.decode("ascii")
    assert ".target sm_90\n" in text
    assert ".entry gemm_make_params(" in text
    assert "\0" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("nvrtc")
def test_the_support_kernels_compile_and_are_kept(tmp_path: Path) -> None:
    cubin = support_cubin((9, 0), tmp_path)
    assert cubin == support_cubin((9, 0), tmp_path, FakeCompiler())
    (path,) = tmp_path.glob("*.cubin")
    entry = CubinCache(tmp_path).read(path.stem)
    assert entry is not None
    assert isinstance(entry, CachedCubin)
    assert entry.facts is None

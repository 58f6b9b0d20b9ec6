"""Work that may end a process, or never end: done in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gpu_kernels as kernels
import numpy as np

from builder.architectures import architecture_of
from builder.device import DeviceError, SensorError
from builder.device.cuda import open_gpu
from builder.kernels.catalogue import catalogue
from builder.measure import CorrectnessRules, verify_build, verify_point
from gpperf_lite import Gemm, Kernel

ENDLESS, ENDED = "it did not end", "the process ended"


def in_child(function: Callable[..., str], *arguments: Any, timeout_s: float) -> str:
    """Return the answer of a function in a process of its own; ENDLESS after the timeout."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(theirs, function, arguments), daemon=True)
    child.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(timeout_s) else ENDLESS
    except EOFError:
        return ENDED
    finally:
        child.kill()
        child.join()
        ours.close()


def _run(connection: Connection, function: Callable[..., str], arguments: tuple[Any, ...]) -> None:
    connection.send(function(*arguments))


def verified(uuid: str, name: str, folder: Path) -> str:
    """Return "right", or why a kernel of the cache is not."""
    build, rules = catalogue()[name], CorrectnessRules()
    with open_gpu(uuid, kernels.options(folder)) as device:
        found = kernels.cubins(folder).get(build, architecture_of(device.gpu))
        if found is None:
            return "it is not compiled"
        kernel, cubin, _ = found
        try:
            with device.load(kernel, cubin) as program:
                verdict = verify_build(program, rules)
                if not verdict.ok:
                    return verdict.text
                gemm = Gemm(1024, 1536, 2048, kernel.dtype or "f16", kernel.layout or "tn")
                with program.bind(gemm, 4) as bound:
                    verdict = verify_point(bound, rules, 1, kernel)
        except DeviceError as error:
            return str(error)
    return "right" if verdict.ok else verdict.text


def launched(uuid: str, cubin: bytes, folder: Path) -> str:
    """Return the end of one launch of a planted kernel: "right", "wrong" or an error."""
    with open_gpu(uuid, kernels.options(folder)) as device:
        try:
            with device.load(Kernel.from_name("tiled_sgemm_16"), cubin) as program:
                bound = program.bind(Gemm(64, 64, 64, "f32", "nn"), 1)
                rows, columns = np.divmod(np.arange(64 * 64, dtype=np.int64), 64)
                found = bound.compare(rows, columns)
        except DeviceError as error:
            return f"{error.code} {error}"
    close = np.allclose(found.got, found.wanted, atol=1e-3)
    return "right" if close and not found.non_finite else "wrong"


def counted_processes(uuid: str, folder: Path) -> str:
    """Return the number of others that a second process on the GPU sees, or why it cannot."""
    with open_gpu(uuid, kernels.options(folder)) as device:
        try:
            return str(device.sensor.other_processes())
        except SensorError as error:
            return f"unknown: {error}"

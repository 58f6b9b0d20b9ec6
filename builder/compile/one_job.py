"""One job, compiled by NVRTC in this process: `python -m builder.compile.one_job`.

It reads the job as JSON from standard input, and writes to standard output a line of JSON with
the log, then the cubin or PTX, which is empty where the job does not compile.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from .nvrtc import OPTIONS, CompileJob, CompilerOutput


def compile_here(job: CompileJob) -> CompilerOutput:
    """Compile in this process; the code is empty where that fails, and the log says why."""
    from cuda.bindings import nvrtc

    path = Path(job.source)
    options = [f"--gpu-architecture={job.target}", *OPTIONS, *job.options]
    options += [f"-I{folder}" for folder in (path.parent, *job.include)]
    options += [f"-D{name}={value}" for name, value in job.macros]
    _, handle = nvrtc.nvrtcCreateProgram(path.read_bytes(), path.name.encode(), 0, [], [])
    (result,) = nvrtc.nvrtcCompileProgram(handle, len(options), [one.encode() for one in options])
    log = bytearray(nvrtc.nvrtcGetProgramLogSize(handle)[1])
    nvrtc.nvrtcGetProgramLog(handle, log)
    code = b"" if int(result) else _code_of(handle, job.target)
    nvrtc.nvrtcDestroyProgram(handle)
    return CompilerOutput(code, log.rstrip(b"\0 \n").decode(errors="replace"))


def _code_of(handle: Any, target: str) -> bytes:
    """Return the code of a compiled program: PTX for a virtual architecture, else the cubin."""
    from cuda.bindings import nvrtc

    if not target.startswith("compute_"):
        code = bytearray(nvrtc.nvrtcGetCUBINSize(handle)[1])
        nvrtc.nvrtcGetCUBIN(handle, code)
        return bytes(code)
    text = bytearray(nvrtc.nvrtcGetPTXSize(handle)[1])
    nvrtc.nvrtcGetPTX(handle, text)
    return bytes(text.rstrip(b"\0"))


def _main() -> None:
    # What libraries print goes to standard error.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    fields = json.load(sys.stdin)
    macros = tuple((name, value) for name, value in fields["macros"])
    include, options = tuple(fields["include"]), tuple(fields["options"])
    job = CompileJob(fields["source"], macros, fields["target"], include, options)
    compiled = compile_here(job)
    with answer:
        answer.write(json.dumps({"log": compiled.log}).encode() + b"\n" + compiled.code)


if __name__ == "__main__":
    _main()

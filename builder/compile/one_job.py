"""One job, compiled by NVRTC in this process: `python -m builder.compile.one_job`.

It reads the job as JSON from standard input, and writes to standard output a line of JSON with
the log, then the cubin, which is empty where the job does not compile.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .nvrtc import OPTIONS, CompileJob, CompilerOutput


def compile_here(job: CompileJob) -> CompilerOutput:
    """Compile in this process; the cubin is empty where that fails, and the log says why."""
    from cuda.bindings import nvrtc

    path = Path(job.source)
    options = [f"--gpu-architecture={job.target}", *OPTIONS]
    options += [f"-I{folder}" for folder in (path.parent, *job.include)]
    options += [f"-D{name}={value}" for name, value in job.macros]
    _, handle = nvrtc.nvrtcCreateProgram(path.read_bytes(), path.name.encode(), 0, [], [])
    (result,) = nvrtc.nvrtcCompileProgram(handle, len(options), [one.encode() for one in options])
    log = bytearray(nvrtc.nvrtcGetProgramLogSize(handle)[1])
    nvrtc.nvrtcGetProgramLog(handle, log)
    cubin = bytearray(nvrtc.nvrtcGetCUBINSize(handle)[1] if not int(result) else 0)
    if cubin:
        nvrtc.nvrtcGetCUBIN(handle, cubin)
    nvrtc.nvrtcDestroyProgram(handle)
    return CompilerOutput(bytes(cubin), log.rstrip(b"\0 \n").decode(errors="replace"))


def _main() -> None:
    # What libraries print goes to standard error.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    fields = json.load(sys.stdin)
    macros = tuple((name, value) for name, value in fields["macros"])
    job = CompileJob(fields["source"], macros, fields["target"], tuple(fields["include"]))
    compiled = compile_here(job)
    with answer:
        answer.write(json.dumps({"log": compiled.log}).encode() + b"\n" + compiled.cubin)


if __name__ == "__main__":
    _main()

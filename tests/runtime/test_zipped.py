"""The package in a zip or a wheel on the path: all of it works as it does from files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gpperf_lite as gp
from gpperf_lite._files import package_path

ASK = """
import json, sys
import gpperf_lite as gp
gemm = gp.Gemm(512, 4096, 4096, "bf16")
named = "cutlass_tensorop_s16816gemm_bf16_256x128_32x3_tn_align8"
answers = {
    "file": gp.__file__,
    "available": gp.available(),
    "measured": gp.load("h200").predict(gemm).to_dict(),
    "data sheet": gp.load("NVIDIA A10").predict(gemm).to_dict(),
    "other kernel": gp.load("a100").rank(gemm, kernels=[named])[0].to_dict(),
    "generic": gp.load("generic", gpu=gp.load("l40s").gpu).predict(gemm).to_dict(),
}
for name in ("nothing", "h200O"):
    try:
        gp.load(name)
    except gp.UnknownGpuError as error:
        answers[name] = str(error)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module", params=["gpperf.zip", "gpperf_lite-0.1.0-py3-none-any.whl"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ä path") / request.param
    package = Path(package_path())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                zipped.write(file, file.relative_to(package.parent))
    return path


def run(path: str | os.PathLike[str], *arguments: str) -> str:
    """Return the output of Python in a folder of no sources, with a path before all others."""
    environment = {**os.environ, "PYTHONPATH": os.fspath(path)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd="/", capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip


def test_models_answer_alike_from_a_zip(archive: Path) -> None:
    """Measured ones, those of data sheets and kernels; also what is said of names not known."""
    sources = Path(gp.__file__).parents[1]
    zipped, plain = (json.loads(run(path, "-c", ASK)) for path in (archive, sources))
    assert zipped.pop("file").startswith(str(archive))
    assert plain.pop("file").startswith(str(sources))
    assert zipped == plain
    assert zipped["available"] == list(gp.available())


@pytest.mark.parametrize("command", ["predict 64 64 64 --gpu h200", "models", "gpus", "card l40s"])
def test_the_command_works_from_a_zip(archive: Path, command: str) -> None:
    sources = Path(gp.__file__).parents[1]
    zipped, plain = (
        run(path, "-m", "gpperf_lite", *command.split()) for path in (archive, sources)
    )
    assert zipped == plain
    assert zipped


def test_a_package_of_plain_files_does_without_what_reads_zips() -> None:
    """It takes longer to import than a model to load."""
    code = "import sys, gpperf_lite as gp; gp.load('h200'); print(*sys.modules)"
    loaded = run(Path(gp.__file__).parents[1], "-c", code).split()
    assert "importlib.resources" not in loaded

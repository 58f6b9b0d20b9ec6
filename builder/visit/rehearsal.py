"""The rehearsal of a visit: all of it on the simulated GPU, and what is not ready yet."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuilderError
from ..kernels import SOURCES
from .archive import STEPS, Step, read_visit, steps_of
from .keep import keep

_ROOT = SOURCES.parent
_SCRIPT = _ROOT / "tests" / "gpu" / "visit.sh"
_KERNELS = _ROOT / "tests" / "gpu" / "gpu_kernels.py"
SWEEP = SOURCES / "sweeps" / "six_minutes.toml"

MOST_MB = 48.0
"""Of cubins that travel to the machine with the GPU, beside the repository."""

_MOST_NAMES = 5


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found. steps: of both runs; problems: what is not ready, none where all is.

    lines: on what came out of it, for people.
    """

    steps: tuple[Step, ...]
    problems: tuple[str, ...]
    lines: tuple[str, ...]


def rehearse(
    architecture: str,
    cubins: Path,
    tell: Callable[[str], None] = print,
    *,
    most_mb: float = MOST_MB,
    train: bool = True,
) -> Rehearsal:
    """Rehearse both runs of a visit to a GPU of an architecture ("sm_90").

    cubins: the folder that is to travel; train: whether a model is made of the rehearsal's rows.
    Raises BuilderError where the repository is not whole, such as in an installed package.
    """
    if not _SCRIPT.is_file():
        raise BuilderError(f"a visit needs the whole repository ({_SCRIPT} is missing)")
    problems = [*unready(architecture, cubins, most_mb)]
    steps: list[Step] = []
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        archives = []
        for run in ("a", "b"):
            folder = Path(name) / run
            tell(f"run {run}, on the simulated GPU")
            done = _walked(run, folder, cubins)
            steps += done
            for step in done:
                tell(f"  {step.line()}")
                if step.status != 0:
                    problems.append(f"run {run}: {step.line()}: {_last_line(folder, step)}")
            archives.append(folder / f"visit-{run}.tar.gz")
        try:
            lines += _kept(archives, Path(name), train)
        except BuilderError as error:
            problems.append(str(error))
    return Rehearsal(tuple(steps), tuple(problems), tuple(lines))


def unready(architecture: str, cubins: Path, most_mb: float = MOST_MB) -> list[str]:
    """Return the obstacles to a visit: cubins of an architecture that are missing, or no room."""
    if not cubins.is_dir():
        return [f"there are no cubins in {cubins}: {_how_to_compile(architecture, cubins)}"]
    done = _python([str(_KERNELS), "--check", architecture, str(cubins), str(SWEEP)])
    if done.returncode:
        raise BuilderError(f"{_KERNELS.name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    missing = done.stdout.split()
    problems = []
    files = list(cubins.glob("*.cubin"))
    if missing:
        some = ", ".join(missing[:_MOST_NAMES]) + (", ..." if len(missing) > _MOST_NAMES else "")
        problems.append(
            f"{len(missing)} kernels are not compiled for {architecture} ({some}); the folder "
            f"holds {len(files)} files: {_how_to_compile(architecture, cubins)}"
        )
    size_mb = sum(one.stat().st_size for one in files) / 1e6
    if size_mb > most_mb:
        problems.append(
            f"the cubins take {size_mb:.0f} MB, more than the {most_mb:.0f} that may travel: carry "
            "a folder that holds those of one architecture alone"
        )
    return problems


def _how_to_compile(architecture: str, cubins: Path) -> str:
    sweep = SWEEP.relative_to(_ROOT)
    return f"run 'python {_KERNELS.relative_to(_ROOT)} {architecture} {cubins} {sweep}'"


def _walked(run: str, folder: Path, cubins: Path) -> tuple[Step, ...]:
    """Run the script of a visit on the simulated GPU; return its steps."""
    env = {
        **os.environ,
        "GPPERF_REHEARSE": "1",
        "GPPERF_CUBINS": str(cubins.resolve()),
        "PYTHON": sys.executable,
    }
    done = subprocess.run(
        ["bash", str(_SCRIPT), run, str(folder)], env=env, capture_output=True, text=True
    )
    table = folder / STEPS
    if done.returncode or not table.is_file():
        raise BuilderError(f"{_SCRIPT.name} failed: {done.stderr.strip()[-300:] or 'no word'}")
    return steps_of(table.read_text())


def _last_line(folder: Path, step: Step) -> str:
    output = folder / f"{step.name}.txt"
    lines = output.read_text(errors="replace").strip().splitlines() if output.is_file() else []
    return lines[-1][:200] if lines else "it said nothing"


def _kept(archives: Sequence[Path], folder: Path, train: bool) -> list[str]:
    visits = [read_visit(path) for path in archives]
    sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in archives)
    model = folder / "rehearsal.safetensors" if train else None
    kept = keep(
        visits, folder / "rehearsal.parquet", model, name="rehearsal", simulated=True, n_workers=2
    )
    trained = "" if model is None else ", a model of it trained"
    return [f"archives: {sizes}; dataset kept{trained}", *kept.figures]


def _python(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, cwd=_ROOT
    )

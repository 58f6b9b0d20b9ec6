"""Model files of one GPU, made from the generic model and datasets of few measured points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpperf_lite._artefact import write
from gpperf_lite._builtin import artefact_path
from gpperf_lite._generic import read as read_generic

from ..dataset import chosen_rows, concatenate, read
from ..files import make_room, size_text
from ..train import check_name
from .calibrated_model import calibrate_generic


def build_calibrated(
    base: str,
    measured: Sequence[Path],
    name: str,
    version: str,
    output: Path,
    *,
    simulated: bool = False,
) -> None:
    """Calibrate the generic model called `base`, or at that path, by datasets of one GPU."""
    make_room(output)
    generic = read_generic(artefact_path(base))
    rows = chosen_rows([read(path) for path in measured], simulated=simulated)
    artefact = calibrate_generic(generic, concatenate(rows), check_name(name), version)
    write(artefact, output)
    print(f"{size_text(output)}, each point from the others:")
    for estimator in artefact.estimators:
        accuracy = estimator.accuracy
        print(
            f"  {estimator.dtype:10} {accuracy['n']} points, mean {accuracy['mean_ape']:.2%}, "
            f"median {accuracy['median_ape']:.2%}, p90 {accuracy['p90_ape']:.2%}"
        )

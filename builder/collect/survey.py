"""The survey of the GPUs to measure on: another process opens each once, describes it and ends."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gpperf_lite import GpperfError, Gpu

from ..device import Identity
from ..errors import BuilderError
from .worker import CUDA, SIMULATED, DeviceSpec

_PATIENCE_S = 180.0
"""The first opening of a GPU may compile the kernels that measuring needs beside the GEMMs."""


class SurveyError(BuilderError):
    """There is no GPU to measure on, or it cannot be opened."""


@dataclass(frozen=True)
class Surveyed:
    """A GPU that can be opened."""

    spec: DeviceSpec
    identity: Identity
    gpu: Gpu


def survey(specs: Sequence[DeviceSpec], cubins: Path) -> list[Surveyed]:
    """Open each GPU once, and describe it; no context of CUDA is created in this process.

    specs: empty for all GPUs that are visible; a UUID may be an index, a UUID's beginning or a PCI
    id. Raises BuilderError where there is none, or one cannot be opened.
    """
    if specs and all(spec.kind == SIMULATED for spec in specs):
        return [_opened(spec, cubins) for spec in specs]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(tuple(specs), cubins, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE_S):
            raise SurveyError(f"the GPU did not open within {_PATIENCE_S:g} s: see 'nvidia-smi'")
        answer = ours.recv()
    except EOFError as error:
        process.join()
        raise SurveyError(
            f"the process that opened the GPU ended with status {process.exitcode}: see what "
            "'python -m builder doctor' says"
        ) from error
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(answer, str):
        raise SurveyError(answer)
    found: list[Surveyed] = answer
    return found


def one_model(surveyed: Sequence[Surveyed]) -> Gpu:
    """Return the facts of the GPUs' model; raises SurveyError where they are of several."""
    names = sorted({one.gpu.name for one in surveyed})
    if len(names) > 1:
        raise SurveyError(
            f"all GPUs of one collection must be of one model (got {', '.join(names)}): choose "
            "with --gpus"
        )
    return surveyed[0].gpu


def _look(specs: Sequence[DeviceSpec], cubins: Path, connection: Connection) -> None:
    """Send the GPUs that can be opened, or the reason as a text where one cannot."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        connection.send([_opened(spec, cubins) for spec in specs or _all_gpus()])
    except GpperfError as error:
        connection.send(str(error))


def _all_gpus() -> list[DeviceSpec]:
    from ..device.cuda import list_gpus

    specs = [DeviceSpec(CUDA, card.uuid) for card in list_gpus()]
    if not specs:
        raise SurveyError("there is no GPU here: 'python -m builder doctor' says what is missing")
    return specs


def _opened(spec: DeviceSpec, cubins: Path) -> Surveyed:
    with spec.open(cubins) as device:
        # From here on the GPU is named by its UUID, however it was asked for.
        named = DeviceSpec(spec.kind, device.identity.uuid, spec.seed, spec.faults)
        return Surveyed(named, device.identity, device.gpu)

"""The options of a collection."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..compile import FOLDER
from ..errors import BuilderError
from ..files import is_replaced


@dataclass(frozen=True)
class CollectOptions:
    """The sweep to collect, the GPUs to measure it on, and the files to write.

    sweep: a TOML file; its budget is that of one run, as often as the journals are gone on with.
    journals: a folder, by default beside the output; the journals that it holds are gone on with.
    gpus: indices, UUIDs or PCI ids; empty for all. simulate: seed of a simulated GPU, of several
    with as many `gpus`; faults: a JSON file of its faults.
    deadline_s: when this must have ended, from its start; measuring stops some seconds earlier.
    cubins: the cache of compiled kernels; n_workers: programs to compile at once.
    require_power: whether it is an error if no power could be measured.
    allow_changed: whether journals of another GPU, driver, protocol or plan may go on.
    """

    sweep: Path
    output: Path
    journals: Path | None = None
    gpus: tuple[str, ...] = ()
    simulate: int | None = None
    faults: Path | None = None
    deadline_s: float | None = None
    cubins: Path = FOLDER
    n_workers: int = os.cpu_count() or 1
    quiet: bool = False
    as_json: bool = False
    require_power: bool = False
    allow_changed: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the journals; raises BuilderError where none lies beside the output."""
        if self.journals is None and not is_replaced(self.output):
            raise BuilderError(f"--journals must be given, as --output {self.output} is no file")
        return self.journals or self.output.with_suffix(".journal")

"""Which GPU to open, as plain data that a spawned process can be given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..cubins import FOLDER
from ..device import Device

CUDA, SIMULATED = "cuda", "simulated"


@dataclass(frozen=True)
class DeviceSpec:
    """A GPU that another process is to open.

    kind: `cuda` or `simulated`; uuid: of a real GPU; seed, faults: of a simulated one, the faults
    as a JSON object.
    """

    kind: str
    uuid: str = ""
    seed: int = 0
    faults: str = "{}"

    def open(self, cubins: Path = FOLDER) -> Device:
        """Open the GPU; raises BuilderError where that fails.

        cubins: the cache of compiled kernels.
        """
        if self.kind == CUDA:
            from ..device.cuda import CudaOptions, open_gpu

            return open_gpu(self.uuid, CudaOptions(cubins=cubins))
        from ..device.simulated import Faults, SimulatedDevice

        return SimulatedDevice(self.seed, Faults.from_json(json.loads(self.faults)))

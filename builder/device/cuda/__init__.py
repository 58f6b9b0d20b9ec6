"""A real GPU: the CUDA driver, NVML and cuBLASLt behind the seam of `builder.device`.

`open_gpu` opens one as a `Device`, with `CudaOptions`; `list_gpus` names those of this machine.
`Driver`, `read_capability` and `NvmlSensor` are the libraries by themselves, for the doctor.
"""

from .cards import Card, list_cards
from .device import CudaOptions, list_gpus, open_gpu
from .driver import HOW_TO_UPDATE, Driver, load_driver, supported_cuda
from .facts import read_capability
from .nvml import NoSensor, NvmlSensor, kept_loaded, open_sensor

__all__ = [
    "HOW_TO_UPDATE",
    "Card",
    "CudaOptions",
    "Driver",
    "NoSensor",
    "NvmlSensor",
    "kept_loaded",
    "list_cards",
    "list_gpus",
    "load_driver",
    "open_gpu",
    "open_sensor",
    "read_capability",
    "supported_cuda",
]

"""Collecting: a sweep becomes a dataset, whatever happens on the way.

A supervisor starts one worker for each GPU. A worker measures by a plan and writes each step in a
journal before and after it; so whatever ends it, the next worker goes on from there, and the
dataset is always what the journals say.
"""

from .collection import collect
from .merge import ALLOWABLE, merge
from .options import CollectOptions
from .simulated_collection import collect_simulated
from .worker import CUDA, SIMULATED, DeviceSpec

__all__ = [
    "ALLOWABLE",
    "CUDA",
    "SIMULATED",
    "CollectOptions",
    "DeviceSpec",
    "collect",
    "collect_simulated",
    "merge",
]

"""Collecting: a sweep becomes a dataset, whatever happens on the way.

A supervisor starts one worker for each GPU. A worker measures by a plan and writes each step in a
journal before and after it; so whatever ends it, the next worker goes on from there, and the
dataset is always what the journals say.
"""

from .collection import CollectOptions, collect
from .export import export_journals
from .merge import MergeError, merge

__all__ = ["CollectOptions", "MergeError", "collect", "export_journals", "merge"]

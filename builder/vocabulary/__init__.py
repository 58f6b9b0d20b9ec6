"""The words that rows of a dataset are described with: regimes, roles, statuses and flags.

A package of its own, below all that makes or reads rows, so that measuring needs no Parquet.
"""

from .row import UNUSABLE, Flag, Regime, Role, Status

__all__ = ["UNUSABLE", "Flag", "Regime", "Role", "Status"]

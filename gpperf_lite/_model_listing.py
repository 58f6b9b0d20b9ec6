"""The list of the built-in models: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from ._builtin import available
from ._model import load
from ._output import aligned

_HEADS = ("model", "GPU", "dtypes", "kernels", "power")


def model_lines() -> list[str]:
    """Return a line for each built-in model, below a head."""
    rows = [
        (one["name"], one["gpu"], " ".join(one["dtypes"]), str(len(one["kernels"])), power)
        for one in model_documents()
        for power in ["yes" if one["power"] else "no"]
    ]
    return aligned([_HEADS, *rows])


def model_documents() -> list[dict[str, Any]]:
    """Return a summary of each built-in model as JSON types; its dtypes are those measured."""
    return [_document(load(name).card) for name in available()]


def _document(card: dict[str, Any]) -> dict[str, Any]:
    estimators = [one for one in card["estimators"] if not one["remarks"]]  # as measured
    return {
        "name": card["name"],
        "version": card["version"],
        "gpu": card["gpu"]["name"],
        "dtypes": sorted({one["dtype"] for one in estimators}),
        "kernels": card["kernels"],
        "power": any(one["target"] == "power" for one in estimators),
    }

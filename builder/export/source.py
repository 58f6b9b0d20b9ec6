"""The source of what is exported: which artefact it is, and what a reader is told of it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

from gpperf_lite._artefact import Artefact, encode
from gpperf_lite._gpu import Gpu
from gpperf_lite._model import artefact_of

from .contents import Contents

_MOST_NOTES = 12
_LONGEST_CARD = 3500


@dataclass(frozen=True)
class Source:
    """An artefact and its file: the bytes that it has, and their SHA-256.

    Of one that was made of a data sheet, they are those of the file that it would be.
    """

    artefact: Artefact
    n_bytes: int
    sha256: str


def source_of(model: str | os.PathLike[str], gpu: Gpu | None = None) -> Source:
    """Return the artefact of a model, asked for as `gpperf_lite.load` is, with its errors."""
    artefact = artefact_of(model, gpu)
    data = encode(artefact)
    return Source(artefact, len(data), hashlib.sha256(data).hexdigest())


def notes_of(contents: Contents) -> list[str]:
    """Return lines on where a model comes from, and its remarks and notes."""
    artefact = contents.artefact
    texts = [f"Remark: {text}" for text in _remarks(contents)]
    texts += [f"Note: {text}" for text in artefact.notes]
    texts += [f"Source: {text}" for text in _sources(artefact)]
    more = len(texts) - _MOST_NOTES
    return texts if more <= 0 else [*texts[:_MOST_NOTES], f"and {more} more: see the card"]


def card_of(contents: Contents, source: Source) -> dict[str, Any]:
    """Return a short card of JSON types: of less than 4 kB, so that it is a literal of C."""
    artefact = contents.artefact
    runtimes = [one for one in contents.estimators if one.target == "runtime"]
    card: dict[str, Any] = {
        "name": artefact.name,
        "version": artefact.version,
        "gpu": artefact.gpu.name,
        "sha256": source.sha256,
        "dtypes": list(contents.defaults),
        "median_ape": {
            f"{one.dtype} {artefact.kernels[one.kernels[0]].name}": one.accuracy["median_ape"]
            for one in runtimes
            if "median_ape" in one.accuracy
        },
        "remarks": _remarks(contents),
    }
    for name in ("remarks", "median_ape"):
        if len(json.dumps(card)) > _LONGEST_CARD:
            del card[name]
    return card


def _remarks(contents: Contents) -> list[str]:
    own = [text for one in contents.estimators for text in one.remarks]
    return list(dict.fromkeys([*contents.artefact.remarks, *own]))


def _sources(artefact: Artefact) -> list[str]:
    """Return a line for each licence, with the tables under it."""
    found: dict[str, list[str]] = {}
    for part in ("runtime", "power"):
        entries = artefact.provenance.get(part)
        for entry in entries if isinstance(entries, (list, tuple)) else ():
            if isinstance(entry, dict) and "source" in entry:
                names = found.setdefault(str(entry.get("licence", "licence not stated")), [])
                if str(entry["source"]) not in names:
                    names.append(str(entry["source"]))
    return [f"{', '.join(names)} ({licence})" for licence, names in found.items()]

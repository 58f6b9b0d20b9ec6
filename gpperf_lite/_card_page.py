"""The page of a card: what a model is of, its kernels, its accuracy and its sources, for people.

Provenance and accuracy are free-form, so nothing is taken for granted of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ._kernel import Kernel
from ._kernel_listing import names_or_families, summary
from ._model import Model
from ._output import aligned, paragraph, plain

_HEADS = (
    *("target", "dtype", "kernels", "timed", "held out", "rows"),
    *("mean", "median", "p90", "covers"),
)
_RANGES = ("dtype", "kernels", "layouts", "m", "n", "k", "batch", "pairs")
_LONGEST_NAMES = 32
_LINE_OF_NAMES = 16
_LONGEST_EXAMPLE = 400
_MOST_SOURCES = 16


def page(model: Model) -> list[str]:
    """Return the card of a model as lines of about 100 columns, few however many its kernels.

    Raises ArtefactError where the text of the card is broken.
    """
    card = model.card
    lines = paragraph(f"{card['name']}, version {card['version']}, for {card['gpu']['name']}")
    lines += summary(model)
    lines.append("held-out accuracy (absolute percentage error; what the 90 % interval covers):")
    known = {kernel.name: kernel for kernel in model.kernels}
    lines += [f"  {line}" for line in _accuracy(card["estimators"], known)]
    lines += _ranges(card["estimators"], known)
    for text in texts(card):
        lines += paragraph(text, "  ")
    return lines


def _accuracy(estimators: list[dict[str, Any]], known: Mapping[str, Kernel]) -> list[str]:
    """Return the lines of a table: errors of each estimator, and on kernels held out as a whole."""
    rows: list[tuple[str, ...]] = [_HEADS]
    for one in estimators:
        names, *more = _named(one, known)
        keys = (one["target"], one["dtype"], names, one["timed"] or "-")
        for split, errors in _by_split(one["accuracy"]):
            rows.append((*keys, plain(split), *_errors(errors)))
            rows += [("", "", line, *("",) * (len(_HEADS) - 3)) for line in more]
    return aligned(rows, _HEADS[5:])


def _ranges(estimators: list[dict[str, Any]], known: Mapping[str, Kernel]) -> list[str]:
    """Return the lines of a table: the sizes that each estimator of runtime was trained on.

    What is told by the data sheet was measured elsewhere, and is not there.
    """
    rows: list[tuple[str, ...]] = [_RANGES]
    for one in estimators:
        if one["target"] == "runtime" and not one["remarks"]:
            domain = one["domain"]
            sizes = (_range(*domain[name]) for name in ("m", "n", "k", "batch"))
            pairs = plain(one["accuracy"].get("pairs", "-"))
            names, *more = _named(one, known)
            rows.append((one["dtype"], names, " ".join(domain["layouts"]), *sizes, pairs))
            rows += [("", line, *("",) * (len(_RANGES) - 2)) for line in more]
    if len(rows) == 1:
        return []
    head = "measured (smallest to largest; pairs: how many different (n, k)):"
    return [head, *(f"  {line}" for line in aligned(rows, _RANGES[3:]))]


def _range(low: int, high: int) -> str:
    return f"{low} to {high}" if high > low else str(low)


def _named(estimator: Mapping[str, Any], known: Mapping[str, Kernel]) -> list[str]:
    """Return the names or families of an estimator's kernels, in short lines."""
    named = names_or_families([known[name] for name in estimator["kernels"]], _LONGEST_NAMES)
    return textwrap.wrap(named, _LINE_OF_NAMES, break_on_hyphens=False) or ["-"]


def _by_split(accuracy: dict[str, Any]) -> Iterator[tuple[object, Mapping[str, Any]]]:
    """Yield the kind of group that was held out, and the errors on what was."""
    yield accuracy.get("split", "-"), accuracy
    by_kernel = accuracy.get("kernels_held_out")
    if isinstance(by_kernel, dict):
        yield "kernel", by_kernel


def _errors(accuracy: Mapping[str, Any]) -> tuple[str, ...]:
    shares = ("mean_ape", "median_ape", "p90_ape", "coverage_90")
    return (plain(accuracy.get("n", "-")), *(_percent(accuracy.get(name)) for name in shares))


def texts(card: Mapping[str, Any]) -> Iterator[str]:
    """Yield a paragraph for all else that a user should know."""
    provenance = card["provenance"]
    yield from card["remarks"]
    yield from (f"note: {note}" for note in card["notes"])
    yield from (f"beyond reach: {text}" for text in _beyond_reach(provenance))
    of_dtypes: dict[str, dict[str, None]] = {}
    for one in card["estimators"]:
        for remark in one["remarks"]:
            of_dtypes.setdefault(remark, {})[one["dtype"]] = None
    yield from (f"{' '.join(dtypes)}: {remark}" for remark, dtypes in of_dtypes.items())
    for note in dict.fromkeys(note for one in card["estimators"] for note in one["notes"]):
        yield f"note: {note}"
    for dtype, other in card["stand_ins"].items():
        yield f"{dtype} was not measured: it is predicted as {other}"
    for target in ("runtime", "power"):
        yield from (f"{target} from {source}" for source in _sources(provenance.get(target)))
    if all(one["target"] != "power" for one in card["estimators"]):
        missing = provenance.get("power_missing", "no row with power was given")
        yield f"no power: {plain(missing)}"
    window_s = provenance.get("power_window_s")
    if window_s:
        yield (
            f"power: only readings averaged over at least {plain(window_s)} s of load count, from "
            "a one-second running average; shorter kernels follow from the physical model alone"
        )


def _beyond_reach(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Yield a text for each part's labels that a model cannot say, with the first example alone."""
    texts = provenance.get("beyond_reach")
    for text in texts if isinstance(texts, list) else []:
        yield plain(text, _LONGEST_EXAMPLE).partition("; ")[0]


def _sources(entries: object) -> Iterator[str]:
    """Yield a text for each source of a target's rows, or for each licence of many sources."""
    by_licence: dict[str, list[tuple[str, object]]] = {}
    for entry in entries if isinstance(entries, list) else []:
        fields = entry if isinstance(entry, dict) else {}
        licence, source = (plain(fields.get(name, "?")) for name in ("licence", "source"))
        by_licence.setdefault(licence, []).append((source, fields.get("taken", "?")))
    are_many = sum(map(len, by_licence.values())) > _MOST_SOURCES
    for licence, sources in by_licence.items():
        if are_many and len(sources) > 1:
            taken = [rows for _, rows in sources if isinstance(rows, int)]
            yield f"{len(sources)} tables ({licence}), {sum(taken)} rows; --json names them"
        else:
            yield from (f"{source} ({licence}), {plain(rows)} rows" for source, rows in sources)


def _percent(value: object) -> str:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.2%}" if known else "-"

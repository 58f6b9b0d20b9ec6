"""The card's text: an artefact's making and its accuracy, read when they are asked for.

It is a third of a manifest, and no prediction needs it, so it is a text of its own in the file:

    provenance      free-form: sources, licences, hashes, how it was measured and trained
    accuracy        a list of free-form objects, one for each estimator: held-out figures, by split
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import _safetensors
from ._checked_json import Fields
from ._errors import ArtefactError


class Card:
    """The text of a card, parsed and checked once, when a part of it is first looked at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: dict[str, list[dict[str, Any]]] = {}

    def provenance(self) -> Mapping[str, Any]:
        """Return the provenance, as a mapping that is read when it is looked at."""
        return _Part(self, "provenance", 0)

    def accuracy(self, index: int) -> Mapping[str, Any]:
        """Return the accuracy of one estimator, as a mapping that is read when it is looked at."""
        return _Part(self, "accuracy", index)

    def part(self, name: str, index: int) -> dict[str, Any]:
        """Return a part of the card; raises ArtefactError where the text holds no valid one."""
        if not self._parts:
            fields = Fields(_safetensors.loads(self._text), "card")
            each = [entry.values for entry in fields.objects("accuracy")]
            found = {"provenance": [fields.free_form("provenance")], "accuracy": each}
            Fields({"accuracy": {str(at): one for at, one in enumerate(each)}}, "card").free_form(
                "accuracy"
            )
            self._parts = found
        parts = self._parts[name]
        if index >= len(parts):
            raise ArtefactError(f"not a valid artefact: card.{name} has no object number {index}")
        return parts[index]


def text_of(provenance: Mapping[str, Any], accuracy: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a card; raises ArtefactError where it holds what JSON cannot say."""
    card = {"provenance": dict(provenance), "accuracy": [dict(one) for one in accuracy]}
    try:
        return json.dumps(card, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact cannot be written as JSON: {error}") from error


class _Part(Mapping[str, Any]):
    """One object of a card."""

    __slots__ = ("_card", "_index", "_name")

    def __init__(self, card: Card, name: str, index: int) -> None:
        self._card, self._name, self._index = card, name, index

    def __getitem__(self, key: str) -> Any:
        return self._card.part(self._name, self._index)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._card.part(self._name, self._index))

    def __len__(self) -> int:
        return len(self._card.part(self._name, self._index))

    def __repr__(self) -> str:
        return repr(self._card.part(self._name, self._index))

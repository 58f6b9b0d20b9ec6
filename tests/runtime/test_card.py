"""The card: read when it is asked for, covered by the checksum, refused where it is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stand_ins.artefacts import sealed, small_artefact

import gpperf_lite as gp
from gpperf_lite import _safetensors
from gpperf_lite._artefact import decode, encode
from gpperf_lite._card import Card, text_of
from gpperf_lite._errors import ArtefactError

SMALL = encode(small_artefact())


def with_card(text: str) -> bytes:
    """Return the small artefact with another text of its card, its checksum right."""
    metadata, tensors, _ = _safetensors.decode(SMALL)
    return sealed(metadata["manifest"], *_safetensors.pack(tensors), text)


def test_what_is_written_is_what_is_shown(tmp_path: Path) -> None:
    artefact = decode(SMALL)
    told = artefact._replace(
        provenance={"who": ["a", {"b": 1.5}]},
        estimators=tuple(
            one._replace(accuracy={"n": at}) for at, one in enumerate(artefact.estimators)
        ),
    )
    path = tmp_path / "a.safetensors"
    path.write_bytes(encode(told))
    card = gp.load(path).card
    assert card["provenance"] == {"who": ["a", {"b": 1.5}]}
    assert [one["accuracy"] for one in card["estimators"]] == [
        {"n": at} for at in range(len(artefact.estimators))
    ]
    assert encode(decode(encode(told))) == encode(told)


def test_a_changed_card_is_noticed_when_the_file_is_read() -> None:
    metadata, tensors, _ = _safetensors.decode(SMALL)
    header, payload = _safetensors.pack(tensors)
    changed = metadata["card"].replace("}", " }", 1)
    with pytest.raises(ArtefactError, match="checksum"):
        decode(_safetensors.encode({**metadata, "card": changed}, payload, header))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "must be a JSON object"),
        ("{", "JSON is broken"),
        ("{}", "card.accuracy must be a list"),
        ('{"accuracy":[{}]}', "card.provenance must be a JSON object"),
        ('{"accuracy":[3],"provenance":{}}', "must be a JSON object"),
        ('{"accuracy":[],"provenance":{}}', r"card\.accuracy has no object number 0"),
        ('{"accuracy":[{"x":' + "[" * 20 + "]" * 20 + '}],"provenance":{}}', "nested"),
        ('{"accuracy":[{"x":"\\ud800"}],"provenance":{}}', "surrogate"),
    ],
)
def test_a_card_that_is_none_is_refused_when_it_is_asked_for(text: str, reason: str) -> None:
    """Predictions need none of it; whatever else is wrong is found before."""
    model = gp.Model(decode(with_card(text)))
    with pytest.raises(ArtefactError, match=reason):
        _ = model.card


def test_a_card_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(text_of({"a": 1}, [{"b": 2}, {"c": 3}]))
    calls: list[str] = []
    loads = _safetensors.loads

    def counted(text: str) -> object:
        calls.append(text)
        return loads(text)

    monkeypatch.setattr(_safetensors, "loads", counted)
    assert (dict(card.provenance()), dict(card.accuracy(1))) == ({"a": 1}, {"c": 3})
    assert (len(card.accuracy(0)), repr(card.accuracy(0))) == (1, "{'b': 2}")
    assert len(calls) == 1


def test_a_card_that_json_cannot_say_is_not_written() -> None:
    with pytest.raises(ArtefactError, match="cannot be written as JSON"):
        text_of({"x": float("nan")}, [])
    assert json.loads(text_of({}, [])) == {"accuracy": [], "provenance": {}}

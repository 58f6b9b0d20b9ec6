"""The container: what we write the reference reader reads, and what is broken is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite import ArtefactError
from gpperf_lite import _safetensors as container

GOOD = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
PAYLOAD = np.arange(6, dtype="<f4").tobytes()


def file_of(header: Any, payload: bytes = PAYLOAD) -> bytes:
    """Return a file with this header: a text as it is, anything else as JSON."""
    text = header if isinstance(header, str) else json.dumps(header)
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "little") + data + payload


def refusal(data: bytes) -> str:
    """Return why a file is refused."""
    with pytest.raises(ArtefactError, match=r"^not a valid artefact: ") as error:
        container.decode(data)
    text = str(error.value)
    assert len(text) < 500
    return text


def written(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    header, payload = container.pack(tensors)
    return container.encode(metadata, payload, header)


@st.composite
def some_tensors(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Up to five tensors of every type that we use, empty ones among them."""
    tensors = {}
    for index in range(draw(st.integers(0, 5))):
        dtype = draw(st.sampled_from(["u1", "<i2", "<f4"]))
        shape = draw(st.lists(st.integers(0, 4), max_size=2))
        dice = np.random.default_rng(draw(st.integers(0, 99)))
        tensors[f"{index}.x"] = dice.integers(0, 200, shape).astype(dtype)
    return tensors


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(some_tensors(), st.dictionaries(texts, texts, max_size=3))
def test_the_reference_reader_reads_the_tensors_that_we_wrote(
    tensors: dict[str, np.ndarray], metadata: dict[str, str]
) -> None:
    theirs = safetensors.numpy.load(written(tensors, metadata))
    assert set(theirs) == set(tensors)
    for name, tensor in tensors.items():
        assert theirs[name].dtype == tensor.dtype
        assert np.array_equal(theirs[name], tensor)


@given(some_tensors(), st.dictionaries(texts, texts, max_size=3))
def test_our_reader_reads_what_we_wrote(
    tensors: dict[str, np.ndarray], metadata: dict[str, str]
) -> None:
    found, ours, payload = container.decode(written(tensors, metadata))
    assert found == metadata
    assert len(payload) == sum(tensor.nbytes for tensor in tensors.values())
    assert list(ours) == list(tensors)
    for name, tensor in tensors.items():
        assert (ours[name].dtype, ours[name].shape) == (tensor.dtype, tensor.shape)
        assert np.array_equal(ours[name], tensor)


@given(some_tensors())
def test_our_reader_reads_what_the_reference_writer_wrote(tensors: dict[str, np.ndarray]) -> None:
    """It orders the tensors by type and name, and pads the header in its own way."""
    _, ours, _ = container.decode(safetensors.numpy.save(tensors, {"by": "them"}))
    assert set(ours) == set(tensors)
    assert all(np.array_equal(ours[name], tensors[name]) for name in tensors)


def test_the_reference_reader_opens_the_metadata_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(written({"a": np.zeros((1, 2), "u1")}, {"format": "ours", "é": "\n"}))
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "ours", "é": "\n"}


def test_writing_is_deterministic_and_aligned() -> None:
    tensors = {"b": np.ones((3, 1), "<f4"), "a": np.ones(5, "u1")}
    data = written(tensors, {"x": "y"})
    assert data == written(tensors, {"x": "y"})
    assert int.from_bytes(data[:8], "little") % 8 == 0


def test_a_tensor_of_the_other_byte_order_or_not_contiguous_is_written_as_its_values() -> None:
    wanted = np.arange(12, dtype="<i2").reshape(3, 4).T
    _, tensors, _ = container.decode(written({"a": wanted.astype(">i2")}, {}))
    assert np.array_equal(tensors["a"], wanted)


def test_tensors_are_read_only() -> None:
    _, tensors, _ = container.decode(file_of({"a": GOOD}))
    with pytest.raises(ValueError, match="read-only"):
        tensors["a"][0, 0] = 1.0


@pytest.mark.parametrize("n_bytes", range(8))
def test_a_file_without_room_for_a_length_is_refused(n_bytes: int) -> None:
    assert f"a file of {n_bytes} bytes has no header" in refusal(bytes(n_bytes))


@pytest.mark.parametrize("missing", [1, 8, 1000])
def test_a_header_that_ends_behind_the_file_is_refused(missing: int) -> None:
    length = len(PAYLOAD) + missing
    assert "bytes, 24 are there" in refusal(length.to_bytes(8, "little") + PAYLOAD)


@pytest.mark.parametrize("length", [container.LARGEST_HEADER_BYTES + 1, 2**63, 2**64 - 1])
def test_a_header_above_the_cap_is_refused_before_it_is_looked_at(length: int) -> None:
    data = length.to_bytes(8, "little") + b"{" * (container.LARGEST_HEADER_BYTES + 1)
    assert f"more than {container.LARGEST_HEADER_BYTES}" in refusal(data)


@pytest.mark.parametrize("text", ["", "[]", "1", '"a"', "null", " {}", "\ufeff{}", "x"])
def test_a_header_that_is_no_object_is_refused(text: str) -> None:
    assert "must be a JSON object" in refusal(file_of(text, b""))


@pytest.mark.parametrize("text", ["{", "{]", '{"a":}', '{"a":1,}', "{} {}", "{'a':1}", '{"a":01}'])
def test_a_header_that_is_no_json_is_refused(text: str) -> None:
    assert "its JSON is broken" in refusal(file_of(text, b""))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-16"])
def test_a_header_in_another_encoding_than_utf8_is_refused(encoding: str) -> None:
    data = json.dumps({"a": GOOD}).encode(encoding)
    refusal(len(data).to_bytes(8, "little") + data + PAYLOAD)


def test_a_header_of_broken_utf8_is_refused() -> None:
    data = b'{"\xff":1}'
    assert "not UTF-8" in refusal(len(data).to_bytes(8, "little") + data)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":{"b":1,"c":2,"b":1}}', '{"a":1,"\\u0061":2}'],
)
def test_a_key_twice_is_refused_at_any_depth(text: str) -> None:
    assert "the same key twice" in refusal(file_of(text, b""))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    assert "its JSON holds" in refusal(file_of(f'{{"a":{number}}}', b""))


@pytest.mark.parametrize("number", ["9" * 21, "-" + "9" * 20, "9" * 10_000, "0." + "1" * 100_000])
def test_an_endless_number_is_refused(number: str) -> None:
    assert "its JSON holds" in refusal(file_of(f'{{"a":{number}}}', b""))


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [100_000, 300_000])
def test_bottomless_nesting_is_refused(bracket: str, depth: int) -> None:
    text = '{"a":' + bracket * depth
    assert "nested too deeply" in refusal(file_of(text, b""))


@pytest.mark.parametrize("dtype", ["F64", "BF16", "f32", "", "F8_E4M3", None, 1, ["F32"], {}])
def test_a_dtype_that_we_do_not_use_is_refused(dtype: object) -> None:
    assert "must have a dtype of U8 I16 F32" in refusal(file_of({"a": {**GOOD, "dtype": dtype}}))


@pytest.mark.parametrize(
    "shape",
    [
        [-2, -3],
        [2.0, 3],
        [True, 6],
        ["2", 3],
        [None],
        [2, [3]],
        [1, 2, 3],
        [6, 1, 1, 1, 1, 1, 1, 1, 1],
        [1 << 27, 0],
        [10**19, 10**19],
        None,
        6,
        "6",
        {"0": 6},
    ],
)
def test_a_shape_that_is_none_is_refused(shape: object) -> None:
    assert "must have a shape of" in refusal(file_of({"a": {**GOOD, "shape": shape}}))


def test_a_shape_of_very_many_axes_is_refused_without_multiplying_them() -> None:
    shape = [9_223_372_036_854_775_807] * 50_000
    assert "at most 2 axes" in refusal(file_of({"a": {**GOOD, "shape": shape}}))


@pytest.mark.parametrize("shape", [[], [5], [7], [2, 4], [0, 3], [1 << 26, 1 << 26]])
def test_a_shape_of_another_length_than_its_bytes_is_refused(shape: list[int]) -> None:
    assert "does not fill bytes 0 to 24" in refusal(file_of({"a": {**GOOD, "shape": shape}}))


@pytest.mark.parametrize(
    "offsets",
    [
        None,
        24,
        [],
        [0],
        [0, 24, 24],
        [0.0, 24],
        [False, 24],
        ["0", 24],
        [-24, 0],
        [None, None],
        {"0": 24},
    ],
)
def test_offsets_that_are_no_two_whole_numbers_are_refused(offsets: object) -> None:
    assert "data_offsets" in refusal(file_of({"a": {**GOOD, "data_offsets": offsets}}))


def test_a_tensor_without_one_of_its_fields_is_refused() -> None:
    for name in GOOD:
        refusal(file_of({"a": {key: value for key, value in GOOD.items() if key != name}}))


@pytest.mark.parametrize("entry", [None, 1, "F32", [], [GOOD], True])
def test_a_tensor_that_is_no_object_is_refused(entry: object) -> None:
    assert "data_offsets" in refusal(file_of({"a": entry}))


def entry(first: int, last: int) -> dict[str, Any]:
    """Return a tensor of bytes at these offsets, with a shape that fits them."""
    return {"dtype": "U8", "shape": [max(last - first, 0)], "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        ([(1, 24)], "a gap or an overlap"),
        ([(0, 8), (9, 24)], "a gap or an overlap"),
        ([(0, 8), (7, 24)], "a gap or an overlap"),
        ([(0, 24), (0, 24)], "a gap or an overlap"),
        ([(0, 24), (25, 25)], "a gap or an overlap"),
        ([(0, 25)], "does not fill"),
        ([(0, 2**40)], "must have a shape"),
        ([(0, 24), (24, 20)], "does not fill"),
        ([(0, 23)], "the payload has 24 bytes, its tensors 23"),
        ([], "the payload has 24 bytes, its tensors 0"),
    ],
    ids=str,
)
def test_offsets_with_gaps_overlaps_and_other_ends_are_refused(
    offsets: list[tuple[int, int]], reason: str
) -> None:
    header = {f"t{number}": entry(*pair) for number, pair in enumerate(offsets)}
    assert reason in refusal(file_of(header))


def test_reversed_offsets_are_refused() -> None:
    header = {"a": {"dtype": "U8", "shape": [0], "data_offsets": [24, 0]}, "b": entry(0, 24)}
    assert "does not fill bytes 24 to 0" in refusal(file_of(header))


def test_tensors_may_stand_in_any_order_in_the_header() -> None:
    """An empty tensor shares its first offset with the one behind it."""
    header = {"c": entry(8, 24), "b": entry(0, 8), "a": entry(0, 0), "d": entry(24, 24)}
    _, tensors, _ = container.decode(file_of(header))
    assert [tensors[name].size for name in "abcd"] == [0, 8, 16, 0]


@pytest.mark.parametrize("extra", [b"\0", b"x" * 100])
def test_bytes_behind_the_last_tensor_are_refused(extra: bytes) -> None:
    assert "its tensors 24" in refusal(file_of({"a": GOOD}, PAYLOAD + extra))


def test_a_payload_that_is_cut_is_refused() -> None:
    for length in range(len(PAYLOAD)):
        refusal(file_of({"a": GOOD}, PAYLOAD[:length]))


@pytest.mark.parametrize("metadata", [None, [], "x", 1, {"a": 1}, {"a": None}, {"a": ["b"]}])
def test_metadata_that_is_no_object_of_texts_is_refused(metadata: object) -> None:
    header = {"__metadata__": metadata, "a": GOOD}
    assert "must be an object of texts" in refusal(file_of(header))


def test_metadata_with_half_a_surrogate_pair_is_refused() -> None:
    assert "surrogate" in refusal(file_of('{"__metadata__":{"a":"\\ud800"}}', b""))


def test_a_file_without_metadata_or_tensors_is_read_as_that() -> None:
    assert container.decode(file_of("{}", b""))[:2] == ({}, {})


def test_more_tensors_than_any_artefact_has_are_refused() -> None:
    header = {f"t{number}": entry(0, 0) for number in range(20_000)}
    assert "20000 tensors" in refusal(file_of(header, b""))


def test_a_long_reason_is_cut() -> None:
    with pytest.raises(ArtefactError) as error:
        container.refuse("x" * 301)
    assert str(error.value).endswith("x" * 300 + "...")
    with pytest.raises(ArtefactError, match="x{300}$"):
        container.refuse("x" * 300)


def test_an_overlong_name_is_cut_in_the_text_of_the_refusal() -> None:
    """And what is not printable in it is shown escaped."""
    text = refusal(file_of({"\x1b[31m" + "x" * 100_000: None}))
    assert "\\x1b" in text
    assert text.isprintable()

"""The dataset: what is written is read back, and nothing else is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import CUTLASS_KERNEL, GPU, dataset_of

from builder.dataset import (
    POINT,
    SCHEMA,
    Dataset,
    chosen_rows,
    concatenate,
    is_storable,
    read,
    table_of,
    write,
)
from builder.dataset.schema import SCHEMA_VERSION
from builder.errors import DatasetError
from builder.vocabulary import UNUSABLE
from gpperf_lite import InputError, Kernel
from gpperf_lite._kernel import Tile

texts = st.text(st.characters(codec="utf-8"), max_size=8)
sizes = st.integers(1, 2**31 - 1)
times = st.floats(1e-9, 1e6)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """One row of a dataset, with or without what may be null."""
    row: dict[str, Any] = {name: draw(sizes) for name in ("m", "n", "k", "batch")}
    row |= {name: draw(texts) for name in ("gpu", "kernel", "provider", "regime", "source")}
    row |= {name: draw(st.none() | texts) for name in ("software", "machine", "timed")}
    row["dtype"] = draw(st.sampled_from(["f64", "f32", "bf16", "nvfp4"]))
    row["layout"] = draw(st.sampled_from(["nn", "nt", "tn", "tt"]))
    row["alpha"], row["beta"] = draw(st.tuples(*[st.floats(-1e3, 1e3)] * 2))
    row["runtime_s"] = draw(times)
    row["flags"] = draw(st.none() | st.lists(st.sampled_from(["odd", "below_resolution"])))
    for name in ("runtime_min_s", "runtime_iqr_s", "power_w", "power_window_s", "sm_clock_hz"):
        row[name] = draw(st.none() | times)
    row["n_repeats"] = draw(st.none() | sizes)
    return row


@pytest.mark.slow
@settings(max_examples=40)
@given(drawn=st.lists(rows(), max_size=5))
def test_what_is_written_is_read_back(
    drawn: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("written") / "a.parquet"
    columns = {name: [row.get(name) for row in drawn] for name in SCHEMA.names}
    kernels = {"mine": Kernel("mine", "tiled", "f32", tile=Tile(16, 16, 16), registers=40)}
    provenance = ({"source": "a.csv", "dropped": {"zero": 2}, "notes": ["\u00e9"]}, {})
    dataset = Dataset(table_of(columns, len(drawn)), provenance, kernels, {"h200_sxm": GPU})
    write(dataset, path)
    again = read(path)
    assert again.table.equals(dataset.table)
    assert again.provenance == provenance
    assert again.kernels == kernels
    assert again.gpus == {"h200_sxm": GPU}


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(dataset_of(3, m=[1, 2, 3]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_writing_makes_the_folders_above(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.parquet"
    write(dataset_of(), path)
    assert len(read(path)) == 1


def test_a_place_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot write"):
        write(dataset_of(), tmp_path / "file" / "a.parquet")
    with pytest.raises(DatasetError, match="cannot write"):
        write(dataset_of(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_of_folders_add_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "gpu=other" / "speed=9" / "a.parquet"
    write(dataset_of(), path)
    assert read(path).column("gpu").tolist() == ["h200_sxm"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "there is no file"),
        (b"", "not a Parquet file"),
        (b"gpu,m,n,k\nh200,1,2,3\n", "not a Parquet file"),
        (b"PAR1" + bytes(100) + b"PAR1", "not a Parquet file"),
    ],
)
def test_what_is_no_parquet_is_refused(tmp_path: Path, data: bytes | None, reason: str) -> None:
    path = tmp_path / "a.parquet"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DatasetError, match=reason):
        read(path)


def test_a_folder_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no file"):
        read(tmp_path)


def test_a_parquet_of_somebody_else_is_refused_with_the_next_step(tmp_path: Path) -> None:
    pq.write_table(pa.table({"m": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="python -m builder import"):
        read(tmp_path / "a.parquet")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = dataset_of().table
    twice = table.append_column("m", table.column("m"))
    with pytest.raises(DatasetError, match="two columns of one name"):
        read(rewritten(tmp_path, twice))


METADATA = {"schema_version": SCHEMA_VERSION, "kernels": {}, "gpus": {}, "provenance": []}


def rewritten(folder: Path, table: pa.Table, metadata: str | bytes | None = None) -> Path:
    """Write a table under our key, whatever is in it."""
    path = folder / "a.parquet"
    text = json.dumps(METADATA) if metadata is None else metadata
    pq.write_table(table.replace_schema_metadata({"gpperf_lite": text}), path)
    return path


def test_the_smallest_metadata_is_enough(tmp_path: Path) -> None:
    dataset = read(rewritten(tmp_path, dataset_of().table))
    assert (len(dataset), dataset.provenance, dataset.kernels, dataset.gpus) == (1, (), {}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        b"\xff\xfe",
        "[" * 100_000,
        '{"schema_version": NaN}',
        json.dumps({**METADATA, "schema_version": "1"}),
        json.dumps({**METADATA, "schema_version": True}),
        json.dumps({**METADATA, "schema_version": None}),
        json.dumps({"schema_version": 1}),
        json.dumps({**METADATA, "provenance": {}}),
        json.dumps({**METADATA, "provenance": ["a.csv"]}),
        json.dumps({**METADATA, "provenance": [{"power": float("inf")}]}),
        json.dumps({**METADATA, "kernels": []}),
        json.dumps({**METADATA, "kernels": {"a": {}}}),
        json.dumps({**METADATA, "kernels": {"a": 1}}),
        json.dumps({**METADATA, "kernels": {"a": {"name": "a", "family": "none"}}}),
        json.dumps({**METADATA, "kernels": {"a": {"name": "b", "family": "tiled"}}}),
        json.dumps({**METADATA, "kernels": {"a": {"name": "a", "family": "tiled", "tile": [0]}}}),
        json.dumps({**METADATA, "gpus": None}),
        json.dumps({**METADATA, "gpus": {"a": {}}}),
        json.dumps({**METADATA, "gpus": {"a": {"name": "a", "compute_capability": "9.0"}}}),
    ],
)
def test_broken_metadata_is_refused(tmp_path: Path, text: str | bytes) -> None:
    path = rewritten(tmp_path, dataset_of().table, text)
    with pytest.raises(DatasetError, match="not a valid dataset") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("version", [0, 1, 4, 10**30])
def test_another_schema_version_is_refused_and_named(tmp_path: Path, version: int) -> None:
    path = rewritten(
        tmp_path, dataset_of().table, json.dumps({**METADATA, "schema_version": version})
    )
    with pytest.raises(DatasetError, match=f"version {version}, this builder reads 2 and 3"):
        read(path)


VERSION_2 = json.dumps({**METADATA, "schema_version": 2})
SINCE = ["software", "machine", "timed"]


def test_a_file_of_version_2_is_read_with_nulls_for_what_it_lacks(tmp_path: Path) -> None:
    dataset = dataset_of(3, m=[1, 2, 3])
    again = read(rewritten(tmp_path, dataset.table.drop_columns(SINCE), VERSION_2))
    assert again.table.equals(dataset.table)
    assert all(again.table.column(name).null_count == 3 for name in SINCE)
    write(again, tmp_path / "3.parquet")
    assert read(tmp_path / "3.parquet").table.equals(dataset.table)


@pytest.mark.parametrize("names", [[], ["gpu"], ["timed"], ["m", "n", "k"]])
def test_a_file_of_version_2_that_lacks_another_column_is_refused(
    tmp_path: Path, names: list[str]
) -> None:
    """However few it has."""
    with pytest.raises(DatasetError, match="must have the columns gpu"):
        read(rewritten(tmp_path, dataset_of().table.select(names), VERSION_2))


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_missing_column_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=name):
        read(rewritten(tmp_path, dataset_of().table.drop_columns([name])))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m", pa.int32()),
        ("m", pa.float64()),
        ("runtime_s", pa.float32()),
        ("runtime_s", pa.string()),
        ("gpu", pa.large_string()),
    ],
)
def test_a_column_of_another_type_is_refused(tmp_path: Path, name: str, kind: pa.DataType) -> None:
    table = dataset_of().table
    index = SCHEMA.get_field_index(name)
    changed = table.set_column(index, name, table.column(name).cast(kind))
    with pytest.raises(DatasetError, match=rf"{name} \({SCHEMA.field(name).type}\)"):
        read(rewritten(tmp_path, changed))


@pytest.mark.parametrize("name", POINT)
def test_null_in_what_makes_a_point_is_refused(tmp_path: Path, name: str) -> None:
    table = dataset_of(2).table
    index = SCHEMA.get_field_index(name)
    values = [table.column(name)[0].as_py(), None]
    broken = table.set_column(index, name, pa.array(values, SCHEMA.field(name).type))
    with pytest.raises(DatasetError, match=f"column {name} must not be null"):
        read(rewritten(tmp_path, broken))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("m", 0),
        ("n", -1),
        ("k", 2**31),
        ("batch", 2**62),
        ("dtype", "float"),
        ("layout", "row"),
        ("alpha", float("inf")),
        ("beta", float("-inf")),
        ("runtime_s", None),
        ("runtime_s", 0.0),
        ("runtime_s", -1e-5),
        ("runtime_s", float("inf")),
        ("runtime_s", 1e-12),
        ("runtime_s", 1e9),
        ("power_w", -1.0),
        ("power_w", float("inf")),
        ("power_window_s", -0.1),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(
    tmp_path: Path, name: str, value: object
) -> None:
    good = dataset_of().column(name).tolist()[0]
    write(dataset_of(2, **{name: [good, value]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=f"column {name} must be"):
        read(tmp_path / "a.parquet")


def test_a_row_that_is_not_used_needs_no_runtime(tmp_path: Path) -> None:
    kept = dataset_of(2, runtime_s=[None, 1e-5], flags=[["failed"], []])
    write(kept, tmp_path / "a.parquet")
    assert len(read(tmp_path / "a.parquet")) == 2


@settings(max_examples=150, derandomize=True)
@given(data=st.data())
def test_a_damaged_file_is_an_error_or_a_valid_dataset(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.parquet"
    write(dataset_of(3, m=[1, 2, 3], power_w=[None, 300.0, 400.0]), path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0 if len(content) < 100 else 1, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        dataset = read(path)
    except DatasetError:
        return
    assert dataset.table.schema.equals(SCHEMA)
    assert (dataset.column("m") >= 1).all()


@pytest.mark.parametrize("flag", sorted(UNUSABLE))
def test_a_row_with_an_unusable_flag_is_kept_but_not_used(flag: str) -> None:
    flags = [[flag], ["late_power"], [], None, ["late_power", flag]]
    dataset = dataset_of(5, m=[1, 2, 3, 4, 5], flags=flags)
    assert dataset.usable().column("m").tolist() == [2, 3, 4]
    assert len(dataset) == 5


def test_an_empty_dataset_has_no_usable_row() -> None:
    assert len(dataset_of(0).usable()) == 0


def test_joining_keeps_rows_and_provenance_in_order() -> None:
    first, second = dataset_of(2, m=[1, 2]), dataset_of(1, m=[3])
    joined = concatenate([first, second, first])
    assert joined.column("m").tolist() == [1, 2, 3, 1, 2]
    assert len(joined.provenance) == 3
    assert joined.gpus == {"h200_sxm": GPU}


def test_joining_refuses_contradictions_and_nothing() -> None:
    one = Dataset(dataset_of().table, kernels={"a": Kernel("a", "tiled")})
    other = Dataset(dataset_of().table, kernels={"a": Kernel("a", "tiled", "f32")})
    with pytest.raises(DatasetError, match="describe the kernel 'a' differently"):
        concatenate([one, other])
    with pytest.raises(DatasetError, match="name at least one file"):
        concatenate([])


def test_a_kernel_is_what_the_dataset_says_or_what_its_name_says() -> None:
    mine = Kernel(CUTLASS_KERNEL, "cutlass2", "f32", registers=128)
    table = dataset_of().table
    assert Dataset(table, kernels={CUTLASS_KERNEL: mine}).kernel(CUTLASS_KERNEL) == mine
    assert Dataset(table).kernel(CUTLASS_KERNEL).tile == Tile(128, 128, 8)
    with pytest.raises(InputError):
        Dataset(table).kernel("nobody_knows_it")


def test_a_table_of_other_columns_is_no_dataset() -> None:
    with pytest.raises(DatasetError, match="must have the columns gpu"):
        Dataset(pa.table({"m": [1]}))


def test_a_scalar_fills_its_column_and_a_missing_column_is_null() -> None:
    table = table_of({"gpu": "h200_sxm", "m": [1, 2], "alpha": 1}, 2)
    assert table.column("gpu").to_pylist() == ["h200_sxm"] * 2
    assert table.column("alpha").to_pylist() == [1.0, 1.0]
    assert table.column("power_w").null_count == 2


def test_rows_under_lasting_load_are_parted_from_those_of_every_other_regime() -> None:
    dataset = dataset_of(4, m=[1, 2, 3, 4], regime=["burst", "sustained", "repeated", "sustained"])
    assert dataset.sustained().column("m").tolist() == [2, 4]
    assert dataset.not_sustained().column("m").tolist() == [1, 3]


def test_a_flag_is_lifted_from_the_rows_that_have_it_and_they_alone_are_left() -> None:
    flags = [["host_bound"], [], ["coarse", "host_bound"], ["host_bound", "failed"], ["simulated"]]
    dataset = dataset_of(5, m=[1, 2, 3, 4, 5], flags=flags)
    assert dataset.usable().column("m").tolist() == [2]
    assert dataset.host_bound().flags() == [[], ["coarse"], ["failed"]]
    assert dataset.host_bound().usable().column("m").tolist() == [1, 3]
    assert dataset.simulated().usable().column("m").tolist() == [5]


def test_simulated_rows_are_chosen_only_where_they_are_asked_for() -> None:
    real, mixed = dataset_of(2, m=[1, 2]), dataset_of(2, m=[3, 4], flags=[["simulated"], []])
    assert chosen_rows([real, mixed], simulated=False) == [real, mixed]
    chosen = concatenate(chosen_rows([real, mixed], simulated=True))
    assert chosen.column("m").tolist() == [3]
    assert len(chosen.usable()) == 1
    with pytest.raises(DatasetError, match="none of the 2 rows is simulated"):
        chosen_rows([real], simulated=True)
    assert chosen_rows([], simulated=True) == []


def test_the_rows_that_each_flag_keeps_out_are_counted_the_most_frequent_first() -> None:
    flags = [["drift"], ["drift", "wrong"], None, ["coarse"], ["utilised", "mig"], ["late_power"]]
    dataset = dataset_of(6, m=[1, 2, 3, 4, 5, 6], flags=flags)
    assert list(dataset.kept_out().items()) == [("drift", 2), ("utilised", 1), ("wrong", 1)]
    assert len(dataset.usable()) == 3


def test_where_chooses_rows_by_a_mask() -> None:
    dataset = dataset_of(3, m=[1, 2, 3])
    assert dataset.where(np.array([True, False, True])).column("m").tolist() == [1, 3]


@pytest.mark.parametrize(
    ("kernel", "storable"),
    [
        (Kernel.from_name(CUTLASS_KERNEL), True),
        (Kernel("library", "library"), True),
        (Kernel("odd", "cutlass2", "f32", "nn", 1, Tile(2**40, 1, 1)), False),
    ],
)
def test_a_kernel_is_storable_where_it_can_be_read_back(kernel: Kernel, storable: bool) -> None:
    assert is_storable(kernel) is storable

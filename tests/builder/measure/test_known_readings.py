"""Known readings of power: what others measured, beside what is measured and where that is not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.traits import Traits
from builder.doctor import probe
from builder.doctor.probe_text import probe_lines
from builder.measure import Protocol, check_sensors
from builder.measure.known_readings import _INSTANT, known_reading
from builder.measure.power_trace import SOURCES
from builder.measure.sensor_check import SensorCheck, SourceCheck
from gpperf_lite._gpu_facts import known_gpus

PROTOCOL = Protocol()
GA100, GEFORCE, TURING, BLACKWELL = (8, 0), (8, 6), (7, 5), (10, 0)


def test_the_average_of_ga100_and_of_older_gpus_is_none() -> None:
    for capability in (GA100, TURING, (7, 0), (6, 0)):
        instant = known_reading("instant_power", capability)
        assert known_reading("average_power", capability) == instant
    for capability in (GEFORCE, (8, 9), (9, 0)):
        average = known_reading("average_power", capability)
        assert average is not None
        assert average.window_s == 1.0


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.name)
def test_nothing_is_made_up_of_what_nobody_measured(source: object) -> None:
    name = source.name  # type: ignore[attr-defined]
    for capability in (BLACKWELL, (8, 7), (12, 0), (5, 0)):
        assert known_reading(name, capability) is None
    assert known_reading("energy_counter", (9, 0)) is None


def test_a_sensor_check_has_what_is_known_beside_what_it_found() -> None:
    check = check_sensors(SimulatedDevice(1), PROTOCOL)
    counter, instant, average = check.sources
    assert counter.known_period_s is None
    assert (instant.known_period_s, instant.known_window_s) == (0.1, 0.025)
    assert average.known_window_s == 1.0
    assert instant.period_s == pytest.approx(instant.known_period_s, rel=0.05)
    assert SensorCheck.from_json(check.to_json()) == check


def test_a_check_of_an_older_journal_knows_nothing() -> None:
    values = check_sensors(SimulatedDevice(1), PROTOCOL).to_json()
    for source in values["sources"]:
        for name in ("known_period_s", "known_window_s", "known_rise_s"):
            del source[name]
    assert SensorCheck.from_json(values).sources[1].known_period_s is None


def test_a_load_is_waited_for_as_measured_or_else_as_known() -> None:
    check = SourceCheck("instant_power", None, rise_s=0.2, known_rise_s=0.4)
    assert check.follows_s == 0.2
    assert replace(check, rise_s=None).follows_s == 0.4
    assert replace(check, rise_s=None, known_rise_s=None).follows_s == 0.0
    assert replace(check, rise_s=0.0).follows_s == 0.0
    # 0.3 s, which is what is left where nothing is known, would cut into the step of a GeForce.
    (instant,) = (one for one in SOURCES if one.name == "instant_power")
    known = known_reading("instant_power", GEFORCE)
    assert known is not None
    assert instant.settle_s(PROTOCOL.power, known.rise_s) == pytest.approx(0.8)
    assert instant.settle_s(PROTOCOL.power, 0.0) == 0.3


def test_the_probe_says_what_others_found_beside_what_it_finds() -> None:
    lines = probe(SimulatedDevice(7), PROTOCOL).lines()
    (line,) = (line for line in lines if line.startswith("instant power: on such GPUs"))
    said, here = line.split("; measured here ")
    assert said.endswith("others found an average over 25.00 ms, every 100.00 ms")
    assert 95.0 < float(here.removesuffix(" ms")) < 105.0
    assert not any(line.startswith("energy counter: on such GPUs") for line in lines)


def test_a_reading_that_moves_unlike_that_of_others_is_a_warning() -> None:
    traits = Traits(sensor_period_s=0.04)
    values = dict(probe(SimulatedDevice(7, traits=traits), PROTOCOL).values)
    (line,) = (one for one in probe_lines(values) if one.startswith("warning: instant power"))
    assert 38.0 < float(line.split(" moves every ")[1].split()[0]) < 42.0
    assert "others found an average over 25.00 ms, every 100.00 ms" in line


@pytest.mark.parametrize("gpu", ["b200_sxm", "gb300", "rtx5090"])
def test_the_probe_of_a_gpu_that_nobody_measured_compares_nothing(gpu: str) -> None:
    check = check_sensors(SimulatedDevice(7, gpu=known_gpus()[gpu]), PROTOCOL)
    assert all(source.known_period_s is None for source in check.sources)


def test_a_source_that_is_missing_is_not_compared() -> None:
    faults = Faults(unsupported=("instant_power_w",))
    lines = probe(SimulatedDevice(7, faults), PROTOCOL).lines()
    assert not any(line.startswith("instant power: on such GPUs") for line in lines)


GPUS = {
    "P100|GTX_1080|RTX_1080|TITAN_X_Pascal": (6, 1),
    "V100": (7, 0),
    "RTX_20|TITAN_RTX|RTX_8000|GTX_1650": (7, 5),
    "A100": GA100,
    "RTX_30|A5000": GEFORCE,
    "RTX_4090": (8, 9),
    "H100": (9, 0),
}


def measured(path: Path, window: int) -> Iterator[tuple[str, float, float, float, float]]:
    """Yield GPU, period, averaging window, rise time and delay in ms of instant power in a table.

    window: the column of the window. Rows of a GPU: its name; date, driver, period; then a row each
    for draw, average and instant. Where instant is not there, draw is it, unless it is an average.
    """
    # Some cells have several lines.
    rows, name = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")))), ""
    for at, row in enumerate(rows):
        if row[0] and not any(row[1:]) and not re.match(r"\d", row[0]):
            name = row[0]
        if not re.fullmatch(r"\d{3}\.[\d.]+", row[1].strip()):
            continue
        readings = [one for one in rows[at + 1 : at + 4] if one[1] == "True"]
        if readings and re.fullmatch(r"[\d.]+", readings[-1][window]):
            last = readings[-1]
            numbers = (row[2], last[window], last[2] or "nan", last[3] or "nan")
            yield (name, *map(float, numbers))  # type: ignore[misc]


def test_what_is_known_is_the_median_of_the_table(shared_data: Path) -> None:
    folder = shared_data / "power_sensor"
    if not folder.is_dir():
        pytest.skip("the table of power sensors is not among the shared data")
    # Of the boards at hand, the window as a meter beside them showed it.
    rows = [*measured(folder / "local_gpus.csv", 17), *measured(folder / "remote_gpus.csv", 7)]
    assert len(rows) > 50
    seen = set()
    for pattern, capability in GPUS.items():
        mine = [row for row in rows if re.search(pattern, row[0])]
        known = _INSTANT[capability]
        assert mine, pattern
        seen.add(capability)
        period_s, window_s = (median(row[at] for row in mine) * 1e-3 for at in (1, 2))
        rise_s = median(row[3] + row[4] for row in mine if row[3] == row[3] and row[4] == row[4])
        assert known.period_s == pytest.approx(period_s, rel=0.06), pattern
        assert known.window_s == pytest.approx(window_s, rel=0.15), pattern
        assert known.rise_s == pytest.approx(rise_s * 1e-3, rel=0.35), pattern
    assert seen | {(6, 0)} == set(_INSTANT)

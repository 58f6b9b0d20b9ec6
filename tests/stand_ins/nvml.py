"""A library with the surface of `pynvml`, whose answers and failures a test chooses.

The functions, their arguments and the structures they return are the real module's; a test of its
own holds the fake against the module that is installed.
"""

from __future__ import annotations

import os
from typing import Any

UUID = "GPU-01234567-89ab-cdef-0123-456789abcdef"


class NVMLError(Exception):
    """What every function of the fake raises, as pynvml does: with a code in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


class NVMLLibraryMismatchError(Exception):
    """What pynvml raises for some functions that an older driver does not have."""


class Record:
    """A structure with any fields."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class FakeNvml:
    """A healthy H200; `failing` maps a function's name to the code it fails with.

    answers: by function, what it returns instead; calls: the functions that were called.
    """

    NVMLError = NVMLError
    NVMLLibraryMismatchError = NVMLLibraryMismatchError

    def __init__(self, **answers: Any) -> None:
        self.failing: dict[str, int] = {}
        self.mismatched: set[str] = set()
        self.calls: list[str] = []
        self.n_open = 0
        self.known = {UUID: "handle"}
        self.answers: dict[str, Any] = {
            "nvmlDeviceGetTotalEnergyConsumption": 123_456_789,
            "nvmlDeviceGetPowerUsage": 691_500,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetTemperature": 64,
            "nvmlDeviceGetCurrentClocksEventReasons": 0,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0,
            "nvmlDeviceGetUtilizationRates": Record(gpu=3, memory=37),
            "nvmlDeviceGetComputeRunningProcesses": [Record(pid=os.getpid())],
            "nvmlDeviceGetMigMode": [0, 0],
            "nvmlDeviceGetPersistenceMode": 1,
            "nvmlSystemGetDriverVersion": "580.159.04",
            "nvmlDeviceGetFieldValues": [field_value(1, "uiVal", 695_250)],
            **answers,
        }

    def nvmlInit(self) -> None:  # noqa: N802
        self._note("nvmlInit")
        self.n_open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._note("nvmlShutdown")
        self.n_open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._note("nvmlDeviceGetCount")
        return len(self.known)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self._note("nvmlDeviceGetHandleByIndex")
        return list(self.known.values())[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self._note("nvmlDeviceGetHandleByUUID")
        if uuid not in self.known:
            raise NVMLError(6)
        return self.known[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: str) -> str:  # noqa: N802
        self._note("nvmlDeviceGetDeviceHandleFromMigDeviceHandle")
        assert part == "partition"
        return "handle"

    def nvmlDeviceGetClockInfo(self, handle: str, domain: int) -> int:  # noqa: N802
        self._note("nvmlDeviceGetClockInfo")
        assert handle == "handle"
        return self.answers.get("nvmlDeviceGetClockInfo", {1: 1980, 2: 3201})[domain]

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        assert sensor == 0
        return self._answer("nvmlDeviceGetTemperature", handle)

    def nvmlDeviceGetFieldValues(self, handle: str, fields: list[int]) -> list[Any]:  # noqa: N802
        assert fields == [186]
        return self._answer("nvmlDeviceGetFieldValues", handle)

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return self._answer("nvmlSystemGetDriverVersion", "handle")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml") or name not in self.__dict__.get("answers", {}):
            raise AttributeError(name)
        return lambda handle: self._answer(name, handle)

    def _answer(self, name: str, handle: str) -> Any:
        self._note(name)
        assert handle == "handle"
        return self.answers[name]

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.mismatched:
            raise NVMLLibraryMismatchError(name)
        if name in self.failing:
            raise NVMLError(self.failing[name])


def field_value(kind: int, member: str, value: float, code: int = 0) -> Record:
    """Return a field's value as nvmlDeviceGetFieldValues leaves it."""
    return Record(valueType=kind, nvmlReturn=code, value=Record(**{member: value}))

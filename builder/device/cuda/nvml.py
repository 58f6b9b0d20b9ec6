"""NVML: the sensors of a GPU, read through the module `pynvml` (of the package nvidia-ml-py).

NVML answers in mJ, mW, MHz and degrees Celsius; here it becomes SI. A reading that is not
supported, not permitted or has no value is a SensorError of one sentence, nothing else. Functions
and constants are those of NVML's own reference (https://docs.nvidia.com/deploy/nvml-api/).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn

from ..interface import HARDWARE, POWER_CAP, THERMAL, Sensor, SensorError

_INSTANT_POWER_FIELD = 186
"""NVML_FI_DEV_POWER_INSTANT; scope 0 is the GPU, where the board is a module of more."""

_VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Members of the union of a field's value, in the order of nvmlValueType_t."""

_REASONS = {
    0x02: "application_clocks",
    0x04: POWER_CAP,
    0x08: HARDWARE,
    0x10: "sync_boost",
    0x20: THERMAL,
    0x40: THERMAL,
    0x80: HARDWARE,
    0x100: "display_clocks",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bits of nvmlClocksEventReason*; bit 0, an idle GPU, holds nothing down."""

_SM_CLOCK, _MEMORY_CLOCK = 1, 2
_GPU_TEMPERATURE = 0
_NOT_SUPPORTED, _NO_PERMISSION, _UNKNOWN = 3, 4, 999

_ADVICE = {
    1: "NVML was shut down: open the sensor again",
    _NOT_SUPPORTED: "this GPU or its driver does not have it",
    _NO_PERMISSION: "it is not permitted here: ask the administrator, or measure as root",
    6: "NVML does not know this GPU: inside a container, pass it through",
    9: "the driver is not loaded: load it, or restart the machine",
    12: "NVML is not installed: install NVIDIA's driver",
    13: "the driver is too old for it",
    15: "the GPU has fallen off the bus: restart the machine",
    16: "the GPU must be reset before it can be used",
    18: "NVML and the loaded driver differ in version: restart the machine",
    21: "there is no value yet",
}
"""Advice for some codes of nvmlReturn_t."""


class NvmlSensor(Sensor):
    """The sensors of one GPU; `close` may be called twice.

    library: the module `pynvml`, or a fake with its functions; uuid: of the GPU, "GPU-...".

    Raises SensorError where NVML cannot be started, or does not know the GPU.
    """

    def __init__(self, library: Any, uuid: str) -> None:
        self._library = library
        self._is_open = False
        self._call("the sensors", "nvmlInit", of_gpu=False)
        self._is_open = True
        try:
            self._handle = self._find(uuid)
        except SensorError:
            self.close()
            raise

    def close(self) -> None:
        """Shut NVML down."""
        if self._is_open:
            self._is_open = False
            try:
                self._library.nvmlShutdown()
            except Exception as error:
                self._raise_unless_known(error)

    def total_energy_j(self) -> float:
        """Return the energy counter; it starts when the driver is loaded."""
        energy_mj = self._call("the energy counter", "nvmlDeviceGetTotalEnergyConsumption")
        return _positive("the energy counter", energy_mj) * 1e-3

    def instant_power_w(self) -> float:
        """Return field 186, the latest sample of board power."""
        what = "instant power"
        fields = self._call(what, "nvmlDeviceGetFieldValues", [_INSTANT_POWER_FIELD])
        # The call itself succeeds where any field does: each has a code of its own.
        if fields[0].nvmlReturn:
            raise _unavailable(what, int(fields[0].nvmlReturn), "")
        if not 0 <= fields[0].valueType < len(_VALUE_MEMBERS):
            raise SensorError(
                f"NVML cannot read {what}: its value is of an unknown type "
                f"({fields[0].valueType}); a newer nvidia-ml-py may know it"
            )
        value_mw = getattr(fields[0].value, _VALUE_MEMBERS[fields[0].valueType])
        return _positive(what, value_mw) * 1e-3

    def average_power_w(self) -> float:
        """Return the average over the last second; of GA100 and older, the latest sample."""
        what = "average power"
        return _positive(what, self._call(what, "nvmlDeviceGetPowerUsage")) * 1e-3

    def power_limit_w(self) -> float:
        """Return the enforced limit, by whomever it was set."""
        limit_mw = self._call("the power limit", "nvmlDeviceGetEnforcedPowerLimit")
        return _positive("the power limit", limit_mw) * 1e-3

    def sm_clock_hz(self) -> float:
        """Return the SM clock."""
        return self._clock_hz("the SM clock", _SM_CLOCK)

    def memory_clock_hz(self) -> float:
        """Return the memory clock."""
        return self._clock_hz("the memory clock", _MEMORY_CLOCK)

    def temperature_c(self) -> float:
        """Return the temperature of the GPU's die."""
        what = "the temperature"
        return _positive(what, self._call(what, "nvmlDeviceGetTemperature", _GPU_TEMPERATURE))

    def throttle_reasons(self) -> frozenset[str]:
        """Return the reasons why clocks are held down; an idle GPU is none."""
        what = "the reasons of throttling"
        try:
            bits = self._call(what, "nvmlDeviceGetCurrentClocksEventReasons")
        except SensorError:
            # Its name before release 535 of the driver.
            bits = self._call(what, "nvmlDeviceGetCurrentClocksThrottleReasons")
        return frozenset(name for bit, name in _REASONS.items() if bits & bit)

    def utilisation(self) -> float:
        """Return the share of the last sampling period (1/6 to 1 s) in which a kernel ran."""
        rates = self._call("utilisation", "nvmlDeviceGetUtilizationRates")
        return float(rates.gpu) * 1e-2

    def process_ids(self) -> tuple[int, ...]:
        """Return the processes with a context, as NVML numbers them.

        In a container these may be the host's numbers, or none at all.
        """
        found = self._call("the processes", "nvmlDeviceGetComputeRunningProcesses")
        return tuple(int(process.pid) for process in found)

    def other_processes(self) -> int:
        """Return the number of other processes that hold a context, given that this one does.

        Raises SensorError where NVML lists no process, not even this one: then it hides them.
        """
        listed = self.process_ids()
        if not listed:
            raise SensorError(
                "NVML lists no process on the GPU, not even this one: others cannot be counted "
                "(share the host's process ids with the container, --pid=host)"
            )
        # Where the numbers are the host's, one of them is this process all the same.
        return len(listed) - 1

    def mig_is_on(self) -> bool:
        """Return True where the GPU is partitioned."""
        try:
            mode = self._call("the MIG mode", "nvmlDeviceGetMigMode")
        except SensorError as error:
            if getattr(error.__cause__, "value", None) == _NOT_SUPPORTED:
                return False
            raise
        return bool(mode[0])

    def persistence_is_on(self) -> bool:
        """Return True where the driver stays loaded while no process uses the GPU."""
        return bool(self._call("the persistence mode", "nvmlDeviceGetPersistenceMode"))

    def driver_version(self) -> str:
        """Return the driver's release ("580.159.04")."""
        what = "the driver's version"
        return str(self._call(what, "nvmlSystemGetDriverVersion", of_gpu=False))

    def _find(self, uuid: str) -> Any:
        """Return the handle of a GPU; of the whole GPU where the UUID is a partition's."""
        try:
            return self._call("the GPU", "nvmlDeviceGetHandleByUUID", uuid, of_gpu=False)
        except SensorError as error:
            # CUDA gives sixteen bytes and does not say whether they name a GPU or a partition.
            name = "MIG-" + uuid.removeprefix("GPU-")
            try:
                part = self._library.nvmlDeviceGetHandleByUUID(name)
                return self._library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)
            except Exception as second:
                self._raise_unless_known(second)
                raise error from second

    def _clock_hz(self, what: str, domain: int) -> float:
        return _positive(what, self._call(what, "nvmlDeviceGetClockInfo", domain)) * 1e6

    def _call(self, what: str, name: str, *arguments: Any, of_gpu: bool = True) -> Any:
        """Return the answer of a function of NVML; `of_gpu` passes the GPU as first argument."""
        function: Callable[..., Any] | None = getattr(self._library, name, None)
        if function is None:
            raise SensorError(
                f"NVML cannot read {what}: this pynvml has no {name} (install nvidia-ml-py)"
            )
        try:
            return function(self._handle, *arguments) if of_gpu else function(*arguments)
        except Exception as error:
            self._raise_unless_known(error)
            raise _unavailable(what, _code(error), str(error)) from error

    def _raise_unless_known(self, error: Exception) -> None:
        """Raise the error again where it is none of NVML's: then it is a mistake of ours."""
        mismatch = getattr(self._library, "NVMLLibraryMismatchError", OSError)
        if not isinstance(error, (self._library.NVMLError, OSError, mismatch)):
            raise error


class NoSensor(Sensor):
    """Sensors that cannot be read at all: each reading raises SensorError.

    reason: one sentence: why, and the next step.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def close(self) -> None:
        """Nothing to shut down."""

    def _refuse(self) -> NoReturn:
        raise SensorError(self.reason)

    total_energy_j = instant_power_w = average_power_w = power_limit_w = _refuse
    sm_clock_hz = memory_clock_hz = temperature_c = _refuse
    throttle_reasons = utilisation = other_processes = mig_is_on = _refuse


def open_sensor(uuid: str) -> NvmlSensor | NoSensor:
    """Return the sensors of a GPU; where there are none, a NoSensor with the reason."""
    try:
        import pynvml
    except ImportError:
        return NoSensor("NVML cannot be read: the module pynvml is missing (install nvidia-ml-py)")
    try:
        return NvmlSensor(pynvml, uuid)
    except SensorError as error:
        return NoSensor(str(error))


@contextmanager
def kept_loaded() -> Iterator[None]:
    """Keep the driver loaded while this is entered, where it can be: else each process boots it.

    Without persistence mode, the driver unloads a GPU that nobody has open, and the next process
    waits for seconds. No context is created by this.
    """
    with ExitStack() as stack:
        # Whatever is missing here is said where it is needed.
        with suppress(Exception):
            library = importlib.import_module("pynvml")
            library.nvmlInit()
            stack.callback(library.nvmlShutdown)
            for index in range(library.nvmlDeviceGetCount()):
                library.nvmlDeviceGetHandleByIndex(index)
        yield


def driver_version(sensor: NvmlSensor | NoSensor) -> str:
    """Return the driver's release; "unknown" where NVML does not tell."""
    try:
        return sensor.driver_version() if isinstance(sensor, NvmlSensor) else "unknown"
    except SensorError:
        return "unknown"


def _unavailable(what: str, code: int, text: str) -> SensorError:
    """Return the error of a reading that NVML answers with a code."""
    advice = _ADVICE.get(code, text or "NVML says no more")
    return SensorError(f"NVML cannot read {what}: {advice} (NVML's code {code})")


def _code(error: Exception) -> int:
    """Return NVML's code of an error; 999, unknown, where it has none."""
    value = getattr(error, "value", None)
    return value if isinstance(value, int) else _UNKNOWN


def _positive(what: str, value: float) -> float:
    """Return a reading as a float; 0 and below are none."""
    if not value > 0:
        raise SensorError(f"NVML cannot read {what}: there is no value yet (it says {value})")
    return float(value)

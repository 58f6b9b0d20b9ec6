"""Programs: what is loaded of a plan's builds, each verified before it measures anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpperf_lite import Kernel
from gpperf_lite._descriptions import kernel_to_json

from ...compile import CubinCache, architecture_of
from ...device import Device, Program
from ...measure import Protocol, Verdict, verify_build
from ...plan import Plan, Point
from ..journal import WRONG, Journal, quarantine_offenders
from .attempt import attempt


def lane_of(point: Point) -> str:
    """Return kernel and dtype: `library` is verified, and blamed, for each dtype on its own."""
    return f"{point.kernel} {point.gemm.dtype}"


class Programs:
    """The programs of a plan that are loaded on one GPU.

    keys: of the cubins by kernel; a kernel that is missing needs none.
    """

    def __init__(
        self,
        device: Device,
        plan: Plan,
        protocol: Protocol,
        journal: Journal,
        cubins: CubinCache | None,
        keys: Mapping[str, str],
    ) -> None:
        self._device = device
        self._protocol = protocol
        self._journal = journal
        self._cubins = cubins
        self._keys = keys
        self._builds = {build.kernel.name: build for build in plan.builds}
        self._architecture = architecture_of(device.gpu)
        self._loaded: dict[str, Program] = {}

    def kernel(self, name: str) -> Kernel:
        """Return the description of a kernel of the plan."""
        return self._builds[name].kernel

    def key(self, point: Point) -> str | None:
        """Return the key of a point's cubin; None where it needs none."""
        return self._keys.get(point.kernel)

    def build_of(self, point: Point) -> str:
        """Return what is quarantined where this point's build is bad."""
        return self.key(point) or lane_of(point)

    def is_out(self, point: Point) -> bool:
        """Return whether a point's build is quarantined."""
        return self.build_of(point) in self._journal.state.quarantined

    def verified(self, point: Point, announce: Callable[[], None]) -> Program | None:
        """Return a point's program; None where its build cannot be used, which is then known.

        announce: writes the begin before a program is loaded or run for the first time, because
        either may bring down the process.
        """
        state, lane, build = self._journal.state, lane_of(point), self.build_of(point)
        if build in state.quarantined:
            return None
        is_known = state.verified.get(lane) == build
        if is_known and point.kernel in self._loaded:
            return self._loaded[point.kernel]
        announce()
        found = attempt(self._journal, lambda: self._try(point, is_known))
        if found is None:
            return None
        program, verdict = found
        self._journal.append(
            "build",
            sequence=None,
            status="ok" if verdict.ok else "wrong",
            fault=None if verdict.ok else WRONG,
            reason=verdict.text or None,
            verify_error=verdict.error if verdict.ok else None,
            description=kernel_to_json(program.kernel),
        )
        quarantine_offenders(self._journal)
        return program if verdict.ok else None

    def _try(self, point: Point, is_known: bool) -> tuple[Program, Verdict]:
        name = point.kernel
        program = self._loaded.get(name)
        if program is None:
            program = self._device.load(self.kernel(name), self._cubin(name))
            self._loaded[name] = program
        if is_known:
            return program, Verdict(True, 0.0, "")
        return program, verify_build(program, self._protocol, point.gemm.dtype)

    def _cubin(self, name: str) -> bytes | None:
        if self._cubins is None or name not in self._keys:
            return None
        found = self._cubins.get(self._builds[name], self._architecture)
        return None if found is None else found[1]

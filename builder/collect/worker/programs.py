"""The programs of a plan: loaded once, and verified before they measure anything."""

from __future__ import annotations

from collections.abc import Callable

from gpperf_lite import Kernel
from gpperf_lite._descriptions import kernel_to_json

from ...compile import CubinCache
from ...device import Device, Program
from ...measure import Protocol, Verdict, verify_build
from ...plan import Plan, Point
from ...vocabulary import Status
from ..journal import WRONG, Journal
from .attempt import attempt

_LOAD_S = 1.0
_LIBRARY_S = 6.0
"""cuBLASLt is a file of half a gigabyte, which a machine that was just started reads from disk."""


class Programs:
    """The programs of a plan on one GPU.

    cubins: the cache in which the plan's builds have their keys; None where none of them has one.
    A program is verified once a session of a GPU and driver, `library` for each dtype on its own.
    """

    def __init__(
        self,
        device: Device,
        plan: Plan,
        protocol: Protocol,
        journal: Journal,
        cubins: CubinCache | None,
    ) -> None:
        self._device = device
        self._protocol = protocol
        self._journal = journal
        self._cubins = cubins
        self._builds = {build.kernel.name: build for build in plan.builds}
        self._loaded: dict[str, Program] = {}

    def kernel(self, name: str) -> Kernel:
        """Return the description of a kernel of the plan."""
        return self._builds[name].kernel

    def key(self, point: Point) -> str | None:
        """Return the key of a point's cubin; None where it needs none."""
        return self._builds[point.kernel].key or None

    def build_of(self, point: Point) -> str:
        """Return the name by which a point's build is quarantined: its key, or kernel and dtype."""
        return self.key(point) or point.candidate

    def load_s(self, point: Point) -> float:
        """Return the time that loading and verifying a point's program should take, at most."""
        is_library = not self._builds[point.kernel].source
        return _LIBRARY_S if is_library and point.kernel not in self._loaded else _LOAD_S

    def is_out(self, point: Point) -> bool:
        """Return True where a point's build is quarantined."""
        return self.build_of(point) in self._journal.state.quarantined

    def verified(self, point: Point, begin: Callable[[], None]) -> Program | None:
        """Return a point's program; None where its build cannot be used, as the journal then says.

        begin: writes the `begin` line of a build. It is called before a program is loaded, and
        before one is verified, because either may bring down the process; the `build` line that
        closes it is written here, or by `attempt` where that fails. A program that is loaded and
        verified leaves no line.
        """
        state, build = self._journal.state, self.build_of(point)
        if build in state.quarantined:
            return None
        is_known = state.verified.get(point.candidate) == build
        if is_known and point.kernel in self._loaded:
            return self._loaded[point.kernel]
        begin()
        found = attempt(self._journal, lambda: self._try(point, is_known))
        if found is None:
            return None
        program, verdict = found
        self._journal.append(
            "build",
            sequence=None,
            status=Status.OK if verdict.ok else WRONG,
            fault=None if verdict.ok else WRONG,
            reason=verdict.text or None,
            verify_error=verdict.error if verdict.ok else None,
            description=kernel_to_json(program.kernel),
        )
        return program if verdict.ok else None

    def _try(self, point: Point, is_known: bool) -> tuple[Program, Verdict]:
        name = point.kernel
        program = self._loaded.get(name)
        if program is None:
            program = self._device.load(self.kernel(name), self._cubin(name))
            self._loaded[name] = program
        if is_known:
            return program, Verdict(True, 0.0, "")
        return program, verify_build(program, self._protocol.correctness, point.gemm.dtype)

    def _cubin(self, name: str) -> bytes | None:
        """Return the cubin of a kernel; None where it needs none, or the cache has lost it."""
        key = self._builds[name].key
        entry = self._cubins.read(key) if key and self._cubins is not None else None
        return None if entry is None else entry.cubin

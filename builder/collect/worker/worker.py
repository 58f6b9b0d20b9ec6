"""The worker: the process that opens one GPU and takes a plan through one session on it."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from gpperf_lite import GpperfError, Gpu

from ...compile import CubinCache
from ...device import Device
from ...vocabulary import Status
from ..journal import BURST, POINT, SUSTAINED, Journal, State
from .conductor import Clock, Conductor
from .interruptible import InterruptibleDevice, Stopped
from .messages import (
    COMPLETE,
    CRASHED,
    ENDING_SIGNALS,
    ERROR,
    FAILING,
    STOP,
    STOPPED,
    DeviceSpec,
    Ended,
    Heartbeat,
    Job,
    Note,
    Standing,
)
from .point_runner import PointRunner
from .programs import Programs
from .schedule import Schedule
from .session_facts import facts_of, open_session

_OPENING_S, _ENDING_S = 6.0, 1.0
_LOCK_S = 5.0
_POLL_S = 1.0
_ORPHANED = 3


def run_worker(spec: DeviceSpec, job: Job, connection: Connection) -> None:
    """Do a job on a GPU, send how it ended, and end this process.

    It ends within `stop_s` of the protocol after its supervisor has died.
    """
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    supervisor = SupervisorPipe(connection, job.protocol.faults.stop_s)
    ended = _ended(spec, job, supervisor)
    sys.stdout.flush()
    sys.stderr.flush()
    supervisor.send(ended)
    # A context that is lost, or has work queued, need not be waited for.
    os._exit(0)


class SupervisorPipe:
    """The pipe to the supervisor: messages one way, the request to stop the other.

    The death of the supervisor is such a request too; stop_s later this process is ended.
    """

    def __init__(self, connection: Connection, stop_s: float) -> None:
        self._connection = connection
        self._stop_s = stop_s
        self._parent = os.getppid()
        self._is_asked = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def should_stop(self) -> bool:
        """Return True once a stop was asked for."""
        return self._is_asked.is_set()

    def send(self, message: Heartbeat | Note | Ended) -> None:
        """Send a message; where the supervisor is gone, ask for a stop."""
        try:
            self._connection.send(message)
        except OSError:
            self._is_asked.set()

    def _listen(self) -> None:
        try:
            while os.getppid() == self._parent:
                if self._connection.poll(_POLL_S) and self._connection.recv() == STOP:
                    self._is_asked.set()
        except (EOFError, OSError):
            pass
        self._is_asked.set()
        time.sleep(self._stop_s)
        os._exit(_ORPHANED)


def _ended(spec: DeviceSpec, job: Job, supervisor: SupervisorPipe) -> Ended:
    """Do the job, and return its end, whatever happens."""
    try:
        return _work(spec, job, supervisor)
    except Stopped:
        return Ended(STOPPED)
    except GpperfError as error:
        return Ended(ERROR, str(error))
    except Exception as error:
        traceback.print_exc()
        return Ended(CRASHED, f"crash: {type(error).__name__}: {error}")


def _work(spec: DeviceSpec, job: Job, supervisor: SupervisorPipe) -> Ended:
    """Open journal and GPU, and conduct the session."""
    sync_s = job.protocol.faults.journal_sync_s
    with Journal(job.journal, patience_s=_LOCK_S, sync_s=sync_s) as journal:
        supervisor.send(Heartbeat("opening the GPU", _OPENING_S))
        device = spec.open(job.cubins)
        ended = conduct(device, job, journal, supervisor.should_stop, supervisor.send)
        supervisor.send(Heartbeat("ending", _ENDING_S))
        if ended.how in (COMPLETE, FAILING):
            device.close()
        return ended


def conduct(
    device: Device,
    job: Job,
    journal: Journal,
    should_stop: Callable[[], bool],
    tell: Callable[[Heartbeat | Note], None],
) -> Ended:
    """Take a job through one session on a GPU that is open; return the end of the session.

    tell: is given heartbeats and notes. Raises Stopped where a stop was asked for before anything
    began, ChangedError where the journal was begun on something else, JournalError where it cannot
    be written.
    """
    plan, protocol, state = job.plan, job.protocol, journal.state
    facts = facts_of(device.identity, device.gpu, plan, protocol, device.provenance)
    open_session(journal, facts, restart=job.restart, allow_changed=job.allow_changed)

    def report(what: str, expected_s: float) -> None:
        tell(Heartbeat(what, expected_s, _standing_of(state)))

    def left_s() -> float:
        return math.inf if job.stop_at_s is None else job.stop_at_s - time.monotonic()

    report("opening the journal", _ENDING_S)
    interruptible = InterruptibleDevice(device, should_stop)
    cubins = CubinCache(job.cubins) if any(build.key for build in plan.builds) else None
    programs = Programs(interruptible, plan, protocol, journal, cubins)
    return Conductor(
        PointRunner(interruptible, protocol, journal, programs, report),
        Schedule(plan, protocol, state, programs.is_out),
        protocol,
        Clock(left_s, should_stop, plan.sweep.budget_s),
        lambda text: tell(Note(text)),
        restart=job.restart,
    ).run()


def conduct_simulated(gpu: Gpu, seed: int, job: Job, journal: Journal) -> Ended:
    """Take a job through one session on a simulated GPU of these facts, in this process.

    Return the end of the session; nobody is told of its progress.
    """
    from ...device.simulated import SimulatedDevice

    device = SimulatedDevice(seed, gpu=gpu)
    return conduct(device, job, journal, lambda: False, lambda message: None)


def _standing_of(state: State) -> Standing:
    """Return the progress of a journal, all of it from its lines: no sensor is read for it."""
    check = state.sensor_check
    return Standing(
        points=state.roles[POINT, BURST],
        power=state.roles[POINT, SUSTAINED],
        failed=state.statuses[Status.FAILED],
        errors=state.errors,
        error=state.error,
        power_w=state.power_w,
        sm_clock_hz=state.sm_clock_hz,
        has_power=check is None or any(one["reason"] is None for one in check["sources"]),
    )

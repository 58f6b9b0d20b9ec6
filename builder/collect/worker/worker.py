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

from ...compile import CubinCache
from ...device import Device
from ...errors import BuilderError
from ...vocabulary import Status
from ..journal import BURST, POINT, SUSTAINED, Journal
from .conductor import Clock, Conductor
from .interruptible import InterruptibleDevice, Stopped
from .messages import (
    COMPLETE,
    CRASHED,
    ERROR,
    FAILING,
    STOP,
    STOPPED,
    DeviceSpec,
    Ended,
    Heartbeat,
    Job,
    Note,
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
    """Do a job on a GPU, and say farewell; never returns.

    Ends within `stop_s` of the protocol after its supervisor has asked it to, or has died.
    """
    # The supervisor answers these, for the whole group of processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lifeline = Lifeline(connection, job.protocol.faults.stop_s)
    farewell = _farewell(spec, job, lifeline)
    sys.stdout.flush()
    sys.stderr.flush()
    lifeline.send(farewell)
    # A context that is lost, or has work queued, need not be waited for.
    os._exit(0)


class Lifeline:
    """The pipe to the supervisor: signs of life one way, the wish to stop the other.

    Where the supervisor has died, that is a wish to stop; who does not within stop_s is ended.
    """

    def __init__(self, connection: Connection, stop_s: float) -> None:
        self._connection = connection
        self._stop_s = stop_s
        self._parent = os.getppid()
        self._is_asked = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def should_stop(self) -> bool:
        """Return whether to stop."""
        return self._is_asked.is_set()

    def send(self, message: Heartbeat | Note | Ended) -> None:
        """Tell the supervisor; where it is gone, that is found out by listening."""
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


def _farewell(spec: DeviceSpec, job: Job, lifeline: Lifeline) -> Ended:
    """Do the job, and return how it ended, whatever happens."""
    try:
        return _work(spec, job, lifeline)
    except Stopped:
        return Ended(STOPPED)
    except BuilderError as error:
        return Ended(ERROR, str(error))
    except Exception as error:
        traceback.print_exc()
        return Ended(CRASHED, f"crash: {type(error).__name__}: {error}")


def _work(spec: DeviceSpec, job: Job, lifeline: Lifeline) -> Ended:
    """Open journal and GPU, and conduct."""
    sync_s = job.protocol.faults.journal_sync_s
    with Journal(job.journal, patience_s=_LOCK_S, sync_s=sync_s) as journal:
        lifeline.send(Heartbeat("opening the GPU", _OPENING_S))
        device = spec.open(job.cubins)
        farewell = conduct(device, job, journal, lifeline.should_stop, lifeline.send)
        lifeline.send(Heartbeat("ending", _ENDING_S))
        if farewell.how in (COMPLETE, FAILING):
            device.close()
        return farewell


def conduct(
    device: Device,
    job: Job,
    journal: Journal,
    should_stop: Callable[[], bool],
    tell: Callable[[Heartbeat | Note], None],
) -> Ended:
    """Take a job through one session on a GPU that is open; return how it ended.

    tell: is given signs of life and remarks. Raises Stopped where a stop was asked for before
    anything began, ChangedError where the journal is of something else, JournalError where it
    cannot be written.
    """
    plan, protocol, state = job.plan, job.protocol, journal.state
    facts = facts_of(device.identity, device.gpu, plan, protocol, job.keys)
    open_session(journal, facts, restart=job.restart, allow_changed=job.allow_changed)

    def beat(what: str, expected_s: float) -> None:
        timed, powered = state.roles[POINT, BURST], state.roles[POINT, SUSTAINED]
        tell(Heartbeat(what, expected_s, timed, powered, state.statuses[Status.FAILED]))

    def left_s() -> float:
        return math.inf if job.stop_at_s is None else job.stop_at_s - time.monotonic()

    beat("opening the journal", _ENDING_S)
    watched = InterruptibleDevice(device, should_stop)
    cubins = CubinCache(job.cubins) if job.keys else None
    programs = Programs(watched, plan, protocol, journal, cubins, job.keys)
    return Conductor(
        PointRunner(watched, protocol, journal, programs, beat),
        Schedule(plan, protocol, state, programs.is_out),
        protocol,
        Clock(left_s, should_stop, plan.sweep.budget_s),
        lambda text: tell(Note(text)),
        restart=job.restart,
    ).run()

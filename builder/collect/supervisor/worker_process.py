"""The worker process of one GPU as its supervisor sees it, restarts included."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ...errors import BuilderError
from ...measure import FaultRules, Protocol
from ..journal import Journal, JournalError, abandon_open, fail_open
from ..worker import (
    CRASHED,
    ENDING_SIGNALS,
    ERROR,
    RESTART,
    STOP,
    STOPPED,
    DeviceSpec,
    Ended,
    Heartbeat,
    Job,
    Note,
    Standing,
)

Entry = Callable[[DeviceSpec, Job, Connection], None]
"""The function that a worker process runs; importable, because it is spawned."""

_STARTING = Heartbeat("starting", 3.0)


@dataclass(frozen=True)
class Limits(FaultRules):
    """The patience with a worker, and the number of its restarts.

    A worker that was asked to stop has stop_s, and grace_s more before it is killed. kill_s: time
    for the system to end a process. restarts: most in all; fruitless: most in a row that measured
    nothing.
    """

    grace_s: float = 1.0
    kill_s: float = 5.0
    restarts: int = 100
    fruitless: int = 3

    @classmethod
    def of(cls, protocol: Protocol) -> Limits:
        """Return the limits that a protocol sets."""
        return cls(**asdict(protocol.faults))


class WorkerProcess:
    """The worker of one GPU: started, listened to, killed where it hangs, and started again.

    heartbeat, standing: the latest; restarts: their number; ended: its end, None while it works.
    """

    def __init__(self, spec: DeviceSpec, job: Job, limits: Limits, entry: Entry) -> None:
        self.spec = spec
        self.job = job
        self.heartbeat = _STARTING
        self.standing = Standing()
        self.restarts = 0
        self.ended: Ended | None = None
        self._limits = limits
        self._entry = entry
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._silent_s = 0.0
        self._last: Ended | None = None
        self._notes: list[str] = []
        self._fruitless = 0
        self._closed = 0

    @property
    def name(self) -> str:
        """The name of this GPU for people: that of its journal."""
        return self.job.journal.stem

    @property
    def pid(self) -> int | None:
        """The id of the worker process; None before the first."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a worker process; signals to the group of processes do not reach it."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        parcel = _parcel(self.spec, self.job)
        process = context.Process(target=_enter, args=(self._entry, parcel, theirs), daemon=True)
        # The tracker unblocks signals when it is started, so that must not be in between.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            parcel.close()
            theirs.close()
        self._process, self._connection = process, ours
        self.heartbeat = _STARTING
        self._silent_s, self._last = 0.0, None

    def waitables(self) -> list[Connection | int]:
        """Return the objects that become ready when the worker sends something or ends."""
        assert self._process is not None
        connection = [] if self._connection is None else [self._connection]
        return [*connection, self._process.sentinel]

    def attend(self, elapsed_s: float, is_stopping: bool) -> None:
        """Receive the worker's messages; kill it where it is silent; replace it where it is dead.

        elapsed_s: time since the last call. is_stopping: whether it was asked to stop, and is not
        replaced.
        """
        assert self._process is not None
        self._silent_s += elapsed_s
        is_alive = self._process.is_alive()
        self._listen()
        if is_alive:
            patience_s = self._limits.watchdog_factor * self.heartbeat.expected_s
            if self._silent_s > max(self._limits.watchdog_s, patience_s):
                self._after(
                    f"hang: no sign of life for {self._silent_s:.1f} s in "
                    f"'{self.heartbeat.what}', expected {self.heartbeat.expected_s:.2g} s; "
                    "killed by the watchdog",
                    is_stopping,
                )
        else:
            self._after(_cause(self._process.exitcode), is_stopping)

    def ask_to_stop(self) -> None:
        """Ask the worker to finish or abandon its point and to end."""
        if self._connection is not None:
            try:
                self._connection.send(STOP)
            except OSError:  # it is dead, which `attend` will find
                return

    def kill(self) -> None:
        """Kill the worker, and abandon the point that it was at: it did not fail."""
        if self.ended is None:
            self._after(None, is_stopping=True)

    def notes(self) -> list[str]:
        """Return the texts for people since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _listen(self) -> None:
        while self._connection is not None:
            try:
                if not self._connection.poll():
                    return
                message = self._connection.recv()
            except (EOFError, OSError):
                self._connection.close()
                self._connection = None
                return
            self._silent_s = 0.0
            if isinstance(message, Heartbeat):
                self.heartbeat = message
                self.standing = message.standing or self.standing
            elif isinstance(message, Note):
                self._notes.append(message.text)
            elif isinstance(message, Ended):
                self._last = message

    def _after(self, cause: str | None, is_stopping: bool) -> None:
        """End the process, close its journal, and start another one or leave it at that.

        cause: of its death, where it sent none itself; None where it was killed on purpose.
        """
        self._end()
        last = self._last
        if last is not None and last.how not in (RESTART, CRASHED):
            self.ended = last
            return
        cause = cause if last is None else last.text
        try:
            has_progressed = self._close_journal(cause)
        except JournalError as error:
            self.ended = Ended(ERROR, str(error))
            return
        self._fruitless = 0 if has_progressed else self._fruitless + 1
        self.restarts += 1
        if is_stopping:
            self.ended = Ended(STOPPED)
        elif self._fruitless >= self._limits.fruitless or self.restarts > self._limits.restarts:
            self.ended = Ended(
                ERROR, f"its worker was lost {self.restarts} times, which is enough; last: {cause}"
            )
        else:
            self.job = replace(self.job, restart=True)
            try:
                self.start()
            except BuilderError as error:
                self.ended = Ended(ERROR, str(error))

    def _end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join(self._limits.kill_s)
        self._listen()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_journal(self, cause: str | None) -> bool:
        """Close the begin that is open; return True where the worker has closed any since."""
        with Journal(self.job.journal, patience_s=self._limits.kill_s) as journal:
            if journal.state.header is None:
                return False
            if cause is None:
                abandon_open(journal)
            else:
                failed = fail_open(journal, cause)
                self._notes.append(f"{cause}; {failed} counts as failed" if failed else cause)
            journal.sync()
            before, self._closed = self._closed, journal.state.closed
            return self._closed > before


def _parcel(spec: DeviceSpec, job: Job) -> Connection:
    """Return an open file with the arguments of a worker, to be read once.

    Process arguments go through a pipe whose reading end stays open here: a worker that dies
    before it has read more than that pipe holds would have its supervisor wait for ever.
    Raises BuilderError where there is no space for the file.
    """
    try:
        with tempfile.TemporaryFile() as file:
            parcel = Connection(os.dup(file.fileno()))
        parcel.send((spec, job))
        os.lseek(parcel.fileno(), 0, os.SEEK_SET)
    except OSError as error:
        raise BuilderError(f"cannot write in {tempfile.gettempdir()}: {error.strerror}") from error
    return parcel


def _enter(entry: Entry, parcel: Connection, connection: Connection) -> None:
    """Run an entry with the arguments of its parcel."""
    spec, job = parcel.recv()
    parcel.close()
    entry(spec, job, connection)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"crash: the process was ended by {signal.Signals(-code).name}"
    return f"crash: the process ended with status {code} without a word"

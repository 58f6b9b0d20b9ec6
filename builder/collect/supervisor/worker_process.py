"""A ward: the worker of one GPU through all its lives, as its supervisor sees it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ...errors import BuilderError
from ...measure import Protocol
from ..journal import Journal, JournalError, abandon_open, blame_open
from ..worker import CRASHED, ERROR, RESTART, STOP, STOPPED, DeviceSpec, Ended, Heartbeat, Job, Note

Entry = Callable[[DeviceSpec, Job, Connection], None]
"""What a worker process runs; importable, because it is spawned."""

_STARTING = Heartbeat("starting", 3.0)
_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that reach the whole group of processes; the supervisor alone answers them."""


@dataclass(frozen=True)
class Limits:
    """How long to wait for a worker, and how often to start one again.

    A worker that is silent for max(watchdog_s, watchdog_factor * expected time) is killed. One
    that is asked to stop has stop_s, and grace_s more before it is killed. kill_s: how long the
    system may take to end a process. fruitless: restarts in a row that measured nothing.
    """

    watchdog_s: float = Protocol.watchdog_s
    watchdog_factor: float = Protocol.watchdog_factor
    stop_s: float = Protocol.stop_s
    grace_s: float = 1.0
    kill_s: float = 5.0
    restarts: int = 100
    fruitless: int = 3

    @classmethod
    def of(cls, protocol: Protocol) -> Limits:
        """Return the limits that a protocol sets."""
        return cls(protocol.watchdog_s, protocol.watchdog_factor, protocol.stop_s)


class WorkerProcess:
    """The worker of one GPU: started, listened to, killed, blamed and started again.

    beat: its latest sign of life; restarts: how often it was started again; farewell: how it
    ended, None while it has not.
    """

    def __init__(self, spec: DeviceSpec, job: Job, limits: Limits, entry: Entry) -> None:
        self.spec = spec
        self.job = job
        self.beat = _STARTING
        self.restarts = 0
        self.farewell: Ended | None = None
        self._limits = limits
        self._entry = entry
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._silent_s = 0.0
        self._last_words: Ended | None = None
        self._remarks: list[str] = []
        self._fruitless = 0
        self._closed = 0

    @property
    def name(self) -> str:
        """Return what people call this GPU: the name of its journal."""
        return self.job.journal.stem

    @property
    def pid(self) -> int | None:
        """Return the id of the worker process; None before the first."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a worker process; signals to the group of processes do not reach it."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        parcel = _parcel(self.spec, self.job)
        process = context.Process(target=_enter, args=(self._entry, parcel, theirs), daemon=True)
        # The tracker unblocks signals when it is started, so that must not be in between.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _DEAF_TO)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            parcel.close()
            theirs.close()
        self._process, self._connection = process, ours
        self.beat = replace(self.beat, what=_STARTING.what, expected_s=_STARTING.expected_s)
        self._silent_s, self._last_words = 0.0, None

    def waitables(self) -> list[Connection | int]:
        """Return what becomes ready when the worker says something or ends."""
        assert self._process is not None
        connection = [] if self._connection is None else [self._connection]
        return [*connection, self._process.sentinel]

    def attend(self, elapsed_s: float, is_stopping: bool) -> None:
        """Hear what the worker says; kill it where it is silent; go on where it is dead.

        elapsed_s: time since the last call.
        """
        assert self._process is not None
        self._silent_s += elapsed_s
        is_alive = self._process.is_alive()
        self._listen()
        if is_alive:
            patience_s = self._limits.watchdog_factor * self.beat.expected_s
            if self._silent_s > max(self._limits.watchdog_s, patience_s):
                self._after(
                    f"hang: no sign of life for {self._silent_s:.1f} s in '{self.beat.what}', "
                    f"expected {self.beat.expected_s:.2g} s; killed by the watchdog",
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
        """Kill the worker; what it was at is nobody's fault."""
        if self.farewell is None:
            self._after(None, is_stopping=True)

    def remarks(self) -> list[str]:
        """Return what people should read, each once."""
        remarks, self._remarks = self._remarks, []
        return remarks

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
                self.beat = message
            elif isinstance(message, Note):
                self._remarks.append(message.text)
            elif isinstance(message, Ended):
                self._last_words = message

    def _after(self, cause: str | None, is_stopping: bool) -> None:
        """End the process, settle its journal, and start another one or leave it at that.

        cause: of its death, where it says nothing itself; None where we wanted it.
        """
        self._end()
        words = self._last_words
        if words is not None and words.how not in (RESTART, CRASHED):
            self.farewell = words
            return
        cause = cause if words is None else words.text
        try:
            has_progressed = self._settle(cause)
        except JournalError as error:
            self.farewell = Ended(ERROR, str(error))
            return
        self._fruitless = 0 if has_progressed else self._fruitless + 1
        self.restarts += 1
        if is_stopping:
            self.farewell = Ended(STOPPED)
        elif self._fruitless >= self._limits.fruitless or self.restarts > self._limits.restarts:
            self.farewell = Ended(
                ERROR, f"its worker was lost {self.restarts} times, which is enough; last: {cause}"
            )
        else:
            self.job = replace(self.job, restart=True)
            try:
                self.start()
            except BuilderError as error:
                self.farewell = Ended(ERROR, str(error))

    def _end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join(self._limits.kill_s)
        self._listen()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _settle(self, cause: str | None) -> bool:
        """Close what is open in the journal; return whether the worker added anything to it."""
        with Journal(self.job.journal, patience_s=self._limits.kill_s) as journal:
            if journal.state.header is None:
                return False
            if cause is None:
                abandon_open(journal)
            else:
                blamed = blame_open(journal, cause)
                self._remarks.append(f"{cause}; blamed on {blamed}" if blamed else cause)
            journal.sync()
            before, self._closed = self._closed, journal.state.closed
            return self._closed > before


def _parcel(spec: DeviceSpec, job: Job) -> Connection:
    """Return a file that holds what a worker is given, to be read once.

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
    """Run what a worker process runs."""
    spec, job = parcel.recv()
    parcel.close()
    entry(spec, job, connection)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"crash: the process was ended by {signal.Signals(-code).name}"
    return f"crash: the process ended with status {code} without a word"

"""Attempts: a step that the open `begin` announced is run, and closed as failed if it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...device import DeviceError
from ...errors import BuilderError
from ..journal import PLAIN, STICKY, Journal, abandon_open, fail
from .interruptible import Stopped

T = TypeVar("T")


class ContextLostError(BuilderError):
    """The CUDA context is lost, so a new process must go on; the open begin is closed."""


def attempt(journal: Journal, run: Callable[[], T]) -> T | None:
    """Run the step that the open begin announced; return its result, None where it failed.

    A step that raised is closed as failed, with the reason; the caller closes one with a result.
    run must not write to the journal. Raises ContextLostError after a sticky error, and Stopped,
    with the begin abandoned, where a stop was asked for.
    """
    try:
        return run()
    except Stopped:
        abandon_open(journal)
        raise
    except BuilderError as error:
        if isinstance(error, DeviceError) and error.is_sticky:
            fail(journal, STICKY, str(error))
            journal.sync()
            raise ContextLostError(str(error)) from error
        fail(journal, PLAIN, str(error))
        return None

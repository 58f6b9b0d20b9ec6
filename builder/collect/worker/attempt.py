"""Attempts: a step of measuring that is announced in the journal, and closed there if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...device import DeviceError
from ...errors import BuilderError
from ..journal import PLAIN, STICKY, Journal, abandon_open, fail
from .interruptible import Stopped

T = TypeVar("T")


class ContextLostError(BuilderError):
    """Nothing more can be done in this process; what was going on is written down."""


def attempt(journal: Journal, run: Callable[[], T]) -> T | None:
    """Run what the open begin has announced; return None where it failed.

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

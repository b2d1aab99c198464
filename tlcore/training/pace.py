"""How often work looks up from itself: to say where it is, and to see whether it shall end."""

from __future__ import annotations

import time

BEAT = 0.5  # s between two progress events
LOOK = 0.02  # s between two looks whether to stop


class Stopped(Exception):  # not an error: somebody asked for it
    """The run was asked to stop in the middle of something that it does not keep."""


class Pace:
    """A clock for what is done again and again, at most once in so many seconds."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self._seconds = seconds
        self._next = 0.0 if at_once else time.monotonic() + seconds

    def due(self) -> bool:
        """Whether it is time again; if so the clock starts anew."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

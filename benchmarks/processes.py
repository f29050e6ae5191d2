"""Processes that take the cores from those that are measured."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

# Ends with its parent, and after an hour in any case, so that nothing is left behind where we are killed.
_BUSY = """
import os, time
parent, until = os.getppid(), time.monotonic() + 3600
while os.getppid() == parent and time.monotonic() < until:
    for _ in range(100_000):
        pass
"""


def n_busy() -> int:
    """How many busy processes leave one core: one at least."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable - 1)


@contextlib.contextmanager
def busy_cores(n: int) -> Iterator[None]:
    """Run `n` processes that compute without a pause. Where they run is left to the system, as it is in life."""
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            child = subprocess.Popen(
                [sys.executable, "-c", _BUSY], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(child.wait)
            stack.callback(child.kill)  # before the wait
        yield

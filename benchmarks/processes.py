"""The processes that are measured, seen from outside: memory, whether they rest, and others that take the cores."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

IDLE_SHARE = 0.05  # of one core
IDLE_FOR_S = 1.0
IDLE_PATIENCE_S = 120

# Ends with its parent, and after an hour in any case, so that nothing is left behind where we are killed.
_BUSY = """
import os, time
parent, until = os.getppid(), time.monotonic() + 3600
while os.getppid() == parent and time.monotonic() < until:
    for _ in range(100_000):
        pass
"""


def rss_mib(process: psutil.Process) -> float:
    """Resident memory of a process and its children, in MiB."""
    them = [process, *process.children(recursive=True)]
    return float(sum(it.memory_info().rss for it in them)) / (1 << 20)


def wait_until_idle(process: psutil.Process) -> None:
    """Wait until a process has hardly used its cores for IDLE_FOR_S; IDLE_PATIENCE_S at most."""
    until = time.monotonic() + IDLE_PATIENCE_S
    while time.monotonic() < until:
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_FOR_S)
        if sum(process.cpu_times()[:2]) - before < IDLE_SHARE * IDLE_FOR_S:
            return


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

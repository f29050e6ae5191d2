"""Whether this machine runs on its battery, where work that nobody asked for is left undone."""

from __future__ import annotations

import time
from functools import lru_cache

import psutil

LOOK_AGAIN_S = 30


def is_on_battery() -> bool:
    """Whether the plug is out, which switches off what nobody waits for.

    That is looking ahead, branches, and warming beyond the near window. False where there is no battery, or no way
    to tell.
    """
    return _look(int(time.monotonic() // LOOK_AGAIN_S))


@lru_cache(maxsize=1)
def _look(_period: int) -> bool:
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):  # some systems lack it, some files are odd
        return False
    return battery is not None and battery.power_plugged is False

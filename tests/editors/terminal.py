"""A program on a terminal of its own: keys go in one by one, the screen can be read, and is shown on failure."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Terminal:
    """A tmux of its own, of 100 columns and 40 lines."""

    def __init__(self, folder: Path, command: Sequence[str], environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._pauses = itertools.cycle((0.03, 0.05, 0.04))
        line = shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command])
        # Without a server that is somebody's: TMUX names it.
        self._environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {
            "LC_ALL": "C.UTF-8"
        }
        self._run("new-session", "-d", "-x", "100", "-y", "40", line)

    def type(self, text: str) -> None:
        """Type text, a key at a time; a line end is Return."""
        for key in text:
            self.press("Enter") if key == "\n" else self._run("send-keys", "-l", "--", key)
            time.sleep(next(self._pauses))

    def press(self, *keys: str) -> None:
        """Press keys by their tmux names: `C-c`, `Escape`, `Enter`."""
        for key in keys:
            self._run("send-keys", key)
            time.sleep(next(self._pauses))

    @property
    def screen(self) -> str:
        """What stands on the screen."""
        return self._run("capture-pane", "-p")

    def until(self, read: Callable[[], T], what: str, seconds: float = 30) -> T:
        """Poll until `read` gives something true; else fail with the screen."""
        end = time.monotonic() + seconds
        while not (value := read()):
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.screen}"
            time.sleep(0.05)
        return value

    def close(self) -> None:
        """End the program."""
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=30, check=True
        ).stdout

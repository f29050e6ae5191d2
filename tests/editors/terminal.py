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

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

T = TypeVar("T")

_CONSOLE = Console()
_DIM = 0x8A8D96


class Terminal:
    """A tmux of its own, of 100 columns."""

    def __init__(self, folder: Path, command: Sequence[str], environment: dict[str, str], n_lines: int = 40) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._pauses = itertools.cycle((0.03, 0.05, 0.04))
        line = shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command])
        # Without a server that is somebody's: TMUX names it.
        self._environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {
            "LC_ALL": "C.UTF-8"
        }
        self._run("new-session", "-d", "-x", "100", "-y", str(n_lines), line)

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

    @property
    def cells(self) -> list[list[object]]:
        """What stands on the screen as a `Recording` takes it: rows of runs, and the cursor."""
        rows: list[list[object]] = []
        for line in self._run("capture-pane", "-e", "-N", "-p").splitlines():
            runs = Text.from_ansi(line).render(_CONSOLE)
            rows.append([(text, *_look(style)) for text, style, _ in runs if text.strip("\n")])
        return [*rows, [int(n) for n in self._run("display-message", "-p", "#{cursor_y} #{cursor_x}").split()]]

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


def _look(style: Style | None) -> tuple[int, int, str]:
    """Colour, background and attributes of a run; -1 is a default."""
    if style is None:
        return -1, -1, ""
    colour = _DIM if style.dim else _number(style, "color")
    marks = {"b": style.bold, "i": style.italic, "u": style.underline, "r": style.reverse}
    return colour, _number(style, "bgcolor"), "".join(mark for mark, is_on in marks.items() if is_on)


def _number(style: Style, name: str) -> int:
    colour = getattr(style, name)
    if colour is None or colour.is_default:
        return -1
    red, green, blue = colour.get_truecolor(MONOKAI)
    return int(red << 16 | green << 8 | blue)

"""A Neovim with the plugin, driven through its API the way a person drives it with the keyboard."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pynvim
from recording import Recording

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "neovim"
INIT = Path(__file__).with_name("neovim_init.lua")
SIZE = (100, 28)  # columns, lines
T = TypeVar("T")


class Editor:
    """One Neovim. `config` is `vim.g.kruk`; what happens on the screen goes to `recording`, if there is one."""

    def __init__(
        self, nvim: Path, config: dict[str, Any], init: Path = INIT, recording: Recording | None = None
    ) -> None:
        os.environ["KRUK_TEST_PLUGIN"] = str(PLUGIN)
        os.environ["KRUK_TEST_CONFIG"] = json.dumps(config)
        clean = ["--clean"] if init == INIT else []
        # Long messages wait for no key: requests behind that would have to wait too.
        calm = "if exists('+messagesopt') | set messagesopt=wait:0,history:500 | else | set cmdheight=7 | endif"
        self.api = pynvim.attach("child", argv=[str(nvim), *clean, "--embed", "-n", "-u", str(init), "--cmd", calm])
        self.api.ui_attach(*SIZE, rgb=True)
        while not self.api.vvars["vim_did_enter"]:
            time.sleep(0.02)
        self.lua(INIT.with_name("neovim_probe.lua").read_text(encoding="utf-8"))
        self._recording = recording

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):  # the pipe closes before the answer
            self.api.command("qall!")
        self.api.close()

    def lua(self, code: str, *args: Any) -> Any:
        return self.api.exec_lua(code, *args)

    def open(self, path: Path) -> None:
        self.api.command(f"edit {path}")

    def until(self, read: Callable[[], T], what: str, seconds: float = 150) -> T:
        """Poll until `read` gives something true."""
        end = time.monotonic() + seconds
        while not (value := read()):
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.screen()}"
            self._record()
            time.sleep(0.05)
        self._record()
        return value

    @property
    def is_watched(self) -> bool:
        """Whether somebody will watch what happens."""
        return self._recording is not None

    def type(self, keys: str, pace: float = 0.5) -> None:
        """Type with a quick person's pauses: a slow one's, times `pace`."""
        pace = max(pace, 0.7) if self.is_watched else pace
        pause = itertools.cycle((0.08, 0.11, 0.09, 0.12))
        for key in keys:
            self.api.input({"\n": "<CR>", "<": "<lt>"}.get(key, key))
            time.sleep(next(pause) * pace)
            self._record()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.api.input(key)
        self._record()

    def rest(self, seconds: float) -> None:
        """Let somebody who watches a recording read."""
        if self._recording:
            self._record()
            self._recording.rest(seconds)

    def stop_recording(self) -> None:
        self._recording = None

    def _record(self) -> None:
        if self._recording:
            self._recording.add(self.lua("return cells()"))

    @property
    def text(self) -> str:
        return "\n".join(self.api.current.buffer[:])

    def screen(self) -> str:
        """What is on the screen, for whoever reads of a failure."""
        return str(self.lua("vim.cmd.redraw(); return screen()"))

    def messages(self) -> str:
        return str(self.api.command_output("messages"))

    def ask(self, command: str, ending: str) -> str:
        """Run an ex command and wait for a message that holds `ending`; return what was said since."""
        self.api.command("messages clear")
        self.lua("pcall(vim.cmd, ...)", command)  # a message of an error is an error here
        self.until(lambda: ending in self.messages(), f"{ending!r} after :{command}", 20)
        return self.messages()

    def state(self) -> str:
        return str(self.lua("return require('kruk').statusline()"))

    def until_ready(self, model: str = "") -> None:
        self.until(lambda: self.state().startswith(f"Kruk: ready {model}"), "the model to be ready")

    def ghost(self) -> tuple[int, int, str]:
        """The suggestion, once no request is on its way and it has stood for a while."""
        seen: list[Any] = []

        def settled() -> Any:
            ghost = self.lua("return not waiting() and ghost() or nil")
            seen.append(ghost)
            # 10 looks of 0.05 s: longer than Neovim waits before it asks again.
            return ghost if ghost and seen[-10:] == [ghost] * 10 else None

        row, column, text = self.until(settled, "a suggestion", 30)
        return row, column, text

    def buffer(self, pattern: str) -> str:
        """The text of the newest buffer whose name matches a Lua pattern."""
        return str(self.lua("return text_of(...)", pattern))

    def server(self) -> psutil.Process:
        """The server's process."""
        children = psutil.Process(self.api.funcs.getpid()).children(recursive=True)
        return next(child for child in children if "serve" in child.cmdline())


Start = Callable[..., Editor]  # a fixture, with Editor's own arguments

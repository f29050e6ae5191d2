"""Vim with ALE, and no Kruk in it: code actions, a chat document, and suggestions in its popup menu."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.editors.terminal import Terminal

pytestmark = pytest.mark.editor

ROOT = Path(__file__).parents[2]
CODE = "x = 1\n\n\ndef add(a, b):\n    return a - b\n"


class Vim:
    """A Vim on a terminal, with a file open. What it shows is looked up every tenth of a second."""

    def __init__(self, vim: Path, home: Path, file: Path, server: list[str], model: str) -> None:
        self._look = home / "look"
        environment = {
            "HOME": str(home),
            "KRUK_HOME": str(home / "kruk"),
            "KRUK_TEST_COMMAND": "%e " + shlex.join(server),
            "KRUK_TEST_LOOK": str(self._look),
            "KRUK_TEST_MODEL": model,
            "KRUK_TEST_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        init = Path(__file__).with_name("vimrc.vim")
        self.terminal = Terminal(home, [str(vim), "-u", str(init), str(file)], environment)
        self.terminal.until(self._look.exists, "Vim to start")

    @property
    def text(self) -> str:
        return self._look.read_text(encoding="utf-8")

    def act(self, title: str) -> None:
        """Choose a code action by the number before its title; the list comes as soon as the server is there."""

        def listed() -> str:
            self.terminal.type(":ALECodeAction\n")
            return next((line for line in self._after() if line.endswith(title)), "")

        line = self.terminal.until(listed, title)
        self.terminal.type(f"{line.split(')')[0].strip()}\n")

    def _after(self) -> list[str]:
        """What the screen shows soon after a command."""
        try:
            self.terminal.until(lambda: "Type number" in self.terminal.screen, "the actions", 2)
        except AssertionError:
            self.terminal.press("Escape")
            return []
        return [line.rstrip() for line in self.terminal.screen.split("\n")]


@pytest.fixture
def start(vim: Path, tmp_path: Path) -> Iterator[Callable[..., Vim]]:
    vims: list[Vim] = []

    def begin(name: str, text: str, script: object = None, model: Path | None = None) -> Vim:
        folder = tmp_path / "project"
        (folder / ".git").mkdir(parents=True)
        (folder / name).write_text(text)
        server = ["-m", "lsp_server", "serve"]
        if model is None:
            (tmp_path / "script.json").write_text(json.dumps(script))
            server = ["-m", "tests.fake_server", str(tmp_path / "script.json")]
        vims.append(Vim(vim, tmp_path, folder / name, server, str(model or "")))
        return vims[-1]

    yield begin
    for one in vims:
        one.terminal.close()


def test_an_edit_is_applied(start: Callable[..., Vim]) -> None:
    vim = start("sums.py", CODE, {"says": "```python\ndef add(a, b):\n    return a + b\n```"})
    vim.terminal.type("G")
    vim.act("Kruk: Simplify")
    vim.terminal.until(lambda: vim.text == CODE.replace("a - b", "a + b"), "the edit")


def test_an_explanation_is_a_message(start: Callable[..., Vim]) -> None:
    vim = start("sums.py", CODE, {"says": "It subtracts the second from the first."})
    vim.terminal.type("G")
    vim.act("Kruk: Explain")
    vim.terminal.until(lambda: "It subtracts the second from the first." in vim.terminal.screen, "the explanation")


def test_a_chat_document_is_answered(start: Callable[..., Vim]) -> None:
    vim = start("chat.md", "## You\n\nSay hello.\n", {"says": "Hello.\n\nAnd goodbye."})
    vim.act("Kruk: Send")
    whole = "## You\n\nSay hello.\n\n## Kruk\n\nHello.\n\nAnd goodbye.\n\n## You\n"
    vim.terminal.until(lambda: vim.text.rstrip() + "\n" == whole, "the answer")


def test_a_suggestion_is_in_the_popup_menu(start: Callable[..., Vim]) -> None:
    vim = start("sums.py", CODE, {"knows": [f"{CODE}\ndef mul(a, b):\n    return a * b\n"]})
    vim.terminal.type("Go\ndef mul(a, b):\n    return ")

    def shown() -> bool:
        vim.terminal.type("a")
        try:
            return vim.terminal.until(lambda: "a * b" in vim.terminal.screen, "the suggestion", 2)
        except AssertionError:
            vim.terminal.press("BSpace")
            return False

    vim.terminal.until(shown, "a suggestion, as soon as the server is there")
    vim.terminal.press("C-n", "C-y")
    vim.terminal.until(lambda: "return a * b\n" in vim.text, "the suggestion to be taken")
